/* SPDX-License-Identifier: Apache-2.0 */
/* The 82540EM's transmitter: what leaves it, what the driver is told (M66, M69); checksums and segments as
 * the guest asked for them, whoever does them; and many frames at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e1000_board.h"

static u8 frame[66000];

/* A frame in guest memory, from a place on. */
static void put(gpa_t gpa, u32 length)
{
	assert_int_equal(gmem_write(&guest_ram, gpa, frame, length), 0);
}

static void legacy(void **state)
{
	(void)state;
	create(0);
	transmitter(8);
	for (u32 length = 14; length < 1600; length += 61) {
		gpa_t gpa = TX_BUFFERS + length % 7 + 0xe00; /* across a page, most of them */
		make_frame(frame, PEER_MAC, MAC, 17, MAX(length, 60u), true);
		put(gpa, length);
		u32 i = tx_put(gpa, length | SEND);
		assert_false(tx_done(i));
		tx_ring();
		assert_true(tx_done(i));
		assert_int_equal(reg(TDH), tx_next);
		assert_int_equal(peer.nr, 1);
		assert_int_equal(peer.length[0], length);
		assert_memory_equal(peer.frame[0], frame, length);
		assert_int_equal(reg(ICR), TXDW | TXQE);
		peer.nr = 0;
	}
	destroy();
}

/* Any number of pieces; only descriptors with RS are told of; without IFCS the last four bytes are not data.
 */
static void in_pieces(void **state)
{
	(void)state;
	create(0);
	transmitter(256);
	make_frame(frame, PEER_MAC, MAC, 6, 1000, true);
	put(TX_BUFFERS, 1000);
	for (u32 piece = 11; piece < 1000; piece += 97) {
		u32 first = tx_next, last = 0, n = 0;
		for (u32 at = 0; at < 1000; at += piece, n++) {
			bool end = at + piece >= 1000, rs = end || n % 2;
			last = tx_put(TX_BUFFERS + at, MIN(piece, 1000 - at) | (n % 3 && !end ? 0 : IFCS) |
							   (rs ? RS : 0) | (end ? EOP : 0));
		}
		tx_put(0, 0); /* of nothing; the beginning of another packet */
		tx_next = (tx_next + 255) % 256;
		tx_ring();
		if (n > 90) {
			assert_int_equal(peer.nr, 0);
		} else {
			assert_int_equal(peer.nr, 1);
			assert_int_equal(peer.length[0], 1000);
			assert_memory_equal(peer.frame[0], frame, 1000);
		}
		for (u32 i = 0; i < n; i++)
			assert_int_equal(tx_done((first + i) % 256), (first + i) % 256 == last || i % 2);
		peer.nr = 0;
	}
	tx_put(TX_BUFFERS, 998);
	tx_put(TX_BUFFERS + 998, 2 | EOP | RS);
	tx_ring();
	assert_int_equal(peer.length[0], 996);
	tx_put(TX_BUFFERS, 3 | EOP | RS); /* less than that */
	tx_ring();
	assert_int_equal(peer.nr, 1);
	assert_int_equal(reg(TDH), tx_next);
	destroy();
}

/* Both kinds of checksum, left to the receiver where it can do them. */
static void sums(void **state)
{
	(void)state;
	for (u32 takes = 0; takes <= NET_TAKES_SUM; takes++)
		for (unsigned udp = 0; udp < 2; udp++) {
			u32 field = L4 + (udp ? 6 : 16);
			create(0);
			peer.takes = takes;
			transmitter(16);
			make_frame(frame, PEER_MAC, MAC, udp ? 17 : 6, 333, false);
			put(TX_BUFFERS + 5, 333);
			tx_context(IP, IP + 10, L4 - 1, L4, field, 0, udp ? 0 : BIT(24), 0, 0, 0);
			tx_put(TX_BUFFERS + 5, 100 | IFCS | DEXT | DATA | POPT_IP | POPT_TCP);
			u32 last = tx_put(TX_BUFFERS + 105, 233 | SEND | DEXT | DATA);
			tx_ring();
			assert_true(tx_done(last));
			assert_int_equal(peer.nr, 1);
			u8 *got = peer.frame[0];
			if (takes) {
				assert_int_equal(peer.offload[0].from, L4);
				assert_int_equal(peer.offload[0].at, field - L4);
				put16(got + field, ~sum_of(got + L4, 333 - L4));
			}
			assert_true(frame_ok(got));
			assert_memory_equal(got + field + 2, frame + field + 2, 333 - field - 2);
			/* The guest's memory is as it was. */
			assert_memory_equal(at(TX_BUFFERS + 5, 333), frame, 333);
			/* TCP's alone: the same context, and IP's by itself. */
			peer.nr = 0;
			put16(frame + IP + 10, ~sum_of(frame + IP, 20));
			put(TX_BUFFERS + 5, 333);
			tx_put(TX_BUFFERS + 5, 333 | SEND | DEXT | DATA | POPT_TCP);
			tx_put(TX_BUFFERS + 5, 333 | SEND | DEXT | DATA);
			tx_ring();
			assert_int_equal(peer.nr, 2);
			if (takes)
				put16(got + field, ~sum_of(got + L4, 333 - L4));
			assert_true(frame_ok(got));
			assert_memory_equal(peer.frame[1], frame, 333);
			destroy();
		}
}

