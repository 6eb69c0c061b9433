/* SPDX-License-Identifier: Apache-2.0 */
/* Control and debug registers: bits that must not be set are refused, bits that may be hold. SDM vol. 3, 2.5,
 * 2.6 and 17.2; vol. 2, MOV to and from control registers. */
#include "apic.h"
#include "page.h"
#include "policy.h"
#include "trap.h"

static bool on_tcg(void)
{
	return guest_platform() == PLATFORM_TCG;
}

static void cr0_refused(u64 v, const char *what)
{
	u64 before = read_cr0();

	if (!expect_vector(write_cr0_try(v), VEC_GP, what))
		write_cr0(before);
	expect_eq(read_cr0(), before, what);
}

void cr0_test(void)
{
	static const u64 holds[] = {CR0_TS, CR0_MP, CR0_EM, CR0_NE, CR0_WP, CR0_AM, CR0_CD, CR0_CD | CR0_NW};
	static const u64 ignored = 0x1ffaffc0; /* reserved bits below 32 stay clear */
	u64 cr0 = read_cr0();

	if (!on_tcg()) { /* which lacks these checks */
		cr0_refused(cr0 & ~CR0_PG, "paging off in 64-bit mode");
		cr0_refused(cr0 & ~CR0_PE, "PG without PE");
		cr0_refused((cr0 & ~CR0_CD) | CR0_NW, "NW without CD");
		cr0_refused(cr0 | BIT(32), "bit 32");
		cr0_refused(cr0 | BIT(63), "bit 63");
		expect_vector(write_cr0_try(cr0 | ignored), NO_FAULT, "reserved bits below 32");
		expect_eq(read_cr0(), cr0, "reserved bits below 32");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(holds); i++) {
		u64 flipped = cr0 ^ holds[i];
		u16 msw;

		expect_vector(write_cr0_try(flipped), NO_FAULT, "legal change");
		expect(read_cr0() == flipped, "CR0 0x%lx reads as 0x%lx", flipped, read_cr0());
		__asm__ volatile("smsw %0" : "=r"(msw));
		expect_eq(msw, flipped & 0xffff, "SMSW");
		write_cr0(cr0);
	}
	__asm__ volatile("lmsw %w0" ::"r"((u32)(cr0 & ~CR0_PE) | (u32)CR0_TS));
	expect_eq(read_cr0(), cr0 | CR0_TS, "LMSW sets TS and cannot clear PE");
	__asm__ volatile("clts");
	expect_eq(read_cr0(), cr0, "CLTS");
	__asm__ volatile("lmsw %w0" ::"r"((u32)cr0 | (u32)CR0_EM | (u32)CR0_TS));
	expect_eq(read_cr0(), cr0 | CR0_EM | CR0_TS, "LMSW sets EM and TS");
	write_cr0(cr0);
}

void cr3_test(void)
{
	u64 cr3 = read_cr3();

	expect_vector(write_cr3_try(cr3 | BIT(3)), NO_FAULT, "PWT");
	expect_eq(read_cr3(), cr3 | BIT(3), "CR3 with PWT");
	write_cr3(cr3);
	if (on_tcg()) {
		test_skip("TCG checks no reserved bits of CR3");
		return;
	}
	for (unsigned bit = page_phys_bits(); bit < 64; bit++) {
		if (!expect(write_cr3_try(cr3 | BIT(bit)) == VEC_GP, "CR3 bit %u", bit))
			write_cr3(cr3);
	}
	expect_eq(read_cr3(), cr3, "CR3 after refusals");
}

