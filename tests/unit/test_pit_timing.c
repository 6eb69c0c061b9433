/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254 over time: no drift, no storm (M66), and what a hostile guest may program (M67). */
#include "pit_board.h"

static void test_port61(void **state)
{
	(void)state;
	out(0x61, 0xfe);
	assert_int_equal(in(0x61) & 0x8f, 0x0e); /* bits 3:0 are writable, 7:6 read 0 */
	unsigned toggles = 0;
	u8 last = in(0x61) & 0x10;
	for (unsigned i = 1; i <= 1000; i++) {
		shim_tsc += 1000; /* 1 us */
		u8 bit = in(0x61) & 0x10;
		toggles += bit != last;
		last = bit;
	}
	assert_in_range(toggles, 65, 67); /* 1 ms / 15.085 us */
}

/* The period is exact over a long time, although each deadline is rounded. */
static void test_no_drift(void **state)
{
	(void)state;
	load(0, 0x34, 11932);
	u64 begun = shim_tsc;
	edges = 0;
	fake_run_until(begun + 1000 * tsc_hz());
	assert_in_range(edges, mul_div(1000, PIT_HZ, 11932) - 1, mul_div(1000, PIT_HZ, 11932));
	/* Mode 3 as a BIOS has it: 18.2 Hz. */
	load(0, 0x36, 0);
	edges = 0;
	fake_run_until(shim_tsc + 100 * tsc_hz());
	assert_in_range(edges, 1820, 1821);
}

/* A guest that did not run for a while gets one interrupt, then the old rhythm. */
static void test_coalesce(void **state)
{
	(void)state;
	load(0, 0x34, 1193);
	edges = 0;
	u64 begun = shim_tsc;
	fake_run_until(begun + tsc_hz() / 100);
	edges = 0;
	fake_skip_to(begun + 5 * tsc_hz());
	assert_int_equal(edges, 1);
	u64 period = mul_div(1193, tsc_hz(), PIT_HZ);
	struct timer *next = fake_timer_first();
	assert_in_range(next->deadline, shim_tsc + 1, shim_tsc + period + 1);
	/* Still on the grid of the first load. */
	u64 clocks = mul_div(next->deadline - begun, PIT_HZ, tsc_hz());
	assert_in_range(clocks % 1193, 0, 1);
}

/* M67: a period of one clock does not keep the hypervisor busy. */
static void test_minimum_interval(void **state)
{
	(void)state;
	for (u8 mode = 0x14; mode <= 0x16; mode += 2) {
		load(0, mode, 1);
		fake_fired = 0;
		fake_run_until(shim_tsc + tsc_hz() / 10);
		assert_in_range(fake_fired, 4000, 5000);
		assert_in_range(fake_timer_first()->deadline - shim_tsc, 0, PIT_MIN_INTERVAL_NS);
	}
}

/* M67: any order of any bytes at any time; BCD digits above 9; gates; jumps of hours. */
static void test_hostile(void **state)
{
	static const unsigned ports[] = {0x40, 0x41, 0x42, 0x43, 0x61};
	u32 seed = 7;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		unsigned port = ports[(seed >> 8) % 5];
		if (seed >> 31)
			out(port, (u8)(seed >> 16));
		else
			in(port);
		if (seed >> 28 == 5)
			fake_skip_to(shim_tsc + (1ULL << (seed >> 20 & 63) >> 20));
		assert_true(fake_timers_armed() <= 1);
		if (fake_timers_armed())
			assert_true(fake_timer_first()->deadline - shim_tsc < tsc_hz() / 10 ||
				    fake_timer_first()->deadline <= shim_tsc);
	}
	load(0, 0x34, 1000);
	edges = 0;
	fake_run_until(shim_tsc + tsc_hz());
	assert_in_range(edges, 1192, 1194);
}

/* Who has the last edge still before him gets the next in time for his taking it, and none costs anything. */
static void ticks_that_nobody_sees(void **state)
{
	u64 period = mul_div(65536, tsc_hz(), PIT_HZ);
	(void)state;
	load(0, 0x34, 0);
	edges = 0;
	fake_run_until(shim_tsc + 10 * period + period / 2);
	assert_int_equal(edges, 10);
	tick_unseen = true;
	fake_fired = 0;
	fake_run_until(shim_tsc + 100 * period);
	assert_int_equal(fake_fired, 1);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(edges, 10);
	u16 before = count(0);
	fake_run_until(shim_tsc + period / 4);
	assert_in_range((u16)(before - count(0)), 16300, 16500); /* it counts on */
	tick_unseen = false;
	tick_wanted(&pit);
	tick_wanted(&pit);
	assert_int_equal(edges, 10); /* not before its time */
	fake_run_until(shim_tsc + period / 2);
	assert_int_equal(edges, 11);
	fake_run_until(shim_tsc + 5 * period);
	assert_int_equal(edges, 16);
	/* Stopped: nothing is wanted of it. */
	load(0, 0x30, 0);
	tick_unseen = true;
	fake_run_until(shim_tsc + 5 * period);
	tick_wanted(&pit);
	assert_int_equal(fake_timers_armed(), 0);
}

/* It is programmed anew while nobody sees its ticks. */
static void programmed_while_unseen(void **state)
{
	u64 period = mul_div(65536, tsc_hz(), PIT_HZ);
	(void)state;
	load(0, 0x34, 0);
	tick_unseen = true;
	fake_run_until(shim_tsc + 5 * period);
	assert_int_equal(fake_timers_armed(), 0);
	tick_unseen = false;
	load(0, 0x34, 1193);
	edges = 0;
	fake_run_until(shim_tsc + tsc_hz() / 10);
	assert_in_range(edges, 99, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_port61, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_drift, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_coalesce, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_minimum_interval, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	    cmocka_unit_test_setup_teardown(ticks_that_nobody_sees, setup, teardown),
	    cmocka_unit_test_setup_teardown(programmed_while_unseen, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 M67 pit timing", tests, NULL, NULL);
}
