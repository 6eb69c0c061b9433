/* SPDX-License-Identifier: Apache-2.0 */
/* What CPUs do to each other's tasks, and what they leave alone (M34): step by step, where the simulation of
 * whole machines would go on without. */
#include "sched_sim.h"

static void begin(unsigned cpus)
{
	sim_setup("bvt", cpus);
	for (unsigned i = 0; i < cpus; i++)
		sim_kicked[i] = false;
}

static void run_on(unsigned cpu)
{
	sim_on(cpu);
	sim_dispatch(cpu);
	sim_on(0);
}

/* One that runs on CPU 0 and one that waits there. */
static struct sim_task *two_on_one(struct sim_task **waits)
{
	struct sim_task *runs = sim_vcpu(sim_vm(256), 0, 0);
	run_on(0);
	*waits = sim_vcpu(sim_vm(256), 0, 0);
	if ((*waits)->task.cpu != sim_cpu[0].sched) { /* it was offered to one that idles */
		queue_remove((*waits)->task.cpu, &(*waits)->task);
		(*waits)->task.cpu = sim_cpu[0].sched;
		queue_insert(sim_cpu[0].sched, &(*waits)->task, READY_MOVED, shim_tsc);
	}
	assert_ptr_equal(sim_current(0), runs);
	return runs;
}

static void an_idle_cpu_is_told_of_what_it_got(void **state)
{
	(void)state;
	begin(2);
	sim_vcpu(sim_vm(256), 0, 0);
	run_on(0);
	struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
	assert_ptr_equal(t->task.cpu, sim_cpu[1].sched);
	assert_true(sim_kicked[1]);
	sim_teardown();
}

static void an_idle_cpu_takes_what_waits(void **state)
{
	struct sim_task *waits;
	(void)state;
	begin(2);
	two_on_one(&waits);
	run_on(1);
	assert_ptr_equal(sim_current(1), waits);
	assert_ptr_equal(waits->task.cpu, sim_cpu[1].sched);
	assert_int_equal(sim_cpu[0].sched->nr_ready, 0);
	sim_teardown();
}

/* Its stack may be in use, its state in another processor's registers. */
static void nobody_takes_what_another_cpu_holds(void **state)
{
	struct sim_task *waits;
	(void)state;
	begin(2);
	two_on_one(&waits);
	waits->task.portable = false;
	run_on(1);
	assert_null(sim_current(1));
	assert_ptr_equal(waits->task.cpu, sim_cpu[0].sched);
	assert_true(waits->task.queued);
	sim_teardown();
}

static void no_place_is_given_to_what_another_cpu_holds(void **state)
{
	struct sim_task *waits;
	(void)state;
	begin(2);
	two_on_one(&waits);
	waits->task.portable = false;
	struct sim_task *spins = sim_vcpu(waits->task.group, 0, 0);
	assert_ptr_equal(spins->task.cpu, sim_cpu[1].sched);
	sim_on(1);
	sim_cpu[1].sched->resched = false;
	if (!sim_current(1))
		sim_dispatch(1);
	assert_ptr_equal(sim_current(1), spins);
	assert_false(task_give_place(&waits->task));
	assert_ptr_equal(waits->task.cpu, sim_cpu[0].sched);
	waits->task.portable = true;
	assert_true(task_give_place(&waits->task));
	assert_ptr_equal(waits->task.cpu, sim_cpu[1].sched);
	sim_teardown();
}

/* All are busy: it goes where it takes the least from others. */
static void who_wakes_goes_where_one_is_far_ahead(void **state)
{
	(void)state;
	begin(2);
	struct sim_task *sleeper = sim_vcpu(sim_vm(256), MS, 1000 * SECOND);
	run_on(0);
	struct sim_task *ahead = sim_vcpu(sim_vm(256), 0, 0);
	run_on(1);
	shim_tsc += MS;
	sim_on(0);
	sim_leave(0, sleeper, true);
	sim_vcpu(sim_vm(256), 0, 0);
	run_on(0);
	assert_non_null(sim_current(0));
	assert_ptr_equal(sim_current(1), ahead);
	sim_cpu[1].sched->current_key = sim_cpu[0].sched->current_key + sched_const.lead_vt + 1;
	task_wake(&sleeper->task);
	assert_ptr_equal(sleeper->task.cpu, sim_cpu[1].sched);
	sim_teardown();
}

