/* SPDX-License-Identifier: Apache-2.0 */
/* M6, M7: control registers whose bits trap, and XCR0: what is allowed, what a guest sees, what the
 * processor gets (SDM volume 3, 2.5, 2.6, 4.4.1; table 28-3). */
#include "vcpu_board.h"

#include "vcpu/cpuid.h"

#define HOST_OWNED (CR0_NE | CR0_CD | CR0_NW)
#define ALLOWED (CR4_PAE | CR4_PSE | CR4_PGE | CR4_MCE | CR4_PCIDE | CR4_OSXSAVE)

u64 cpuid_cr4_allowed(const struct cpuid_policy *p)
{
	(void)p;
	return ALLOWED;
}

static int setup(void **state)
{
	board_setup(state);
	vcpu_set_cr0(&board_vcpu, CR0_PE | CR0_ET);
	vcpu_set_cr4(&board_vcpu, 0);
	fake(GUEST_TR_ACCESS_RIGHTS) = 0x8b;
	fake(GUEST_RSP) = 0x5555;
	board_clear();
	return 0;
}

static u64 cr0_seen(void)
{
	u64 mask = fake(CR0_MASK);
	return (fake(GUEST_CR0) & ~mask) | (fake(CR0_SHADOW) & mask);
}

static u64 cr4_seen(void)
{
	u64 mask = fake(CR4_MASK);
	return (fake(GUEST_CR4) & ~mask) | (fake(CR4_SHADOW) & mask);
}

/* kind: 0 MOV to CR, 1 MOV from CR, 2 CLTS, 3 LMSW */
static void cr_exit(unsigned cr, unsigned kind, unsigned reg, unsigned lmsw)
{
	board_clear();
	fake(GUEST_RIP) = 0x100;
	fake(EXIT_QUALIFICATION) = cr | kind << 4 | reg << 8 | (u64)lmsw << 16;
	exit_cr_access(&board_vcpu);
}

static void mov_to(unsigned cr, u64 value)
{
	board_regs[REG_RBX] = value;
	cr_exit(cr, 0, REG_RBX, 0);
}

static void expect_done(void)
{
	board_expect_no_fault();
	assert_int_equal(fake(GUEST_RIP), 0x102);
}

static void expect_gp(void)
{
	board_expect_fault(VEC_GP, 0);
	assert_int_equal(fake(GUEST_RIP), 0x100);
}

static void cr0_bits(void **state)
{
	(void)state;
	mov_to(0, CR0_PE | CR0_CD | CR0_WP | CR0_TS);
	expect_done();
	assert_int_equal(cr0_seen(), CR0_PE | CR0_CD | CR0_WP | CR0_TS | CR0_ET); /* NE clear, as written */
	assert_int_equal(fake(GUEST_CR0) & HOST_OWNED, CR0_NE);                   /* never for real */
	mov_to(0, CR0_PE | CR0_NE | 0x1ff80); /* undefined bits read as 0; bit 16 is WP */
	expect_done();
	assert_int_equal(cr0_seen(), CR0_PE | CR0_NE | CR0_ET | CR0_WP);
}

static void cr0_faults(void **state)
{
	static const u64 bad[] = {BIT(32) | CR0_PE, CR0_PG, CR0_NW | CR0_PE};
	(void)state;
	fake(GUEST_EFER) = EFER_LMA | EFER_LME;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b;
	u64 before = cr0_seen();
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		mov_to(0, bad[i]);
		expect_gp();
		assert_int_equal(cr0_seen(), before);
	}
}

static void long_mode_on_and_off(void **state)
{
	(void)state;
	fake(GUEST_EFER) = EFER_LME;
	mov_to(0, CR0_PG | CR0_PE | CR0_CD); /* no PAE */
	expect_gp();
	vcpu_set_cr4(&board_vcpu, CR4_PAE);
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b; /* CS.L */
	mov_to(0, CR0_PG | CR0_PE | CR0_CD);
	expect_gp();
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xc09b;
	fake(GUEST_TR_ACCESS_RIGHTS) = 0x83; /* a TSS of 16 bits */
	mov_to(0, CR0_PG | CR0_PE | CR0_CD);
	expect_gp();
	assert_int_equal(fake(GUEST_EFER), EFER_LME);
	fake(GUEST_TR_ACCESS_RIGHTS) = 0x8b;
	mov_to(0, CR0_PG | CR0_PE | CR0_CD);
	expect_done();
	assert_int_equal(fake(GUEST_EFER), EFER_LME | EFER_LMA);
	assert_true(fake(ENTRY_CONTROLS) & ENTRY_IA32E);
	assert_int_equal(board_invvpids, 1);
	mov_to(0, CR0_PE);
	expect_done();
	assert_int_equal(fake(GUEST_EFER), EFER_LME);
	assert_false(fake(ENTRY_CONTROLS) & ENTRY_IA32E);
}

