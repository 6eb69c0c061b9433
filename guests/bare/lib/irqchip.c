/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers of the 8259 pair, the IOAPIC and the 8254, polled and simple. */
#include "irqchip.h"

#define PORT_GATE2 0x61
#define TESTDEV_LATCH 0xe0

void pic_init(void)
{
	outb(PIC_MASTER, 0x11); /* ICW1: edge, cascade, ICW4 follows */
	outb(PIC_MASTER_DATA, PIC_VECTOR);
	outb(PIC_MASTER_DATA, 4);
	outb(PIC_MASTER_DATA, 1);
	outb(PIC_SLAVE, 0x11);
	outb(PIC_SLAVE_DATA, PIC_VECTOR + 8);
	outb(PIC_SLAVE_DATA, 2);
	outb(PIC_SLAVE_DATA, 1);
	pic_mask(0xffff);
}

void pic_mask(u16 mask)
{
	outb(PIC_MASTER_DATA, (u8)mask);
	outb(PIC_SLAVE_DATA, (u8)(mask >> 8));
}

void pic_eoi(unsigned irq)
{
	if (irq >= 8)
		outb(PIC_SLAVE, 0x20);
	outb(PIC_MASTER, 0x20);
}

static u16 pic_status(u8 ocw3)
{
	outb(PIC_MASTER, ocw3);
	outb(PIC_SLAVE, ocw3);
	return (u16)(inb(PIC_MASTER) | inb(PIC_SLAVE) << 8);
}

u16 pic_irr(void)
{
	return pic_status(0x0a);
}

u16 pic_isr(void)
{
	return pic_status(0x0b);
}

void pit_start(unsigned mode, u16 count)
{
	outb(PIT_CONTROL, (u8)(0x30 | mode << 1));
	outb(PIT_COUNTER0, (u8)count);
	outb(PIT_COUNTER0, (u8)(count >> 8));
}

u16 pit_read(void)
{
	u8 lo;

	outb(PIT_CONTROL, 0x00); /* latch counter 0 */
	lo = inb(PIT_COUNTER0);
	return (u16)(inb(PIT_COUNTER0) << 8 | lo);
}

void pit_wait(u16 ticks)
{
	outb(PORT_GATE2, (u8)((inb(PORT_GATE2) & ~2U) | 1));
	outb(PIT_CONTROL, 0xb0); /* counter 2, mode 0: its output rises when the count is over */
	outb(PIT_COUNTER2, (u8)ticks);
	outb(PIT_COUNTER2, (u8)(ticks >> 8));
	while (!(inb(PORT_GATE2) & 0x20))
		cpu_pause();
}

u32 ioapic_read(u8 reg)
{
	*(volatile u32 *)IOAPIC_MMIO = reg;
	return *(volatile u32 *)(IOAPIC_MMIO + 0x10);
}

void ioapic_write(u8 reg, u32 v)
{
	*(volatile u32 *)IOAPIC_MMIO = reg;
	*(volatile u32 *)(IOAPIC_MMIO + 0x10) = v;
}

u64 ioapic_entry(unsigned pin)
{
	return (u64)ioapic_read((u8)(0x11 + 2 * pin)) << 32 | ioapic_read((u8)(0x10 + 2 * pin));
}

void ioapic_route(unsigned pin, u64 entry)
{
	ioapic_write((u8)(0x10 + 2 * pin), IOAPIC_MASKED);
	ioapic_write((u8)(0x11 + 2 * pin), (u32)(entry >> 32));
	ioapic_write((u8)(0x10 + 2 * pin), (u32)entry);
}

void ioapic_mask_all(void)
{
	unsigned last = ioapic_read(1) >> 16 & 0xff;

	for (unsigned pin = 0; pin <= last && pin < 120; pin++)
		ioapic_route(pin, IOAPIC_MASKED);
}

bool testdev_present(void)
{
	outl(TESTDEV_LATCH, 0x5ac3a596);
	return inl(TESTDEV_LATCH) == 0x5ac3a596;
}