/* The CPUs' times differ where one is contended and the other is not: nobody pays for that twice, nor waits
 * for others to make up for it. */
static void who_comes_is_near_those_who_are_there(void **state)
{
	struct sim_task *waits;
	(void)state;
	for (unsigned behind = 0; behind < 2; behind++) {
		begin(2);
		two_on_one(&waits);
		u64 svt = 1000 * SECOND * VT_PER_TICK, frame = sched_const.frame_vt + 4 * sched_const.lead_vt;
		sim_cpu[1].sched->svt = svt;
		sched_front = svt;
		waits->task.vt = behind ? 0 : 2 * svt;
		queue_remove(sim_cpu[0].sched, &waits->task);
		waits->task.cpu = sim_cpu[1].sched;
		queue_insert(sim_cpu[1].sched, &waits->task, READY_MOVED, shim_tsc);
		assert_in_range(waits->task.vt, svt - frame, svt + frame);
		sim_teardown();
	}
}

/* What the running one has used counts when another one comes: not only at the end of its turn. */
static void who_runs_is_charged_before_another_is_compared(void **state)
{
	(void)state;
	begin(1);
	struct sim_task *runs = sim_vcpu(sim_vm(256), 0, 0);
	run_on(0);
	shim_tsc += 20 * MS;
	struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
	assert_int_equal(runs->task.vt, 20 * MS * VT_PER_TICK);
	assert_int_equal(self()->svt, runs->task.vt); /* nobody else could have run */
	assert_int_equal(t->task.vt, self()->svt);
	sim_teardown();
}

/* A guest does not go on for a slice before it looks at what it was asked for; nor does it sleep over it. */
static void who_runs_elsewhere_is_told_of_a_wake(void **state)
{
	(void)state;
	begin(2);
	sim_vcpu(sim_vm(256), 0, 0);
	run_on(0);
	struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
	run_on(1);
	assert_ptr_equal(sim_current(1), t);
	sim_kicked[1] = false;
	task_wake(&t->task);
	assert_true(sim_kicked[1]);
	sim_on(1);
	task_block();
	assert_ptr_equal(sim_current(1), t);
	assert_int_equal(t->task.state, TASK_RUNNING);
	sim_teardown();
}

static unsigned works;

static void count(void *opaque)
{
	(void)opaque;
	works++;
}

static void work_for_another_cpu_does_not_wait_for_its_slice(void **state)
{
	struct work w;
	(void)state;
	begin(2);
	sim_vcpu(sim_vm(256), 0, 0);
	run_on(0);
	sim_vcpu(sim_vm(256), 0, 0);
	run_on(1);
	sim_kicked[1] = false;
	works = 0;
	work_init(&w, count, NULL);
	work_queue_on(1, &w);
	work_queue_on(1, &w); /* it waits already */
	assert_true(sim_kicked[1]);
	sim_on(1);
	assert_true(task_should_yield());
	sim_step(1);
	assert_int_equal(works, 1);
	assert_non_null(sim_current(1));
	sim_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_idle_cpu_is_told_of_what_it_got),
	    cmocka_unit_test(an_idle_cpu_takes_what_waits),
	    cmocka_unit_test(nobody_takes_what_another_cpu_holds),
	    cmocka_unit_test(no_place_is_given_to_what_another_cpu_holds),
	    cmocka_unit_test(who_wakes_goes_where_one_is_far_ahead),
	    cmocka_unit_test(who_comes_is_near_those_who_are_there),
	    cmocka_unit_test(who_runs_is_charged_before_another_is_compared),
	    cmocka_unit_test(who_runs_elsewhere_is_told_of_a_wake),
	    cmocka_unit_test(work_for_another_cpu_does_not_wait_for_its_slice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
