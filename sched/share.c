/* SPDX-License-Identifier: Apache-2.0 */
/* Work for a VM beside its tasks, such as what its devices have put off, done where a timer fires: it would
 * go before every task. So it rests after each turn, until those who want the CPU beside it have had what
 * their weights give them for such a turn, and while its cap is used up.
 *
 * A rest is in the CPU's own time, which stands still while anybody's put-off work is done there: however
 * many VMs put work off to one CPU, each gets its share of it, and so do the tasks. */
#include "internal.h"
#include "tsc.h"

#define REST_MOST_NS 100000000u  /* of own time, whatever the weights are: drivers have time-outs */
#define WAIT_MOST_NS 1000000000u /* and whatever others put off meanwhile */
#define RIVALS 8u                /* groups that are looked for in a run queue */

struct rivals {
	const struct sched_group *group[RIVALS];
	unsigned nr;
	u64 weight;
};

static void rival(struct rivals *r, const struct sched_group *g)
{
	for (unsigned i = 0; i < r->nr; i++)
		if (r->group[i] == g)
			return;
	if (r->nr < RIVALS) {
		r->group[r->nr++] = g;
		r->weight += g->weight;
	}
}

/* g's own task runs here: that pays. */
static bool pays_as_it_runs(const struct sched_cpu *s, const struct sched_group *g)
{
	return s->current && s->current->group == g;
}

/* The weight of those who want this CPU beside g; 0: nobody. */
static u64 rivals_weight(struct sched_cpu *s, const struct sched_group *g)
{
	struct rivals r = {.nr = 0};
	unsigned looks = 0;

	if (pays_as_it_runs(s, g))
		return 0;
	spin_lock(&s->lock);
	if (s->current)
		rival(&r, s->current->group);
	for (struct vnode *n = s->ready.first; n && looks < RIVALS; n = vtree_next(n), looks++)
		if (task_of(n)->group != g)
			rival(&r, task_of(n)->group);
	spin_unlock(&s->lock);
	return r.weight;
}

static u64 own_time(const struct sched_cpu *s, u64 now)
{
	return now - __atomic_load_n(&s->put_off, __ATOMIC_RELAXED);
}

/* Of its rest. With the group's lock. */
static u64 rest_left(const struct sched_group *g, u64 now)
{
	i64 left = g->rests_on ? (i64)(g->rests_until - own_time(g->rests_on, now)) : 0;

	return left > 0 && now < g->rests_end ? MIN((u64)left, g->rests_end - now) : 0;
}

u64 sched_go_on(struct sched_group *g, u64 ticks, u64 now)
{
	struct sched_cpu *s = self();
	u64 rest = 0, weight, most;

	if (g && pays_as_it_runs(s, g)) {
		if (likely(!g->limited))
			return now;
	} else {
		__atomic_fetch_add(&s->put_off, ticks, __ATOMIC_RELAXED);
	}
	if (!g)
		return now;
	weight = rivals_weight(s, g);
	if (weight)
		rest = mul_div(ticks, weight, g->weight);
	if (!group_budget(g, now))
		rest = MAX(rest, group_wait(g, now));
	if (!rest)
		return now;
	most = ns_to_tsc(REST_MOST_NS);
	spin_lock(&g->lock);
	rest = MIN(rest_left(g, now) + MIN(rest, most), most);
	__atomic_store_n(&g->rests_on, s, __ATOMIC_RELAXED);
	g->rests_until = own_time(s, now) + rest;
	__atomic_store_n(&g->rests_end, now + ns_to_tsc(WAIT_MOST_NS), __ATOMIC_RELAXED);
	spin_unlock(&g->lock);
	return now + rest;
}

u64 sched_rests_until(struct sched_group *g, u64 now)
{
	u64 left;

	if (!g || !__atomic_load_n(&g->rests_on, __ATOMIC_RELAXED) ||
	    now >= __atomic_load_n(&g->rests_end, __ATOMIC_RELAXED) ||
	    (!rivals_weight(self(), g) && group_budget(g, now)))
		return now;
	spin_lock(&g->lock);
	left = rest_left(g, now);
	spin_unlock(&g->lock);
	return now + left;
}
