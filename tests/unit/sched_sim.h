/* SPDX-License-Identifier: Apache-2.0 */
/* A machine of simulated CPUs over sched/ as it is: tasks compute and sleep in simulated time, one tick is a
 * nanosecond. Only the stack switch and the interrupts are missing. For unit tests; one file includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "sched/internal.h"
#include "shim.h"

#define SIM_CPUS 64
#define SIM_TASKS 64
#define MS ((u64)1000000)
#define SECOND (1000 * MS)

struct sim_task {
	struct task task;
	u64 burst, sleep;                 /* burst 0: it never sleeps */
	void (*spun)(struct sim_task *t); /* instead of a sleep, and it yields: it may give its place */
	u64 left, ends;                   /* of this burst; when it would end, while it runs */
	u64 woken_at;
	struct timer alarm;
	unsigned wakes, late, switches; /* late: it ran more than a millisecond after its wake */
	u64 longest;
	u64 ran_on; /* CPUs it was seen on */
	u8 stack[256] __attribute__((aligned(16)));
};

static unsigned sim_cpus;
static struct cpu sim_cpu[SIM_CPUS];
static bool sim_kicked[SIM_CPUS];
static struct sched_group sim_group[SIM_TASKS];
static struct sim_task sim_task[SIM_TASKS];
static unsigned sim_groups, sim_tasks;
static u64 sim_started;
static u64 sim_cost; /* of the way from one task to another */

unsigned cpu_count(void)
{
	return sim_cpus;
}

struct cpu *cpu_get(unsigned index)
{
	return &sim_cpu[index];
}

void cpu_kick(unsigned index)
{
	sim_kicked[index] = true;
}

static unsigned sim_switched;
static struct task *sim_left; /* as the last switch found it */
static bool sim_left_used;    /* its stack */

void task_switch(u64 **save, u64 *load)
{
	(void)save, (void)load;
	sim_switched++;
	sim_left = self()->left;
	sim_left_used = sim_left && task_on_cpu(sim_left) && !sim_left->portable;
}

void apic_timer_arm(u64 deadline)
{
	(void)deadline;
}

static void (*sim_idle)(void); /* what happens while a CPU halts */

void cpu_idle_wait(void)
{
	if (sim_idle)
		sim_idle();
}

static inline void sim_on(unsigned cpu)
{
	fake_cpu = &sim_cpu[cpu];
}

static inline void sim_setup(const char *policy_name, unsigned cpus)
{
	assert_int_equal(sched_select(policy_name), 0);
	sim_cpus = cpus;
	sim_groups = sim_tasks = 0;
	sim_cost = 0;
	sched_online = cpus < 64 ? BIT(cpus) - 1 : ~(u64)0;
	sched_front = 0;
	sim_started = shim_tsc = SECOND;
	for (unsigned i = 0; i < cpus; i++) {
		sim_cpu[i].index = i;
		sim_on(i);
		assert_int_equal(sched_init(NULL), 0);
		sim_kicked[i] = true;
	}
	sim_on(0);
}

static inline void sim_teardown(void)
{
	for (unsigned i = 0; i < sim_cpus; i++) {
		heap_free(sim_cpu[i].sched);
		sim_cpu[i].sched = NULL;
	}
}

static inline struct sched_group *sim_vm(u64 weight)
{
	struct sched_group *g = &sim_group[sim_groups++];
	char why[80];
	sched_group_init(g);
	assert_int_equal(sched_set(g, "weight", weight, why, sizeof(why)), 0);
	return g;
}

static void sim_alarm(void *opaque)
{
	struct sim_task *t = opaque;
	t->left = t->burst;
	t->woken_at = shim_tsc;
	task_wake(&t->task);
}

static inline struct sim_task *sim_vcpu(struct sched_group *g, u64 burst, u64 sleep)
{
	struct sim_task *t = &sim_task[sim_tasks++];
	memset(t, 0, sizeof(*t));
	task_init(&t->task, g, t->stack + sizeof(t->stack), NULL, NULL);
	timer_init(&t->alarm, sim_alarm, t, NULL);
	t->burst = t->left = burst;
	t->sleep = sleep;
	t->woken_at = shim_tsc;
	task_detach(&t->task);
	task_wake(&t->task);
	return t;
}

static inline struct sim_task *sim_current(unsigned cpu)
{
	struct task *t = sim_cpu[cpu].sched->current;
	return t ? container_of(t, struct sim_task, task) : NULL;
}

/* The current task's turn has begun. */
static void sim_began(unsigned cpu)
{
	struct sim_task *t = sim_current(cpu);
	assert_true(t->task.affinity >> cpu & 1);
	for (unsigned i = 0; i < sim_cpus; i++)
		assert_true(i == cpu || sim_current(i) != t);
	t->ran_on |= BIT(cpu);
	t->switches++;
	t->ends = t->burst ? shim_tsc + t->left : ~(u64)0;
	if (t->woken_at) {
		u64 delay = shim_tsc - t->woken_at;
		t->wakes++;
		t->late += delay > MS;
		t->longest = MAX(t->longest, delay);
		t->woken_at = 0;
	}
}

