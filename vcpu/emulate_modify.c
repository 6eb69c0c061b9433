/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions that read memory, compute and write back (or only compare): arithmetic, shifts, bit
 * tests, exchanges; with LOCK atomically where the target is RAM. */
#include "emulate_mem.h"

/* Attempts of a locked operation before the guest gets its turn again. */
#define LOCK_ATTEMPTS 64

/* What memory becomes; flags in *rflags. Called again when a locked write lost its race. */
typedef u64 (*compute_fn)(const struct emulate_ctx *c, const struct insn *in, u64 old, u64 *rflags);

/* Writes what was computed from *old. ERR_AGAIN: no longer there, *old is what was found. */
static int replace(struct emulate_ctx *c, const struct emulate_operand *op, bool locked, u64 *old, u64 value)
{
	if (locked && c->ops->cmpxchg && op->first == op->size) {
		int err = c->ops->cmpxchg(c, op->gpa, op->size, old, &value);
		if (err != ERR_NOTSUP)
			return err;
	}
	emulate_write(c, op, value);
	return 0;
}

/* *old is what memory held, rflags those that go with the result; registers are the caller's. */
static enum emulate_result read_modify_write(struct emulate_ctx *c, const struct insn *in,
					     const struct emulate_operand *op, bool locked,
					     compute_fn compute, u64 *old)
{
	*old = emulate_read(c, op);
	for (unsigned i = 0; i < LOCK_ATTEMPTS; i++) {
		u64 rflags = c->rflags;
		u64 value = compute(c, in, *old, &rflags);
		if (!replace(c, op, locked, old, value)) {
			c->rflags = rflags;
			return EMULATE_DONE;
		}
	}
	return EMULATE_AGAIN;
}

static u64 second_operand(const struct emulate_ctx *c, const struct insn *in)
{
	if (in->form == INSN_MEM_IMM)
		return (u64)in->imm & alu_mask(in->size);
	return emulate_reg(c, in->reg, in->size);
}

static u64 compute_alu(const struct emulate_ctx *c, const struct insn *in, u64 old, u64 *rflags)
{
	return alu_binary((enum insn_op)in->op, old, second_operand(c, in), in->size, rflags);
}

static u64 compute_unary(const struct emulate_ctx *c, const struct insn *in, u64 old, u64 *rflags)
{
	(void)c;
	return alu_unary((enum insn_op)in->op, old, in->size, rflags);
}

static u64 compute_shift(const struct emulate_ctx *c, const struct insn *in, u64 old, u64 *rflags)
{
	u64 count = in->form == INSN_MEM_CL ? c->regs[EMULATE_RCX] : (u64)in->imm;

	return alu_shift((enum insn_op)in->op, old, (u8)count, in->size, rflags);
}

static u64 compute_exchange(const struct emulate_ctx *c, const struct insn *in, u64 old, u64 *rflags)
{
	u64 reg = emulate_reg(c, in->reg, in->size);

	return in->op == INSN_XADD ? alu_binary(INSN_ADD, old, reg, in->size, rflags) : reg;
}

/* Compares with the accumulator; memory gets its old value back when they differ. */
static u64 compute_cmpxchg(const struct emulate_ctx *c, const struct insn *in, u64 old, u64 *rflags)
{
	alu_binary(INSN_CMP, emulate_reg(c, EMULATE_RAX, in->size), old, in->size, rflags);
	return *rflags & RFLAGS_ZF ? emulate_reg(c, in->reg, in->size) : old;
}

static unsigned bit_of(const struct emulate_ctx *c, const struct insn *in)
{
	u64 bit = in->form == INSN_MEM_IMM ? (u64)in->imm : c->regs[in->reg];

	return (unsigned)bit & (8u * in->size - 1);
}

static u64 compute_bit(const struct emulate_ctx *c, const struct insn *in, u64 old, u64 *rflags)
{
	return alu_bit((enum insn_op)in->op, old, bit_of(c, in), rflags);
}

enum emulate_result emulate_alu(struct emulate_ctx *c, const struct insn *in)
{
	bool compare = in->op == INSN_CMP || in->op == INSN_TEST;
	struct emulate_operand op;
	enum emulate_result result;
	u64 value;

	if (in->form == INSN_REG_MEM || compare) {
		if (emulate_resolve_insn(c, in, EMULATE_READ, &op))
			return emulate_faulted(c);
		value = emulate_read(c, &op);
		if (in->form == INSN_REG_MEM) {
			u64 a = emulate_reg(c, in->reg, in->size);
			u64 r = alu_binary((enum insn_op)in->op, a, value, in->size, &c->rflags);
			if (!compare)
				emulate_set_reg(c, in->reg, in->size, r);
		} else {
			compute_alu(c, in, value, &c->rflags);
		}
		return emulate_finish(c, in);
	}
	if (emulate_resolve_insn(c, in, EMULATE_WRITE, &op))
		return emulate_faulted(c);
	result = read_modify_write(c, in, &op, in->flags & INSN_F_LOCK, compute_alu, &value);
	return result == EMULATE_DONE ? emulate_finish(c, in) : result;
}

/* Rotates, shifts, NOT, NEG, INC, DEC. */
enum emulate_result emulate_modify(struct emulate_ctx *c, const struct insn *in)
{
	compute_fn compute = in->op <= INSN_SAR ? compute_shift : compute_unary;
	struct emulate_operand op;
	enum emulate_result result;
	u64 old;

	if (emulate_resolve_insn(c, in, EMULATE_WRITE, &op))
		return emulate_faulted(c);
	result = read_modify_write(c, in, &op, in->flags & INSN_F_LOCK, compute, &old);
	return result == EMULATE_DONE ? emulate_finish(c, in) : result;
}

