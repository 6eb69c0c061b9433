/* SPDX-License-Identifier: Apache-2.0 */
/* The short ways of a CPU: from one task straight to the next (sched/handover.c), and no way at all for the
 * one that blocks while nothing else is there to do (sched/linger.c). */
#include "sched_sim.h"

static unsigned unloaded;

static void unload(struct task *t)
{
	(void)t;
	unloaded++;
}

static struct sim_task *task_new(void)
{
	struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
	t->task.leave = unload;
	return t;
}

static void begin_with(unsigned cpus, unsigned tasks)
{
	static struct task busy;
	sim_setup("bvt", cpus);
	for (unsigned i = 1; i < cpus; i++)
		sim_cpu[i].sched->current = &busy;
	for (unsigned i = 0; i < tasks; i++)
		task_new();
	while (!sim_current(0))
		sim_step(0);
	sim_switched = unloaded = 0;
}

static void test_yield_goes_straight_to_the_next(void **state)
{
	(void)state;
	begin_with(1, 2);
	struct sim_task *a = sim_current(0), *b = a == &sim_task[0] ? &sim_task[1] : &sim_task[0];
	shim_tsc += 10 * MS;
	task_yield();
	assert_ptr_equal(sim_current(0), b);
	assert_int_equal(sim_switched, 1);
	assert_ptr_equal(sim_left, &a->task);
	assert_true(sim_left_used); /* until the other has arrived */
	assert_null(self()->left);
	assert_false(task_on_cpu(&a->task));
	assert_false(a->task.portable); /* there is no other CPU: it stays loaded */
	assert_int_equal(unloaded, 0);
	sim_teardown();
}

static void test_what_left_may_be_taken_by_others_when_the_next_has_arrived(void **state)
{
	(void)state;
	begin_with(2, 2);
	struct sim_task *a = sim_current(0);
	shim_tsc += 10 * MS;
	task_yield();
	assert_ptr_not_equal(sim_current(0), a);
	assert_int_equal(unloaded, 1);
	assert_true(a->task.queued);
	assert_true(sim_left_used);
	assert_true(a->task.portable);
	sim_cpu[1].sched->current = NULL;
	sim_teardown();
}

static void test_who_yields_to_nobody_goes_on(void **state)
{
	(void)state;
	begin_with(1, 1);
	struct sim_task *a = sim_current(0);
	shim_tsc += MS;
	task_yield();
	assert_ptr_equal(sim_current(0), a);
	task_give_way();
	assert_ptr_equal(sim_current(0), a);
	assert_int_equal(sim_switched, 0);
	sim_teardown();
}

static void test_who_gives_way_goes_behind_the_next_once(void **state)
{
	(void)state;
	begin_with(1, 2);
	sim_run(SECOND / 10);
	struct sim_task *a = sim_current(0);
	a->task.vt = 0; /* far behind: a mere yield would change nothing */
	task_yield();
	assert_ptr_equal(sim_current(0), a);
	task_give_way();
	assert_ptr_not_equal(sim_current(0), a);
	assert_int_equal(a->task.vt < sim_current(0)->task.vt + MS, true);
	assert_false(a->task.gives_way);
	sim_teardown();
}

static void test_who_blocks_hands_the_cpu_on(void **state)
{
	(void)state;
	for (unsigned cpus = 1; cpus <= 2; cpus++) {
		begin_with(cpus, 2);
		struct sim_task *a = sim_current(0);
		struct task *b = queue_first(self());
		shim_tsc += MS;
		if (cpus == 1)
			task_block();
		else
			task_linger(); /* somebody waits: the same */
		assert_ptr_equal(self()->current, b);
		assert_int_equal(sim_switched, 1);
		assert_true(sim_left_used); /* until b has arrived */
		assert_int_equal(a->task.state, TASK_BLOCKED);
		assert_false(task_on_cpu(&a->task));
		assert_int_equal(unloaded, cpus - 1);
		assert_int_equal(a->task.portable, cpus == 2);
		assert_int_equal(task_times(&a->task).run, MS);
		assert_int_equal(a->task.group->runnable, 0);
		shim_tsc += MS;
		task_wake(&a->task);
		assert_true(a->task.queued);
		assert_int_equal(task_times(&a->task).blocked, MS);
		b->woken = true; /* it does not block then, and keeps the CPU */
		task_block();
		assert_ptr_equal(self()->current, b);
		assert_int_equal(sim_switched, 1);
		for (unsigned i = 1; i < cpus; i++)
			sim_cpu[i].sched->current = NULL;
		sim_teardown();
	}
}

