/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's IDT and TSS, and what happens on an exception: a handler, a fix-up, an unwinding, or the end.
 */
#include "trap.h"
#include "print.h"
#include "test.h"

#define GATE_INTERRUPT 0x8e
#define STUB_SIZE 16
#define STACK_SIZE 8192

volatile struct trap_record trap_last;
volatile u64 trap_fixup;
struct gate trap_idt[256] __attribute__((aligned(4096)));
struct tss64 trap_tss;

static trap_handler_fn *handlers[256];
static u64 user_result;
static u8 user_stack[STACK_SIZE] __attribute__((aligned(16)));
static u8 ring0_stack[STACK_SIZE] __attribute__((aligned(16)));
static u8 ist_stack[STACK_SIZE] __attribute__((aligned(16)));

extern char trap_stubs[], trap_catch_return[];
extern u64 trap_catch_top;

void trap_dispatch(struct regs *r);

static void gate_set(u8 vector, u64 entry)
{
	struct gate *g = &trap_idt[vector];

	*g = (struct gate){
	    .offset_lo = (u16)entry,
	    .selector = SEL_CODE64,
	    .ist = g->ist,
	    .type = GATE_INTERRUPT,
	    .offset_mid = (u16)(entry >> 16),
	    .offset_hi = (u32)(entry >> 32),
	};
}

void trap_gate(u8 vector, void (*entry)(void))
{
	gate_set(vector, entry ? (u64)entry : (u64)trap_stubs + vector * STUB_SIZE);
}

void trap_gate_ist(u8 vector, unsigned ist)
{
	trap_idt[vector].ist = (u8)ist;
}

void trap_gate_dpl(u8 vector, unsigned dpl)
{
	trap_idt[vector].type = (u8)(GATE_INTERRUPT | dpl << 5);
}

void trap_handler(u8 vector, trap_handler_fn *fn)
{
	handlers[vector] = fn;
}

void trap_restore_idt(void)
{
	write_idtr((struct table_register){sizeof(trap_idt) - 1, (u64)trap_idt});
}

static void tss_init(void)
{
	u64 base = (u64)&trap_tss, limit = sizeof(trap_tss) - 1;

	trap_tss.rsp0 = (u64)(ring0_stack + STACK_SIZE);
	trap_tss.ist[0] = (u64)(ist_stack + STACK_SIZE);
	trap_tss.iomap = offsetof(struct tss64, bitmap);
	memset(trap_tss.bitmap, 0xff, sizeof(trap_tss.bitmap) + 1);
	boot_gdt[SEL_TSS / 8] = limit | (base & 0xffffff) << 16 | (u64)0x89 << 40 | (base >> 24 & 0xff) << 56;
	boot_gdt[SEL_TSS / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
}

void trap_init(void)
{
	for (unsigned v = 0; v < 256; v++)
		trap_gate((u8)v, NULL);
	trap_gate_ist(VEC_DF, 1);
	trap_gate_dpl(VEC_USER_EXIT, 3);
	tss_init();
	trap_restore_idt();
}

static void record(const struct regs *r)
{
	trap_last.vector = (u32)r->vector;
	trap_last.error = r->error;
	trap_last.rip = r->rip;
	trap_last.cs = r->cs;
	trap_last.rflags = r->rflags;
	trap_last.rsp = r->rsp;
	trap_last.cr2 = read_cr2();
	trap_last.count++;
}

static void unwind(struct regs *r, u64 result)
{
	r->rip = (u64)trap_catch_return;
	r->cs = SEL_CODE64;
	r->ss = SEL_DATA;
	r->rsp = trap_catch_top;
	r->rflags = RFLAGS_FIXED;
	r->rax = result;
}

void trap_dispatch(struct regs *r)
{
	if (handlers[r->vector]) {
		handlers[r->vector](r);
		return;
	}
	if (r->vector == VEC_USER_EXIT && (r->cs & 3) == 3) {
		user_result = r->rax;
		unwind(r, NO_FAULT);
		return;
	}
	record(r);
	if (trap_fixup) {
		r->rip = trap_fixup;
		r->rflags &= ~RFLAGS_TF;
		trap_fixup = 0;
		return;
	}
	if (trap_catch_top) {
		unwind(r, r->vector);
		return;
	}
	print("unexpected vector %lu error 0x%lx at 0x%lx cr2 0x%lx\n", r->vector, r->error, r->rip,
	      read_cr2());
	guest_exit(EXIT_CRASHED);
}

u32 trap_user(u64 (*fn)(void *), void *arg, u64 *result)
{
	u32 vector = trap_user_enter(fn, arg, user_stack + STACK_SIZE);

	if (result)
		*result = user_result;
	return vector;
}