static void paging_stays_on_in_64_bit_code_or_with_pcids(void **state)
{
	(void)state;
	fake(GUEST_EFER) = EFER_LMA | EFER_LME;
	fake(GUEST_CR0) |= CR0_PG;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b;
	mov_to(0, CR0_PE | CR0_CD);
	expect_gp();
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xc09b;
	vcpu_set_cr4(&board_vcpu, CR4_PAE | CR4_PCIDE);
	mov_to(0, CR0_PE | CR0_CD);
	expect_gp();
}

static void pdptes_are_loaded(void **state)
{
	u64 e[4] = {0x2001, 0x3000, ~(u64)1, 0x4001 | BIT(39)};
	(void)state;
	board_put(0x1020, e, sizeof(e)); /* not present: anything goes */
	fake(GUEST_CR3) = 0x1020;
	vcpu_set_cr4(&board_vcpu, CR4_PAE);
	mov_to(0, CR0_PG | CR0_PE | CR0_CD);
	expect_done();
	assert_int_equal(fake(GUEST_PDPTE0), 0x2001);
	assert_true(fake(GUEST_PDPTE2) == ~(u64)1);
	assert_true(fake(GUEST_PDPTE3) == (0x4001 | BIT(39)));
	static const u64 bad[] = {0x2001 | BIT(40), 0x2001 | BIT(63), 0x2003, 0x2005, 0x2021, 0x2041, 0x2101};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) { /* MAXPHYADDR is 40 */
		e[0] = bad[i];
		board_put(0x1020, e, sizeof(e));
		mov_to(4, CR4_PAE | CR4_PGE);
		expect_gp();
	}
	assert_int_equal(fake(GUEST_PDPTE0), 0x2001);
	fake(GUEST_CR3) = 0xfffffff0; /* no memory there */
	mov_to(4, CR4_PAE | CR4_PGE);
	expect_gp();
}

static void cr4_bits(void **state)
{
	(void)state;
	mov_to(4, CR4_PSE | CR4_PGE);
	expect_done();
	assert_int_equal(cr4_seen(), CR4_PSE | CR4_PGE);
	assert_int_equal(fake(GUEST_CR4), CR4_PSE | CR4_PGE | CR4_VMXE | CR4_MCE);
	assert_int_equal(board_invvpids, 1);
	mov_to(4, CR4_MCE);
	expect_done();
	assert_int_equal(cr4_seen(), CR4_MCE);
	for (unsigned bit = 0; bit < 64; bit++) {
		if (ALLOWED & BIT(bit))
			continue;
		mov_to(4, BIT(bit));
		if (bit < 32) /* 32-bit code moves 32 bits */
			expect_gp();
		else
			expect_done();
		assert_true(fake(CR4_MASK) & BIT(bit));
	}
	fake(GUEST_EFER) = EFER_LMA | EFER_LME;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b;
	mov_to(4, BIT(40) | CR4_PAE);
	expect_gp();
}

static void cr4_depends_on_the_mode(void **state)
{
	(void)state;
	mov_to(4, CR4_PAE | CR4_PCIDE); /* not in long mode */
	expect_gp();
	fake(GUEST_EFER) = EFER_LMA | EFER_LME;
	mov_to(4, CR4_PGE); /* long mode wants PAE */
	expect_gp();
	fake(GUEST_CR3) = 0x1001;
	mov_to(4, CR4_PAE | CR4_PCIDE); /* CR3 has a PCID */
	expect_gp();
	fake(GUEST_CR3) = 0x1000;
	mov_to(4, CR4_PAE | CR4_PCIDE);
	expect_done();
	fake(GUEST_CR3) = 0x1001;
	mov_to(4, CR4_PAE | CR4_PCIDE | CR4_PGE);
	expect_done();
}

