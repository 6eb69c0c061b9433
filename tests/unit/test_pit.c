/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254, mode by mode of its data sheet (M66). */
#include "pit_board.h"

static void test_reset(void **state)
{
	(void)state;
	assert_false(irq0);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(in(0x43), 0xff);
	assert_int_equal(in(0x61) & 0x2f, 0);
	fake_run_until(shim_tsc + 10 * tsc_hz());
	assert_int_equal(edges, 0);
}

static void test_mode0(void **state)
{
	(void)state;
	load(0, 0x30, 4);
	assert_false(pin(0));
	assert_int_equal(status(0), 0x40 | 0x30); /* null count until the next clock */
	at(1);
	assert_int_equal(count(0), 4);
	assert_int_equal(status(0), 0x30);
	at(4);
	assert_int_equal(count(0), 1);
	assert_false(irq0);
	at(5); /* N + 1 clocks after the write */
	assert_true(pin(0));
	assert_true(irq0);
	assert_int_equal(count(0), 0);
	at(6);
	assert_int_equal(count(0), 0xffff); /* it counts on, */
	at(1000000);
	assert_true(irq0); /* OUT stays */
	assert_int_equal(edges, 1);
	/* A new count without a control word; its first byte stops and lowers OUT. */
	out(0x40, 2);
	assert_false(irq0);
	at(10);
	assert_false(irq0);
	out(0x40, 0);
	at(2);
	assert_false(irq0);
	at(3);
	assert_int_equal(edges, 2);
}

static void test_mode0_gate(void **state)
{
	(void)state;
	out(0x61, 1);
	load(2, 0x30, 100);
	at(21);
	assert_int_equal(count(2), 80);
	out(0x61, 0);
	at(500);
	assert_int_equal(count(2), 80);
	assert_false(in(0x61) & 0x20);
	out(0x61, 1);
	at(79);
	assert_int_equal(count(2), 1);
	assert_false(in(0x61) & 0x20);
	at(80);
	assert_true(in(0x61) & 0x20);
	/* Loaded with the gate low: waits for it. */
	out(0x61, 0);
	load(2, 0x30, 7);
	at(50);
	assert_int_equal(count(2), 7);
	out(0x61, 1);
	at(6);
	assert_false(pin(2));
	at(7);
	assert_true(pin(2));
}

static void test_mode1(void **state)
{
	(void)state;
	load(2, 0x32, 5);
	at(100);
	assert_true(pin(2)); /* no trigger yet */
	assert_true(status(2) & 0x40);
	out(0x61, 1);
	at(1);
	assert_false(pin(2));
	assert_int_equal(count(2), 5);
	out(0x61, 0); /* the gate's level does not matter */
	at(3);
	out(0x61, 1); /* retriggers: 5 clocks from here */
	at(5);
	assert_false(pin(2));
	at(6);
	assert_true(pin(2));
	/* A new count waits for the next trigger. */
	out(0x61, 0);
	out(0x61, 1);
	at(1);
	out(0x42, 3);
	out(0x42, 0);
	assert_int_equal(count(2), 5);
	assert_true(status(2) & 0x40);
	out(0x61, 0);
	out(0x61, 1);
	at(3);
	assert_false(pin(2));
	at(4);
	assert_true(pin(2));
}

static void test_mode2(void **state)
{
	static const u16 expected[] = {3, 2, 1, 3, 2, 1, 3};

	(void)state;
	out(0x61, 1);
	load(2, 0x34, 3);
	for (unsigned i = 0; i < 7; i++) {
		at(i + 1);
		assert_int_equal(count(2), expected[i]);
		assert_int_equal(pin(2), expected[i] != 1); /* low for the last clock */
	}
	/* A new count at the end of the period. */
	load(2, 0x34, 10);
	at(5);
	u64 begun = origin;
	out(0x42, 4);
	out(0x42, 0);
	assert_true(status(2) & 0x40);
	origin = begun;
	at(10);
	assert_int_equal(count(2), 1);
	at(11);
	assert_int_equal(count(2), 4);
	assert_false(status(2) & 0x40);
	at(14);
	assert_false(pin(2));
	/* Gate low forces OUT high and holds; its rise starts a period. */
	out(0x61, 0);
	assert_true(pin(2));
	at(50);
	assert_true(pin(2));
	out(0x61, 1);
	at(1);
	assert_int_equal(count(2), 4);
	at(4);
	assert_false(pin(2));
}

