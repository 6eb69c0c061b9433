/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259 pair. Intel 8259A data sheet, order 231468. */
#include "irqtest.h"

#define LINE 4 /* of the master, nobody else's */
#define SLAVE_LINE 11
#define OCW2_SPECIFIC_EOI 0x60

static void pulse(unsigned line)
{
	testdev_irq(line, true);
	testdev_irq(line, false);
}

void pic_registers_test(void)
{
	for (unsigned v = 0; v < 256; v += 51) {
		outb(PIC_MASTER_DATA, (u8)v);
		outb(PIC_SLAVE_DATA, (u8)~v);
		expect_eq(inb(PIC_MASTER_DATA), v, "mask of the master");
		expect_eq(inb(PIC_SLAVE_DATA), (u8)~v, "mask of the slave");
	}
	pic_mask(0xffff);
	expect_eq(pic_isr(), 0, "in service");
}

void pic_lines_test(void)
{
	static const u8 lines[] = {3, 4, 5, 7, 9, 10, 11, 15};

	for (unsigned i = 0; i < sizeof(lines); i++) {
		unsigned line = lines[i];

		pic_mask((u16) ~(1U << line | 4));
		testdev_irq(line, true);
		expect(pic_irr() & 1U << line, "line %u: not in IRR", line);
		expect_eq(irq_count, 0, "interrupts with IF = 0");
		irq_window();
		EXPECT_IRQS("raised line", (u8)(PIC_VECTOR + line));
		irq_window();
		EXPECT_NO_IRQ("line still up");
		testdev_irq(line, false);
		irq_window();
		EXPECT_NO_IRQ("line down");
		expect(!(pic_irr() & 1U << line) && !(pic_isr() & 1U << line), "line %u: bits left", line);
		/* With IF = 1 it comes at the next instruction boundary. */
		irq_raise_open(line);
		EXPECT_IRQS("raised line with IF = 1", (u8)(PIC_VECTOR + line));
		testdev_irq(line, false);
		/* Masked: remembered until unmasked. */
		pic_mask(0xffff);
		testdev_irq(line, true);
		irq_window();
		EXPECT_NO_IRQ("masked line");
		pic_mask((u16) ~(1U << line | 4));
		irq_window();
		EXPECT_IRQS("unmasked line", (u8)(PIC_VECTOR + line));
		testdev_irq(line, false);
	}
}

static volatile unsigned inside;

/* IRQ 4: lets others in before its own EOI. */
static void nesting_handler(struct regs *r)
{
	irq_log[irq_count++] = (u8)r->vector;
	expect(pic_isr() & 1U << LINE, "in-service bit");
	testdev_irq(5, true); /* lower */
	testdev_irq(3, true); /* higher */
	irq_window();
	inside = irq_count;
	pic_eoi(LINE);
}

void pic_priority_test(void)
{
	pic_mask((u16) ~(1U << 3 | 1U << 4 | 1U << 5 | 1U << SLAVE_LINE | 4));
	testdev_irq(5, true);
	testdev_irq(SLAVE_LINE, true); /* by the cascade at 2: before 3 */
	testdev_irq(4, true);
	testdev_irq(3, true);
	irq_wait(4);
	EXPECT_IRQS("by priority", PIC_VECTOR + SLAVE_LINE, PIC_VECTOR + 3, PIC_VECTOR + 4, PIC_VECTOR + 5);
	testdev_irq(5, false);
	testdev_irq(4, false);
	testdev_irq(3, false);
	testdev_irq(SLAVE_LINE, false);

	trap_handler(PIC_VECTOR + LINE, nesting_handler);
	testdev_irq(LINE, true);
	irq_wait(3);
	expect_eq(inside, 2, "interrupts seen in the handler");
	EXPECT_IRQS("nesting", PIC_VECTOR + 4, PIC_VECTOR + 3, PIC_VECTOR + 5);
	testdev_irq(5, false);
	testdev_irq(4, false);
	testdev_irq(3, false);
	irq_use_pic(PIC_VECTOR + LINE, PIC_VECTOR + LINE);
}