static void cr8(void **state)
{
	(void)state;
	fake(GUEST_EFER) = EFER_LMA | EFER_LME;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b;
	mov_to(8, 9);
	expect_done();
	assert_int_equal(board_cr8, 9);
	mov_to(8, 0x10);
	expect_gp();
	mov_to(8, BIT(63));
	expect_gp();
	assert_int_equal(board_cr8, 9);
	cr_exit(8, 1, REG_R8 + 3, 0);
	expect_done();
	assert_int_equal(board_regs[REG_R8 + 3], 9);
	board_expect_single_reads();
	cr_exit(8, 1, REG_RSP, 0); /* RSP is in the VMCS */
	assert_int_equal(fake(GUEST_RSP), 9);
}

static void clts_and_lmsw(void **state)
{
	(void)state;
	mov_to(0, CR0_PE | CR0_TS | CR0_CD);
	cr_exit(0, 2, 0, 0);
	expect_done();
	assert_int_equal(cr0_seen(), CR0_PE | CR0_CD | CR0_ET);
	cr_exit(0, 3, 0, 0xfffe); /* cannot clear PE; only four bits count */
	expect_done();
	assert_int_equal(cr0_seen(), CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_CD | CR0_ET);
	cr_exit(0, 3, 0, 0);
	assert_int_equal(cr0_seen(), CR0_PE | CR0_CD | CR0_ET);
}

/* SDM volume 1, 13.3 and volume 2, XSETBV: every value of the low eight bits. */
static void xcr0(void **state)
{
	(void)state;
	board_xcr0_allowed = 0xe7;
	for (u32 value = 0; value < 0x400; value++) {
		bool sse = value & 2, avx = value & 4, avx512 = (value & 0xe0) == 0xe0;
		bool good =
		    (value & 1) && !(value & ~0xe7u) && (!avx || sse) && (!(value & 0xe0) || (avx512 && avx));
		board_clear();
		fake(GUEST_RIP) = 0x100;
		fake_registers.xcr0 = 0x5a;
		board_regs[REG_RCX] = 0xffffffff00000000;
		board_regs[REG_RAX] = 0xffffffff00000000 | value;
		board_regs[REG_RDX] = 0xffffffff00000000;
		exit_xsetbv(&board_vcpu);
		assert_int_equal(fake_registers.xcr0, good ? value : 0x5a);
		if (good)
			expect_done();
		else
			expect_gp();
	}
	board_clear();
	fake(GUEST_RIP) = 0x100;
	board_regs[REG_RAX] = 1;
	board_regs[REG_RCX] = 1; /* XCR1 does not exist */
	exit_xsetbv(&board_vcpu);
	expect_gp();
	board_clear();
	board_regs[REG_RCX] = 0;
	board_regs[REG_RDX] = 1; /* bit 32 */
	exit_xsetbv(&board_vcpu);
	expect_gp();
}

/* The single-step trap of an emulated instruction, shadows and RF: vcpu_skip(). */
static void an_emulated_instruction_is_over(void **state)
{
	(void)state;
	fake(GUEST_RFLAGS) |= RFLAGS_TF | RFLAGS_RF;
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_STI | BLOCKED_BY_NMI;
	mov_to(0, CR0_PE | CR0_CD);
	expect_done();
	assert_false(fake(GUEST_RFLAGS) & RFLAGS_RF);
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	assert_int_equal(fake(GUEST_PENDING_DEBUG), PENDING_DEBUG_BS);
	fake(GUEST_PENDING_DEBUG) = 0;
	fake(GUEST_DEBUGCTL) = DEBUGCTL_BTF; /* steps on branches only */
	mov_to(0, CR0_PE | CR0_CD);
	assert_int_equal(fake(GUEST_PENDING_DEBUG), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(cr0_bits),
	    T(cr0_faults),
	    T(long_mode_on_and_off),
	    T(paging_stays_on_in_64_bit_code_or_with_pcids),
	    T(pdptes_are_loaded),
	    T(cr4_bits),
	    T(cr4_depends_on_the_mode),
	    T(cr8),
	    T(clts_and_lmsw),
	    T(xcr0),
	    T(an_emulated_instruction_is_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
