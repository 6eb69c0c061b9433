/* SPDX-License-Identifier: Apache-2.0 */
#include "later.h"

#include "host.h"

static void fire(void *opaque)
{
	struct later *l = opaque;
	u64 began = tsc_now(), next = l->go_on(l->opaque), now;

	if (next == LATER_NEVER)
		return;
	now = tsc_now();
	timer_set(&l->timer, MAX(next, sched_go_on(l->payer, now - began, now)));
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
	/* One that is held back stays so: a doorbell is no way around it. */
	if (!l->timer.armed)
		timer_set(&l->timer, MAX(at, tsc_now()));
	spin_unlock(&l->lock);
	/* Release: who sees that nobody has promised sees the timer armed. */
	__atomic_fetch_sub(&l->promised, 1, __ATOMIC_RELEASE);
}

void later_destroy(struct later *l)
{
	timer_destroy(&l->timer);
}
