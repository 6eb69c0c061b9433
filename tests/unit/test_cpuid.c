/* SPDX-License-Identifier: Apache-2.0 */
/* M4, M10, M22: what CPUID tells a guest, and that CR4 and EFER follow it. */
#include "vcpu_board.h"

#include "vcpu/cpuid.h"
#include "x86_ops.h"

enum { EAX, EBX, ECX, EDX };

static struct cpuid_regs host[3][32]; /* basic, hypervisor, extended; each subleaf alike */

/* Leaf 0xd: AVX state takes 100 bytes aligned to 64, what follows 8 bytes. */
static struct cpuid_regs host_xsave(u32 subleaf)
{
	static const struct cpuid_regs parts[] = {
	    {0xff, 0x340, 0xa88, 0}, {0xf, 576 + 100, 0, 0}, {100, 576, 2, 0}};
	return subleaf < 3 ? parts[subleaf] : (struct cpuid_regs){8, 1024, 0, 0};
}

static struct cpuid_regs host_cpuid(u32 leaf, u32 subleaf)
{
	assert_true((leaf & 0x0ffffeff) < 32); /* KVM's leaves, too, are asked and not used */
	return leaf == 0xd ? host_xsave(subleaf) : host[leaf >> 30][leaf & 31];
}

static struct guest_config config = {.hypervisor_cpuid = true, .vcpus = 1};
static bool stable = true;

bool tsc_stable(void)
{
	return stable;
}

static struct vmx_caps caps = {.rdtscp = true, .invpcid = true};

/* A processor that has everything: what the guest sees is what the policy lets through. */
static int setup(void **state)
{
	board_setup(state);
	memset(host, 0xff, sizeof(host));
	host[0][0].eax = 0x20;
	host[2][0].eax = 0x8000001f;
	host[2][8].eax = 0x3034;
	host[0][2].eax = 0x02020202;
	fake_cpuid = host_cpuid;
	config.hypervisor_cpuid = true;
	caps.rdtscp = caps.invpcid = true;
	return 0;
}

static int teardown(void **state)
{
	cpuid_destroy(board_guest.cpuid);
	return board_teardown(state);
}

static void make(void)
{
	cpuid_destroy(board_guest.cpuid);
	board_guest.cpuid = cpuid_create(&config, &caps);
	assert_non_null(board_guest.cpuid);
}

static u32 *ask(u32 leaf, u32 subleaf)
{
	static u32 reg[4];
	board_clear();
	fake(GUEST_RIP) = 0x100;
	board_regs[REG_RAX] = 0xdeadbeef00000000 | leaf;
	board_regs[REG_RCX] = 0xdeadbeef00000000 | subleaf;
	board_regs[REG_RBX] = board_regs[REG_RDX] = ~(u64)0;
	exit_cpuid(&board_vcpu);
	board_expect_no_fault();
	assert_int_equal(fake(GUEST_RIP), 0x102);
	for (unsigned i = 0; i < 4; i++) {
		static const u8 order[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX};
		assert_int_equal(board_regs[order[i]] >> 32, 0);
		reg[i] = (u32)board_regs[order[i]];
	}
	return reg;
}

static void highest_leaves(void **state)
{
	(void)state;
	make();
	assert_int_equal(ask(0, 0)[EAX], 0x16);
	assert_int_equal(ask(0x80000000, 0)[EAX], 0x80000008);
	assert_int_equal(ask(0x40000000, 0)[EAX], 0x40000001);
	host[0][0].eax = 0xd;
	make();
	assert_int_equal(ask(0, 0)[EAX], 0xd);
}

static void expect_highest_basic(u32 leaf)
{
	u32 want[4];
	memcpy(want, ask(0x16, 0), sizeof(want));
	assert_int_equal(want[EAX], 1000); /* MHz of the shim's clock */
	assert_memory_equal(ask(leaf, 0), want, sizeof(want));
}

static void leaves_of_kvm(void **state)
{
	(void)state;
	make();
	const u32 *r = ask(0x40000100, 0);
	assert_int_equal(r[EAX], 0x40000101);
	assert_memory_equal(&r[EBX], "KVMKVMKVM\0\0\0", 12);
	r = ask(0x40000101, 0);
	/* No delay after I/O, clock, steal time, end of interrupts, stable clock: nothing that is not there.
	 */
	assert_int_equal(r[EAX], 1u << 1 | 1u << 3 | 1u << 5 | 1u << 6 | 1u << 24);
	assert_int_equal(r[EBX] | r[ECX] | r[EDX], 0);
	for (u32 leaf = 0x40000102; leaf < 0x40000120; leaf++) {
		r = ask(leaf, 0);
		assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
	}
	expect_highest_basic(0x40000120);
	stable = false; /* M36: the CPUs' TSCs disagree */
	make();
	assert_int_equal(ask(0x40000101, 0)[EAX], 1u << 1 | 1u << 3 | 1u << 5 | 1u << 6);
	stable = true;
	config.hypervisor_cpuid = false; /* M10 */
	make();
	for (u32 leaf = 0x40000100; leaf < 0x40000120; leaf++)
		expect_highest_basic(leaf);
}