static void sim_dispatch(unsigned cpu)
{
	if (sched_next(sim_cpu[cpu].sched))
		sim_began(cpu);
	else
		times_cpu(sim_cpu[cpu].sched, shim_tsc, false); /* it halts; see sim_wait() */
}

static void sim_leave(unsigned cpu, struct sim_task *t, bool blocks)
{
	t->left = t->ends - shim_tsc;
	if (blocks && t->spun) {
		t->left = t->burst;
		t->spun(t);
		task_yield();
	} else if (blocks) {
		timer_set(&t->alarm, shim_tsc + t->sleep);
		task_block();
	} else {
		task_yield();
	}
	if (!sim_cpu[cpu].sched->current)
		task_left(sim_cpu[cpu].sched);
	else if (task_arrived(),
		 !blocks || t->spun || sim_current(cpu) != t) /* else it was woken meanwhile */
		sim_began(cpu);
	shim_tsc += sim_cost;
}

/* What this CPU does at this moment. */
static void sim_step(unsigned cpu)
{
	struct sched_cpu *s = sim_cpu[cpu].sched;
	struct sim_task *t = sim_current(cpu);
	sim_on(cpu);
	if (sim_kicked[cpu]) {
		sim_kicked[cpu] = false;
		sched_interrupted();
	}
	if (!t)
		times_cpu(s, shim_tsc, true);
	if (t && t->ends <= shim_tsc)
		sim_leave(cpu, t, true);
	else if (t && s->next_deadline <= shim_tsc && !task_should_yield())
		timer_run(shim_tsc);
	t = sim_current(cpu);
	if (t && task_should_yield())
		sim_leave(cpu, t, false);
	if (!sim_current(cpu))
		sim_dispatch(cpu);
}

static u64 sim_event(unsigned cpu)
{
	const struct sched_cpu *s = sim_cpu[cpu].sched;
	struct sim_task *t = sim_current(cpu);
	if (sim_kicked[cpu])
		return shim_tsc;
	return MAX(shim_tsc, t ? MIN(s->next_deadline, t->ends) : s->next_deadline);
}

static inline void sim_run(u64 ns)
{
	u64 end = shim_tsc + ns, same = 0;
	for (;;) {
		u64 at = end;
		unsigned cpu = SIM_CPUS;
		for (unsigned i = 0; i < sim_cpus; i++)
			if (sim_event(i) < at || (cpu == SIM_CPUS && sim_event(i) == at)) {
				at = sim_event(i);
				cpu = i;
			}
		if (cpu == SIM_CPUS || at >= end)
			break;
		same = at == shim_tsc ? same + 1 : 0;
		assert_true(same < 1000); /* time goes on */
		shim_tsc = at;
		sim_step(cpu);
	}
	shim_tsc = end;
}

/* What a VM's tasks have run so far. */
static inline u64 sim_ran(const struct sched_group *g)
{
	u64 sum = 0;
	for (unsigned i = 0; i < sim_tasks; i++)
		if (sim_task[i].task.group == g)
			sum += task_times(&sim_task[i].task).run;
	return sum;
}

/* Shares of the VMs since `before`, in millionths of what all of them got. */
static u64 sim_before[SIM_TASKS];
static inline void sim_mark(void)
{
	for (unsigned i = 0; i < sim_groups; i++)
		sim_before[i] = sim_ran(&sim_group[i]);
}

/* One CPU, and two VMs of equal weight that compute all the time; they have done so for a second. */
static inline void sim_two_alike(struct sched_group **a, struct sched_group **b)
{
	sim_setup("bvt", 1);
	*a = sim_vm(256);
	*b = sim_vm(256);
	sim_vcpu(*a, 0, 0);
	sim_vcpu(*b, 0, 0);
	sim_run(SECOND);
	sim_mark();
}

static inline double sim_got(const struct sched_group *g)
{
	return (double)(sim_ran(g) - sim_before[g - sim_group]);
}

/* ---- what is expected ---- */
static const char *const sim_policies[] = {"bvt", "credit", "rr"};

#define expect_near(value, wanted, margin)                                                                   \
	do {                                                                                                 \
		double v_ = (value), w_ = (wanted);                                                          \
		if (v_ < w_ - (margin) || v_ > w_ + (margin))                                                \
			fail_msg("%s: %s is %f, expected %f +- %f", sched_policy_name(), #value, v_, w_,     \
				 (double)(margin));                                                          \
	} while (0)

static inline double share(const struct sched_group *g)
{
	double sum = 0;
	for (unsigned i = 0; i < sim_groups; i++)
		sum += sim_got(&sim_group[i]);
	return sim_got(g) / sum;
}

static inline void set(struct sched_group *g, const char *name, u64 value)
{
	char why[80];
	assert_int_equal(sched_set(g, name, value, why, sizeof(why)), 0);
}
