/* SPDX-License-Identifier: Apache-2.0 */
/* Deadline queue of one CPU: a list sorted by deadline. A machine has a handful of timers armed, most
 * of them re-armed near the end, so insertion searches from the tail. */
#include "host.h"
#include "sched.h"

static void next_update(struct sched_cpu *s)
{
	s->next_deadline =
	    list_empty(&s->timers) ? ~(u64)0 : list_entry(s->timers.next, struct timer, node)->deadline;
}

void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque)
{
	list_init(&t->node);
	t->fire = fire;
	t->opaque = opaque;
	t->armed = false;
	t->deadline = 0;
}

void timer_set(struct timer *t, u64 deadline_tsc)
{
	struct sched_cpu *s = this_cpu()->sched;
	struct list *head = &s->timers, *pos = head;
	if (t->armed)
		list_remove(&t->node);
	t->deadline = deadline_tsc;
	t->armed = true;
	while (pos->prev != head && list_entry(pos->prev, struct timer, node)->deadline > deadline_tsc)
		pos = pos->prev;
	list_insert(pos, &t->node);
	next_update(s);
}

void timer_cancel(struct timer *t)
{
	if (!t->armed)
		return;
	t->armed = false;
	list_remove(&t->node);
	next_update(this_cpu()->sched);
}

void timer_run(u64 now)
{
	/* A handler may arm timers that are due at once: those wait for the next run, or a guest's
	 * periodic timer could keep us here for ever. */
	struct sched_cpu *s = this_cpu()->sched;
	struct list *head = &s->timers, due;
	list_init(&due);
	while (!list_empty(head) && list_entry(head->next, struct timer, node)->deadline <= now) {
		struct list *n = head->next;
		list_remove(n);
		list_insert(&due, n);
	}
	next_update(s);
	while (!list_empty(&due)) {
		struct timer *t = list_entry(due.next, struct timer, node);
		list_remove(&t->node);
		t->armed = false;
		t->fire(t->opaque);
	}
}
