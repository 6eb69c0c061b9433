/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network interface against a driver written from virtio 1.2, 5.1, with split and packed rings:
 * what it says of itself, frames both ways through one copy (M69, M73, M77), what is left to the other side.
 */
#include "virtio_net_board.h"

static const u8 everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static u8 frame[PEER_BUFFER];

static void configuration(void **state)
{
	(void)state;
	create(true);
	assert_int_equal(device_features(), layout(1));
	assert_int_equal(cfg(2, 2), 0x1041);
	assert_int_equal(cfg(0xa, 2), 0x0200);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(board_read(false, seen.config + i, 1), mac_nic[i]);
	assert_int_equal(board_read(false, seen.config + 6, 2), 1); /* the link is up */
	assert_int_equal(seen.config_bytes, 8);
	assert_int_equal(common(0x12, 2), 3);
	assert_true(virtio_net_nic.usage(nic) > 0 && virtio_net_nic.usage(nic) < 96 << 10);
	destroy();
	create_with(false, 0, 0);
	assert_int_equal(device_features(), layout(0) | F_CTRL_MAC);
	destroy();
}

static void transmit(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		for (u32 n = 14; n < 1600; n += 1 + n % 7) {
			assert_true(tx_send(mac_peer, n, (u8)n));
			assert_int_equal(peer.length, n);
			assert_memory_equal(peer.bytes, mac_peer, 6);
			assert_memory_equal(peer.bytes + 6, mac_nic, n < 12 ? n - 6 : 6);
			for (u32 i = 12; i < n; i++)
				assert_int_equal(peer.bytes[i], (u8)(n + i * 7));
		}
		/* Header and frame cut anywhere, empty pieces among them. */
		static const struct header nothing;
		for (u32 cut = 0; cut < 100; cut++) {
			u16 id;
			u32 len;
			tx_prepare(&nothing, mac_peer, mac_nic, 300, (u8)cut);
			const struct buffer b[] = {{TX_DATA, cut / 2, false},
						   {TX_DATA + cut / 2, cut - cut / 2, false},
						   {TX_DATA + cut, HEADER + 300 - cut, false}};
			driver_add(&tx, b, 3, cut & 1);
			tx_ring();
			assert_true(driver_used(&tx, &id, &len));
			assert_int_equal(peer.length, 300);
			for (u32 i = 12; i < 300; i++)
				assert_int_equal(peer.bytes[i], (u8)(cut + i * 7));
		}
		assert_int_equal(status(), 15);
		destroy();
	}
}

/* No frame, or none that may leave: it is dropped, the buffer comes back, and all goes on. */
static void transmit_nonsense(void **state)
{
	static const struct header wrong[] = {
	    {.gso = 1, .gso_size = 1448},                                      /* no checksum asked for */
	    {.flags = 1, .gso = 2, .gso_size = 1448, .from = 34},              /* no such kind */
	    {.flags = 1, .gso = 3, .gso_size = 1448, .from = 34},              /* UDP */
	    {.flags = 1, .gso = 0x81, .gso_size = 1448, .from = 34, .at = 16}, /* ECN was not offered */
	    {.flags = 1, .gso = 1, .from = 34, .at = 16},
	    {.flags = 1, .gso = 1, .gso_size = 1, .from = 34, .at = 16},
	    {.flags = 1, .at = 16},
	    {.flags = 1, .from = 0xffff, .at = 0xffff},
	    {.flags = 1, .from = 290, .at = 9},
	};

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u64 bad = 0;
		u16 id;
		u32 len;
		create(l);
		go(layout(l));
		const struct net_meters *m = &((struct net_switch *)&bridge.sw)->ports[1]->meters;
		for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
			tx_prepare(&wrong[i], mac_peer, mac_nic, 300, 1);
			tx_add(300);
			tx_ring();
			assert_true(driver_used(&tx, &id, &len));
			assert_int_equal(m->tx_bad, ++bad);
		}
		for (u32 n = 1; n < HEADER + 14; n++) { /* too short for a header, or for a frame */
			const struct buffer b = {TX_DATA, n, false};
			driver_add(&tx, &b, 1, false);
			tx_ring();
			assert_true(driver_used(&tx, &id, &len));
			assert_int_equal(m->tx_bad, ++bad);
		}
		const struct buffer large[] = {{TX_DATA, 0x10000, false}, {TX_DATA, 0x1000, false}},
				    back = {TX_DATA, 100, true};
		driver_add(&tx, large, 2, false);
		driver_add(&tx, &back, 1, false); /* nothing to be read */
		tx_ring();
		assert_true(driver_used(&tx, &id, &len) && driver_used(&tx, &id, &len));
		assert_int_equal(m->tx_bad, bad + 2);
		/* Another's address; and one of a group. */
		tx_prepare(&(struct header){0}, mac_peer, mac_peer, 300, 1);
		tx_add(300);
		tx_ring();
		assert_int_equal(m->tx_spoofed, 1);
		tx_prepare(&(struct header){0}, mac_peer, everybody, 300, 1);
		tx_add(300);
		tx_ring();
		assert_int_equal(m->tx_bad, bad + 3);
		assert_int_equal(peer.frames, 0);
		assert_true(driver_used(&tx, &id, &len) && driver_used(&tx, &id, &len));
		assert_true(tx_send(mac_peer, 60, 1));
		assert_int_equal(peer.frames, 1);
		assert_int_equal(status(), 15);
		destroy();
	}
}