/* Sums that end before the frame does, or stand before what they are of. */
static void odd_sums(void **state)
{
	(void)state;
	create(0);
	transmitter(16);
	make_frame(frame, PEER_MAC, MAC, 6, 200, false);
	put(TX_BUFFERS, 200);
	tx_context(0, 0, 0, 20, 60, 99, 0, 0, 0, 0);
	tx_put(TX_BUFFERS, 200 | SEND | DEXT | DATA | POPT_TCP);
	tx_context(0, 0, 0, 100, 50, 0, 0, 0, 0, 0);
	tx_put(TX_BUFFERS, 200 | SEND | DEXT | DATA | POPT_TCP);
	/* The same by the legacy kind: CSO, CSS. */
	tx_put(TX_BUFFERS, 200 | SEND | IC | 50 << 16 | BIT(42) * 25);
	tx_put(TX_BUFFERS, 200 | SEND | IC | 120 << 16 | BIT(42) * 25);
	tx_ring();
	assert_int_equal(peer.nr, 4);
	put16(frame + 60, ~sum_of(frame + 20, 80));
	assert_memory_equal(peer.frame[0], frame, 200);
	make_frame(frame, PEER_MAC, MAC, 6, 200, false);
	put16(frame + 50, ~sum_of(frame + 100, 100));
	assert_memory_equal(peer.frame[1], frame, 200);
	assert_memory_equal(peer.frame[2], frame, 200);
	make_frame(frame, PEER_MAC, MAC, 6, 200, false);
	put16(frame + 120, ~sum_of(frame + 100, 100));
	assert_memory_equal(peer.frame[3], frame, 200);
	peer.nr = 0;
	/* What cannot be: outside the frame, an end before its beginning. */
	tx_context(0, 0, 0, 201, 60, 0, 0, 0, 0, 0);
	tx_put(TX_BUFFERS, 200 | SEND | DEXT | DATA | POPT_TCP);
	tx_context(0, 0, 0, 50, 199, 0, 0, 0, 0, 0);
	tx_put(TX_BUFFERS, 200 | SEND | DEXT | DATA | POPT_TCP);
	tx_context(50, 60, 49, 0, 0, 0, 0, 0, 0, 0);
	tx_put(TX_BUFFERS, 200 | SEND | DEXT | DATA | POPT_IP);
	u32 last = tx_put(TX_BUFFERS, 200 | SEND | IC | 255 << 16);
	tx_ring();
	assert_int_equal(peer.nr, 0);
	assert_true(tx_done(last));
	destroy();
}

/* A TCP segment of 4000 bytes, as Linux gives it: no length, no IP checksum, the pseudo header without a
 * length. */
static void put_long(u32 length, u32 header)
{
	make_frame(frame, PEER_MAC, MAC, 6, length, false);
	put16(frame + IP + 2, 0);
	put16(frame + L4 + 16, sum_add(sum_of(frame + IP + 12, 8), 6));
	for (u32 at = 0; at < length; at += 0x1000) /* pages apart */
		assert_int_equal(
		    gmem_write(&guest_ram, TX_BUFFERS + 2 * at, frame + at, MIN(0x1000u, length - at)), 0);
	tx_context(IP, IP + 10, L4 - 1, L4, L4 + 16, 0, BIT(24) | BIT(25) | BIT(26), length - header, header,
		   1000);
	for (u32 at = 0; at < length; at += 0x1000)
		tx_put(TX_BUFFERS + 2 * at, MIN(0x1000u, length - at) | IFCS | DEXT | DATA | TSE |
						(at ? 0 : POPT_IP | POPT_TCP) |
						(at + 0x1000 >= length ? EOP | RS : 0));
	tx_ring();
}

