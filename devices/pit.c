/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254 programmable interval timer: its registers and its interrupt; see pit.h. What a channel
 * counts is computed from the time of its last load (pit_channel.c); nothing runs in between. */
#include "pit.h"

#include "host.h"
#include "irq.h"
#include "pit_channel.h"

#define PIT_IRQ 0

#define CONTROL_ACCESS 0x30 /* 0: latch command */
#define CONTROL_LOW 0x10
#define CONTROL_HIGH 0x20
#define CONTROL_BOTH 0x30
#define CONTROL_READ_BACK 3 /* in bits 7:6 */
#define READ_BACK_NO_COUNT 0x20
#define READ_BACK_NO_STATUS 0x10

#define PORT61_GATE2 0x01
#define PORT61_WRITABLE 0x0f
#define PORT61_REFRESH 0x10
#define PORT61_OUT2 0x20
#define REFRESH_CLOCKS 18 /* bit 4 toggles with each refresh request, every 15.085 us */

/* Drives IRQ 0 as OUT of channel 0 stands now, and arms the timer for its next rising edge. */
static void pit_rearm(struct pit *pit)
{
	u64 now = tsc_now(), edge, earliest;
	struct pit_channel *c = &pit->channel[0];

	pit->unseen = false;
	channel_sync(c, now);
	irq_set(pit->irq, PIT_IRQ, channel_idle_level(c, now));
	if (!channel_next_edge(c, now, &edge)) {
		timer_cancel(&pit->timer);
		return;
	}
	earliest = now + ns_to_tsc(PIT_MIN_INTERVAL_NS);
	timer_set(&pit->timer, channel_periodic(c) ? MAX(edge, earliest) : edge);
}

/* Edges that were missed are one edge: the line is in one state only. A guest that takes no interrupts has
 * this one in its 8259 already; so that hundreds of such guests do not keep the machine busy 18 times a
 * second each, the next is waited for when it takes this one. */
static void pit_fire(void *opaque)
{
	struct pit *pit = opaque;

	if (irq_tick(pit->irq))
		pit_rearm(pit);
	else
		pit->unseen = true;
}

static void pit_tick_wanted(void *opaque)
{
	struct pit *pit = opaque;

	spin_lock(&pit->lock);
	if (pit->unseen)
		pit_rearm(pit);
	spin_unlock(&pit->lock);
}

static void pit_latch_count(struct pit_channel *c, u64 now)
{
	if (c->count_latched)
		return; /* the first one stays until it is read */
	c->count_latched = true;
	c->count_latch = channel_value(c, now);
}

static void pit_latch_status(struct pit_channel *c, u64 now)
{
	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status_latch = (u8)(channel_out(c, now) << 7 | channel_null(c, now) << 6 | c->control);
}

static void pit_read_back(struct pit *pit, u8 v, u64 now)
{
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		struct pit_channel *c = &pit->channel[i];
		if (!(v & (2U << i)))
			continue;
		channel_sync(c, now);
		if (!(v & READ_BACK_NO_COUNT))
			pit_latch_count(c, now);
		if (!(v & READ_BACK_NO_STATUS))
			pit_latch_status(c, now);
	}
}

static void pit_write_control(struct pit *pit, u8 v)
{
	u64 now = tsc_now();
	unsigned select = v >> 6;
	struct pit_channel *c;

	if (select == CONTROL_READ_BACK) {
		pit_read_back(pit, v, now);
		return;
	}
	c = &pit->channel[select];
	if (!(v & CONTROL_ACCESS)) {
		channel_sync(c, now);
		pit_latch_count(c, now);
		return;
	}
	channel_program(c, v & 0x3f);
	if (select == 0)
		pit_rearm(pit);
}

static void pit_write_count(struct pit *pit, unsigned select, u8 v)
{
	struct pit_channel *c = &pit->channel[select];
	u64 now = tsc_now();

	channel_sync(c, now);
	switch (c->control & CONTROL_ACCESS) {
	case CONTROL_LOW:
		channel_load(c, v, now);
		break;
	case CONTROL_HIGH:
		channel_load(c, (u16)(v << 8), now);
		break;
	default:
		c->write_high = !c->write_high;
		if (c->write_high) {
			c->write_low = v;
			channel_hold(c);
		} else {
			channel_load(c, (u16)(v << 8 | c->write_low), now);
		}
	}
	if (select == 0)
		pit_rearm(pit);
}

void pit_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct pit *pit = opaque;

	(void)size;
	spin_lock(&pit->lock);
	if ((offset & 3) == 3)
		pit_write_control(pit, (u8)value);
	else
		pit_write_count(pit, offset & 3, (u8)value);
	spin_unlock(&pit->lock);
}

static u8 pit_read_count(struct pit_channel *c)
{
	u16 value;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status_latch;
	}
	if (c->count_latched) {
		value = c->count_latch;
	} else {
		u64 now = tsc_now();
		channel_sync(c, now);
		value = channel_value(c, now);
	}
	high = (c->control & CONTROL_ACCESS) == CONTROL_HIGH;
	if ((c->control & CONTROL_ACCESS) == CONTROL_BOTH) {
		high = c->read_high;
		c->read_high = !high;
	}
	if (!c->read_high)
		c->count_latched = false;
	return (u8)(high ? value >> 8 : value);
}

u64 pit_read(void *opaque, u64 offset, unsigned size)
{
	struct pit *pit = opaque;
	u8 v;

	(void)size;
	if ((offset & 3) == 3)
		return 0xff; /* write only: the bus floats */
	spin_lock(&pit->lock);
	v = pit_read_count(&pit->channel[offset & 3]);
	spin_unlock(&pit->lock);
	return v;
}

u64 pit_control_read(void *opaque, u64 offset, unsigned size)
{
	struct pit *pit = opaque;
	struct pit_channel *c = &pit->channel[2];
	u64 now = tsc_now();
	u8 v;

	(void)offset, (void)size;
	spin_lock(&pit->lock);
	v = pit->port61;
	channel_sync(c, now);
	if (channel_out(c, now))
		v |= PORT61_OUT2;
	spin_unlock(&pit->lock);
	if (pit_clocks(now) / REFRESH_CLOCKS & 1)
		v |= PORT61_REFRESH;
	return v;
}

void pit_control_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct pit *pit = opaque;
	u64 now = tsc_now();

	(void)offset, (void)size;
	spin_lock(&pit->lock);
	pit->port61 = (u8)value & PORT61_WRITABLE;
	channel_sync(&pit->channel[2], now);
	channel_gate(&pit->channel[2], value & PORT61_GATE2, now);
	spin_unlock(&pit->lock);
}

void pit_reset(struct pit *pit)
{
	spin_lock(&pit->lock);
	timer_cancel(&pit->timer);
	pit->unseen = false;
	pit->port61 = 0;
	for (unsigned i = 0; i < PIT_CHANNELS; i++) {
		/* The data sheet leaves the state open; this one drives no interrupt. */
		pit->channel[i] = (struct pit_channel){.gate = i != 2};
		channel_program(&pit->channel[i], CONTROL_BOTH);
	}
	irq_set(pit->irq, PIT_IRQ, false);
	spin_unlock(&pit->lock);
}

void pit_init(struct pit *pit, struct irq_router *irq)
{
	*pit = (struct pit){.irq = irq};
	timer_init(&pit->timer, pit_fire, pit, &pit->lock);
	irq_on_tick_wanted(irq, pit_tick_wanted, pit);
	pit_reset(pit);
}

void pit_fini(struct pit *pit)
{
	timer_destroy(&pit->timer);
}
