/* SPDX-License-Identifier: Apache-2.0 */
/* The check of run queues, tasks, groups and timers: nothing is found while the scheduler works, under any
 * policy, and each thing that is broken on purpose is. */
#include <string.h>

#include "sched_sim.h"

static const char *const names[] = {"bvt", "credit", "rr"};
static char found[4096];

static void note(void *opaque, const char *what, u64 a, u64 b)
{
	(void)opaque, (void)a, (void)b;
	strncat(found, what, sizeof(found) - strlen(found) - 2);
	strcat(found, "\n");
}

static const char *look(void)
{
	const struct sched_finding f = {note, NULL};
	unsigned waiting = 0, queued = 0;
	found[0] = '\0';
	sim_on(0);
	sched_freeze();
	for (unsigned i = 0; i < sim_cpus; i++) {
		waiting += sched_check_cpu(i, shim_tsc, &f);
		sched_check_timers(i, shim_tsc, &f);
	}
	for (unsigned i = 0; i < sim_tasks; i++) {
		sched_check_task(&sim_task[i].task, shim_tsc, &f);
		queued += sim_task[i].task.queued;
	}
	for (unsigned g = 0; g < sim_groups; g++) {
		unsigned counted = 0;
		for (unsigned i = 0; i < sim_tasks; i++)
			counted += sim_task[i].task.group == &sim_group[g] && sim_task[i].task.counted;
		sched_check_group(&sim_group[g], counted, &f);
	}
	sched_thaw();
	if (waiting != queued)
		note(NULL, "queued", waiting, queued);
	return found;
}

/* Spinners, sleepers, one with a cap, on two CPUs. */
static void scene(const char *policy_name, unsigned cpus)
{
	char why[80];
	sim_setup(policy_name, cpus);
	for (unsigned i = 0; i < 8; i++)
		sim_vcpu(sim_vm(100 * (i + 1)), i < 5 ? 0 : MS, 4 * MS);
	assert_int_equal(sched_set(&sim_group[0], "cap", 2, why, sizeof(why)), 0);
	sim_run(500 * MS);
}

static void all_is_well(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(names); p++)
		for (unsigned cpus = 1; cpus <= 4; cpus++) {
			bool parked = false, blocked = false;
			scene(names[p], cpus);
			for (unsigned i = 0; i < 2000; i++) {
				sim_run(777777);
				assert_string_equal(look(), "");
				parked |= sim_task[0].task.parked;
				blocked |= sim_task[7].task.state == TASK_BLOCKED;
			}
			assert_true(parked && blocked);
			sim_teardown();
		}
}

/* ---- what may be broken ---- */
static struct sched_cpu *s0, *s1;

static struct task *with_state(enum task_state state, bool parked)
{
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0; i < sim_tasks; i++)
			if (sim_task[i].task.state == state && sim_task[i].task.parked == parked)
				return &sim_task[i].task;
		sim_run(MS / 3);
	}
	fail_msg("no task in state %d", state);
	return NULL;
}

/* A CPU whose queue has at least two in it. */
static struct sched_cpu *full(void)
{
	for (unsigned round = 0; round < 2000; round++) {
		if (s0->nr_ready >= 2 && s0->current)
			return s0;
		sim_run(MS / 3);
	}
	fail_msg("no CPU has two waiting");
	return NULL;
}

