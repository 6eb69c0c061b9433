/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU that has nothing else to do idles on the stack of the task that blocked last: the state of that task
 * stays loaded, and its wake is a mark and a return instead of a place in a queue and two switches. */
#include "internal.h"

/* It was woken. True when its turn has begun; else it waits in the queue as others do. */
static bool resume(struct sched_cpu *s, struct task *t)
{
	u64 now = tsc_now();
	spin_lock(&s->lock);
	__atomic_store_n(&s->roused, false, __ATOMIC_RELAXED);
	group_count(t, true, now);
	bool alone = !s->nr_ready && !t->parked && task_allowed(t, s) && group_budget(t->group, now);
	if (alone) {
		queue_ready(s, t, READY_WOKEN, now);
		turn_begin(s, t, now);
	} else {
		times_account(t, now, TASK_READY);
		queue_insert(s, t, READY_WOKEN, now);
	}
	spin_unlock(&s->lock);
	return alone;
}

/* The next task, made the current one; NULL: work waits, which needs the scheduler's stack. */
static struct task *linger(struct sched_cpu *s, struct task *t)
{
	for (;;) {
		timers_serve(s);
		if (!list_empty(&s->work))
			return NULL;
		if (__atomic_load_n(&s->roused, __ATOMIC_RELAXED) && resume(s, t))
			return t;
		struct task *next = queue_take(s);
		if (next)
			return next;
		if (list_empty(&s->work) && !s->resched)
			wait_for_interrupt(s);
	}
}

/* Whether the task goes on at once; else others come first. */
static bool stay(struct sched_cpu *s, struct task *t)
{
	s->picked = linger(s, t);
	spin_lock(&s->lock);
	bool woken = s->roused;
	s->resident = NULL;
	s->rests = s->roused = false;
	spin_unlock(&s->lock);
	if (s->picked == t) {
		s->picked = NULL;
		return true;
	}
	if (woken)
		task_wake(t); /* it may have been too late for linger() */
	return false;
}

bool turn_block(struct sched_cpu *s, struct task *t)
{
	spin_lock(&s->lock);
	bool woken = t->woken;
	t->woken = false;
	if (!woken)
		turn_end(s, TASK_BLOCKED, true, tsc_now());
	if (!woken && !s->nr_ready && task_allowed(t, s)) {
		s->resident = t;
		__atomic_store_n(&s->rests, true, __ATOMIC_RELAXED);
	}
	spin_unlock(&s->lock);
	return !woken;
}

void task_linger(void)
{
	struct sched_cpu *s = self();
	struct task *t = s->current;
	if (s->nr_ready) {
		task_block();
		return;
	}
	if (!turn_block(s, t))
		return;
	if (s->resident != t || !stay(s, t))
		task_leave(s, t);
}
