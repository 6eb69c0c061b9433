/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction emulation: plain moves, and the table that says who executes what. */
#include "emulate.h"

#include "emulate_mem.h"

/* The bulk of what guests do to devices: a MOV through a register to the page that the exit reported. False:
 * nothing was done; emulate_mov() does the same for all cases. */
static inline bool emulate_mov_quick(struct emulate_ctx *c, const struct insn *in)
{
	u64 in_page = (c->regs[in->base] + (u64)in->disp) ^ c->page.linear;
	gpa_t gpa = c->page.gpa + in_page;
	unsigned reg = in->reg;

	if (in_page > PAGE_SIZE - 8 ||
	    c->page.access < (in->form == INSN_REG_MEM ? EMULATE_READ : EMULATE_WRITE))
		return false;
	if (in->form == INSN_REG_MEM) {
		u64 value = c->ops->read(c, gpa, in->size);
		if (in->reg_size == 4)
			c->regs[reg] = (u32)value;
		else
			emulate_set_reg(c, reg, in->reg_size, value);
	} else {
		u64 value = reg < 16 ? c->regs[reg] : (u64)in->imm;
		if (reg - INSN_REG_AH < 4)
			value = c->regs[reg - INSN_REG_AH] >> 8;
		c->ops->write(c, gpa, in->size, in->size == 4 ? (u32)value : value & alu_mask(in->size));
	}
	emulate_finish(c, in);
	return true;
}

/* MOV in all forms, MOVZX, MOVNTI. */
static enum emulate_result emulate_mov(struct emulate_ctx *c, const struct insn *in)
{
	struct emulate_operand op;

	if (in->form == INSN_REG_MEM) {
		if (unlikely(emulate_resolve_insn(c, in, EMULATE_READ, &op)))
			return emulate_faulted(c);
		emulate_set_reg(c, in->reg, in->reg_size, emulate_read(c, &op));
		return emulate_finish(c, in);
	}
	if (unlikely(emulate_resolve_insn(c, in, EMULATE_WRITE, &op)))
		return emulate_faulted(c);
	if (in->form == INSN_MEM_REG)
		emulate_write(c, &op, emulate_reg(c, in->reg, in->size));
	else
		emulate_write(c, &op, (u64)in->imm & alu_mask(in->size));
	return emulate_finish(c, in);
}

/* MOVSX, CMOVcc: the memory operand is read in any case. */
static enum emulate_result emulate_load(struct emulate_ctx *c, const struct insn *in)
{
	struct emulate_operand op;
	u64 value;

	if (emulate_resolve_insn(c, in, EMULATE_READ, &op))
		return emulate_faulted(c);
	value = emulate_read(c, &op);
	if (in->op == INSN_MOVSX)
		value = alu_sign_extend(value, in->size);
	else if (!alu_condition((unsigned)in->imm, c->rflags))
		value =
		    emulate_reg(c, in->reg, in->reg_size); /* 32 bits: clears the upper half all the same */
	emulate_set_reg(c, in->reg, in->reg_size, value);
	return emulate_finish(c, in);
}

static u64 swap_bytes(u64 v, unsigned size)
{
	return __builtin_bswap64(v) >> (64 - 8 * size);
}

static enum emulate_result emulate_movbe(struct emulate_ctx *c, const struct insn *in)
{
	bool load = in->form == INSN_REG_MEM;
	struct emulate_operand op;

	if (emulate_resolve_insn(c, in, load ? EMULATE_READ : EMULATE_WRITE, &op))
		return emulate_faulted(c);
	if (load)
		emulate_set_reg(c, in->reg, in->size, swap_bytes(emulate_read(c, &op), in->size));
	else
		emulate_write(c, &op, swap_bytes(emulate_reg(c, in->reg, in->size), in->size));
	return emulate_finish(c, in);
}

static enum emulate_result emulate_setcc(struct emulate_ctx *c, const struct insn *in)
{
	struct emulate_operand op;

	if (emulate_resolve_insn(c, in, EMULATE_WRITE, &op))
		return emulate_faulted(c);
	emulate_write(c, &op, alu_condition((unsigned)in->imm, c->rflags));
	return emulate_finish(c, in);
}

/* MUL, and IMUL with one operand: rDX:rAX, or AX. */
static enum emulate_result emulate_mul(struct emulate_ctx *c, const struct insn *in)
{
	struct emulate_operand op;
	u64 value, low, high;

