/* SPDX-License-Identifier: Apache-2.0 */
/* Every exception raised by hand: vector, error code, saved RIP, CR2. SDM vol. 3, 6.15. M17, M18. */
#include "exceptions.h"

#define SEL_ABSENT SEL_FREE /* a data segment that is not present, DPL 0 */
#define SEL_ABSENT_USER (SEL_FREE + 8)
#define DESC_ABSENT 0x00cf13000000ffffULL
#define DESC_ABSENT_USER 0x00cf73000000ffffULL
#define PF_PRESENT 1U
#define PF_WRITE 2U
#define PF_USER 4U
#define PF_RESERVED 8U
#define PF_FETCH 16U

u64 fault_nm(void *arg), fault_mf(void *arg), fault_xm(void *arg), fault_np(void *arg), fault_ss(void *arg);
u64 fault_ss_segment(void *arg), fault_ac(void *arg), fault_bp(void *arg), fault_db(void *arg);

struct call {
	u64 (*fn)(void *);
	void *arg;
};

static void call_thunk(void *p)
{
	const struct call *c = p;

	c->fn(c->arg);
}

static u32 in_ring(unsigned ring, u64 (*fn)(void *), void *arg)
{
	struct call c = {fn, arg};

	return ring ? trap_user(fn, arg, NULL) : trap_catch(call_thunk, &c);
}

static void expect_trap(u32 vector, u32 want, u64 error, const char *what)
{
	if (expect_vector(vector, want, what))
		expect_eq(trap_last.error, error, what);
}

static u64 call_raise(void *raise)
{
	((void (*)(void *))raise)(NULL);
	return 0;
}

static void raised(unsigned ring, void (*raise)(void *), u32 want, u64 rip, const char *what)
{
	u32 vector = in_ring(ring, call_raise, (void *)raise);

	expect_trap(vector, want, ring && want == VEC_PF ? PF_USER : 0, what);
	expect_eq(trap_last.rip, rip, what);
	expect_eq(trap_last.cs, ring ? SEL_USER64 : SEL_CODE64, what);
}

/* TCG of QEMU 7.2 has no #XM, no #SS for addresses and no INT1, reports reserved bits without P, and puts
 * 16 times the vector into the error code of a refused INT n. */
static bool on_tcg(void)
{
	return guest_platform() == PLATFORM_TCG;
}

static void fpu_faults(unsigned ring)
{
	write_cr0(read_cr0() | CR0_TS);
	expect_trap(in_ring(ring, fault_nm, NULL), VEC_NM, 0, "#NM");
	write_cr0(read_cr0() & ~CR0_TS);
	expect_trap(in_ring(ring, fault_nm, NULL), NO_FAULT, trap_last.error, "no #NM");
	expect_trap(in_ring(ring, fault_mf, NULL), VEC_MF, 0, "#MF");
	__asm__ volatile("fninit");
	if (on_tcg())
		return;
	expect_trap(in_ring(ring, fault_xm, NULL), VEC_XM, 0, "#XM");
	__asm__ volatile("ldmxcsr %0" ::"m"((const u32){0x1f80}));
}

static void faults(unsigned ring)
{
	u32 vector;

	raised(ring, raise_de, VEC_DE, (u64)raise_de_at, "#DE");
	raised(ring, raise_ud, VEC_UD, (u64)raise_ud_at, "#UD");
	raised(ring, raise_gp, VEC_GP, (u64)raise_gp_at, "#GP");
	raised(ring, raise_pf, VEC_PF, (u64)raise_pf_at, "#PF");
	expect_eq(trap_last.cr2, UNMAPPED_VA, "CR2");
	fpu_faults(ring);
	boot_gdt[SEL_ABSENT / 8] = DESC_ABSENT;
	boot_gdt[SEL_ABSENT_USER / 8] = DESC_ABSENT_USER;
	expect_trap(in_ring(ring, fault_np, (void *)(SEL_ABSENT_USER | 3ULL)), VEC_NP, SEL_ABSENT_USER,
		    "#NP");
	if (ring)
		expect_trap(in_ring(ring, fault_ss_segment, (void *)(SEL_ABSENT_USER | 3ULL)), VEC_SS,
			    SEL_ABSENT_USER, "#SS of a segment");
	else
		expect_trap(in_ring(ring, fault_ss_segment, (void *)SEL_ABSENT), VEC_SS, SEL_ABSENT,
			    "#SS of a segment");
	trap_gate_dpl(VEC_BP, 3);
	vector = in_ring(ring, fault_bp, NULL);
	expect_trap(vector, VEC_BP, 0, "#BP");
	expect_eq(trap_last.rip, (u64)fault_bp + 1, "#BP is a trap");
	trap_gate_dpl(VEC_BP, 0);
	if (on_tcg())
		return;
	vector = in_ring(ring, fault_db, NULL);
	expect_trap(vector, VEC_DB, 0, "#DB by INT1");
	expect_eq(trap_last.rip, (u64)fault_db + 1, "#DB by INT1 is a trap");
}

void faults_ring0_test(void)
{
	/* A stack address that is not canonical: the gate needs a stack of its own. */
	trap_gate_ist(VEC_SS, 1);
	if (!on_tcg())
		expect_trap(in_ring(0, fault_ss, NULL), VEC_SS, 0, "#SS");
	trap_gate_ist(VEC_SS, 0);
	faults(0);
}

void faults_ring3_test(void)
{
	if (!on_tcg())
		expect_trap(in_ring(3, fault_ss, NULL), VEC_SS, 0, "#SS");
	faults(3);
}

