/* SPDX-License-Identifier: Apache-2.0 */
/* A CPU that has nothing else to do idles on the stack of the task that blocked last: the state of that task
 * stays loaded, and its wake is a return instead of two switches. */
#include "internal.h"

/* The next task, made the current one; NULL: work waits, which needs the scheduler's stack. */
static struct task *linger(struct sched_cpu *s)
{
	for (;;) {
		timers_serve(s);
		if (!list_empty(&s->work))
			return NULL;
		struct task *next = queue_take(s);
		if (next)
			return next;
		if (list_empty(&s->work) && !s->resched)
			wait_for_interrupt(s);
	}
}

void task_linger(void)
{
	struct sched_cpu *s = self();
	struct task *t = s->current;
	if (!turn_block(s, t))
		return;
	if (!s->nr_ready && task_allowed(t, s)) {
		s->resident = t;
		s->picked = linger(s);
		s->resident = NULL;
		if (s->picked == t) {
			s->picked = NULL;
			return;
		}
	}
	task_leave(s, t);
}
