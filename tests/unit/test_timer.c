/* SPDX-License-Identifier: Apache-2.0 */
/* The deadline queue of a CPU: order, arming again, cancelling, handlers that do either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"
#include "sched.h"

#define TIMERS 16
static struct sched_cpu sched;
static struct cpu cpu = {.sched = &sched};
static struct timer timers[TIMERS];
static unsigned order[64], fired;
static void (*in_handler)(unsigned i);

static void fire(void *opaque)
{
	struct timer *t = opaque;
	assert_false(t->armed);
	assert_true(fired < 64);
	order[fired++] = (unsigned)(t - timers);
	if (in_handler)
		in_handler((unsigned)(t - timers));
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = &cpu;
	list_init(&sched.timers);
	sched.next_deadline = ~(u64)0;
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
	assert_int_equal(timer_next(), 0);
	timer_run(10);
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
	assert_true(list_empty(&timers[1].node));
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

/* Against a plain list of deadlines. */
static void random_operations(void **state)
{
	u64 now = 0;
	(void)state;
	srand(1);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % TIMERS;
		u64 next = ~(u64)0;
		fired = 0;
		if (rand() % 3)
			timer_set(&timers[i], now + (u64)rand() % 64);
		else if (rand() % 2)
			timer_cancel(&timers[i]);
		else
			timer_run(now += (u64)rand() % 32);
		for (unsigned k = 1; k < fired; k++)
			assert_true(timers[order[k - 1]].deadline <= timers[order[k]].deadline);
		for (unsigned k = 0; k < TIMERS; k++) {
			if (timers[k].armed && timers[k].deadline < next)
				next = timers[k].deadline;
			assert_int_equal(timers[k].armed, !list_empty(&timers[k].node));
		}
		assert_true(timer_next() == next);
	}
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
	    cmocka_unit_test_setup(random_operations, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
