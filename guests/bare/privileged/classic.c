/* SPDX-License-Identifier: Apache-2.0 */
/* The 17 sensitive instructions of the classic x86 list (SGDT SIDT SLDT STR SMSW PUSHF POPF LAR LSL VERR VERW
 * PUSH POP CALL JMP INT RET MOV): each must show the guest what the guest loaded. M6, M7. */
#include "privileged.h"

#define SEL_LDT SEL_FREE         /* two slots */
#define SEL_GATE (SEL_FREE + 16) /* two slots */
#define SEL_IN_LDT 0x0f          /* index 1, table LDT, RPL 3 */
#define VEC_SYSCALL 0x80
#define DESC_USER_DATA_SMALL 0x0040f3123456abcdULL /* base 0x123456, limit 0xabcd, DPL 3 */
#define DESC_KERNEL_CODE 0x00af9b000000ffffULL

struct seen {
	struct table_register gdtr, idtr;
	u16 ldtr, tr, msw, cs, ss, fs;
	u64 flags, flags_after_popf;
	u32 lar_data, lar_ldt, lsl_data, lsl_ldt;
	bool lar_kernel, verr_data, verw_data, verr_code, verw_code, lar_null;
	u64 interrupts;
};

static struct seen seen;
static u64 ldt[4] __attribute__((aligned(16)));
static volatile u64 interrupts;

static void count_interrupt(struct regs *r)
{
	interrupts++;
	r->rax = interrupts;
}

static void ldt_load(void)
{
	u64 base = (u64)ldt, limit = sizeof(ldt) - 1;

	ldt[0] = DESC_KERNEL_CODE;
	ldt[1] = DESC_USER_DATA_SMALL;
	boot_gdt[SEL_LDT / 8] = limit | (base & 0xffffff) << 16 | (u64)0x82 << 40 | (base >> 24 & 0xff) << 56;
	boot_gdt[SEL_LDT / 8 + 1] = base >> 32;
	__asm__ volatile("lldt %w0" ::"r"(SEL_LDT));
}

static bool lar(u32 selector, u32 *rights)
{
	u32 v = 0;
	bool ok;

	__asm__ volatile("lar %2, %0" : "+r"(v), "=@ccz"(ok) : "r"(selector));
	*rights = v;
	return ok;
}

static u32 lsl(u32 selector)
{
	u32 v = 0;

	__asm__ volatile("lsl %1, %0" : "+r"(v) : "r"(selector) : "cc");
	return v;
}

static bool verr(u16 selector)
{
	bool ok;

	__asm__ volatile("verr %1" : "=@ccz"(ok) : "r"(selector));
	return ok;
}

static bool verw(u16 selector)
{
	bool ok;

	__asm__ volatile("verw %1" : "=@ccz"(ok) : "r"(selector));
	return ok;
}

/* Runs in both rings. */
static u64 look(void *arg)
{
	struct seen *s = arg;
	u32 rights;
	u16 old_fs;

	__asm__ volatile("sgdt %0" : "=m"(s->gdtr));
	__asm__ volatile("sidt %0" : "=m"(s->idtr));
	__asm__ volatile("sldt %0" : "=m"(s->ldtr));
	__asm__ volatile("str %0" : "=m"(s->tr));
	__asm__ volatile("smsw %0" : "=m"(s->msw));
	s->flags = read_flags();
	/* Sets AC and, where it may, IOPL: POPF drops silently what the ring may not change. */
	__asm__ volatile("pushq %0\n\tpopfq" ::"r"(s->flags | RFLAGS_AC | 3 * RFLAGS_IOPL) : "cc", "memory");
	s->flags_after_popf = read_flags();
	__asm__ volatile("pushq %0\n\tpopfq" ::"r"(s->flags) : "cc", "memory");
	s->lar_kernel = lar(SEL_CODE64, &rights);
	s->lar_null = lar(0, &rights);
	lar(SEL_USERDATA, &s->lar_data);
	lar(SEL_IN_LDT, &s->lar_ldt);
	s->lsl_data = lsl(SEL_USERDATA);
	s->lsl_ldt = lsl(SEL_IN_LDT);
	s->verr_data = verr(SEL_USERDATA);
	s->verw_data = verw(SEL_USERDATA);
	s->verr_code = verr(SEL_USER64);
	s->verw_code = verw(SEL_USER64);
	__asm__ volatile("mov %%cs, %0" : "=r"(s->cs));
	__asm__ volatile("mov %%ss, %0" : "=r"(s->ss));
	__asm__ volatile("mov %%fs, %0" : "=r"(old_fs));
	__asm__ volatile("pushq %1\n\tpop %%fs\n\tpush %%fs\n\tpopq %%rax\n\tmovw %%ax, %0"
			 : "=m"(s->fs)
			 : "r"((u64)SEL_IN_LDT)
			 : "rax", "memory");
	__asm__ volatile("mov %0, %%fs" ::"r"(old_fs));
	__asm__ volatile("int $0x80" : "=a"(s->interrupts)::"memory");
	return 0;
}

