/* SPDX-License-Identifier: Apache-2.0 */
/* Owns panic(): stops the other CPUs, prints registers and a backtrace by hand, halts. It takes no lock
 * and allocates nothing; a fault on the way here ends the report, not in another one. */
#include "panic.h"

#include "console.h"
#include "host.h"
#include "log.h"
#include "paging.h"
#include "smp.h"
#include "start.h"
#include "x86.h"
#include "x86_ops.h"

#define MAX_FRAMES 32

static u32 owner; /* index of the CPU that reports, and 1 */

PRINTF(1, 2) static void say(const char *fmt, ...)
{
	char line[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	console_panic_line(line);
}

/* One report: of the CPU that was first. */
static void begin(void)
{
	u32 me = cpu_count() ? this_cpu()->index + 1 : 1, first = 0;

	if (!__atomic_compare_exchange_n(&owner, &first, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		if (first == me)
			console_panic_line("[socle panic] a second time, giving up");
		cpu_halt();
	}
	cpu_stop_others();
	console_panic_begin();
}

static bool is_code(u64 addr)
{
	return addr >= (u64)image_start && addr < (u64)image_rodata;
}

static void say_frame(u64 addr, const char *mark)
{
	u64 distance;
	const char *name = is_code(addr) ? symbol_find(addr, &distance) : NULL;

	if (name)
		say("%s %016lx %s+0x%lx", mark, addr, name, distance);
	else
		say("%s %016lx", mark, addr);
}

/* A function that has not made its frame yet, or makes none, and a jump to nowhere: the return address
 * is then the word that CALL pushed last. In other cases that word may look like one, hence the question
 * mark. */
static void say_top(u64 rsp)
{
	u64 word = IS_ALIGNED(rsp, 8) && paging_is_mapped(rsp) ? *(const u64 *)rsp : 0;

	if (is_code(word))
		say_frame(word - 1, "?");
}

/* Follows the frame pointers: [rbp] is the caller's rbp, [rbp + 8] the return address. Every step is
 * checked, because the stack may be what is broken. rsp 0: not wanted. */
static void backtrace(u64 rip, u64 rbp, u64 rsp)
{
	say("backtrace:");
	say_frame(rip, " ");
	say_top(rsp);
	for (int i = 0; i < MAX_FRAMES && rbp; i++) {
		const u64 *frame = (const u64 *)rbp;

		if (!IS_ALIGNED(rbp, 8) || !paging_is_mapped(rbp) || !paging_is_mapped(rbp + 8)) {
			say("  (broken frame pointer %016lx)", rbp);
			return;
		}
		if (!frame[1])
			return;
		say_frame(frame[1] - 1, " "); /* a call that does not return may end its function */
		if (frame[0] && frame[0] <= rbp)
			return;
		rbp = frame[0];
	}
}

static void say_control(void)
{
	say("CPU %u of %u, APIC id %u", owner - 1, cpu_count(), cpu_count() ? this_cpu()->apic_id : 0);
	say("cr0=%016lx cr2=%016lx cr3=%016lx cr4=%016lx", read_cr0(), read_cr2(), read_cr3(), read_cr4());
	say("efer=%016lx gs_base=%016lx", rdmsr(MSR_EFER), rdmsr(MSR_GS_BASE));
}

void panic(const char *fmt, ...)
{
	char message[LOG_LINE_MAX - 32];
	va_list ap;

	cli();
	begin();
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	say("[socle panic] %s", message);
	say_control();
	backtrace((u64)__builtin_return_address(0) - 1, *(const u64 *)__builtin_frame_address(0), 0);
	say("[socle panic] stopped");
	cpu_halt();
}

static const char *vector_name(u64 vector)
{
	static const char *const names[] = {
	    [VEC_DE] = "divide error",         [VEC_DB] = "debug",
	    [VEC_BP] = "breakpoint",           [VEC_OF] = "overflow",
	    [VEC_BR] = "bound range exceeded", [VEC_UD] = "invalid opcode",
	    [VEC_NM] = "device not available", [VEC_DF] = "double fault",
	    [VEC_TS] = "invalid TSS",          [VEC_NP] = "segment not present",
	    [VEC_SS] = "stack fault",          [VEC_GP] = "general protection",
	    [VEC_PF] = "page fault",           [VEC_MF] = "x87 error",
	    [VEC_AC] = "alignment check",      [VEC_MC] = "machine check",
	    [VEC_XM] = "SIMD error",           [VEC_VE] = "virtualization exception",
	    [VEC_CP] = "control protection",
	};
	return vector < ARRAY_SIZE(names) && names[vector] ? names[vector] : "unexpected exception";
}

static const char *guess(const struct trap_frame *f)
{
	u64 cr2 = read_cr2();

	if (f->vector == VEC_DF && cr2 - (f->rsp - PAGE_SIZE) < 2 * PAGE_SIZE)
		return ": stack overflow";
	if (f->vector != VEC_PF)
		return "";
	if (f->error & PF_I)
		return ": execution of what is not code";
	if (!(f->error & PF_P))
		return f->error & PF_W ? ": write to nothing" : ": read of nothing";
	return f->error & PF_W ? ": write to read-only memory" : "";
}

void panic_trap(const struct trap_frame *f)
{
	begin();
	say("[socle panic] %s (vector %lu, error code %lx)%s", vector_name(f->vector), f->vector, f->error,
	    guess(f));
	say("rip=%016lx rsp=%016lx rflags=%016lx cs=%lx ss=%lx", f->rip, f->rsp, f->rflags, f->cs, f->ss);
	say("rax=%016lx rbx=%016lx rcx=%016lx rdx=%016lx", f->rax, f->rbx, f->rcx, f->rdx);
	say("rsi=%016lx rdi=%016lx rbp=%016lx r8 =%016lx", f->rsi, f->rdi, f->rbp, f->r8);
	say("r9 =%016lx r10=%016lx r11=%016lx r12=%016lx", f->r9, f->r10, f->r11, f->r12);
	say("r13=%016lx r14=%016lx r15=%016lx", f->r13, f->r14, f->r15);
	say_control();
	backtrace(f->rip, f->rbp, f->rsp);
	say("[socle panic] stopped");
	cpu_halt();
}
