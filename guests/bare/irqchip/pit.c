/* SPDX-License-Identifier: Apache-2.0 */
/* The 8254: counters, modes, IRQ 0 by way of the PIC and of the IOAPIC. Intel 8254 data sheet, order 231164.
 */
#include "irqtest.h"

#define PORT_GATE2 0x61
#define OUT2 0x20
#define VECTOR 0x50
#define READ_BACK_STATUS0 0xe2
#define READ_BACK_COUNT0 0xd2
#define LATCH0 0x00

static u8 status0(void)
{
	outb(PIT_CONTROL, READ_BACK_STATUS0);
	return inb(PIT_COUNTER0);
}

void pit_registers_test(void)
{
	u16 a, b;

	pit_start(2, 0xfff0);
	expect_eq(status0() & 0x3f, 0x34, "status: low and high byte, mode 2");
	a = pit_read();
	pit_wait(300);
	b = pit_read();
	expect(b < a && a - b >= 200, "count 0x%x, later 0x%x", a, b);
	/* A latched count stays until it is read. */
	outb(PIT_CONTROL, LATCH0);
	a = inb(PIT_COUNTER0);
	pit_wait(2000);
	a = (u16)(a | inb(PIT_COUNTER0) << 8);
	b = pit_read();
	expect(b < a && a - b >= 1500, "latched count 0x%x, later 0x%x", a, b);
	outb(PIT_CONTROL, READ_BACK_COUNT0);
	a = inb(PIT_COUNTER0);
	a = (u16)(a | inb(PIT_COUNTER0) << 8);
	expect(a <= b, "count by read-back 0x%x behind 0x%x", a, b);
	pit_start(3, 1000);
	expect_eq(status0() & 0x3f, 0x36, "status: mode 3");
	outb(PIT_CONTROL, 0x14); /* low byte only, mode 2 */
	outb(PIT_COUNTER0, 200);
	expect_eq(status0() & 0x3f, 0x14, "status: low byte");
	expect(inb(PIT_COUNTER0) <= 200, "count of a low-byte counter");
}

void pit_pic_test(void)
{
	pic_mask(0xfffe);
	pit_start(2, 1193);
	expect(irq_wait(10), "%u of 10 interrupts", irq_count);
	for (unsigned i = 0; i < 10; i++)
		expect_eq(irq_log[i], PIC_VECTOR, "vector");
	pic_mask(0xffff);
	irq_window();
	irq_count = 0;
	pit_wait(5000);
	irq_window();
	EXPECT_NO_IRQ("masked IRQ 0");
}

void pit_ioapic_test(void)
{
	u64 begin, end;

	ioapic_route(IOAPIC_PIT_PIN, (u64)apic_id() << 56 | VECTOR);
	pit_start(2, 1193);
	expect(irq_wait(10), "%u of 10 interrupts", irq_count);
	expect_eq(irq_log[0], VECTOR, "vector");
	/* 1,193 ticks each: 20 periods are longer than 15 and shorter than 30 of counter 2. */
	irq_count = 0;
	begin = rdtsc();
	irq_wait(20);
	end = rdtsc() - begin;
	begin = rdtsc();
	pit_wait(1193 * 20);
	begin = rdtsc() - begin;
	if (guest_platform() != PLATFORM_TCG) /* whose clocks depend on the host's load */
		expect(end > begin * 3 / 4 && end < begin * 3 / 2, "20 periods: %lu ticks instead of %lu",
		       end, begin);
	ioapic_route(IOAPIC_PIT_PIN, IOAPIC_MASKED);
	irq_window();
	irq_count = 0;
}

void pit_modes_test(void)
{
	pic_mask(0xfffe);
	pit_start(0, 2000); /* interrupt on terminal count: once */
	expect_eq(status0() & 0x80, 0, "output in mode 0 while counting");
	expect(irq_wait(1), "mode 0: no interrupt");
	expect_eq(status0() & 0x80, 0x80, "output in mode 0 behind the count");
	pit_wait(5000);
	irq_window();
	EXPECT_IRQS("mode 0", PIC_VECTOR);
	pit_start(3, 2000); /* square wave: once a period */
	expect(irq_wait(3), "mode 3: %u interrupts", irq_count);
	pic_mask(0xffff);
	pit_start(0, 0);
	irq_window();
	irq_count = 0;
	/* Counter 2 counts only while its gate is up. */
	outb(PORT_GATE2, (u8)(inb(PORT_GATE2) & ~3U));
	outb(PIT_CONTROL, 0xb0);
	outb(PIT_COUNTER2, 100);
	outb(PIT_COUNTER2, 0);
	for (unsigned i = 0; i < 3000; i++)
		cpu_pause();
	if (guest_platform() != PLATFORM_TCG) /* QEMU's 8254 does not look at the gate */
		expect(!(inb(PORT_GATE2) & OUT2), "counter 2 ended without its gate");
	pit_wait(100);
	expect(inb(PORT_GATE2) & OUT2, "counter 2 did not end");
}
