/* SPDX-License-Identifier: Apache-2.0 */
/* Model-specific registers: reading any gives a value or #GP; reserved bits and non-canonical addresses give
 * #GP. SDM vol. 4, chapter 2. */
#include "apic.h"
#include "page.h"
#include "policy.h"
#include "print.h"
#include "trap.h"

#define NOT_CANONICAL 0x1234567800000000ULL
/* Checks that TCG of QEMU 7.2 does not make. */
#define TCG_LACKS 1U
/* Checks that Bochs 2.7 does not make, and which Socle leaves to the processor. */
#define BOCHS_LACKS 2U

static void walk(u32 first, u32 last, unsigned *values, unsigned *refused)
{
	for (u32 msr = first; msr <= last; msr++) {
		u64 v;
		u32 vector = rdmsr_try(msr, &v);

		if (vector == NO_FAULT)
			(*values)++;
		else
			(*refused)++;
		expect(vector == NO_FAULT || vector == VEC_GP, "MSR 0x%x: vector %u", msr, vector);
	}
}

void msr_walk_test(void)
{
	unsigned values = 0, refused = 0;

	apic_init(false);
	walk(0, 0x2000, &values, &refused);
	walk(0x40000000, 0x400001ff, &values, &refused);
	walk(0x4b564d00, 0x4b564dff, &values, &refused);
	walk(0xc0000000, 0xc0002000, &values, &refused);
	walk(0xc0010000, 0xc0010200, &values, &refused);
	walk(0xfffffff0, 0xfffffffe, &values, &refused);
	print("msr-walk: %u readable, %u refused\n", values, refused);
}

/* Default deny: neither the host's secrets nor what has no meaning. */
void msr_deny_test(void)
{
	static const u32 denied[] = {0x123,      0x480,      0x481,      0x48c,      0x491,      0x4ff,
				     0x570,      0x1fff,     0x2000,     0x40000fff, 0xc0001234, 0xc0010114,
				     0xc0010117, 0xdeadbeef, 0xffffffff, 0xc90,      0x9b,       0x1f2};
	u64 v;

	if (guest_platform() != PLATFORM_SOCLE) {
		test_skip("not under Socle");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(denied); i++) {
		u32 got = rdmsr_try(denied[i], &v);

		expect(got == VEC_GP, "RDMSR 0x%x: %u, value 0x%lx", denied[i], got, v);
		expect(wrmsr_try(denied[i], 0) == VEC_GP, "WRMSR 0x%x went through", denied[i]);
	}
}

struct reserved {
	const char *name;
	u32 msr;
	u64 clear, set; /* on the present value */
	u32 flags;
};

static const struct reserved reserved_rows[] = {
    {"EFER bit 1", MSR_EFER, 0, BIT(1), TCG_LACKS},
    {"EFER bit 16", MSR_EFER, 0, BIT(16), TCG_LACKS},
    {"EFER bit 63", MSR_EFER, 0, BIT(63), TCG_LACKS},
    {"EFER.LME with paging on", MSR_EFER, EFER_LME, 0, TCG_LACKS},
    {"EFER.SVME", MSR_EFER, 0, BIT(12), TCG_LACKS},
    {"APIC_BASE bit 0", MSR_APIC_BASE, 0, BIT(0), TCG_LACKS},
    {"APIC_BASE bit 7", MSR_APIC_BASE, 0, BIT(7), TCG_LACKS},
    {"APIC_BASE bit 9", MSR_APIC_BASE, 0, BIT(9), TCG_LACKS},
    {"APIC_BASE bit 63", MSR_APIC_BASE, 0, BIT(63), TCG_LACKS},
    {"APIC_BASE x2APIC without enable", MSR_APIC_BASE, APIC_BASE_ENABLE, APIC_BASE_X2, TCG_LACKS},
    {"PAT type 2", MSR_PAT, 7, 2, TCG_LACKS},
    {"PAT type 3", MSR_PAT, 7, 3, TCG_LACKS},
    {"PAT bit 3", MSR_PAT, 0, BIT(3), TCG_LACKS},
    {"PAT bit 63", MSR_PAT, 0, BIT(63), TCG_LACKS},
    {"MTRR default type 2", MSR_MTRR_DEF_TYPE, 0xff, 2, TCG_LACKS},
    {"MTRR default type bit 8", MSR_MTRR_DEF_TYPE, 0, BIT(8), TCG_LACKS},
    {"MTRR default type bit 12", MSR_MTRR_DEF_TYPE, 0, BIT(12), TCG_LACKS},
    {"MTRR base type 3", MSR_MTRR_PHYSBASE0, 0xff, 3, TCG_LACKS},
    {"MTRR base bit 8", MSR_MTRR_PHYSBASE0, 0, BIT(8), TCG_LACKS},
    {"MTRR base bit 63", MSR_MTRR_PHYSBASE0, 0, BIT(63), TCG_LACKS},
    {"MTRR mask bit 0", MSR_MTRR_PHYSMASK0, 0, BIT(0), TCG_LACKS},
    {"MTRR mask bit 63", MSR_MTRR_PHYSMASK0, 0, BIT(63), TCG_LACKS},
    {"MTRRCAP is read-only", MSR_MTRRCAP, 0, 0, TCG_LACKS},
    {"LSTAR not canonical", MSR_LSTAR, UINT64_MAX, NOT_CANONICAL, TCG_LACKS},
    {"CSTAR not canonical", MSR_CSTAR, UINT64_MAX, NOT_CANONICAL, TCG_LACKS},
    {"FS_BASE not canonical", MSR_FS_BASE, UINT64_MAX, NOT_CANONICAL, TCG_LACKS},
    {"GS_BASE not canonical", MSR_GS_BASE, UINT64_MAX, NOT_CANONICAL, TCG_LACKS},
    {"KERNEL_GS_BASE not canonical", MSR_KERNEL_GS_BASE, UINT64_MAX, NOT_CANONICAL, TCG_LACKS},
    {"SYSENTER_ESP not canonical", MSR_SYSENTER_ESP, UINT64_MAX, NOT_CANONICAL, TCG_LACKS},
    {"SYSENTER_EIP not canonical", MSR_SYSENTER_EIP, UINT64_MAX, NOT_CANONICAL, TCG_LACKS},
    {"TSC_AUX bit 32", MSR_TSC_AUX, 0, BIT(32), TCG_LACKS | BOCHS_LACKS},
    {"DEBUGCTL bit 20", MSR_DEBUGCTL, 0, BIT(20), TCG_LACKS},
    {"DEBUGCTL bit 63", MSR_DEBUGCTL, 0, BIT(63), TCG_LACKS},
    {"VMX_BASIC is read-only or absent", MSR_VMX_BASIC, 0, 0, TCG_LACKS},
    {"x2APIC TPR in xAPIC mode", MSR_X2APIC + 8, 0, 0, TCG_LACKS},
    {"MSR 0xdeadbeef", 0xdeadbeef, 0, 0, TCG_LACKS},
};

