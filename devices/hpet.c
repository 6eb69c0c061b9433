/* SPDX-License-Identifier: Apache-2.0 */
/* The high precision event timers; see hpet.h. What the counter and the accumulators are is computed from the
 * time when somebody looks; a timer of the host runs only for interrupts that the guest would notice.
 * Sections: IA-PC HPET specification 1.0a. */
#include "hpet.h"

#include "host.h"
#include "irq.h"

/* 2.3.1, table 1; timer n follows every 0x20 from 0x100. */
#define REG_ID 0x000
#define REG_CONFIG 0x010
#define REG_STATUS 0x020
#define REG_COUNTER 0x0f0
#define REG_TIMERS 0x100
#define TIMER_STRIDE 0x20
#define TIMER_CONFIG 0x00
#define TIMER_VALUE 0x08

#define CONFIG_ENABLE 0x1u /* 2.3.5 */
#define CONFIG_LEGACY 0x2u
#define TN_LEVEL 0x0002u /* 2.3.8 */
#define TN_ENABLE 0x0004u
#define TN_PERIODIC 0x0008u
#define TN_CAN_PERIODIC 0x0010u
#define TN_CAN_64 0x0020u
#define TN_VAL_SET 0x0040u
#define TN_32 0x0100u
#define TN_ROUTE_SHIFT 9
#define TN_ROUTE (0x1fu << TN_ROUTE_SHIFT)
#define TN_WRITABLE (TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_32 | TN_ROUTE)

#define NO_GSI 32
/* A match farther away than this is looked for again then: an hour and a half. */
#define FAR_TICKS BIT(36)

static bool hpet_runs(const struct hpet *h)
{
	return h->config & CONFIG_ENABLE;
}

static u64 hpet_counter(const struct hpet *h, u64 now)
{
	if (!hpet_runs(h) || (i64)(now - h->start) < 0)
		return h->base;
	return h->base + mul_div(now - h->start, HPET_HZ, tsc_hz());
}

/* The smallest TSC span in which so many ticks have passed, or one more. */
static u64 ticks_to_tsc(u64 ticks)
{
	return mul_div(ticks, tsc_hz(), HPET_HZ) + 1;
}

/* ---- one timer ---- */
static u64 comparator_mask(const struct hpet_timer *t)
{
	return t->config & TN_32 ? UINT32_MAX : UINT64_MAX;
}

/* Ticks from what was seen to the next match, less one: from 0 on. */
static u64 comparator_distance(const struct hpet_timer *t)
{
	return (t->value - t->seen - 1) & comparator_mask(t);
}

/* Whether the counter came past the comparator, once or more often; 2.3.9.2. */
static bool comparator_advance(struct hpet_timer *t, u64 counter)
{
	u64 span = counter - t->seen, distance = comparator_distance(t);

	if ((i64)span <= 0)
		return false; /* a moment ago, by the TSC of another CPU */
	t->seen = counter;
	if (distance >= span)
		return false;
	if ((t->config & TN_PERIODIC) && t->period)
		t->value =
		    (t->value + ((span - 1 - distance) / t->period + 1) * t->period) & comparator_mask(t);
	return true;
}

static unsigned comparator_gsi(const struct hpet *h, unsigned n)
{
	unsigned route = (h->timers[n].config & TN_ROUTE) >> TN_ROUTE_SHIFT;

	if ((h->config & CONFIG_LEGACY) && n < 2)
		return n == 0 ? IRQ_TIMER : IRQ_CLOCK;
	return HPET_ROUTES >> route & 1 ? route : NO_GSI;
}

/* Whether the guest would notice its next match at once. */
static bool comparator_is_awaited(const struct hpet *h, unsigned n)
{
	const struct hpet_timer *t = &h->timers[n];

	if (!(t->config & TN_ENABLE) || t->unseen || comparator_gsi(h, n) == NO_GSI)
		return false;
	return !(t->config & TN_LEVEL) || !(h->status >> n & 1);
}

/* The matches that were missed are one: a status bit has two states, and so has a line. The edges of a timer
 * that rests are lost. */
static void comparator_match(struct hpet *h, unsigned n)
{
	struct hpet_timer *t = &h->timers[n];
	unsigned gsi = comparator_gsi(h, n);

	if (t->config & TN_LEVEL) {
		h->status |= 1u << n;
	} else if ((t->config & TN_ENABLE) && gsi != NO_GSI && !t->unseen) {
		t->unseen = !irq_hpet_tick(h->irq, gsi);
		h->driven |= IRQ_REPLACED & 1u << gsi; /* where it stays high */
	}
}

/* ---- all of them ---- */
/* What the lines are to be. The wire of an edge that stays high does so until its timer is for something
 * else. */
