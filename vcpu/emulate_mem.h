/* SPDX-License-Identifier: Apache-2.0 */
/* Operands of emulated instructions: registers by number and width, effective addresses, and memory
 * operands, which are resolved first (that may fault) and accessed after (that may not). */
#pragma once

#include "emulate.h"
#include "emulate_alu.h"
#include "gwalk.h"

enum { EMULATE_RAX, EMULATE_RCX, EMULATE_RDX, EMULATE_RBX, EMULATE_RSP, EMULATE_RSI = 6, EMULATE_RDI };

/* A memory operand after segmentation and paging. */
struct emulate_operand {
	gpa_t gpa;
	gpa_t gpa2;     /* of the part on the second page */
	unsigned first; /* bytes on the first page; size when there is no second */
	unsigned size;
};

static inline u64 emulate_reg(const struct emulate_ctx *c, unsigned reg, unsigned size)
{
	if (reg >= INSN_REG_AH)
		return c->regs[reg - INSN_REG_AH] >> 8 & 0xff;
	return c->regs[reg] & alu_mask(size);
}

/* 32-bit results clear the upper half, narrower ones keep the rest: SDM volume 1, 3.4.1.1. */
static inline void emulate_set_reg(struct emulate_ctx *c, unsigned reg, unsigned size, u64 value)
{
	u64 mask = alu_mask(size);

	if (size >= 4) {
		c->regs[reg] = value & mask;
	} else if (reg >= INSN_REG_AH) {
		u64 *r = &c->regs[reg - INSN_REG_AH];
		*r = (*r & ~(u64)0xff00) | (value & 0xff) << 8;
	} else {
		c->regs[reg] = (c->regs[reg] & ~mask) | (value & mask);
	}
}

/* Offset within the segment. */
static inline u64 emulate_address(const struct emulate_ctx *c, const struct insn *in)
{
	u64 ea = (u64)in->disp;

	if (likely(in->base < INSN_BASE_RIP))
		ea += c->regs[in->base];
	else if (in->base == INSN_BASE_RIP)
		ea += c->rip + in->length;
	if (in->index < INSN_NONE)
		ea += c->regs[in->index] << in->scale;
	return likely(in->addr_size == 8) ? ea : ea & alu_mask(in->addr_size);
}

/* Segmentation and paging of size bytes. known: a translation that may be used; with learn, the one
 * of the first page replaces it. 0, or -1 with c->fault set. */
int emulate_resolve_slow(struct emulate_ctx *c, bool flat, enum insn_seg seg, u64 offset, unsigned size,
			 unsigned access, struct emulate_page *learn, struct emulate_operand *op);

static inline int emulate_resolve(struct emulate_ctx *c, bool flat, enum insn_seg seg, u64 offset,
				  unsigned size, unsigned access, struct emulate_operand *op)
{
	u64 in_page = offset ^ c->page.linear;

	/* The exit proved that this page may be accessed so. A known page is canonical. */
	if (likely(flat && in_page <= PAGE_SIZE - size && access <= c->page.access)) {
		op->gpa = c->page.gpa + in_page;
		op->first = op->size = size;
		return 0;
	}
	return emulate_resolve_slow(c, flat, seg, offset, size, access, NULL, op);
}

/* The memory operand of the instruction. */
static inline int emulate_resolve_insn(struct emulate_ctx *c, const struct insn *in, unsigned access,
				       struct emulate_operand *op)
{
	return emulate_resolve(c, in->flags & INSN_F_FLAT, (enum insn_seg)in->seg, emulate_address(c, in),
			       in->size, access, op);
}

/* Sizes 1, 2, 4, 8. A part on a second page goes byte by byte. */
u64 emulate_read_split(struct emulate_ctx *c, const struct emulate_operand *op);
void emulate_write_split(struct emulate_ctx *c, const struct emulate_operand *op, u64 value);

static inline u64 emulate_read(struct emulate_ctx *c, const struct emulate_operand *op)
{
	return likely(op->first == op->size) ? c->ops->read(c, op->gpa, op->size) : emulate_read_split(c, op);
}

static inline void emulate_write(struct emulate_ctx *c, const struct emulate_operand *op, u64 value)
{
	if (likely(op->first == op->size))
		c->ops->write(c, op->gpa, op->size, value);
	else
		emulate_write_split(c, op, value);
}

/* The instruction ends: rip moves on and RF is cleared (SDM volume 3, 18.3.1.1). */
static inline enum emulate_result emulate_finish(struct emulate_ctx *c, const struct insn *in)
{
	u64 rip = c->rip + in->length;

	c->rip = likely(c->mode_bits == 64) ? rip : (u32)rip;
	c->rflags &= ~RFLAGS_RF;
	return EMULATE_DONE;
}

/* c->fault is set: a fault saves RF as 1, so that an instruction breakpoint is not taken twice. */
static inline enum emulate_result emulate_faulted(struct emulate_ctx *c)
{
	c->rflags |= RFLAGS_RF;
	return EMULATE_FAULT;
}

/* Raises #GP(0) or #SS(0). Returns -1. */
int emulate_raise(struct emulate_ctx *c, unsigned vector);

static inline bool emulate_is_flat(const struct emulate_ctx *c)
{
	return c->mode_bits == 64; /* for ES, CS, SS and DS */
}

/* ---- by file ---- */
enum emulate_result emulate_alu(struct emulate_ctx *c, const struct insn *in); /* emulate_modify.c */
enum emulate_result emulate_modify(struct emulate_ctx *c, const struct insn *in);
enum emulate_result emulate_bit(struct emulate_ctx *c, const struct insn *in);
enum emulate_result emulate_exchange(struct emulate_ctx *c, const struct insn *in);
enum emulate_result emulate_cmpxchg(struct emulate_ctx *c, const struct insn *in);
enum emulate_result emulate_cmpxchg8b(struct emulate_ctx *c, const struct insn *in);
enum emulate_result emulate_push(struct emulate_ctx *c, const struct insn *in); /* emulate_stack.c */
enum emulate_result emulate_pop(struct emulate_ctx *c, const struct insn *in);
enum emulate_result emulate_branch(struct emulate_ctx *c, const struct insn *in);
enum emulate_result emulate_string(struct emulate_ctx *c, const struct insn *in); /* emulate_string.c */
