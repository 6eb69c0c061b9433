/* SPDX-License-Identifier: Apache-2.0 */
/* The MC146818 real-time clock of a PC with its CMOS memory, ports 0x70 and 0x71, interrupt 8.
 * Source: Motorola MC146818A data sheet (ADI856R3). */
#pragma once

#include "sched.h"
#include "spinlock.h"

struct irq_router;

#define RTC_SIZE 128
#define RTC_CENTURY 0x32 /* index of the century; FADT CENTURY */

/* CMOS memory as a PC BIOS leaves it. */
#define CMOS_SHUTDOWN 0x0f
#define CMOS_EQUIPMENT 0x14
#define CMOS_BASE_KIB 0x15     /* 2 bytes */
#define CMOS_EXT_KIB 0x17      /* 2 bytes, from 1 MiB; the same at 0x30 */
#define CMOS_CHECKSUM 0x2e     /* 2 bytes, high first: sum of 0x10..0x2d */
#define CMOS_EXT_KIB_2 0x30    /* 2 bytes */
#define CMOS_ABOVE_16M 0x34    /* 2 bytes, 64 KiB units, up to 4 GiB */
#define CMOS_ABOVE_4G 0x5b     /* 3 bytes, 64 KiB units */
#define CMOS_CPUS_MINUS_1 0x5f /* where QEMU has it */

struct rtc {
	struct spinlock lock; /* everything below */
	struct irq_router *irq;
	struct timer timer;
	u8 index;
	u8 reg[RTC_SIZE]; /* time registers: valid after rtc_refresh() or while SET is on */
	/* The clock: at TSC `phase` a second began, namely the one numbered `second` (as in
	 * rtc_calendar.h). Periodic interrupts count from the same point. */
	u64 phase;
	u64 second;
	u8 weekday_shift; /* what the guest wrote into register 6, relative to the calendar */
	/* Events up to here have been turned into flags of register C. */
	u64 seen_second, seen_period;
};

/* ram_low and ram_high in bytes, as in struct pc_config. */
void rtc_init(struct rtc *rtc, struct irq_router *irq, u64 ram_low, u64 ram_high, unsigned vcpus);
void rtc_fini(struct rtc *rtc);
/* The RESET pin: interrupts off; time and memory stay. */
void rtc_reset(struct rtc *rtc);
/* Ports 0x70, 0x71. */
u64 rtc_read(void *opaque, u64 offset, unsigned size);
void rtc_write(void *opaque, u64 offset, unsigned size, u64 value);
