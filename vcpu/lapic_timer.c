/* SPDX-License-Identifier: Apache-2.0 */
/* The timer of the local APIC (advanced programmable interrupt controller): one-shot, periodic and
 * TSC-deadline mode. SDM volume 3, 11.5.4. Its input clock is the TSC, so counts are ticks. */
#include "lapic_regs.h"

#include "host.h"

static void timer_arm(struct lapic *l, u64 host_deadline)
{
	l->timer_deadline = host_deadline;
	l->timer_on = true;
	if (likely(l->timer_watched))
		l->timer_due = host_deadline;
	else
		timer_set(&l->timer, host_deadline);
}

static void timer_forget(struct lapic *l)
{
	l->timer_due = LAPIC_TIMER_NEVER;
	if (!l->timer_watched && timer_is_known(&l->timer))
		timer_cancel(&l->timer);
}

static void timer_disarm(struct lapic *l)
{
	l->timer_on = false;
	timer_forget(l);
}

static u64 timer_period(const struct lapic *l)
{
	u64 period = (u64)l->timer_initial << l->timer_shift;
	u64 least = ns_to_tsc(LAPIC_TIMER_MIN_PERIOD_NS);

	return MAX(period, MAX(least, 1));
}

static void timer_expired(void *opaque)
{
	struct lapic *l = opaque;

	l->timer_on = false;
	l->tsc_deadline = 0;
	if (l->timer_mode == TIMER_PERIODIC && l->timer_initial) {
		u64 now = tsc_now(), next = l->timer_deadline + l->timer_period;
		/* Periods that were missed are gone: the IRR holds one interrupt anyway. */
		if (next <= now)
			next = now + l->timer_period - (now - next) % l->timer_period;
		timer_arm(l, next);
	}
	lapic_lvt_raise(l, LAPIC_LVT_TIMER);
}

void lapic_timer_init(struct lapic *l)
{
	timer_init(&l->timer, timer_expired, l, NULL);
	l->timer_due = LAPIC_TIMER_NEVER;
}

void lapic_timer_reset(struct lapic *l)
{
	timer_disarm(l);
	l->tsc_deadline = 0;
	l->timer_initial = 0;
	l->timer_mode = TIMER_ONE_SHOT;
	l->timer_shift = 1;
}

void lapic_timer_watch(struct lapic *l)
{
	timer_forget(l);
	l->timer_watched = true;
	if (l->timer_on)
		l->timer_due = l->timer_deadline;
}

void lapic_timer_unwatch(struct lapic *l)
{
	timer_forget(l);
	l->timer_watched = false;
	if (l->timer_on)
		timer_set(&l->timer, l->timer_deadline);
}

void lapic_timer_poll(struct lapic *l, u64 now)
{
	if (l->timer_due > now)
		return;
	l->timer_due = LAPIC_TIMER_NEVER;
	timer_expired(l);
}

/* ---- countdown ---- */
u32 lapic_timer_current(const struct lapic *l)
{
	u64 now = tsc_now(), left;

	if (!l->timer_on || l->timer_mode >= TIMER_DEADLINE)
		return 0;
	if (now < l->timer_deadline)
		left = l->timer_deadline - now;
	else if (l->timer_mode == TIMER_PERIODIC) /* over, but its handler has not run yet */
		left = l->timer_period - (now - l->timer_deadline) % l->timer_period;
	else
		return 0;
	left = (left + BIT(l->timer_shift) - 1) >> l->timer_shift;
	return (u32)MIN(left, l->timer_initial);
}

void lapic_timer_set_initial(struct lapic *l, u32 count)
{
	/* TSC-deadline mode ignores it (11.5.4.1); an APIC-write VM exit has written the page. */
	if (l->timer_mode >= TIMER_DEADLINE)
		count = 0;
	lapic_set_reg(l, LAPIC_TIMER_INITIAL, count);
	if (l->timer_mode >= TIMER_DEADLINE)
		return;
	l->timer_initial = count;
	l->timer_period = timer_period(l);
	if (!count)
		timer_disarm(l);
	else if (l->timer_mode == TIMER_PERIODIC)
		timer_arm(l, tsc_now() + l->timer_period);
	else
		timer_arm(l, tsc_now() + ((u64)count << l->timer_shift));
}

/* The count goes on at the new rate (figure 11-10). */
void lapic_timer_set_divide(struct lapic *l, u32 value)
{
	u64 left = lapic_timer_current(l);

	lapic_set_reg(l, LAPIC_TIMER_DIVIDE, value);
	l->timer_shift = (u8)(((value & 3) | (value >> 1 & 4)) + 1) & 7;
	l->timer_period = timer_period(l);
	if (l->timer_on && l->timer_mode < TIMER_DEADLINE)
		timer_arm(l, tsc_now() + (left << l->timer_shift));
}

/* One-shot and periodic mode differ only in what happens at zero, so a countdown survives a change
 * between them; it does not survive one to or from TSC-deadline mode (11.5.4.1). */
void lapic_timer_lvt_written(struct lapic *l)
{
	u8 mode = lapic_reg(l, LAPIC_LVT_TIMER) >> LVT_TIMER_MODE_SHIFT & 3;

	if (mode == l->timer_mode)
		return;
	if (mode >= TIMER_DEADLINE || l->timer_mode >= TIMER_DEADLINE) {
		timer_disarm(l);
		l->tsc_deadline = 0;
		l->timer_initial = 0;
		lapic_set_reg(l, LAPIC_TIMER_INITIAL, 0);
	}
	l->timer_mode = mode;
}

/* ---- TSC deadline ---- */
u64 lapic_deadline_read(const struct lapic *l)
{
	return l->timer_mode == TIMER_DEADLINE ? l->tsc_deadline : 0;
}

static void deadline_arm(struct lapic *l, u64 guest_tsc)
{
	u64 now = tsc_now(), left = guest_tsc - (now + l->tsc_offset);

	l->tsc_deadline = guest_tsc;
	/* Unsigned guest time: a deadline that the guest's TSC has passed fires before its next
	 * instruction, one beyond the end of the host's TSC never. */
	if (likely(guest_tsc > now + l->tsc_offset))
		timer_arm(l, likely(left < ~now) ? now + left : ~(u64)0);
	else {
		timer_forget(l);
		timer_expired(l);
	}
}

void lapic_deadline_write(struct lapic *l, u64 guest_tsc)
{
	if (unlikely(l->timer_mode != TIMER_DEADLINE))
		return;
	if (likely(guest_tsc)) {
		deadline_arm(l, guest_tsc);
	} else {
		timer_disarm(l);
		l->tsc_deadline = 0;
	}
}

void lapic_tsc_changed(struct lapic *l)
{
	if (l->tsc_deadline)
		deadline_arm(l, l->tsc_deadline);
}