static void reserved_row(const struct reserved *row, u32 lacks)
{
	u64 before, after;
	u32 vector;

	if (row->flags & lacks)
		return;
	if (rdmsr_try(row->msr, &before) != NO_FAULT) /* absent: then writing is refused as well */
		before = 0;
	vector = wrmsr_try(row->msr, (before & ~row->clear) | row->set);
	if (!expect_vector(vector, VEC_GP, row->name))
		wrmsr_try(row->msr, before);
	if (rdmsr_try(row->msr, &after) == NO_FAULT)
		expect_eq(after, before, row->name);
}

static u32 platform_lacks(void)
{
	if (guest_platform() == PLATFORM_TCG)
		return TCG_LACKS;
	return test_has_word("bochs") ? BOCHS_LACKS : 0;
}

void msr_reserved_test(void)
{
	u32 lacks = platform_lacks();
	u64 xss;

	apic_init(false);
	for (unsigned i = 0; i < ARRAY_SIZE(reserved_rows); i++)
		reserved_row(&reserved_rows[i], lacks);
	if (lacks & TCG_LACKS) {
		test_skip("TCG makes none of these checks");
		return;
	}
	expect_vector(wrmsr_try(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BIT(page_phys_bits())), VEC_GP,
		      "APIC_BASE beyond the physical width");
	if ((cpuid(0xd, 1).eax & BIT(3)) && rdmsr_try(MSR_XSS, &xss) == NO_FAULT)
		expect_vector(wrmsr_try(MSR_XSS, BIT(62)), VEC_GP, "XSS bit 62");
	else
		expect_vector(wrmsr_try(MSR_XSS, 0), VEC_GP, "XSS without XSAVES");
}

/* Registers that hold what is written, and only that. */
void msr_hold_test(void)
{
	static const u32 msrs[] = {MSR_STAR,    MSR_LSTAR,        MSR_CSTAR,          MSR_SYSENTER_ESP,
				   MSR_FS_BASE, MSR_SYSENTER_EIP, MSR_KERNEL_GS_BASE, MSR_GS_BASE};
	u64 v;

	for (unsigned i = 0; i < ARRAY_SIZE(msrs); i++) {
		u64 old = rdmsr(msrs[i]), pattern = 0xffff800000001000ULL + i * 0x10000;

		expect_vector(wrmsr_try(msrs[i], pattern), NO_FAULT, "canonical address");
		cpuid(0, 0); /* an exit in between */
		expect_vector(rdmsr_try(msrs[i], &v), NO_FAULT, "RDMSR");
		expect(v == pattern, "MSR 0x%x holds 0x%lx", msrs[i], v);
		wrmsr(msrs[i], old);
	}
	wrmsr(MSR_SFMASK, 0x47700);
	cpuid(0, 0);
	expect_eq(rdmsr(MSR_SFMASK), 0x47700, "SFMASK");
	wrmsr(MSR_PAT, 0x0007010600070106ULL);
	cpuid(0, 0);
	expect_eq(rdmsr(MSR_PAT), 0x0007010600070106ULL, "PAT");
	wrmsr(MSR_PAT, 0x0007040600070406ULL);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE | EFER_SCE);
	expect_eq(rdmsr(MSR_EFER), EFER_NXE | EFER_SCE | EFER_LME | EFER_LMA, "EFER");
	wrmsr(MSR_EFER, EFER_LME | EFER_LMA);
	expect_vector(wrmsr_try(MSR_BIOS_SIGN_ID, 0), NO_FAULT, "BIOS_SIGN_ID takes 0");
}
