/* SPDX-License-Identifier: Apache-2.0 */
#include "later.h"

#include "host.h"

static void fire(void *opaque)
{
	struct later *l = opaque;
	u64 began = tsc_now(), rests = sched_rests_until(l->payer, began), next, now;

	if (rests > began) {
		timer_set(&l->timer, rests);
		return;
	}
	next = l->go_on(l->opaque);
	now = tsc_now();
	rests = sched_go_on(l->payer, now - began - MIN(l->elsewhere, now - began), now);
	if (next != LATER_NEVER)
		timer_set(&l->timer, MAX(next, rests));
}

void later_init(struct later *l, u64 (*go_on)(void *opaque), void *opaque, struct sched_group *payer)
{
	*l = (struct later){.payer = payer, .go_on = go_on, .opaque = opaque};
	timer_init(&l->timer, fire, l, &l->lock);
	l->timer.group = payer;
}

void later_keep(struct later *l, u64 at)
{
	spin_lock(&l->lock);
	/* One that is held back stays so: a doorbell is no way around it. Nor is it to have done all. */
	if (!l->timer.armed)
		timer_set(&l->timer, MAX(at, sched_rests_until(l->payer, tsc_now())));
	spin_unlock(&l->lock);
	/* Release: who sees that nobody has promised sees the timer armed. */
	__atomic_fetch_sub(&l->promised, 1, __ATOMIC_RELEASE);
}

void later_destroy(struct later *l)
{
	timer_destroy(&l->timer);
}