static void test_each_pays_for_its_own_turn(void **state)
{
	(void)state;
	begin_with(1, 3);
	struct sched_cpu *cpu = self();
	struct sim_task *a = sim_current(0);
	u64 vt = a->task.vt, run = task_times(&a->task).run;
	struct task *second = queue_first(cpu);
	shim_tsc += 10 * MS;
	task_yield();
	assert_int_equal(a->task.vt - vt, 10 * MS * VT_PER_TICK);
	assert_int_equal(task_times(&a->task).run - run, 10 * MS);
	assert_ptr_equal(cpu->current, second);
	assert_int_equal(cpu->nr_ready, 2);
	assert_int_equal(cpu->first_key, queue_first(cpu)->node.key);
	assert_int_equal(cpu->slice_end - shim_tsc, policy->slice(second, queue_first(cpu), shim_tsc));
	assert_int_equal(cpu->next_deadline, cpu->slice_end);
	vt = second->vt, run = task_times(second).run;
	shim_tsc += 4 * MS;
	assert_int_equal(task_times(second).run - run, 4 * MS);
	assert_int_equal(task_times(&a->task).ready, 4 * MS);
	task_give_way();
	assert_int_equal(second->vt - vt, 4 * MS * VT_PER_TICK);
	assert_true(cpu->current != second && cpu->current != &a->task);
	assert_int_equal(cpu->svt, cpu->current->vt);
	sim_teardown();
}

/* The first of the queue has used up its cap: it is not given the CPU. */
static void test_who_may_not_run_is_passed_over(void **state)
{
	char why[80];
	(void)state;
	begin_with(1, 2);
	struct sim_task *a = sim_current(0);
	struct task *b = queue_first(self());
	assert_int_equal(sched_set(b->group, "cap", 10, why, sizeof(why)), 0);
	b->group->quota.budget = -(i64)(100 * 50 * MS);
	b->group->quota.since = shim_tsc;
	shim_tsc += 10 * MS;
	task_yield();
	assert_null(sim_current(0));
	task_left(self());
	sim_dispatch(0);
	assert_ptr_equal(sim_current(0), a);
	assert_true(b->parked && !b->queued);
	timer_cancel(&b->unpark);
	sim_teardown();
}

static void nothing(void *opaque)
{
	(void)opaque;
}

static void test_work_and_timers_go_by_the_scheduler(void **state)
{
	struct work work;
	struct timer timer;
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		begin_with(1, 2);
		struct sim_task *a = sim_current(0);
		work_init(&work, nothing, NULL);
		timer_init(&timer, nothing, NULL, NULL);
		if (i)
			work_queue(&work);
		else
			timer_set(&timer, shim_tsc);
		task_yield();
		assert_null(sim_current(0));
		assert_ptr_equal(self()->leaving, &a->task);
		task_left(self());
		sim_dispatch(0);
		assert_non_null(sim_current(0));
		sim_teardown();
	}
}

static void test_an_idle_cpu_is_offered_who_yields(void **state)
{
	(void)state;
	begin_with(2, 2);
	sim_cpu[1].sched->current = NULL;
	struct sim_task *a = sim_current(0);
	task_yield();
	assert_null(sim_current(0));
	task_left(self());
	assert_ptr_equal(a->task.cpu, sim_cpu[1].sched);
	sim_teardown();
}

static struct sim_task *pinned_too;

/* On the way out of this CPU, without its lock: the operator goes on with vcpu-pin. */
static void pin_the_next(struct task *t)
{
	(void)t;
	assert_int_equal(task_set_affinity(&pinned_too->task, BIT(1)), 0);
}

static void test_who_yields_is_not_given_away_on_his_stack(void **state)
{
	(void)state;
	sim_setup("bvt", 2);
	for (unsigned i = 0; i < 3; i++)
		(void)task_new();
	while (!sim_current(1))
		sim_step(1);
	while (!sim_current(0))
		sim_step(0);
	struct sim_task *a = pinned_too = sim_current(0), *b = &sim_task[0];
	while (b == a || b == sim_current(1))
		b++;
	assert_true(b->task.queued && b->task.cpu == sim_cpu[0].sched);
	shim_tsc += 6 * MS;
	sim_on(0);
	b->task.portable = false; /* its state is here */
	b->task.leave = pin_the_next;
	assert_int_equal(task_set_affinity(&b->task, BIT(1)), 0);
	assert_true(task_should_yield());
	task_yield();
	/* While others are looked at it waits in no queue, so nobody finds it there. */
	assert_null(sim_current(0));
	assert_ptr_equal(self()->leaving, &a->task);
	assert_false(a->task.queued || a->task.portable);
	assert_ptr_equal(b->task.cpu, sim_cpu[0].sched);
	task_left(self());
	sim_dispatch(0);
	assert_ptr_equal(b->task.cpu, sim_cpu[1].sched);
	assert_ptr_equal(a->task.cpu, sim_cpu[1].sched);
	assert_false(task_on_cpu(&a->task));
	sim_teardown();
}

/* ---- linger ---- */
static struct sim_task *sleeper;
static unsigned halts;

