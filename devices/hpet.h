/* SPDX-License-Identifier: Apache-2.0 */
/* The high precision event timers (HPET) at PC_HPET_BASE: a 64-bit counter of HPET_HZ and three comparators,
 * each of which can be periodic. Their interrupts go to the IOAPIC, pins 20 to 23, or in legacy replacement
 * in the places of the 8254's and the clock's. No interrupts as messages ("FSB"). Source: IA-PC HPET
 * specification 1.0a; what it leaves open, as in Intel's ICH data sheets. acpi.c describes the device with
 * the numbers below. */
#pragma once

#include "sched.h"
#include "spinlock.h"

struct irq_router;

#define HPET_LENGTH 0x400
#define HPET_TIMERS 3
#define HPET_HZ 12500000
#define HPET_PERIOD_FS 80000000u /* femtoseconds; 100,000,000 at most */
/* A guest may program a period of 80 ns; interrupts of a periodic timer come no faster than this, so that it
 * leaves the CPU to others. */
#define HPET_MIN_INTERVAL_NS 20000
#define HPET_MIN_TICKS 250 /* the same */
#define HPET_ROUTES 0x00f00000u
/* The lower half of the capabilities register: Intel's, legacy replacement, 64 bits, the last timer,
 * revision. */
#define HPET_ID (0x8086u << 16 | BIT(15) | BIT(13) | (HPET_TIMERS - 1) << 8 | 1u)

struct hpet_timer {
	u32 config;     /* the bits that can be written, but for VAL_SET */
	bool set_value; /* VAL_SET: the next write of the comparator is for the accumulator as well */
	bool unseen;    /* it rests, for nobody would notice its next edge: irq_hpet_tick() */
	u64 value;      /* the comparator; when periodic: of the next match */
	u64 period;     /* what was written to it last */
	u64 seen;       /* matches up to this value of the counter, and not beyond, are done */
};

struct hpet {
	struct spinlock lock; /* everything below */
	struct irq_router *irq;
	struct timer timer; /* the first match that somebody waits for */
	u32 config;         /* general configuration */
	u32 status;         /* of level-triggered timers, bit n: timer n */
	u32 driven;         /* bit n: GSI n is held high */
	u64 base, start;    /* the counter when it was started, the TSC then; while it stands: the counter */
	u64 earliest;       /* TSC of the next interrupt of those with shorter periods */
	struct hpet_timer timers[HPET_TIMERS];
};

void hpet_init(struct hpet *h, struct irq_router *irq);
void hpet_fini(struct hpet *h);
/* Before those of the 8254 and the clock, which get their lines back. */
void hpet_reset(struct hpet *h);
/* Memory, width 8. Registers are written by aligned accesses of 4 and 8 bytes, others have no effect; reads
 * may be of any part of one. */
u64 hpet_read(void *opaque, u64 offset, unsigned size);
void hpet_write(void *opaque, u64 offset, unsigned size, u64 value);
