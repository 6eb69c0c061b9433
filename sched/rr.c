/* SPDX-License-Identifier: Apache-2.0 */
/* RR, fair round robin over VMs: a VM's tasks share its turns. Each turn gets a tag, one turn of the VM
 * after its last; the earliest tag runs for a fixed time, and nobody preempts. A VM of double weight has
 * turns twice as often. */
#include "internal.h"

#define TURN (5 * sched_const.ms)

/* Its VM's next turn is this task's. */
static void turn_take(struct task *t, u64 earliest)
{
	struct sched_group *g = t->group;
	spin_lock(&g->lock);
	g->turn = rebase_catch_up(g->turn, &g->turn_rebases);
	t->vt = MAX(g->turn, earliest);
	g->turn = t->vt + TURN * VT_ONE / g->weight;
	spin_unlock(&g->lock);
}

static void rr_ready(struct task *t, const struct sched_cpu *s, enum ready_why why, u64 now)
{
	(void)now;
	if (why == READY_WOKEN) { /* what was left of its last turn is gone */
		t->turn_ran = 0;
		turn_take(t, s->svt);
	}
	t->node.key = t->vt;
}

static void rr_ran(struct task *t, u64 ticks, u64 vticks, u64 now)
{
	(void)vticks, (void)now;
	t->turn_ran += ticks;
	if (t->turn_ran < TURN)
		return;
	t->turn_ran = 0;
	/* One that never slept may be behind, where weights differ on many CPUs; not for ever. */
	u64 svt = t->cpu->svt, behind = 10 * TURN * VT_PER_TICK;
	turn_take(t, svt - MIN(svt, behind));
}

static u64 rr_slice(struct task *t, const struct task *next, u64 now)
{
	(void)next, (void)now;
	return TURN - t->turn_ran;
}

static u64 rr_preempts(struct task *woken, struct task *current, u64 ran, u64 now)
{
	(void)woken, (void)current, (void)ran, (void)now;
	return ~(u64)0;
}

const struct sched_policy sched_rr = {
    .name = "rr",
    .ready = rr_ready,
    .ran = rr_ran,
    .slice = rr_slice,
    .preempts = rr_preempts,
};
