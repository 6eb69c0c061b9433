/* SPDX-License-Identifier: Apache-2.0 */
/* The run queue of each CPU: who waits where, who may run where, and what a CPU takes next. The policy
 * gives the order; a CPU also looks at the first key of the others and takes over a task that is far
 * behind, so that shares hold across CPUs. */
#include "internal.h"

#define LOOK_AT 8 /* tasks of another CPU's queue that may not be moved, before it gives up */

u64 sched_online;
u64 sched_polling;

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

void queue_resched(struct sched_cpu *s)
{
	/* Release: the CPU that sees this and clears it finds what it was set for. */
	__atomic_store_n(&s->resched, true, __ATOMIC_RELEASE);
	if (s == self())
		timer_update_next(s);
	else
		cpu_kick(s->index);
}

static void queue_publish(struct sched_cpu *s, int change)
{
	__atomic_store_n(&s->nr_ready, s->nr_ready + (unsigned)change, __ATOMIC_RELAXED);
	__atomic_store_n(&s->first_key, s->ready.first ? s->ready.first->key : VT_NONE, __ATOMIC_RELAXED);
}

/* A task that comes from another CPU, or from a long sleep: where both CPUs were contended alike their
 * times agree and it keeps its own; else it neither starves here nor starves the others. */
static void frame_enter(struct sched_cpu *s, struct task *t)
{
	if (!s->current && !s->nr_ready)
		turn_catch_up(s);
	if (likely(t->vt - s->svt + sched_const.frame_vt <=
		   2 * sched_const.frame_vt)) /* near, on either side */
		return;
	u64 frame = sched_const.frame_vt + 4 * group_vticks(t->group, sched_const.lead);
	t->vt = MAX(t->vt, s->svt - MIN(s->svt, frame));
	t->vt = MIN(t->vt, s->svt + frame);
}

void queue_put(struct sched_cpu *s, struct task *t)
{
	t->queued = true;
	vtree_insert(&s->ready, &t->node);
	queue_publish(s, 1);
}

void queue_ready(struct sched_cpu *s, struct task *t, enum ready_why why, u64 now)
{
	if (unlikely(t->rebases != sched_rebases))
		t->vt = rebase_catch_up(t->vt, &t->rebases);
	if (why != READY_RAN)
		frame_enter(s, t);
	policy->ready(t, s, why, now);
}

void queue_insert(struct sched_cpu *s, struct task *t, enum ready_why why, u64 now)
{
	if (t->queued || t->parked)
		return;
	if (s->current)
		turn_charge(s, now);
	queue_ready(s, t, why, now);
	if (unlikely(t->gives_way) && why == READY_RAN) {
		t->gives_way = false;
		if (s->ready.first) /* equal keys keep their order */
			t->node.key = MAX(t->node.key, s->ready.first->key);
	}
	queue_put(s, t);
	if (s->current)
		turn_shorten(s, t, now);
	else if (s != self())
		cpu_kick(s->index);
}

void queue_remove(struct sched_cpu *s, struct task *t)
{
	if (!t->queued)
		return;
	t->queued = false;
	vtree_remove(&s->ready, &t->node);
	queue_publish(s, -1);
}

static bool cpu_is_idle(const struct sched_cpu *s)
{
	return !__atomic_load_n(&s->current, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&s->nr_ready, __ATOMIC_RELAXED);
}

/* Where the task should wait: where it ran last, unless that CPU is busy and another is not, or runs one
 * that is much further ahead. */
static struct sched_cpu *queue_choose(const struct task *t, enum ready_why why)
{
	struct sched_cpu *best = t->cpu;
	if (!__atomic_load_n(&t->portable, __ATOMIC_ACQUIRE) || (cpu_is_idle(best) && task_allowed(t, best)))
		return best;
	u64 mask = __atomic_load_n(&t->affinity, __ATOMIC_RELAXED) &
		   __atomic_load_n(&sched_online, __ATOMIC_ACQUIRE);
	u64 key = VT_NONE; /* of a running task that is worth preempting */
	if (!task_allowed(t, best))
		key = 0;
	else if (why == READY_WOKEN && best->current)
		key = best->current_key + sched_const.lead_vt;
	for (; mask; mask &= mask - 1) {
		struct sched_cpu *s = cpu_get((unsigned)__builtin_ctzll(mask))->sched;
		if (cpu_is_idle(s))
			return s;
		if (__atomic_load_n(&s->current_key, __ATOMIC_RELAXED) >= key) {
			key = __atomic_load_n(&s->current_key, __ATOMIC_RELAXED);
			best = s;
		}
	}
	return best;
}

void queue_place_locked(struct sched_cpu *s, struct task *t, enum ready_why why, u64 now)
{
	if (t->state == TASK_READY && !t->queued) {
		struct sched_cpu *target = queue_choose(t, why);
		if (target != s) {
			/* Who looks at it now finds it ready and in no queue, and may place it himself. */
			__atomic_store_n(&t->cpu, target, __ATOMIC_RELAXED);
			spin_unlock(&s->lock);
			s = task_lock(t);
			why = why == READY_RAN ? READY_MOVED : why;
		}
		if (t->state == TASK_READY)
			queue_insert(s, t, why, now);
	}
	spin_unlock(&s->lock);
}

void queue_place(struct task *t, enum ready_why why)
{
	struct sched_cpu *s = task_lock(t);
	queue_place_locked(s, t, why, tsc_now());
}

