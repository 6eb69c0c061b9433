/* SPDX-License-Identifier: Apache-2.0 */
/* The timer of the local APIC: SDM volume 3, 11.5.4 (M17, M25), and guests that want it to fire without
 * end (M67). One TSC tick is one nanosecond here. */
#include "lapic_board.h"

#define ONE_SHOT 0u
#define PERIODIC (1u << 17)
#define DEADLINE (2u << 17)
#define DIVIDE_BY_1 0xb
#define VECTOR 0xee

static u64 deadline(void)
{
	return msr_read(0, MSR_TSC_DEADLINE);
}

static void timer_setup(u32 mode, u32 divide)
{
	lapic_write(apic(0), LAPIC_LVT_TIMER, mode | VECTOR);
	lapic_write(apic(0), LAPIC_TIMER_DIVIDE, divide);
}

static u32 current(void)
{
	return lapic_read(apic(0), LAPIC_TIMER_CURRENT);
}

static void one_shot_fires_once(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 1000);
	assert_int_equal(current(), 1000);
	fake_run_until(shim_tsc + 999);
	assert_int_equal(current(), 1);
	assert_int_equal(posted(0), -1);
	fake_run_until(shim_tsc + 1);
	assert_int_equal(current(), 0);
	assert_int_equal(posted(0), VECTOR);
	assert_int_equal(lapic_read(apic(0), LAPIC_TIMER_INITIAL), 1000);
	fake_run_until(shim_tsc + 100000);
	assert_int_equal(fake_fired, 1);
}

/* Figure 11-10. */
static void divide_configurations(void **state)
{
	static const u8 rows[][2] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		timer_setup(ONE_SHOT, rows[i][0]);
		lapic_write(apic(0), LAPIC_TIMER_INITIAL, 100);
		fake_run_until(shim_tsc + 100 * rows[i][1] - 1);
		assert_int_equal(posted(0), -1);
		assert_int_equal(current(), 1);
		fake_run_until(shim_tsc + 1);
		assert_int_equal(posted(0), VECTOR);
	}
}

static void the_largest_count_does_not_overflow(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT, 10);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 0xffffffff);
	assert_int_equal(current(), 0xffffffff);
	fake_run_until(shim_tsc + (u64)0xffffffff * 128 - 1);
	assert_int_equal(posted(0), -1);
	fake_run_until(shim_tsc + 1);
	assert_int_equal(posted(0), VECTOR);
}

static void changing_the_divider_keeps_the_count(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 1000);
	fake_run_until(shim_tsc + 400);
	lapic_write(apic(0), LAPIC_TIMER_DIVIDE, 3); /* 16 */
	assert_int_equal(current(), 600);
	fake_run_until(shim_tsc + 600 * 16 - 1);
	assert_int_equal(posted(0), -1);
	fake_run_until(shim_tsc + 1);
	assert_int_equal(posted(0), VECTOR);
}

static void a_zero_count_stops(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 1000);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 0);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(current(), 0);
}

static void periodic_reloads(void **state)
{
	(void)state;
	timer_setup(PERIODIC, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 300000);
	for (int i = 0; i < 4; i++) {
		fake_run_until(shim_tsc + 299999);
		assert_int_equal(current(), 1);
		assert_int_equal(posted(0), -1);
		fake_run_until(shim_tsc + 1);
		assert_int_equal(current(), 300000);
		assert_int_equal(posted(0), VECTOR);
	}
	assert_int_equal(fake_timers_armed(), 1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 0);
}

static void missed_periods_do_not_pile_up(void **state)
{
	(void)state;
	u64 start = shim_tsc;
	timer_setup(PERIODIC, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 200000);
	shim_tsc = start + 10 * 200000 + 50000; /* over, its handler has not run */
	assert_int_equal(current(), 150000);
	fake_skip_to(shim_tsc);
	assert_int_equal(fake_fired, 1);
	assert_int_equal(posted(0), VECTOR);
	assert_int_equal(current(), 150000); /* still in phase */
	assert_int_equal(fake_timer_first()->deadline, start + 11 * 200000);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 0);
}

static void a_hostile_period_is_stretched(void **state)
{
	(void)state;
	timer_setup(PERIODIC, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 1);
	assert_int_equal(current(), 1);
	fake_run_until(shim_tsc + 10 * LAPIC_TIMER_MIN_PERIOD_NS);
	assert_int_equal(fake_fired, 10);
	lapic_write(apic(0), LAPIC_LVT_TIMER, ONE_SHOT | VECTOR);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 1);
	lapic_write(apic(0), LAPIC_LVT_TIMER, PERIODIC | VECTOR); /* the way round */
	fake_fired = 0;
	fake_run_until(shim_tsc + 10 * LAPIC_TIMER_MIN_PERIOD_NS);
	assert_in_range(fake_fired, 1, 11);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 0);
}

