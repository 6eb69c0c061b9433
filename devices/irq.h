/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines of the guest's board: where a device's wire (a GSI, global system interrupt) goes.
 * ISA interrupts 0 to 15 reach the 8259 pair and the IOAPIC, 0 at pin 2; GSIs 16 to 23, for PCI, are
 * IOAPIC pins, and share ISA interrupts 10 (even ones) and 11 for guests that know only the 8259. */
#pragma once

#include "spinlock.h"

struct ioapic;
struct pic;

#define IRQ_PCI_FIRST 16
#define IRQ_PCI_COUNT 8
#define IRQ_PCI_ISA(gsi) (10u + ((gsi)&1u))

struct irq_router {
	struct pic *pic;
	struct ioapic *ioapic;
	struct spinlock lock;
	u32 lines; /* bit n: GSI n is asserted */
};

void irq_init(struct irq_router *r, struct pic *pic, struct ioapic *ioapic);
/* level: asserted, whatever its polarity. A wire has one driver; GSIs above 23 do nothing. Any CPU. */
void irq_set(struct irq_router *r, unsigned gsi, bool level);
/* The timer's wire, GSI 0, falls and rises. False: the guest cannot tell this edge from the last, nor will it
 * any until the function of irq_on_tick_wanted() is called. */
bool irq_tick(struct irq_router *r);
/* fn is called without a lock of the router or a chip; more often than it is needed. */
void irq_on_tick_wanted(struct irq_router *r, void (*fn)(void *opaque), void *opaque);