/* CR4 bit and the CPUID bit that allows it. reg: 0 EBX, 1 ECX, 2 EDX. */
static const struct cr4_bit {
	u8 bit, leaf, reg, cpuid_bit;
} cr4_bits[] = {
    {0, 1, 2, 1},  {1, 1, 2, 1},  {2, 1, 2, 4},   {3, 1, 2, 2},   {4, 1, 2, 3},  {5, 1, 2, 6},
    {6, 1, 2, 7},  {7, 1, 2, 13}, {9, 1, 2, 24},  {10, 1, 2, 25}, {11, 7, 1, 2}, {13, 1, 1, 5},
    {14, 1, 1, 6}, {16, 7, 0, 0}, {17, 1, 1, 17}, {18, 1, 1, 26}, {20, 7, 0, 7}, {21, 7, 0, 20},
    {22, 7, 1, 3}, {23, 7, 1, 7}, {24, 7, 1, 31},
};

static bool cr4_allowed(unsigned bit)
{
	if (bit == 8)
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(cr4_bits); i++) {
		const struct cr4_bit *b = &cr4_bits[i];
		struct cpuid_regs r;
		u32 reg;

		if (b->bit != bit)
			continue;
		r = cpuid(b->leaf, 0);
		reg = b->reg == 0 ? r.ebx : b->reg == 1 ? r.ecx : r.edx;
		if (bit == 23) /* CET: shadow stacks or indirect branch tracking */
			return (r.ecx & BIT(7)) || (r.edx & BIT(20));
		return reg >> b->cpuid_bit & 1;
	}
	return false;
}

static void cr4_bit_test(unsigned bit, u64 cr4)
{
	u64 with = cr4 | BIT(bit);
	u32 vector = write_cr4_try(with);

	if (!cr4_allowed(bit)) {
		if (!expect(vector == VEC_GP, "CR4 bit %u is not enumerated, but can be set", bit))
			write_cr4(cr4);
		expect_eq(read_cr4(), cr4, "CR4 after a refusal");
		return;
	}
	expect(vector == NO_FAULT, "CR4 bit %u is enumerated, but gives vector %u", bit, vector);
	cpuid(0, 0);
	expect(read_cr4() == with, "CR4 bit %u: reads 0x%lx", bit, read_cr4());
	write_cr4(cr4);
	expect_eq(read_cr4(), cr4, "CR4 after clearing");
}

void cr4_test(void)
{
	u64 cr4 = read_cr4();

	if (on_tcg()) {
		test_skip("TCG drops reserved bits of CR4 without a fault");
		return;
	}
	boot_pml4[0] &= ~PTE_U; /* SMEP and SMAP would forbid our own pages */
	write_cr3(read_cr3());
	for (unsigned bit = 0; bit < 64; bit++) {
		if (bit != 12) /* LA57 cannot change in 64-bit mode: below */
			cr4_bit_test(bit, cr4);
	}
	expect_vector(write_cr4_try(cr4 ^ CR4_LA57), VEC_GP, "LA57 in 64-bit mode");
	expect_vector(write_cr4_try(cr4 & ~CR4_PAE), VEC_GP, "PAE off in long mode");
	expect_eq(read_cr4(), cr4, "CR4 after all");
	boot_pml4[0] |= PTE_U;
	write_cr3(read_cr3());
	if (!(cpuid(1, 0).ecx & BIT(17)))
		return;
	/* PCIDE may be set only while CR3[11:0] is 0. SDM vol. 3, 4.10.1. */
	write_cr3(read_cr3() | BIT(3));
	expect_vector(write_cr4_try(cr4 | CR4_PCIDE), VEC_GP, "PCIDE with CR3[11:0] not 0");
	write_cr3(read_cr3() & ~BIT(3));
}

void cr8_test(void)
{
	apic_init(false);
	for (u64 v = 0; v < 16; v++) {
		expect_vector(write_cr8_try(v), NO_FAULT, "CR8");
		expect_eq(read_cr8(), v, "CR8");
		expect_eq(apic_read(APIC_TPR), v << 4, "TPR after CR8");
	}
	write_cr8(0);
	apic_write(APIC_TPR, 0x57);
	expect_eq(read_cr8(), 5, "CR8 after TPR");
	apic_write(APIC_TPR, 0);
	if (on_tcg()) {
		test_skip("TCG takes any value for CR8");
		return;
	}
	for (unsigned bit = 4; bit < 64; bit++)
		expect(write_cr8_try(BIT(bit)) == VEC_GP, "CR8 bit %u", bit);
	expect_eq(read_cr8(), 0, "CR8 after refusals");
}