static void check_seen(const struct seen *s, unsigned ring)
{
	struct table_register gdtr = {GDT_SLOTS * 8 - 1, (u64)boot_gdt};
	struct table_register idtr = {sizeof(trap_idt) - 1, (u64)trap_idt};

	expect(!memcmp(&s->gdtr, &gdtr, sizeof(gdtr)), "SGDT: 0x%lx, limit 0x%x", s->gdtr.base,
	       s->gdtr.limit);
	expect(!memcmp(&s->idtr, &idtr, sizeof(idtr)), "SIDT: 0x%lx, limit 0x%x", s->idtr.base,
	       s->idtr.limit);
	expect_eq(s->ldtr, SEL_LDT, "SLDT");
	expect_eq(s->tr, SEL_TSS, "STR");
	expect_eq(s->msw, read_cr0() & 0xffff, "SMSW");
	expect_eq(s->flags & (RFLAGS_IF | 3 * RFLAGS_IOPL), 0, "PUSHF");
	expect_eq(s->flags_after_popf & RFLAGS_AC, RFLAGS_AC, "POPF sets AC");
	expect_eq(s->flags_after_popf & 3 * RFLAGS_IOPL, ring ? 0 : 3 * RFLAGS_IOPL, "POPF and IOPL");
	expect_eq(s->lar_kernel, ring == 0, "LAR of kernel code");
	expect_eq(s->lar_null, 0, "LAR of the null selector");
	expect_eq(s->lar_data & 0xf0feff, 0xc0f200, "LAR of user data");
	expect_eq(s->lar_ldt & 0xf0feff, 0x40f200, "LAR in the LDT");
	expect_eq(s->lsl_data, 0xffffffff, "LSL of user data");
	expect_eq(s->lsl_ldt, 0xabcd, "LSL in the LDT");
	expect(s->verr_data && s->verw_data && s->verr_code && !s->verw_code, "VERR, VERW");
	expect_eq(s->cs, ring ? SEL_USER64 : SEL_CODE64, "MOV from CS");
	expect_eq(s->ss, ring ? SEL_USERDATA : SEL_DATA, "MOV from SS");
	expect_eq(s->fs, SEL_IN_LDT, "PUSH and POP of FS");
	expect_eq(s->interrupts, 1, "INT");
}

static void classic(unsigned ring)
{
	u32 vector = NO_FAULT;

	memset(&seen, 0, sizeof(seen));
	ldt_load();
	interrupts = 0;
	trap_handler(VEC_SYSCALL, count_interrupt);
	trap_gate_dpl(VEC_SYSCALL, 3);
	if (ring)
		vector = trap_user(look, &seen, NULL);
	else
		look(&seen);
	expect_vector(vector, NO_FAULT, "the list");
	check_seen(&seen, ring);
	trap_handler(VEC_SYSCALL, NULL);
	__asm__ volatile("lldt %w0" ::"r"(0));
}

void classic_ring0_test(void)
{
	classic(0);
}

void classic_ring3_test(void)
{
	classic(3);
}

static u64 user_sgdt(void *arg)
{
	__asm__ volatile("sgdt (%0)" ::"r"(arg) : "memory");
	return 0;
}

static u64 user_smsw(void *arg)
{
	(void)arg;
	__asm__ volatile("smsw %%ax" ::: "rax");
	return 0;
}

/* With user-mode instruction prevention, ring 3 is refused and ring 0 is not. */
void umip_test(void)
{
	struct table_register r;

	if (!(cpuid(7, 0).ecx & BIT(2))) {
		test_skip("no UMIP");
		return;
	}
	write_cr4(read_cr4() | CR4_UMIP);
	expect_vector(trap_user(user_sgdt, &r, NULL), VEC_GP, "SGDT");
	expect_vector(trap_user(user_smsw, NULL, NULL), VEC_GP, "SMSW");
	r = read_gdtr();
	expect_eq(r.base, (u64)boot_gdt, "SGDT in ring 0");
	write_cr4(read_cr4() & ~CR4_UMIP);
}

