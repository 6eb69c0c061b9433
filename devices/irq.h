/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines of the guest's board: where a device's wire (a GSI, global system interrupt) goes.
 * ISA interrupts 0 to 15 reach the 8259 pair and the IOAPIC, 0 at pin 2; GSIs 16 to 23, for PCI, are
 * IOAPIC pins, and share ISA interrupts 10 (even ones) and 11 for guests that know only the 8259. The HPET
 * shares PCI's pins, of the IOAPIC alone, or takes the places of 8254 and clock: IA-PC HPET
 * specification 1.0a, 2.3.5 (legacy replacement route). */
#pragma once

#include "spinlock.h"

struct ioapic;
struct pic;

#define IRQ_PCI_FIRST 16
#define IRQ_PCI_COUNT 8
#define IRQ_PCI_ISA(gsi) (10u + ((gsi)&1u))

#define IRQ_TIMER 0
#define IRQ_CLOCK 8
#define IRQ_REPLACED (1u << IRQ_TIMER | 1u << IRQ_CLOCK)
#define IRQ_WAITERS 2

struct irq_router {
	struct pic *pic;
	struct ioapic *ioapic;
	struct spinlock lock;
	u32 lines; /* bit n: GSI n is asserted by its device */
	u32 hpet;  /* by the HPET */
	u32 cut;   /* 0, or IRQ_REPLACED: their devices are not heard */
	bool rests;
	struct {
		void (*fn)(void *opaque);
		void *opaque;
	} waiters[IRQ_WAITERS];
	unsigned nr_waiters;
};

void irq_init(struct irq_router *r, struct pic *pic, struct ioapic *ioapic);
/* level: asserted, whatever its polarity. A wire has one driver beside the HPET; GSIs above 23 do nothing.
 * Any CPU. */
void irq_set(struct irq_router *r, unsigned gsi, bool level);
/* The timer's wire, GSI 0, falls and rises. False: the guest cannot tell this edge from the last, nor will it
 * any until the function of irq_on_tick_wanted() is called. */
bool irq_tick(struct irq_router *r);
/* fn is called without a lock of the router or a chip; more often than it is needed. At most IRQ_WAITERS of
 * them, before the guest runs. */
void irq_on_tick_wanted(struct irq_router *r, void (*fn)(void *opaque), void *opaque);
/* The guest does nothing until it is called with false: it cannot tell any tick from the first of them. */
void irq_rest(struct irq_router *r, bool on);

/* ---- for the HPET: gsi is 16 to 23, or one of IRQ_REPLACED while that is on ---- */
/* on: GSIs 0 and 8 are the HPET's, and low. Off: they are their devices' again; irq_tell_waiters() has to
 * follow. */
void irq_replace(struct irq_router *r, bool on);
/* As irq_set(); the IOAPIC sees GSIs 16 to 23 high while either driver has them so. */
void irq_hpet_set(struct irq_router *r, unsigned gsi, bool level);
/* As irq_tick(), of any of those GSIs; 0 and 8 stay high, the others fall again. */
bool irq_hpet_tick(struct irq_router *r, unsigned gsi);
/* Calls what irq_on_tick_wanted() was given; holding no lock that those take. */
void irq_tell_waiters(struct irq_router *r);
