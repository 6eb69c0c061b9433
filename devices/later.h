/* SPDX-License-Identifier: Apache-2.0 */
/* Work of a device that is put off, so that others run: it goes on from a timer, at its VM's expense, and no
 * sooner than the VM's share allows where somebody else wants the CPU.
 *
 * Who finds out, with the device's lock, that there is more to do promises it, and keeps the promise without
 * that lock: in between nobody may end the device, which is what later_is_promised() is for. */
#pragma once

#include "sched.h"
#include "spinlock.h"

#define LATER_NEVER (~(u64)0)

struct later {
	struct spinlock lock; /* the timer's; held while go_on() runs */
	struct timer timer;
	struct sched_group *payer;
	u32 promised; /* by so many CPUs; atomic, raised with the device's lock */
	/* A turn of the work. Returns when the next one is due, TSC, 0: as soon as may be; LATER_NEVER: there
	 * is nothing more. */
	u64 (*go_on)(void *opaque);
	void *opaque;
	u64 elsewhere; /* ticks of the turn that sched_go_on() knows already; go_on() says it each time, or
			  never */
};

/* payer: of timer.group, too; NULL: whoever runs. */
void later_init(struct later *l, u64 (*go_on)(void *opaque), void *opaque, struct sched_group *payer);
/* With the device's lock. */
static inline void later_promise(struct later *l)
{
	__atomic_fetch_add(&l->promised, 1, __ATOMIC_RELAXED);
}
/* Holding no lock that go_on() takes: it goes on at that time. */
void later_keep(struct later *l, u64 at);
/* With the device's lock, where nobody will promise any more, or it does not matter: whether a later_keep()
 * is still to come. Acquire: after false, later_destroy() finds the timer. */
static inline bool later_is_promised(const struct later *l)
{
	return __atomic_load_n(&l->promised, __ATOMIC_ACQUIRE);
}
/* Nobody has promised. What goes on ends; it does not go on again. */
void later_destroy(struct later *l);
