/* SPDX-License-Identifier: Apache-2.0 */
/* Single-stepping and breakpoints, also over instructions that the hypervisor executes. SDM vol. 3,
 * chapter 17. M18. */
#include "hyper.h"
#include "print.h"
#include "test.h"
#include "trap.h"

#define LOG_SIZE 64
#define DR7_LOCAL(n) (1ULL << 2 * (n))
#define DR7_KIND(n, kind, length) ((u64)((kind) | (length) << 2) << (16 + 4 * (n)))
#define KIND_EXECUTE 0U
#define KIND_WRITE 1U
#define KIND_IO 2U
#define KIND_ACCESS 3U
#define LENGTH_1 0U
#define LENGTH_4 3U
#define LENGTH_8 2U

struct step_row {
	const char *name;
	void (*code)(void *scratch);
	u64 first, second, third, reserved;
};

extern const struct step_row step_rows[], step_rows_end[];
extern char break_cpuid[], break_in[], break_rdmsr[], break_mmio[], break_nop[], step_rep_at[],
    step_ss_behind[];
void break_code(void);
void step_ss(void);
void step_rep(u64 count, u64 unused, void *to);

static struct {
	u64 rip, dr6, rflags;
} seen[LOG_SIZE];
static volatile unsigned count;
static bool resume; /* execution breakpoints: set RF */

static void debug_handler(struct regs *r)
{
	if (count < LOG_SIZE) {
		seen[count].rip = r->rip;
		seen[count].dr6 = read_dr6();
		seen[count].rflags = r->rflags;
	}
	count++;
	write_dr6(DR6_INIT);
	if (resume)
		r->rflags |= RFLAGS_RF;
}

static void begin(void)
{
	count = 0;
	resume = false;
	write_dr6(DR6_INIT);
	write_dr7(DR7_INIT);
	trap_handler(VEC_DB, debug_handler);
}

static void end(void)
{
	write_dr7(DR7_INIT);
	trap_handler(VEC_DB, NULL);
}

static void step_test(void)
{
	static u8 scratch[64];

	begin();
	for (const struct step_row *r = step_rows; r < step_rows_end; r++) {
		count = 0;
		r->code(scratch);
		/* NOP, the instruction, PUSHF, AND, POPF */
		expect(count == 5, "%s: %u traps", r->name, count);
		expect(seen[0].rip == r->first && seen[1].rip == r->second && seen[2].rip == r->third,
		       "%s: traps at 0x%lx 0x%lx 0x%lx instead of 0x%lx 0x%lx 0x%lx", r->name, seen[0].rip,
		       seen[1].rip, seen[2].rip, r->first, r->second, r->third);
		expect((seen[1].dr6 & (DR6_BS | 15)) == DR6_BS, "%s: DR6 0x%lx", r->name, seen[1].dr6);
	}
	end();
}

static void step_vmcall_test(void)
{
	u64 rip;

	if (!hypercall_present()) {
		test_skip("no hypercalls");
		return;
	}
	begin();
	__asm__ volatile(
	    "pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tvmcall\n1:\tpushfq\n\tandl $~0x100, (%%rsp)\n\t"
	    "popfq\n\tleaq 1b(%%rip), %0"
	    : "=r"(rip)
	    : "a"(SOCLE_CALL_VERSION), "D"(0), "S"(0)
	    : "memory", "cc");
	expect_eq(seen[0].rip, rip, "first trap behind VMCALL");
	end();
}

static void step_string_test(void)
{
	static u8 to[16];

	begin();
	step_rep(5, 0, to);
	expect_eq(count, 5 + 3, "traps in REP MOVSB and behind it");
	for (unsigned i = 0; i < 4; i++)
		expect_eq(seen[i].rip, (u64)step_rep_at, "RIP within REP MOVSB");
	expect_eq(seen[4].rip, (u64)step_rep_at + 2, "RIP behind REP MOVSB");
	end();
}

static void step_ss_test(void)
{
	begin();
	step_ss();
	expect_eq(seen[0].rip, (u64)step_ss_behind, "first trap behind MOV SS and NOP");
	end();
}

/* A fault before the instruction; RF lets it pass. */
static void execute_test(void)
{
	const struct {
		const char *at, *name;
	} places[] = {{break_cpuid, "CPUID"},
		      {break_in, "IN"},
		      {break_rdmsr, "RDMSR"},
		      {break_mmio, "MMIO read"},
		      {break_nop, "NOP"}};

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		begin();
		resume = true;
		write_dr0((u64)places[i].at);
		write_dr7(DR7_INIT | DR7_LOCAL(0));
		break_code();
		expect(count == 1, "%s: %u breakpoints", places[i].name, count);
		expect(seen[0].rip == (u64)places[i].at, "%s: RIP 0x%lx", places[i].name, seen[0].rip);
		expect((seen[0].dr6 & 15) == 1, "%s: DR6 0x%lx", places[i].name, seen[0].dr6);
		end();
	}
	begin();
	resume = true;
	write_dr0(0);
	write_dr2((u64)break_in);
	write_dr3((u64)break_nop);
	write_dr7(DR7_INIT | DR7_LOCAL(2) | DR7_LOCAL(3));
	break_code();
	expect_eq(count, 2, "two breakpoints");
	expect(seen[0].rip == (u64)break_in && (seen[0].dr6 & 15) == 4, "DR2: 0x%lx 0x%lx", seen[0].rip,
	       seen[0].dr6);
	expect(seen[1].rip == (u64)break_nop && (seen[1].dr6 & 15) == 8, "DR3: 0x%lx 0x%lx", seen[1].rip,
	       seen[1].dr6);
	end();
}

