/* SPDX-License-Identifier: Apache-2.0 */
/* Those who spin give their place to others of their VM, and their VM gains nothing by it (M29, M35). */
#include "sched_sim.h"

#define SPIN_NS 80000 /* until the processor notices */

static const char *const names[] = {"bvt", "credit", "rr"};
static unsigned spins, given;
static struct sim_task *favoured;

static void give_to_the_favoured(struct sim_task *t)
{
	(void)t;
	spins++;
	given += task_give_place(&favoured->task);
}

static void give_nothing(struct sim_task *t)
{
	(void)t;
	spins++;
}

/* To the next of its own VM that takes it. */
static void give_round(struct sim_task *t)
{
	unsigned me = (unsigned)(t - sim_task);
	spins++;
	for (unsigned i = 1; i < sim_tasks; i++) {
		struct sim_task *other = &sim_task[(me + i) % sim_tasks];
		if (other->task.group == t->task.group && task_give_place(&other->task)) {
			given++;
			return;
		}
	}
}

static struct sim_task *spinner(struct sched_group *g, void (*spun)(struct sim_task *t))
{
	struct sim_task *t = sim_vcpu(g, SPIN_NS, 0);
	t->spun = spun;
	return t;
}

static void begin(const char *policy_name, unsigned cpus)
{
	sim_setup(policy_name, cpus);
	spins = given = 0;
}

static u64 ran(const struct sim_task *t)
{
	return task_times(&t->task).run;
}

/* A spinner, the one that it waits for and two that compute; how much of the CPU the spinner wastes. */
static u64 wasted(const char *policy_name, void (*spun)(struct sim_task *t))
{
	begin(policy_name, 1);
	struct sched_group *vm = sim_vm(256);
	struct sim_task *s = spinner(vm, spun);
	favoured = sim_vcpu(vm, 0, 0);
	sim_vcpu(vm, 0, 0);
	sim_vcpu(vm, 0, 0);
	sim_run(SECOND);
	u64 time = ran(s);
	sim_teardown();
	return time;
}

static void spinners_waste_less(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(names); p++) {
		u64 before = wasted(names[p], give_nothing), spins_before = spins;
		u64 after = wasted(names[p], give_to_the_favoured);
		assert_int_equal(given, spins);
		assert_true(after * 8 < before);
		assert_true(spins * 8 < spins_before);
	}
}

/* The one that gets the place is next, before those of other VMs and its own. */
static void place_is_taken_next(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(names); p++) {
		begin(names[p], 1);
		struct sched_group *vm = sim_vm(256), *other = sim_vm(256);
		for (unsigned i = 0; i < 4; i++)
			sim_vcpu(vm, 0, 0);
		sim_vcpu(other, 0, 0);
		sim_run(SECOND);
		while (sim_current(0)->task.group != vm)
			sim_run(MS);
		for (unsigned i = 0; i < 4; i++) {
			struct sim_task *me = sim_current(0), *to = &sim_task[i];
			if (me->task.group != vm || me == to) /* nobody gives to himself or to others */
				assert_false(task_give_place(&to->task));
			if (me->task.group != vm || me == to)
				continue;
			assert_true(task_give_place(&to->task));
			assert_ptr_equal(queue_first(self()), &to->task);
			sim_leave(0, me, false);
			if (!sim_current(0))
				sim_dispatch(0);
			assert_ptr_equal(sim_current(0), to);
			given++;
		}
		assert_true(given >= 3);
		sim_teardown();
	}
}

/* A VM whose vCPUs hand a place round without end stays within its share, and the other is not late. */
static void the_vm_pays(void **state)
{
	static void (*const how[])(struct sim_task *) = {give_to_the_favoured, give_round};
	(void)state;
	for (unsigned n = 0; n < ARRAY_SIZE(names) * ARRAY_SIZE(how); n++)
		for (unsigned spinners = 1; spinners <= 3; spinners++) {
			begin(names[n % ARRAY_SIZE(names)], 1);
			struct sched_group *vm = sim_vm(256), *victim = sim_vm(256);
			sim_vcpu(victim, 0, 0);
			favoured = sim_vcpu(vm, 0, 0);
			for (unsigned i = 0; i < spinners; i++)
				spinner(vm, how[n / ARRAY_SIZE(names)]);
			sim_run(SECOND);
			sim_mark();
			sim_run(10 * SECOND);
			assert_true(given > 100);
			if (share(victim) < 0.49 || share(victim) > 0.51)
				fail_msg("%s, %u spinners: %f", names[n % 3], spinners, share(victim));
			sim_teardown();
		}
}

static void the_vm_pays_on_many_cpus(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(names); p++) {
		begin(names[p], 4);
		struct sched_group *vm = sim_vm(256), *victim = sim_vm(256);
		for (unsigned i = 0; i < 4; i++)
			sim_vcpu(victim, 0, 0);
		for (unsigned i = 0; i < 4; i++)
			sim_vcpu(vm, 0, 0);
		for (unsigned i = 0; i < 4; i++)
			spinner(vm, give_round);
		sim_run(SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		assert_true(given > 100);
		if (share(victim) < 0.48)
			fail_msg("%s: %f", names[p], share(victim));
		sim_teardown();
	}
}

/* One that waits for another CPU comes over, if it may. */
static void place_on_another_cpu(void **state)
{
	(void)state;
	for (unsigned pinned = 0; pinned < 2; pinned++) {
		begin("bvt", 2);
		struct sched_group *vm = sim_vm(256);
		struct sim_task *here = sim_vcpu(vm, 0, 0), *there = sim_vcpu(vm, 0, 0);
		sim_run(MS);
		unsigned cpu =
		    sim_current(0) == here ? 0 : 1; /* where `here` runs; `there` runs on the other */
		struct sim_task *waits = sim_vcpu(vm, 0, 0);
		assert_ptr_equal(sim_current(!cpu), there);
		assert_true(waits->task.queued);
		if (waits->task.cpu == sim_cpu[cpu].sched) { /* it is to wait at the other */
			struct sched_cpu *s = waits->task.cpu;
			queue_remove(s, &waits->task);
			waits->task.cpu = sim_cpu[!cpu].sched;
			sim_on(!cpu);
			queue_insert(waits->task.cpu, &waits->task, READY_MOVED, tsc_now());
		}
		if (pinned)
			waits->task.affinity = BIT(!cpu);
		sim_on(cpu);
		assert_false(task_give_place(&there->task)); /* it runs */
		assert_int_equal(task_give_place(&waits->task), !pinned);
		assert_ptr_equal(waits->task.cpu, sim_cpu[pinned ? !cpu : cpu].sched);
		assert_true(waits->task.queued);
		waits->task.affinity = ~(u64)0;
		sim_run(MS);
		sim_teardown();
	}
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(spinners_waste_less),      T(place_is_taken_next),  T(the_vm_pays),
	    T(the_vm_pays_on_many_cpus), T(place_on_another_cpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
