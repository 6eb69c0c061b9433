/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction emulation: executes a decoded instruction whose memory operand is not plain RAM (a device
 * behind an EPT violation, a string to or from ports). M4, M66.
 *
 * Before: regs, rip, rflags, mode_bits, ops and opaque are set; regs[4] (RSP) is needed only with
 * INSN_F_RSP, stack_size only with INSN_F_STACK, rflags always (RF and TF, see below).
 * After: regs, rip and rflags hold the new state, with RF as the processor leaves it.
 *  EMULATE_DONE   The instruction is complete. The caller ends the STI and MOV SS shadow and, where TF
 *                 was set before, makes a single-step #DB pending (SDM 27.3.1.5, pending debug
 *                 exceptions BS).
 *  EMULATE_AGAIN  A repeated string instruction has done some iterations, rip still points at it, RF is
 *                 set: enter the guest, so that interrupts are served. With TF set that is after each
 *                 iteration, and the #DB is due as for EMULATE_DONE. (Also: a locked operation lost
 *                 its race too often; then nothing has changed.)
 *  EMULATE_FAULT  Inject c->fault, RF is set for it. Only completed iterations of a repeated string
 *                 instruction have changed anything.
 *  EMULATE_UNSUPPORTED  Not executed and nothing changed: inject #UD, log once. */
#pragma once

#include "insn.h"
#include "lib.h"

enum emulate_result { EMULATE_DONE, EMULATE_AGAIN, EMULATE_FAULT, EMULATE_UNSUPPORTED };

/* Iterations of a repeated string instruction in one call: bounds the time without interrupts. */
#define EMULATE_MAX_ITERATIONS 256

/* What a callback is asked for: one of these. */
#define EMULATE_READ 1u
#define EMULATE_WRITE 2u /* writing, or reading and writing: what may be written may be read */
#define EMULATE_EXEC 4u  /* only in ops->linear: the target of a branch */

struct emulate_fault {
	u8 vector;
	bool has_error;
	u32 error;
	u64 cr2; /* of a page fault */
};

struct emulate_ctx;

struct emulate_ops {
	/* Segmentation, for what is not flat: outside 64-bit mode, and FS and GS in it. Checks limit,
	 * type and rights (in 64-bit mode: that the address is canonical) of size bytes at offset and
	 * yields base + offset. 0, or -1 with c->fault set (#GP, #SS). */
	int (*linear)(struct emulate_ctx *c, enum insn_seg seg, u64 offset, unsigned size, unsigned access,
		      u64 *linear);
	/* Paging, for one page at a time. 0, or -1 with c->fault set (#PF). */
	int (*translate)(struct emulate_ctx *c, u64 linear, unsigned access, gpa_t *gpa);
	/* Guest-physical accesses of 1, 2, 4 or 8 bytes within a page, to RAM or devices. Cannot fail.
	 * Values read are zero-extended. */
	u64 (*read)(struct emulate_ctx *c, gpa_t gpa, unsigned size);
	void (*write)(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 value);
	/* Atomic compare and exchange of 1 to 16 bytes (in one or two words) of RAM within a page. 0 done;
	 * ERR_AGAIN: *expected was not there (and is now what was); ERR_NOTSUP: no RAM, the caller
	 * reads and writes instead. NULL: as if it always answered ERR_NOTSUP. */
	int (*cmpxchg)(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 *expected, const u64 *desired);
	/* Ports of string I/O; the permission was checked before the exit (or the fault comes first:
	 * SDM 26.1.1). size 1, 2, 4. */
	u32 (*port_in)(struct emulate_ctx *c, u16 port, unsigned size);
	void (*port_out)(struct emulate_ctx *c, u16 port, unsigned size, u32 value);
	/* The same for up to count items, which lie at gpa in one page and whose access was allowed: how
	 * many were moved; 0: one by one instead. NULL: as if it always answered 0. */
	u32 (*port_string)(struct emulate_ctx *c, u16 port, unsigned size, bool in, gpa_t gpa, u32 count);
};

/* A translation that is known beforehand. For an EPT violation: the guest-linear and guest-physical
 * address, and the access that made it, which the guest's page tables have allowed. access 0: none. */
struct emulate_page {
	u64 linear; /* multiple of 4096 */
	gpa_t gpa;  /* multiple of 4096 */
	u32 access; /* 0, EMULATE_READ or EMULATE_WRITE */
};

struct emulate_ctx {
	u64 *regs; /* RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8..R15 */
	u64 rip;
	u64 rflags;
	const struct emulate_ops *ops;
	void *opaque; /* for the callbacks */
	struct emulate_page page;
	u8 mode_bits;  /* 16, 32, 64 as for insn_decode() */
	u8 stack_size; /* bytes of the stack pointer in use: 2, 4, 8 */
	/* Becomes non-zero when something wants to be served between two iterations of a repeated string
	 * instruction, an interrupt that the last one raised for instance. NULL: nothing will. */
	const u32 *interrupted;
	struct emulate_fault fault;
};

enum emulate_result emulate_insn(struct emulate_ctx *c, const struct insn *in);
