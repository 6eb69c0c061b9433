/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual times go back before they end: shares and waits stay what they were. */
#include "sched_sim.h"

static const char *const names[] = {"bvt", "credit", "rr"};

/* Two spinners with one CPU, and then with the other as well, and one that sleeps, a second before the
 * virtual times' end. */
static void at_the_end(const char *name, unsigned cpus)
{
	sim_setup(name, cpus);
	sched_front = ~(u64)0 - SECOND * VT_PER_TICK;
	for (unsigned i = 0; i < 2 * cpus; i++)
		sim_vcpu(sim_vm(256), 0, 0);
	struct sim_task *sleeper = sim_vcpu(sim_vm(256), MS / 10, 50 * MS);
	sim_run(SECOND / 10);
	assert_true(sched_front > BIT(63));
	sim_on(0);
	rebase_now();
	assert_true(sched_front < BIT(63));
	sim_run(SECOND / 10);
	sim_mark();
	sleeper->longest = 0;
	sim_run(10 * SECOND);
	for (unsigned i = 0; i < 2 * cpus; i++)
		assert_in_range((u64)sim_got(&sim_group[i]), 4900 * MS, 5100 * MS);
	assert_true(sleeper->wakes > 100);
	assert_true(sleeper->longest < 50 * MS);
	sim_teardown();
}

static void virtual_time_has_no_end(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(names); p++) {
		at_the_end(names[p], 1);
		at_the_end(names[p], 2);
	}
}

static void nothing(void *opaque)
{
	(void)opaque;
}

/* One that goes by the scheduler's stack meanwhile is in no queue: it does not keep the old time. */
static void nobody_is_left_behind(void **state)
{
	struct timer due;
	(void)state;
	sim_setup("bvt", 1);
	sched_front = ~(u64)0 - SECOND * VT_PER_TICK;
	for (unsigned i = 0; i < 2; i++)
		sim_vcpu(sim_vm(256), 0, 0);
	sim_run(SECOND / 10);
	struct sim_task *t = sim_current(0);
	timer_init(&due, nothing, NULL, NULL);
	timer_set(&due, shim_tsc); /* so it does not go straight to the next */
	task_yield();
	assert_null(sim_current(0));
	assert_false(t->task.queued);
	rebase_now();
	task_left(self());
	assert_true(t->task.queued);
	assert_true(t->task.vt < BIT(63));
	timer_cancel(&due);
	sim_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(virtual_time_has_no_end),
	    cmocka_unit_test(nobody_is_left_behind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
