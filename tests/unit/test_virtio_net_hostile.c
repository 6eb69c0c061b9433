/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network interface with a driver that breaks the rules or changes its mind (M67): queues that
 * point anywhere, buffers too short, resets in the middle of everything; and its control queue, which says
 * what frames it wants. */
#include "virtio_net_board.h"

static const u8 everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static u8 frame[PEER_BUFFER];

/* ---- the control queue ---- */
static bool comes(const u8 target[6])
{
	struct header h;

	if (rx.room > 32)
		rx_post(30, 2048);
	peer_send(target, 60, (struct net_offload){0});
	return rx_take(&h, frame) == 60;
}

static u8 tell(u8 class, u8 number, u8 value)
{
	const u8 bytes[] = {class, number, value};

	return command(bytes, sizeof(bytes));
}

/* A table command of so many addresses of a kind, 02:00:00:00:01:xx and 03:... */
static u8 tables(u32 single, u32 groups, u32 more)
{
	static u8 bytes[4000];
	u8 *p = bytes;

	memset(bytes, 0, sizeof(bytes));
	*p++ = 1;
	*p++ = 0;
	for (u32 kind = 0; kind < 2; kind++) {
		u32 n = kind ? groups : single;
		memcpy(p, &n, 4);
		p += 4;
		for (u32 i = 0; i < n; i++, p += 6) {
			p[0] = (u8)(2 + kind);
			p[4] = 1;
			p[5] = (u8)i;
		}
	}
	return command(bytes, (u32)(p - bytes) + more);
}

static void filters(void **state)
{
	static const u8 group[6] = {3, 0, 0, 0, 1, 4}, single[6] = {2, 0, 0, 0, 1, 4};

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		/* Everything, until it says otherwise. */
		assert_true(comes(mac_nic) && comes(everybody) && comes(group) && comes(single));
		assert_int_equal(tell(0, 0, 0), 0);
		assert_true(comes(mac_nic) && comes(everybody));
		assert_false(comes(group) || comes(single));
		assert_int_equal(tell(0, 1, 1), 0);
		assert_true(comes(group) && !comes(single));
		assert_int_equal(tell(0, 1, 0), 0);
		assert_int_equal(tables(5, 0, 0), 0);
		assert_true(comes(single) && !comes(group) && comes(mac_nic) && comes(everybody));
		assert_int_equal(tables(4, 5, 0), 0);
		assert_true(!comes(single) && comes(group));
		assert_int_equal(tables(0, 4, 0), 0);
		assert_false(comes(group) || comes(single));
		/* More than there is room for: all of the kind. */
		assert_int_equal(tables(64, 0, 0), 0);
		assert_true(comes((const u8[6]){2, 0, 0, 0, 1, 63}) &&
			    !comes((const u8[6]){2, 0, 0, 0, 1, 64}));
		assert_int_equal(tables(65, 64, 0), 0);
		assert_true(comes((const u8[6]){2, 0, 0, 0, 7, 7}) &&
			    !comes((const u8[6]){3, 0, 0, 0, 7, 7}));
		/* What is no command changes nothing. */
		assert_int_equal(tables(0, 0, 1), 1);
		assert_int_equal(tell(0, 0, 2), 1);
		assert_int_equal(tell(0, 2, 1), 1);
		assert_int_equal(tell(1, 0, 0), 1);
		assert_int_equal(tell(2, 0, 0), 1);
		assert_int_equal(tell(4, 0, 0), 1);
		assert_int_equal(command((const u8[]){0, 0, 1, 1}, 4), 1);
		assert_int_equal(command((const u8[]){1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 10), 1);
		/* Another address: not where it may not send from it, which is not offered then. */
		assert_int_equal(command((const u8[]){1, 1, 2, 0, 0, 0, 1, 4}, 8), 1);
		assert_true(comes((const u8[6]){2, 0, 0, 0, 7, 7}) &&
			    !comes((const u8[6]){3, 0, 0, 0, 7, 7}));
		/* Not negotiated; and a reset forgets. */
		cfg_set(seen.msix + 2, 2, 0);
		go(layout(l) & ~F_CTRL_RX);
		assert_int_equal(tell(0, 0, 0), 1);
		assert_true(comes(group) && comes(single));
		assert_int_equal(status(), 15);
		destroy();
	}
}

