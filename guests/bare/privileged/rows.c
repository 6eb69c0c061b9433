/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the table of rows.asm in ring 0 and ring 3, and the rows that need something around them. M4, M6. */
#include "apic.h"
#include "hyper.h"
#include "privileged.h"

#define EXPECT_FAULT 0x101
#define EXPECT_SKIP 0x102

struct row {
	const char *name;
	u64 (*code)(void *operands);
	u32 condition, ring0, ring3, reserved;
};

enum condition { ALWAYS, HAS_MONITOR, HAS_INVPCID, HAS_SMAP, HAS_RDTSCP, HAS_RDPID, HAS_WAITPKG };

extern const struct row privileged_rows[], privileged_rows_end[];

static struct operands operands __attribute__((aligned(4096)));

static bool holds(u32 condition)
{
	switch ((enum condition)condition) {
	case ALWAYS:
		return true;
	case HAS_MONITOR:
		return cpuid(1, 0).ecx & BIT(3);
	case HAS_INVPCID:
		return cpuid(7, 0).ebx & BIT(10);
	case HAS_SMAP:
		return cpuid(7, 0).ebx & BIT(20);
	case HAS_RDTSCP:
		return cpuid(0x80000001, 0).edx & BIT(27);
	case HAS_RDPID:
		return cpuid(7, 0).ecx & BIT(22);
	case HAS_WAITPKG:
		return cpuid(7, 0).ecx & BIT(5);
	}
	return false;
}

static void operands_fill(void)
{
	operands.gdtr = read_gdtr();
	operands.idtr = read_idtr();
	operands.cr0 = read_cr0();
	operands.cr3 = read_cr3();
	operands.cr4 = read_cr4();
	memset(operands.scratch, 0, sizeof(operands.scratch));
}

static void call_row(void *row)
{
	((const struct row *)row)->code(&operands);
}

/* QEMU 7.2 lacks these checks or does not know the instruction (its `max` processor also has AMD's SVM). */
static bool tcg_differs(const struct row *r)
{
	static const char *const names[] = {
	    "rdmsr of nothing",
	    "wrmsr of nothing",
	    "rdpmc of nothing",
	    "invpcid type 4",
	    "monitor",
	    "mwait",
	    "ltr of a busy TSS",
	    "ltr null",
	    "16 bytes",
	    "rep insb of nothing",
	    "sysret",
	    "lmsw",
	    "umonitor",
	    "tpause",
	    "sysenter",
	    "sysexit",
	    "lock mov",
	    "xsetbv",
	    "icebp",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(r->name, names[i]))
			return true;
	}
	return false;
}

static void run_row(const struct row *r, unsigned ring)
{
	u32 want = ring ? r->ring3 : r->ring0, got;

	if (!holds(r->condition))
		want = VEC_UD;
	if (want == EXPECT_SKIP || (guest_platform() == PLATFORM_TCG && tcg_differs(r)))
		return;
	operands_fill();
	got = ring ? trap_user(r->code, &operands, NULL) : trap_catch(call_row, (void *)(u64)r);
	if (want == EXPECT_FAULT)
		expect(got == VEC_UD || got == VEC_GP, "%s: vector %u", r->name, got);
	else
		expect_vector(got, want, r->name);
}

void rows_ring0_test(void)
{
	for (const struct row *r = privileged_rows; r < privileged_rows_end; r++)
		run_row(r, 0);
}

void rows_ring3_test(void)
{
	for (const struct row *r = privileged_rows; r < privileged_rows_end; r++)
		run_row(r, 3);
}

static u64 user_vmcall(void *arg)
{
	return (u64)hypercall((u64)arg, 0, 0);
}

static void ring0_vmcall(void *result)
{
	*(i64 *)result = hypercall(HYPERCALL_UNKNOWN, 0, 0);
}