static void receive(void **state)
{
	struct header h;

	(void)state;
	for (unsigned l = 0; l < 4; l++) { /* with mergeable buffers, and without */
		create(l & 1);
		go(layout(l & 1) & ~(l & 2 ? F_MRG : 0));
		for (u32 n = 14; n < 1515; n += 1 + n % 5) {
			if (rx.room == 64)
				rx_post(60, 2048);
			for (u32 i = 0; i < n; i++)
				peer.sent[i] = (u8)(n + i * 3);
			peer_send(n & 1 ? mac_nic : everybody, n, (struct net_offload){0});
			assert_false(peer.sending);
			assert_int_equal(rx_take(&h, frame), n);
			assert_memory_equal(frame, peer.sent, n);
			assert_int_equal(h.buffers, 1);
			assert_int_equal(h.flags | h.gso | h.gso_size, 0);
		}
		/* Not for it: somebody else's, known. */
		unsigned room = rx.room;
		peer_send(mac_peer, 60, (struct net_offload){0});
		assert_int_equal(rx_take(&h, frame), 0);
		assert_int_equal(rx.room, room);
		destroy();
	}
}

/* Frames that take several buffers, whatever those are like; and what is left of them is used next. */
static void merged(void **state)
{
	static const u32 sizes[] = {12, 13, 64, 1000, 1536, 4096};
	struct header h;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		for (unsigned round = 0; round < 200; round++) {
			u32 n = 14 + round * 97 % 9000, size = sizes[round % ARRAY_SIZE(sizes)];
			while (rx.room)
				rx_post(1, size);
			for (u32 i = 0; i < n; i++)
				peer.sent[i] = (u8)(n + i * 3);
			/* None that is too long for what there is spoils anything. */
			u64 dropped = bridge.sw.ports[1]->meters.rx_dropped;
			peer_send(mac_nic, n, (struct net_offload){0});
			if (bridge.sw.ports[1]->meters.rx_dropped != dropped) {
				assert_true(size * 64 < n + HEADER);
				assert_int_equal(rx_take(&h, frame), 0);
				n = 14;
				peer_send(mac_nic, n, (struct net_offload){0});
			}
			assert_int_equal(rx_take(&h, frame), n);
			assert_memory_equal(frame, peer.sent, n);
		}
		assert_int_equal(status(), 15);
		destroy();
	}
	/* Without them: one that is too long for its buffer is dropped, the next takes it. */
	create(false);
	go(layout(0) & ~F_MRG);
	rx_post(2, 100);
	peer_send(mac_nic, 89, (struct net_offload){0});
	assert_int_equal(bridge.sw.ports[1]->meters.rx_dropped, 1);
	assert_int_equal(rx_take(&h, frame), 0);
	peer_send(mac_nic, 88, (struct net_offload){0});
	assert_int_equal(rx_take(&h, frame), 88);
	destroy();
}

