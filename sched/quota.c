/* SPDX-License-Identifier: Apache-2.0 */
/* Caps: a budget that grows with time, up to what a period gives, and is spent by running. A group has its
 * own, and may have one with other groups: then the smaller of the two budgets counts.
 *
 * Groups that share a quota have turns in it by their weights: run queues alone would give what is short to
 * whoever comes first after each wait. A group is out of turn when it has spent more for its weight than
 * another one that wants to run; it waits then, unless so much is left that nobody else seems to want it: the
 * further it is ahead the more. */
#include "internal.h"

/* A slice that its budget ends is no shorter; the VM owes the rest. */
#define CAP_SLICE (sched_const.ms / 4)

void sched_quota_init(struct sched_quota *q)
{
	*q = (struct sched_quota){0};
}

static unsigned cap_of(const struct sched_quota *q)
{
	return __atomic_load_n(&q->cap, __ATOMIC_RELAXED);
}

/* Budgets are in hundredths of ticks: what grows at every look may not be rounded at every look. */
static i64 budget_most(unsigned cap)
{
	return (i64)(sched_const.cap_period * cap);
}

/* What it owes beyond a second's worth is forgiven, or what all CPUs may spend before one of them looks
 * again. It may owe ever more: what is billed to it while it must not run, for its timers, say, may be more
 * than its cap. It would stand still for ever, and could not even be stopped. */
static i64 debt_most(unsigned cap)
{
	return (i64)MAX(1000 * sched_const.ms * cap, 200 * CAP_SLICE * cpu_count());
}

/* With the lock. */
static void grow(struct sched_quota *q, u64 now)
{
	if (now > q->since) {
		u64 most = sched_const.cap_period * 100; /* nothing overflows after a long sleep */
		q->budget += (i64)(MIN(now - q->since, most) * q->cap);
		q->since = now;
	}
	q->budget = MAX(MIN(q->budget, budget_most(q->cap)), -debt_most(q->cap));
}

int sched_quota_set(struct sched_quota *q, u64 cap)
{
	u64 now = tsc_now();
	if (cap > SCHED_CAP_MAX)
		return ERR_INVAL;
	spin_lock(&q->lock);
	bool begins = !q->cap;
	if (!begins)
		grow(q, now); /* as it did so far */
	__atomic_store_n(&q->cap, (unsigned)cap, __ATOMIC_RELAXED);
	if (begins) {
		grow(q, now); /* what it owed is paid, and nothing saved */
		q->budget = MIN(q->budget, 0);
	}
	spin_unlock(&q->lock);
	return 0;
}

void quota_succeed(struct sched_quota *q, const struct sched_quota *past)
{
	q->budget = past->budget;
	q->since = past->since;
}

static void spend(struct sched_quota *q, u64 ticks, u64 now)
{
	if (!cap_of(q))
		return;
	spin_lock(&q->lock);
	grow(q, now);
	q->budget -= (i64)(100 * ticks);
	spin_unlock(&q->lock);
}

static i64 budget_now(struct sched_quota *q, u64 now)
{
	spin_lock(&q->lock);
	grow(q, now);
	i64 budget = q->budget;
	spin_unlock(&q->lock);
	return budget;
}

/* How long a task that runs alone has of it: it grows meanwhile. */
static u64 lasts(i64 budget, unsigned cap)
{
	if (!cap)
		return NEVER;
	if (budget <= 0)
		return 0;
	u64 ticks = (u64)budget / (cap < 100 ? 100 - cap : 100);
	return MAX(ticks, CAP_SLICE);
}

/* Not for a few instructions, and not much shorter than a slice: where others spend what is waited for, each
 * wait would be a part of the last. Far below the most: nothing is lost while it waits for a CPU then. */
static u64 until(i64 lacking, unsigned cap)
{
	return cap && lacking > 0 ? MAX((u64)lacking / cap, CAP_SLICE) : 0;
}

/* ---- turns in a shared quota; all with its lock ---- */
#define LIFTS 4 /* at one go */
#define TURN_END BIT(62)

static u64 spent_for_weight(const struct sched_group *g, u64 ticks)
{
	return ticks * SCHED_WEIGHT_DEFAULT / g->weight;
}

/* How far apart they are at most, at the default weight: who could not run has no claim. A small quota has a
 * small one: who is behind by less comes again soon. */
static u64 turn_frame(unsigned cap)
{
	return sched_const.cap_period / 40 * MIN(cap, 100u);
}

/* By which one may be ahead. */
static u64 turn_allowance(unsigned cap)
{
	return turn_frame(cap) / 64;
}

