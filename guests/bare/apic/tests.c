/* SPDX-License-Identifier: Apache-2.0 */
/* The table of tests, and the log of interrupts that they share. M18, M19, M66. */
#include "apictest.h"
#include "print.h"

volatile u8 irq_log[LOG_SIZE];
volatile unsigned irq_count;
volatile u64 irq_rip;

void irq_log_handler(struct regs *r)
{
	if (irq_count < LOG_SIZE)
		irq_log[irq_count] = (u8)r->vector;
	irq_count++;
	irq_rip = r->rip;
	if (r->vector != VEC_NMI)
		apic_eoi();
}

void irq_log_vectors(u8 first, u8 last)
{
	for (unsigned v = first; v <= last; v++)
		trap_handler((u8)v, irq_log_handler);
}

void irq_log_clear(void)
{
	irq_count = 0;
}

void irq_log_expect(const u8 *vectors, unsigned n, const char *what)
{
	bool same = irq_count == n;

	for (unsigned i = 0; same && i < n; i++)
		same = irq_log[i] == vectors[i];
	expect(same, "%s: %u interrupts, the first 0x%x 0x%x 0x%x", what, irq_count, irq_log[0], irq_log[1],
	       irq_log[2]);
	irq_log_clear();
}

/* The processor may take the spurious vector where priorities change under a pending interrupt (SDM vol. 3,
 * 11.9), and Bochs 2.7 does often; Socle has no reason to. It needs no EOI. */
static void spurious_handler(struct regs *r)
{
	(void)r;
	expect(guest_platform() != PLATFORM_SOCLE, "spurious interrupt");
}

static void in_mode(bool x2, void (*test)(void))
{
	if (x2 && !apic_has_x2()) {
		test_skip("no x2APIC");
		return;
	}
	apic_init(x2);
	for (unsigned v = 0x20; v < 256; v++)
		trap_handler((u8)v, NULL);
	irq_log_vectors(0x31, 0x7f);
	trap_handler(APIC_VEC_SPURIOUS, spurious_handler);
	irq_log_clear();
	test();
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	apic_write(APIC_TPR, 0);
	irq_window();
}

#define BOTH(fn)                                                                                             \
	static void fn##_x(void)                                                                             \
	{                                                                                                    \
		in_mode(false, fn##_test);                                                                   \
	}                                                                                                    \
	static void fn##_x2(void)                                                                            \
	{                                                                                                    \
		in_mode(true, fn##_test);                                                                    \
	}

BOTH(registers)
BOTH(errors)
BOTH(order)
BOTH(tpr)
BOTH(nesting)
BOTH(destinations)
BOTH(soak)
BOTH(shadows)
BOTH(window)
BOTH(nmi)
BOTH(nmi_blocking)
BOTH(one_shot)
BOTH(periodic)
BOTH(deadline)
BOTH(pv_eoi)

static void x2_reserved_x2(void)
{
	in_mode(true, x2_reserved_test);
}

const struct test guest_tests[] = {
    {"registers-x", registers_x, 0},
    {"errors-x", errors_x, 0},
    {"order-x", order_x, 0},
    {"tpr-x", tpr_x, 0},
    {"nesting-x", nesting_x, 0},
    {"destinations-x", destinations_x, 0},
    {"soak-x", soak_x, 0},
    {"shadows-x", shadows_x, 0},
    {"window-x", window_x, 0},
    {"nmi-x", nmi_x, 0},
    {"nmi-blocking-x", nmi_blocking_x, 0},
    {"one-shot-x", one_shot_x, 0},
    {"periodic-x", periodic_x, 0},
    {"deadline-x", deadline_x, 0},
    {"pv-eoi-x", pv_eoi_x, 0},
    {"registers-x2", registers_x2, 0},
    {"errors-x2", errors_x2, 0},
    {"reserved-x2", x2_reserved_x2, 0},
    {"order-x2", order_x2, 0},
    {"tpr-x2", tpr_x2, 0},
    {"nesting-x2", nesting_x2, 0},
    {"destinations-x2", destinations_x2, 0},
    {"soak-x2", soak_x2, 0},
    {"shadows-x2", shadows_x2, 0},
    {"window-x2", window_x2, 0},
    {"nmi-x2", nmi_x2, 0},
    {"nmi-blocking-x2", nmi_blocking_x2, 0},
    {"one-shot-x2", one_shot_x2, 0},
    {"periodic-x2", periodic_x2, 0},
    {"deadline-x2", deadline_x2, 0},
    {"pv-eoi-x2", pv_eoi_x2, 0},
    {"modes", modes_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
