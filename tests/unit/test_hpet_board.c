/* SPDX-License-Identifier: Apache-2.0 */
/* The HPET on the board (M66): there where it is asked for; its wires beside PCI's, and in the places of the
 * 8254's and the clock's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_board.h"

#define HPET PC_HPET_BASE
#define CONF (HPET + 0x10)
#define STATUS (HPET + 0x20)
#define COUNTER (HPET + 0xf0)
#define TN_CONF(n) (HPET + 0x100 + 0x20 * (n))
#define TN_VALUE(n) (HPET + 0x108 + 0x20 * (n))
#define MS 1000000ull
#define MS_TICKS 12500
#define ENABLE 1
#define LEGACY 2
#define LEVEL 2
#define INT 4
#define PERIODIC 8
#define VAL_SET 0x40

static struct pc *pc;

static void outb(u64 port, u8 v)
{
	board_write(false, port, 1, v);
}

static u64 in(u64 address)
{
	return board_read(true, address, 8);
}

static void out(u64 address, u64 value)
{
	board_write(true, address, 8, value);
}

static void ioapic_entry(unsigned pin, u32 low)
{
	board_write(true, 0xfec00000, 4, 0x10 + 2 * pin);
	board_write(true, 0xfec00010, 4, low);
}

static u32 ioapic_low(unsigned pin)
{
	board_write(true, 0xfec00000, 4, 0x10 + 2 * pin);
	return (u32)board_read(true, 0xfec00010, 4);
}

static void eoi(u8 vector)
{
	board.sinks.eoi(board.sinks.eoi_opaque, vector);
}

static unsigned messages_until(u64 tsc)
{
	unsigned before = board.messages;
	fake_run_until(tsc);
	return board.messages - before;
}

static int setup(void **state)
{
	(void)state;
	shim_tsc = 1000000;
	board_init();
	board.hpet = true;
	pc = board_create(true);
	assert_non_null(pc);
	pc_bios_state(pc);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pc_destroy(pc);
	assert_int_equal(board.heap_blocks, 0);
	assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
	assert_int_equal(fake_timers_armed(), 0);
	return 0;
}

static void every_ms(unsigned n, u32 more)
{
	out(TN_CONF(n), INT | PERIODIC | VAL_SET | more);
	out(TN_VALUE(n), in(COUNTER) + MS_TICKS);
	out(TN_VALUE(n), MS_TICKS);
}

static void there_where_it_is_asked_for(void **state)
{
	(void)state;
	board_is_documented();
	assert_non_null(board_find(true, 0xfed00000));
	assert_non_null(board_find(true, 0xfed003ff));
	assert_null(board_find(true, 0xfed00400));
	assert_int_equal(in(HPET)&0xffffffff, 0x8086a201);
	u64 usage = pc_usage(pc);
	pc_destroy(pc);
	board.hpet = board.extint = false;
	pc = board_create(true);
	assert_null(board_find(true, 0xfed00000));
	assert_int_equal(in(HPET), ~0ull);
	assert_int_equal(pc_usage(pc), usage); /* it is a part of the board */
	pc_bios_state(pc);
	pc_reset(pc);
}

static void create_fails_clean(void **state)
{
	unsigned regions = board_io.nr_ports + board_io.nr_mems;
	pc_destroy(pc);
	for (unsigned i = 0; i < regions; i++) {
		board_init();
		board_io.fail = (int)i;
		board.hpet = true;
		assert_null(board_create(true));
		assert_int_equal(board.heap_blocks, 0);
		assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
		assert_int_equal(fake_timers_armed(), 0);
	}
	setup(state);
}

