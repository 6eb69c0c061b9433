/* SPDX-License-Identifier: Apache-2.0 */
/* Executes one instruction on the processor of the build host, in 64-, 32- or 16-bit code: all general
 * registers and the flags are loaded before and saved after. The code around it is generated in low memory,
 * where absolute addresses reach it from each mode. 32 and 16 bits run in the segments that Linux has for
 * 32-bit programs and in a local descriptor table. */
#pragma once

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "types.h"

#define NATIVE_HOLE 15               /* bytes for the instruction, padded with NOPs */
#define NATIVE_GS_BASE ((u64)0x1230) /* in 64-bit code */
/* Selectors of Linux, and ours in the LDT. */
#define NATIVE_CS64 0x33
#define NATIVE_CS32 0x23
#define NATIVE_DS 0x2b
#define NATIVE_CS16 0x07 /* base: the page of the code */
#define NATIVE_DATA 0x0f /* base and size: the buffer; DS and ES of 32- and 16-bit code */

struct native_state {
	u64 regs[16];
	u64 rflags;
	u64 host_rsp;
	struct __attribute__((packed)) {
		u32 offset;
		u16 selector;
	} far;
};

/* One mode's code. hole_ip is what the instruction pointer is at the hole. */
struct native_code {
	u8 *page;
	u8 *hole;
	u64 hole_ip;
	unsigned mode_bits;
	struct native_state *state;
};

/* ---- a very small assembler ---- */
static u8 *emit_at;

static inline void emit(const void *bytes, size_t n)
{
	memcpy(emit_at, bytes, n);
	emit_at += n;
}
#define EMIT(...)                                                                                            \
	do {                                                                                                 \
		const u8 emit_bytes[] = {__VA_ARGS__};                                                       \
		emit(emit_bytes, sizeof(emit_bytes));                                                        \
	} while (0)

static inline void emit_u32(const void *value)
{
	u32 v = (u32)(u64)value;

	emit(&v, 4);
}

/* Opcode with an absolute memory operand through SS, which is flat; reg is ModRM.reg. 32 bits wide, 64 in
 * 64-bit code (wide). */
static inline void emit_memory(unsigned mode_bits, bool wide, u8 opcode, unsigned reg, const void *address)
{
	if (mode_bits == 16)
		EMIT(0x66, 0x67);
	if (mode_bits == 64) {
		EMIT((u8)((wide ? 0x48 : 0x40) | (reg & 8) >> 1), opcode, (u8)((reg & 7) << 3 | 4), 0x25);
	} else {
		EMIT(0x36, opcode, (u8)((reg & 7) << 3 | 5));
	}
	emit_u32(address);
}

/* Loads RSP, then flags, then the registers, RSP last. */
static inline void emit_before(struct native_code *c)
{
	struct native_state *s = c->state;
	unsigned m = c->mode_bits;
	static u64 scratch;

	scratch = (u64)c->page + 4096 - 64;
	if (m == 16)
		EMIT(0x66);
	EMIT(0xbc); /* MOV ESP, imm32 */
	emit_u32((void *)scratch);
	emit_memory(m, false, 0xff, 6, &s->rflags); /* PUSH */
	if (m == 16)
		EMIT(0x66);
	EMIT(0x9d); /* POPF */
	for (unsigned i = 0; i < (m == 64 ? 16 : 8); i++)
		if (i != 4)
			emit_memory(m, true, 0x8b, i, &s->regs[i]);
	emit_memory(m, true, 0x8b, 4, &s->regs[4]);
}

static inline void emit_after(struct native_code *c)
{
	struct native_state *s = c->state;
	unsigned m = c->mode_bits;

	for (unsigned i = 0; i < (m == 64 ? 16 : 8); i++)
		emit_memory(m, true, 0x89, i, &s->regs[i]);
	if (m == 16)
		EMIT(0x66);
	EMIT(0xbc);
	emit_u32(c->page + 4096 - 64);
	if (m == 16)
		EMIT(0x66);
	EMIT(0x9c); /* PUSHF */
	emit_memory(m, false, 0x8f, 0, &s->rflags);
}

static inline void emit_hole(struct native_code *c)
{
	c->hole = emit_at;
	c->hole_ip = c->mode_bits == 16 ? (u64)(c->hole - c->page) : (u64)c->hole;
	memset(emit_at, 0x90, NATIVE_HOLE);
	emit_at += NATIVE_HOLE;
}

static inline void native_build(struct native_code *c, u8 *page, struct native_state *state,
				unsigned mode_bits)
{
	static const u8 push_all[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57};
	static const u8 pop_all_ret[] = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3};
	u8 *back, *patch;

	*c = (struct native_code){.page = page, .state = state, .mode_bits = mode_bits};
	emit_at = page;
	emit(push_all, sizeof(push_all)); /* RBX, RBP, R12 to R15 */
	emit_memory(64, true, 0x89, 4, &state->host_rsp);
	if (mode_bits == 64) {
		emit_before(c);
		emit_hole(c);
		emit_after(c);
	} else {
		u64 code = mode_bits == 16 ? 0 : (u64)page;
		emit_memory(64, false, 0xff, 5, &state->far); /* JMP FAR */
		state->far.offset = (u32)(code + (u64)(emit_at - page));
		state->far.selector = mode_bits == 16 ? NATIVE_CS16 : NATIVE_CS32;
		if (mode_bits == 32)
			EMIT(0xb8, NATIVE_DATA, 0, 0, 0);
		else
			EMIT(0xb8, NATIVE_DATA, 0);
		EMIT(0x8e, 0xd8, 0x8e, 0xc0); /* DS, ES */
		emit_before(c);
		emit_hole(c);
		emit_after(c);
		if (mode_bits == 16)
			EMIT(0x66);
		EMIT(0xea); /* JMP FAR to the 64-bit code behind it */
		patch = emit_at;
		emit_at += 4;
		EMIT(NATIVE_CS64, 0);
		back = emit_at;
		emit_at = patch;
		emit_u32(back);
		emit_at = back;
	}
	EMIT(0xfc); /* CLD */
	emit_memory(64, true, 0x8b, 4, &state->host_rsp);
	emit(pop_all_ret, sizeof(pop_all_ret));
}

static inline void native_run(struct native_code *c, const u8 *bytes, unsigned length)
{
	void (*entry)(void) = (void (*)(void))c->page;

	memset(c->hole, 0x90, NATIVE_HOLE);
	memcpy(c->hole, bytes, length);
	entry();
}

static inline void *native_low_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The local descriptor table for 16- and 32-bit code; false where the kernel has none. */
static inline bool native_descriptors(const u8 *page16, const u8 *buffer, unsigned buffer_size)
{
	struct user_desc cs16 = {.entry_number = NATIVE_CS16 >> 3,
				 .base_addr = (u32)(u64)page16,
				 .limit = 0xffff,
				 .contents = 2, /* code */
				 .useable = 1};
	struct user_desc data = {.entry_number = NATIVE_DATA >> 3,
				 .base_addr = (u32)(u64)buffer,
				 .limit = buffer_size - 1,
				 .seg_32bit = 1,
				 .useable = 1};

	return syscall(SYS_modify_ldt, 1, &cs16, sizeof(cs16)) == 0 &&
	       syscall(SYS_modify_ldt, 1, &data, sizeof(data)) == 0;
}

/* GS is the only segment that a 64-bit program may base freely without breaking its C library. */
static inline bool native_gs_base(void)
{
	return syscall(SYS_arch_prctl, ARCH_SET_GS, NATIVE_GS_BASE) == 0;
}
