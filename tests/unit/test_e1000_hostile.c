/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that means ill against the 82540EM (M67): rings and buffers that are nowhere, in ROM or in each
 * other, indices that jump, descriptors that change, resets in the middle; and what it then still costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e1000_board.h"

static const gpa_t nowhere[] = {HOLE,         ROM_BASE,   ROM_END - 8, RAM2_END - 8, 0xc0000000,
				HIGH_END - 8, 1ull << 47, 1ull << 52,  ~0ull - 7,    ~0xfffull};

/* Rings that are not in RAM that the guest may write: nothing happens; a good one works afterwards. */
static void rings(void **state)
{
	(void)state;
	create(0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		if (gmem_check(&guest_ram, nowhere[i] & ~15ull, 16, 1) == 0)
			continue; /* its first descriptor is in RAM */
		ring(TDBAL, nowhere[i] & ~15ull, 8);
		reg_set(TCTL, 2);
		reg_set(TDT, 5);
		assert_int_equal(reg(TDH), 0);
		ring(RDBAL, nowhere[i] & ~15ull, 8);
		reg_set(RCTL, 2);
		reg_set(RDT, 5);
		assert_false(peer_send(60));
		assert_int_equal(reg(RDH), 0);
	}
	transmitter(8);
	receiver(8, 2048, 0);
	tx_put(TX_BUFFERS, 60 | SEND);
	tx_ring();
	assert_true(tx_done(0));
	assert_true(peer_send(60));
	destroy();
}

