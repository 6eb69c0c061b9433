/* SPDX-License-Identifier: Apache-2.0 */
/* The MC146818 real-time clock; see rtc.h. The time is computed when somebody looks; the calendar is
 * in rtc_calendar.c. Events (update, alarm, period) become flags when register C is read or when
 * the timer of an enabled interrupt fires. */
#include "rtc.h"

#include "host.h"
#include "irq.h"
#include "rtc_calendar.h"

#define RTC_IRQ 8

#define REG_A 0x0a
#define REG_B 0x0b
#define REG_C 0x0c
#define REG_D 0x0d
#define A_UIP 0x80
#define A_DIVIDER 0x70
#define A_DIVIDER_RUN 0x20 /* the only setting for a 32.768 kHz crystal that counts */
#define A_RATE 0x0f
#define B_SET 0x80
#define B_PIE 0x40
#define B_AIE 0x20
#define B_UIE 0x10
#define B_SQWE 0x08
#define B_DSE 0x01 /* no daylight saving here, as in today's chip sets: reads 0 */
#define C_IRQF 0x80
#define C_PF 0x40
#define C_AF 0x20
#define C_UF 0x10
#define D_VALID 0x80
#define NMI_MASK 0x80 /* bit 7 of port 0x70: nothing on this board raises NMI */

#define UIP_NS 244000 /* UIP rises so long before an update */

static bool rtc_counting(const struct rtc *rtc)
{
	return (rtc->reg[REG_A] & A_DIVIDER) == A_DIVIDER_RUN;
}

/* The time registers do not follow the clock: the guest writes them or has stopped it. */
static bool rtc_frozen(const struct rtc *rtc)
{
	return (rtc->reg[REG_B] & B_SET) || !rtc_counting(rtc);
}

/* Seconds begun since phase. */
static u64 rtc_elapsed(const struct rtc *rtc, u64 now)
{
	return (now - rtc->phase) / tsc_hz();
}

/* Periodic rate in Hz; 0: off. Rates 1 and 2 repeat 8 and 9. */
static u64 rtc_rate(const struct rtc *rtc)
{
	unsigned rate = rtc->reg[REG_A] & A_RATE;

	if (!rate || !rtc_counting(rtc))
		return 0;
	return 32768U >> ((rate < 3 ? rate + 7 : rate) - 1);
}

static u64 rtc_periods(const struct rtc *rtc, u64 now)
{
	return mul_div(now - rtc->phase, rtc_rate(rtc), tsc_hz());
}

static void rtc_refresh(struct rtc *rtc, u64 now)
{
	if (!rtc_frozen(rtc))
		calendar_to_regs(rtc->second + rtc_elapsed(rtc, now), rtc->weekday_shift, rtc->reg);
}

/* The time registers were written: the clock goes on from them. */
static void rtc_adopt(struct rtc *rtc, u64 now)
{
	u64 t = calendar_from_regs(rtc->reg, &rtc->weekday_shift);

	rtc->second = t - rtc_elapsed(rtc, now);
	rtc->seen_second = rtc_elapsed(rtc, now);
}

/* Turns what has happened since the last call into flags, and drives the interrupt line. */
static void rtc_collect(struct rtc *rtc, u64 now)
{
	u64 second = rtc_elapsed(rtc, now), period = rtc_periods(rtc, now), alarm;
	u8 *flags = &rtc->reg[REG_C];

	if (period != rtc->seen_period && rtc_rate(rtc))
		*flags |= C_PF;
	rtc->seen_period = period;
	if (second != rtc->seen_second && !rtc_frozen(rtc)) {
		*flags |= C_UF;
		if (calendar_next_alarm(rtc->reg, rtc->second + rtc->seen_second + 1, &alarm) &&
		    alarm <= rtc->second + second)
			*flags |= C_AF;
	}
	rtc->seen_second = second;
	*flags &= (u8)~C_IRQF;
	if (*flags & rtc->reg[REG_B])
		*flags |= C_IRQF;
	irq_set(rtc->irq, RTC_IRQ, *flags & C_IRQF);
}

/* The timer runs only for interrupts that are enabled and not pending yet: a guest that does not
 * read register C gets one of each. */
static void rtc_rearm(struct rtc *rtc)
{
	u8 wanted = rtc->reg[REG_B] & (u8)~rtc->reg[REG_C];
	u64 deadline = ~(u64)0, alarm;

	if ((wanted & B_PIE) && rtc_rate(rtc))
		deadline = rtc->phase + mul_div(rtc->seen_period + 1, tsc_hz(), rtc_rate(rtc)) + 1;
	if ((wanted & B_UIE) && !rtc_frozen(rtc))
		deadline = MIN(deadline, rtc->phase + (rtc->seen_second + 1) * tsc_hz());
	if ((wanted & B_AIE) && !rtc_frozen(rtc) &&
	    calendar_next_alarm(rtc->reg, rtc->second + rtc->seen_second + 1, &alarm))
		deadline = MIN(deadline, rtc->phase + (alarm - rtc->second) * tsc_hz());
	if (deadline == ~(u64)0)
		timer_cancel(&rtc->timer);
	else
		timer_set(&rtc->timer, deadline);
}

static void rtc_fire(void *opaque)
{
	struct rtc *rtc = opaque;

	rtc_collect(rtc, tsc_now());
	rtc_rearm(rtc);
}

static void rtc_write_a(struct rtc *rtc, u8 v, u64 now)
{
	bool was_counting = rtc_counting(rtc);

	rtc_refresh(rtc, now);
	rtc->reg[REG_A] = v & (u8)~A_UIP;
	if (!was_counting && rtc_counting(rtc)) {
		/* The first update comes half a second after the divider starts. */
		rtc->phase = now - tsc_hz() / 2;
		rtc_adopt(rtc, now);
	}
	rtc->seen_period = rtc_periods(rtc, now);
}

