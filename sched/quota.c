/* SPDX-License-Identifier: Apache-2.0 */
/* Caps: a budget that grows with time, up to what a period gives, and is spent by running. A group has its
 * own, and may have one with other groups: then the smaller of the two budgets counts.
 *
 * Groups that share a quota have turns in it by their weights: run queues alone would give what is short to
 * whoever comes first after each wait. A group is out of turn when it has spent more for its weight than
 * another one that wants to run; it waits then, unless so much is left that nobody else seems to want it. */
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
static u64 until(i64 wanted, i64 budget, unsigned cap)
{
	return cap && budget < wanted ? MAX((u64)(wanted - budget) / cap, CAP_SLICE) : 0;
}

/* ---- turns in a shared quota; all with its lock ---- */
#define TURN_ALLOWANCE (sched_const.ms) /* by which one may be ahead, at the default weight */
#define TURN_FRAME                                                                                           \
	(100 * sched_const.ms) /* how far apart they are at most: who could not run has no claim             \
				*/
#define LIFTS 4                /* at one go */
#define TURN_END BIT(62)

static u64 spent_for_weight(const struct sched_group *g, u64 ticks)
{
	return ticks * SCHED_WEIGHT_DEFAULT / g->weight;
}

/* The least of all goes to 0 before numbers end. */
static void turns_set_back(struct sched_quota *q)
{
	u64 back = q->groups.first ? q->groups.first->key : 0;
	if (back < TURN_END)
		return;
	for (struct vnode *n = q->groups.first; n; n = vtree_next(n))
		n->key -= back;
}

void quota_enter(struct sched_group *g)
{
	struct sched_quota *q = g->shared;
	spin_lock(&q->lock);
	if (q->groups.first) {
		u64 least = q->groups.first->key; /* who slept has no claim */
		g->turns.key = MIN(MAX(g->turns.key, least), least + spent_for_weight(g, TURN_FRAME));
	}
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
	turns_lift(q, g->turns.key - MIN(g->turns.key, spent_for_weight(g, TURN_FRAME)));
	turns_set_back(q);
	spin_unlock(&q->lock);
}

/* What is left while others may want it. */
static i64 plenty(unsigned cap)
{
	return budget_most(cap) / 2;
}

static bool in_turn(const struct sched_group *g)
{
	const struct vnode *first = g->shared->groups.first;
	return !first || g->turns.key <= first->key + spent_for_weight(g, TURN_ALLOWANCE);
}

/* ---- of a group ---- */
void group_spend_budget(struct sched_group *g, u64 ticks, u64 now)
{
	spend(&g->quota, ticks, now);
	if (g->shared && cap_of(g->shared))
		spend_shared(g, ticks, now);
}

static i64 shared_now(struct sched_group *g, u64 now, bool *turn)
{
	struct sched_quota *q = g->shared;
	spin_lock(&q->lock);
	grow(q, now);
	i64 budget = q->budget;
	*turn = in_turn(g) || budget >= plenty(q->cap);
	spin_unlock(&q->lock);
	return budget;
}

u64 group_budget_left(struct sched_group *g, u64 now)
{
	unsigned cap = cap_of(&g->quota), shared = g->shared ? cap_of(g->shared) : 0;
	u64 ticks = cap ? lasts(budget_now(&g->quota, now), cap) : NEVER;
	bool turn = true;
	if (shared) {
		u64 all = lasts(shared_now(g, now, &turn), shared);
		ticks = turn ? MIN(ticks, all) : 0;
	}
	return ticks;
}

u64 group_wait(struct sched_group *g, u64 now)
{
	unsigned cap = cap_of(&g->quota), shared = g->shared ? cap_of(g->shared) : 0;
	u64 ticks = cap ? until(budget_most(cap) / 4, budget_now(&g->quota, now), cap) : 0;
	bool turn = true;
	if (shared) {
		i64 budget = shared_now(g, now, &turn);
		u64 all = until(turn ? budget_most(shared) / 4 : plenty(shared), budget, shared);
		ticks = MAX(ticks, all);
	}
	return ticks;
}
