/* SPDX-License-Identifier: Apache-2.0 */
/* PUSH, POP, near CALL and JMP whose operand is in memory that we serve. */
#include "emulate_mem.h"

/* RSP, ESP or SP changed by delta, the other bits as they were (ESP: the upper half is cleared). */
static u64 stack_moved(const struct emulate_ctx *c, u64 delta)
{
	u64 rsp = c->regs[EMULATE_RSP], mask = alu_mask(c->stack_size);

	return c->stack_size == 2 ? (rsp & ~mask) | ((rsp + delta) & mask) : (rsp + delta) & mask;
}

static int resolve_stack(struct emulate_ctx *c, u64 rsp, unsigned size, unsigned access,
			 struct emulate_operand *op)
{
	return emulate_resolve(c, emulate_is_flat(c), INSN_SS, rsp & alu_mask(c->stack_size), size, access,
			       op);
}

enum emulate_result emulate_push(struct emulate_ctx *c, const struct insn *in)
{
	u64 rsp = stack_moved(c, -(u64)in->size);
	struct emulate_operand from, to;

	if (emulate_resolve_insn(c, in, EMULATE_READ, &from) ||
	    resolve_stack(c, rsp, in->size, EMULATE_WRITE, &to))
		return emulate_faulted(c);
	emulate_write(c, &to, emulate_read(c, &from));
	c->regs[EMULATE_RSP] = rsp;
	return emulate_finish(c, in);
}

/* An address with RSP in it is computed after the stack pointer has moved: SDM volume 2, POP. */
enum emulate_result emulate_pop(struct emulate_ctx *c, const struct insn *in)
{
	u64 before = c->regs[EMULATE_RSP];
	struct emulate_operand from, to;

	if (resolve_stack(c, before, in->size, EMULATE_READ, &from))
		return emulate_faulted(c);
	c->regs[EMULATE_RSP] = stack_moved(c, in->size);
	if (emulate_resolve_insn(c, in, EMULATE_WRITE, &to)) {
		c->regs[EMULATE_RSP] = before;
		return emulate_faulted(c);
	}
	emulate_write(c, &to, emulate_read(c, &from));
	return emulate_finish(c, in);
}

/* Near CALL and JMP, indirect. */
enum emulate_result emulate_branch(struct emulate_ctx *c, const struct insn *in)
{
	u64 rsp = c->regs[EMULATE_RSP], target, linear;
	struct emulate_operand from, to;

	if (emulate_resolve_insn(c, in, EMULATE_READ, &from))
		return emulate_faulted(c);
	if (in->op == INSN_CALL) {
		rsp = stack_moved(c, -(u64)in->size);
		if (resolve_stack(c, rsp, in->size, EMULATE_WRITE, &to))
			return emulate_faulted(c);
	}
	target = emulate_read(c, &from);
	if (c->mode_bits == 64) {
		if (!is_canonical(target)) {
			emulate_raise(c, VEC_GP);
			return emulate_faulted(c);
		}
	} else if (c->ops->linear(c, INSN_CS, target, 1, EMULATE_EXEC, &linear)) {
		return emulate_faulted(c);
	}
	if (in->op == INSN_CALL) {
		emulate_write(c, &to, (c->rip + in->length) & alu_mask(in->size));
		c->regs[EMULATE_RSP] = rsp;
	}
	emulate_finish(c, in);
	c->rip = target;
	return EMULATE_DONE;
}