/* Far CALL through a gate into ring 0 and far RET out again; far JMP and RET within ring 0. */
extern char classic_gate_entry[];
u64 classic_far_call(void *far_pointer);
u64 classic_far_jump(u64 selector);

void call_gate_test(void)
{
	u64 entry = (u64)classic_gate_entry, rings;
	struct __attribute__((packed)) {
		u32 offset;
		u16 selector;
	} far = {0, SEL_GATE | 3};

	boot_gdt[SEL_GATE / 8] =
	    (entry & 0xffff) | (u64)SEL_CODE64 << 16 | (u64)0xec << 40 | (entry >> 16 & 0xffff) << 48;
	boot_gdt[SEL_GATE / 8 + 1] = entry >> 32;
	expect_vector(trap_user((u64(*)(void *))classic_far_call, &far, &rings), NO_FAULT, "call gate");
	expect_eq(rings, 0x0300, "rings behind and before the gate");
	expect_eq(classic_far_jump(SEL_CODE64), SEL_CODE64, "CS behind a far jump");
}

/* Tables may be moved and shortened, and read back as they were loaded. */
void descriptor_tables_test(void)
{
	struct table_register gdtr = read_gdtr(), idtr = read_idtr(), r;
	static u64 other_gdt[GDT_SLOTS] __attribute__((aligned(16)));

	memcpy(other_gdt, boot_gdt, sizeof(other_gdt));
	write_gdtr((struct table_register){0x57, (u64)other_gdt});
	write_idtr((struct table_register){0x3ff, (u64)trap_idt});
	r = read_gdtr();
	expect_eq(r.base, (u64)other_gdt, "GDT base");
	expect_eq(r.limit, 0x57, "GDT limit");
	r = read_idtr();
	expect_eq(r.limit, 0x3ff, "IDT limit");
	__asm__ volatile("mov %0, %%fs" ::"r"(SEL_DATA));
	cpuid(0, 0);
	write_gdtr(gdtr);
	write_idtr(idtr);
	write_gdtr((struct table_register){0xffff, 0xffff800000001000ULL});
	r = read_gdtr();
	write_gdtr(gdtr);
	expect_eq(r.base, 0xffff800000001000ULL, "GDT base in the upper half");
	__asm__ volatile("mov %0, %%fs" ::"r"(0));
}

static u64 user_popf(void *arg)
{
	u64 after;

	__asm__ volatile("pushq %1\n\tpopfq\n\tpushfq\n\tpopq %0"
			 : "=r"(after)
			 : "r"((u64)arg)
			 : "cc", "memory");
	return after;
}

/* POPF in ring 3 leaves IF and IOPL alone without a fault; in ring 0 it changes them. */
void popf_test(void)
{
	u64 flags = 0;

	expect_vector(trap_user(user_popf, (void *)(RFLAGS_FIXED | RFLAGS_IF | 3 * RFLAGS_IOPL), &flags),
		      NO_FAULT, "POPF in ring 3");
	expect_eq(flags, RFLAGS_FIXED, "flags in ring 3");
	flags = user_popf((void *)(RFLAGS_FIXED | RFLAGS_IF | 3 * RFLAGS_IOPL));
	irq_disable();
	expect_eq(flags, RFLAGS_FIXED | RFLAGS_IF | 3 * RFLAGS_IOPL, "flags in ring 0");
	flags = user_popf((void *)RFLAGS_FIXED);
	expect_eq(flags, RFLAGS_FIXED, "flags back to zero");
}

const struct test guest_tests[] = {
    {"rows-ring0", rows_ring0_test, 0},
    {"rows-ring3", rows_ring3_test, 0},
    {"vmcall", vmcall_test, 0},
    {"hlt", hlt_test, 0},
    {"cr4-gates", cr4_gates_test, 0},
    {"rdpmc", rdpmc_test, 0},
    {"classic-ring0", classic_ring0_test, 0},
    {"classic-ring3", classic_ring3_test, 0},
    {"umip", umip_test, 0},
    {"call-gate", call_gate_test, 0},
    {"descriptor-tables", descriptor_tables_test, 0},
    {"popf", popf_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
