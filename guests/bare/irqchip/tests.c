/* SPDX-License-Identifier: Apache-2.0 */
/* 8259 pair, IOAPIC and 8254 as a PC has them; interrupt lines are driven by the ports of pc-testdev. M19,
 * M66. */
#include "irqtest.h"

#define PATIENCE 20000000U

volatile u8 irq_log[LOG_SIZE];
volatile unsigned irq_count;

static void log_vector(const struct regs *r)
{
	if (irq_count < LOG_SIZE)
		irq_log[irq_count] = (u8)r->vector;
	irq_count++;
}

static void pic_handler(struct regs *r)
{
	log_vector(r);
	pic_eoi((unsigned)r->vector - PIC_VECTOR);
}

static void apic_handler(struct regs *r)
{
	log_vector(r);
	apic_eoi();
}

void irq_use_pic(u8 first, u8 last)
{
	for (unsigned v = first; v <= last; v++)
		trap_handler((u8)v, pic_handler);
}

void irq_use_apic(u8 first, u8 last)
{
	for (unsigned v = first; v <= last; v++)
		trap_handler((u8)v, apic_handler);
}

void irq_expect(const u8 *vectors, unsigned n, const char *what)
{
	bool same = irq_count == n;

	for (unsigned i = 0; same && i < n; i++)
		same = irq_log[i] == vectors[i];
	expect(same, "%s: %u interrupts, the first 0x%x 0x%x 0x%x", what, irq_count, irq_log[0], irq_log[1],
	       irq_log[2]);
	irq_count = 0;
}

void irq_raise_open(unsigned line)
{
	irq_enable();
	testdev_irq(line, true);
	if (guest_platform() == PLATFORM_TCG) /* looks for interrupts at the end of a block only */
		cpu_pause();
	irq_disable();
}

bool irq_wait(unsigned n)
{
	unsigned patience = PATIENCE;

	irq_enable();
	while (irq_count < n && --patience)
		cpu_pause();
	irq_disable();
	return irq_count >= n;
}

/* Starting point of each test: PIC remapped and masked, IOAPIC masked, LINT0 open for the PIC. */
static void start(void (*test)(void), bool needs_lines)
{
	if (needs_lines && !testdev_present()) {
		test_skip("no test device");
		return;
	}
	apic_init(false);
	ioapic_mask_all();
	pic_init();
	outb(PORT_ELCR, 0); /* firmware makes PCI's lines level-triggered */
	outb(PORT_ELCR + 1, 0);
	for (unsigned v = 0x20; v < 256; v++)
		trap_handler((u8)v, NULL);
	irq_use_pic(PIC_VECTOR, PIC_VECTOR + 15);
	irq_use_apic(0x40, 0x7f);
	apic_write(APIC_LVT_LINT0, APIC_LVT_EXTINT);
	irq_count = 0;
	test();
	pic_mask(0xffff);
	ioapic_mask_all();
	irq_window();
}

#define TEST(fn, lines)                                                                                      \
	static void fn##_start(void)                                                                         \
	{                                                                                                    \
		start(fn##_test, lines);                                                                     \
	}
TEST(pic_registers, false)
TEST(pic_lines, true)
TEST(pic_priority, true)
TEST(pic_level, true)
TEST(pic_auto_eoi, true)
TEST(pic_no_extint, true)
TEST(ioapic_registers, false)
TEST(ioapic_edge, true)
TEST(ioapic_level, true)
TEST(ioapic_mask, true)
TEST(ioapic_destination, true)
TEST(lines_soak, true)
TEST(string_lines, true)
TEST(pit_registers, false)
TEST(pit_pic, false)
TEST(pit_ioapic, false)
TEST(pit_modes, false)
TEST(nmi_line, false)

const struct test guest_tests[] = {
    {"pic-registers", pic_registers_start, 0},
    {"pic-lines", pic_lines_start, 0},
    {"pic-priority", pic_priority_start, 0},
    {"pic-level", pic_level_start, 0},
    {"pic-auto-eoi", pic_auto_eoi_start, 0},
    {"pic-no-extint", pic_no_extint_start, 0},
    {"ioapic-registers", ioapic_registers_start, 0},
    {"ioapic-edge", ioapic_edge_start, 0},
    {"ioapic-level", ioapic_level_start, 0},
    {"ioapic-mask", ioapic_mask_start, 0},
    {"ioapic-destination", ioapic_destination_start, 0},
    {"lines-soak", lines_soak_start, 0},
    {"string-lines", string_lines_start, 0},
    {"pit-registers", pit_registers_start, 0},
    {"pit-pic", pit_pic_start, 0},
    {"pit-ioapic", pit_ioapic_start, 0},
    {"pit-modes", pit_modes_start, 0},
    {"nmi-line", nmi_line_start, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
