/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the local APIC, its error status, and the states that IA32_APIC_BASE puts it into. SDM vol. 3,
 * 11.4, 11.5.3 and 11.12. */
#include "apictest.h"

#define ESR_SEND_VECTOR 0x20U
#define ESR_RECEIVE_VECTOR 0x40U
#define ERROR_VECTOR 0x45

static void lvt_holds(u32 reg, u32 value, const char *what)
{
	apic_write(reg, value);
	expect_eq(apic_read(reg), value, what);
	apic_write(reg, APIC_LVT_MASKED | APIC_VEC_SPURIOUS);
	expect_eq(apic_read(reg), APIC_LVT_MASKED | APIC_VEC_SPURIOUS, what);
}

void registers_test(void)
{
	u32 version = apic_read(APIC_VERSION);

	expect((version & 0xff) >= 0x10 && (version & 0xff) <= 0x15, "version 0x%x", version);
	expect((version >> 16 & 0xff) >= 4, "highest LVT entry: version 0x%x", version);
	for (u32 tpr = 0; tpr < 256; tpr += 17) {
		apic_write(APIC_TPR, tpr);
		expect_eq(apic_read(APIC_TPR), tpr, "TPR");
		expect_eq(apic_read(APIC_PPR), tpr, "PPR");
		expect_eq(read_cr8(), tpr >> 4, "CR8");
	}
	apic_write(APIC_TPR, 0);
	lvt_holds(APIC_LVT_TIMER, 0x20031, "LVT timer");
	lvt_holds(APIC_LVT_LINT0, 0x18732, "LVT LINT0");
	lvt_holds(APIC_LVT_LINT1, 0x10433, "LVT LINT1");
	lvt_holds(APIC_LVT_ERROR, 0x00034, "LVT error");
	apic_write(APIC_TIMER_DIVIDE, 0xa);
	expect_eq(apic_read(APIC_TIMER_DIVIDE), 0xa, "divide configuration");
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	/* Software-disabled: every LVT entry is masked and cannot be unmasked. SDM vol. 3, 11.4.7.2. */
	apic_write(APIC_SVR, APIC_VEC_SPURIOUS);
	expect(apic_read(APIC_LVT_ERROR) & APIC_LVT_MASKED, "LVT error not masked when disabled");
	apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_VEC_SPURIOUS);
	if (apic_is_x2()) {
		u32 id = apic_read(APIC_ID);

		expect_eq(apic_read(APIC_LDR), id >> 4 << 16 | 1U << (id & 15), "LDR of x2APIC");
		return;
	}
	apic_write(APIC_LDR, 0xa5ffffff);
	expect_eq(apic_read(APIC_LDR), 0xa5000000, "LDR");
	apic_write(APIC_LDR, 1U << 24);
	apic_write(APIC_DFR, 0x0fffffff);
	expect_eq(apic_read(APIC_DFR), 0x0fffffff, "DFR cluster");
	apic_write(APIC_DFR, 0xffffffff);
}

/* Vectors 0 to 15 cannot be sent. */
void errors_test(void)
{
	u32 esr;

	if (guest_platform() == PLATFORM_TCG || guest_platform() == PLATFORM_BARE) {
		test_skip("TCG reports no illegal vectors, Bochs 2.7 raises no error interrupt");
		return;
	}
	apic_write(APIC_LVT_ERROR, ERROR_VECTOR);
	apic_write(APIC_ESR, 0);
	apic_write(APIC_ESR, 0);
	expect_eq(apic_read(APIC_ESR), 0, "ESR at rest");
	apic_send(apic_id(), APIC_ICR_ASSERT | 5);
	apic_write(APIC_ESR, 0);
	esr = apic_read(APIC_ESR);
	expect(esr & (ESR_SEND_VECTOR | ESR_RECEIVE_VECTOR), "ESR 0x%x after an illegal vector", esr);
	apic_write(APIC_ESR, 0);
	expect_eq(apic_read(APIC_ESR), 0, "ESR after two writes");
	irq_window();
	expect(irq_count >= 1 && irq_log[0] == ERROR_VECTOR, "%u error interrupts", irq_count);
	expect(!apic_bit(APIC_IRR, 5), "illegal vector in IRR");
	apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
}

