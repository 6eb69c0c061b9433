/* SPDX-License-Identifier: Apache-2.0 */
/* A VM for the scheduler: its weight, shared among its tasks that can run, its cap, its parameters. */
#include "internal.h"

/* A slice that its budget ends is no shorter; the VM owes the rest. */
#define CAP_SLICE (sched_const.ms / 4)

void sched_group_init(struct sched_group *g)
{
	*g = (struct sched_group){.weight = SCHED_WEIGHT_DEFAULT};
}

void sched_group_succeed(struct sched_group *g, const struct sched_group *past)
{
	sched_group_init(g);
	g->vt = past->vt;
	g->vt_rebases = past->vt_rebases;
	g->turn = past->turn;
	g->turn_rebases = past->turn_rebases;
	g->budget = past->budget;
	g->budget_since = past->budget_since;
	g->billed_unpaid = __atomic_load_n(&past->billed_unpaid, __ATOMIC_RELAXED);
}

/* bvt and credit charge what was billed to the first task; rr goes by turns. */
void sched_charge_beginning(struct sched_group *g, u64 ticks)
{
	sched_charge(g, ticks);
	spin_lock(&g->lock);
	g->turn += ticks * VT_ONE / g->weight;
	spin_unlock(&g->lock);
}

void group_count(struct task *t, bool runnable, u64 now)
{
	struct sched_group *g = t->group;
	if (t->counted == runnable)
		return;
	t->counted = runnable;
	spin_lock(&g->lock);
	group_clock_advance(g, now);
	if (runnable)
		g->runnable++;
	else
		g->runnable--;
	spin_unlock(&g->lock);
}

u64 group_vticks(const struct sched_group *g, u64 ticks)
{
	return ticks * VT_ONE * MAX(g->runnable, 1u) / g->weight;
}

/* ---- cap: a budget that grows with time, up to what a period gives, and is spent by running ---- */
static i64 cap_most(const struct sched_group *g)
{
	return (i64)(sched_const.cap_period * g->cap / 100);
}

/* What it owes beyond a second's worth is forgiven. It may owe ever more: what is billed to it while it must
 * not run, for its timers, say, may be more than its cap. It would stand still for ever, and could not even
 * be stopped. */
static i64 debt_most(const struct sched_group *g)
{
	return (i64)(1000 * sched_const.ms * g->cap / 100);
}

static void budget_grow(struct sched_group *g, u64 now)
{
	if (now > g->budget_since) {
		u64 most = sched_const.cap_period * 100; /* nothing overflows after a long sleep */
		g->budget += (i64)(MIN(now - g->budget_since, most) * g->cap / 100);
		g->budget_since = now;
	}
	g->budget = MAX(MIN(g->budget, cap_most(g)), -debt_most(g));
}

void group_spend_budget(struct sched_group *g, u64 ticks, u64 now)
{
	spin_lock(&g->lock);
	budget_grow(g, now);
	g->budget -= (i64)ticks;
	spin_unlock(&g->lock);
}

/* How long a task that runs alone has of it: it grows meanwhile. */
static u64 budget_lasts(i64 budget, unsigned cap)
{
	if (budget <= 0)
		return 0;
	u64 ticks = cap < 100 ? (u64)budget * 100 / (100 - cap) : (u64)budget;
	return MAX(ticks, CAP_SLICE);
}

static i64 budget_now(struct sched_group *g, u64 now)
{
	spin_lock(&g->lock);
	budget_grow(g, now);
	i64 budget = g->budget;
	spin_unlock(&g->lock);
	return budget;
}

u64 group_budget_left(struct sched_group *g, u64 now)
{
	unsigned cap = g->cap; /* 0: it was taken away this moment */
	return cap ? budget_lasts(budget_now(g, now), cap) : NEVER;
}

/* Not for a few instructions. Far below the most: nothing is lost while it waits for a CPU then. */
u64 group_wait(struct sched_group *g, u64 now)
{
	unsigned cap = g->cap;
	i64 resume = cap_most(g) / 4, budget = cap ? budget_now(g, now) : resume;
	return budget < resume ? (u64)(resume - budget) * 100 / cap : 0;
}

/* ---- parameters ---- */
static const struct parameter {
	const char *name;
	u64 least, most;
	size_t offset; /* of an unsigned in struct sched_group */
	const char *expected;
} parameters[] = {
    {"weight", 1, 65535, offsetof(struct sched_group, weight), "1 to 65535"},
    {"cap", 0, 100 * MAX_CPUS, offsetof(struct sched_group, cap),
     "percent of one CPU, 0 for no cap, up to 6400"},
    {"warp", 0, 1000000, offsetof(struct sched_group, warp), "microseconds of virtual time, 0 to 1000000"},
    {"warp_limit", 0, 1000000, offsetof(struct sched_group, warp_limit),
     "microseconds, 0 for no limit, up to 1000000"},
    {"unwarp", 0, 1000000, offsetof(struct sched_group, unwarp), "microseconds, 0 to 1000000"},
};

static const struct parameter *parameter_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++)
		if (!strcmp(parameters[i].name, name))
			return &parameters[i];
	return NULL;
}

int sched_set(struct sched_group *g, const char *name, u64 value, char *why, size_t why_size)
{
	const struct parameter *p = parameter_find(name);
	if (!p) {
		snprintf(why, why_size,
			 "unknown parameter; expected weight, cap, warp, warp_limit or unwarp");
		return ERR_INVAL;
	}
	if (value < p->least || value > p->most) {
		snprintf(why, why_size, "expected %s", p->expected);
		return ERR_INVAL;
	}
	spin_lock(&g->lock);
	group_clock_advance(g, tsc_now());
	if (p->offset == offsetof(struct sched_group, cap) && !g->cap)
		g->budget = MIN(g->budget, 0); /* it begins now */
	*(unsigned *)((char *)g + p->offset) = (unsigned)value;
	spin_unlock(&g->lock);
	return 0;
}

int sched_get(const struct sched_group *g, const char *name, u64 *value)
{
	const struct parameter *p = parameter_find(name);
	if (!p)
		return ERR_INVAL;
	*value = *(const unsigned *)((const char *)g + p->offset);
	return 0;
}
