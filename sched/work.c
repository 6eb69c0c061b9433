/* SPDX-License-Identifier: Apache-2.0 */
/* Deferred work of one CPU. */
#include "internal.h"

void work_init(struct work *w, void (*run)(void *opaque), void *opaque)
{
	list_init(&w->node);
	w->run = run;
	w->opaque = opaque;
	w->queued = false;
}

static bool work_insert(struct sched_cpu *s, struct work *w)
{
	/* Acquire and release: what the last run of this work saw, and what this one is to see. */
	if (__atomic_exchange_n(&w->queued, true, __ATOMIC_ACQ_REL))
		return false;
	spin_lock(&s->work_lock);
	list_insert(&s->work, &w->node);
	spin_unlock(&s->work_lock);
	return true;
}

void work_queue(struct work *w)
{
	if (work_insert(self(), w) && self()->current)
		queue_resched(self());
}

void work_queue_on(unsigned cpu, struct work *w)
{
	struct sched_cpu *s = cpu_get(cpu)->sched;
	if (work_insert(s, w))
		queue_resched(s);
}

void work_run(struct sched_cpu *s)
{
	spin_lock(&s->work_lock);
	while (!list_empty(&s->work)) {
		struct work *w = list_entry(s->work.next, struct work, node);
		list_remove(&w->node);
		spin_unlock(&s->work_lock);
		__atomic_store_n(&w->queued, false, __ATOMIC_RELEASE);
		w->run(w->opaque);
		spin_lock(&s->work_lock);
	}
	spin_unlock(&s->work_lock);
}
