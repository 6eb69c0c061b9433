/* SPDX-License-Identifier: Apache-2.0 */
/* Order, priorities and destinations of interrupts, and a soak: sent = received. SDM vol. 3, 11.6 and 11.8.
 */
#include "apictest.h"

#define SOAK_ROUNDS 20000U
#define SOAK_VECTORS 8U
#define ICR_LOGICAL 0x800U
#define ICR_LOWEST 0x100U
#define ICR_ALL 0x80000U
#define ICR_OTHERS 0xc0000U

void order_test(void)
{
	apic_self_ipi(0x41);
	apic_self_ipi(0x61);
	apic_self_ipi(0x51);
	apic_self_ipi(0x52);
	expect(apic_bit(APIC_IRR, 0x41) && apic_bit(APIC_IRR, 0x51) && apic_bit(APIC_IRR, 0x52) &&
		   apic_bit(APIC_IRR, 0x61),
	       "IRR bits");
	expect(!apic_bit(APIC_ISR, 0x61), "ISR bit before the interrupt");
	expect_eq(irq_count, 0, "interrupts with IF = 0");
	irq_enable();
	for (unsigned i = 0; i < 100; i++)
		cpu_pause();
	irq_disable();
	EXPECT_IRQS("by priority", 0x61, 0x52, 0x51, 0x41);
	expect(!apic_bit(APIC_IRR, 0x41) && !apic_bit(APIC_ISR, 0x41), "bits left over");
	apic_self_ipi(0x41);
	apic_self_ipi(0x41);
	apic_self_ipi(0x41);
	irq_enable();
	for (unsigned i = 0; i < 100; i++)
		cpu_pause();
	irq_disable();
	EXPECT_IRQS("one vector, three times while pending", 0x41);
	expect(!apic_bit(APIC_TMR, 0x41), "TMR of an edge interrupt");
}

static void tpr_by(void (*set)(u64 class), const char *what)
{
	set(5);
	apic_self_ipi(0x5f);
	irq_window();
	expect_eq(irq_count, 0, what);
	expect(apic_bit(APIC_IRR, 0x5f), "%s: IRR", what);
	apic_self_ipi(0x60);
	irq_window();
	EXPECT_IRQS(what, 0x60);
	/* With IF = 1, lowering the priority lets the interrupt in at once. */
	irq_enable();
	set(4);
	irq_disable();
	EXPECT_IRQS(what, 0x5f);
	set(0);
	irq_window();
	expect_eq(irq_count, 0, what);
}

static void tpr_by_cr8(u64 class)
{
	write_cr8(class);
}

static void tpr_by_register(u64 class)
{
	apic_write(APIC_TPR, (u32) class << 4);
}

void tpr_test(void)
{
	tpr_by(tpr_by_cr8, "TPR by CR8");
	tpr_by(tpr_by_register, "TPR by register");
	/* The subclass of TPR blocks no vector of a higher class. */
	apic_write(APIC_TPR, 0x4f);
	apic_self_ipi(0x50);
	irq_window();
	EXPECT_IRQS("TPR 0x4f, vector 0x50", 0x50);
	apic_write(APIC_TPR, 0);
}

static volatile u32 ppr_inside, nested_inside;

/* Runs at 0x50: a higher interrupt comes in between, a lower one has to wait. */
static void nesting_handler(struct regs *r)
{
	irq_log[irq_count++] = (u8)r->vector;
	ppr_inside = apic_read(APIC_PPR);
	expect(apic_bit(APIC_ISR, 0x50), "ISR bit in the handler");
	apic_self_ipi(0x40);
	apic_self_ipi(0x58);
	irq_window();
	nested_inside = irq_count;
	apic_self_ipi(0x61);
	irq_window();
	nested_inside = nested_inside << 8 | irq_count;
	apic_eoi();
}