static void rtc_write_b(struct rtc *rtc, u8 v, u64 now)
{
	bool was_frozen = rtc_frozen(rtc);

	rtc_refresh(rtc, now);
	if (v & B_SET)
		v &= (u8)~B_UIE;
	rtc->reg[REG_B] = v & (u8)~B_DSE;
	if (was_frozen && !rtc_frozen(rtc))
		rtc_adopt(rtc, now);
}

static void rtc_write_time(struct rtc *rtc, unsigned index, u8 v, u64 now)
{
	rtc_refresh(rtc, now);
	rtc->reg[index] = v;
	if (!rtc_frozen(rtc))
		rtc_adopt(rtc, now);
}

static void rtc_write_reg(struct rtc *rtc, unsigned index, u8 v)
{
	u64 now = tsc_now();

	rtc_collect(rtc, now);
	switch (index) {
	case REG_A:
		rtc_write_a(rtc, v, now);
		break;
	case REG_B:
		rtc_write_b(rtc, v, now);
		break;
	case REG_C: /* read only */
	case REG_D:
		break;
	default:
		if (calendar_is_time(index))
			rtc_write_time(rtc, index, v, now);
		else
			rtc->reg[index] = v;
	}
	rtc_collect(rtc, now);
	rtc_rearm(rtc);
}

static u8 rtc_read_reg(struct rtc *rtc, unsigned index)
{
	u64 now = tsc_now();
	u8 v;

	rtc_refresh(rtc, now);
	v = rtc->reg[index];
	if (index == REG_A && !rtc_frozen(rtc) &&
	    (now - rtc->phase) % tsc_hz() >= tsc_hz() - ns_to_tsc(UIP_NS))
		v |= A_UIP;
	if (index == REG_C) {
		rtc_collect(rtc, now);
		v = rtc->reg[REG_C];
		rtc->reg[REG_C] = 0;
		rtc_collect(rtc, now);
		rtc_rearm(rtc);
	}
	return v;
}

u64 rtc_read(void *opaque, u64 offset, unsigned size)
{
	struct rtc *rtc = opaque;

	u8 v;

	(void)size;
	if (!offset)
		return 0xff; /* 0x70 is write only */
	spin_lock(&rtc->lock);
	v = rtc_read_reg(rtc, rtc->index);
	spin_unlock(&rtc->lock);
	return v;
}

void rtc_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct rtc *rtc = opaque;

	(void)size;
	spin_lock(&rtc->lock);
	if (offset)
		rtc_write_reg(rtc, rtc->index, (u8)value);
	else
		rtc->index = (u8)value & (u8)~NMI_MASK;
	spin_unlock(&rtc->lock);
}

static void cmos_put(struct rtc *rtc, unsigned index, u64 value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		rtc->reg[index + i] = (u8)(value >> (8 * i));
}

static void cmos_fill(struct rtc *rtc, u64 ram_low, u64 ram_high, unsigned vcpus)
{
	u64 ext_kib = (MAX(ram_low, BIT(20)) - BIT(20)) >> 10;
	u64 above_16m = (MAX(ram_low, BIT(24)) - BIT(24)) >> 16;
	unsigned sum = 0;

	cmos_put(rtc, CMOS_EQUIPMENT, 0x02, 1); /* coprocessor, no floppy drive, no old display */
	cmos_put(rtc, CMOS_BASE_KIB, 640, 2);
	cmos_put(rtc, CMOS_EXT_KIB, MIN(ext_kib, 0xffff), 2);
	cmos_put(rtc, CMOS_EXT_KIB_2, MIN(ext_kib, 0xffff), 2);
	cmos_put(rtc, CMOS_ABOVE_16M, above_16m, 2);
	cmos_put(rtc, CMOS_ABOVE_4G, MIN(ram_high >> 16, 0xffffff), 3);
	cmos_put(rtc, CMOS_CPUS_MINUS_1, vcpus - 1, 1);
	for (unsigned i = 0x10; i <= 0x2d; i++)
		sum += rtc->reg[i];
	rtc->reg[CMOS_CHECKSUM] = (u8)(sum >> 8);
	rtc->reg[CMOS_CHECKSUM + 1] = (u8)sum;
}

void rtc_reset(struct rtc *rtc)
{
	u64 now = tsc_now();

	spin_lock(&rtc->lock);
	timer_cancel(&rtc->timer);
	rtc->seen_second = rtc_elapsed(rtc, now);
	rtc->seen_period = rtc_periods(rtc, now);
	rtc->index = 0;
	rtc->reg[REG_B] &= (u8) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
	rtc->reg[REG_C] = 0;
	irq_set(rtc->irq, RTC_IRQ, false);
	spin_unlock(&rtc->lock);
}

void rtc_init(struct rtc *rtc, struct irq_router *irq, u64 ram_low, u64 ram_high, unsigned vcpus)
{
	*rtc = (struct rtc){.irq = irq, .phase = tsc_now()};
	rtc->second = calendar_from_unix(wall_seconds());
	rtc->reg[REG_A] = A_DIVIDER_RUN | 6; /* 1024 Hz */
	rtc->reg[REG_B] = 0x02;              /* BCD, 24 hours */
	rtc->reg[REG_D] = D_VALID;
	cmos_fill(rtc, ram_low, ram_high, vcpus);
	timer_init(&rtc->timer, rtc_fire, rtc, &rtc->lock);
	rtc_reset(rtc);
}

void rtc_fini(struct rtc *rtc)
{
	timer_destroy(&rtc->timer);
}
