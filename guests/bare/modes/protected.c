/* SPDX-License-Identifier: Apache-2.0 */
/* 32-bit protected mode without paging, with 32-bit and with PAE paging; compatibility mode; virtual-8086
 * mode. */
#include "irqchip.h"
#include "modes.h"

#define SOFT_VECTOR 0x42
#define TEST_VA 0x40000000ULL
#define SEL_V86_TSS SEL_FREE
#define SEL_ABSENT (SEL_FREE + 16)
#define DESC_ABSENT 0x00cf13000000ffffULL
#define GATE_INTERRUPT32 0x8e00ULL
#define DESC_TSS32 0x89ULL
#define EFLAGS_VM 0x20000U
#define TSS_SIZE 104U
#define BITMAP_SIZE 64U

extern u32 pm_cr0, pm_cr3, pm_cr4, pm_code, pm_pdpt;
extern struct __attribute__((packed)) {
	u16 limit;
	u32 base;
} pm_idtr;
extern volatile u32 pm_result[32], pm_fault[7], pm_faults_at[4];
extern char pm_stubs[], v86_gp_stub[], v86_soft_stub[];
void pm_call(void);
void pm_state(void), pm_faults(void), pm_paging(void), pm_pdpte(void), v86_run(void);
void compat_call(void);
u64 compat_user_enter(void *arg);
extern u32 v86_entry, v86_flags, v86_esp0, v86_soft;
extern volatile u32 v86_count, v86_result[8];
extern volatile u8 v86_log[16];
extern char v86_program[], v86_program_iopl3[];

static u64 idt32[SOFT_VECTOR + 1] __attribute__((aligned(8)));
static u32 directory[1024] __attribute__((aligned(4096))), table[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32)));
static u32 data_pages[3][1024] __attribute__((aligned(4096)));

static void gate32(unsigned vector, const char *entry, unsigned dpl)
{
	u64 e = (u64)entry;

	idt32[vector] = (e & 0xffff) | (u64)SEL_CODE32 << 16 | (GATE_INTERRUPT32 | dpl << 13) << 32 |
			(e >> 16 & 0xffff) << 48;
}

static void pm_run(void (*code)(void), u64 cr0_bits, u64 cr3, u64 cr4)
{
	low_install();
	for (unsigned v = 0; v <= SOFT_VECTOR; v++)
		gate32(v, pm_stubs + v * 16, 0);
	memset((void *)pm_result, 0, sizeof(pm_result));
	memset((void *)pm_fault, 0, sizeof(pm_fault));
	pm_idtr.limit = sizeof(idt32) - 1;
	pm_idtr.base = (u32)(u64)idt32;
	pm_cr0 = (u32)(CR0_PE | CR0_NE | CR0_ET | CR0_MP | cr0_bits);
	pm_cr3 = (u32)cr3;
	pm_cr4 = (u32)cr4;
	pm_code = (u32)(u64)code;
	pm_call();
}

static void check_state(void)
{
	expect_eq(pm_result[0], pm_cr0, "CR0");
	expect_eq(pm_result[1], SEL_CODE32, "CS");
	expect_eq(pm_result[2] & 0x3200, 0, "flags");
	expect_eq(pm_result[3], cpuid(0, 0).ebx, "CPUID");
	expect_eq(pm_result[4], (u32)rdmsr(MSR_APIC_BASE), "RDMSR");
	expect_eq(pm_result[5], 0x5a, "IN");
	expect_eq(pm_result[6], ioapic_read(1), "MMIO");
	expect_eq(pm_result[7], pm_cr4, "CR4");
	expect_eq(pm_result[8], 0, "ESP behind INT");
	expect_eq(pm_result[9], SOFT_VECTOR, "INT");
}

void protected_test(void)
{
	outb(PIC_MASTER_DATA, 0x5a);
	pm_run(pm_state, 0, 0, 0);
	check_state();
	pm_run(pm_state, CR0_TS | CR0_AM, 0, CR4_PSE | CR4_DE);
	check_state();
	pic_mask(0xffff);
}

void protected_faults_test(void)
{
	boot_gdt[SEL_ABSENT / 8] = DESC_ABSENT;
	pm_run(pm_faults, 0, 0, 0);
	expect_eq(pm_result[0], VEC_UD, "UD2");
	expect_eq(pm_result[2], VEC_GP, "selector beyond the GDT");
	expect_eq(pm_result[3], 0xfff8, "error code of #GP");
	expect_eq(pm_result[4], VEC_NP, "segment not present");
	expect_eq(pm_result[5], SEL_ABSENT, "error code of #NP");
	expect_eq(pm_result[6], VEC_DE, "division by zero");
	expect_eq(pm_result[8], pm_faults_at[3], "EIP of #DE");
	expect_eq(pm_result[10], VEC_GP, "INT beyond the IDT");
	expect_eq(pm_result[11], 0x43 * 8 + 2, "error code of that");
	expect_eq(pm_fault[6], 5, "faults");
}

