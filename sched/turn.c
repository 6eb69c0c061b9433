/* SPDX-License-Identifier: Apache-2.0 */
/* The running task: since when it runs, what it is charged, when its slice is over. */
#include "turn.h"

u64 sched_front;

void turn_catch_up(struct sched_cpu *s)
{
	svt_set(s, MAX(s->svt, __atomic_load_n(&sched_front, __ATOMIC_RELAXED)));
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
	become_current(s, t, now, group_clock(t->group, now));
}

void turn_charge(struct sched_cpu *s, u64 now)
{
	charge(s, now, 0);
	svt_update(s, s->current);
}

void turn_end(struct sched_cpu *s, enum task_state state, bool freely, u64 now)
{
	struct task *t = s->current;
	s->left_freely = freely;
	charge(s, now, freely ? s->way : 0);
	svt_update(s, t);
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
		u64 now = tsc_now();
		turn_charge(s, now);
		if (s->nr_ready || queue_elsewhere(s, s->current->vt) ||
		    !group_budget(s->current->group, now))
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
		__atomic_fetch_add(&s->stolen, ticks,
				   __ATOMIC_RELAXED); /* another CPU may charge meanwhile */
		s->current->hypervisor -= (i64)ticks; /* it will be counted there */
		times_lend(s->current, ticks);
	}
	times_charged(s, g, ticks);
}
