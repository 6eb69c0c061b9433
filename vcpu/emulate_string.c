/* SPDX-License-Identifier: Apache-2.0 */
/* String instructions, with ports too, and their repetition (SDM volume 1, 7.3.9; volume 2, REP). */
#include "emulate_mem.h"

/* A run in one piece is at most a page of copying; it counts as that many iterations more. */
#define MANY_COST 15

/* Translations of this instruction so far; the processor would keep them in its TLB as well. */
struct string_pages {
	struct emulate_page source, target;
};

static int resolve(struct emulate_ctx *c, const struct insn *in, bool source, unsigned access,
		   struct string_pages *pages, struct emulate_operand *op)
{
	u64 offset = c->regs[source ? EMULATE_RSI : EMULATE_RDI] & alu_mask(in->addr_size);
	bool flat = source ? in->flags & INSN_F_FLAT : emulate_is_flat(c);

	return emulate_resolve_slow(c, flat, source ? (enum insn_seg)in->seg : INSN_ES, offset, in->size,
				    access, source ? &pages->source : &pages->target, op);
}

/* Advances rSI, rDI or rCX as wide as the address size. */
static void advance(struct emulate_ctx *c, const struct insn *in, unsigned reg, u64 delta)
{
	emulate_set_reg(c, reg, in->addr_size, c->regs[reg] + delta);
}

/* What one iteration reads and writes; resolved before anything is accessed. */
static const struct string_shape {
	bool source, target;
	unsigned target_access;
} shapes[] = {
    [INSN_MOVS - INSN_MOVS] = {true, true, EMULATE_WRITE},
    [INSN_CMPS - INSN_MOVS] = {true, true, EMULATE_READ},
    [INSN_STOS - INSN_MOVS] = {false, true, EMULATE_WRITE},
    [INSN_LODS - INSN_MOVS] = {true, false, 0},
    [INSN_SCAS - INSN_MOVS] = {false, true, EMULATE_READ},
    [INSN_INS - INSN_MOVS] = {false, true, EMULATE_WRITE},
    [INSN_OUTS - INSN_MOVS] = {true, false, 0},
};

/* One iteration without the count. 0, or -1 with c->fault set and nothing changed. */
static int step(struct emulate_ctx *c, const struct insn *in, struct string_pages *pages)
{
	const struct string_shape *shape = &shapes[in->op - INSN_MOVS];
	u64 delta = c->rflags & RFLAGS_DF ? -(u64)in->size : in->size;
	struct emulate_operand source = {0}, target = {0};
	u16 port = (u16)c->regs[EMULATE_RDX];

	if ((shape->source && resolve(c, in, true, EMULATE_READ, pages, &source)) ||
	    (shape->target && resolve(c, in, false, shape->target_access, pages, &target)))
		return -1;
	switch (in->op) {
	case INSN_MOVS:
		emulate_write(c, &target, emulate_read(c, &source));
		break;
	case INSN_CMPS: {
		u64 a = emulate_read(c, &source);
		alu_binary(INSN_CMP, a, emulate_read(c, &target), in->size, &c->rflags);
		break;
	}
	case INSN_STOS:
		emulate_write(c, &target, emulate_reg(c, EMULATE_RAX, in->size));
		break;
	case INSN_LODS:
		emulate_set_reg(c, EMULATE_RAX, in->size, emulate_read(c, &source));
		break;
	case INSN_SCAS:
		alu_binary(INSN_CMP, emulate_reg(c, EMULATE_RAX, in->size), emulate_read(c, &target),
			   in->size, &c->rflags);
		break;
	case INSN_INS:
		emulate_write(c, &target, c->ops->port_in(c, port, in->size) & alu_mask(in->size));
		break;
	default: /* INSN_OUTS */
		c->ops->port_out(c, port, in->size, (u32)emulate_read(c, &source));
		break;
	}
	if (shape->source)
		advance(c, in, EMULATE_RSI, delta);
	if (shape->target)
		advance(c, in, EMULATE_RDI, delta);
	return 0;
}

/* INS or OUTS upwards: as many iterations of `count` as the device takes in one piece, but not beyond the
 * page; returns how many, perhaps none. A fault is left to step(), which stands at the iteration that raises
 * it. */
static u64 step_many(struct emulate_ctx *c, const struct insn *in, struct string_pages *pages, u64 count)
{
	bool ins = in->op == INSN_INS, flat = ins ? emulate_is_flat(c) : in->flags & INSN_F_FLAT;
	unsigned reg = ins ? EMULATE_RDI : EMULATE_RSI, access = ins ? EMULATE_WRITE : EMULATE_READ;
	u64 mask = alu_mask(in->addr_size), offset = c->regs[reg] & mask, linear;
	struct emulate_operand op;

	if (resolve(c, in, !ins, access, pages, &op) || op.first != op.size)
		return 0;
	count = MIN(count, (PAGE_SIZE - op.gpa % PAGE_SIZE) / in->size);
	count = MIN(count, (mask - offset) / in->size); /* no wrap of the address within */
	if (count < 2 || (!flat && c->ops->linear(c, ins ? INSN_ES : (enum insn_seg)in->seg, offset,
						  (unsigned)count * in->size, access, &linear)))
		return 0;
	count = c->ops->port_string(c, (u16)c->regs[EMULATE_RDX], in->size, ins, op.gpa, (u32)count);
	advance(c, in, reg, count * in->size);
	return count;
}

/* Whether CMPS or SCAS ends the repetition. */
static bool comparison_ends(const struct emulate_ctx *c, const struct insn *in)
{
	if (in->op != INSN_CMPS && in->op != INSN_SCAS)
		return false;
	return !(c->rflags & RFLAGS_ZF) == (in->rep == INSN_REPE);
}

enum emulate_result emulate_string(struct emulate_ctx *c, const struct insn *in)
{
	/* With TF the processor takes a trap after each iteration. */
	unsigned limit = c->rflags & RFLAGS_TF ? 1 : EMULATE_MAX_ITERATIONS;
	struct string_pages pages = {c->page, c->page};
	u64 mask = alu_mask(in->addr_size), rflags = c->rflags;
	bool many = c->ops->port_string && (in->op == INSN_INS || in->op == INSN_OUTS) &&
		    !(c->rflags & (RFLAGS_DF | RFLAGS_TF));

	if (in->rep == INSN_REP_NONE)
		return step(c, in, &pages) ? emulate_faulted(c) : emulate_finish(c, in);
	for (unsigned i = 0; i < limit; i++) {
		u64 count = c->regs[EMULATE_RCX] & mask, done = 1;
		if (!count)
			return emulate_finish(c, in);
		if (many && (done = step_many(c, in, &pages, count)))
			i += MANY_COST;
		else if (step(c, in, &pages)) {
			c->rflags = rflags; /* of CMPS and SCAS: SDM volume 2, REP */
			return emulate_faulted(c);
		}
		advance(c, in, EMULATE_RCX, -MAX(done, (u64)1));
		if (comparison_ends(c, in))
			return emulate_finish(c, in);
		if (c->interrupted && __atomic_load_n(c->interrupted, __ATOMIC_RELAXED))
			break;
	}
	if (!(c->regs[EMULATE_RCX] & mask))
		return emulate_finish(c, in);
	c->rflags |= RFLAGS_RF;
	return EMULATE_AGAIN;
}
