/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC (I/O advanced programmable interrupt controller) of the guest's board: 24 pins, registers
 * in memory at PC_IOAPIC_BASE. Source: Intel 82093AA data sheet (290566); the EOI register: ICH data
 * sheets, version 0x20. */
#pragma once

#include "spinlock.h"

struct guest;

#define IOAPIC_PINS 24
#define IOAPIC_LENGTH 0x1000
#define IOAPIC_ID 0 /* after reset, and in the MADT */

struct ioapic {
	struct guest *guest;
	struct spinlock lock;
	u32 lines;      /* bit n: pin n is asserted */
	u32 remote_irr; /* bit n: pin n's level interrupt was accepted and not yet ended */
	u8 id;
	u8 select;
	u64 entry[IOAPIC_PINS]; /* redirection table, without its read-only bits */
	/* Without the lock, after an entry was written while `watched`. */
	void (*changed)(void *opaque);
	void *changed_opaque;
	bool watched; /* atomic */
};

void ioapic_init(struct ioapic *io, struct guest *g);
void ioapic_reset(struct ioapic *io); /* pins stay as they are: they belong to devices */
/* level: asserted. The polarity bit is stored only: every pin is wired to match it. Any CPU. */
void ioapic_set_line(struct ioapic *io, unsigned pin, bool level);
/* The pin falls and rises. False: it is masked, so nobody notices, and `changed` will be called when that may
 * be otherwise. */
bool ioapic_pulse(struct ioapic *io, unsigned pin);
/* The vector's EOI; for struct apic_sinks. Any CPU. */
void ioapic_eoi(void *opaque, u8 vector);

/* Whether a pin is unmasked and delivers what IF does not hold back; for struct apic_sinks. */
bool ioapic_nmi_source(void *opaque);

/* Memory, width 4. */
u64 ioapic_read(void *opaque, u64 offset, unsigned size);
void ioapic_write(void *opaque, u64 offset, unsigned size, u64 value);