static void another_address(void **state)
{
	static const u8 other[6] = {2, 0, 0, 0, 1, 4};

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create_with(l, 0, 0);
		go(layout(l) | F_CTRL_MAC);
		assert_int_equal(tell(0, 0, 0), 0);
		assert_false(comes(other));
		assert_int_equal(command((const u8[]){1, 1, 2, 0, 0, 0, 1, 4}, 8), 0);
		assert_int_equal(board_read(false, seen.config + 4, 2), 0x0401);
		assert_true(comes(other) && !comes(mac_nic));
		assert_int_equal(command((const u8[]){1, 1, 2, 0, 0, 0, 0, 0x22}, 8), 1); /* the peer's */
		assert_int_equal(command((const u8[]){1, 1, 3, 0, 0, 0, 1, 4}, 8), 1);
		assert_int_equal(command((const u8[]){1, 1, 2, 0, 0, 0, 1}, 7), 1);
		assert_int_equal(command((const u8[]){1, 1, 2, 0, 0, 0, 1, 5, 0}, 9), 1);
		assert_true(comes(other));
		cfg_set(seen.msix + 2, 2, 0);
		go(layout(l));
		assert_int_equal(board_read(false, seen.config + 4, 2), 0x1100);
		assert_true(comes(mac_nic));
		destroy();
	}
}

/* ---- queues that are wrong ---- */
static void bad_buffers(void **state)
{
	static const struct buffer bad[] = {
	    {HOLE, 100, false},
	    {0xfffffffffffff000, 100, false},
	    {TX_DATA, 0xffffffff, false},
	    {HOLE - 8, 64, false},
	};
	static const struct buffer bad_rx[] = {
	    {HOLE, 2048, true},  {ROM_BASE, 2048, true}, {RX_DATA, 0xffffffff, true},
	    {RX_DATA, 11, true}, {RX_DATA, 2048, false}, {RAM_END - 100, 2048, true},
	};

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		for (unsigned i = 0; i < ARRAY_SIZE(bad) + ARRAY_SIZE(bad_rx); i++) {
			bool receives = i >= ARRAY_SIZE(bad);
			create(l);
			go(layout(l));
			if (receives) {
				driver_add(&rx, &bad_rx[i - ARRAY_SIZE(bad)], 1, false);
				assert_int_equal(status(), 15);
				peer_send(mac_nic, 60, (struct net_offload){0});
				assert_int_equal(peer.delivered, 0);
			} else {
				driver_add(&tx, &bad[i], 1, false);
				tx_ring();
			}
			assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
			/* It does nothing any more: no other queue, either. */
			peer_send(mac_nic, 60, (struct net_offload){0});
			assert_int_equal(peer.delivered + peer.frames, 0);
			assert_int_equal(peer.completed, receives ? 2 : 1);
			assert_int_equal(tell(0, 0, 0), 0xee);
			cfg_set(seen.msix + 2, 2, 0);
			go(layout(l));
			assert_true(comes(mac_nic));
			assert_true(tx_send(mac_peer, 60, 1));
			destroy();
		}
		/* A command that has no place for the answer. */
		create(l);
		go(layout(l));
		const struct buffer command = {CONTROL_DATA, 3, false};
		driver_add(&control, &command, 1, false);
		doorbell(CONTROL);
		assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
		destroy();
	}
}