static void segments(void **state)
{
	u32 lengths[] = {1054, 1055, 4054, 5000, 65000};

	(void)state;
	for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
		u32 length = lengths[k], payload = length - 54, nr = (payload + 999) / 1000, done = 0;
		create(0);
		transmitter(64);
		put_long(length, 54);
		assert_int_equal(peer.nr, nr);
		for (u32 i = 0; i < nr; i++) {
			const u8 *got = peer.frame[i];
			u32 part = MIN(1000u, payload - done);
			assert_int_equal(peer.length[i], 54 + part);
			assert_true(frame_ok(got));
			assert_int_equal(get_be32(got + L4 + 4), 100 + done);
			assert_int_equal(get_be16(got + IP + 4), 0x1234 + i);
			assert_int_equal(got[L4 + 13], i == nr - 1 ? 0x19 : 0x10);
			assert_memory_equal(got + 54, frame + 54 + done, part);
			done += part;
		}
		assert_int_equal(done, payload);
		assert_int_equal(reg(TDH), tx_next);
		destroy();
		/* Whole, for a receiver that takes it so: with a header that says what it is. */
		create(0);
		peer.takes = NET_TAKES_SUM | NET_TAKES_TCP4;
		transmitter(64);
		put_long(length, 54);
		assert_int_equal(peer.nr, 1);
		assert_int_equal(peer.length[0], length);
		assert_int_equal(peer.offload[0].cut, payload > 1000 ? 1000 : 0);
		put16(peer.frame[0] + L4 + 16, ~sum_of(peer.frame[0] + L4, length - L4));
		assert_true(frame_ok(peer.frame[0]));
		destroy();
	}
}

static void bad_segments(void **state)
{
	static const u32 headers[] = {0, 20, 53, 193, 255};

	(void)state;
	create(0);
	transmitter(64);
	for (unsigned i = 0; i < ARRAY_SIZE(headers); i++) {
		put_long(5000, headers[i]);
		assert_int_equal(reg(TDH), tx_next);
	}
	/* No size, UDP, a frame shorter than its header. */
	make_frame(frame, PEER_MAC, MAC, 6, 200, false);
	put(TX_BUFFERS, 200);
	tx_context(IP, IP + 10, 0, L4, L4 + 16, 0, BIT(24) | BIT(25) | BIT(26), 0, 54, 0);
	tx_put(TX_BUFFERS, 200 | SEND | DEXT | DATA | TSE | POPT_TCP);
	tx_context(IP, IP + 10, 0, L4, L4 + 6, 0, BIT(25) | BIT(26), 0, 42, 100);
	tx_put(TX_BUFFERS, 200 | SEND | DEXT | DATA | TSE | POPT_TCP);
	tx_context(IP, IP + 10, 0, L4, L4 + 16, 0, BIT(24) | BIT(25) | BIT(26), 0, 54, 100);
	tx_put(TX_BUFFERS, 50 | SEND | DEXT | DATA | TSE | POPT_TCP);
	/* Too long for what it is. */
	tx_put(TX_BUFFERS, 16289 | SEND | DEXT | DATA);
	u32 last = tx_put(TX_BUFFERS, 0xffff | SEND);
	tx_ring();
	assert_true(tx_done(last));
	assert_int_equal(peer.nr, 0);
	destroy();
}

/* More than there are slots, in one doorbell: all arrive, in order, in turns that a timer begins. */
static void many(void **state)
{
	u32 got = 0;

	(void)state;
	create(0);
	transmitter(512);
	for (u32 i = 0; i < 500; i++) {
		make_frame(frame, PEER_MAC, MAC, 17, 64, true);
		put16(frame + 60, i);
		put(TX_BUFFERS + i * 64, 64);
		tx_put(TX_BUFFERS + i * 64, 64 | SEND);
	}
	tx_ring();
	assert_true(peer.nr > 0 && peer.nr <= 128);
	for (unsigned turns = 0; got < 500; turns++) {
		assert_true(turns < 50);
		for (u32 i = 0; i < peer.nr; i++)
			assert_int_equal(get_be16(peer.frame[i] + 60), got++);
		peer.nr = 0;
		fake_run_until(shim_tsc + 1000);
	}
	assert_int_equal(got, 500);
	assert_int_equal(reg(TDH), 500);
	destroy();
}

/* What a timer does is followed by a rest, which is not cut short by having done all. */
static void turns_rest(void **state)
{
	u32 got = 0;

	(void)state;
	create(0);
	transmitter(512);
	make_frame(frame, PEER_MAC, MAC, 17, 64, true);
	put(TX_BUFFERS, 64);
	for (u32 i = 0; i < 500; i++)
		tx_put(TX_BUFFERS, 64 | SEND);
	fake_rest = 50000;
	tx_ring();
	fake_run_until(shim_tsc + 1000);
	for (unsigned turns = 0; reg(TDH) != reg(TDT); turns++) {
		assert_true(turns < 50 && nic->later.armed);
		assert_int_equal(nic->later.deadline, fake_rests_until);
		got = reg(TDH);
		fake_run_until(fake_rests_until - 1);
		assert_int_equal(reg(TDH), got);
		fake_run_until(fake_rests_until);
	}
	assert_in_range(got, 128, 499);
	/* It may be master of the bus again: what is to do is put off. */
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(nic->later.armed && nic->later.deadline == fake_rests_until);
	assert_true(fake_rests_until > shim_tsc);
	/* Others have done work meanwhile. */
	fake_rests_until += 5000;
	u64 until = fake_rests_until;
	fake_run_until(until - 1);
	assert_true(nic->later.armed && nic->later.deadline == until);
	fake_rest = fake_rests_until = 0;
	destroy();
}