static void key_order(void)
{
	full()->ready.first->key += SECOND * VT_PER_TICK;
}
static void first_of_tree(void)
{
	struct sched_cpu *s = full();
	s->ready.first = vtree_next(s->ready.first);
}
static void parent_link(void)
{
	struct vnode *root = full()->ready.root;
	(root->left ? root->left : root->right)->parent = NULL;
}
static void rank(void)
{
	full()->ready.root->rank = 0;
}
static void not_queued(void)
{
	queue_first(full())->queued = false;
}
static void wrong_cpu(void)
{
	queue_first(full())->cpu = s1;
}
static void parked_in_queue(void)
{
	queue_first(full())->parked = true;
}
static void count_ready(void)
{
	full()->nr_ready++;
}
static void first_key(void)
{
	full()->first_key++;
}
static void current_state(void)
{
	full()->current->on_cpu = false;
}
static void current_missing(void)
{
	full()->current = NULL;
}
static void no_end_of_turn(void)
{
	full()->slice_end = NEVER;
}
static void own_time(void)
{
	s0->times.idle += SECOND;
}
static void in_no_queue(void)
{
	struct sched_cpu *s = full();
	queue_remove(s, queue_first(s));
}
static void parked_for_ever(void)
{
	timer_cancel(&with_state(TASK_READY, true)->unpark);
}
static void two_current(void)
{
	struct task *t = queue_first(full());
	queue_remove(t->cpu, t);
	t->state = TASK_RUNNING;
}
static void blocked_in_queue(void)
{
	queue_first(full())->state = TASK_BLOCKED;
}
static void blocked_on_cpu(void)
{
	with_state(TASK_BLOCKED, false)->on_cpu = true;
}
static void nobody_rests(void)
{
	s0->rests = true;
}
static void ready_rests(void)
{
	struct sched_cpu *s = full();
	s->resident = queue_first(s);
	s->rests = true;
}
static void counted(void)
{
	with_state(TASK_BLOCKED, false)->counted = true;
}
static void future(void)
{
	full()->current->since += 5 * SECOND;
}
static void group_runnable(void)
{
	sim_group[3].runnable++;
}
static void group_weight(void)
{
	sim_group[3].weight = 0;
}
static void group_budget_grown(void)
{
	sim_group[0].quota.budget = 100000 * (i64)SECOND;
}
static void timer_order(void)
{
	static struct timer a, b;
	sim_on(0);
	timer_init(&a, NULL, NULL, NULL);
	timer_init(&b, NULL, NULL, NULL);
	timer_set(&a, shim_tsc + SECOND);
	timer_set(&b, shim_tsc + 2 * SECOND);
	a.deadline += 5 * SECOND;
}
static void timer_disowned(void)
{
	static struct timer a;
	sim_on(0);
	timer_init(&a, NULL, NULL, NULL);
	timer_set(&a, shim_tsc + SECOND);
	a.cpu = s1;
}
static void timer_forgotten(void)
{
	shim_tsc += 5 * SECOND;
}
static struct timer many[20];
static void later_timers(void)
{
	sim_on(0);
	for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
		timer_init(&many[i], NULL, NULL, NULL);
		timer_set(&many[i], shim_tsc + SECOND + i * MS);
	}
	assert_string_equal(look(), "");
	assert_true(s0->far.first && many[19].is_far && timer_is_waiting(&many[19]));
}
static void far_order(void)
{
	later_timers();
	many[19].deadline += SECOND;
}
static void far_first(void)
{
	later_timers();
	s0->far_from++;
}
static void near_count(void)
{
	s0->nr_near++;
}
static void near_broken(void)
{
	struct list *n = s0->near.next;
	n->next->prev = &s0->near;
}
static void far_lost(void)
{
	later_timers();
	s0->far.root = NULL;
	assert_false(timer_is_waiting(&many[19]));
	s0->far.first = NULL;
}
static void first_timer(void)
{
	s0->first_deadline--;
}
static void slice_missed(void)
{
	full()->slice_end = 1;
}
static void deadline_missed(void)
{
	full()->next_deadline = ~(u64)0;
}
/* Waits for a CPU that is busy; the other one has nothing to do, and was never told. */
static void left_alone(void)
{
	sim_teardown();
	sim_setup("bvt", 3);
	s0 = sim_cpu[0].sched, s1 = sim_cpu[1].sched;
	for (unsigned i = 0; i < 2; i++) {
		struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
		assert_int_equal(task_set_affinity(&t->task, BIT(1)), 0);
	}
	sim_run(6 * SECOND);
	assert_string_equal(look(), "");
	struct task *t = queue_first(s1);
	assert_non_null(t);
	t->affinity = BIT(1) | BIT(2);
	t->portable = true;
	t->since -= 5 * SECOND;
}