/* SDM vol. 3, 11.12.1.3: registers that do not exist, read-only ones and reserved bits give #GP. */
void x2_reserved_test(void)
{
	static const u16 absent[] = {0x00, 0x01, 0x04, 0x09, 0x0c, 0x0e, 0x29,
				     0x31, 0x3a, 0x3d, 0x40, 0x7f, 0xff};
	static const struct {
		u16 index;
		u64 value;
	} refused[] = {
	    {0x02, 0},       {0x03, 0},      {0x0a, 0},       {0x0d, 0},       {0x10, 0},
	    {0x20, 0},       {0x39, 0},      {0x08, BIT(8)},  {0x08, BIT(32)}, {0x0b, 1},
	    {0x0f, BIT(13)}, {0x28, 1},      {0x3e, BIT(4)},  {0x3f, BIT(8)},  {0x32, BIT(20)},
	    {0x35, BIT(17)}, {0x37, BIT(8)}, {0x38, BIT(32)}, {0x30, BIT(20)},
	};
	u64 v;

	for (unsigned i = 0; i < ARRAY_SIZE(absent); i++)
		expect(rdmsr_try(MSR_X2APIC + absent[i], &v) == VEC_GP, "RDMSR 0x%x", MSR_X2APIC + absent[i]);
	expect_vector(rdmsr_try(MSR_X2APIC + APIC_EOI / 16, &v), VEC_GP, "RDMSR of EOI");
	expect_vector(rdmsr_try(MSR_X2APIC + APIC_SELF_IPI / 16, &v), VEC_GP, "RDMSR of SELF IPI");
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++)
		expect(guest_platform() == PLATFORM_BARE ||
			   /* Bochs 2.7 checks only some of them */ wrmsr_try(MSR_X2APIC + refused[i].index,
									      refused[i].value) == VEC_GP,
		       "WRMSR 0x%x, 0x%lx", MSR_X2APIC + refused[i].index, refused[i].value);
	expect_vector(wrmsr_try(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~APIC_BASE_X2), VEC_GP,
		      "x2APIC to xAPIC directly");
	expect_vector(wrmsr_try(MSR_X2APIC + APIC_EOI / 16, 0), NO_FAULT, "EOI");
	expect_vector(rdmsr_try(MSR_X2APIC + APIC_ICR / 16, &v), NO_FAULT, "ICR");
	wrmsr(MSR_X2APIC + APIC_SELF_IPI / 16, 0x35);
	irq_window();
	EXPECT_IRQS("SELF IPI", 0x35);
}

static void works(const char *what)
{
	apic_self_ipi(0x36);
	irq_window();
	EXPECT_IRQS(what, 0x36);
}

/* Disabled, xAPIC, x2APIC and all the ways between them. */
void modes_test(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) & ~(APIC_BASE_X2 | APIC_BASE_ENABLE);

	if (guest_platform() == PLATFORM_TCG || guest_platform() == PLATFORM_BARE) {
		test_skip("TCG has one state only, and Bochs 2.7 never comes back from the disabled one");
		return;
	}
	irq_log_vectors(0x36, 0x36);
	for (unsigned round = 0; round < 3; round++) {
		wrmsr(MSR_APIC_BASE, base);
		expect(!(cpuid(1, 0).edx & BIT(9)), "disabled, but in CPUID");
		expect_vector(wrmsr_try(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2), VEC_GP,
			      "disabled to x2APIC");
		apic_init(false);
		expect(cpuid(1, 0).edx & BIT(9), "enabled, but not in CPUID");
		expect_eq(rdmsr(MSR_APIC_BASE), base | APIC_BASE_ENABLE, "APIC_BASE");
		works("IPI after enabling");
		apic_init(true);
		expect_eq(rdmsr(MSR_APIC_BASE), base | APIC_BASE_ENABLE | APIC_BASE_X2, "APIC_BASE");
		works("IPI in x2APIC mode");
		expect(*(volatile u32 *)(APIC_MMIO + APIC_VERSION) != apic_read(APIC_VERSION),
		       "the memory page answers in x2APIC mode");
	}
	wrmsr(MSR_APIC_BASE, base);
	apic_init(false);
	works("IPI at the end");
}
