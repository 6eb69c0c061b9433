/* SPDX-License-Identifier: Apache-2.0 */
/* An 8254 with its interrupt line, and port accesses in clocks of its own. Defines functions, so one
 * file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/irq.h"
#include "devices/pit.h"
#include "fake_timer.h"
#include "host.h"

static struct pit pit;
static bool irq0;
static unsigned edges;

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	assert_ptr_equal(r, &pit); /* whatever was given to pit_init() */
	assert_int_equal(gsi, 0);
	edges += level && !irq0;
	irq0 = level;
}

static bool tick_unseen;
static void (*tick_wanted)(void *opaque);

bool irq_tick(struct irq_router *r)
{
	if (tick_unseen)
		return false;
	irq_set(r, 0, false);
	irq_set(r, 0, true);
	return true;
}

void irq_on_tick_wanted(struct irq_router *r, void (*fn)(void *opaque), void *opaque)
{
	assert_ptr_equal(r, &pit);
	assert_ptr_equal(opaque, &pit);
	tick_wanted = fn;
}

static u64 origin; /* TSC of the last write that started something */

static inline void out(unsigned port, u8 value)
{
	origin = shim_tsc;
	if (port == 0x61)
		pit_control_write(&pit, 0, 1, value);
	else
		pit_write(&pit, port - 0x40, 1, value);
}

static inline u8 in(unsigned port)
{
	if (port == 0x61)
		return (u8)pit_control_read(&pit, 0, 1);
	return (u8)pit_read(&pit, port - 0x40, 1);
}

/* The middle of the clock that is n clocks after the last write. */
static inline void at(u64 n)
{
	fake_run_until(origin + mul_div(2 * n + 1, tsc_hz(), 2 * PIT_HZ));
}

static inline void load(unsigned channel, u8 control, u16 count)
{
	out(0x43, (u8)(channel << 6 | control));
	if (control & 0x10)
		out(0x40 + channel, (u8)count);
	if (control & 0x20)
		out(0x40 + channel, (u8)(count >> 8));
}

static inline u16 word(unsigned port)
{
	u8 low = in(port);
	return (u16)(in(port) << 8 | low);
}

static inline u16 latched(unsigned channel)
{
	out(0x43, (u8)(channel << 6));
	return word(0x40 + channel);
}

/* The count without disturbing `origin`. */
static inline u16 count(unsigned channel)
{
	u64 keep = origin;
	u16 n = latched(channel);
	origin = keep;
	return n;
}

static inline u8 status(unsigned channel)
{
	u64 keep = origin;
	out(0x43, (u8)(0xe0 | 2 << channel));
	origin = keep;
	return in(0x40 + channel);
}

static inline bool pin(unsigned channel)
{
	return status(channel) & 0x80;
}

static inline int setup(void **state)
{
	(void)state;
	shim_tsc = 5000000;
	irq0 = tick_unseen = false;
	pit_init(&pit, (void *)&pit);
	edges = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	pit_fini(&pit);
	assert_int_equal(fake_timers_armed(), 0);
	return 0;
}
