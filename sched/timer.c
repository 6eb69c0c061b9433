/* SPDX-License-Identifier: Apache-2.0 */
/* Deadline queue of one CPU. The next few timers are a sorted list, which is all that a machine with few
 * guests needs; those behind them are a tree, so that what the devices of hundreds of guests have armed costs
 * O(log n) steps. No timer of the list is later than one of the tree, and the list is empty only when both
 * are. */
#include "internal.h"

#define NEAR_MOST 8 /* timers of the list */
#define COLD __attribute__((noinline))

/* ---- both parts; with the timer lock ---- */

static inline struct timer *near_entry(const struct list *n)
{
	return list_entry(n, struct timer, near);
}

static struct timer *first_of(struct sched_cpu *s)
{
	return list_empty(&s->near) ? NULL : near_entry(s->near.next);
}

static void far_changed(struct sched_cpu *s)
{
	s->far_from = s->far.first ? s->far.first->key : NEVER;
}

COLD static void far_insert(struct sched_cpu *s, struct timer *t)
{
	t->far.key = t->deadline;
	t->is_far = true;
	vtree_insert(&s->far, &t->far);
	far_changed(s);
}

COLD static void far_remove(struct sched_cpu *s, struct timer *t)
{
	vtree_remove(&s->far, &t->far);
	t->is_far = false;
	far_changed(s);
}

/* The list is too long. */
COLD static void move_out(struct sched_cpu *s)
{
	struct timer *last = near_entry(s->near.prev);
	list_remove(&last->near);
	s->nr_near--;
	far_insert(s, last);
}

/* The list is empty. */
COLD static void move_in(struct sched_cpu *s)
{
	struct timer *first = list_entry(s->far.first, struct timer, far);
	far_remove(s, first);
	list_insert(&s->near, &first->near);
	s->nr_near++;
}

/* Most timers are armed again near the end of the list: from there. */
static inline void deadline_insert(struct sched_cpu *s, struct timer *t, u64 deadline)
{
	struct list *head = &s->near, *pos = head;
	t->deadline = deadline;
	if (unlikely(deadline > s->far_from)) {
		far_insert(s, t);
		return;
	}
	while (pos->prev != head && near_entry(pos->prev)->deadline > deadline)
		pos = pos->prev;
	list_insert(pos, &t->near);
	if (unlikely(++s->nr_near > NEAR_MOST))
		move_out(s);
}

static inline void deadline_remove(struct sched_cpu *s, struct timer *t)
{
	if (unlikely(t->is_far)) {
		far_remove(s, t);
		return;
	}
	list_remove(&t->near);
	if (unlikely(!--s->nr_near && s->far.first))
		move_in(s);
}

/* Whether t, which is armed here or was, is in the right place for that deadline. */
static inline bool stays(const struct sched_cpu *s, const struct timer *t, u64 deadline)
{
	const struct list *head = &s->near, *before = t->near.prev, *behind = t->near.next;
	if (!t->armed || t->is_far || (before != head && near_entry(before)->deadline > deadline))
		return false;
	return behind == head ? deadline <= s->far_from : near_entry(behind)->deadline > deadline;
}

/* ---- all ---- */

/* With the timer lock, on any CPU. */
static void first_update(struct sched_cpu *s)
{
	const struct list *first = s->near.next;
	u64 deadline = first == &s->near ? NEVER : near_entry(first)->deadline;
	__atomic_store_n(&s->first_deadline, deadline, __ATOMIC_RELAXED);
}

void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque, struct spinlock *lock)
{
	*t = (struct timer){.fire = fire, .opaque = opaque, .lock = lock};
}

/* With the timer lock of s, which t belongs to. A fire() that is on its way does not begin; see timer_fire().
 */
static inline void take_back(struct sched_cpu *s, struct timer *t)
{
	if (likely(t->armed))
		deadline_remove(s, t);
	else if (s->firing == t)
		__atomic_store_n(&s->fire_cancelled, true, __ATOMIC_RELAXED);
}