/* A TCP segment of the peer, over IPv4 or 6; returns where TCP begins. */
static u16 peer_tcp(bool v6)
{
	u32 tcp = v6 ? 54 : 34;

	memset(peer.sent, 0x5a, sizeof(peer.sent));
	memcpy(peer.sent + 12, v6 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
	peer.sent[v6 ? 20 : 23] = 6;
	peer.sent[tcp + 12] = 0x50;
	return (u16)tcp;
}

/* To a driver that takes it, in one, with a header that says what is left to do; else done. */
static void offload_received(void **state)
{
	struct header h;

	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (unsigned v6 = 0; v6 < 2; v6++) {
			create(l);
			u16 tcp = peer_tcp(v6);
			struct net_offload o = {.from = tcp, .at = 16, .cut = 1400};
			go(layout(l));
			rx_post(60, 4096);
			peer_send(mac_nic, 20000, o);
			assert_int_equal(rx_take(&h, frame), 20000);
			assert_memory_equal(frame, peer.sent, 20000);
			assert_int_equal(h.flags, 1);
			assert_int_equal(h.gso, v6 ? 4 : 1);
			assert_int_equal(h.gso_size, 1400);
			assert_int_equal(h.header, tcp + 20);
			assert_int_equal(h.from, tcp);
			assert_int_equal(h.at, 16);
			assert_int_equal(h.buffers, 5);
			o.cut = 0;
			peer_send(mac_nic, 1000, o);
			assert_int_equal(rx_take(&h, frame), 1000);
			assert_memory_equal(frame, peer.sent, 1000);
			assert_int_equal(h.flags, 1);
			assert_int_equal(h.gso | h.gso_size, 0);
			assert_int_equal(h.from, tcp);
			/* The other kind only, or none, or no checksums: it comes cut, and complete. */
			static const u64 without[] = {F_GUEST_TSO4 | F_GUEST_TSO6, F_GUEST_CSUM};
			for (unsigned i = 0; i < 3; i++) {
				u64 lacks = i < 2 ? without[i] : v6 ? F_GUEST_TSO6 : F_GUEST_TSO4;
				cfg_set(seen.msix + 2, 2, 0);
				go(layout(l) & ~lacks);
				rx_post(60, 4096);
				o.cut = 1400;
				peer_send(mac_nic, tcp + 20 + 2900, o);
				for (unsigned part = 0; part < 3; part++) {
					u32 n = part < 2 ? 1400 : 100;
					assert_int_equal(rx_take(&h, frame), tcp + 20 + n);
					assert_int_equal(h.flags | h.gso | h.from, 0);
					assert_int_equal(frame[tcp + 20 + n - 1], 0x5a);
				}
			}
			destroy();
		}
}

static void offload_sent(void **state)
{
	u16 id;
	u32 len;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		const struct header sum = {.flags = 1, .from = 34, .at = 16}, tso = {.flags = 1,
										     .gso = 1,
										     .gso_size = 1000,
										     .header = 54,
										     .from = 34,
										     .at = 16};
		create(l);
		go(layout(l));
		peer.takes = NET_TAKES_SUM | NET_TAKES_TCP4;
		tx_prepare(&sum, mac_peer, mac_nic, 500, 1);
		tx_add(500);
		tx_ring();
		assert_int_equal(peer.offload.from, 34);
		assert_int_equal(peer.offload.at, 16);
		assert_int_equal(peer.offload.cut, 0);
		peer.takes = 0;
		tx_add(500);
		tx_ring();
		assert_int_equal(peer.frames, 2);
		assert_int_equal(peer.offload.from, 0);
		assert_true(driver_used(&tx, &id, &len) && driver_used(&tx, &id, &len));
		/* A long one, which is TCP. */
		tx_prepare(&tso, mac_peer, mac_nic, 5054, 1);
		u8 ip[34];
		memset(ip, 0, sizeof(ip));
		memcpy(ip, "\x08\x00\x45", 3);
		ip[11] = 6;
		MUST(gmem_write(&guest_ram, TX_DATA + HEADER + 12, ip, 22) == 0);
		MUST(gmem_set(&guest_ram, TX_DATA + HEADER + 46, 0x50, 1) == 0);
		peer.takes = NET_TAKES_SUM | NET_TAKES_TCP4;
		tx_add(5054);
		tx_ring();
		assert_int_equal(peer.frames, 3);
		assert_int_equal(peer.length, 5054);
		assert_int_equal(peer.offload.cut, 1000);
		assert_int_equal(peer.offload.header, 54);
		peer.takes = 0;
		tx_add(5054);
		tx_ring();
		assert_int_equal(peer.frames, 8);
		assert_int_equal(peer.length, 1054);
		assert_int_equal(bridge.sw.ports[1]->meters.tx_bad, 0);
		/* Not negotiated: no frame. */
		for (unsigned i = 0; i < 2; i++) {
			cfg_set(seen.msix + 2, 2, 0);
			go(layout(l) & ~(i ? F_HOST_TSO4 : F_CSUM));
			tx_add(5054);
			tx_ring();
			assert_int_equal(bridge.sw.ports[1]->meters.tx_bad, i + 1);
		}
		destroy();
	}
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(configuration), cmocka_unit_test(transmit), cmocka_unit_test(transmit_nonsense),
	    cmocka_unit_test(receive),       cmocka_unit_test(merged),   cmocka_unit_test(offload_received),
	    cmocka_unit_test(offload_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