static void check_paging(void)
{
	expect_eq(pm_result[0], 0xfeedface, "read");
	expect_eq(pm_result[1], 0x5eed5eed, "written");
	expect_eq(data_pages[0][1], 0x5eed5eed, "in memory");
	expect_eq(pm_result[2], VEC_PF, "absent page");
	expect_eq(pm_result[3], 0, "error code, absent page");
	expect_eq(pm_result[4], TEST_VA + 0x1008, "CR2");
	expect_eq(pm_result[5], VEC_PF, "read-only page");
	expect_eq(pm_result[6], 3, "error code, read-only page");
	expect_eq(pm_result[7], ioapic_read(1), "MMIO");
	expect_eq(pm_result[8], VEC_PF, "operand across an absent page");
	expect_eq(pm_result[10], TEST_VA + 0x1000, "CR2 of that");
}

void paging32_test(void)
{
	data_pages[0][0] = 0xfeedface;
	data_pages[0][1] = 0;
	for (u32 i = 0; i < 1024; i++)
		directory[i] = i << 22 | (u32)(PTE_P | PTE_W | PTE_PS);
	directory[TEST_VA >> 22] = (u32)((u64)table | PTE_P | PTE_W);
	table[0] = (u32)((u64)data_pages[0] | PTE_P | PTE_W);
	table[1] = 0;
	table[2] = (u32)((u64)data_pages[2] | PTE_P);
	pm_run(pm_paging, CR0_PG | CR0_WP, (u64)directory, CR4_PSE);
	check_paging();
	expect_eq(table[0] & (PTE_A | PTE_D), PTE_A | PTE_D, "accessed and dirty");
	pm_run(pm_state, CR0_PG, (u64)directory, CR4_PSE | CR4_PGE);
	expect_eq(pm_result[0], pm_cr0, "CR0 with paging");
	expect_eq(pm_result[9], SOFT_VECTOR, "INT with paging");
}

/* The four page directories of 64-bit mode serve PAE paging as well. */
static void pae_tables(void)
{
	for (unsigned i = 0; i < 4; i++)
		pdpt[i] = (boot_pdpt[i] & PTE_ADDR) | PTE_P;
	page_map(TEST_VA, (u64)data_pages[0], PTE_RAM);
	page_unmap(TEST_VA + PAGE_SIZE);
	page_map(TEST_VA + 2 * PAGE_SIZE, (u64)data_pages[2], PTE_P);
	data_pages[0][0] = 0xfeedface;
	data_pages[0][1] = 0;
}

static void pae_done(void)
{
	for (unsigned i = 0; i < 3; i++)
		page_map(TEST_VA + i * PAGE_SIZE, TEST_VA + i * PAGE_SIZE, PTE_RAM);
}

void paging_pae_test(void)
{
	pae_tables();
	pm_run(pm_paging, CR0_PG | CR0_WP, (u64)pdpt, CR4_PAE);
	check_paging();
	pae_done();
}

void pdpte_test(void)
{
	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG reads PDPTEs from memory at any time");
		return;
	}
	pae_tables();
	pm_pdpt = (u32)(u64)pdpt;
	pm_run(pm_pdpte, CR0_PG, (u64)pdpt, CR4_PAE);
	expect_eq(pm_result[0], 0xfeedface, "read");
	expect_eq(pm_result[2], NO_FAULT, "PDPTE cleared in memory only");
	expect_eq(pm_result[1], 0xfeedface, "read by the PDPTE of the last load");
	expect_eq(pm_result[3], VEC_PF, "PDPTE cleared and loaded");
	expect_eq(pm_result[4], 0xfeedface, "PDPTE set again");
	expect_eq(pm_result[5], VEC_GP, "reserved bit in a PDPTE");
	pae_done();
}

static volatile unsigned soft_count;
static volatile u64 soft_cs;

static void soft_handler(struct regs *r)
{
	soft_count++;
	soft_cs = r->cs;
}