void nesting_test(void)
{
	trap_handler(0x50, nesting_handler);
	apic_self_ipi(0x50);
	irq_enable();
	for (unsigned i = 0; i < 100; i++)
		cpu_pause();
	irq_disable();
	expect_eq(ppr_inside, 0x50, "PPR in the handler");
	expect_eq(nested_inside, 0x0102, "interrupts seen in the handler");
	EXPECT_IRQS("nesting", 0x50, 0x61, 0x58, 0x40);
	trap_handler(0x50, irq_log_handler);
}

static void reaches(u32 dest, u32 command, bool us, const char *what)
{
	apic_send(dest, APIC_ICR_ASSERT | command | 0x55);
	irq_window();
	expect_eq(irq_count, us, what);
	irq_log_clear();
}

void destinations_test(void)
{
	u32 id = apic_id();

	reaches(id, 0, true, "physical, our id");
	reaches(id + 1, 0, false, "physical, another id");
	reaches(apic_is_x2() ? 0xffffffff : 0xff, 0, true, "physical broadcast");
	reaches(0, APIC_ICR_SELF, true, "shorthand self");
	reaches(0, ICR_ALL, true, "shorthand all");
	reaches(0, ICR_OTHERS, false, "shorthand others");
	if (apic_is_x2()) {
		u32 ldr = apic_read(APIC_LDR);

		reaches(ldr, ICR_LOGICAL, true, "logical, our id");
		reaches(ldr ^ 0x3, ICR_LOGICAL, false, "logical, another id");
		return;
	}
	reaches(1, ICR_LOGICAL, true, "logical flat, our bit");
	reaches(2, ICR_LOGICAL, false, "logical flat, another bit");
	reaches(0xff, ICR_LOGICAL, true, "logical flat, all");
	reaches(1, ICR_LOGICAL | ICR_LOWEST, true, "lowest priority");
	apic_write(APIC_LDR, 0x21U << 24);
	apic_write(APIC_DFR, 0x0fffffff);
	reaches(0x21, ICR_LOGICAL, true, "logical cluster, ours");
	reaches(0x31, ICR_LOGICAL, false, "logical cluster, another cluster");
	reaches(0x22, ICR_LOGICAL, false, "logical cluster, another processor");
	apic_write(APIC_DFR, 0xffffffff);
	apic_write(APIC_LDR, 1U << 24);
}

static volatile u64 received[SOAK_VECTORS];
static volatile bool pending[SOAK_VECTORS];

static void soak_handler(struct regs *r)
{
	unsigned i = (unsigned)r->vector >> 4 & 7;

	received[i]++;
	pending[i] = false;
	apic_eoi();
}

/* A generator of George Marsaglia's xorshift kind. */
static u32 soak_random(void)
{
	static u32 x = 2463534242U;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* One vector in each of 8 classes, sent when it is not pending, while IF and TPR change at random. */
void soak_test(void)
{
	u64 sent[SOAK_VECTORS] = {0};

	for (unsigned i = 0; i < SOAK_VECTORS; i++) {
		trap_handler((u8)(0x85 + (i << 4)), soak_handler);
		received[i] = 0;
		pending[i] = false;
	}
	for (unsigned n = 0; n < SOAK_ROUNDS; n++) {
		u32 r = soak_random();
		unsigned i = r % SOAK_VECTORS;

		if (!pending[i]) {
			pending[i] = true;
			sent[i]++;
			apic_self_ipi((u8)(0x85 + (i << 4)));
		}
		if ((r >> 8 & 7) == 0)
			write_cr8(r >> 12 & 15);
		if ((r >> 16 & 3) == 0)
			irq_enable();
		else if ((r >> 16 & 3) == 1)
			irq_disable();
		if ((r >> 20 & 15) == 0)
			cpuid(0, 0);
	}
	write_cr8(0);
	irq_enable();
	for (unsigned n = 0; n < 1000; n++)
		cpu_pause();
	irq_disable();
	for (unsigned i = 0; i < SOAK_VECTORS; i++) {
		expect(received[i] == sent[i], "vector 0x%x: %lu sent, %lu received", 0x85 + (i << 4),
		       sent[i], received[i]);
		trap_handler((u8)(0x85 + (i << 4)), NULL);
	}
}