/* One-shot and periodic: the count goes on, and an expired one stays at zero. */
static void count_survives_between_one_shot_and_periodic(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 400000);
	fake_run_until(shim_tsc + 250000);
	lapic_write(apic(0), LAPIC_LVT_TIMER, PERIODIC | VECTOR);
	assert_int_equal(current(), 150000);
	fake_run_until(shim_tsc + 150000);
	assert_int_equal(current(), 400000);
	fake_run_until(shim_tsc + 300000);
	lapic_write(apic(0), LAPIC_LVT_TIMER, ONE_SHOT | VECTOR);
	assert_int_equal(current(), 100000);
	fake_run_until(shim_tsc + 100000);
	assert_int_equal(fake_fired, 2);
	lapic_write(apic(0), LAPIC_LVT_TIMER, PERIODIC | VECTOR);
	assert_int_equal(current(), 0);
	assert_int_equal(fake_timers_armed(), 0);
	posted(0);
}

static void a_masked_timer_counts_silently(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT | LVT_MASKED, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 500);
	fake_run_until(shim_tsc + 500);
	assert_int_equal(fake_fired, 1);
	assert_int_equal(posted(0), -1);
}

static void an_illegal_timer_vector_is_an_error(void **state)
{
	(void)state;
	lapic_write(apic(0), LAPIC_LVT_TIMER, 7);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 10);
	fake_run_until(shim_tsc + 1000);
	assert_int_equal(posted(0), -1);
	lapic_write(apic(0), LAPIC_ESR, 0);
	assert_int_equal(lapic_read(apic(0), LAPIC_ESR), ESR_RECEIVE_ILLEGAL_VECTOR);
}

/* ---- TSC deadline: 11.5.4.1 ---- */
static void deadline_needs_its_mode(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT, DIVIDE_BY_1);
	lapic_deadline_write(apic(0), shim_tsc + 100);
	assert_int_equal(deadline(), 0);
	assert_int_equal(fake_timers_armed(), 0);
	timer_setup(DEADLINE, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 100);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(lapic_read(apic(0), LAPIC_TIMER_INITIAL), 0);
	timer_setup(3u << 17, DIVIDE_BY_1); /* reserved: nothing runs */
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 100);
	lapic_deadline_write(apic(0), shim_tsc + 100);
	assert_int_equal(fake_timers_armed(), 0);
}

static void deadline_fires_and_disarms(void **state)
{
	(void)state;
	timer_setup(DEADLINE, DIVIDE_BY_1);
	apic(0)->tsc_offset = -(u64)900000; /* guest's TSC: 100000 */
	assert_false(msr_faults(0, MSR_TSC_DEADLINE, 100500));
	assert_int_equal(deadline(), 100500);
	assert_int_equal(current(), 0);
	fake_run_until(1000499);
	assert_int_equal(posted(0), -1);
	fake_run_until(1000500);
	assert_int_equal(posted(0), VECTOR);
	assert_int_equal(deadline(), 0);
	lapic_deadline_write(apic(0), 200000);
	lapic_deadline_write(apic(0), 300000); /* re-arms */
	assert_int_equal(fake_timers_armed(), 1);
	assert_int_equal(fake_timer_first()->deadline, 1200000);
	lapic_deadline_write(apic(0), 0);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(deadline(), 0);
}

static void a_passed_deadline_fires_before_the_next_instruction(void **state)
{
	(void)state;
	timer_setup(DEADLINE, DIVIDE_BY_1);
	lapic_deadline_write(apic(0), shim_tsc + 5000);
	lapic_deadline_write(apic(0), shim_tsc);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	assert_int_equal(posted(0), VECTOR);
	assert_int_equal(deadline(), 0);
	assert_int_equal(fake_timers_armed(), 0);
	lapic_deadline_write(apic(0), 1);
	assert_int_equal(posted(0), VECTOR);
}

static void deadlines_beyond_time_never_fire(void **state)
{
	static const u64 offsets[] = {0, 5, -(u64)900000, (u64)1 << 63};
	(void)state;
	timer_setup(DEADLINE, DIVIDE_BY_1);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		apic(0)->tsc_offset = offsets[i];
		lapic_deadline_write(apic(0), ~(u64)0);
		assert_int_equal(posted(0), -1);
		assert_int_equal(deadline(), ~(u64)0);
		u64 host = fake_timer_first()->deadline;
		/* Never before the guest's TSC is there; "never at all" where the host's ends first. */
		assert_true(host == ~(u64)0 || host + offsets[i] == ~(u64)0);
		assert_true(host > shim_tsc);
	}
	lapic_deadline_write(apic(0), 0);
}

static void a_new_offset_moves_the_deadline(void **state)
{
	(void)state;
	timer_setup(DEADLINE, DIVIDE_BY_1);
	lapic_deadline_write(apic(0), 1500000);
	apic(0)->tsc_offset = 100000;
	lapic_tsc_changed(apic(0));
	assert_int_equal(fake_timer_first()->deadline, 1400000);
	apic(0)->tsc_offset = 600000;
	lapic_tsc_changed(apic(0));
	assert_int_equal(posted(0), VECTOR);
	timer_setup(ONE_SHOT, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 100);
	lapic_tsc_changed(apic(0)); /* a countdown is an interval: it stays */
	assert_int_equal(fake_timer_first()->deadline, 1000100);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 0);
}

