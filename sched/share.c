/* SPDX-License-Identifier: Apache-2.0 */
/* Work for a VM beside its tasks, such as what its devices have put off, done where a timer fires: it would
 * go before every task. So it rests after each turn, as long as it takes until its VM's share of the CPU has
 * made up for the turn, where somebody else wants the CPU; and while its cap is used up. */
#include "internal.h"
#include "tsc.h"

#define REST_MOST_NS 100000000u /* whatever the weights are: drivers have time-outs */

/* The weight of who wants this CPU beside g; 0: nobody. */
static unsigned rival(struct sched_cpu *s, const struct sched_group *g)
{
	const struct task *t;
	unsigned weight = 0;

	spin_lock(&s->lock);
	t = s->current ? s->current : s->ready.first ? task_of(s->ready.first) : NULL;
	if (t && t->group != g)
		weight = t->group->weight;
	spin_unlock(&s->lock);
	return weight;
}

u64 sched_go_on(struct sched_group *g, u64 ticks, u64 now)
{
	u64 most = ns_to_tsc(REST_MOST_NS), rest = 0, at;
	unsigned weight = g ? rival(self(), g) : 0;

	if (weight)
		rest = mul_div(ticks, weight, g->weight);
	if (g && !group_budget(g, now))
		rest = MAX(rest, group_wait(g, now));
	if (!rest)
		return now;
	spin_lock(&g->lock);
	at = MAX(g->rests_until, now) + MIN(rest, most);
	at = MIN(at, now + most);
	g->rests_until = at;
	spin_unlock(&g->lock);
	return at;
}
