/* SPDX-License-Identifier: Apache-2.0 */
/* One counter of the 8254; see pit_channel.h. "Mode definitions" of the data sheet: a count is loaded
 * one clock after it was written or triggered, hence start = now + one clock, and e below is the
 * number of clocks since the load. */
#include "pit_channel.h"

#include "host.h"

#define COUNT_MAX 0x10000
#define COUNT_MAX_BCD 10000

u64 pit_clocks(u64 tsc)
{
	return mul_div(tsc, PIT_HZ, tsc_hz());
}

/* The smallest TSC span in which so many clocks have passed, or one tick more. */
static u64 clocks_to_tsc(u64 clocks)
{
	return mul_div(clocks, tsc_hz(), PIT_HZ) + 1;
}

static bool tsc_before(u64 a, u64 b)
{
	return (i64)(a - b) < 0;
}

/* The gate stops counting in these modes; in 1 and 5 it only triggers. */
static bool channel_pausable(const struct pit_channel *c)
{
	return c->mode != 1 && c->mode != 5;
}

static u64 channel_elapsed(const struct pit_channel *c, u64 now)
{
	if (!c->gate && channel_pausable(c))
		return c->paused;
	return tsc_before(now, c->start) ? 0 : pit_clocks(now - c->start);
}

static u32 channel_high_half(u32 count)
{
	return (count + 1) / 2; /* mode 3: an odd clock goes to the high half */
}

void channel_sync(struct pit_channel *c, u64 now)
{
	if (!c->reload || !channel_periodic(c) || !c->gate || tsc_before(now, c->reload_at))
		return;
	c->reload = false;
	c->count = c->next_count;
	c->start = c->reload_start;
}

void channel_program(struct pit_channel *c, u8 control)
{
	u8 mode = (control >> 1) & 7;
	bool gate = c->gate;

	*c = (struct pit_channel){.control = control,
				  .mode = mode > 5 ? mode - 4 : mode,
				  .bcd = control & 1,
				  .gate = gate,
				  .count = COUNT_MAX};
}

void channel_hold(struct pit_channel *c)
{
	if (c->mode == 0)
		c->running = false;
}

static u32 count_decode(u16 raw, bool bcd)
{
	u32 n = raw;

	if (bcd)
		n = (raw >> 12) * 1000U + (raw >> 8 & 15U) * 100U + (raw >> 4 & 15U) * 10U + (raw & 15U);
	if (n)
		return n;
	return bcd ? COUNT_MAX_BCD : COUNT_MAX;
}

static void channel_start(struct pit_channel *c, u32 count, u64 now)
{
	c->count = count;
	c->start = now + clocks_to_tsc(1);
	c->paused = 0;
	c->reload = false;
	c->running = true;
}

/* Modes 2 and 3: the new count takes over at the end of the period, or of the half period. */
static void channel_schedule(struct pit_channel *c, u32 count, u64 now)
{
	u64 e = channel_elapsed(c, now);
	u32 phase = (u32)(e % c->count), half = channel_high_half(c->count);
	bool to_low = c->mode == 3 && phase < half;

	c->next_count = count;
	c->reload = true;
	c->reload_at = c->start + clocks_to_tsc(e - phase + (to_low ? half : c->count));
	c->reload_start = c->reload_at;
	if (to_low)
		c->reload_start -= clocks_to_tsc(channel_high_half(count));
}

void channel_load(struct pit_channel *c, u16 raw, u64 now)
{
	u32 count = count_decode(raw, c->bcd);

	c->written = true;
	if (!channel_pausable(c)) {
		c->next_count = count;
		c->reload = true; /* at the next trigger */
	} else if (channel_periodic(c) && c->running) {
		channel_schedule(c, count, now);
	} else {
		channel_start(c, count, now);
	}
}

void channel_gate(struct pit_channel *c, bool level, u64 now)
{
	u64 e;

	if (level == c->gate)
		return;
	e = channel_elapsed(c, now);
	c->gate = level;
	if (!level) {
		c->paused = e;
		return;
	}
	if (!c->written)
		return;
	if (c->mode == 0 || c->mode == 4)
		c->start = now - (c->paused ? clocks_to_tsc(c->paused) : 0);
	else
		channel_start(c, c->reload ? c->next_count : c->count, now);
}

static u16 count_encode(u32 n, bool bcd)
{
	if (!bcd)
		return (u16)n;
	n %= COUNT_MAX_BCD;
	return (u16)(n / 1000 << 12 | n / 100 % 10 << 8 | n / 10 % 10 << 4 | n % 10);
}

u16 channel_value(const struct pit_channel *c, u64 now)
{
	u32 span = c->bcd ? COUNT_MAX_BCD : COUNT_MAX, phase, half;
	u64 e;

	if (!c->running)
		return 0;
	e = channel_elapsed(c, now);
	if (!channel_periodic(c))
		return count_encode((u32)(c->count + span * 2 - e % span) % span, c->bcd);
	phase = (u32)(e % c->count);
	if (c->mode == 2)
		return count_encode(c->count - phase, c->bcd);
	/* Mode 3 counts down by two in each half, from the even number. */
	half = channel_high_half(c->count);
	return count_encode((c->count & ~1U) - 2 * (phase < half ? phase : phase - half), c->bcd);
}

bool channel_out(const struct pit_channel *c, u64 now)
{
	u64 e = channel_elapsed(c, now);

	switch (c->mode) {
	case 0:
		return c->running && e >= c->count;
	case 1:
		return !c->running || tsc_before(now, c->start) || e >= c->count;
	case 2:
		return !c->running || !c->gate || e % c->count != c->count - 1;
	case 3:
		return !c->running || !c->gate || e % c->count < channel_high_half(c->count);
	default: /* 4, 5 */
		return !c->running || e != c->count;
	}
}

bool channel_null(const struct pit_channel *c, u64 now)
{
	if (!c->running || c->reload)
		return true;
	return (c->gate || !channel_pausable(c)) && tsc_before(now, c->start);
}

static bool channel_next_period(const struct pit_channel *c, u64 now, u64 *edge)
{
	if (c->reload && tsc_before(now, c->reload_start) && c->reload_start == c->reload_at)
		*edge = c->reload_start;
	else if (c->reload)
		*edge = c->reload_start + clocks_to_tsc(c->next_count);
	else
		*edge = c->start + clocks_to_tsc((channel_elapsed(c, now) / c->count + 1) * c->count);
	return true;
}

bool channel_next_edge(const struct pit_channel *c, u64 now, u64 *edge)
{
	u64 e;

	if (!c->running || !channel_pausable(c))
		return false;
	if (channel_periodic(c))
		return channel_next_period(c, now, edge);
	e = c->mode == 0 ? c->count : (u64)c->count + 1; /* mode 4: the end of the strobe */
	*edge = c->start + clocks_to_tsc(e);
	return tsc_before(now, *edge);
}

bool channel_idle_level(const struct pit_channel *c, u64 now)
{
	return c->mode != 0 || channel_out(c, now);
}
