/* SPDX-License-Identifier: Apache-2.0 */
/* A task that can only wait gives its place to one of its group that waits for a CPU. The two exchange their
 * virtual times, so the group as a whole gets no more than it would have: what the other runs now, the
 * giver would have run. */
#include "internal.h"

/* The task, out of the queue of another CPU, where its state is not. */
static void place_fetch(struct sched_cpu *s, struct sched_cpu *other, struct task *t)
{
	bool mine = false;
	if (!spin_trylock(&other->lock))
		return; /* not worth a wait: the caller asks for another, or again */
	if (__atomic_load_n(&t->cpu, __ATOMIC_RELAXED) == other && t->queued &&
	    __atomic_load_n(&t->portable, __ATOMIC_ACQUIRE) && task_allowed(t, s)) {
		queue_remove(other, t);
		__atomic_store_n(&t->cpu, s, __ATOMIC_RELAXED);
		mine = true;
	}
	spin_unlock(&other->lock);
	if (!mine)
		return;
	spin_lock(&s->lock);
	if (t->cpu == s && t->state == TASK_READY)
		queue_insert(s, t, READY_MOVED, tsc_now());
	spin_unlock(&s->lock);
}

static void exchange(struct task *a, struct task *b)
{
	u64 vt = a->vt, turn_ran = a->turn_ran;
	a->vt = b->vt;
	a->turn_ran = b->turn_ran;
	b->vt = vt;
	b->turn_ran = turn_ran;
}

bool task_give_place(struct task *t)
{
	struct sched_cpu *s = self(), *other = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
	struct task *me = s->current;
	if (!__atomic_load_n(&t->queued, __ATOMIC_RELAXED)) /* a first look, without locks */
		return false;
	if (other != s)
		place_fetch(s, other, t);
	spin_lock(&s->lock);
	bool waits = t->cpu == s && t->queued && t->group == me->group;
	if (waits) {
		u64 now = tsc_now();
		turn_charge(s, now);
		queue_remove(s, t);
		if (t->vt > me->vt)
			exchange(t, me);
		policy->ready(t, s, READY_RAN, now);
		/* Before others' as well, but for those that are far behind. */
		t->node.key -= MIN(t->node.key, sched_const.lead_vt);
		queue_put(s, t);
	}
	spin_unlock(&s->lock);
	return waits;
}
