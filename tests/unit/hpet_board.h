/* SPDX-License-Identifier: Apache-2.0 */
/* An HPET with its wires, and its registers in ticks of its own. Defines functions, so one file of a program
 * includes it. */
#pragma once

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/hpet.h"
#include "devices/irq.h"
#include "fake_timer.h"
#include "host.h"

#define ID 0x000
#define CONF 0x010
#define STATUS 0x020
#define COUNTER 0x0f0
#define TN_CONF(n) (0x100 + 0x20 * (n))
#define TN_VALUE(n) (0x108 + 0x20 * (n))
#define TN_FSB(n) (0x110 + 0x20 * (n))
#define ENABLE 1
#define LEGACY 2
#define LEVEL 0x002
#define INT 0x004
#define PERIODIC 0x008
#define VAL_SET 0x040
#define MODE32 0x100
#define ROUTE(pin) ((u64)(pin) << 9)
#define TICK 80 /* TSC ticks, which are nanoseconds here */
#define FLOOR (HPET_MIN_INTERVAL_NS / TICK)

static struct hpet hpet;
static u32 wires;          /* bit n: GSI n is held high */
static unsigned edges[24]; /* by irq_hpet_tick() */
static bool replaced, tick_unseen;
static unsigned told;
static void (*tick_wanted)(void *opaque);

static inline bool wire_is_ours(unsigned gsi)
{
	return (gsi >= 20 && gsi <= 23) || (replaced && (gsi == 0 || gsi == 8));
}

void irq_hpet_set(struct irq_router *r, unsigned gsi, bool level)
{
	assert_ptr_equal(r, &hpet);
	assert_true(wire_is_ours(gsi));
	wires = (wires & ~(1u << gsi)) | (u32)level << gsi;
}

bool irq_hpet_tick(struct irq_router *r, unsigned gsi)
{
	assert_ptr_equal(r, &hpet);
	assert_true(wire_is_ours(gsi));
	if (gsi < 16)
		wires |= 1u << gsi;
	edges[gsi] += !tick_unseen;
	return !tick_unseen;
}

void irq_replace(struct irq_router *r, bool on)
{
	assert_ptr_equal(r, &hpet);
	assert_int_equal(wires, 0); /* nothing stays behind */
	replaced = on;
}

void irq_on_tick_wanted(struct irq_router *r, void (*fn)(void *opaque), void *opaque)
{
	assert_ptr_equal(r, &hpet);
	assert_ptr_equal(opaque, &hpet);
	tick_wanted = fn;
}

/* The lock is free: this one takes it. */
void irq_tell_waiters(struct irq_router *r)
{
	assert_ptr_equal(r, &hpet);
	told++;
	tick_wanted(&hpet);
}

static inline void out(u64 reg, u64 value)
{
	hpet_write(&hpet, reg, 8, value);
}

static inline void out32(u64 reg, u32 value)
{
	hpet_write(&hpet, reg, 4, value);
}

static inline u64 in(u64 reg)
{
	return hpet_read(&hpet, reg, 8);
}

static inline u32 in32(u64 reg)
{
	return (u32)hpet_read(&hpet, reg, 4);
}

static u64 origin; /* TSC at which the counter was started */

/* From 0, or where it was set. */
static inline void start(void)
{
	out(CONF, in(CONF) | ENABLE);
	origin = shim_tsc;
}

/* The middle of the tick that is n after the start. */
static inline void at(u64 n)
{
	fake_run_until(origin + n * TICK + TICK / 2);
}

static inline int setup(void **state)
{
	(void)state;
	shim_tsc = 5000000;
	wires = 0;
	replaced = tick_unseen = false;
	memset(edges, 0, sizeof(edges));
	told = 0;
	hpet_init(&hpet, (void *)&hpet);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	hpet_reset(&hpet);
	assert_int_equal(wires, 0);
	assert_false(replaced);
	hpet_fini(&hpet);
	assert_int_equal(fake_timers_armed(), 0);
	return 0;
}
