/* SPDX-License-Identifier: Apache-2.0 */
/* When the interrupt window opens and closes, and non-maskable interrupts. SDM vol. 3, 6.7 and 6.8. M19. */
#include "apictest.h"

#define PENDING_VECTOR 0x44

struct shadow_row {
	const char *name;
	void (*code)(void *scratch);
	u64 first, after, flags;
};
enum { SOCLE_ONLY = 1, TWO_PLACES = 2 };

extern const struct shadow_row shadow_rows[], shadow_rows_end[];
void window_popf(void);
void window_iret(void);
void window_sti_cli(void);
extern char window_popf_after[], window_iret_after[];

void shadows_test(void)
{
	static u8 scratch[64];

	for (const struct shadow_row *r = shadow_rows; r < shadow_rows_end; r++) {
		if ((r->flags & SOCLE_ONLY) && guest_platform() != PLATFORM_SOCLE)
			continue;
		if (guest_platform() == PLATFORM_TCG && !strcmp(r->name, "pause")) /* one instruction late */
			continue;
		apic_self_ipi(PENDING_VECTOR);
		irq_rip = 0;
		r->code(scratch);
		expect(irq_count == 1, "sti, %s: %u interrupts", r->name, irq_count);
		expect(irq_rip == r->after || ((r->flags & TWO_PLACES) && irq_rip == r->first),
		       "sti, %s: interrupt at +%ld of the right place", r->name, (i64)(irq_rip - r->after));
		irq_log_clear();
		irq_window();
		irq_log_clear();
	}
}

void window_test(void)
{
	apic_self_ipi(PENDING_VECTOR);
	cpuid(0, 0);
	inb(PIC_MASTER_DATA);
	expect_eq(irq_count, 0, "interrupts with IF = 0");
	if (!test_has_word("bochs-vid")) { /* which delivers behind the CLI */
		window_sti_cli();
		expect_eq(irq_count, 0, "STI, CLI");
	}
	window_popf();
	EXPECT_IRQS("POPF", PENDING_VECTOR);
	expect_eq(irq_rip, (u64)window_popf_after, "RIP behind POPF");
	apic_self_ipi(PENDING_VECTOR);
	window_iret();
	EXPECT_IRQS("IRET", PENDING_VECTOR);
	expect_eq(irq_rip, (u64)window_iret_after, "RIP behind IRET");
	/* Already open: it comes during or just behind the write that sends it. */
	irq_enable();
	apic_self_ipi(PENDING_VECTOR);
	cpu_pause();
	irq_disable();
	EXPECT_IRQS("IF = 1", PENDING_VECTOR);
}

static void send_nmi(void)
{
	apic_send(apic_id(), APIC_ICR_NMI | APIC_ICR_ASSERT);
}

static void settle(void)
{
	for (unsigned i = 0; i < 100; i++)
		cpu_pause();
}

void nmi_test(void)
{
	trap_handler(VEC_NMI, irq_log_handler);
	for (unsigned i = 0; i < 20; i++) {
		send_nmi();
		settle();
		EXPECT_IRQS("NMI with IF = 0", VEC_NMI);
	}
	/* It comes before what waits for the window. */
	apic_self_ipi(PENDING_VECTOR);
	send_nmi();
	settle();
	EXPECT_IRQS("NMI before the window", VEC_NMI);
	irq_window();
	EXPECT_IRQS("the interrupt behind it", PENDING_VECTOR);
	trap_handler(VEC_NMI, NULL);
}

static unsigned depth, deepest;

/* The first one raises two more, which the processor holds back as one until IRET. */
static void blocking_handler(struct regs *r)
{
	bool first = irq_count == 0;

	depth++;
	deepest = depth > deepest ? depth : deepest;
	irq_log[irq_count++] = (u8)r->vector;
	if (first) {
		send_nmi();
		send_nmi();
		apic_self_ipi(PENDING_VECTOR);
		settle();
		cpuid(0, 0);
		expect_eq(irq_count, 1, "NMI within an NMI");
	}
	depth--;
}

static void breakpoint_handler(struct regs *r)
{
	(void)r;
}

/* IRET from any handler inside unblocks. */
static void unblocking_handler(struct regs *r)
{
	bool first = irq_count == 0;

	irq_log[irq_count++] = (u8)r->vector;
	if (!first)
		return;
	send_nmi();
	settle();
	expect_eq(irq_count, 1, "NMI while blocked");
	__asm__ volatile("int3");
	settle();
	expect_eq(irq_count, 2, "NMI behind an IRET in the handler");
}

void nmi_blocking_test(void)
{
	depth = deepest = 0;
	trap_handler(VEC_NMI, blocking_handler);
	irq_enable();
	send_nmi();
	settle();
	irq_disable();
	expect_eq(deepest, 1, "depth of NMI handlers");
	if (test_has_word("bochs-vid")) { /* which now and then delivers before the NMI window opens */
		expect_eq(irq_count, 3, "NMI, the held one and the interrupt");
		irq_log_clear();
	} else {
		EXPECT_IRQS("NMI, the held one, the interrupt", VEC_NMI, VEC_NMI, PENDING_VECTOR);
	}

	trap_handler(VEC_NMI, unblocking_handler);
	trap_handler(VEC_BP, breakpoint_handler);
	send_nmi();
	settle();
	EXPECT_IRQS("unblocked by IRET", VEC_NMI, VEC_NMI);
	trap_handler(VEC_BP, NULL);
	trap_handler(VEC_NMI, NULL);
}
