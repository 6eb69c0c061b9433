/* SPDX-License-Identifier: Apache-2.0 */
/* The run queue of each CPU: who waits where, who may run where, and what a CPU takes next. First come,
 * first served, with a time slice; a CPU with nothing to do takes from another. */
#include "internal.h"

u64 sched_online;

struct sched_cpu *task_lock(struct task *t)
{
	for (;;) {
		struct sched_cpu *s = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
		spin_lock(&s->lock);
		if (likely(s == __atomic_load_n(&t->cpu, __ATOMIC_RELAXED)))
			return s;
		spin_unlock(&s->lock);
	}
}

bool task_allowed(const struct task *t, const struct sched_cpu *s)
{
	return __atomic_load_n(&t->affinity, __ATOMIC_RELAXED) >> s->index & 1;
}

void queue_resched(struct sched_cpu *s)
{
	/* Release: the CPU that sees this and clears it finds what it was set for. */
	__atomic_store_n(&s->resched, true, __ATOMIC_RELEASE);
	if (s == self())
		timer_update_next(s);
	else
		cpu_kick(s->index);
}

static void slice_start(struct sched_cpu *s)
{
	if (s->nr_ready || cpu_count() > 1)
		timer_set(&s->slice, tsc_now() + ns_to_tsc(SLICE_NS));
	else
		timer_cancel(&s->slice);
}

void queue_slice_over(void *opaque)
{
	struct sched_cpu *s = opaque;
	spin_lock(&s->lock);
	if (s->nr_ready)
		queue_resched(s);
	else if (s->current)
		slice_start(s);
	spin_unlock(&s->lock);
}

void queue_insert(struct sched_cpu *s, struct task *t)
{
	if (t->queued || t->paused)
		return;
	t->queued = true;
	list_insert(&s->ready, &t->node);
	__atomic_store_n(&s->nr_ready, s->nr_ready + 1, __ATOMIC_RELAXED);
	if (!s->current && s != self())
		cpu_kick(s->index);
	else if (s == self() && s->current && !s->slice.armed)
		slice_start(s);
}

void queue_remove(struct sched_cpu *s, struct task *t)
{
	if (!t->queued)
		return;
	t->queued = false;
	list_remove(&t->node);
	__atomic_store_n(&s->nr_ready, s->nr_ready - 1, __ATOMIC_RELAXED);
}

static bool cpu_is_idle(const struct sched_cpu *s)
{
	return !__atomic_load_n(&s->current, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&s->nr_ready, __ATOMIC_RELAXED);
}

/* Where the task should wait: where it ran last, unless that CPU is busy and another is not. */
static struct sched_cpu *queue_choose(const struct task *t)
{
	u64 mask = __atomic_load_n(&t->affinity, __ATOMIC_RELAXED) &
		   __atomic_load_n(&sched_online, __ATOMIC_ACQUIRE);
	struct sched_cpu *best = t->cpu;
	if (!t->portable || (task_allowed(t, best) && cpu_is_idle(best)))
		return best;
	if (!task_allowed(t, best) && mask)
		best = cpu_get((unsigned)__builtin_ctzll(mask))->sched;
	for (; mask; mask &= mask - 1) {
		struct sched_cpu *s = cpu_get((unsigned)__builtin_ctzll(mask))->sched;
		if (cpu_is_idle(s))
			return s;
	}
	return best;
}

void queue_place(struct task *t)
{
	struct sched_cpu *s = task_lock(t);
	if (t->state == TASK_READY && !t->queued) {
		struct sched_cpu *target = queue_choose(t);
		if (target != s) {
			/* Who looks at it now finds it ready and in no queue, and may place it himself. */
			__atomic_store_n(&t->cpu, target, __ATOMIC_RELAXED);
			spin_unlock(&s->lock);
			s = task_lock(t);
		}
		if (t->state == TASK_READY)
			queue_insert(s, t);
	}
	spin_unlock(&s->lock);
}

/* Takes a ready task from the other CPU's queue into this one's; true when it did. */
static bool queue_steal(struct sched_cpu *s, struct sched_cpu *other)
{
	struct task *found = NULL;
	if (!spin_trylock(&other->lock))
		return false;
	list_for_each(n, &other->ready)
	{
		struct task *t = list_entry(n, struct task, node);
		if (t->portable && task_allowed(t, s)) {
			found = t;
			break;
		}
	}
	if (found) {
		queue_remove(other, found);
		__atomic_store_n(&found->cpu, s, __ATOMIC_RELAXED);
	}
	spin_unlock(&other->lock);
	if (!found)
		return false;
	spin_lock(&s->lock);
	if (found->cpu == s && found->state == TASK_READY)
		queue_insert(s, found);
	spin_unlock(&s->lock);
	return true;
}

static void queue_look_elsewhere(struct sched_cpu *s)
{
	u64 mask = __atomic_load_n(&sched_online, __ATOMIC_ACQUIRE) & ~BIT(s->index);
	for (; mask; mask &= mask - 1) {
		struct sched_cpu *other = cpu_get((unsigned)__builtin_ctzll(mask))->sched;
		if (__atomic_load_n(&other->nr_ready, __ATOMIC_RELAXED) && queue_steal(s, other))
			return;
	}
}

static void task_start(struct sched_cpu *s, struct task *t)
{
	queue_remove(s, t);
	times_account(t, tsc_now(), TASK_RUNNING);
	t->woken = false;
	t->portable = false;
	__atomic_store_n(&t->on_cpu, true, __ATOMIC_RELAXED);
	__atomic_store_n(&s->current, t, __ATOMIC_RELAXED);
	slice_start(s);
}

/* A task whose affinity this CPU has lost: the state that it may have here goes with it. */
static void task_evict(struct sched_cpu *s, struct task *t)
{
	queue_remove(s, t);
	spin_unlock(&s->lock);
	task_detach(t);
	queue_place(t);
	spin_lock(&s->lock);
}

struct task *queue_take(struct sched_cpu *s)
{
	struct task *t = NULL;
	if (!s->nr_ready)
		queue_look_elsewhere(s);
	spin_lock(&s->lock);
	while (!list_empty(&s->ready)) {
		t = list_entry(s->ready.next, struct task, node);
		if (likely(task_allowed(t, s))) {
			task_start(s, t);
			break;
		}
		task_evict(s, t);
		t = NULL;
	}
	spin_unlock(&s->lock);
	return t;
}