/* M42: a turn that was put off is paid by the VM, and once. */
static void turns_are_paid_once(void **state)
{
	unsigned turns = 0;

	(void)state;
	nic_payer = (struct sched_group *)&peer; /* nobody looks into it */
	create(0);
	transmitter(512);
	make_frame(frame, PEER_MAC, MAC, 17, 64, true);
	put(TX_BUFFERS, 64);
	for (u32 i = 0; i < 500; i++)
		tx_put(TX_BUFFERS, 64 | SEND);
	peer.ticks = 10;
	tx_ring();
	while (reg(TDH) != reg(TDT)) {
		struct timer *t = fake_timer_first();
		u64 began = shim_tsc;

		assert_non_null(t);
		timer_cancel(t);
		fake_charged = 0;
		fake_fire(t);
		turns += shim_tsc > began;
		assert_int_equal(fake_charged, shim_tsc - began);
	}
	assert_true(turns > 1);
	assert_int_equal(peer.nr, 500);
	nic_payer = NULL;
	destroy();
}

/* Frames that the switch keeps for a while: descriptors come back in their order, and are not reused. */
static void slow_line(void **state)
{
	(void)state;
	create(0);
	net_port_limit(&nic->port, 64000000, 6400); /* 64 bytes a microsecond */
	transmitter(256);
	make_frame(frame, PEER_MAC, MAC, 17, 64, true);
	put(TX_BUFFERS, 64);
	for (u32 i = 0; i < 200; i++)
		tx_put(TX_BUFFERS, 64 | SEND);
	tx_ring();
	fake_run_until(shim_tsc);
	assert_in_range(peer.nr, 100, 103);
	assert_int_equal(reg(TDH), peer.nr);
	assert_true(guest_ram.pinned_pages > 0);
	fake_run_until(shim_tsc + 20000);
	assert_in_range(reg(TDH), 118, 124);
	assert_true(tx_done(reg(TDH) - 1) && !tx_done(reg(TDH)));
	/* A reset: what is under way gets lost or not, nothing is written back. */
	u32 head = reg(TDH);
	reg_set(CTRL, 0x04000000);
	fake_run_until(shim_tsc + 200000);
	assert_false(tx_done(head));
	assert_int_equal(reg(TDH), 0);
	assert_int_equal(guest_ram.pinned_pages, 0);
	transmitter(8);
	peer.nr = 0;
	tx_put(TX_BUFFERS, 64 | SEND);
	tx_ring();
	fake_run_until(shim_tsc + 20000);
	assert_int_equal(peer.nr, 1);
	assert_true(tx_done(0));
	/* With frames in the switch's hands it goes. */
	for (u32 i = 0; i < 7; i++)
		tx_put(TX_BUFFERS, 64 | SEND);
	net_port_limit(&nic->port, 1000, 0);
	tx_ring();
	assert_true(guest_ram.pinned_pages > 0);
	e1000_nic.reset(nic);
	assert_int_equal(guest_ram.pinned_pages, 0);
	destroy();
}

/* Nothing moves before all is there: EN, bus mastering, a link; then it goes by itself. */
static void conditions(void **state)
{
	(void)state;
	create(0);
	transmitter(8);
	make_frame(frame, PEER_MAC, MAC, 17, 64, true);
	put(TX_BUFFERS, 64);
	reg_set(TCTL, 0);
	tx_put(TX_BUFFERS, 64 | SEND);
	tx_ring();
	assert_int_equal(peer.nr, 0);
	reg_set(TCTL, 2);
	assert_int_equal(peer.nr, 1);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	tx_put(TX_BUFFERS, 64 | SEND);
	tx_ring();
	assert_int_equal(peer.nr, 1);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	fake_run_until(shim_tsc + 1);
	assert_int_equal(peer.nr, 2);
	reg_set(0x20, 0x04201940); /* MDIC: power down */
	tx_put(TX_BUFFERS, 64 | SEND);
	tx_ring();
	assert_int_equal(peer.nr, 2);
	reg_set(0x20, 0x04201140);
	assert_int_equal(peer.nr, 3);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(legacy),    cmocka_unit_test(in_pieces),  cmocka_unit_test(sums),
	    cmocka_unit_test(odd_sums),  cmocka_unit_test(segments),   cmocka_unit_test(bad_segments),
	    cmocka_unit_test(many),      cmocka_unit_test(turns_rest), cmocka_unit_test(turns_are_paid_once),
	    cmocka_unit_test(slow_line), cmocka_unit_test(conditions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
