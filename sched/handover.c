/* SPDX-License-Identifier: Apache-2.0 */
/* From one task straight to the next, past the scheduler's stack, where nothing but this CPU's queue has to
 * be asked. The one that left is free for other CPUs once the next has arrived on its own stack. */
#include "turn.h"

static inline bool unload(struct task *t)
{
	u64 affinity = __atomic_load_n(&t->affinity, __ATOMIC_RELAXED);
	bool leaves = !sched_alone() && (affinity & (affinity - 1));
	if (leaves && t->leave)
		t->leave(t);
	return leaves;
}

bool task_unload(struct task *t)
{
	return unload(t);
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
static inline bool nothing_due(const struct sched_cpu *s, u64 now)
{
	return __atomic_load_n(&s->first_deadline, __ATOMIC_RELAXED) > now && list_empty(&s->work);
}

static inline bool queue_only(const struct sched_cpu *s, const struct task *t, u64 now)
{
	return nothing_due(s, now) && (sched_alone() || (task_allowed(t, s) && queue_alone(s, t)));
}

static inline bool may_begin(const struct sched_cpu *s, const struct task *t, u64 now)
{
	return task_allowed(t, s) && group_budget(t->group, now);
}

/* t waits for something else than a CPU, or in the queue. Its turn is over, that of the next one has begun.
 */
static inline void hand_over(struct sched_cpu *s, struct task *t, struct task *next)
{
	s->left_portable = unload(t);
	s->left = t;
	task_switch(&t->sp, next->sp);
	task_arrived();
}

/* t waits in the place of the first of the queue. */
static inline void change_places(struct sched_cpu *s, struct task *t, struct task *next)
{
	vtree_replace_first(&s->ready, &t->node);
	next->queued = false;
	t->queued = true;
	__atomic_store_n(&s->first_key, s->ready.first->key, __ATOMIC_RELAXED);
}

/* The running task yields where nothing but this CPU's queue has to be asked: the task whose turn has begun,
 * or goes on. NULL: it is not as simple as that, and it has only been charged. */
static inline struct task *turn_pass(struct sched_cpu *s, struct task *t, u64 now)
{
	struct task *next = queue_first(s);
	charge(s, now, 0); /* the next one is charged from here on: no way is nobody's */
	if (unlikely(!queue_only(s, t, now)))
		return NULL;
	policy->ready(t, s, READY_RAN, now);
	if (next && t->gives_way) /* equal keys keep their order */
		t->node.key = MAX(t->node.key, next->node.key);
	bool stays = !next || t->node.key < next->node.key;
	struct task *chosen = stays ? t : next;
	if (unlikely(!may_begin(s, chosen, now)))
		return NULL;
	t->gives_way = false;
	if (stays) {
		svt_update(s, t);
		slice_set(s, now);
		return t;
	}
	times_change(t, now, TASK_RUNNING, TASK_READY);
	times_change(next, now, TASK_READY, TASK_RUNNING);
	change_places(s, t, next);
	s->way = 0;
	become_current(s, next, now, next->group == t->group ? s->run_clock : group_clock(next->group, now));
	return next;
}

void task_yield(void)
{
	struct sched_cpu *s = self();
	struct task *t = s->current;
	u64 now = tsc_now();
	spin_lock(&s->lock);
	bool asked = __atomic_load_n(&s->resched, __ATOMIC_RELAXED);
	resched_clear(s);
	struct task *next = turn_pass(s, t, now);
	if (unlikely(!next))
		turn_end(s, TASK_READY, !asked, now);
	spin_unlock(&s->lock);
	if (unlikely(!next))
		task_leave(s, t);
	else if (next != t)
		hand_over(s, t, next);
}

/* After the turn of the one that blocks. */
static struct task *take_next(struct sched_cpu *s, u64 now)
{
	struct task *next = queue_first(s);
	if (!next || !nothing_due(s, now) || queue_elsewhere(s, s->first_key) || !may_begin(s, next, now))
		return NULL;
	queue_remove(s, next);
	turn_begin(s, next, now);
	return next;
}

void task_block(void)
{
	struct sched_cpu *s = self();
	struct task *t = s->current, *next = NULL;
	u64 now = tsc_now();
	spin_lock(&s->lock);
	bool woken = t->woken;
	t->woken = false;
	if (!woken) {
		turn_end(s, TASK_BLOCKED, true, now);
		resched_clear(s);
		next = take_next(s, now);
	}
	spin_unlock(&s->lock);
	if (woken)
		return;
	if (next)
		hand_over(s, t, next);
	else
		task_leave(s, t);
}