/* SDM volume 2A, CPUID: the answer of the highest basic leaf. */
static void leaves_beyond(void **state)
{
	static const u32 leaves[] = {0x17,       0x1f,       0x20,       0x1000,     0x0fffffff, 0x20000000,
				     0x80000009, 0x8000001f, 0x80000020, 0x8fffffff, 0xc0000000, 0xffffffff};
	(void)state;
	make();
	for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++)
		expect_highest_basic(leaves[i]);
	/* Within the range, but not for the guest: zeros. */
	static const u32 empty[] = {0x3, 0x5, 0x9, 0xa, 0xc, 0xe, 0xf, 0x10, 0x12, 0x14, 0x40000002};
	for (unsigned i = 0; i < ARRAY_SIZE(empty); i++) {
		const u32 *r = ask(empty[i], 0);
		assert_int_equal(r[EAX] | r[EBX] | r[ECX] | r[EDX], 0);
	}
}

static void a_small_processor(void **state)
{
	u32 want[4];
	(void)state;
	host[0][0].eax = 7;
	make();
	memcpy(want, ask(7, 0), sizeof(want));
	assert_true(want[EBX]);
	for (u32 leaf = 8; leaf <= 0x17; leaf++)
		assert_memory_equal(ask(leaf, 0), want, sizeof(want));
}

/* M10: nothing tells that there is a hypervisor. */
static void hidden_hypervisor(void **state)
{
	(void)state;
	make();
	assert_true(ask(1, 0)[ECX] & CPUID1_ECX_HYPERVISOR);
	u32 *r = ask(0x40000000, 0);
	assert_memory_equal(&r[EBX], "SocleSocleSo", 12);
	config.hypervisor_cpuid = false;
	make();
	assert_false(ask(1, 0)[ECX] & CPUID1_ECX_HYPERVISOR);
	for (u32 leaf = 0x40000000; leaf < 0x40000100; leaf++)
		expect_highest_basic(leaf);
}

static void features_that_guests_do_not_have(void **state)
{
	(void)state;
	make();
	u32 *r = ask(1, 0);
	assert_false(r[ECX] & (CPUID1_ECX_VMX | CPUID1_ECX_SMX | CPUID1_ECX_MONITOR | CPUID1_ECX_DTES64 |
			       CPUID1_ECX_PDCM | CPUID1_ECX_EIST));
	assert_false(r[EDX] & (CPUID1_EDX_DS | CPUID1_EDX_ACPI | CPUID1_EDX_HTT | CPUID1_EDX_PSN));
	r = ask(7, 0);
	assert_int_equal(r[EAX], 0);
	assert_false(r[EBX] & (CPUID7_EBX_SGX | CPUID7_EBX_HLE | CPUID7_EBX_RTM | CPUID7_EBX_PT));
	assert_false(r[ECX] & (CPUID7_ECX_PKU | CPUID7_ECX_LA57 | CPUID7_ECX_CET_SS | CPUID7_ECX_WAITPKG));
	assert_int_equal(ask(0xa, 0)[EAX], 0); /* no performance counters */
	assert_false(ask(0xd, 1)[EAX] & CPUIDD1_EAX_XSAVES);
	caps.rdtscp = caps.invpcid = false;
	make();
	assert_false(ask(7, 0)[EBX] & CPUID7_EBX_INVPCID);
	assert_false(ask(7, 0)[ECX] & CPUID7_ECX_RDPID);
	assert_false(ask(0x80000001, 0)[EDX] & CPUID80_1_EDX_RDTSCP);
}

static void bits_that_change(void **state)
{
	(void)state;
	make();
	fake(GUEST_CR4) = 0;
	assert_false(ask(1, 0)[ECX] & CPUID1_ECX_OSXSAVE);
	assert_false(ask(1, 0)[EDX] & CPUID1_EDX_APIC);
	fake(GUEST_CR4) = CR4_OSXSAVE;
	board_vcpu.lapic.base = BIT(11);
	assert_true(ask(1, 0)[ECX] & CPUID1_ECX_OSXSAVE);
	assert_true(ask(1, 0)[EDX] & CPUID1_EDX_APIC);
	assert_false(ask(0x80000001, 0)[EDX] & CPUID80_1_EDX_SYSCALL);
	fake(GUEST_EFER) = EFER_LMA | EFER_LME;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b;
	assert_true(ask(0x80000001, 0)[EDX] & CPUID80_1_EDX_SYSCALL);
}

static void topology(void **state)
{
	(void)state;
	make();
	board_vcpu.id = 5;
	assert_int_equal(ask(1, 0)[EBX] >> 24, 5);
	for (u32 subleaf = 0; subleaf < 5; subleaf++) {
		const u32 *r = ask(0xb, subleaf);
		assert_int_equal(r[EDX], 5);
		assert_int_equal(r[ECX], subleaf | (subleaf < 2 ? (subleaf + 1) << 8 : 0));
		assert_int_equal(r[EBX], subleaf < 2);
	}
	for (u32 subleaf = 0; subleaf < 4; subleaf++)
		assert_int_equal(ask(4, subleaf)[EAX] >> 14, 0); /* nobody shares a cache */
	assert_int_equal(ask(4, 4)[EAX], 0);
}