static u64 touch_read(void *va)
{
	return *(volatile u8 *)va;
}

static u64 touch_write(void *va)
{
	*(volatile u8 *)va = 0xc3; /* RET */
	return 0;
}

static u64 touch_fetch(void *va)
{
	((void (*)(void))va)();
	return 0;
}

static void expect_pf(unsigned ring, u64 (*fn)(void *), u64 entry, u64 error, const char *what)
{
	u32 vector;

	*page_entry(TEST_VA) = entry;
	invlpg((void *)TEST_VA);
	vector = in_ring(ring, fn, (void *)(TEST_VA + 0x123));
	if (error == NO_FAULT) {
		expect_vector(vector, NO_FAULT, what);
		return;
	}
	expect_trap(vector, VEC_PF, error | (ring ? PF_USER : 0), what);
	expect_eq(trap_last.cr2, TEST_VA + 0x123, what);
}

static void page_faults_in(unsigned ring, u64 page)
{
	expect_pf(ring, touch_read, page | PTE_RAM, NO_FAULT, "read");
	expect_pf(ring, touch_write, page | PTE_RAM, NO_FAULT, "write");
	expect_pf(ring, touch_fetch, page | PTE_RAM, NO_FAULT, "fetch");
	expect_pf(ring, touch_read, page, 0, "read of an absent page");
	expect_pf(ring, touch_write, page, PF_WRITE, "write to an absent page");
	expect_pf(ring, touch_write, page | PTE_P | PTE_U, PF_PRESENT | PF_WRITE,
		  "write to a read-only page");
	expect_pf(ring, touch_read, page | PTE_P | PTE_U, NO_FAULT, "read of a read-only page");
	expect_pf(ring, touch_read, page | PTE_RAM | PTE_NX, NO_FAULT, "read of data");
	expect_pf(ring, touch_fetch, page | PTE_RAM | PTE_NX, PF_PRESENT | PF_FETCH, "fetch of data");
	expect_pf(ring, touch_fetch, 0, PF_FETCH, "fetch of an absent page");
	if (page_phys_bits() < 52 && !on_tcg())
		expect_pf(ring, touch_read, page | PTE_RAM | BIT(51), PF_PRESENT | PF_RESERVED,
			  "reserved bit");
	if (ring) {
		expect_pf(ring, touch_read, page | PTE_P | PTE_W, PF_PRESENT, "read of a supervisor page");
		expect_pf(ring, touch_write, page | PTE_P | PTE_W, PF_PRESENT | PF_WRITE,
			  "write to a supervisor page");
	}
}

void page_faults_test(void)
{
	u64 page = (u64)mem_alloc(1);

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	page_faults_in(0, page);
	page_faults_in(3, page);
	*page_entry(TEST_VA) = page | PTE_P | PTE_U;
	invlpg((void *)TEST_VA);
	write_cr0(read_cr0() & ~CR0_WP);
	touch_write((void *)TEST_VA);
	write_cr0(read_cr0() | CR0_WP);
	expect_eq(*page_entry(TEST_VA) & (PTE_A | PTE_D), PTE_A | PTE_D, "accessed and dirty");
	page_unmap(TEST_VA);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NXE);
}

void alignment_test(void)
{
	static u64 data[2] __attribute__((aligned(16)));

	expect_vector(in_ring(3, fault_ac, data), NO_FAULT, "misaligned without AM");
	write_cr0(read_cr0() | CR0_AM);
	expect_vector(in_ring(0, fault_ac, data), NO_FAULT, "misaligned in ring 0");
	if (on_tcg())
		test_skip("TCG has no alignment check");
	else
		expect_trap(in_ring(3, fault_ac, data), VEC_AC, 0, "#AC");
	write_cr0(read_cr0() & ~CR0_AM);
}

static volatile u64 soft_seen[256], soft_rip[256];

static void soft_handler(struct regs *r)
{
	soft_seen[r->vector]++;
	soft_rip[r->vector] = r->rip;
}

static u64 call_code(void *code)
{
	((void (*)(void))code)();
	return 0;
}

/* INT n for every n that pushes no error code, from both rings: the gate's handler, once, RIP behind. M16. */
void software_interrupts_test(void)
{
	u8 *code = mem_alloc(1);

	for (unsigned v = 0; v < 256; v++) {
		if (v == VEC_NMI || v == VEC_DF || (v >= VEC_TS && v <= VEC_PF) || v == VEC_AC || v == 21 ||
		    v == VEC_USER_EXIT)
			continue;
		memcpy(code, (const u8[]){0xcd, (u8)v, 0xc3}, 3);
		trap_handler((u8)v, soft_handler);
		soft_seen[v] = 0;
		call_code(code);
		expect(soft_rip[v] == (u64)code + 2, "INT 0x%x: RIP 0x%lx", v, soft_rip[v]);
		trap_gate_dpl((u8)v, 3);
		expect_vector(trap_user(call_code, code, NULL), NO_FAULT, "INT n from ring 3");
		expect(soft_seen[v] == 2, "INT 0x%x: handler ran %lu times", v, soft_seen[v]);
		trap_gate_dpl((u8)v, 0);
		trap_handler((u8)v, NULL);
		expect_trap(trap_user(call_code, code, NULL), VEC_GP, v * (on_tcg() ? 16 : 8) + 2,
			    "INT n with DPL 0");
		expect_eq(trap_last.rip, (u64)code, "RIP of the refused INT");
	}
}