/* Commands without end have one; the rest follows later. */
static void many_commands(void **state)
{
	const struct buffer b[] = {{CONTROL_DATA, 3, false}, {CONTROL_DATA + 100, 1, true}};
	unsigned answered = 0;
	u16 id;
	u32 len;

	(void)state;
	create(false);
	go(layout(0));
	driver_init(&control, 64, layout(0), CONTROL_QUEUE);
	cfg_set(seen.msix + 2, 2, 0);
	MUST(negotiate(layout(0)));
	queue_on(&rx, RX, 64, layout(0), RX_QUEUE);
	queue_on(&tx, TX, 64, layout(0), TX_QUEUE);
	queue_on(&control, CONTROL, 64, layout(0), CONTROL_QUEUE);
	common_set(0x14, 1, 15);
	MUST(gmem_set(&guest_ram, CONTROL_DATA, 0, 3) == 0);
	for (unsigned i = 0; i < 64; i++)
		driver_add(&control, b, 2, true);
	doorbell(CONTROL);
	for (; driver_used(&control, &id, &len); answered++)
		;
	assert_in_range(answered, 8, 32);
	for (unsigned i = 0; i < 10 && fake_timers_armed(); i++)
		fake_run_until(++shim_tsc);
	for (; driver_used(&control, &id, &len); answered++)
		;
	assert_int_equal(answered, 64);
	/* One that is longer than any. */
	const struct buffer huge[] = {{0x21000, 0x8000, false}, {CONTROL_DATA + 100, 1, true}};
	MUST(gmem_set(&guest_ram, 0x21000, 0, 2) == 0 && gmem_set(&guest_ram, 0x21000, 1, 1) == 0);
	driver_add(&control, huge, 2, true);
	doorbell(CONTROL);
	assert_true(driver_used(&control, &id, &len));
	assert_int_equal(*(u8 *)at(CONTROL_DATA + 100, 1), 1);
	destroy();
}

/* ---- a reset in the middle ---- */
static void reset_with_frames_waiting(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create_with(l, NET_ANTI_SPOOF, 100000); /* slow */
		go(layout(l));
		tx_prepare(&(struct header){0}, mac_peer, mac_nic, 60000, 1);
		rx_post(20, 2048);
		for (unsigned i = 0; i < 20; i++)
			tx_add(60000);
		tx_ring();
		assert_in_range(peer.frames, 1, 3);
		assert_in_range(fake_timers_armed(), 1, 2);
		unsigned frames = peer.frames;
		u32 before = get32(tx.s.device);
		common_set(0x14, 1, 0);
		assert_int_equal(status(), 0);
		(void)before;
		/* What comes later touches nothing. */
		MUST(gmem_set(&guest_ram, TX_QUEUE, 0x77, 0x6000) == 0);
		MUST(gmem_set(&guest_ram, RX_QUEUE, 0x77, 0x6000) == 0);
		MUST(gmem_set(&guest_ram, RX_DATA, 0x77, 20 * RX_BUFFER) == 0);
		for (unsigned i = 0; i < 100; i++) {
			fake_run_until(shim_tsc + ns_to_tsc(100000000));
			peer_send(mac_nic, 60, (struct net_offload){0});
		}
		assert_int_equal(peer.frames, frames);
		assert_int_equal(peer.delivered, 0);
		for (u32 i = 0; i < 0x6000; i++) {
			assert_int_equal(*(u8 *)at(TX_QUEUE + i, 1), 0x77);
			assert_int_equal(*(u8 *)at(RX_QUEUE + i, 1), 0x77);
		}
		for (u32 i = 0; i < 20 * RX_BUFFER; i++)
			assert_int_equal(*(u8 *)at(RX_DATA + i, 1), 0x77);
		/* And it can begin anew, whatever the first life had taken. */
		cfg_set(seen.msix + 2, 2, 0);
		go(layout(l));
		assert_true(comes(mac_nic));
		fake_run_until(shim_tsc + ns_to_tsc(2000000000));
		assert_true(tx_send(mac_peer, 60, 1));
		destroy();
	}
}

/* Buffers that were taken and not used belong to the first life. */
static void reset_with_buffers_taken(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		rx_post(10, 100);
		peer_send(mac_nic, 5000, (struct net_offload){0}); /* looks at all, and has no room */
		assert_int_equal(peer.delivered, 0);
		cfg_set(seen.msix + 2, 2, 0);
		go(layout(l));
		MUST(gmem_set(&guest_ram, RX_DATA, 0x77, 0x40000) == 0);
		peer_send(mac_nic, 60, (struct net_offload){0});
		assert_int_equal(peer.delivered, 0);
		for (u32 i = 0; i < 0x40000; i++)
			assert_int_equal(*(u8 *)at(RX_DATA + i, 1), 0x77);
		assert_true(comes(mac_nic));
		/* Without bus mastering it does nothing. */
		cfg_set(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
		assert_false(comes(mac_nic));
		destroy();
	}
}

