/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of emulated instructions: results and status flags exactly as the processor's (SDM volume 1,
 * appendix A; flags that it leaves undefined have the value that Intel's processors give, where it is
 * known). Operands are zero-extended; so are results. size: 1, 2, 4, 8. Pure functions. */
#pragma once

#include "insn.h"
#include "x86.h"

static inline u64 alu_mask(unsigned size)
{
	return ~(u64)0 >> (64 - 8 * size);
}

static inline u64 alu_sign_extend(u64 v, unsigned size)
{
	unsigned shift = 64 - 8 * size;
	return (u64)((i64)(v << shift) >> shift);
}

/* INSN_ADD .. INSN_CMP, and INSN_TEST (result = a). INSN_CMP's result is a too. */
u64 alu_binary(enum insn_op op, u64 a, u64 b, unsigned size, u64 *rflags);
/* INSN_NOT, INSN_NEG, INSN_INC, INSN_DEC. */
u64 alu_unary(enum insn_op op, u64 a, unsigned size, u64 *rflags);
/* INSN_ROL .. INSN_SAR; count as in the operand, unmasked. */
u64 alu_shift(enum insn_op op, u64 a, unsigned count, unsigned size, u64 *rflags);
/* INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC; bit < 8 * size. */
u64 alu_bit(enum insn_op op, u64 a, unsigned bit, u64 *rflags);
/* Signed product truncated to size bytes (IMUL with two or three operands). */
u64 alu_imul(u64 a, u64 b, unsigned size, u64 *rflags);
/* Double-width product of MUL (signed: IMUL with one operand): low half returned, high in *high. */
u64 alu_mul(u64 a, u64 b, unsigned size, bool is_signed, u64 *high, u64 *rflags);
/* Condition code 0..15 of Jcc, SETcc, CMOVcc. */
bool alu_condition(unsigned cc, u64 rflags);
