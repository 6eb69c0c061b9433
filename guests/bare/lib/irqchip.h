/* SPDX-License-Identifier: Apache-2.0 */
/* The PC's interrupt wiring from software's side: 8259 pair, IOAPIC, 8254, and the test device's lines. */
#pragma once

#include "cpu.h"

#define PIC_MASTER 0x20
#define PIC_MASTER_DATA 0x21
#define PIC_SLAVE 0xa0
#define PIC_SLAVE_DATA 0xa1
#define PIC_VECTOR 0x20 /* of IRQ 0, after pic_init() */

/* Remaps to vectors 0x20 to 0x2f with every line masked. */
void pic_init(void);
void pic_mask(u16 mask);
void pic_eoi(unsigned irq);
u16 pic_isr(void);
u16 pic_irr(void);

#define PIT_HZ 1193182
#define PIT_COUNTER0 0x40
#define PIT_COUNTER2 0x42
#define PIT_CONTROL 0x43

/* mode 0 (one-shot) or 2 (rate); count 0 means 65536. Counter 0 drives IRQ 0. */
void pit_start(unsigned mode, u16 count);
u16 pit_read(void);
/* Ends when about that many PIT ticks (838 ns each) have passed, by counter 2 and its gate at port 0x61. */
void pit_wait(u16 ticks);

#define IOAPIC_MMIO 0xfec00000ULL
#define IOAPIC_LEVEL BIT(15)
#define IOAPIC_ACTIVE_LOW BIT(13)
#define IOAPIC_REMOTE_IRR BIT(14)
#define IOAPIC_MASKED BIT(16)
#define IOAPIC_PIT_PIN 2 /* by the interrupt source override every PC has */

u32 ioapic_read(u8 reg);
void ioapic_write(u8 reg, u32 v);
u64 ioapic_entry(unsigned pin);
void ioapic_route(unsigned pin, u64 entry);
void ioapic_mask_all(void);

/* pc-testdev: drives ISA interrupt line n. */
#define TESTDEV_IRQ 0x2000
bool testdev_present(void);
static inline void testdev_irq(unsigned line, bool level)
{
	outb((u16)(TESTDEV_IRQ + line), level);
}