/* SDM volume 1, 13.4.3. */
static void xsave_sizes(void **state)
{
	(void)state;
	fake_registers.cr4 = CR4_OSXSAVE;
	make();
	assert_int_equal(ask(0xd, 0)[EBX], 0x340);
	assert_int_equal(ask(0xd, 0)[EAX], 0xe7); /* no MPX */
	assert_int_equal(ask(0xd, 2)[EAX], 100);
	fake_registers.xcr0 = XCR0_X87 | XCR0_SSE;
	assert_int_equal(ask(0xd, 1)[EBX], 576);
	fake_registers.xcr0 |= XCR0_AVX;
	assert_int_equal(ask(0xd, 1)[EBX], 576 + 100);
	fake_registers.xcr0 |= XCR0_OPMASK;
	assert_int_equal(ask(0xd, 1)[EBX], 576 + 100 + 8);
}

static void cr4_and_efer_follow(void **state)
{
	static const struct {
		u32 leaf;
		unsigned reg;
		u64 bit, cr4;
	} rows[] = {
	    {1, EDX, CPUID1_EDX_VME, CR4_VME | CR4_PVI},
	    {1, EDX, CPUID1_EDX_TSC, CR4_TSD},
	    {1, EDX, CPUID1_EDX_DE, CR4_DE},
	    {1, EDX, CPUID1_EDX_PSE, CR4_PSE},
	    {1, EDX, CPUID1_EDX_PAE, CR4_PAE},
	    {1, EDX, CPUID1_EDX_MCE, CR4_MCE},
	    {1, EDX, CPUID1_EDX_PGE, CR4_PGE},
	    {1, EDX, CPUID1_EDX_FXSR, CR4_OSFXSR},
	    {1, EDX, CPUID1_EDX_SSE, CR4_OSXMMEXCPT},
	    {1, ECX, CPUID1_ECX_PCID, CR4_PCIDE},
	    {1, ECX, CPUID1_ECX_XSAVE, CR4_OSXSAVE},
	    {7, EBX, CPUID7_EBX_FSGSBASE, CR4_FSGSBASE},
	    {7, EBX, CPUID7_EBX_SMEP, CR4_SMEP},
	    {7, EBX, CPUID7_EBX_SMAP, CR4_SMAP},
	    {7, ECX, CPUID7_ECX_UMIP, CR4_UMIP},
	};
	u64 all = CR4_PCE;
	(void)state;
	make();
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		all |= rows[i].cr4;
	assert_int_equal(cpuid_cr4_allowed(board_guest.cpuid), all); /* no VMXE, SMXE, LA57, PKE, CET */
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 *reg = &(&host[0][rows[i].leaf].eax)[rows[i].reg];
		*reg &= ~(u32)rows[i].bit;
		make();
		assert_int_equal(cpuid_cr4_allowed(board_guest.cpuid), all & ~rows[i].cr4);
		*reg |= (u32)rows[i].bit;
	}
	assert_int_equal(cpuid_efer_allowed(board_guest.cpuid), EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	host[2][1].edx &= ~(u32)CPUID80_1_EDX_NX;
	make();
	assert_int_equal(cpuid_efer_allowed(board_guest.cpuid), EFER_SCE | EFER_LME | EFER_LMA);
}

/* Without leaf 7 its bits are not there, whatever the highest leaf says instead. */
static void no_leaf_7(void **state)
{
	(void)state;
	host[0][0].eax = 4;
	make();
	assert_false(cpuid_cr4_allowed(board_guest.cpuid) & (CR4_SMEP | CR4_SMAP | CR4_UMIP | CR4_FSGSBASE));
}

static void address_width(void **state)
{
	(void)state;
	make();
	assert_int_equal(cpuid_phys_bits(board_guest.cpuid), 48); /* of 52: what 4-level EPT translates */
	assert_int_equal(ask(0x80000008, 0)[EAX], 0x3030);
	host[2][8].eax = 0x3027;
	make();
	assert_int_equal(cpuid_phys_bits(board_guest.cpuid), 39);
}

static void reads_each_field_once(void **state)
{
	static const u32 leaves[] = {0, 1, 7, 0xb, 0x16, 0x40000000, 0x80000001};
	(void)state;
	make();
	for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
		ask(leaves[i], 0);
		board_expect_single_reads();
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(highest_leaves),        T(leaves_of_kvm),     T(leaves_beyond),
	    T(a_small_processor),     T(hidden_hypervisor), T(features_that_guests_do_not_have),
	    T(bits_that_change),      T(topology),          T(xsave_sizes),
	    T(cr4_and_efer_follow),   T(no_leaf_7),         T(address_width),
	    T(reads_each_field_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