	if (emulate_resolve_insn(c, in, EMULATE_READ, &op))
		return emulate_faulted(c);
	value = emulate_read(c, &op);
	if (in->form != INSN_MEM) {
		u64 other = in->form == INSN_REG_MEM_IMM ? (u64)in->imm : c->regs[in->reg];
		low = alu_imul(value, other & alu_mask(in->size), in->size, &c->rflags);
		emulate_set_reg(c, in->reg, in->reg_size, low);
		return emulate_finish(c, in);
	}
	low = alu_mul(emulate_reg(c, EMULATE_RAX, in->size), value, in->size, in->op == INSN_IMUL, &high,
		      &c->rflags);
	if (in->size == 1) {
		emulate_set_reg(c, EMULATE_RAX, 2, high << 8 | low);
	} else {
		emulate_set_reg(c, EMULATE_RAX, in->size, low);
		emulate_set_reg(c, EMULATE_RDX, in->size, high);
	}
	return emulate_finish(c, in);
}

/* CLFLUSH and its kin fault like loads; devices have no cache lines to flush. */
static enum emulate_result emulate_clflush(struct emulate_ctx *c, const struct insn *in)
{
	struct emulate_operand op;

	if (emulate_resolve_insn(c, in, EMULATE_READ, &op))
		return emulate_faulted(c);
	return emulate_finish(c, in);
}

typedef enum emulate_result (*handler)(struct emulate_ctx *c, const struct insn *in);

static const handler handlers[INSN_NR_OPS] = {
    [INSN_ADD] = emulate_alu,         [INSN_OR] = emulate_alu,
    [INSN_ADC] = emulate_alu,         [INSN_SBB] = emulate_alu,
    [INSN_AND] = emulate_alu,         [INSN_SUB] = emulate_alu,
    [INSN_XOR] = emulate_alu,         [INSN_CMP] = emulate_alu,
    [INSN_TEST] = emulate_alu,        [INSN_ROL] = emulate_modify,
    [INSN_ROR] = emulate_modify,      [INSN_RCL] = emulate_modify,
    [INSN_RCR] = emulate_modify,      [INSN_SHL] = emulate_modify,
    [INSN_SHR] = emulate_modify,      [INSN_SAL] = emulate_modify,
    [INSN_SAR] = emulate_modify,      [INSN_NOT] = emulate_modify,
    [INSN_NEG] = emulate_modify,      [INSN_INC] = emulate_modify,
    [INSN_DEC] = emulate_modify,      [INSN_MOV] = emulate_mov,
    [INSN_MOVSX] = emulate_load,      [INSN_CMOV] = emulate_load,
    [INSN_MOVBE] = emulate_movbe,     [INSN_SETCC] = emulate_setcc,
    [INSN_MUL] = emulate_mul,         [INSN_IMUL] = emulate_mul,
    [INSN_XCHG] = emulate_exchange,   [INSN_XADD] = emulate_exchange,
    [INSN_CMPXCHG] = emulate_cmpxchg, [INSN_CMPXCHG8B] = emulate_cmpxchg8b,
    [INSN_BT] = emulate_bit,          [INSN_BTS] = emulate_bit,
    [INSN_BTR] = emulate_bit,         [INSN_BTC] = emulate_bit,
    [INSN_PUSH] = emulate_push,       [INSN_POP] = emulate_pop,
    [INSN_CALL] = emulate_branch,     [INSN_JMP] = emulate_branch,
    [INSN_CLFLUSH] = emulate_clflush, [INSN_MOVS] = emulate_string,
    [INSN_CMPS] = emulate_string,     [INSN_STOS] = emulate_string,
    [INSN_LODS] = emulate_string,     [INSN_SCAS] = emulate_string,
    [INSN_INS] = emulate_string,      [INSN_OUTS] = emulate_string,
};

enum emulate_result emulate_insn(struct emulate_ctx *c, const struct insn *in)
{
	if (likely(in->flags & INSN_F_SIMPLE) && likely(emulate_mov_quick(c, in)))
		return EMULATE_DONE;
	if (in->op >= INSN_NR_OPS || !handlers[in->op])
		return EMULATE_UNSUPPORTED;
	return handlers[in->op](c, in);
}