static volatile unsigned level_left;

static void level_handler(struct regs *r)
{
	irq_log[irq_count++] = (u8)r->vector;
	if (--level_left == 0)
		testdev_irq((unsigned)r->vector - PIC_VECTOR, false);
	outb(PIC_SLAVE, OCW2_SPECIFIC_EOI | (SLAVE_LINE & 7)); /* specific, for a change */
	outb(PIC_MASTER, OCW2_SPECIFIC_EOI | 2);
}

/* Level-triggered by ELCR: comes again after EOI while the line is up. */
void pic_level_test(void)
{
	u8 elcr = inb(PORT_ELCR + 1);

	outb(PORT_ELCR + 1, (u8)(elcr | 1U << (SLAVE_LINE & 7)));
	expect_eq(inb(PORT_ELCR + 1), elcr | 1U << (SLAVE_LINE & 7), "ELCR");
	trap_handler(PIC_VECTOR + SLAVE_LINE, level_handler);
	pic_mask((u16) ~(1U << SLAVE_LINE | 4));
	level_left = 3;
	testdev_irq(SLAVE_LINE, true);
	irq_wait(3);
	EXPECT_IRQS("level, line up for three", PIC_VECTOR + SLAVE_LINE, PIC_VECTOR + SLAVE_LINE,
		    PIC_VECTOR + SLAVE_LINE);
	/* Raised and lowered again before anybody looked: nothing, or a spurious IRQ 7 or 15. */
	irq_use_pic(PIC_VECTOR + SLAVE_LINE, PIC_VECTOR + SLAVE_LINE);
	testdev_irq(SLAVE_LINE, true);
	testdev_irq(SLAVE_LINE, false);
	irq_window();
	expect(!irq_count || (irq_count == 1 && (irq_log[0] & 7) == 7), "withdrawn: %u interrupts, 0x%x",
	       irq_count, irq_log[0]);
	expect_eq(pic_isr(), 0, "in service behind a spurious interrupt");
	irq_count = 0;
	outb(PORT_ELCR + 1, elcr);
}

static void silent_handler(struct regs *r)
{
	irq_log[irq_count++] = (u8)r->vector;
}

/* Automatic EOI, and the vector base that ICW2 sets. */
void pic_auto_eoi_test(void)
{
	outb(PIC_MASTER, 0x11);
	outb(PIC_MASTER_DATA, 0x48);
	outb(PIC_MASTER_DATA, 4);
	outb(PIC_MASTER_DATA, 3);
	pic_mask((u16) ~(1U << LINE));
	trap_handler(0x48 + LINE, silent_handler);
	for (unsigned i = 0; i < 3; i++) {
		pulse(LINE);
		irq_window();
		EXPECT_IRQS("automatic EOI", 0x48 + LINE);
		expect_eq(pic_isr() & 0xff, 0, "in service with automatic EOI");
	}
	irq_use_apic(0x48 + LINE, 0x48 + LINE);
}

/* LINT0 masked: the PIC reaches nobody; LINT0 as a fixed interrupt: its own vector. */
void pic_no_extint_test(void)
{
	pic_mask((u16) ~(1U << LINE));
	apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED | APIC_LVT_EXTINT);
	pulse(LINE);
	irq_window();
	EXPECT_NO_IRQ("LINT0 masked");
	apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
	irq_window();
	EXPECT_IRQS("LINT0 open again", PIC_VECTOR + LINE);
	/* TPR does not hold back ExtINT. */
	apic_write(APIC_TPR, 0xf0);
	pulse(LINE);
	irq_window();
	EXPECT_IRQS("ExtINT under a high TPR", PIC_VECTOR + LINE);
	apic_write(APIC_TPR, 0);
}
