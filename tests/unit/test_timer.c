/* SPDX-License-Identifier: Apache-2.0 */
/* The deadline queue of a CPU: order, arming again, cancelling, handlers that do either. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"
#include "sched.h"

#define TIMERS 300
static struct sched_cpu sched;
static struct cpu cpu = {.sched = &sched};
static struct timer timers[TIMERS];
static unsigned order[2 * TIMERS], fired;
static void (*in_handler)(unsigned i);

static void fire(void *opaque)
{
	struct timer *t = opaque;
	assert_false(t->armed);
	assert_true(fired < ARRAY_SIZE(order));
	order[fired++] = (unsigned)(t - timers);
	if (in_handler)
		in_handler((unsigned)(t - timers));
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = &cpu;
	memset(&sched, 0, sizeof(sched));
	list_init(&sched.near);
	sched.far_from = ~(u64)0;
	sched.next_deadline = sched.first_deadline = sched.slice_end = ~(u64)0;
	for (unsigned i = 0; i < TIMERS; i++)
		timer_init(&timers[i], fire, &timers[i], NULL);
	fired = 0;
	in_handler = NULL;
	return 0;
}

static void fires_by_deadline(void **state)
{
	static const u64 deadlines[] = {50, 10, 30, 30, 20, ~(u64)0, 0};
	static const unsigned expected[] = {6, 1, 4, 2, 3, 0};
	(void)state;
	assert_true(timer_next() == ~(u64)0);
	for (unsigned i = 0; i < 7; i++)
		timer_set(&timers[i], deadlines[i]);
	assert_int_equal(timer_next(), 0);
	timer_run(50);
	assert_int_equal(fired, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(order[i], expected[i]); /* equal deadlines in the order of arming */
	assert_true(timers[5].armed);
	assert_true(timer_next() == ~(u64)0);
}

static void not_before_its_time(void **state)
{
	(void)state;
	timer_set(&timers[0], 100);
	timer_run(99);
	assert_int_equal(fired, 0);
	assert_int_equal(timer_next(), 100);
	timer_run(100);
	timer_run(101);
	assert_int_equal(fired, 1);
}

static void armed_again_moves(void **state)
{
	(void)state;
	timer_set(&timers[0], 10);
	timer_set(&timers[1], 20);
	timer_set(&timers[0], 30);
	assert_int_equal(timer_next(), 20);
	timer_set(&timers[1], 40);
	assert_int_equal(timer_next(), 30);
	timer_run(30);
	assert_int_equal(fired, 1);
	assert_int_equal(order[0], 0);
}

static void cancelled_does_not_fire(void **state)
{
	(void)state;
	timer_set(&timers[0], 10);
	timer_set(&timers[1], 20);
	timer_cancel(&timers[0]);
	timer_cancel(&timers[0]);
	timer_cancel(&timers[2]); /* never armed */
	assert_int_equal(timer_next(), 20);
	timer_run(100);
	assert_int_equal(fired, 1);
	assert_int_equal(order[0], 1);
	timer_cancel(&timers[1]); /* has fired */
	assert_true(timer_next() == ~(u64)0);
}

static void arm_now(unsigned i)
{
	timer_set(&timers[i], 0);
}

/* Due at once again and again: one round each, or a guest's timer could hold the CPU for ever. */
static void rearmed_in_its_handler(void **state)
{
	(void)state;
	in_handler = arm_now;
	timer_set(&timers[0], 10);
	timer_set(&timers[1], 10);
	timer_run(10);
	assert_int_equal(fired, 2);
	assert_true(timers[0].armed && timers[1].armed);
	assert_in_range(timer_next(), 0, 11);
	timer_run(11);
	assert_int_equal(fired, 4);
}

static void cancel_next(unsigned i)
{
	if (i == 0)
		timer_cancel(&timers[1]);
}

static void cancelled_by_another_handler(void **state)
{
	(void)state;
	in_handler = cancel_next;
	for (unsigned i = 0; i < 3; i++)
		timer_set(&timers[i], 10);
	timer_run(10);
	assert_int_equal(fired, 2);
	assert_int_equal(order[1], 2);
	assert_false(timers[1].armed);
}

static void move_next(unsigned i)
{
	if (i == 0)
		timer_set(&timers[1], 500);
}

static void moved_by_another_handler(void **state)
{
	(void)state;
	in_handler = move_next;
	timer_set(&timers[0], 10);
	timer_set(&timers[1], 10);
	timer_run(10);
	assert_int_equal(fired, 1);
	assert_int_equal(timer_next(), 500);
	timer_run(500);
	assert_int_equal(fired, 2);
}

/* The next few in the list, the others in the tree, none earlier there; against a plain array of deadlines.
 */