static u32 hpet_lines(const struct hpet *h)
{
	u32 lines = 0;

	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		u32 config = h->timers[n].config;
		unsigned gsi = comparator_gsi(h, n);
		if (!(config & TN_ENABLE) || gsi == NO_GSI)
			continue;
		if (!(config & TN_LEVEL))
			lines |= h->driven & IRQ_REPLACED & 1u << gsi;
		else if (hpet_runs(h) && (h->status >> n & 1))
			lines |= 1u << gsi;
	}
	return lines;
}

static void hpet_drive(struct hpet *h, u32 lines)
{
	u32 changed = lines ^ h->driven;

	h->driven = lines;
	for (; changed; changed &= changed - 1)
		irq_hpet_set(h->irq, bit_first(changed), lines >> bit_first(changed) & 1);
}

/* Arms the timer for the first match that is awaited. */
static void hpet_rearm(struct hpet *h, u64 counter)
{
	u64 deadline = ~(u64)0;

	for (unsigned n = 0; n < HPET_TIMERS && hpet_runs(h); n++) {
		const struct hpet_timer *t = &h->timers[n];
		u64 ticks = MIN(comparator_distance(t), FAR_TICKS) + 1, at;
		if (!comparator_is_awaited(h, n))
			continue;
		at = h->start + ticks_to_tsc(counter - h->base + ticks);
		if ((t->config & TN_PERIODIC) && t->period < HPET_MIN_TICKS)
			at = MAX(at, h->earliest);
		deadline = MIN(deadline, at);
	}
	if (deadline == ~(u64)0)
		timer_cancel(&h->timer);
	else
		timer_set(&h->timer, deadline);
}

/* Everything that has happened by now, and what follows from it. */
static void hpet_update(struct hpet *h, u64 now)
{
	u64 counter = hpet_counter(h, now);

	for (unsigned n = 0; n < HPET_TIMERS && hpet_runs(h); n++)
		if (comparator_advance(&h->timers[n], counter))
			comparator_match(h, n);
	hpet_drive(h, hpet_lines(h));
	hpet_rearm(h, counter);
}

static void hpet_fire(void *opaque)
{
	struct hpet *h = opaque;
	u64 now = tsc_now();

	h->earliest = now + ns_to_tsc(HPET_MIN_INTERVAL_NS);
	hpet_update(h, now);
}

/* Those that rested: their next edges come in their time. */
static void hpet_tick_wanted(void *opaque)
{
	struct hpet *h = opaque;
	bool rested = false;
	u64 now;

	spin_lock(&h->lock);
	now = tsc_now();
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		struct hpet_timer *t = &h->timers[n];
		if (!t->unseen)
			continue;
		rested = true;
		t->unseen = false;
		if (hpet_runs(h))
			comparator_advance(t, hpet_counter(h, now));
	}
	if (rested)
		hpet_update(h, now);
	spin_unlock(&h->lock);
}

/* ---- registers ---- */
/* 64 bits after the write of all or of half of them. */
static u64 merge(u64 old, u64 offset, unsigned size, u64 value)
{
	if (size == 8)
		return value;
	if (offset & 4)
		return (u32)old | value << 32;
	return (old & ~(u64)UINT32_MAX) | (u32)value;
}

static void write_config(struct hpet *h, u32 config, u64 now)
{
	u32 changed = config ^ h->config;

	if (changed & CONFIG_LEGACY) {
		hpet_drive(h, 0);
		irq_replace(h->irq, config & CONFIG_LEGACY);
	}
	if (changed & CONFIG_ENABLE) {
		h->base = hpet_counter(h, now);
		h->start = now;
	}
	h->config = config;
}

/* What was counted to may be the counter's value already: then it is a match. */
static void forget_seen(const struct hpet *h, struct hpet_timer *t, u64 now)
{
	t->seen = hpet_counter(h, now) - 1;
}

/* 2.3.7: only while it stands. */
static void write_counter(struct hpet *h, u64 value)
{
	if (hpet_runs(h))
		return;
	h->base = value;
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		forget_seen(h, &h->timers[n], 0);
}

/* A route that there is not leaves the one that was. */
static void write_timer_config(struct hpet *h, unsigned n, u32 value)
{
	struct hpet_timer *t = &h->timers[n];
	u32 config = value & TN_WRITABLE;

	if (!(HPET_ROUTES >> (config >> TN_ROUTE_SHIFT & 0x1f) & 1))
		config = (config & ~TN_ROUTE) | (t->config & TN_ROUTE);
	t->config = config;
	t->set_value = (value & TN_VAL_SET) && (value & TN_PERIODIC);
	t->value &= comparator_mask(t);
	t->period &= comparator_mask(t);
	if (!(config & TN_LEVEL))
		h->status &= ~(1u << n);
}

