/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a turn, in line because a switch from task to task is made of them. All with the lock. */
#pragma once

#include "internal.h"

/* Of two CPUs that go forward at once the slower store may win: the next turn sets it right. */
static inline void svt_set(struct sched_cpu *s, u64 svt)
{
	__atomic_store_n(&s->svt, svt, __ATOMIC_RELAXED);
	if (svt > __atomic_load_n(&sched_front, __ATOMIC_RELAXED))
		__atomic_store_n(&sched_front, svt, __ATOMIC_RELAXED);
}

/* Scheduler virtual time follows the least of the tasks that can run here; it does not run backwards. */
static inline void svt_update(struct sched_cpu *s, const struct task *t)
{
	u64 least = MIN(t->vt, s->first_key);
	if (least > s->svt)
		svt_set(s, least);
}

/* A task that nobody waits for needs no end, on the only CPU; on one of many it looks round. */
static inline void slice_set(struct sched_cpu *s, u64 now)
{
	struct task *t = s->current, *next = queue_first(s);
	u64 slice;
	if (unlikely(t->group->limited))
		slice = MIN(policy->slice(t, next, now), group_budget_left(t->group, now));
	else if (next)
		slice = policy->slice(t, next, now);
	else
		slice = cpu_count() == 1 ? NEVER - now : sched_const.lead;
	s->slice_end = now + MAX(slice, 1);
	timer_update_next(s);
}

static inline void become_current(struct sched_cpu *s, struct task *t, u64 now, u64 clock)
{
	t->woken = false;
	t->portable = false;
	t->hypervisor = 0;
	__atomic_store_n(&t->on_cpu, true, __ATOMIC_RELAXED);
	__atomic_store_n(&s->current, t, __ATOMIC_RELAXED);
	__atomic_store_n(&s->current_key, t->node.key, __ATOMIC_RELAXED);
	svt_update(s, t);
	s->run_since = now;
	s->run_clock = clock;
	slice_set(s, now);
}

/* The running task, up to now and for so many ticks more. svt_update() is to follow. */
static inline void charge(struct sched_cpu *s, u64 now, u64 more)
{
	struct task *t = s->current;
	struct sched_group *g = t->group;
	u64 ticks = ticks_between(s->run_since, now), clock = group_clock(g, now);
	u64 vticks = clock - s->run_clock;
	s->run_since += ticks;
	s->run_clock = clock;
	if (unlikely(__atomic_load_n(&s->stolen, __ATOMIC_RELAXED))) {
		u64 stolen = MIN(__atomic_exchange_n(&s->stolen, 0, __ATOMIC_RELAXED), ticks);
		vticks = ticks ? mul_div(vticks, ticks - stolen, ticks) : 0;
		ticks -= stolen;
	}
	if (more) {
		ticks += more;
		vticks += more * VT_ONE * g->runnable / g->weight;
	}
	if (unlikely(__atomic_load_n(&g->billed_unpaid, __ATOMIC_RELAXED))) {
		u64 unpaid = __atomic_exchange_n(&g->billed_unpaid, 0, __ATOMIC_RELAXED);
		vticks += group_vticks(g, unpaid) / MAX(g->runnable, 1u);
		group_spend(g, unpaid, now);
	}
	policy->ran(t, ticks, vticks, now);
	group_spend(g, ticks, now);
	if (t->vt > s->current_key)
		__atomic_store_n(&s->current_key, t->vt, __ATOMIC_RELAXED);
}