/* BT, BTS, BTR, BTC. A bit number in a register is signed and reaches beyond the operand: SDM volume 2,
 * 3.1.1.9, "Bit(BitBase, BitOffset)". */
enum emulate_result emulate_bit(struct emulate_ctx *c, const struct insn *in)
{
	unsigned access = in->op == INSN_BT ? EMULATE_READ : EMULATE_WRITE;
	u64 offset = emulate_address(c, in), old;
	struct emulate_operand op;
	enum emulate_result result;

	if (in->form == INSN_MEM_REG) {
		i64 bit = (i64)alu_sign_extend(c->regs[in->reg], in->size);
		i64 bytes = (bit >> 3) & -(i64)in->size; /* whole operands, rounded down */
		offset = (offset + (u64)bytes) & alu_mask(in->addr_size);
	}
	if (emulate_resolve(c, in->flags & INSN_F_FLAT, (enum insn_seg)in->seg, offset, in->size, access,
			    &op))
		return emulate_faulted(c);
	if (in->op == INSN_BT) {
		compute_bit(c, in, emulate_read(c, &op), &c->rflags);
		return emulate_finish(c, in);
	}
	result = read_modify_write(c, in, &op, in->flags & INSN_F_LOCK, compute_bit, &old);
	return result == EMULATE_DONE ? emulate_finish(c, in) : result;
}

/* XCHG, which always locks, and XADD: the register gets what was in memory. */
enum emulate_result emulate_exchange(struct emulate_ctx *c, const struct insn *in)
{
	bool locked = in->flags & INSN_F_LOCK || in->op == INSN_XCHG;
	struct emulate_operand op;
	enum emulate_result result;
	u64 old;

	if (emulate_resolve_insn(c, in, EMULATE_WRITE, &op))
		return emulate_faulted(c);
	result = read_modify_write(c, in, &op, locked, compute_exchange, &old);
	if (result != EMULATE_DONE)
		return result;
	emulate_set_reg(c, in->reg, in->size, old);
	return emulate_finish(c, in);
}

enum emulate_result emulate_cmpxchg(struct emulate_ctx *c, const struct insn *in)
{
	struct emulate_operand op;
	enum emulate_result result;
	u64 old;

	if (emulate_resolve_insn(c, in, EMULATE_WRITE, &op))
		return emulate_faulted(c);
	result = read_modify_write(c, in, &op, in->flags & INSN_F_LOCK, compute_cmpxchg, &old);
	if (result != EMULATE_DONE)
		return result;
	if (!(c->rflags & RFLAGS_ZF))
		emulate_set_reg(c, EMULATE_RAX, in->size, old);
	return emulate_finish(c, in);
}

/* The two words of a CMPXCHG8B or 16B operand, as operands of their own. */
static void halves(const struct emulate_operand *op, struct emulate_operand half[2])
{
	unsigned size = op->size / 2;

	for (unsigned i = 0; i < 2; i++) {
		unsigned start = i * size;
		half[i] = (struct emulate_operand){
		    .gpa = op->gpa + start, .gpa2 = op->gpa2, .first = size, .size = size};
		if (op->first <= start)
			half[i].gpa = op->gpa2 + (start - op->first);
		else if (op->first < start + size)
			half[i].first = op->first - start;
	}
}

static int exchange_pair(struct emulate_ctx *c, const struct emulate_operand *op,
			 const struct emulate_operand half[2], bool locked, u64 old[2], const u64 value[2])
{
	unsigned bits = 4 * op->size;

	if (locked && c->ops->cmpxchg && op->first == op->size) {
		/* One word of 8 bytes or two. */
		u64 expected[2] = {op->size == 8 ? old[0] | old[1] << 32 : old[0], old[1]};
		u64 desired[2] = {op->size == 8 ? value[0] | value[1] << 32 : value[0], value[1]};
		int err = c->ops->cmpxchg(c, op->gpa, op->size, expected, desired);
		if (err == ERR_AGAIN) {
			old[0] = expected[0] & alu_mask(bits / 8);
			old[1] = op->size == 8 ? expected[0] >> 32 : expected[1];
		}
		if (err != ERR_NOTSUP)
			return err;
	}
	emulate_write(c, &half[0], value[0]);
	emulate_write(c, &half[1], value[1]);
	return 0;
}

enum emulate_result emulate_cmpxchg8b(struct emulate_ctx *c, const struct insn *in)
{
	unsigned size = in->size / 2;
	struct emulate_operand op, half[2];
	u64 old[2];

	if (emulate_resolve_insn(c, in, EMULATE_WRITE, &op))
		return emulate_faulted(c);
	if (in->size == 16 && op.gpa % 16) {
		emulate_raise(c, VEC_GP);
		return emulate_faulted(c);
	}
	halves(&op, half);
	old[0] = emulate_read(c, &half[0]);
	old[1] = emulate_read(c, &half[1]);
	for (unsigned i = 0; i < LOCK_ATTEMPTS; i++) {
		bool equal = old[0] == emulate_reg(c, EMULATE_RAX, size) &&
			     old[1] == emulate_reg(c, EMULATE_RDX, size);
		u64 value[2] = {old[0], old[1]};
		if (equal) {
			value[0] = emulate_reg(c, EMULATE_RBX, size);
			value[1] = emulate_reg(c, EMULATE_RCX, size);
		}
		if (exchange_pair(c, &op, half, in->flags & INSN_F_LOCK, old, value))
			continue;
		c->rflags = equal ? c->rflags | RFLAGS_ZF : c->rflags & ~RFLAGS_ZF;
		if (!equal) {
			emulate_set_reg(c, EMULATE_RAX, size, old[0]);
			emulate_set_reg(c, EMULATE_RDX, size, old[1]);
		}
		return emulate_finish(c, in);
	}
	return EMULATE_AGAIN;
}