/* The first task of another CPU's queue that may come here, out of its queue. */
static struct task *queue_take_from(struct sched_cpu *s, struct sched_cpu *other)
{
	struct vnode *n;
	struct task *t = NULL;
	unsigned looked = 0;
	if (!spin_trylock(&other->lock))
		return NULL;
	for (n = other->ready.first; n && looked < LOOK_AT; n = vtree_next(n), looked++) {
		t = task_of(n);
		/* Acquire: then its state is in memory, and its stack free. */
		if (__atomic_load_n(&t->portable, __ATOMIC_ACQUIRE) && task_allowed(t, s))
			break;
		t = NULL;
	}
	if (t) {
		queue_remove(other, t);
		__atomic_store_n(&t->cpu, s, __ATOMIC_RELAXED);
	}
	spin_unlock(&other->lock);
	return t;
}

/* The CPU with the earliest first key below the limit; NULL: none. */
static struct sched_cpu *queue_earliest(const struct sched_cpu *s, u64 limit)
{
	u64 mask = __atomic_load_n(&sched_online, __ATOMIC_ACQUIRE) & ~BIT(s->index);
	struct sched_cpu *best = NULL;
	for (; mask; mask &= mask - 1) {
		struct sched_cpu *other = cpu_get((unsigned)__builtin_ctzll(mask))->sched;
		u64 key = __atomic_load_n(&other->first_key, __ATOMIC_RELAXED);
		if (key < limit) {
			limit = key;
			best = other;
		}
	}
	return best;
}

static u64 limit_of(u64 key)
{
	return key == VT_NONE ? VT_NONE : key - MIN(key, sched_const.lead_vt);
}

bool queue_elsewhere(const struct sched_cpu *s, u64 key)
{
	return cpu_count() > 1 && queue_earliest(s, limit_of(key));
}

/* Any other CPU's will do for one that has nothing to do. */
static struct task *queue_take_any(struct sched_cpu *s)
{
	u64 mask = __atomic_load_n(&sched_online, __ATOMIC_ACQUIRE) & ~BIT(s->index);
	struct task *t = NULL;
	for (; mask && !t; mask &= mask - 1) {
		struct sched_cpu *other = cpu_get((unsigned)__builtin_ctzll(mask))->sched;
		if (__atomic_load_n(&other->nr_ready, __ATOMIC_RELAXED))
			t = queue_take_from(s, other);
	}
	return t;
}

static void queue_look_elsewhere(struct sched_cpu *s)
{
	struct sched_cpu *other = queue_earliest(s, limit_of(s->first_key));
	struct task *t = other ? queue_take_from(s, other) : NULL;
	if (!t && !s->nr_ready)
		t = queue_take_any(s);
	if (!t)
		return;
	spin_lock(&s->lock);
	if (t->cpu == s && t->state == TASK_READY)
		queue_insert(s, t, READY_MOVED, tsc_now());
	spin_unlock(&s->lock);
}

/* A task whose affinity this CPU has lost: the state that it may have here goes with it. */
static void task_evict(struct sched_cpu *s, struct task *t)
{
	queue_remove(s, t);
	spin_unlock(&s->lock);
	task_detach(t);
	queue_place(t, READY_MOVED);
	spin_lock(&s->lock);
}

void queue_unpark(void *opaque)
{
	struct task *t = opaque;
	struct sched_cpu *s = task_lock(t);
	t->parked = false;
	spin_unlock(&s->lock);
	queue_place(t, READY_MOVED);
}

/* True when the task may run; else it was taken out of the queue. */
static bool task_admit(struct sched_cpu *s, struct task *t, u64 now)
{
	if (unlikely(!task_allowed(t, s))) {
		/* One whose stack is in use here idles on it: it goes when it yields. */
		if (!task_on_cpu(t)) {
			task_evict(s, t);
			return false;
		}
		queue_resched(s);
	}
	queue_remove(s, t);
	if (likely(group_budget(t->group, now)))
		return true;
	t->parked = true;
	/* Where another CPU is still at the end of queue_unpark(), waits for that; it wants no lock any more.
	 */
	timer_set(&t->unpark, now + group_wait(t->group, now));
	return false;
}

bool queue_alone(const struct sched_cpu *s, const struct task *t)
{
	u64 mask = __atomic_load_n(&t->affinity, __ATOMIC_RELAXED) &
		   __atomic_load_n(&sched_online, __ATOMIC_ACQUIRE) & ~BIT(s->index);
	for (; mask; mask &= mask - 1)
		if (cpu_is_idle(cpu_get((unsigned)__builtin_ctzll(mask))->sched))
			return false;
	return !queue_earliest(s, limit_of(MIN(s->first_key, t->vt)));
}

/* Those that may not run leave the queue. */
static struct task *queue_take_own(struct sched_cpu *s)
{
	struct task *t;
	spin_lock(&s->lock);
	u64 now = tsc_now();
	while ((t = queue_first(s)))
		if (task_admit(s, t, now)) {
			turn_begin(s, t, now);
			break;
		}
	spin_unlock(&s->lock);
	return t;
}

struct task *queue_take(struct sched_cpu *s)
{
	bool had_some;
	struct task *t;
	do {
		/* While a CPU idles it looks for others' tasks all the time: the one that wakes it goes
		 * first. */
		if (cpu_count() > 1 && !(s->resident && s->nr_ready))
			queue_look_elsewhere(s);
		had_some = s->nr_ready;
		t = queue_take_own(s);
	} while (!t && had_some && cpu_count() > 1); /* none of these may run now, but others' may */
	return t;
}