void compat_test(void)
{
	outb(PIC_MASTER_DATA, 0xa5);
	trap_handler(SOFT_VECTOR, soft_handler);
	soft_count = 0;
	memset((void *)pm_result, 0, sizeof(pm_result));
	compat_call();
	trap_handler(SOFT_VECTOR, NULL);
	pic_mask(0xffff);
	expect_eq(pm_result[0], cpuid(0, 0).ebx, "CPUID");
	expect_eq(pm_result[1], (u32)rdmsr(MSR_APIC_BASE), "RDMSR");
	expect_eq(pm_result[2], 0xa5, "IN");
	expect_eq(pm_result[3], ioapic_read(1), "MMIO");
	expect_eq(soft_count, 1, "INT");
	expect_eq(soft_cs, SEL_CODE32, "CS in the frame");
	expect_eq(trap_last.vector, VEC_UD, "UD2");
	expect_eq(trap_last.cs, SEL_CODE32, "CS of UD2");
	expect_eq(pm_result[4], SEL_CODE32, "CS behind it");
	expect_eq(pm_result[5], pm_result[3] - 1, "DEC, not a prefix");
}

void compat_user_test(void)
{
	trap_handler(SOFT_VECTOR, soft_handler);
	trap_gate_dpl(SOFT_VECTOR, 3);
	soft_count = 0;
	memset((void *)pm_result, 0, sizeof(pm_result));
	expect_vector(trap_user(compat_user_enter, NULL, NULL), NO_FAULT, "32-bit code in ring 3");
	trap_gate_dpl(SOFT_VECTOR, 0);
	trap_handler(SOFT_VECTOR, NULL);
	expect_eq(pm_result[0], cpuid(0, 0).ebx, "CPUID");
	expect_eq(soft_count, 1, "INT");
	expect_eq(soft_cs, SEL_USER32, "CS in the frame");
	expect_eq(pm_result[1], SEL_USER32, "CS");
	expect_eq(pm_result[2], SEL_USERDATA, "SS");
}

static void v86(const char *program, u32 iopl)
{
	static u8 tss[TSS_SIZE + BITMAP_SIZE + 1] __attribute__((aligned(128)));
	u64 base = (u64)tss, limit = sizeof(tss) - 1;

	memset(tss, 0, sizeof(tss));
	memset(tss + TSS_SIZE, 0xff, BITMAP_SIZE + 1);
	tss[TSS_SIZE + 0x61 / 8] &= (u8) ~(1U << 0x61 % 8);
	*(u16 *)(tss + 8) = SEL_DATA; /* SS0 */
	*(u16 *)(tss + 102) = TSS_SIZE;
	v86_esp0 = (u32)(u64)(tss + 4);
	boot_gdt[SEL_V86_TSS / 8] =
	    limit | (base & 0xffffff) << 16 | DESC_TSS32 << 40 | (base >> 24 & 0xff) << 56;
	low_install();
	for (unsigned v = 0; v <= SOFT_VECTOR; v++)
		gate32(v, pm_stubs + v * 16, 0);
	gate32(VEC_GP, v86_gp_stub, 0);
	gate32(SOFT_VECTOR, v86_soft_stub, 3);
	v86_count = v86_soft = 0;
	v86_entry = (u32)(u64)program;
	v86_flags = EFLAGS_VM | 2 | iopl << 12;
	pm_idtr.limit = sizeof(idt32) - 1;
	pm_idtr.base = (u32)(u64)idt32;
	pm_cr0 = (u32)(CR0_PE | CR0_NE | CR0_ET);
	pm_cr3 = pm_cr4 = 0;
	pm_code = (u32)(u64)v86_run;
	pm_call();
	boot_gdt[SEL_TSS / 8] &= ~(2ULL << 40); /* no longer busy */
	__asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
}

void v86_test(void)
{
	/* INT, CLI, STI, PUSHF, OUT, HLT */
	static const u8 faults[] = {0xcd, 0xfa, 0xfb, 0x9c, 0xe6, 0xf4};

	v86(v86_program, 0);
	expect_eq(v86_result[0], cpuid(0, 0).ebx, "CPUID");
	expect_eq(*(volatile u32 *)0x10020, 0x86868686, "write by a segment");
	expect_eq(v86_result[1] & 1, 1, "PE by SMSW");
	expect_eq(v86_count, sizeof(faults), "faults");
	for (unsigned i = 0; i < sizeof(faults); i++)
		expect(v86_log[i] == faults[i], "fault %u: opcode 0x%x", i, v86_log[i]);
	expect_eq(v86_result[2], 0x600d, "the end of the program");

	v86(v86_program_iopl3, 3);
	expect_eq(v86_count, 1, "faults with IOPL 3");
	expect_eq(v86_log[0], 0xf4, "the only one at HLT");
	expect_eq(v86_result[3] & 0x3200, 0x3200, "flags by PUSHF");
	expect_eq(v86_soft, 1, "INT by the gate");
}
