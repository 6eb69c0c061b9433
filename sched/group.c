/* SPDX-License-Identifier: Apache-2.0 */
/* A VM for the scheduler: its weight, shared among its tasks that can run, its cap, its parameters. */
#include "internal.h"

void sched_group_init(struct sched_group *g)
{
	*g = (struct sched_group){.weight = SCHED_WEIGHT_DEFAULT};
	sched_quota_init(&g->quota);
}

void sched_group_share(struct sched_group *g, struct sched_quota *q)
{
	g->shared = q;
	g->limited = true;
}

void sched_group_succeed(struct sched_group *g, const struct sched_group *past)
{
	sched_group_init(g);
	g->vt = past->vt;
	g->vt_rebases = past->vt_rebases;
	g->turn = past->turn;
	g->turn_rebases = past->turn_rebases;
	g->turns.key = past->turns.key;
	quota_succeed(&g->quota, &past->quota);
	g->rests_on = past->rests_on;
	g->rests_until = past->rests_until;
	g->rests_end = past->rests_end;
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
	if (unlikely(g->shared) && g->runnable == runnable)
		(runnable ? quota_enter : quota_leave)(g);
	spin_unlock(&g->lock);
}

u64 group_vticks(const struct sched_group *g, u64 ticks)
{
	return ticks * VT_ONE * MAX(g->runnable, 1u) / g->weight;
}

/* ---- parameters ---- */
#define CAP (offsetof(struct sched_group, quota) + offsetof(struct sched_quota, cap))
static const struct parameter {
	const char *name;
	u64 least, most;
	size_t offset; /* of an unsigned in struct sched_group */
	const char *expected;
} parameters[] = {
    {"weight", 1, 65535, offsetof(struct sched_group, weight), "1 to 65535"},
    {"cap", 0, SCHED_CAP_MAX, CAP, "percent of one CPU, 0 for no cap, up to 6400"},
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

static void set_cap(struct sched_group *g, u64 cap)
{
	sched_quota_set(&g->quota, cap);
	__atomic_store_n(&g->limited, cap || g->shared, __ATOMIC_RELAXED);
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
	if (p->offset == CAP)
		set_cap(g, value);
	else
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
