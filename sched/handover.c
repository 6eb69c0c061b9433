/* SPDX-License-Identifier: Apache-2.0 */
/* From one task straight to the next, past the scheduler's stack, where nothing but this CPU's queue has to
 * be asked. The one that left is free for other CPUs once the next has arrived on its own stack. */
#include "internal.h"

/* Whether it is free for other CPUs; its state is then in memory. */
bool task_unload(struct task *t)
{
	u64 affinity = __atomic_load_n(&t->affinity, __ATOMIC_RELAXED);
	bool leaves = cpu_count() > 1 && (affinity & (affinity - 1));
	if (leaves && t->leave)
		t->leave(t);
	return leaves;
}

void task_arrived(void)
{
	struct sched_cpu *s = self();
	struct task *t = s->left;
	if (!t) /* from the scheduler's stack, which does more */
		return;
	s->left = NULL;
	/* Release, both: who sees that its stack is free, or that he may take it, also sees what it did. */
	__atomic_store_n(&t->on_cpu, false, __ATOMIC_RELEASE);
	__atomic_store_n(&t->portable, s->left_portable, __ATOMIC_RELEASE);
}

/* Timers, work and other CPUs are looked at on the scheduler's stack. */
static bool queue_only(const struct sched_cpu *s, const struct task *t, u64 now)
{
	if (__atomic_load_n(&s->first_deadline, __ATOMIC_RELAXED) <= now || !list_empty(&s->work))
		return false;
	return cpu_count() == 1 || (task_allowed(t, s) && queue_alone(s, t));
}

void task_yield(void)
{
	struct sched_cpu *s = self();
	struct task *t = s->current, *next = NULL;
	u64 now = tsc_now();
	spin_lock(&s->lock);
	turn_end(s, TASK_READY, now);
	resched_clear(s);
	bool direct = queue_only(s, t, now);
	if (direct) {
		queue_insert(s, t, READY_RAN, now);
		next = queue_take_locked(s, now);
	}
	spin_unlock(&s->lock);
	if (!next) {
		task_leave(s, t);
	} else if (next != t) {
		s->left_portable = task_unload(t);
		s->left = t;
		task_switch(&t->sp, next->sp);
		task_arrived();
	}
}
