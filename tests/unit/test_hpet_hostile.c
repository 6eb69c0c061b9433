/* SPDX-License-Identifier: Apache-2.0 */
/* The HPET over time: no drift, no storm, nothing for those who do not look (M66), and what a hostile guest
 * may program (M67). */
#include "hpet_board.h"

static void every(unsigned n, unsigned pin, u64 period, u32 more)
{
	out(TN_CONF(n), INT | PERIODIC | VAL_SET | more | ROUTE(pin));
	out(TN_VALUE(n), in(COUNTER) + period);
	out(TN_VALUE(n), period);
}

/* The period is exact over a long time, although each deadline is rounded. */
static void no_drift(void **state)
{
	(void)state;
	every(0, 20, 12499, 0);
	start();
	fake_run_until(origin + 1000 * tsc_hz());
	assert_int_equal(edges[20], 1000ull * HPET_HZ / 12499);
}

/* A guest that did not run for a while gets one interrupt, then the old rhythm. */
static void missed_ticks_are_one(void **state)
{
	(void)state;
	every(0, 20, 12500, 0); /* 1 ms */
	every(1, 21, 12500, LEVEL);
	start();
	at(125000);
	assert_int_equal(edges[20], 10);
	fake_skip_to(origin + 5 * tsc_hz());
	assert_int_equal(edges[20], 11);
	assert_int_equal(wires, BIT(21));
	assert_int_equal(in(TN_VALUE(0)), 5 * (u64)HPET_HZ + 12500);
	assert_in_range(fake_timer_first()->deadline, origin + 5 * tsc_hz() + 1000000,
			origin + 5 * tsc_hz() + 1000001);
	at(5 * (u64)HPET_HZ + 12500);
	assert_int_equal(edges[20], 12);
}

/* M67: periods of one tick on all timers do not keep the hypervisor busy, however far behind it is. */
static void shortest_periods(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3; n++)
		every(n, 20 + n, 1, n == 1 ? MODE32 : 0);
	start();
	fake_fired = 0;
	at(1250000);
	assert_in_range(fake_fired, 4000, 5001);
	for (unsigned n = 0; n < 3; n++) {
		assert_in_range(edges[20 + n], 4000, 5001);
		assert_int_equal(in(TN_VALUE(n)), 1250001); /* the accumulators are right all the time */
	}
	fake_fired = 0;
	fake_skip_to(origin + 100000 * tsc_hz());
	assert_int_equal(fake_fired, 1);
	/* A period just above the floor is kept. */
	every(0, 20, HPET_MIN_TICKS, 0);
	every(1, 21, 0, 0);
	every(2, 22, 0, 0);
	edges[20] = 0;
	fake_run_until(shim_tsc + tsc_hz() / 10);
	assert_in_range(edges[20], 4999, 5000);
}

/* Reading and writing does not make more of them than are due. */
static void accesses_tick_in_time(void **state)
{
	(void)state;
	every(0, 20, 1000, 0);
	start();
	for (unsigned i = 0; i < 100000; i += 7) {
		shim_tsc = origin + i * TICK + TICK / 2;
		in(TN_VALUE(0));
		out32(STATUS, 0);
		in(STATUS);
		assert_int_equal(edges[20], i / 1000);
	}
}

/* Who has the last edge still before him gets the next in time for his taking it, and none costs anything. */
static void ticks_that_nobody_sees(void **state)
{
	(void)state;
	every(0, 20, 12500, 0);
	every(2, 22, 12500, 0);
	out(CONF, LEGACY);
	start();
	at(125000);
	assert_true(edges[0] == 10 && edges[22] == 10);
	tick_unseen = true;
	fake_fired = 0;
	at(1250000);
	assert_int_equal(fake_fired, 1);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(in(COUNTER), 1250000); /* it counts on */
	tick_unseen = false;
	at(1250001);
	tick_wanted(&hpet);
	tick_wanted(&hpet);
	assert_int_equal(edges[0], 10); /* not before its time */
	at(1262500);
	assert_true(edges[0] == 11 && edges[22] == 11);
	/* A write may send it elsewhere: it tries again. */
	tick_unseen = true;
	at(1300000);
	assert_int_equal(fake_timers_armed(), 0);
	tick_unseen = false;
	out(TN_CONF(1), 0);
	at(1312500);
	assert_int_equal(edges[0], 12);
	/* Stopped: nothing is wanted of it. */
	tick_unseen = true;
	at(1350000);
	out(CONF, 0);
	tick_wanted(&hpet);
	assert_int_equal(fake_timers_armed(), 0);
}

/* The farthest match is looked for again in time. */
static void far_matches(void **state)
{
	(void)state;
	u64 far = BIT(40) + 12345;
	out(TN_CONF(0), INT | ROUTE(20));
	out(TN_VALUE(0), far);
	start();
	at(far - 1);
	assert_int_equal(edges[20], 0);
	at(far);
	assert_int_equal(edges[20], 1);
	assert_true(fake_fired < 30);
}

/* M67: any access of any size anywhere, jumps of hours: one timer at most, few of its fires, and it works on.
 */
static void hostile(void **state)
{
	u64 seed = 7;
	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		unsigned r = (unsigned)(seed >> 33), size = 1u << (r & 3);
		u64 reg = r & 4 ? (r >> 3) % (HPET_LENGTH - 7) : (r >> 3) % 0x30 * 8 % 0x168;
		u64 value = seed >> (r >> 20 & 63);
		fake_fired = 0;
		if (r & 0x40000000)
			hpet_write(&hpet, reg, size, value);
		else if (size < 8)
			assert_true(hpet_read(&hpet, reg, size) >> (8 * size) == 0);
		else
			hpet_read(&hpet, reg, size);
		tick_unseen = (r >> 16 & 15) == 3;
		if (tick_unseen)
			tick_wanted(&hpet);
		if ((r >> 24 & 7) == 5)
			fake_skip_to(shim_tsc + (1ull << (r >> 18 & 63) >> 18));
		else
			fake_run_until(shim_tsc + (r >> 8 & 0xffff));
		assert_true(fake_timers_armed() <= 1);
		assert_true(fake_fired <= 3 * (0xffff / HPET_MIN_INTERVAL_NS + 2));
	}
	hpet_reset(&hpet);
	tick_unseen = false;
	edges[20] = 0;
	every(0, 20, 12500, 0);
	start();
	at(125000);
	assert_int_equal(edges[20], 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(no_drift, setup, teardown),
	    cmocka_unit_test_setup_teardown(missed_ticks_are_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(shortest_periods, setup, teardown),
	    cmocka_unit_test_setup_teardown(accesses_tick_in_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(ticks_that_nobody_sees, setup, teardown),
	    cmocka_unit_test_setup_teardown(far_matches, setup, teardown),
	    cmocka_unit_test_setup_teardown(hostile, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 M67 hpet over time", tests, NULL, NULL);
}