/* Edges at a pin of its own; the 8259 pair knows nothing of it. */
static void edges_at_the_ioapic(void **state)
{
	(void)state;
	outb(0x21, 0xff);
	outb(0xa1, 0);
	ioapic_entry(22, 0x55);
	every_ms(1, 22 << 9);
	out(CONF, ENABLE);
	assert_int_equal(messages_until(shim_tsc + 10 * MS + 1000), 10);
	assert_int_equal(board.msg.vector, 0x55);
	assert_false(board.extint);
	/* Masked it rests, unmasked it goes on. */
	ioapic_entry(22, 0x10055);
	fake_fired = 0;
	assert_int_equal(messages_until(shim_tsc + 40 * MS), 0);
	assert_int_equal(fake_fired, 1);
	ioapic_entry(22, 0x55);
	assert_int_equal(messages_until(shim_tsc + 10 * MS), 10);
	/* The wire has fallen each time: there is no level. */
	out(CONF, 0);
	unsigned before = board.messages;
	ioapic_entry(22, 0x8055);
	assert_int_equal(board.messages, before);
}

/* A level on the wire that a PCI device has, too. */
static void shares_the_wire(void **state)
{
	(void)state;
	ioapic_entry(20, 0x8066);
	out(TN_CONF(0), INT | LEVEL | 20 << 9);
	out(TN_VALUE(0), MS_TICKS);
	out(CONF, ENABLE);
	assert_int_equal(messages_until(shim_tsc + 2 * MS), 1);
	outb(0x2014, 1); /* the test device's line 20 */
	out(STATUS, 1);
	unsigned before = board.messages;
	eoi(0x66);
	assert_int_equal(board.messages, before + 1); /* the other one still asks */
	outb(0x2014, 0);
	eoi(0x66);
	assert_int_equal(board.messages, before + 1);
	out(TN_VALUE(0), in(COUNTER) + MS_TICKS);
	outb(0x2014, 1);
	outb(0x2014, 0);
	assert_int_equal(board.messages, before + 2);
	assert_int_equal(messages_until(shim_tsc + 2 * MS), 0); /* it waits for the EOI */
	outb(0x2014, 1);
	outb(0x2014, 0);
	eoi(0x66);
	assert_int_equal(board.messages, before + 3); /* the HPET's level is there still */
	out(STATUS, 1);
	eoi(0x66);
	assert_int_equal(board.messages, before + 3);
	/* An edge on a wire that is held: one message, and no level is left. */
	outb(0x2014, 1);
	ioapic_entry(20, 0x66);
	out(TN_CONF(0), INT | 20 << 9);
	out(TN_VALUE(0), in(COUNTER) + MS_TICKS);
	assert_int_equal(messages_until(shim_tsc + 2 * MS), 1);
	outb(0x2014, 0);
	ioapic_entry(20, 0x8066);
	assert_int_equal(ioapic_low(20) & 0x4000, 0);
}

/* What the 8254 and the clock do is not heard while timers 0 and 1 have their wires. */
static void takes_the_wires(void **state)
{
	(void)state;
	board.sinks.extint_ack(board.sinks.extint_opaque);
	outb(0x20, 0x20);
	ioapic_entry(2, 0x31);
	ioapic_entry(8, 0x38);
	outb(0x43, 0x34); /* the 8254: 1 kHz */
	outb(0x40, 0xa9);
	outb(0x40, 0x04);
	outb(0x70, 0x0b); /* the clock: 1024 Hz */
	outb(0x71, 0x42);
	assert_in_range(messages_until(shim_tsc + 20 * MS), 20, 23);
	out(CONF, LEGACY);
	messages_until(shim_tsc + 5 * MS);
	fake_fired = 0;
	assert_int_equal(messages_until(shim_tsc + 50 * MS), 0);
	assert_true(fake_fired <= 1); /* nor do they cost anything */
	outb(0x70, 0x0c);
	board_read(false, 0x71, 1); /* what the clock has to say is still to be read */
	every_ms(0, 0);
	out(CONF, LEGACY | ENABLE);
	assert_int_equal(messages_until(shim_tsc + 10 * MS + 1000), 10);
	assert_int_equal(board.msg.vector, 0x31);
	out(TN_CONF(0), 0);
	every_ms(1, 0);
	assert_int_equal(messages_until(shim_tsc + 10 * MS), 10);
	assert_int_equal(board.msg.vector, 0x38);
	out(TN_CONF(1), 0);
	assert_int_equal(messages_until(shim_tsc + 10 * MS), 0);
	out(CONF, 0); /* they are back */
	outb(0x70, 0x0c);
	board_read(false, 0x71, 1);
	assert_in_range(messages_until(shim_tsc + 20 * MS), 20, 23);
}