static void test_mode3(void **state)
{
	static const u16 even[] = {4, 2, 4, 2, 4}, odd[] = {4, 2, 0, 4, 2, 4};
	static const bool even_pin[] = {1, 1, 0, 0, 1}, odd_pin[] = {1, 1, 1, 0, 0, 1};

	(void)state;
	out(0x61, 1);
	load(2, 0x36, 4);
	for (unsigned i = 0; i < 5; i++) {
		at(i + 1);
		assert_int_equal(count(2), even[i]);
		assert_int_equal(pin(2), even_pin[i]);
	}
	load(2, 0x36, 5);
	for (unsigned i = 0; i < 6; i++) {
		at(i + 1);
		assert_int_equal(count(2), odd[i]);
		assert_int_equal(pin(2), odd_pin[i]);
	}
	/* A new count takes over after the half period: 10 high, then low for half of 6. */
	load(2, 0x36, 20);
	at(5);
	u64 begun = origin;
	out(0x42, 6);
	out(0x42, 0);
	origin = begun;
	at(10);
	assert_true(pin(2));
	at(11);
	assert_false(pin(2));
	at(13);
	assert_false(pin(2));
	at(14);
	assert_true(pin(2));
	at(17);
	assert_false(pin(2));
	/* Written in the low half: a whole new period after it. */
	load(2, 0x36, 20);
	at(15);
	begun = origin;
	out(0x42, 6);
	out(0x42, 0);
	origin = begun;
	at(20);
	assert_false(pin(2));
	at(21);
	assert_true(pin(2));
	at(24);
	assert_false(pin(2));
}

static void test_mode4(void **state)
{
	(void)state;
	load(0, 0x38, 3);
	edges = 0;
	assert_true(pin(0));
	at(3);
	assert_true(pin(0));
	assert_int_equal(edges, 0);
	at(4);
	assert_false(pin(0)); /* one clock */
	at(5);
	assert_true(pin(0));
	assert_int_equal(edges, 1);
	at(70000);
	assert_true(pin(0));
	assert_int_equal(edges, 1); /* once */
	out(0x40, 8);
	out(0x40, 0); /* Linux's one-shot clock: only the count again */
	at(10);
	assert_int_equal(edges, 2);
}

static void test_mode5(void **state)
{
	(void)state;
	load(2, 0x3a, 3);
	at(50);
	assert_true(pin(2));
	out(0x61, 1);
	at(3);
	assert_true(pin(2));
	at(4);
	assert_false(pin(2));
	at(5);
	assert_true(pin(2));
	/* Channel 0's gate is tied high: it never triggers. */
	load(0, 0x3a, 3);
	load(0, 0x32, 3);
	assert_int_equal(fake_timers_armed(), 0);
}

static void test_access_and_bcd(void **state)
{
	(void)state;
	out(0x61, 1);
	load(2, 0x10, 0x80); /* low byte only; the other one is 0 */
	at(1);
	assert_int_equal(in(0x42), 0x80);
	at(2);
	assert_int_equal(in(0x42), 0x7f);
	load(2, 0x20, 0x1200); /* high byte only */
	at(1);
	assert_int_equal(in(0x42), 0x12);
	at(2);
	assert_int_equal(in(0x42), 0x11);
	load(2, 0x31, 0x1000); /* BCD */
	at(2);
	assert_int_equal(count(2), 0x0999);
	load(2, 0x31, 0); /* 0 is the largest: 10000 */
	at(2);
	assert_int_equal(count(2), 0x9999);
	load(2, 0x30, 0);
	at(2);
	assert_int_equal(count(2), 0xffff);
	load(2, 0x3c, 9); /* modes 6 and 7 are 2 and 3; the status shows what was written */
	at(9);
	assert_int_equal(status(2), 0x3c);
	/* Live reads alternate. */
	load(2, 0x30, 0x1234);
	at(1);
	assert_int_equal(in(0x42), 0x34);
	assert_int_equal(in(0x42), 0x12);
	assert_int_equal(in(0x42), 0x34);
}

static void test_latch_and_read_back(void **state)
{
	(void)state;
	out(0x61, 1);
	load(2, 0x30, 1000);
	load(0, 0x34, 500);
	u64 begun = origin;
	at(101);
	out(0x43, 0x80); /* latch channel 2, */
	origin = begun;
	at(201);
	out(0x43, 0x80); /* which a second one does not change */
	assert_int_equal(word(0x42), 900);
	assert_int_equal(word(0x42), 800);
	out(0x43, 0xca); /* read-back: count and status of 0 and 2 */
	origin = begun;
	at(251);
	out(0x43, 0xca);
	assert_int_equal(in(0x40), 0x80 | 0x34); /* status first */
	assert_int_equal(word(0x40), 300);
	assert_int_equal(in(0x42), 0x30);
	assert_int_equal(word(0x42), 800);
	assert_int_equal(word(0x42), 750);
	out(0x43, 0xd8); /* only the count of 2 */
	assert_int_equal(word(0x42), 750);
	out(0x43, 0xc0); /* nobody */
	assert_int_equal(word(0x42), 750);
	/* A latched count survives a gate change, not a control word. */
	out(0x43, 0x80);
	load(2, 0x30, 77);
	at(1);
	assert_int_equal(word(0x42), 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mode0, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mode0_gate, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mode1, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mode2, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mode3, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mode4, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_mode5, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_access_and_bcd, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_latch_and_read_back, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 pit", tests, NULL, NULL);
}
