/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of the local APIC in both modes. */
#include "apic.h"
#include "trap.h"

static bool x2_mode;

bool apic_has_x2(void)
{
	return cpuid(1, 0).ecx & BIT(21);
}

bool apic_has_deadline(void)
{
	return cpuid(1, 0).ecx & BIT(24);
}

bool apic_is_x2(void)
{
	return x2_mode;
}

u32 apic_read(u32 reg)
{
	if (x2_mode)
		return (u32)rdmsr(MSR_X2APIC + reg / 16);
	return *(volatile u32 *)(APIC_MMIO + reg);
}

void apic_write(u32 reg, u32 v)
{
	if (x2_mode)
		wrmsr(MSR_X2APIC + reg / 16, v);
	else
		*(volatile u32 *)(APIC_MMIO + reg) = v;
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return x2_mode ? id : id >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send(u32 dest, u32 command)
{
	unsigned patience = 100000;

	if (x2_mode) {
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (u64)dest << 32 | command);
		return;
	}
	apic_write(APIC_ICR_HIGH, dest << 24);
	apic_write(APIC_ICR, command);
	while ((apic_read(APIC_ICR) & APIC_ICR_PENDING) && --patience)
		cpu_pause();
}

void apic_self_ipi(u8 vector)
{
	apic_send(0, APIC_ICR_SELF | APIC_ICR_ASSERT | vector);
}

bool apic_bit(u32 reg, u8 vector)
{
	return apic_read(reg + vector / 32U * 16) >> vector % 32 & 1;
}

/* On Bochs 2.7 without a hypervisor the APIC never comes back from the disabled state, and TCG keeps the old
 * mode bits; so that state is only visited where the mode must change. */
static void set_mode(bool x2)
{
	u64 base = rdmsr(MSR_APIC_BASE) & ~(APIC_BASE_X2 | APIC_BASE_ENABLE);
	u64 now = rdmsr(MSR_APIC_BASE);

	x2_mode = x2;
	if ((now & APIC_BASE_ENABLE) && !(now & APIC_BASE_X2) == !x2)
		return;
	if (now & APIC_BASE_X2)
		wrmsr(MSR_APIC_BASE, base);
	wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	if (x2)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2);
}

void apic_init(bool x2)
{
	static const u16 lvt[] = {APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_LINT1, APIC_LVT_ERROR};

	set_mode(x2);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_VEC_SPURIOUS);
	for (unsigned i = 0; i < ARRAY_SIZE(lvt); i++)
		apic_write(lvt[i], APIC_LVT_MASKED | APIC_VEC_SPURIOUS);
	apic_write(APIC_TPR, 0);
	if (!x2) {
		apic_write(APIC_DFR, 0xffffffff);
		apic_write(APIC_LDR, 1U << 24);
	}
	apic_write(APIC_ESR, 0);
}