static void no_place(void **state)
{
	struct nic_setup setup = {.port = {.bridge = &bridge}};

	(void)state;
	create(false);
	memcpy(setup.port.address, mac_peer, 6);
	assert_null(virtio_net_nic.create(BOARD_GUEST, &board.bus, PCI_DEVFN(5, 0), &setup));
	assert_non_null(strstr(shim_last_log, "another interface has this address"));
	setup.port.address[5] = 0x33;
	assert_null(virtio_net_nic.create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup));
	assert_non_null(strstr(shim_last_log, "on the PCI bus"));
	assert_null(bridge.sw.ports[2]);
	virtio_net_nic.destroy(NULL);
	destroy();
}

/* ---- chains without a byte, beside frames in the switch's hands ---- */
#define SLOTS 32u /* of frames in guest memory */
#define FRAMES 3000u
#define EACH 300u
static u32 expected, sent, chains, back, dice;

static u8 byte_of(u32 number, u32 i)
{
	return (u8)(number * 31 + i * 7);
}

/* In order, and each as it was when it was sent. */
static void is_the_next(void)
{
	assert_int_equal(peer.length, EACH);
	for (u32 i = 12; i < EACH; i++)
		assert_int_equal(peer.bytes[i], byte_of(expected, i));
	expected++;
}

/* In pieces: the header, and some of the bytes. */
static void send_numbered(u32 number)
{
	static const struct header nothing;
	gpa_t gpa = TX_DATA + number % SLOTS * 512;
	const struct buffer b[] = {{gpa, HEADER, false},
				   {gpa + HEADER, 100, false},
				   {gpa + HEADER + 100, number % 90, false},
				   {gpa + HEADER + 100 + number % 90, EACH - 100 - number % 90, false}};
	u8 bytes[EACH];

	for (u32 i = 0; i < EACH; i++)
		bytes[i] = byte_of(number, i);
	memcpy(bytes, mac_peer, 6);
	memcpy(bytes + 6, mac_nic, 6);
	MUST(gmem_write(&guest_ram, gpa, &nothing, HEADER) == 0);
	MUST(gmem_write(&guest_ram, gpa + HEADER, bytes, EACH) == 0);
	driver_add(&tx, b, 4, true);
}

/* Few at a time, so that often all that is left is one of nothing. */
static void some_more(void)
{
	const struct buffer nothing = {TX_DATA, 0, false};

	dice = dice * 1664525 + 1013904223;
	for (u32 n = dice >> 24 & 3; chains - back < n && sent < FRAMES; chains++) {
		if (dice >> (chains % 8 + 8) & 1)
			driver_add(&tx, &nothing, 1, dice >> 20 & 1);
		else
			send_numbered(sent++);
	}
	if (driver_kick(&tx))
		doorbell(TX);
}

/* At a rate, so that the switch keeps some for a while; and while it runs, another CPU has more. */
static void chains_of_nothing(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u32 len;
		u16 id;

		create_with(l, NET_ANTI_SPOOF, 1000000);
		go(layout(l));
		expected = sent = chains = back = dice = 0;
		peer_got = is_the_next;
		peer_asked = some_more;
		for (u32 steps = 0; back < chains || sent < FRAMES; steps++) {
			assert_true(steps < 100 * FRAMES);
			some_more();
			fake_run_until(shim_tsc + ns_to_tsc(100000));
			for (; driver_used(&tx, &id, &len); back++)
				;
		}
		peer_got = peer_asked = NULL;
		assert_int_equal(expected, FRAMES);
		assert_int_equal(status(), 15);
		destroy();
	}
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(filters),
	    cmocka_unit_test(another_address),
	    cmocka_unit_test(bad_buffers),
	    cmocka_unit_test(many_commands),
	    cmocka_unit_test(reset_with_frames_waiting),
	    cmocka_unit_test(reset_with_buffers_taken),
	    cmocka_unit_test(no_place),
	    cmocka_unit_test(chains_of_nothing),
	};
	shim_quiet = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