/* The least of all goes to 0 before numbers end. */
static void turns_set_back(struct sched_quota *q)
{
	u64 back = q->groups.first ? q->groups.first->key : 0;
	if (back < TURN_END)
		return;
	for (struct vnode *n = q->groups.first; n; n = vtree_next(n))
		n->key -= back;
	q->front -= MIN(q->front, back);
}

void quota_enter(struct sched_group *g)
{
	struct sched_quota *q = g->shared;
	spin_lock(&q->lock);
	/* Of the claim that it had when it went to sleep it keeps so much, that who waits for nothing does
	 * not get all; and for its sleep it has none, nor against those that sleep now. */
	u64 least = q->groups.first ? q->groups.first->key : q->front;
	u64 frame = spent_for_weight(g, turn_frame(q->cap)), kept = MIN(least, frame / 4);
	g->turns.key = MIN(MAX(g->turns.key, least - kept), least + frame);
	vtree_insert(&q->groups, &g->turns);
	g->has_turns = true;
	spin_unlock(&q->lock);
}

void quota_leave(struct sched_group *g)
{
	struct sched_quota *q = g->shared;
	spin_lock(&q->lock);
	vtree_remove(&q->groups, &g->turns);
	g->has_turns = false;
	if (!q->groups.first)
		q->front = g->turns.key;
	spin_unlock(&q->lock);
}

/* Those that want to run, and cannot: they wait for their CPU, or have a cap of their own. */
static void turns_lift(struct sched_quota *q, u64 least)
{
	for (unsigned i = 0; i < LIFTS && q->groups.first && q->groups.first->key < least; i++) {
		struct vnode *n = q->groups.first;
		vtree_remove(&q->groups, n);
		n->key = least;
		vtree_insert(&q->groups, n);
	}
}

static void spend_shared(struct sched_group *g, u64 ticks, u64 now)
{
	struct sched_quota *q = g->shared;
	spin_lock(&q->lock);
	grow(q, now);
	q->budget -= (i64)(100 * ticks);
	if (g->has_turns)
		vtree_remove(&q->groups, &g->turns);
	g->turns.key += spent_for_weight(g, ticks);
	if (g->has_turns)
		vtree_insert(&q->groups, &g->turns);
	turns_lift(q, g->turns.key - MIN(g->turns.key, spent_for_weight(g, turn_frame(q->cap))));
	turns_set_back(q);
	spin_unlock(&q->lock);
}

/* What is to be left when it goes on. The further it is ahead the more: where those behind cannot use their
 * turns, the others come in the order of theirs. */
static i64 wanted(const struct sched_group *g, unsigned cap)
{
	const struct vnode *first = g->shared->groups.first;
	u64 ahead = first ? g->turns.key - MIN(g->turns.key, first->key) : 0, part = turn_frame(cap) / 64 + 1;
	i64 quarter = budget_most(cap) / 4;
	if (ahead <= spent_for_weight(g, turn_allowance(cap)))
		return 0;
	return quarter + quarter / 64 * (i64)MIN(ahead / part, 64u);
}

/* ---- of a group ---- */
void group_spend_budget(struct sched_group *g, u64 ticks, u64 now)
{
	spend(&g->quota, ticks, now);
	if (g->shared && cap_of(g->shared))
		spend_shared(g, ticks, now);
}

/* What is left, and in *lacking how much it has to grow before the group may go on, 0: it may. */
static i64 shared_now(struct sched_group *g, u64 now, i64 *lacking)
{
	struct sched_quota *q = g->shared;
	spin_lock(&q->lock);
	grow(q, now);
	i64 budget = q->budget, least = wanted(g, q->cap), turn = budget_most(q->cap) / 4;
	*lacking = budget > 0 && budget >= least ? 0 : MAX(MAX(least, turn) - budget, 1);
	spin_unlock(&q->lock);
	return budget;
}

u64 group_budget_left(struct sched_group *g, u64 now)
{
	unsigned cap = cap_of(&g->quota), shared = g->shared ? cap_of(g->shared) : 0;
	u64 ticks = cap ? lasts(budget_now(&g->quota, now), cap) : NEVER;
	if (shared) {
		i64 lacking, budget = shared_now(g, now, &lacking);
		ticks = lacking ? 0 : MIN(ticks, lasts(budget, shared));
	}
	return ticks;
}

u64 group_wait(struct sched_group *g, u64 now)
{
	unsigned cap = cap_of(&g->quota), shared = g->shared ? cap_of(g->shared) : 0;
	u64 ticks = cap ? until(budget_most(cap) / 4 - budget_now(&g->quota, now), cap) : 0;
	if (shared) {
		i64 lacking;
		shared_now(g, now, &lacking);
		ticks = MAX(ticks, until(lacking, shared));
	}
	return ticks;
}
