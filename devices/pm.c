/* SPDX-License-Identifier: Apache-2.0 */
/* Power management: ACPI fixed hardware and the reset control register; see pm.h. */
#include "pm.h"

#include "guest.h"
#include "host.h"
#include "irq.h"
#include "log.h"

/* PM1 status and enable (ACPI 6.4, tables 4.11 and 4.12). */
#define PM1_TMR 0x0001
#define PM1_GBL 0x0020
#define PM1_PWRBTN 0x0100
#define PM1_RTC 0x0400
/* Nothing ever releases a global lock or wakes the machine by its clock, but drivers set these enable
 * bits and look whether they stay. */
#define PM1_ENABLES (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_RTC)
/* PM1 control (table 4.13). */
#define CNT_SCI_EN 0x0001
#define CNT_BM_RLD 0x0002
#define CNT_SLP_TYP 0x1c00
#define CNT_SLP_TYP_SHIFT 10
#define CNT_SLP_EN 0x2000 /* write only */

#define RESET_CPU 0x04 /* rising: reset; bit 1 chooses hard or soft, which is one to a guest */
#define RESET_WRITABLE 0x0e

#define OFFSET_STATUS 0
#define OFFSET_ENABLE 2
#define OFFSET_CONTROL 4
#define OFFSET_TIMER 8

static u64 pm_ticks(const struct pm *pm)
{
	return mul_div(tsc_now() - pm->timer_base, PM_TIMER_HZ, tsc_hz());
}

/* Turns of bit 31 are noticed when somebody looks, or when the timer fires for the guest's sake. */
static void pm_update(struct pm *pm)
{
	u64 epoch = pm_ticks(pm) >> 31;

	if (epoch != pm->timer_epoch)
		pm->status |= PM1_TMR;
	pm->timer_epoch = epoch;
	irq_set(pm->irq, PM_SCI_GSI, pm->status & pm->enable);
	if ((pm->enable & PM1_TMR) && !(pm->status & PM1_TMR))
		timer_set(&pm->timer, pm->timer_base + mul_div((epoch + 1) << 31, tsc_hz(), PM_TIMER_HZ) + 1);
	else
		timer_cancel(&pm->timer);
}

static void pm_fire(void *opaque)
{
	struct pm *pm = opaque;

	pm_update(pm);
}

static void pm_write_control(struct pm *pm, u16 v)
{
	unsigned type = (v & CNT_SLP_TYP) >> CNT_SLP_TYP_SHIFT;

	pm->control = CNT_SCI_EN | (v & (CNT_BM_RLD | CNT_SLP_TYP));
	if (!(v & CNT_SLP_EN))
		return;
	if (type == PM_SLP_TYP_S5) {
		guest_stop(pm->guest, GUEST_POWEROFF, 0);
	} else if (!pm->bad_sleep) {
		pm->bad_sleep = true;
		log_warn("%s: asks for sleep type %u, which this machine does not have",
			 guest_name(pm->guest), type);
	}
}

/* The registers as 32-bit words; status is one field, enable another, and so on. */
static u32 pm_read_word(struct pm *pm, u64 offset)
{
	switch (offset & ~(u64)3) {
	case OFFSET_STATUS:
		pm_update(pm);
		return pm->status | (u32)pm->enable << 16;
	case OFFSET_CONTROL:
		return pm->control;
	case OFFSET_TIMER:
		return (u32)pm_ticks(pm);
	default:
		return 0;
	}
}

u64 pm_read(void *opaque, u64 offset, unsigned size)
{
	struct pm *pm = opaque;
	u64 v = 0;

	if (likely(offset == OFFSET_TIMER && size == 4))
		return (u32)pm_ticks(pm);
	spin_lock(&pm->lock);
	for (unsigned i = 0; i < size; i++)
		v |= (pm_read_word(pm, offset + i) >> (offset + i) % 4 * 8 & 0xff) << (8 * i);
	spin_unlock(&pm->lock);
	return v;
}

/* A 16-bit register after the write of some of its bytes; the others keep `old`. */
static u16 pm_merge(u16 old, u64 reg, u64 offset, unsigned size, u64 value)
{
	u8 bytes[2] = {(u8)old, (u8)(old >> 8)};

	for (unsigned i = 0; i < size; i++)
		if ((offset + i) / 2 == reg / 2)
			bytes[(offset + i) % 2] = (u8)(value >> (8 * i));
	return (u16)(bytes[0] | bytes[1] << 8);
}

static bool pm_touches(u64 reg, u64 offset, unsigned size)
{
	return offset < reg + 2 && reg < offset + size;
}

void pm_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct pm *pm = opaque;

	spin_lock(&pm->lock);
	if (pm_touches(OFFSET_STATUS, offset, size) || pm_touches(OFFSET_ENABLE, offset, size)) {
		pm_update(pm);
		pm->status &= (u16)~pm_merge(0, OFFSET_STATUS, offset, size, value);
		pm->enable = pm_merge(pm->enable, OFFSET_ENABLE, offset, size, value) & PM1_ENABLES;
		pm_update(pm);
	}
	if (pm_touches(OFFSET_CONTROL, offset, size))
		pm_write_control(pm, pm_merge(pm->control, OFFSET_CONTROL, offset, size, value));
	spin_unlock(&pm->lock);
}

u64 pm_reset_read(void *opaque, u64 offset, unsigned size)
{
	const struct pm *pm = opaque;

	(void)offset, (void)size;
	return pm->reset_control;
}

void pm_reset_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct pm *pm = opaque;
	u8 v = (u8)value & RESET_WRITABLE;

	(void)offset, (void)size;
	spin_lock(&pm->lock);
	if (v & ~pm->reset_control & RESET_CPU)
		guest_stop(pm->guest, GUEST_RESET, 0);
	pm->reset_control = v;
	spin_unlock(&pm->lock);
}

void pm_power_button(struct pm *pm)
{
	spin_lock(&pm->lock);
	pm->status |= PM1_PWRBTN;
	pm_update(pm);
	spin_unlock(&pm->lock);
}

void pm_reset(struct pm *pm)
{
	spin_lock(&pm->lock);
	pm->status = pm->enable = 0;
	pm->control = CNT_SCI_EN;
	pm->reset_control = 0;
	pm->timer_base = tsc_now();
	pm->timer_epoch = 0;
	pm_update(pm);
	spin_unlock(&pm->lock);
}

void pm_init(struct pm *pm, struct guest *g, struct irq_router *irq)
{
	*pm = (struct pm){.guest = g, .irq = irq};
	timer_init(&pm->timer, pm_fire, pm, &pm->lock);
	pm_reset(pm);
}

void pm_fini(struct pm *pm)
{
	timer_destroy(&pm->timer);
}