void xcr0_test(void)
{
	struct cpuid_regs r = cpuid(0xd, 0);
	u64 all = (u64)r.edx << 32 | r.eax;

	if (!(cpuid(1, 0).ecx & BIT(26))) {
		test_skip("no XSAVE");
		return;
	}
	expect_vector(xsetbv_try(0, 1), VEC_UD, "XSETBV without OSXSAVE");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	expect_eq(xgetbv(0), 1, "XCR0 after reset");
	expect_vector(xsetbv_try(0, 0), VEC_GP, "XCR0 without x87");
	expect_vector(xsetbv_try(0, 5), VEC_GP, "AVX without SSE");
	expect_vector(xsetbv_try(1, 1), VEC_GP, "XCR1");
	expect_vector(xsetbv_try(0xffffffff, 1), VEC_GP, "XCR 0xffffffff");
	for (unsigned bit = 2; bit < 64; bit++) {
		if (!(all & BIT(bit)))
			expect(xsetbv_try(0, 3 | BIT(bit)) == VEC_GP, "XCR0 bit %u is not enumerated", bit);
	}
	if (all & BIT(5)) {
		expect_vector(xsetbv_try(0, 0x27), VEC_GP, "opmask without the rest of AVX-512");
		expect_vector(xsetbv_try(0, 0xe3), VEC_GP, "AVX-512 without AVX");
	}
	expect_eq(xgetbv(0), 1, "XCR0 after refusals");
	expect_vector(xsetbv_try(0, 3), NO_FAULT, "x87 and SSE");
	cpuid(0, 0);
	expect_eq(xgetbv(0), 3, "XCR0 = 3");
	expect_vector(xsetbv_try(0, all), NO_FAULT, "everything");
	cpuid(0, 0);
	expect_eq(xgetbv(0), all, "XCR0 = all");
	xsetbv_try(0, 1);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

void debug_registers_test(void)
{
	write_dr0(0x1000);
	write_dr1(0xffff800000002000ULL);
	write_dr2(0x3000);
	write_dr3(0x4000);
	cpuid(0, 0);
	expect_eq(read_dr0(), 0x1000, "DR0");
	expect_eq(read_dr1(), 0xffff800000002000ULL, "DR1");
	expect_eq(read_dr2(), 0x3000, "DR2");
	expect_eq(read_dr3(), 0x4000, "DR3");
	expect_vector(write_dr7_try(DR7_INIT | BIT(32)), VEC_GP, "DR7 bit 32");
	expect_vector(write_dr6_try(DR6_INIT | BIT(32)), VEC_GP, "DR6 bit 32");
	write_dr7(DR7_INIT | 0x300);
	cpuid(0, 0);
	expect_eq(read_dr7(), DR7_INIT | 0x300, "DR7 holds LE and GE");
	write_dr7(0);
	expect_eq(read_dr7(), DR7_INIT, "DR7 bit 10 is always 1");
	write_dr6(0);
	if (!on_tcg()) /* which keeps no fixed ones in DR6 */
		expect_eq(read_dr6() & ~BIT(16) & ~BIT(11), DR6_INIT & ~BIT(16) & ~BIT(11), "DR6 fixed ones");
	write_dr6(DR6_INIT | 0xf | DR6_BS);
	cpuid(0, 0);
	expect_eq(read_dr6(), DR6_INIT | 0xf | DR6_BS, "DR6 holds");
	write_dr6(DR6_INIT);
	write_dr0(0);
	write_dr1(0);
	write_dr2(0);
	write_dr3(0);
}
