/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of include/sched.h over shim_tsc, for unit tests and fuzz targets of devices: defines the
 * functions, so one file of a program includes it. */
#pragma once

#include "sched.h"
#include "shim.h"

#define FAKE_TIMERS 32
static struct timer *fake_timers[FAKE_TIMERS];
static unsigned fake_fired;
static u64 fake_charged; /* ticks, to whomever */
static void (*fake_on_charge)(struct sched_group *g, u64 ticks);

void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque, struct spinlock *lock)
{
	*t = (struct timer){.fire = fire, .opaque = opaque, .lock = lock};
}

void sched_charge(struct sched_group *g, u64 ticks)
{
	fake_charged += ticks;
	if (fake_on_charge)
		fake_on_charge(g, ticks);
}

/* Every piece of work is followed by so long a rest, of everybody. */
static u64 fake_rest, fake_rests_until;

u64 sched_go_on(struct sched_group *g, u64 ticks, u64 now)
{
	(void)g, (void)ticks;
	fake_rests_until = fake_rest ? now + fake_rest : 0; /* clocks of tests begin anew */
	return now + fake_rest;
}

u64 sched_rests_until(struct sched_group *g, u64 now)
{
	(void)g;
	return fake_rests_until > now ? fake_rests_until : now;
}

bool timer_cancel(struct timer *t)
{
	bool was_armed = t->armed;
	t->armed = false;
	t->cpu = NULL;
	for (unsigned i = 0; i < FAKE_TIMERS; i++)
		if (fake_timers[i] == t)
			fake_timers[i] = NULL;
	return was_armed;
}

void timer_destroy(struct timer *t)
{
	timer_cancel(t);
}

static inline void fake_fire(struct timer *t)
{
	struct sched_group *payer = t->group;
	u64 began = shim_tsc;

	fake_fired++;
	if (t->lock)
		spin_lock(t->lock);
	t->fire(t->opaque);
	if (t->lock)
		spin_unlock(t->lock);
	if (payer)
		sched_charge(payer, shim_tsc - began);
}

void timer_set(struct timer *t, u64 deadline_tsc)
{
	unsigned i = 0;
	timer_cancel(t);
	while (i < FAKE_TIMERS - 1 && fake_timers[i])
		i++;
	fake_timers[i] = t;
	t->deadline = deadline_tsc;
	t->armed = true;
	t->cpu = (struct sched_cpu *)fake_timers; /* some CPU's */
}

static inline unsigned fake_timers_armed(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < FAKE_TIMERS; i++)
		n += fake_timers[i] != NULL;
	return n;
}

static inline struct timer *fake_timer_first(void)
{
	struct timer *first = NULL;
	for (unsigned i = 0; i < FAKE_TIMERS; i++)
		if (fake_timers[i] && (!first || fake_timers[i]->deadline < first->deadline))
			first = fake_timers[i];
	return first;
}

/* As a CPU that is always there: each timer fires at its deadline. */
static inline void fake_run_until(u64 tsc)
{
	for (struct timer *t; (t = fake_timer_first()) && t->deadline <= tsc;) {
		if (t->deadline > shim_tsc)
			shim_tsc = t->deadline;
		timer_cancel(t);
		fake_fire(t);
	}
	shim_tsc = tsc;
}

/* As a CPU that was away: time passes first, then what is due fires once. */
static inline void fake_skip_to(u64 tsc)
{
	struct timer *due[FAKE_TIMERS];
	unsigned n = 0;
	shim_tsc = tsc;
	for (struct timer *t; (t = fake_timer_first()) && t->deadline <= tsc;) {
		timer_cancel(t);
		due[n++] = t;
	}
	for (unsigned i = 0; i < n; i++)
		fake_fire(due[i]);
}
