/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC. Intel 82093AA data sheet, order 290566. */
#include "irqtest.h"

#define PIN 11
#define VECTOR 0x55
#define DELIVERY_LOWEST 0x100U
#define DELIVERY_NMI 0x400U
#define LOGICAL BIT(11)
#define PENDING BIT(12)
#define DEST(id) ((u64)(id) << 56)
#define SOAK_ROUNDS 5000U

void ioapic_registers_test(void)
{
	u32 version = ioapic_read(1);
	unsigned last = version >> 16 & 0xff;

	expect((version & 0xff) == 0x11 || (version & 0xff) == 0x20, "version 0x%x", version);
	expect(last >= 23, "highest entry %u", last);
	ioapic_write(0, 0x0f000000);
	expect_eq(ioapic_read(0) & 0x0f000000, 0x0f000000, "id");
	ioapic_write(0, 0);
	*(volatile u32 *)IOAPIC_MMIO = 0x12;
	expect_eq(*(volatile u32 *)IOAPIC_MMIO & 0xff, 0x12, "register select");
	for (unsigned pin = 0; pin <= last && pin < 24; pin++) {
		u64 entry =
		    DEST(0x5a & 0x0f) | IOAPIC_MASKED | IOAPIC_LEVEL | IOAPIC_ACTIVE_LOW | (0x31 + pin);

		ioapic_route(pin, entry);
		expect(ioapic_entry(pin) == entry, "entry %u: 0x%lx", pin, ioapic_entry(pin));
		ioapic_route(pin, IOAPIC_MASKED);
	}
	ioapic_write(0x10, (u32)(IOAPIC_MASKED | IOAPIC_REMOTE_IRR | PENDING));
	expect_eq(ioapic_read(0x10) & (IOAPIC_REMOTE_IRR | PENDING), 0, "read-only bits");
	if (guest_platform() == PLATFORM_BARE) /* Bochs would end here */
		return;
	ioapic_write(0xbf, 0xffffffff); /* beyond the last */
	ioapic_read(0xff);
}

void ioapic_edge_test(void)
{
	ioapic_route(PIN, DEST(apic_id()) | VECTOR);
	testdev_irq(PIN, true);
	expect(apic_bit(APIC_IRR, VECTOR), "not in IRR");
	irq_window();
	EXPECT_IRQS("edge", VECTOR);
	irq_window();
	EXPECT_NO_IRQ("edge, line still up");
	testdev_irq(PIN, false);
	irq_window();
	EXPECT_NO_IRQ("falling edge");
	for (unsigned i = 0; i < 5; i++) { /* pending once, however often it comes */
		testdev_irq(PIN, true);
		testdev_irq(PIN, false);
	}
	irq_window();
	irq_window();
	EXPECT_IRQS("five edges while pending", VECTOR);
	irq_raise_open(PIN);
	EXPECT_IRQS("edge with IF = 1", VECTOR);
	testdev_irq(PIN, false);
	for (unsigned pin = 3; pin < 16; pin++) {
		if (pin == 8 || pin == 13 || pin == 14 || pin == 6 || pin == 12)
			continue;
		ioapic_route(pin, DEST(apic_id()) | (0x40 + pin));
		testdev_irq(pin, true);
		testdev_irq(pin, false);
		irq_window();
		EXPECT_IRQS("pin", (u8)(0x40 + pin));
		ioapic_route(pin, IOAPIC_MASKED);
	}
}

static volatile unsigned level_left, remote_irr_seen;

static void level_handler(struct regs *r)
{
	irq_log[irq_count++] = (u8)r->vector;
	remote_irr_seen += !!(ioapic_entry(PIN) & IOAPIC_REMOTE_IRR);
	if (--level_left == 0)
		testdev_irq(PIN, false);
	apic_eoi();
}

void ioapic_level_test(void)
{
	trap_handler(VECTOR, level_handler);
	ioapic_route(PIN, DEST(apic_id()) | IOAPIC_LEVEL | VECTOR);
	remote_irr_seen = 0;
	level_left = 3;
	testdev_irq(PIN, true);
	expect(apic_bit(APIC_TMR, VECTOR), "TMR of a level interrupt");
	irq_wait(3);
	EXPECT_IRQS("level, line up for three", VECTOR, VECTOR, VECTOR);
	expect_eq(remote_irr_seen, 3, "remote IRR in the handler");
	expect(!(ioapic_entry(PIN) & IOAPIC_REMOTE_IRR), "remote IRR behind EOI");
	level_left = 1;
	testdev_irq(PIN, true);
	irq_wait(1);
	irq_window();
	EXPECT_IRQS("level, line up for one", VECTOR);
	/* The same vector by IPI is edge again: no remote IRR, TMR clears. */
	irq_use_apic(VECTOR, VECTOR);
	apic_self_ipi(VECTOR);
	irq_window();
	EXPECT_IRQS("IPI of the vector", VECTOR);
	ioapic_route(PIN, IOAPIC_MASKED);
}