static void wait_for_fire(const struct sched_cpu *s, const struct timer *t)
{
	/* Acquire: what fire() did is visible. */
	while (s != self() && __atomic_load_n(&s->firing, __ATOMIC_ACQUIRE) == t)
		cpu_relax();
}

/* True when it was armed there. */
static bool cancel_on(struct sched_cpu *s, struct timer *t)
{
	bool was_armed = false;
	spin_lock(&s->timer_lock);
	if (t->cpu == s) { /* else it has fired meanwhile */
		was_armed = t->armed;
		take_back(s, t);
		t->armed = false;
		__atomic_store_n(&t->cpu, NULL, __ATOMIC_RELEASE);
		first_update(s);
	}
	spin_unlock(&s->timer_lock);
	if (s == self())
		timer_update_next(s);
	return was_armed;
}

bool timer_cancel(struct timer *t)
{
	bool was_armed = false;
	for (struct sched_cpu *s; (s = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE));) {
		was_armed |= cancel_on(s, t);
		if (t->lock)
			break;
		wait_for_fire(s, t); /* it may have armed the timer again */
	}
	return was_armed;
}

void timer_set(struct timer *t, u64 deadline_tsc)
{
	struct sched_cpu *s = self();
	struct sched_cpu *old = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
	if (unlikely(old && old != s))
		timer_cancel(t);
	spin_lock(&s->timer_lock);
	/* What a handler arms that is due at once waits for the next timer_run(), behind all that this one
	 * fires: a guest's periodic timer could keep it going for ever. */
	deadline_tsc = MAX(deadline_tsc, s->firing_end);
	if (t->cpu == s && stays(s, t, deadline_tsc)) {
		t->deadline = deadline_tsc;
	} else {
		if (t->cpu == s)
			take_back(s, t);
		t->armed = true;
		__atomic_store_n(&t->cpu, s, __ATOMIC_RELEASE);
		deadline_insert(s, t, deadline_tsc);
	}
	first_update(s);
	spin_unlock(&s->timer_lock);
	timer_update_next(s);
}

void timer_destroy(struct timer *t)
{
	if (!t->fire)
		return;
	if (t->lock)
		spin_lock(t->lock);
	timer_cancel(t);
	if (t->lock)
		spin_unlock(t->lock);
	/* It may have been cancelled while it was on its way, and armed elsewhere since. */
	for (unsigned i = 0; i < cpu_count(); i++)
		if (cpu_get(i)->sched)
			wait_for_fire(cpu_get(i)->sched, t);
}

/* s->firing was set with the lock, so nobody frees t now. Its own lock makes a cancel that came first
 * be seen here. */
static void timer_fire(struct sched_cpu *s, struct timer *t, u64 *since)
{
	if (t->lock)
		spin_lock(t->lock);
	if (likely(!__atomic_load_n(&s->fire_cancelled, __ATOMIC_RELAXED))) {
		struct sched_group *group = t->group;
		t->fire(t->opaque);
		u64 end = tsc_now();
		if (group)
			sched_charge(group, end - *since);
		*since = end;
	}
	if (t->lock)
		spin_unlock(t->lock);
	spin_lock(&s->timer_lock);
	if (!s->fire_cancelled) /* else t may be armed elsewhere by now */
		__atomic_store_n(&t->cpu, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&s->firing, NULL, __ATOMIC_RELEASE);
}

void timer_run(u64 now)
{
	struct sched_cpu *s = self();
	u64 since = now; /* who is fired first pays for the way here */
	if (s->slice_end <= now) {
		turn_over(s);
		since = tsc_now();
	}
	spin_lock(&s->timer_lock);
	s->firing_end = now + 1;
	for (struct timer *t; (t = first_of(s)) && t->deadline <= now;) {
		deadline_remove(s, t);
		t->armed = false;
		s->fire_cancelled = false;
		s->firing = t;
		spin_unlock(&s->timer_lock);
		timer_fire(s, t, &since); /* returns with the lock */
	}
	s->firing_end = 0;
	first_update(s);
	spin_unlock(&s->timer_lock);
	timer_update_next(s);
}
