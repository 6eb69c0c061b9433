/* SPDX-License-Identifier: Apache-2.0 */
/* Two tasks, their TSSs and a GDT in the memory of vcpu_board.h, for the tests of hardware task switches.
 * SDM volume 3, chapter 8. */
#pragma once

#include "vcpu_board.h"

#define GDT 0x1000u
#define OLD_TSS 0x2000u
#define NEW_TSS 0x3000u
#define LDT 0x4000u
#define STACK 0x6000u

enum {
	SEL_CODE = 0x08,
	SEL_DATA = 0x10,
	SEL_CODE3 = 0x18,
	SEL_DATA3 = 0x20,
	SEL_OLD = 0x28,
	SEL_NEW = 0x30,
	SEL_LDT = 0x38,
	SEL_CODE16 = 0x40,
	SEL_DATA16 = 0x48,
	SEL_BEYOND = 0x50,
};
enum { CALL, IRET, JMP, GATE };
#define TSS_AVAIL 0x89u
#define TSS_BUSY 0x8bu
#define TSS16_AVAIL 0x81u
#define TSS16_BUSY 0x83u

/* type: the byte with P, DPL, S and type; flags: G, D/B, L, AVL. */
static inline u64 descriptor(u32 base, u32 limit, u8 type, u8 flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)type << 40 |
	       (u64)(limit >> 16 & 0xf) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56;
}

static inline void put_descriptor(u32 selector, u32 base, u32 limit, u8 type, u8 flags)
{
	u64 d = descriptor(base, limit, type, flags);
	board_put(GDT + (selector & ~7u), &d, 8);
}

static inline unsigned type_of(u32 selector)
{
	return (unsigned)board_get(GDT + (selector & ~7u) + 5, 1);
}

static inline void put32(gpa_t gpa, u32 value)
{
	board_put(gpa, &value, 4);
}

static inline void put16(gpa_t gpa, u16 value)
{
	board_put(gpa, &value, 2);
}

/* Offsets of SDM volume 3, figure 8-2. */
enum {
	TSS_LINK = 0,
	TSS_CR3 = 28,
	TSS_EIP = 32,
	TSS_EFLAGS = 36,
	TSS_EAX = 40,
	TSS_ESP = 56,
	TSS_ES = 72,
	TSS_CS = 76,
	TSS_SS = 80,
	TSS_DS = 84,
	TSS_FS = 88,
	TSS_GS = 92,
	TSS_LDT = 96,
	TSS_T = 100,
};

static inline void new_task32(void)
{
	put32(NEW_TSS + TSS_EIP, 0x5000);
	put32(NEW_TSS + TSS_EFLAGS, 0x202);
	for (u32 i = 0; i < 8; i++)
		put32(NEW_TSS + TSS_EAX + 4 * i, 0x20000000 + i);
	put32(NEW_TSS + TSS_ESP, STACK);
	put32(NEW_TSS + TSS_CS, SEL_CODE);
	put32(NEW_TSS + TSS_SS, SEL_DATA);
	for (u32 at = TSS_DS; at <= TSS_GS; at += 4)
		put32(NEW_TSS + at, SEL_DATA);
	put32(NEW_TSS + TSS_ES, SEL_DATA);
}

/* Offsets of figure 8-10: IP 14, FLAGS 16, AX 18 ..., SP 26, ES 34, CS 36, SS 38, DS 40, LDT 42. */
static inline void new_task16(void)
{
	put_descriptor(SEL_NEW, NEW_TSS, 43, TSS16_AVAIL, 0);
	put16(NEW_TSS + 14, 0x5000);
	put16(NEW_TSS + 16, 0x202);
	for (u16 i = 0; i < 8; i++)
		put16(NEW_TSS + 18 + 2 * i, 0x2000 + i);
	put16(NEW_TSS + 26, STACK);
	put16(NEW_TSS + 34, SEL_DATA16);
	put16(NEW_TSS + 36, SEL_CODE16);
	put16(NEW_TSS + 38, SEL_DATA16);
	put16(NEW_TSS + 40, SEL_DATA16);
	put16(NEW_TSS + 42, 0);
}

static inline void old_task(u32 rights)
{
	static const u16 selectors[] = {SEL_DATA, SEL_CODE, SEL_DATA, SEL_DATA, 0, SEL_DATA};
	for (unsigned i = 0; i < 6; i++) {
		struct segment s = {selectors[i], 0, 0xffffffff, i == SEG_CS ? 0xc09b : 0xc093};
		vcpu_set_segment(i, &s);
	}
	const struct segment tr = {SEL_OLD, OLD_TSS, rights == TSS_BUSY ? 0x67 : 0x2b, rights};
	const struct segment ldt = {0, 0, 0, SEG_UNUSABLE};
	vcpu_set_segment(SEG_TR, &tr);
	vcpu_set_segment(SEG_LDTR, &ldt);
	for (unsigned i = 0; i < 8; i++)
		board_regs[i] = 0x10000000 + i;
	fake(GUEST_RSP) = 0x7000;
	fake(GUEST_RFLAGS) = RFLAGS_FIXED1 | RFLAGS_CF;
}

static inline int setup(void **state)
{
	board_setup(state);
	fake(GUEST_GDTR_BASE) = GDT;
	fake(GUEST_GDTR_LIMIT) = SEL_BEYOND - 1;
	fake(GUEST_DR7) = 0x7ff;
	put_descriptor(SEL_CODE, 0, 0xfffff, 0x9b, 0xc);
	put_descriptor(SEL_DATA, 0, 0xfffff, 0x93, 0xc);
	put_descriptor(SEL_CODE3, 0, 0xfffff, 0xfb, 0xc);
	put_descriptor(SEL_DATA3, 0, 0xfffff, 0xf3, 0xc);
	put_descriptor(SEL_OLD, OLD_TSS, 0x67, TSS_BUSY, 0);
	put_descriptor(SEL_NEW, NEW_TSS, 0x67, TSS_AVAIL, 0);
	put_descriptor(SEL_LDT, LDT, 0xf, 0x82, 0);
	put_descriptor(SEL_CODE16, 0x10000, 0xffff, 0x9b, 0);
	put_descriptor(SEL_DATA16, 0x10000, 0xffff, 0x93, 0);
	old_task(TSS_BUSY);
	new_task32();
	return 0;
}

#define EVENT(type, vector) ((u32)(EVENT_VALID | (u64)(type) << 8 | (vector)))

static inline void run(unsigned source, u32 event)
{
	fake(EXIT_QUALIFICATION) = (u64)source << 30 | SEL_NEW;
	if (event)
		event_save_vectoring(&board_vcpu.events, event);
	exit_task_switch(&board_vcpu);
}