static void buffers(void **state)
{
	(void)state;
	create(0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	transmitter(64);
	memcpy(at(TX_BUFFERS, 12), PEER_MAC MAC, 12);
	assert_int_equal(gmem_write(&guest_ram, ROM_BASE, PEER_MAC MAC, 12), 0);
	assert_int_equal(gmem_write(&guest_ram, ROM_END - 8, PEER_MAC MAC, 12), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		bool readable = nowhere[i] >= ROM_BASE && nowhere[i] < RAM2_END - 8;
		tx_put(nowhere[i], 60 | SEND);
		u32 d = tx_put(TX_BUFFERS, 60 | SEND);
		tx_ring();
		assert_true(tx_done(d) && tx_done(d - 1)); /* lost, and over */
		assert_int_equal(peer.nr, readable ? 2 : 1);
		peer.nr = 0;
		receiver(8, 2048, 0);
		set64(RX_RING, nowhere[i]);
		assert_false(peer_send(1000));
		assert_int_equal(reg(RDH), 0);
	}
	assert_int_equal(guest_ram.pinned_pages, 0);
	/* A buffer that is the ring, and one that is the other ring. */
	receiver(8, 2048, 0);
	set64(RX_RING, RX_RING);
	set64(RX_RING + 16, TX_RING);
	reg_set(RDT, 2);
	peer_send(1500);
	peer_send(1500);
	tx_put(TX_BUFFERS, 60 | SEND);
	tx_ring();
	destroy();
}

/* Ends that are no descriptors of the ring; a ring of none; lengths that do not fit. */
static void indices(void **state)
{
	static const u32 values[] = {8, 9, 100, 0xffff};

	(void)state;
	create(0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	transmitter(8);
	receiver(8, 2048, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		reg_set(TDT, values[i]);
		reg_set(RDT, values[i]);
		assert_false(peer_send(60));
		reg_set(TDT, 0);
		reg_set(TDH, values[i]);
		reg_set(RDT, 3);
		reg_set(RDH, values[i]);
		reg_set(TDT, 5);
		assert_false(peer_send(60));
		assert_int_equal(reg(TDH), values[i]);
		reg_set(TDH, 0);
		reg_set(RDH, 0);
	}
	reg_set(TDLEN, 0);
	reg_set(RDLEN, 0);
	reg_set(TDT, 0);
	reg_set(RDT, 0);
	assert_false(peer_send(60));
	assert_int_equal(peer.nr, 0);
	destroy();
}

/* A full ring of descriptors that never end a packet, or end one each: a doorbell has its bound, what is left
 * goes on from a timer, and it ends. */
static void long_rings(void **state)
{
	static const u64 kinds[] = {0, DEXT | DATA, DEXT, DEXT | 5 << 20, RS, 1, 0xffff, 1 | SEND, 60 | SEND};

	(void)state;
	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		u32 before, turns = 0;
		create(0);
		transmitter(4096);
		for (u32 i = 0; i < 4095; i++)
			tx_put(TX_BUFFERS, kinds[k]);
		tx_ring();
		before = nic->tx.next;
		assert_true(before <= 2 * E1000_TURN);
		while (fake_timers_armed()) {
			peer.nr = 0;
			shim_tsc += 1000;
			struct timer *t = fake_timer_first();
			timer_cancel(t);
			fake_fire(t);
			assert_true(nic->tx.next - before <= E1000_TURN);
			before = nic->tx.next;
			assert_true(++turns < 300);
		}
		assert_int_equal(nic->tx.next, 4095);
		/* All but a packet that has not ended are given back. */
		assert_in_range(4095 - reg(TDH), 0, E1000_DESCS);
		assert_true(guest_ram.pinned_pages <= E1000_PIECES);
		reg_set(CTRL, 0x04000000);
		assert_int_equal(guest_ram.pinned_pages, 0);
		destroy();
	}
}

/* The guest takes its ring away between room and frame. */
static u32 under_way; /* what is written meanwhile */
static void (*meanwhile)(void);

static unsigned hooked_room(struct net_port *p, u32 length, struct piece *pieces)
{
	unsigned nr = e1000_port_ops.room(p, length, pieces);

	if (meanwhile)
		meanwhile();
	return nr;
}

static void write_meanwhile(void)
{
	if (under_way == CTRL)
		reg_set(CTRL, 0x04000000);
	else if (under_way == RDLEN)
		reg_set(RDLEN, 128 * 2);
	else
		reg_set(under_way, 0);
}

static void reset_under_way(void **state)
{
	static const u32 registers[] = {CTRL, RDLEN, RDH, RDBAL, RCTL, RDT};
	struct net_port_ops ops;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
		create(0);
		ops = e1000_port_ops;
		ops.room = hooked_room;
		nic->port.ops = &ops;
		receiver(8, 256, 3 << 16);
		under_way = registers[i];
		meanwhile = write_meanwhile;
		memcpy(peer.sent, MAC PEER_MAC, 12);
		peer_send(1000);
		/* Of the ring that is no more nothing was written. */
		if (i < 4)
			assert_int_equal(rx_fields(0), 0);
		assert_int_equal(guest_ram.pinned_pages, 0);
		meanwhile = NULL;
		receiver(8, 2048, 0);
		assert_true(peer_send(1000));
		assert_true(rx_take() & RX_EOP);
		destroy();
	}
}

/* No page may be pinned any more, or no memory is left: frames are lost, no more. */
static void limits(void **state)
{
	(void)state;
	create(0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	transmitter(8);
	receiver(8, 2048, 0);
	guest_ram.pinned_limit = 0;
	u32 i = tx_put(TX_BUFFERS, 60 | SEND);
	tx_ring();
	assert_true(tx_done(i));
	assert_false(peer_send(60));
	guest_ram.pinned_limit = GMEM_PINNED_MAX;
	shim_fail_after = 0;
	i = tx_put(0x70000, 60 | SEND); /* never touched */
	tx_ring();
	shim_fail_after = -1;
	assert_true(tx_done(i));
	assert_true(peer_send(60));
	destroy();
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rings),      cmocka_unit_test(buffers),         cmocka_unit_test(indices),
	    cmocka_unit_test(long_rings), cmocka_unit_test(reset_under_way), cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