/* The same by the 8259 pair: one edge waits, and the next come when that was taken. */
static void ticks_at_the_8259(void **state)
{
	(void)state;
	board.sinks.extint_ack(board.sinks.extint_opaque);
	outb(0x20, 0x20);
	every_ms(0, 0);
	out(CONF, LEGACY | ENABLE);
	for (unsigned i = 0; i < 10; i++) {
		assert_false(board.extint);
		fake_run_until(shim_tsc + MS + 1000);
		assert_true(board.extint);
		assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque), 0x08);
		outb(0x20, 0x20);
	}
	fake_fired = 0;
	fake_run_until(shim_tsc + 1000 * MS);
	assert_true(fake_fired <= 3);
	assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque), 0x08);
	outb(0x20, 0x20);
	assert_false(board.extint);
	fake_run_until(shim_tsc + MS);
	assert_true(board.extint);
}

/* One tick of each waits for the guest, and the next come in time after its pause; the 8254's likewise. */
static void a_paused_guest_costs_nothing(void **state)
{
	(void)state;
	ioapic_entry(2, 0x31);
	ioapic_entry(22, 0x55);
	outb(0x43, 0x34);
	outb(0x40, 0xa9);
	outb(0x40, 0x04);
	every_ms(2, 22 << 9);
	out(CONF, ENABLE);
	assert_in_range(messages_until(shim_tsc + 10 * MS), 18, 21);
	pc_set_paused(pc, true);
	fake_fired = 0;
	assert_int_equal(messages_until(shim_tsc + 1000 * MS), 2);
	assert_int_equal(fake_fired, 2);
	pc_set_paused(pc, false);
	assert_int_equal(messages_until(shim_tsc), 0);
	assert_in_range(messages_until(shim_tsc + 10 * MS), 19, 21);
	/* In the 8254's place. */
	pc_set_paused(pc, true);
	out(CONF, ENABLE | LEGACY);
	every_ms(0, 0);
	out(TN_CONF(2), 0);
	fake_fired = 0;
	assert_int_equal(messages_until(shim_tsc + 1000 * MS), 1);
	assert_true(fake_fired <= 2);
	pc_set_paused(pc, false);
	assert_in_range(messages_until(shim_tsc + 10 * MS), 9, 10);
}

/* Everything is as after power-on, and the 8254 ticks for itself. */
static void reset_gives_them_back(void **state)
{
	(void)state;
	every_ms(0, 0);
	out(TN_CONF(2), INT | LEVEL | 23 << 9);
	out(TN_VALUE(2), 1);
	out(CONF, LEGACY | ENABLE);
	fake_run_until(shim_tsc + 5 * MS);
	pc_reset(pc);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(in(CONF) | in(COUNTER) | in(STATUS), 0);
	pc_bios_state(pc);
	board.sinks.extint_ack(board.sinks.extint_opaque);
	outb(0x20, 0x20);
	ioapic_entry(2, 0x31);
	ioapic_entry(23, 0x8077);
	assert_int_equal(messages_until(shim_tsc + 60 * MS), 1);
	assert_int_equal(board.msg.vector, 0x31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(there_where_it_is_asked_for, setup, teardown),
	    cmocka_unit_test_setup_teardown(create_fails_clean, setup, teardown),
	    cmocka_unit_test_setup_teardown(edges_at_the_ioapic, setup, teardown),
	    cmocka_unit_test_setup_teardown(shares_the_wire, setup, teardown),
	    cmocka_unit_test_setup_teardown(takes_the_wires, setup, teardown),
	    cmocka_unit_test_setup_teardown(ticks_at_the_8259, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_paused_guest_costs_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(reset_gives_them_back, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 hpet on the board", tests, NULL, NULL);
}
