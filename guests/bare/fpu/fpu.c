/* SPDX-License-Identifier: Apache-2.0 */
/* Floating-point and vector registers belong to the guest: they live through exits, through halting, and
 * through XSAVE and XRSTOR; what XCR0 and CR0 close, faults. SDM vol. 1, chapter 13. */
#include "apic.h"
#include "hyper.h"
#include "irqchip.h"
#include "page.h"
#include "print.h"
#include "test.h"
#include "trap.h"

#define AREA_SIZE 4096
#define LEGACY_SIZE 512
#define XSTATE_BV 512 /* offsets in the XSAVE area */
#define XCOMP_BV 520
#define TIMER_VECTOR 0x64
#define MMIO_NONE 0xd0000000ULL

void sse_load(void *p), sse_store(void *p), avx_load(void *p), avx_store(void *p);
void avx512_load(void *p), avx512_store(void *p), x87_load(void *p), x87_store(void *p);
void fpu_xsave(void *area, u64 mask), fpu_xrstor(void *area, u64 mask), fpu_xsaveopt(void *area, u64 mask);
void fpu_xsavec(void *area, u64 mask), fpu_xsaves(void *area, u64 mask), fpu_xrstors(void *area, u64 mask);

static u8 loaded[AREA_SIZE] __attribute__((aligned(64))), stored[AREA_SIZE] __attribute__((aligned(64)));
static u8 area[AREA_SIZE] __attribute__((aligned(64)));

static void fill(u8 *p, unsigned n, unsigned salt)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (u8)(i * 37 + salt);
}

static volatile unsigned timer_fired;

static void timer_handler(struct regs *r)
{
	(void)r;
	timer_fired++;
	apic_eoi();
}

/* Exits of every kind, a pause in HLT, and interrupts. */
static void many_exits(void)
{
	static u8 ignored[16];
	const u8 *from = ignored;

	for (unsigned i = 0; i < 50; i++) {
		cpuid(i, 0);
		inb(PIC_MASTER_DATA);
		rdmsr(MSR_APIC_BASE);
		ioapic_read(1);
		*(volatile u32 *)MMIO_NONE = i;
		__asm__ volatile("outsb" : "+S"(from) : "d"(0x80));
		if (hypercall_present())
			hypercall(SOCLE_CALL_VERSION, 0, 0);
	}
	trap_handler(TIMER_VECTOR, timer_handler);
	apic_init(false);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	for (unsigned i = 0; i < 5; i++) {
		apic_write(APIC_TIMER_INITIAL, 20000);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
	}
}

static bool has_xsave(void)
{
	return cpuid(1, 0).ecx & BIT(26);
}

static u64 all_features(void)
{
	struct cpuid_regs r = cpuid(0xd, 0);

	return (u64)r.edx << 32 | r.eax;
}

static void xcr0(u64 v)
{
	write_cr4(read_cr4() | CR4_OSXSAVE);
	expect_vector(xsetbv_try(0, v), NO_FAULT, "XSETBV");
}

static void survives(void (*load)(void *), void (*store)(void *), unsigned size, const char *what)
{
	for (unsigned salt = 1; salt < 4; salt++) {
		fill(loaded, size, salt);
		memset(stored, 0, size);
		load(loaded);
		many_exits();
		store(stored);
		expect(!memcmp(loaded, stored, size), "%s changed over exits", what);
	}
}

static void x87_test(void)
{
	static const u16 control = 0x0f7f;
	u16 read_back = 0;

	for (unsigned i = 0; i < 8; i++) { /* normal numbers, so that a load keeps every bit */
		fill(loaded + i * 10, 8, i + 3);
		loaded[i * 10 + 7] |= 0x80;
		loaded[i * 10 + 8] = (u8)i;
		loaded[i * 10 + 9] = 0x3f;
	}
	x87_load(loaded);
	__asm__ volatile("fldcw %0" ::"m"(control));
	many_exits();
	__asm__ volatile("fnstcw %0" : "=m"(read_back));
	expect_eq(read_back, control, "control word");
	x87_store(stored);
	expect(!memcmp(loaded, stored, 80), "x87 registers changed over exits");
	__asm__ volatile("fninit");
}

static void sse_test(void)
{
	static const u32 control = 0x3fa0, usual = 0x1f80;
	u32 read_back = 0;

	survives(sse_load, sse_store, 16 * 16, "XMM registers");
	__asm__ volatile("ldmxcsr %0" ::"m"(control));
	many_exits();
	__asm__ volatile("stmxcsr %0" : "=m"(read_back));
	expect_eq(read_back, control, "MXCSR");
	__asm__ volatile("ldmxcsr %0" ::"m"(usual));
}

static void call_avx(void *p)
{
	avx_store(p);
}

static void avx_test(void)
{
	if (!has_xsave() || !(cpuid(1, 0).ecx & BIT(28))) {
		test_skip("no AVX");
		return;
	}
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
	expect_vector(trap_catch(call_avx, stored), VEC_UD, "AVX without OSXSAVE");
	xcr0(3);
	expect_vector(trap_catch(call_avx, stored), VEC_UD, "AVX without its bit in XCR0");
	xcr0(7);
	survives(avx_load, avx_store, 16 * 32, "YMM registers");
	write_cr0(read_cr0() | CR0_TS);
	expect_vector(trap_catch(call_avx, stored), VEC_NM, "AVX with TS");
	write_cr0(read_cr0() & ~CR0_TS);
	xcr0(1);
}