/* 2.3.9.2.2: what is written to a periodic timer is its period, and its accumulator when that was asked for.
 */
static void write_timer_value(struct hpet *h, unsigned n, u64 offset, unsigned size, u64 value, u64 now)
{
	struct hpet_timer *t = &h->timers[n];

	if (!(t->config & TN_PERIODIC) || t->set_value) {
		t->value = merge(t->value, offset, size, value) & comparator_mask(t);
		forget_seen(h, t, now);
	}
	t->period = merge(t->period, offset, size, value) & comparator_mask(t);
	t->set_value = false;
}

static void write_register(struct hpet *h, u64 offset, unsigned size, u64 value, u64 now)
{
	u64 reg = offset & ~(u64)7;
	unsigned n = (unsigned)(reg - REG_TIMERS) / TIMER_STRIDE;

	if (reg == REG_COUNTER) {
		write_counter(h, merge(h->base, offset, size, value));
	} else if (reg >= REG_TIMERS && reg % TIMER_STRIDE == TIMER_VALUE && n < HPET_TIMERS) {
		write_timer_value(h, n, offset, size, value, now);
	} else if (offset & 4) {
		return; /* the upper halves of the others are read only */
	} else if (reg == REG_CONFIG) {
		write_config(h, value & (CONFIG_ENABLE | CONFIG_LEGACY), now);
	} else if (reg == REG_STATUS) {
		h->status &= ~(u32)value;
	} else if (reg >= REG_TIMERS && reg % TIMER_STRIDE == TIMER_CONFIG && n < HPET_TIMERS) {
		write_timer_config(h, n, (u32)value);
	}
}

void hpet_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct hpet *h = opaque;
	bool was_legacy, gives_back;
	u64 now;

	if (size < 4 || offset % size)
		return;
	spin_lock(&h->lock);
	now = tsc_now();
	hpet_update(h, now);
	was_legacy = h->config & CONFIG_LEGACY;
	write_register(h, offset, size, value, now);
	gives_back = was_legacy && !(h->config & CONFIG_LEGACY);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		h->timers[n].unseen = false; /* it may go elsewhere now */
	hpet_update(h, now);
	spin_unlock(&h->lock);
	if (gives_back)
		irq_tell_waiters(h->irq);
}

static u64 read_timer(const struct hpet *h, unsigned n, u64 offset)
{
	const struct hpet_timer *t = &h->timers[n];

	switch (offset % TIMER_STRIDE & ~(u64)7) {
	case TIMER_CONFIG:
		return (u64)HPET_ROUTES << 32 | TN_CAN_PERIODIC | TN_CAN_64 | t->config;
	case TIMER_VALUE:
		return t->value;
	default:
		return 0;
	}
}

static u64 read_register(struct hpet *h, u64 reg, u64 now)
{
	unsigned n = (unsigned)(reg - REG_TIMERS) / TIMER_STRIDE;

	switch (reg) {
	case REG_ID:
		return (u64)HPET_PERIOD_FS << 32 | HPET_ID;
	case REG_CONFIG:
		return h->config;
	case REG_COUNTER:
		return hpet_counter(h, now);
	case REG_STATUS:
		hpet_update(h, now);
		return h->status;
	default:
		if (reg < REG_TIMERS || n >= HPET_TIMERS)
			return 0;
		hpet_update(h, now);
		return read_timer(h, n, reg);
	}
}

u64 hpet_read(void *opaque, u64 offset, unsigned size)
{
	struct hpet *h = opaque;
	u64 value;

	spin_lock(&h->lock);
	value = read_register(h, offset & ~(u64)7, tsc_now()) >> (offset % 8 * 8);
	spin_unlock(&h->lock);
	return size == 8 ? value : value & (BIT(8 * size) - 1);
}

void hpet_reset(struct hpet *h)
{
	spin_lock(&h->lock);
	timer_cancel(&h->timer);
	hpet_drive(h, 0);
	irq_replace(h->irq, false);
	h->config = h->status = 0;
	h->base = h->earliest = 0;
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		h->timers[n] = (struct hpet_timer){.value = UINT64_MAX, .seen = UINT64_MAX};
	spin_unlock(&h->lock);
}

void hpet_init(struct hpet *h, struct irq_router *irq)
{
	*h = (struct hpet){.irq = irq};
	timer_init(&h->timer, hpet_fire, h, &h->lock);
	irq_on_tick_wanted(irq, hpet_tick_wanted, h);
	hpet_reset(h);
}

void hpet_fini(struct hpet *h)
{
	timer_destroy(&h->timer);
}