static volatile u32 watched[4];

static void data_test(void)
{
	begin();
	write_dr1((u64)&watched[1]);
	write_dr7(DR7_INIT | DR7_LOCAL(1) | DR7_KIND(1, KIND_WRITE, LENGTH_4));
	(void)watched[1];
	watched[0] = 1;
	watched[2] = 1;
	expect_eq(count, 0, "breakpoints by a read and beside");
	watched[1] = 1;
	expect_eq(count, 1, "breakpoints by a write");
	expect_eq(seen[0].dr6 & 15, 2, "DR6");
	*(volatile u8 *)((u64)&watched[1] + 3) = 1;
	expect_eq(count, 2, "breakpoints by a write to the last byte");
	write_dr7(DR7_INIT | DR7_LOCAL(1) | DR7_KIND(1, KIND_ACCESS, LENGTH_4));
	(void)watched[1];
	expect_eq(count, 3, "breakpoints by a read");
	cpuid(0, 0);
	inb(0x61);
	(void)watched[1];
	expect_eq(count, 4, "breakpoints by a read behind exits");
	write_dr7(DR7_INIT);
	watched[1] = 2;
	expect_eq(count, 4, "breakpoints when disabled");
	end();
}

/* The hypervisor executes IN and OUT and would have to look at the breakpoints itself, which Socle does not.
 */
static void io_test(void)
{

	begin();
	write_cr4(read_cr4() | CR4_DE);
	write_dr3(0x80);
	write_dr7(DR7_INIT | DR7_LOCAL(3) | DR7_KIND(3, KIND_IO, LENGTH_1));
	outb(0x80, 0);
	expect_eq(count, 1, "breakpoints by OUT");
	expect_eq(seen[0].dr6 & 15, 8, "DR6");
	inb(0x80);
	expect_eq(count, 2, "breakpoints by IN");
	outb(0x84, 0);
	expect_eq(count, 2, "breakpoints by OUT beside");
	write_dr7(DR7_INIT);
	write_cr4(read_cr4() & ~CR4_DE);
	end();
}

/* General detect: any access to a debug register is a fault, and the bit clears itself. */
static void general_detect_test(void)
{
	u64 v;

	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG has no general detect");
		return;
	}

	begin();
	write_dr7(DR7_INIT | DR7_GD);
	v = read_dr0();
	expect_eq(count, 1, "faults");
	expect_eq(seen[0].dr6 & DR6_BD, DR6_BD, "DR6");
	expect(!(read_dr7() & DR7_GD), "GD is still set, DR0 0x%lx", v);
	end();
}

/* INT1 and INT3 set no bit of DR6. */
static void software_test(void)
{
	if (guest_platform() == PLATFORM_TCG) {
		test_skip("TCG has no INT1");
		return;
	}
	begin();
	__asm__ volatile(".byte 0xf1");
	expect_eq(count, 1, "INT1");
	expect_eq(seen[0].dr6 & (15 | DR6_BS | DR6_BD | DR6_BT), 0, "DR6");
	end();
}

/* Registers of the guest are the guest's, whatever happens in between. */
static void state_test(void)
{
	begin();
	write_dr0(0x11111000);
	write_dr1(0x22222000);
	write_dr2(0x33333000);
	write_dr3(0x44444000);
	write_dr7(DR7_INIT | 0xff);
	for (unsigned i = 0; i < 100; i++) {
		cpuid(i, 0);
		inb(0x61);
		*(volatile u32 *)0xd0000000ULL = i;
	}
	expect(read_dr0() == 0x11111000 && read_dr1() == 0x22222000 && read_dr2() == 0x33333000 &&
		   read_dr3() == 0x44444000,
	       "addresses");
	expect_eq(read_dr7(), DR7_INIT | 0xff, "DR7");
	expect_eq(count, 0, "breakpoints");
	end();
	write_dr0(0);
	write_dr1(0);
	write_dr2(0);
	write_dr3(0);
}

const struct test guest_tests[] = {
    {"step", step_test, 0},
    {"step-vmcall", step_vmcall_test, 0},
    {"step-string", step_string_test, 0},
    {"step-ss", step_ss_test, 0},
    {"execute", execute_test, 0},
    {"data", data_test, 0},
    {"io", io_test, ON_DEMAND},
    {"general-detect", general_detect_test, 0},
    {"software", software_test, 0},
    {"state", state_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