static void changing_to_and_from_deadline_mode_disarms(void **state)
{
	(void)state;
	timer_setup(ONE_SHOT, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 5000);
	timer_setup(DEADLINE, DIVIDE_BY_1);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(lapic_read(apic(0), LAPIC_TIMER_INITIAL), 0);
	lapic_deadline_write(apic(0), shim_tsc + 5000);
	lapic_write(apic(0), LAPIC_LVT_TIMER, DEADLINE | 0x40); /* same mode: stays armed */
	assert_int_equal(fake_timers_armed(), 1);
	timer_setup(PERIODIC, DIVIDE_BY_1);
	assert_int_equal(fake_timers_armed(), 0);
	timer_setup(DEADLINE, DIVIDE_BY_1);
	assert_int_equal(deadline(), 0);
}

/* ---- while the vCPU does not block ---- */
static void a_watched_countdown_needs_no_timer(void **state)
{
	(void)state;
	timer_setup(DEADLINE, DIVIDE_BY_1);
	lapic_deadline_write(apic(0), shim_tsc + 5000);
	lapic_timer_watch(apic(0));
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(apic(0)->timer_due, shim_tsc + 5000);
	lapic_deadline_write(apic(0), shim_tsc + 7000);
	assert_int_equal(fake_timers_armed(), 0);
	lapic_timer_poll(apic(0), shim_tsc + 6999);
	assert_int_equal(posted(0), -1);
	lapic_timer_unwatch(apic(0)); /* it halts */
	assert_int_equal(apic(0)->timer_due, LAPIC_TIMER_NEVER);
	assert_int_equal(fake_timer_first()->deadline, shim_tsc + 7000);
	lapic_timer_watch(apic(0)); /* and was woken by something else */
	assert_int_equal(fake_timers_armed(), 0);
	lapic_timer_poll(apic(0), shim_tsc + 7000);
	assert_int_equal(posted(0), VECTOR);
	assert_int_equal(deadline(), 0);
	assert_int_equal(apic(0)->timer_due, LAPIC_TIMER_NEVER);
	lapic_timer_unwatch(apic(0));
	assert_int_equal(fake_timers_armed(), 0);
}

static void a_watched_period_goes_on(void **state)
{
	u64 start = shim_tsc;

	(void)state;
	timer_setup(PERIODIC, DIVIDE_BY_1);
	lapic_timer_watch(apic(0));
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 200000);
	assert_int_equal(apic(0)->timer_due, start + 200000);
	shim_tsc = start + 200000;
	lapic_timer_poll(apic(0), shim_tsc);
	assert_int_equal(posted(0), VECTOR);
	assert_int_equal(apic(0)->timer_due, start + 400000);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 0);
	assert_int_equal(apic(0)->timer_due, LAPIC_TIMER_NEVER);
	lapic_timer_unwatch(apic(0));
	assert_int_equal(fake_timers_armed(), 0);
}

static void disabling_and_init_stop_it(void **state)
{
	(void)state;
	timer_setup(PERIODIC, DIVIDE_BY_1);
	lapic_write(apic(0), LAPIC_TIMER_INITIAL, 1000);
	assert_false(msr_faults(0, MSR_APIC_BASE, LAPIC_BASE_DEFAULT));
	assert_int_equal(fake_timers_armed(), 0);
	assert_false(msr_faults(0, MSR_APIC_BASE, LAPIC_BASE_DEFAULT | LAPIC_BASE_ENABLE));
	lapic_write(apic(0), LAPIC_SVR, 0x1ff);
	timer_setup(DEADLINE, DIVIDE_BY_1);
	lapic_deadline_write(apic(0), shim_tsc + 5000);
	lapic_init_signal(apic(0));
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(deadline(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOARD_TEST(one_shot_fires_once),
	    BOARD_TEST(divide_configurations),
	    BOARD_TEST(the_largest_count_does_not_overflow),
	    BOARD_TEST(changing_the_divider_keeps_the_count),
	    BOARD_TEST(a_zero_count_stops),
	    BOARD_TEST(periodic_reloads),
	    BOARD_TEST(missed_periods_do_not_pile_up),
	    BOARD_TEST(a_hostile_period_is_stretched),
	    BOARD_TEST(count_survives_between_one_shot_and_periodic),
	    BOARD_TEST(a_masked_timer_counts_silently),
	    BOARD_TEST(an_illegal_timer_vector_is_an_error),
	    BOARD_TEST(deadline_needs_its_mode),
	    BOARD_TEST(deadline_fires_and_disarms),
	    BOARD_TEST(a_passed_deadline_fires_before_the_next_instruction),
	    BOARD_TEST(deadlines_beyond_time_never_fire),
	    BOARD_TEST(a_new_offset_moves_the_deadline),
	    BOARD_TEST(changing_to_and_from_deadline_mode_disarms),
	    BOARD_TEST(a_watched_countdown_needs_no_timer),
	    BOARD_TEST(a_watched_period_goes_on),
	    BOARD_TEST(disabling_and_init_stop_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
