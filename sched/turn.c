/* SPDX-License-Identifier: Apache-2.0 */
/* The running task: since when it runs, what it is charged, when its slice is over. */
#include "internal.h"

u64 sched_front;

/* Of two CPUs that go forward at once the slower store may win: the next turn sets it right. */
static void svt_set(struct sched_cpu *s, u64 svt)
{
	__atomic_store_n(&s->svt, svt, __ATOMIC_RELAXED);
	if (svt > __atomic_load_n(&sched_front, __ATOMIC_RELAXED))
		__atomic_store_n(&sched_front, svt, __ATOMIC_RELAXED);
}

/* Scheduler virtual time follows the least of the tasks that can run here; it does not run backwards. */
static void svt_update(struct sched_cpu *s, const struct task *t)
{
	u64 least = MIN(t->vt, s->first_key);
	if (least > s->svt)
		svt_set(s, least);
}

void turn_catch_up(struct sched_cpu *s)
{
	svt_set(s, MAX(s->svt, __atomic_load_n(&sched_front, __ATOMIC_RELAXED)));
}

/* A task that nobody waits for needs no end, on the only CPU; on one of many it looks round. */
static void slice_set(struct sched_cpu *s, u64 now)
{
	struct task *t = s->current, *next = queue_first(s);
	u64 wait, budget = group_budget(t->group, now, &wait);
	if (!next && budget == NEVER) {
		s->slice_end = cpu_count() == 1 ? NEVER : now + sched_const.lead;
	} else {
		u64 slice = MIN(policy->slice(t, next, now), budget);
		s->slice_end = now + MAX(slice, 1);
	}
	timer_update_next(s);
}

/* A task that leaves of its own accord pays for the way to the next one; else to sleep or to yield all the
 * time would be free, and the others' loss. What the way takes is known when the task may be gone: so it is
 * what it took last time. */
#define WAY_MOST (sched_const.ms / 10)

static void way_measure(struct sched_cpu *s, u64 now)
{
	if (!s->left_freely)
		return;
	s->left_freely = false;
	s->way = now > s->times_since ? MIN(now - s->times_since, WAY_MOST) : 0;
}

void turn_begin(struct sched_cpu *s, struct task *t, u64 now)
{
	if (now > s->times_since) {
		way_measure(s, now);
		times_cpu(s, now, false);
	} else {
		s->way = 0; /* the next one is charged from here on */
	}
	times_account(t, now, TASK_RUNNING);
	t->woken = false;
	t->portable = false;
	t->hypervisor = 0;
	__atomic_store_n(&t->on_cpu, true, __ATOMIC_RELAXED);
	__atomic_store_n(&s->current, t, __ATOMIC_RELAXED);
	__atomic_store_n(&s->current_key, t->node.key, __ATOMIC_RELAXED);
	svt_update(s, t);
	s->run_since = now;
	s->run_clock = group_clock(t->group, now);
	slice_set(s, now);
}

/* The running task, up to now and for so many ticks more. */
static inline void charge(struct sched_cpu *s, u64 now, u64 more)
{
	struct task *t = s->current;
	struct sched_group *g = t->group;
	u64 ticks = now > s->run_since ? now - s->run_since : 0, clock = group_clock(g, now);
	u64 vticks = clock - s->run_clock, stolen = MIN(s->stolen, ticks);
	u64 unpaid = __atomic_load_n(&g->billed_unpaid, __ATOMIC_RELAXED);
	if (unlikely(stolen))
		vticks = mul_div(vticks, ticks - stolen, ticks);
	if (unlikely(unpaid)) {
		unpaid = __atomic_exchange_n(&g->billed_unpaid, 0, __ATOMIC_RELAXED);
		vticks += group_vticks(g, unpaid) / MAX(g->runnable, 1u);
	}
	if (more) {
		ticks += more;
		vticks += more * VT_ONE * g->runnable / g->weight;
	}
	policy->ran(t, ticks - stolen, vticks, now);
	group_spend(g, ticks - stolen + unpaid, now);
	if (t->vt > s->current_key)
		__atomic_store_n(&s->current_key, t->vt, __ATOMIC_RELAXED);
	s->run_since = MAX(now, s->run_since);
	s->run_clock = clock;
	s->stolen = 0;
	svt_update(s, t);
}

void turn_charge(struct sched_cpu *s, u64 now)
{
	charge(s, now, 0);
}

void turn_end(struct sched_cpu *s, enum task_state state, u64 now)
{
	struct task *t = s->current;
	s->left_freely = state != TASK_READY || !__atomic_load_n(&s->resched, __ATOMIC_RELAXED);
	charge(s, now, s->left_freely ? s->way : 0);
	times_account(t, now, state);
	s->times_since = now;
	if (state != TASK_READY)
		group_count(t, false, now);
	__atomic_store_n(&s->current, NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&s->current_key, 0, __ATOMIC_RELAXED);
}

void turn_shorten(struct sched_cpu *s, struct task *woken, u64 now)
{
	u64 ran = now > s->current->since ? now - s->current->since : 0;
	u64 wait = policy->preempts(woken, s->current, ran, now);
	/* Another CPU's slice is its own to shorten: when there is much left of it, it ends now. */
	bool far = s != self() && wait != NEVER && s->slice_end > now + wait + sched_const.lead;
	if (!wait || far)
		queue_resched(s);
	else if (s == self() && s->slice_end == NEVER)
		slice_set(s, now);
	if (wait && wait != NEVER && s == self() && now + wait < s->slice_end) {
		s->slice_end = now + wait;
		timer_update_next(s);
	}
}

/* Nobody waits for this CPU. What the task could not use of a weight worth more than a CPU is not owed
 * to it later. */
static void turn_go_on(struct sched_cpu *s, u64 now)
{
	struct task *t = s->current;
	turn_catch_up(s);
	t->vt = MAX(t->vt, s->svt - MIN(s->svt, sched_const.lead_vt));
	slice_set(s, now);
}

void turn_over(struct sched_cpu *s)
{
	s->slice_end = NEVER;
	spin_lock(&s->lock);
	if (s->current) {
		u64 now = tsc_now(), wait;
		turn_charge(s, now);
		if (s->nr_ready || queue_elsewhere(s, s->current->vt) ||
		    !group_budget(s->current->group, now, &wait))
			queue_resched(s);
		else
			turn_go_on(s, now);
	}
	spin_unlock(&s->lock);
}

void sched_charge(struct sched_group *g, u64 ticks)
{
	struct sched_cpu *s = self();
	if (s->current && s->current->group == g)
		return; /* it pays as it runs */
	if (s->current) {
		ticks += s->before;
		s->before = 0;
	}
	if (g) {
		__atomic_fetch_add(&g->billed, ticks, __ATOMIC_RELAXED);
		__atomic_fetch_add(&g->billed_unpaid, ticks, __ATOMIC_RELAXED);
	}
	if (s->current) {
		s->stolen += ticks;
		s->current->hypervisor -= (i64)ticks; /* it will be counted there */
		times_lend(s->current, ticks);
	}
	times_charged(s, g, ticks);
}
