/* SPDX-License-Identifier: Apache-2.0 */
/* Deadline queue of one CPU: a list sorted by deadline. A machine has a handful of timers armed, most
 * of them re-armed near the end, so insertion searches from the tail. */
#include "internal.h"

/* With the timer lock, on any CPU: a task that is to give up the CPU is a deadline that has passed. */
static void next_update(struct sched_cpu *s)
{
	u64 next =
	    list_empty(&s->timers) ? ~(u64)0 : list_entry(s->timers.next, struct timer, node)->deadline;
	if (unlikely(__atomic_load_n(&s->resched, __ATOMIC_RELAXED)))
		next = 0;
	__atomic_store_n(&s->next_deadline, next, __ATOMIC_RELAXED);
}

void timer_update_next(struct sched_cpu *s)
{
	spin_lock(&s->timer_lock);
	next_update(s);
	spin_unlock(&s->timer_lock);
}

void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque, struct spinlock *lock)
{
	*t = (struct timer){.fire = fire, .opaque = opaque, .lock = lock};
	list_init(&t->node);
}

/* With the timer lock of s. A fire() that is on its way does not begin; see timer_fire(). */
static bool take_back(struct sched_cpu *s, struct timer *t)
{
	bool was_armed = t->armed;
	if (was_armed)
		list_remove(&t->node);
	if (s->firing == t)
		__atomic_store_n(&s->fire_cancelled, true, __ATOMIC_RELAXED);
	t->armed = false;
	__atomic_store_n(&t->cpu, NULL, __ATOMIC_RELEASE);
	return was_armed;
}

static void wait_for_fire(const struct sched_cpu *s, const struct timer *t)
{
	/* Acquire: what fire() did is visible. */
	while (s != self() && __atomic_load_n(&s->firing, __ATOMIC_ACQUIRE) == t)
		cpu_relax();
}

bool timer_cancel(struct timer *t)
{
	struct sched_cpu *s = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
	bool was_armed = false;
	if (!s)
		return false;
	spin_lock(&s->timer_lock);
	if (t->cpu == s) { /* else it has fired meanwhile */
		was_armed = take_back(s, t);
		next_update(s);
	}
	spin_unlock(&s->timer_lock);
	if (!t->lock)
		wait_for_fire(s, t);
	return was_armed;
}

void timer_set(struct timer *t, u64 deadline_tsc)
{
	struct sched_cpu *s = self();
	struct list *head = &s->timers, *pos = head;
	struct sched_cpu *old = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
	if (unlikely(old && old != s))
		timer_cancel(t);
	spin_lock(&s->timer_lock);
	if (t->cpu == s)
		take_back(s, t);
	t->deadline = deadline_tsc;
	t->armed = true;
	__atomic_store_n(&t->cpu, s, __ATOMIC_RELEASE);
	while (pos->prev != head && list_entry(pos->prev, struct timer, node)->deadline > deadline_tsc)
		pos = pos->prev;
	list_insert(pos, &t->node);
	next_update(s);
	spin_unlock(&s->timer_lock);
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
static void timer_fire(struct sched_cpu *s, struct timer *t)
{
	if (t->lock)
		spin_lock(t->lock);
	if (likely(!__atomic_load_n(&s->fire_cancelled, __ATOMIC_RELAXED))) {
		struct sched_group *group = t->group;
		u64 start = group ? tsc_now() : 0;
		t->fire(t->opaque);
		if (group)
			sched_charge(group, tsc_now() - start);
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
	/* A handler may arm timers that are due at once: those wait for the next run, or a guest's
	 * periodic timer could keep us here for ever. */
	struct sched_cpu *s = self();
	struct list *head = &s->timers, due;
	list_init(&due);
	spin_lock(&s->timer_lock);
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
		s->fire_cancelled = false;
		s->firing = t;
		spin_unlock(&s->timer_lock);
		timer_fire(s, t); /* returns with the lock */
	}
	spin_unlock(&s->timer_lock);
}