static void wake_in_the_third_halt(void)
{
	assert_ptr_equal(self()->resident, &sleeper->task);
	assert_null(self()->current);
	assert_int_equal(sleeper->task.state, TASK_BLOCKED);
	shim_tsc += MS;
	if (++halts == 3)
		task_wake(&sleeper->task);
}

static void test_who_lingers_comes_back_without_a_switch(void **state)
{
	(void)state;
	begin_with(2, 1);
	sleeper = sim_current(0);
	halts = 0;
	sim_idle = wake_in_the_third_halt;
	u64 before = task_times(&sleeper->task).blocked;
	task_linger();
	sim_idle = NULL;
	assert_ptr_equal(sim_current(0), sleeper);
	assert_int_equal(halts, 3);
	assert_int_equal(sim_switched + unloaded, 0);
	assert_int_equal(task_times(&sleeper->task).blocked - before, 3 * MS);
	assert_null(self()->resident);
	assert_int_equal(sleeper->task.group->runnable, 1);
	sim_cpu[1].sched->current = NULL;
	sim_teardown();
}

static void wake_once_and_count(void)
{
	shim_tsc += MS;
	if (!halts++)
		task_wake(&sleeper->task);
	sim_on(0);
}

/* One whose VM has used up its cap is woken, and the CPU halts until it may run. */
static void test_a_cap_does_not_keep_the_cpu_awake(void **state)
{
	char why[80];
	(void)state;
	begin_with(1, 1);
	sleeper = sim_current(0);
	assert_int_equal(sched_set(sleeper->task.group, "cap", 10, why, sizeof(why)), 0);
	shim_tsc += 100 * MS; /* it ran all the time */
	halts = 0;
	sim_idle = wake_once_and_count;
	task_linger();
	sim_idle = NULL;
	assert_ptr_equal(sim_current(0), sleeper);
	assert_true(halts > 10);
	assert_false(self()->roused);
	sim_teardown();
}

static struct sim_task *other;

static void wake_another(void)
{
	halts++;
	task_wake(&other->task);
}

static void test_who_lingers_makes_room_for_another(void **state)
{
	(void)state;
	begin_with(1, 1);
	sleeper = sim_current(0);
	other = &sim_task[sim_tasks++];
	memset(other, 0, sizeof(*other));
	task_init(&other->task, sim_vm(256), other->stack + sizeof(other->stack), nothing, NULL);
	halts = 0;
	sim_idle = wake_another;
	task_linger();
	sim_idle = NULL;
	assert_int_equal(halts, 1);
	assert_ptr_equal(sim_current(0), other);
	assert_ptr_equal(self()->leaving, &sleeper->task);
	assert_ptr_equal(self()->picked, &other->task);
	task_left(self());
	assert_int_equal(sleeper->task.state, TASK_BLOCKED);
	task_wake(&sleeper->task);
	assert_true(sleeper->task.queued);
	self()->picked = NULL;
	sim_teardown();
}

static struct work work_of_test;

static void queue_work(void)
{
	work_queue(&work_of_test);
	task_wake(&sleeper->task);
}

static void test_work_ends_lingering_and_no_wake_is_lost(void **state)
{
	(void)state;
	begin_with(1, 1);
	sleeper = sim_current(0);
	work_init(&work_of_test, nothing, NULL);
	sim_idle = queue_work;
	task_linger();
	sim_idle = NULL;
	assert_null(sim_current(0));
	task_left(self());
	assert_true(sleeper->task.queued);
	sim_dispatch(0);
	assert_ptr_equal(sim_current(0), sleeper);
	sim_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_yield_goes_straight_to_the_next),
	    cmocka_unit_test(test_what_left_may_be_taken_by_others_when_the_next_has_arrived),
	    cmocka_unit_test(test_who_yields_to_nobody_goes_on),
	    cmocka_unit_test(test_who_gives_way_goes_behind_the_next_once),
	    cmocka_unit_test(test_who_blocks_hands_the_cpu_on),
	    cmocka_unit_test(test_each_pays_for_its_own_turn),
	    cmocka_unit_test(test_who_may_not_run_is_passed_over),
	    cmocka_unit_test(test_work_and_timers_go_by_the_scheduler),
	    cmocka_unit_test(test_an_idle_cpu_is_offered_who_yields),
	    cmocka_unit_test(test_who_yields_is_not_given_away_on_his_stack),
	    cmocka_unit_test(test_who_lingers_comes_back_without_a_switch),
	    cmocka_unit_test(test_a_cap_does_not_keep_the_cpu_awake),
	    cmocka_unit_test(test_who_lingers_makes_room_for_another),
	    cmocka_unit_test(test_work_ends_lingering_and_no_wake_is_lost),
	};

	return cmocka_run_group_tests_name("handing over the CPU, and lingering (M29)", tests, NULL, NULL);
}