/* Results of the calls, and that no register but RAX changes. */
static void calls_check(void)
{
	static const char text[] = "a line by hypercall\n";
	u64 b = 0x1111, c = 0x2222, d = 0x3333, r11 = 0x4444, a = SOCLE_CALL_VERSION, di = 1, si = 2;
	bool same;
	register u64 reg10 __asm__("r10") = 0x5555;
	register u64 reg8 __asm__("r8") = 0x6666;

	__asm__ volatile("mov %[r11], %%r11\n\tvmcall\n\tmov %%r11, %[r11]"
			 : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+D"(di), "+S"(si), [r11] "+m"(r11),
			   "+r"(reg10), "+r"(reg8)
			 :
			 : "r11", "memory");
	same = b == 0x1111 && c == 0x2222 && d == 0x3333 && di == 1 && si == 2 && r11 == 0x4444 &&
	       reg10 == 0x5555 && reg8 == 0x6666; /* before a call takes R8 and R10 */
	expect(same, "VMCALL changed a register");
	expect_eq(a, SOCLE_ABI_VERSION, "version");
	expect_eq(cpuid(SOCLE_CPUID_VERSION, 0).eax, SOCLE_ABI_VERSION, "version in CPUID");
	expect_eq((u64)hypercall(SOCLE_CALL_CONSOLE_WRITE, (u64)text, sizeof(text) - 1), sizeof(text) - 1,
		  "console write");
	expect_eq((u64)hypercall(SOCLE_CALL_CONSOLE_WRITE, (u64)text, SOCLE_CONSOLE_MAX + 1),
		  (u64)SOCLE_EINVAL, "console write, too long");
	expect_eq((u64)hypercall(SOCLE_CALL_CONSOLE_WRITE, BIT(45), 16), (u64)SOCLE_EFAULT,
		  "console write from nowhere");
	expect_eq((u64)hypercall(SOCLE_CALL_CONSOLE_WRITE, UINT64_MAX - 4, 16), (u64)SOCLE_EFAULT,
		  "console write that wraps");
	expect_eq((u64)hypercall(SOCLE_CALL_EXIT_COUNT, 0x12345, 0), (u64)SOCLE_EINVAL,
		  "no such exit reason");
	expect(hypercall(SOCLE_CALL_EXIT_COUNT, SOCLE_EXITS_ALL, 0) > 0, "no exits at all");
	expect_eq((u64)hypercall(SOCLE_CALL_YIELD, 0, 0), 0, "yield");
	expect_eq((u64)hypercall(UINT64_MAX, 0, 0), (u64)SOCLE_ENOSYS, "number -1");
}

/* VMCALL is a call under Socle, and undefined where no hypervisor takes it. M14. */
void vmcall_test(void)
{
	i64 result = 0;
	u32 vector = trap_catch(ring0_vmcall, &result);

	if (guest_platform() != PLATFORM_SOCLE) {
		expect_vector(vector, VEC_UD, "VMCALL");
		return;
	}
	expect_vector(vector, NO_FAULT, "VMCALL");
	expect_eq((u64)result, (u64)SOCLE_ENOSYS, "unknown number");
	vector = trap_user(user_vmcall, (void *)HYPERCALL_UNKNOWN, (u64 *)&result);
	expect_vector(vector, NO_FAULT, "VMCALL from ring 3");
	expect_eq((u64)result, (u64)SOCLE_EPERM, "VMCALL from ring 3");
	calls_check();
}

static volatile unsigned woken;

static void wake_handler(struct regs *r)
{
	(void)r;
	woken++;
	apic_eoi();
}

void hlt_test(void)
{
	apic_init(false);
	woken = 0;
	trap_handler(0x60, wake_handler);
	for (unsigned i = 1; i <= 100; i++) {
		apic_self_ipi(0x60);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		expect_eq(woken, i, "interrupts that ended HLT");
	}
	trap_handler(0x60, NULL);
}

static u64 user_rdtsc(void *arg)
{
	(void)arg;
	return rdtsc();
}

static u64 user_xsetbv(void *arg)
{
	(void)arg;
	__asm__ volatile("xsetbv" ::"c"(0), "a"(1), "d"(0));
	return 0;
}

static void read_dr4(void *arg)
{
	(void)arg;
	__asm__ volatile("mov %%db4, %%rax" ::: "rax");
}

/* Instructions that a bit of CR4 opens or closes. */
void cr4_gates_test(void)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 | CR4_TSD);
	expect_vector(trap_user(user_rdtsc, NULL, NULL), VEC_GP, "RDTSC in ring 3 with TSD");
	rdtsc();
	write_cr4(cr4);
	expect_vector(trap_user(user_rdtsc, NULL, NULL), NO_FAULT, "RDTSC in ring 3 without TSD");
	expect_vector(trap_catch(read_dr4, NULL), NO_FAULT, "DR4 without DE");
	write_cr4(cr4 | CR4_DE);
	expect_vector(trap_catch(read_dr4, NULL), VEC_UD, "DR4 with DE");
	write_cr4(cr4);
	if (!(cpuid(1, 0).ecx & BIT(26)))
		return;
	write_cr4(cr4 | CR4_OSXSAVE);
	expect_vector(trap_user(user_xsetbv, NULL, NULL), VEC_GP, "XSETBV in ring 3");
	expect_vector(xsetbv_try(0, 1), NO_FAULT, "XSETBV in ring 0");
	write_cr4(cr4);
}

/* Without architectural performance monitoring in CPUID no counter exists. */
void rdpmc_test(void)
{
	u32 lo, hi;

	if (cpuid(0, 0).eax >= 0xa && (cpuid(0xa, 0).eax & 0xff)) {
		test_skip("the processor has counters");
		return;
	}
	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG has no RDPMC");
		return;
	}
	for (u32 i = 0; i < 8; i++) {
		__asm__ volatile(TRY("1f") "rdpmc\n1:" : "=a"(lo), "=d"(hi) : "c"(i) : "memory");
		expect_vector(try_vector(), VEC_GP, "RDPMC");
	}
}
