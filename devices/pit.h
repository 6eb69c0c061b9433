/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254 programmable interval timer of a PC at ports 0x40 to 0x43, and the system control port
 * 0x61 that gates channel 2 and shows its output. Channel 0 drives ISA interrupt 0.
 * Source: Intel 82C54 data sheet (231244). */
#pragma once

#include "sched.h"
#include "spinlock.h"

struct irq_router;

#define PIT_HZ 1193182
#define PIT_CHANNELS 3
/* A guest may program a period of 838 ns; its interrupts come no faster than this, so that the
 * timer leaves the CPU to others. */
#define PIT_MIN_INTERVAL_NS 20000

struct pit_channel {
	u8 control; /* bits 5:0 as written: access, mode, BCD */
	u8 mode;    /* 0..5 */
	bool bcd;
	bool gate;
	bool running; /* a count was loaded (modes 1 and 5: by a trigger) */
	bool written; /* a count was written since the control word */
	u32 count;    /* of the current cycle, 1..65536 */
	u64 start;    /* TSC when it was loaded; in the future for one clock after the write */
	u64 paused;   /* clocks elapsed when the gate went low */
	/* A count written while modes 2 and 3 run: takes over at TSC reload_at as if loaded at
	 * reload_start (mode 3 may take over at half of a period). Modes 1 and 5: at the trigger. */
	bool reload;
	u32 next_count;
	u64 reload_at, reload_start;
	/* Port access. */
	bool read_high, write_high; /* the second byte comes next */
	u8 write_low;
	bool count_latched, status_latched;
	u16 count_latch;
	u8 status_latch;
};

struct pit {
	struct spinlock lock; /* everything below */
	struct pit_channel channel[PIT_CHANNELS];
	u8 port61; /* bits 3:0 as written */
	struct irq_router *irq;
	struct timer timer; /* the next rising edge of channel 0 */
	bool unseen;        /* the timer is not armed, for nobody would notice the edge: irq_tick() */
};

void pit_init(struct pit *pit, struct irq_router *irq);
void pit_fini(struct pit *pit);
void pit_reset(struct pit *pit);
/* Ports 0x40..0x43. */
u64 pit_read(void *opaque, u64 offset, unsigned size);
void pit_write(void *opaque, u64 offset, unsigned size, u64 value);
/* Port 0x61. */
u64 pit_control_read(void *opaque, u64 offset, unsigned size);
void pit_control_write(void *opaque, u64 offset, unsigned size, u64 value);
