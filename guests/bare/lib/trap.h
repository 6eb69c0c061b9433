/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's exceptions and interrupts: descriptor tables, handlers in C, and two ways to run code
 * that is expected to fault. */
#pragma once

#include "cpu.h"

#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_CODE32 0x18
#define SEL_CODE16 0x20
#define SEL_DATA16 0x28
#define SEL_USER32 0x33
#define SEL_USERDATA 0x3b
#define SEL_USER64 0x43
#define SEL_TSS 0x48
#define SEL_FREE 0x58 /* first of the slots for tests */
#define GDT_SLOTS 32

#define NO_FAULT 0x100U /* instead of a vector */
#define VEC_USER_EXIT 0x81

/* What trap.asm saves; the processor's part last. */
struct regs {
	u64 rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

struct gate {
	u16 offset_lo, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_hi, reserved;
};

struct __attribute__((packed)) tss64 {
	u32 reserved0;
	u64 rsp0, rsp1, rsp2, reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap;
	u8 bitmap[32]; /* ports 0 to 255: all denied */
	u8 bitmap_end;
};

/* The exception or interrupt that nobody had asked for, last. */
struct trap_record {
	u32 vector;
	u64 error, rip, cs, rflags, rsp, cr2;
	u64 count;
};

typedef void trap_handler_fn(struct regs *r);

extern volatile struct trap_record trap_last;
extern volatile u64 trap_fixup;
extern struct gate trap_idt[256];
extern struct tss64 trap_tss;
extern u64 boot_gdt[GDT_SLOTS];
extern u64 boot_pml4[512], boot_pdpt[512];

void trap_init(void);
/* A handler keeps the vector until it is set to NULL. */
void trap_handler(u8 vector, trap_handler_fn *fn);
/* Points the gate at an assembler entry, or back at the usual one where entry is NULL. */
void trap_gate(u8 vector, void (*entry)(void));
void trap_gate_ist(u8 vector, unsigned ist);
void trap_gate_dpl(u8 vector, unsigned dpl);
void trap_restore_idt(void);

/* Runs fn(arg) and returns the vector of the unexpected exception or interrupt that ended it, or NO_FAULT;
 * trap_last has the rest. Nests. */
u32 trap_catch(void (*fn)(void *), void *arg);
/* The same in ring 3, on a stack of its own; *result gets what fn returned. */
u32 trap_user(u64 (*fn)(void *), void *arg, u64 *result);
/* The same with a stack of the caller's. */
u32 trap_user_enter(u64 (*fn)(void *), void *arg, void *stack_top);
extern u64 trap_user_flags; /* RFLAGS of code in ring 3; 2 unless a test sets it */

/* In an asm statement: TRY("1f") "instruction\n1:". If the instruction faults it is given up and execution
 * goes on behind the label. Afterwards try_vector() tells. */
#define TRY(label) "movq $" label ", trap_fixup(%%rip)\n\t"
static inline u32 try_vector(void)
{
	bool faulted = !trap_fixup;

	trap_fixup = 0;
	return faulted ? trap_last.vector : NO_FAULT;
}

static inline u32 rdmsr_try(u32 msr, u64 *v)
{
	u32 lo = 0, hi = 0;

	__asm__ volatile(TRY("1f") "rdmsr\n1:" : "+a"(lo), "+d"(hi) : "c"(msr) : "memory");
	*v = (u64)hi << 32 | lo;
	return try_vector();
}

static inline u32 wrmsr_try(u32 msr, u64 v)
{
	__asm__ volatile(TRY("1f") "wrmsr\n1:" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return try_vector();
}

#define TRY_WRITE_REG(reg)                                                                                   \
	static inline u32 write_##reg##_try(u64 v)                                                           \
	{                                                                                                    \
		__asm__ volatile(TRY("1f") "mov %0, %%" #reg "\n1:" ::"r"(v) : "memory");                    \
		return try_vector();                                                                         \
	}
TRY_WRITE_REG(cr0)
TRY_WRITE_REG(cr3)
TRY_WRITE_REG(cr4)
TRY_WRITE_REG(cr8)
TRY_WRITE_REG(dr6)
TRY_WRITE_REG(dr7)

static inline u32 xsetbv_try(u32 index, u64 v)
{
	__asm__ volatile(TRY("1f") "xsetbv\n1:" ::"c"(index), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
	return try_vector();
}

static inline u64 xgetbv(u32 index)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(index));
	return (u64)hi << 32 | lo;
}

/* Reads or writes 32 bits of memory, or reports the fault. */
static inline u32 read32_try(const volatile void *p, u32 *v)
{
	u32 got = 0;

	__asm__ volatile(TRY("1f") "movl %1, %0\n1:" : "+r"(got) : "m"(*(const volatile u32 *)p) : "memory");
	*v = got;
	return try_vector();
}

static inline u32 write32_try(volatile void *p, u32 v)
{
	__asm__ volatile(TRY("1f") "movl %1, %0\n1:" : "=m"(*(volatile u32 *)p) : "r"(v) : "memory");
	return try_vector();
}
