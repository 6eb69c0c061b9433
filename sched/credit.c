/* SPDX-License-Identifier: Apache-2.0 */
/* Credit: proportional share by weight in the manner of Xen's credit schedulers. A task burns credit as
 * it runs, slower with more weight, and the one with most runs: here credit is how far its virtual time
 * is behind the CPU's. Who sleeps keeps a few milliseconds of what he did not burn, and may so preempt
 * when he wakes; a minimum run keeps switches rare, a maximum keeps everybody's turn near. */
#include "internal.h"

#define KEEP (10 * sched_const.ms) /* credit that outlasts a sleep, at the default weight */
#define RUN_LEAST sched_const.ms   /* before a wake may preempt */
#define RUN_MOST (10 * sched_const.ms)

static void credit_ready(struct task *t, const struct sched_cpu *s, enum ready_why why, u64 now)
{
	(void)now;
	u64 keep = KEEP * VT_PER_TICK;
	if (why == READY_WOKEN)
		t->vt = MAX(t->vt, s->svt - MIN(keep, s->svt));
	t->node.key = t->vt;
}

static void credit_ran(struct task *t, u64 ticks, u64 vticks, u64 now)
{
	(void)ticks, (void)now;
	t->vt += vticks;
}

/* Until it has burnt down to the next one's credit. */
static u64 credit_slice(struct task *t, const struct task *next, u64 now)
{
	(void)now;
	const struct sched_group *g = t->group;
	u64 slice = RUN_LEAST;
	if (!next)
		return RUN_MOST;
	if (next->node.key > t->vt)
		slice += (next->node.key - t->vt) * g->weight / (VT_ONE * MAX(g->runnable, 1u));
	/* Half the most beyond: equal ones do not take turns at the least. */
	return MIN(slice + RUN_MOST / 2, RUN_MOST);
}

static u64 credit_preempts(struct task *woken, struct task *current, u64 ran, u64 now)
{
	(void)now;
	if (woken->node.key >= current->vt + group_vticks(current->group, ran))
		return ~(u64)0;
	return ran >= RUN_LEAST ? 0 : RUN_LEAST - ran;
}

const struct sched_policy sched_credit = {
    .name = "credit",
    .ready = credit_ready,
    .ran = credit_ran,
    .slice = credit_slice,
    .preempts = credit_preempts,
};
