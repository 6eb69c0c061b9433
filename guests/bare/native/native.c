/* SPDX-License-Identifier: Apache-2.0 */
/* What runs at the speed of the hardware: system calls, software interrupts, page faults, address-space
 * switches and plain code cause no VM exit. M3, M16, M17, M46. */
#include "counters.h"
#include "hyper.h"
#include "page.h"
#include "print.h"
#include "test.h"
#include "trap.h"

#define ROUNDS 100000ULL
#define VEC_SYSCALL 0x80
#define SYSENTER_CODE 0x08
#define TEST_VA 0x800000000ULL
/* Exits that come from the host's side, whatever the guest does. */
#define REASON_INTERRUPT 1
#define REASON_PREEMPTION_TIMER 52

extern u64 kernel_count;
void syscall_entry(void), sysenter_entry(void), int80_entry(void), fault_entry(void);
u64 syscall_loop(void *rounds), sysenter_loop(void *rounds), int80_loop(void *rounds),
    fault_loop(void *rounds);

static void begin(void)
{
	kernel_count = 0;
	counters_snapshot();
}

static void end(const char *what)
{
	u64 exits;

	counters_stop();
	if (!counters_available()) {
		test_skip("nobody counts exits");
		return;
	}
	exits = counters_total() - counters_difference(REASON_INTERRUPT) -
		counters_difference(REASON_PREEMPTION_TIMER);
	print("%s: ", what);
	counters_print_difference();
	print("\n");
	expect(!exits, "%s: %lu exits", what, exits);
}

static void run_user(u64 (*loop)(void *), const char *what)
{
	u32 vector;

	trap_user(loop, (void *)1, NULL); /* its pages are there from now on */
	begin();
	vector = trap_user(loop, (void *)ROUNDS, NULL);
	end(what);
	expect_vector(vector, NO_FAULT, what);
	expect_eq(kernel_count, ROUNDS, what);
}

static void syscall_test(void)
{
	wrmsr(MSR_STAR, (u64)(SEL_USER32 & ~3) << 48 | (u64)SEL_CODE64 << 32);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_DF | RFLAGS_TF);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	run_user(syscall_loop, "SYSCALL and SYSRET");
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
}

/* SYSEXIT makes up its segments: selectors 0x28 and 0x30 beside this SYSENTER_CS, which nothing reloads. */
static void sysenter_test(void)
{
	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG plays an AMD processor, which has no SYSENTER in long mode");
		return;
	}
	wrmsr(MSR_SYSENTER_CS, SYSENTER_CODE);
	wrmsr(MSR_SYSENTER_EIP, (u64)sysenter_entry);
	wrmsr(MSR_SYSENTER_ESP, (u64)&trap_tss);
	run_user(sysenter_loop, "SYSENTER and SYSEXIT");
	wrmsr(MSR_SYSENTER_CS, 0);
}

static void int80_test(void)
{
	trap_gate(VEC_SYSCALL, int80_entry);
	trap_gate_dpl(VEC_SYSCALL, 3);
	run_user(int80_loop, "INT 0x80");
	trap_gate(VEC_SYSCALL, NULL);
}

static void page_fault_test(void)
{
	trap_gate(VEC_PF, fault_entry);
	run_user(fault_loop, "page fault, ring 3");
	begin();
	fault_loop((void *)ROUNDS);
	end("page fault, ring 0");
	expect_eq(kernel_count, ROUNDS, "page faults");
	trap_gate(VEC_PF, NULL);
}

static void address_space_test(void)
{
	u64 *other = mem_alloc(1), cr3 = read_cr3();

	memcpy(other, boot_pml4, PAGE_SIZE);
	begin();
	for (u64 i = 0; i < ROUNDS / 2; i++) {
		write_cr3((u64)other);
		write_cr3(cr3);
	}
	end("MOV to CR3");
	begin();
	for (u64 i = 0; i < ROUNDS; i++)
		invlpg((const void *)(TEST_VA + i * PAGE_SIZE));
	end("INVLPG");
	begin();
	for (u64 i = 0; i < ROUNDS / 10; i++) {
		write_cr4(read_cr4() | CR4_PGE);
		write_cr4(read_cr4() & ~CR4_PGE);
	}
	end("MOV to CR4 toggling PGE");
}

/* A page-table entry that changes: the new page shows after INVLPG, and after a load of CR3. */
static void translation_test(void)
{
	u64 *a = mem_alloc(1), *b = mem_alloc(1);
	volatile u64 *va = (volatile u64 *)TEST_VA;

	a[0] = 1;
	b[0] = 2;
	page_map(TEST_VA, (u64)a, PTE_RAM);
	begin();
	for (unsigned i = 0; i < 10000; i++) {
		bool first = i & 1;

		*page_entry(TEST_VA) = (first ? (u64)a : (u64)b) | PTE_RAM;
		if (i & 2)
			invlpg(va);
		else
			write_cr3(read_cr3());
		if (!expect(*va == (first ? 1 : 2), "round %u: %lu", i, *va))
			break;
	}
	end("changing a translation");
	page_unmap(TEST_VA);
}

static void exceptions_loop(void *arg)
{
	(void)arg;
	__asm__ volatile("ud2");
}

static void plain_test(void)
{
	u64 sum = 0;

	begin();
	for (u64 i = 0; i < 10 * ROUNDS; i++)
		sum = sum * 6364136223846793005ULL + i;
	end("plain code");
	expect(sum != 0, "sum");
	begin();
	for (u64 i = 0; i < ROUNDS; i++)
		rdtsc();
	end("RDTSC");
	trap_catch(exceptions_loop, NULL);
	begin();
	for (u64 i = 0; i < ROUNDS / 10; i++)
		trap_catch(exceptions_loop, NULL);
	end("#UD");
	begin();
	for (u64 i = 0; i < ROUNDS / 10; i++) {
		write_dr0(i);
		read_dr0();
		__asm__ volatile("pushfq\n\tpopfq\n\tsti\n\tcli" ::: "memory", "cc");
	}
	counters_stop();
	print("debug registers and flags: "); /* whether the former exit is the hypervisor's choice */
	counters_print_difference();
	print("\n");
}

const struct test guest_tests[] = {
    {"syscall", syscall_test, 0},
    {"sysenter", sysenter_test, 0},
    {"int80", int80_test, 0},
    {"page-fault", page_fault_test, 0},
    {"address-space", address_space_test, 0},
    {"translation", translation_test, 0},
    {"plain", plain_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