static void call_avx512(void *p)
{
	avx512_store(p);
}

static void avx512_test(void)
{
	if (!has_xsave() || (all_features() & 0xe0) != 0xe0 || !(cpuid(7, 0).ebx & BIT(16))) {
		test_skip("no AVX-512");
		return;
	}
	xcr0(7);
	expect_vector(trap_catch(call_avx512, stored), VEC_UD, "AVX-512 without its bits in XCR0");
	xcr0(0xe7);
	survives(avx512_load, avx512_store, 32 * 64 + 8 * 2, "ZMM and mask registers");
	xcr0(1);
}

static u32 rdpkru(void)
{
	u32 v;

	__asm__ volatile("rdpkru" : "=a"(v) : "c"(0) : "edx");
	return v;
}

static void pkru_test(void)
{
	if (!(cpuid(7, 0).ecx & BIT(3)) || !(all_features() & BIT(9))) {
		test_skip("no protection keys");
		return;
	}
	write_cr4(read_cr4() | CR4_PKE);
	__asm__ volatile("wrpkru" ::"a"(0x55555550), "c"(0), "d"(0));
	many_exits();
	expect_eq(rdpkru(), 0x55555550, "PKRU");
	__asm__ volatile("wrpkru" ::"a"(0), "c"(0), "d"(0));
	write_cr4(read_cr4() & ~CR4_PKE);
}

static void ts_test(void)
{
	write_cr0(read_cr0() | CR0_TS);
	many_exits();
	expect_vector(trap_catch(sse_store, stored), VEC_NM, "SSE with TS");
	expect_vector(trap_catch(x87_store, stored), VEC_NM, "x87 with TS");
	expect(read_cr0() & CR0_TS, "TS is gone");
	__asm__ volatile("clts");
	expect_vector(trap_catch(sse_store, stored), NO_FAULT, "SSE behind CLTS");
	write_cr0(read_cr0() | CR0_EM);
	expect_vector(trap_catch(sse_store, stored), VEC_UD, "SSE with EM");
	expect_vector(trap_catch(x87_store, stored), VEC_NM, "x87 with EM");
	write_cr0(read_cr0() & ~CR0_EM);
	__asm__ volatile("fninit");
}

static void saver_test_with(void (*save)(void *, u64), void (*restore)(void *, u64), const char *what)
{
	u64 features = all_features() & 7;

	memset(area, 0, sizeof(area));
	fill(loaded, 16 * 16, 9);
	sse_load(loaded);
	save(area, features);
	expect(*(u64 *)(area + XSTATE_BV) & 2, "%s: SSE state not in XSTATE_BV", what);
	expect(!memcmp(area + 160, loaded, 16 * 16), "%s: XMM registers in the area", what);
	memset(stored, 0, sizeof(stored));
	sse_load(stored);
	many_exits();
	restore(area, features);
	sse_store(stored);
	expect(!memcmp(loaded, stored, 16 * 16), "%s: XMM registers behind XRSTOR", what);
	/* A state component that is initial in the area becomes initial in the registers. */
	*(u64 *)(area + XSTATE_BV) &= ~2ULL;
	restore(area, features);
	sse_store(stored);
	for (unsigned i = 0; i < 16 * 16; i++) {
		if (!expect(!stored[i], "%s: initial SSE state, byte %u: 0x%x", what, i, stored[i]))
			break;
	}
}

static void restore_bad(void *header)
{
	memcpy(area + XSTATE_BV, header, 16);
	fpu_xrstor(area, 7);
}

static void xsave_test(void)
{
	u64 unsupported[2] = {BIT(62), 0}, compacted[2] = {3, 1};
	u32 more;

	if (!has_xsave()) {
		test_skip("no XSAVE");
		return;
	}
	xcr0(all_features() & 7);
	more = cpuid(0xd, 1).eax;
	saver_test_with(fpu_xsave, fpu_xrstor, "XSAVE");
	if (more & BIT(0))
		saver_test_with(fpu_xsaveopt, fpu_xrstor, "XSAVEOPT");
	if (more & BIT(1))
		saver_test_with(fpu_xsavec, fpu_xrstor, "XSAVEC");
	if (more & BIT(3))
		saver_test_with(fpu_xsaves, fpu_xrstors, "XSAVES");
	memset(area, 0, sizeof(area));
	fpu_xsave(area, 3);
	if (guest_platform() != PLATFORM_TCG) { /* which does not look at the header */
		expect_vector(trap_catch(restore_bad, unsupported), VEC_GP,
			      "XRSTOR of an unsupported component");
		expect_vector(trap_catch(restore_bad, compacted), VEC_GP, "XRSTOR of a bad header");
	}
	xcr0(1);
	__asm__ volatile("fninit");
}

const struct test guest_tests[] = {
    {"x87", x87_test, 0},   {"sse", sse_test, 0}, {"avx", avx_test, 0},     {"avx512", avx512_test, 0},
    {"pkru", pkru_test, 0}, {"ts", ts_test, 0},   {"xsave", xsave_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
