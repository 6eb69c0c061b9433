/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual times have an end, and compare as plain numbers: a VM of weight 1 that has 4 vCPUs and a machine
 * for itself is there after some hours, and would get everything from then on. So long before, all of them go
 * back by the same: those of tasks that run or are in a queue at once, the others before they are used. */
#include "internal.h"

#define STEP BIT(62)
#define HIGH BIT(63)
/* The fastest, 16 vCPUs of weight 1, take half an hour from HIGH to the end. */
#define PERIOD_NS ((u64)60000000000)

u32 sched_rebases;

static u64 back(u64 vt)
{
	return vt - MIN(vt, STEP);
}

u64 rebase_catch_up(u64 vt, u32 *seen)
{
	for (; *seen != sched_rebases; ++*seen)
		vt = back(vt);
	return vt;
}

static void task_back(struct task *t)
{
	t->vt = rebase_catch_up(t->vt, &t->rebases);
}

/* The order of the queue stays. */
static void cpu_back(struct sched_cpu *s)
{
	s->svt = back(s->svt);
	for (struct vnode *n = s->ready.first; n; n = vtree_next(n)) {
		n->key = back(n->key);
		task_back(task_of(n));
	}
	if (s->ready.first)
		__atomic_store_n(&s->first_key, s->ready.first->key, __ATOMIC_RELAXED);
	if (s->current) {
		task_back(s->current);
		__atomic_store_n(&s->current_key, back(s->current_key), __ATOMIC_RELAXED);
	}
}

/* Frozen. */
static void all_back(void)
{
	sched_rebases++;
	for (unsigned i = 0; i < cpu_count(); i++)
		cpu_back(cpu_get(i)->sched);
	__atomic_store_n(&sched_front, back(sched_front), __ATOMIC_RELAXED);
}

void rebase_now(void)
{
	sched_freeze();
	/* One that nobody contends with may not have been charged for long: that ends, too. */
	for (unsigned i = 0; i < cpu_count(); i++)
		if (cpu_get(i)->sched->current)
			turn_charge(cpu_get(i)->sched, tsc_now());
	while (sched_front >= HIGH)
		all_back();
	sched_thaw();
}

static struct timer timer;

static void rebase_fired(void *opaque)
{
	rebase_now();
	timer_set(opaque, tsc_now() + ns_to_tsc(PERIOD_NS));
}

void rebase_start(void)
{
	timer_init(&timer, rebase_fired, &timer, NULL);
	timer_set(&timer, tsc_now() + ns_to_tsc(PERIOD_NS));
}
