/* SPDX-License-Identifier: Apache-2.0 */
/* BVT, Borrowed Virtual Time (K. Duda and D. Cheriton, SOSP 1999): the task with the earliest effective
 * virtual time runs. That is the actual virtual time, which grows as the task runs, slower with more
 * weight; and while a task is warped it is less by its warp, so that a task which needs the CPU soon
 * borrows against its own future share. The running task keeps the CPU for the context-switch allowance
 * beyond the next one. Warp ends after warp_limit of running, and comes back after `unwarp`. */
#include "internal.h"

#define ALLOWANCE (5 * sched_const.ms)

static u64 us_to_ticks(unsigned us)
{
	return ns_to_tsc((u64)us * 1000);
}

static bool may_warp(struct task *t, u64 now)
{
	const struct sched_group *g = t->group;
	if (t->unwarped && now - t->unwarped_since < us_to_ticks(g->unwarp))
		return false;
	if (t->unwarped) {
		t->unwarped = false;
		t->warp_ran = 0;
	}
	return true;
}

__attribute__((noinline)) static u64 warp_now(struct task *t, u64 now)
{
	u64 warp = may_warp(t, now) ? us_to_ticks(t->group->warp) * VT_PER_TICK : 0;
	return MIN(warp, t->vt);
}

static inline u64 warp_of(struct task *t, u64 now)
{
	return likely(!t->group->warp) ? 0 : warp_now(t, now);
}

/* A function of its own, so that the others need no frame. */
__attribute__((noinline)) static void ready_warped(struct task *t, u64 now)
{
	t->node.key = t->vt - warp_now(t, now);
}

static void bvt_ready(struct task *t, const struct sched_cpu *s, enum ready_why why, u64 now)
{
	if (why == READY_WOKEN) {
		t->vt = MAX(t->vt, s->svt); /* sleep earns nothing */
		if (!t->unwarped)
			t->warp_ran = 0; /* it has unwarped itself */
	}
	if (likely(!t->group->warp))
		t->node.key = t->vt;
	else
		ready_warped(t, now);
}

static void bvt_ran(struct task *t, u64 ticks, u64 vticks, u64 now)
{
	const struct sched_group *g = t->group;
	t->vt += vticks;
	if (!g->warp || t->unwarped)
		return;
	t->warp_ran += ticks;
	if (g->warp_limit && t->warp_ran >= us_to_ticks(g->warp_limit)) {
		t->unwarped = true;
		t->unwarped_since = now;
	}
}

/* Until it is the allowance ahead of the next one. */
static inline u64 slice_from(u64 own, const struct sched_group *g, const struct task *next)
{
	if (!next || next->node.key <= own)
		return ALLOWANCE;
	return ALLOWANCE + (next->node.key - own) * g->weight / (VT_ONE * MAX(g->runnable, 1u));
}

/* Or its warp is used up. */
__attribute__((noinline)) static u64 slice_warped(struct task *t, const struct task *next, u64 now)
{
	const struct sched_group *g = t->group;
	u64 slice = slice_from(t->vt - warp_now(t, now), g, next);
	if (g->warp_limit && !t->unwarped) {
		u64 limit = us_to_ticks(g->warp_limit);
		slice = MIN(slice, limit > t->warp_ran ? limit - t->warp_ran : 1);
	}
	return slice;
}

static u64 bvt_slice(struct task *t, const struct task *next, u64 now)
{
	const struct sched_group *g = t->group;
	return likely(!g->warp) ? slice_from(t->vt, g, next) : slice_warped(t, next, now);
}

static u64 bvt_preempts(struct task *woken, struct task *current, u64 ran, u64 now)
{
	u64 own = current->vt + group_vticks(current->group, ran);
	u64 effective = own - MIN(warp_of(current, now), own);
	if (warp_of(woken, now) && woken->node.key < effective)
		return 0;
	/* Without warp, only after the allowance. */
	u64 ahead = effective > woken->node.key ? effective - woken->node.key : 0;
	u64 room = group_vticks(current->group, ALLOWANCE);
	return ahead >= room ? 0 : (room - ahead) * current->group->weight / VT_ONE + 1;
}

const struct sched_policy sched_bvt = {
    .name = "bvt",
    .ready = bvt_ready,
    .ran = bvt_ran,
    .slice = bvt_slice,
    .preempts = bvt_preempts,
};