static const struct {
	void (*damage)(void);
	const char *found;
} damages[] = {
    {key_order, "a run queue is out of order"},
    {first_of_tree, "a run queue's first task is not the first of its tree"},
    {parent_link, "a task or a timer hangs below another one"},
    {rank, "a tree of tasks or timers is out of balance"},
    {not_queued, "a task waits in a run queue and is not ready"},
    {wrong_cpu, "a task waits in the run queue of a CPU that is not its own"},
    {parked_in_queue, "a task waits in a run queue that its group's cap keeps out"},
    {parked_in_queue, "a parked task waits in a run queue"},
    {count_ready, "ready tasks of a CPU, counted and noted"},
    {first_key, "first key of a run queue, in the tree and noted"},
    {current_state, "a CPU's task does not run there"},
    {current_missing, "a CPU without a task has a key of one"},
    {current_missing, "a task runs, and its CPU knows of another one"},
    {no_end_of_turn, "tasks wait and nothing ends the turn of the one that runs"},
    {own_time, "a CPU has had more time of its own than there was"},
    {in_no_queue, "a ready task is in no run queue"},
    {parked_for_ever, "a parked task has no timer"},
    {two_current, "a task runs, and its CPU knows of another one"},
    {blocked_in_queue, "a task that does not want to run is on a CPU or waits for one"},
    {blocked_on_cpu, "a task that does not want to run is on a CPU or waits for one"},
    {nobody_rests, "a CPU idles on the stack of a task that does not sleep there"},
    {ready_rests, "a CPU idles on the stack of a task that does not sleep there"},
    {counted, "a task counts for its group, or not, against its state"},
    {future, "a task's state began in the future"},
    {group_runnable, "runnable tasks of a group, counted and noted"},
    {group_weight, "a group's weight"},
    {group_budget_grown, "a cap has left a group more than it can"},
    {timer_order, "timers are out of order"},
    {timer_disowned, "a timer waits on a CPU and does not know it"},
    {timer_forgotten, "a timer was forgotten"},
    {far_order, "a later timer does not know where it is"},
    {far_first, "first of a CPU's later timers, in the tree and noted"},
    {near_count, "next timers of a CPU, counted and noted"},
    {near_broken, "a CPU's list of timers is broken"},
    {far_lost, "first of a CPU's later timers, in the tree and noted"},
    {first_timer, "first timer of a CPU, in the list and noted"},
    {slice_missed, "a CPU's next deadline is later than its first timer, or than its slice"},
    {deadline_missed, "a CPU's next deadline is later than its first timer, or than its slice"},
    {left_alone, "a ready task waits while a CPU that may run it is idle"},
};

static void damage_is_found(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(damages); i++) {
		scene("bvt", 2);
		s0 = sim_cpu[0].sched, s1 = sim_cpu[1].sched;
		assert_string_equal(look(), "");
		damages[i].damage();
		if (!strstr(look(), damages[i].found))
			fail_msg("%u: \"%s\" was not found, but: %s", i, damages[i].found, found);
		sim_teardown();
	}
}

/* A CPU that has nothing to do stays on the stack of the task that blocked last. */
static void a_resident_sleeps(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
	sim_run(MS);
	assert_true(turn_block(sim_cpu[0].sched, &t->task));
	assert_true(sim_cpu[0].sched->resident == &t->task && t->task.on_cpu);
	assert_string_equal(look(), "");
	sim_cpu[0].sched->resident = NULL;
	assert_non_null(strstr(look(), "a task that does not want to run is on a CPU or waits for one"));
	sim_teardown();
}

/* Taken out of the list, on its way to be fired: it is not lost. */
static unsigned waiting_while_fired;
static struct timer one, two;
static void fires(void *opaque)
{
	(void)opaque;
	waiting_while_fired += timer_is_waiting(&one) + timer_is_waiting(&two);
}

static void a_timer_being_fired_waits(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	timer_init(&one, fires, NULL, NULL);
	timer_init(&two, fires, NULL, NULL);
	assert_false(timer_is_waiting(&one));
	timer_set(&one, shim_tsc);
	timer_set(&two, shim_tsc);
	assert_true(timer_is_waiting(&one) && timer_is_waiting(&two));
	waiting_while_fired = 0;
	timer_run(shim_tsc);
	assert_int_equal(waiting_while_fired, 2 + 1);
	assert_false(timer_is_waiting(&one) || timer_is_waiting(&two));
	sim_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_is_well),
	    cmocka_unit_test(damage_is_found),
	    cmocka_unit_test(a_resident_sleeps),
	    cmocka_unit_test(a_timer_being_fired_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