void ioapic_mask_test(void)
{
	ioapic_route(PIN, DEST(apic_id()) | IOAPIC_MASKED | VECTOR);
	testdev_irq(PIN, true);
	testdev_irq(PIN, false);
	irq_window();
	EXPECT_NO_IRQ("masked edge");
	ioapic_route(PIN, DEST(apic_id()) | VECTOR);
	irq_window();
	EXPECT_NO_IRQ("masked edge, unmasked: lost");
	ioapic_route(PIN, DEST(apic_id()) | IOAPIC_LEVEL | IOAPIC_MASKED | VECTOR);
	testdev_irq(PIN, true);
	irq_window();
	EXPECT_NO_IRQ("masked level");
	trap_handler(VECTOR, level_handler);
	level_left = 1;
	ioapic_route(PIN, DEST(apic_id()) | IOAPIC_LEVEL | VECTOR);
	irq_window();
	irq_window();
	EXPECT_IRQS("masked level, unmasked: comes", VECTOR);
	irq_use_apic(VECTOR, VECTOR);
}

static void reaches(u64 entry, bool us, const char *what)
{
	ioapic_route(PIN, entry | VECTOR);
	testdev_irq(PIN, true);
	testdev_irq(PIN, false);
	irq_window();
	expect_eq(irq_count, us, what);
	irq_count = 0;
}

void ioapic_destination_test(void)
{
	u32 id = apic_id();

	apic_write(APIC_LDR, 1U << 24);
	apic_write(APIC_DFR, 0xffffffff);
	reaches(DEST(id), true, "physical, our id");
	reaches(DEST(id + 1), false, "physical, another id");
	reaches(DEST(0xff), true, "physical broadcast");
	reaches(LOGICAL | DEST(1), true, "logical, our bit");
	reaches(LOGICAL | DEST(2), false, "logical, another bit");
	reaches(LOGICAL | DEST(0xff), true, "logical, all");
	reaches(LOGICAL | DEST(1) | DELIVERY_LOWEST, true, "lowest priority");
	apic_write(APIC_TPR, 0x60);
	reaches(DEST(id), false, "TPR above");
	apic_write(APIC_TPR, 0);
	irq_window();
	EXPECT_IRQS("TPR down again", VECTOR);
}

/* Edges on five pins, one at a time each: as many received as sent. */
void lines_soak_test(void)
{
	static const u8 pins[] = {5, 7, 9, 10, 11};
	u32 random = 12345, sent = 0;

	irq_count = 0;
	for (unsigned i = 0; i < sizeof(pins); i++)
		ioapic_route(pins[i], DEST(apic_id()) | (0x45 + 0x8 * i));
	irq_enable();
	for (unsigned n = 0; n < SOAK_ROUNDS; n++) {
		u8 pin;
		unsigned patience = 100000;

		random = random * 1103515245 + 12345;
		pin = pins[(random >> 16) % sizeof(pins)];
		if (random >> 24 & 1)
			irq_disable();
		testdev_irq(pin, true);
		sent++;
		if (random >> 25 & 1)
			testdev_irq(pin, false);
		irq_enable();
		while (irq_count != sent && --patience)
			cpu_pause();
		testdev_irq(pin, false);
		if (!expect(irq_count == sent, "%u sent, %u received", sent, irq_count))
			break;
	}
	irq_disable();
	irq_count = 0;
}

/* REP OUTS to a line: as many edges as the string has, the interrupt taken between its iterations. */
void string_lines_test(void)
{
	static const u8 levels[] = {1, 0, 1, 0, 1, 0, 1, 0};
	const u8 *from = levels;
	u64 n = sizeof(levels);

	ioapic_route(PIN, DEST(apic_id()) | VECTOR);
	__asm__ volatile("sti\n\tnop\n\trep outsb\n\tcli"
			 : "+S"(from), "+c"(n)
			 : "d"(TESTDEV_IRQ + PIN)
			 : "memory");
	expect(!n && from == levels + sizeof(levels), "%lu left", n);
	if (guest_platform() == PLATFORM_TCG) /* which looks for interrupts less often */
		expect(irq_count >= 1 && irq_count <= 4, "%u interrupts", irq_count);
	else
		EXPECT_IRQS("four edges", VECTOR, VECTOR, VECTOR, VECTOR);
	irq_count = 0;
}

static volatile unsigned nmis;

static void nmi_handler(struct regs *r)
{
	(void)r;
	nmis++;
}

/* A pin as NMI ends HLT. The 8254 drives the line. */
void nmi_line_test(void)
{
	trap_handler(VEC_NMI, nmi_handler);
	nmis = 0;
	for (unsigned i = 1; i <= 3; i++) {
		pit_start(0, 2000);
		ioapic_route(IOAPIC_PIT_PIN, DEST(apic_id()) | DELIVERY_NMI);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		expect_eq(nmis, i, "NMIs that ended HLT");
		ioapic_route(IOAPIC_PIT_PIN, IOAPIC_MASKED);
	}
	trap_handler(VEC_NMI, NULL);
}