static void check_queue(void)
{
	u64 next = ~(u64)0;
	unsigned armed = 0, near = 0;
	for (unsigned k = 0; k < TIMERS; k++) {
		armed += timers[k].armed;
		if (timers[k].armed && timers[k].deadline < next)
			next = timers[k].deadline;
		if (timers[k].armed && timers[k].is_far)
			assert_true(timers[k].deadline >=
				    list_entry(sched.near.prev, struct timer, near)->deadline);
	}
	list_for_each(n, &sched.near) near++;
	assert_int_equal(near, sched.nr_near);
	assert_in_range(near, armed ? 1 : 0, 8);
	assert_true(timer_next() == next);
}

static void random_operations(unsigned count, u64 ahead)
{
	u64 now = 0;
	srand(1);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % count;
		fired = 0;
		if (rand() % 3)
			timer_set(&timers[i], now + (u64)rand() % ahead);
		else if (rand() % 2)
			timer_cancel(&timers[i]);
		else
			timer_run(now += (u64)rand() % 32);
		for (unsigned k = 1; k < fired; k++)
			assert_true(timers[order[k - 1]].deadline <= timers[order[k]].deadline);
		for (unsigned k = 0; k < fired; k++)
			assert_true(timers[order[k]].deadline <= now && !timers[order[k]].armed);
		check_queue();
	}
}

static void random_operations_few(void **state)
{
	(void)state;
	random_operations(6, 64);
}

static void random_operations_many(void **state)
{
	(void)state;
	random_operations(TIMERS, 1000);
}

/* Each is armed again in its handler, as a periodic timer of each of many guests: all have their turn. */
static void arm_later(unsigned i)
{
	timer_set(&timers[i], timers[i].deadline + 1000 + i);
}

static void many_periods(void **state)
{
	unsigned counts[TIMERS] = {0};
	(void)state;
	in_handler = arm_later;
	for (unsigned i = 0; i < TIMERS; i++)
		timer_set(&timers[i], 1000 + i);
	for (u64 now = 0; now < 200000; now += 100) {
		fired = 0;
		timer_run(now);
		for (unsigned k = 0; k < fired; k++)
			counts[order[k]]++;
		check_queue();
	}
	for (unsigned i = 0; i < TIMERS; i++)
		assert_in_range(counts[i], (200000 - 200) / (1000 + i) - 1, 200000 / (1000 + i));
}

/* ---- cancelled from another CPU while it fires, and then armed again by its own handler ---- */
static struct sched_cpu other_sched;
static struct cpu other_cpu = {.sched = &other_sched};
static pthread_t canceller;
static bool held, release;

static void *cancel_it(void *opaque)
{
	(void)timer_cancel(opaque);
	return NULL;
}

/* The canceller stands still in it: this_cpu() is one for all threads here. */
static void hold(int signal)
{
	(void)signal;
	__atomic_store_n(&held, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&release, __ATOMIC_SEQ_CST))
		cpu_relax();
}

static void be_cancelled_and_arm(unsigned i)
{
	fake_cpu = &other_cpu;
	assert_int_equal(pthread_create(&canceller, NULL, cancel_it, &timers[i]), 0);
	while (timer_is_known(&timers[i]))
		cpu_relax();
	assert_int_equal(pthread_kill(canceller, SIGUSR1), 0);
	while (!__atomic_load_n(&held, __ATOMIC_SEQ_CST))
		cpu_relax();
	fake_cpu = &cpu;
	timer_set(&timers[i], 200);
	fake_cpu = &other_cpu;
	__atomic_store_n(&release, true, __ATOMIC_SEQ_CST);
}

static void what_a_handler_arms_is_cancelled_as_well(void **state)
{
	(void)state;
	signal(SIGUSR1, hold);
	held = release = false;
	list_init(&other_sched.near);
	in_handler = be_cancelled_and_arm;
	timer_set(&timers[0], 100);
	timer_run(100);
	pthread_join(canceller, NULL);
	fake_cpu = &cpu;
	assert_false(timer_is_known(&timers[0]));
	assert_false(timers[0].armed);
	in_handler = NULL;
	timer_run(200);
	assert_int_equal(fired, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(fires_by_deadline, setup),
	    cmocka_unit_test_setup(not_before_its_time, setup),
	    cmocka_unit_test_setup(armed_again_moves, setup),
	    cmocka_unit_test_setup(cancelled_does_not_fire, setup),
	    cmocka_unit_test_setup(rearmed_in_its_handler, setup),
	    cmocka_unit_test_setup(cancelled_by_another_handler, setup),
	    cmocka_unit_test_setup(moved_by_another_handler, setup),
	    cmocka_unit_test_setup(random_operations_few, setup),
	    cmocka_unit_test_setup(random_operations_many, setup),
	    cmocka_unit_test_setup(many_periods, setup),
	    cmocka_unit_test_setup(what_a_handler_arms_is_cancelled_as_well, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
