/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of emulated instructions. See emulate_alu.h. */
#include "emulate_alu.h"

#include "lib.h"

#define FLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static bool top_bit(u64 v, unsigned size)
{
	return v >> (8 * size - 1) & 1;
}

/* SF, ZF and PF of a result. */
static u64 flags_of(u64 r, unsigned size)
{
	u64 f = 0;

	if (top_bit(r, size))
		f |= RFLAGS_SF;
	if (!(r & alu_mask(size)))
		f |= RFLAGS_ZF;
	if (!__builtin_parity((unsigned)r & 0xff))
		f |= RFLAGS_PF;
	return f;
}

static void set_flags(u64 *rflags, u64 which, u64 values)
{
	*rflags = (*rflags & ~which) | (values & which);
}

static u64 flags_arith(u64 a, u64 b, u64 r, u64 carries, u64 overflow, unsigned size)
{
	u64 f = flags_of(r, size) | ((a ^ b ^ r) & RFLAGS_AF);

	if (top_bit(carries, size))
		f |= RFLAGS_CF;
	if (top_bit(overflow, size))
		f |= RFLAGS_OF;
	return f;
}

static u64 add(u64 a, u64 b, u64 carry, unsigned size, u64 *rflags)
{
	u64 r = (a + b + carry) & alu_mask(size);

	set_flags(rflags, FLAGS_STATUS,
		  flags_arith(a, b, r, (a & b) | ((a | b) & ~r), ~(a ^ b) & (a ^ r), size));
	return r;
}

static u64 subtract(u64 a, u64 b, u64 borrow, unsigned size, u64 *rflags)
{
	u64 r = (a - b - borrow) & alu_mask(size);

	set_flags(rflags, FLAGS_STATUS,
		  flags_arith(a, b, r, (~a & b) | ((~a | b) & r), (a ^ b) & (a ^ r), size));
	return r;
}

static u64 logic(u64 r, unsigned size, u64 *rflags)
{
	set_flags(rflags, FLAGS_STATUS, flags_of(r, size));
	return r;
}

u64 alu_binary(enum insn_op op, u64 a, u64 b, unsigned size, u64 *rflags)
{
	u64 carry = *rflags & RFLAGS_CF;

	switch (op) {
	case INSN_ADD:
		return add(a, b, 0, size, rflags);
	case INSN_OR:
		return logic(a | b, size, rflags);
	case INSN_ADC:
		return add(a, b, carry, size, rflags);
	case INSN_SBB:
		return subtract(a, b, carry, size, rflags);
	case INSN_AND:
		return logic(a & b, size, rflags);
	case INSN_SUB:
		return subtract(a, b, 0, size, rflags);
	case INSN_XOR:
		return logic(a ^ b, size, rflags);
	case INSN_TEST:
		logic(a & b, size, rflags);
		return a;
	default: /* INSN_CMP */
		subtract(a, b, 0, size, rflags);
		return a;
	}
}

u64 alu_unary(enum insn_op op, u64 a, unsigned size, u64 *rflags)
{
	u64 carry = *rflags & RFLAGS_CF, r;

	switch (op) {
	case INSN_NOT:
		return ~a & alu_mask(size);
	case INSN_NEG:
		return subtract(0, a, 0, size, rflags);
	case INSN_INC:
		r = add(a, 1, 0, size, rflags);
		break;
	default: /* INSN_DEC */
		r = subtract(a, 1, 0, size, rflags);
		break;
	}
	set_flags(rflags, RFLAGS_CF, carry); /* INC and DEC leave it alone */
	return r;
}

/* Rotates through CF one bit at a time: at most 63 steps. */
static u64 rotate_carry(enum insn_op op, u64 a, unsigned count, unsigned size, bool *carry)
{
	u64 mask = alu_mask(size);

	for (; count; count--) {
		u64 in = *carry;
		if (op == INSN_RCL) {
			*carry = top_bit(a, size);
			a = (a << 1 | in) & mask;
		} else {
			*carry = a & 1;
			a = a >> 1 | in << (8 * size - 1);
		}
	}
	return a;
}

static u64 rotate(enum insn_op op, u64 a, unsigned count, unsigned size, u64 *rflags)
{
	unsigned bits = 8 * size, n = count % bits;
	bool carry = *rflags & RFLAGS_CF, overflow;
	u64 r = a;

	if (op == INSN_RCL || op == INSN_RCR) {
		r = rotate_carry(op, a, count % (bits + 1), size, &carry);
	} else {
		if (op == INSN_ROR)
			n = (bits - n) % bits;
		if (n)
			r = (a << n | a >> (bits - n)) & alu_mask(size);
		carry = op == INSN_ROL ? r & 1 : top_bit(r, size);
	}
	/* OF, defined for a count of one: left, CF against the new top bit; right, the two top bits. */
	if (op == INSN_ROL || op == INSN_RCL)
		overflow = top_bit(r, size) ^ carry;
	else
		overflow = top_bit(r ^ r << 1, size);
	set_flags(rflags, RFLAGS_CF | RFLAGS_OF, (carry ? RFLAGS_CF : 0) | (overflow ? RFLAGS_OF : 0));
	return r;
}

u64 alu_shift(enum insn_op op, u64 a, unsigned count, unsigned size, u64 *rflags)
{
	unsigned bits = 8 * size;
	bool carry, overflow;
	u64 r;

	count &= size == 8 ? 63 : 31;
	if (!count)
		return a;
	if (op < INSN_SHL)
		return rotate(op, a, count, size, rflags);
	if (op == INSN_SAR) {
		u64 wide = alu_sign_extend(a, size);
		carry = (u64)((i64)wide >> (count - 1)) & 1;
		r = (u64)((i64)wide >> count) & alu_mask(size);
		overflow = false;
	} else if (op == INSN_SHR) {
		carry = a >> (count - 1) & 1;
		r = a >> count;
		overflow = top_bit(a, size);
	} else {
		r = a << (count - 1); /* at most 32 bits by 31, or 64 by 63 */
		carry = count <= bits && top_bit(r, size);
		r = r << 1 & alu_mask(size);
		overflow = top_bit(r, size) ^ carry;
	}
	set_flags(rflags, FLAGS_STATUS,
		  flags_of(r, size) | (carry ? RFLAGS_CF : 0) | (overflow ? RFLAGS_OF : 0));
	return r;
}

u64 alu_bit(enum insn_op op, u64 a, unsigned bit, u64 *rflags)
{
	u64 mask = BIT(bit);

	set_flags(rflags, RFLAGS_CF, a & mask ? RFLAGS_CF : 0);
	switch (op) {
	case INSN_BTS:
		return a | mask;
	case INSN_BTR:
		return a & ~mask;
	case INSN_BTC:
		return a ^ mask;
	default:
		return a;
	}
}

u64 alu_mul(u64 a, u64 b, unsigned size, bool is_signed, u64 *high, u64 *rflags)
{
	u64 low, mask = alu_mask(size);
	bool wide;

	if (is_signed) {
		__int128 p = (__int128)(i64)alu_sign_extend(a, size) * (i64)alu_sign_extend(b, size);
		low = (u64)p & mask;
		*high = (u64)(p >> (8 * size)) & mask;
		wide = p != (i64)alu_sign_extend(low, size);
	} else {
		unsigned __int128 p = (unsigned __int128)a * b;
		low = (u64)p & mask;
		*high = (u64)(p >> (8 * size)) & mask;
		wide = *high != 0;
	}
	set_flags(rflags, FLAGS_STATUS, flags_of(low, size) | (wide ? RFLAGS_CF | RFLAGS_OF : 0));
	return low;
}

u64 alu_imul(u64 a, u64 b, unsigned size, u64 *rflags)
{
	u64 high;

	return alu_mul(a, b, size, true, &high, rflags);
}

bool alu_condition(unsigned cc, u64 rflags)
{
	bool less = !(rflags & RFLAGS_SF) != !(rflags & RFLAGS_OF), result;

	switch (cc >> 1 & 7) {
	case 0:
		result = rflags & RFLAGS_OF;
		break;
	case 1:
		result = rflags & RFLAGS_CF;
		break;
	case 2:
		result = rflags & RFLAGS_ZF;
		break;
	case 3:
		result = rflags & (RFLAGS_CF | RFLAGS_ZF);
		break;
	case 4:
		result = rflags & RFLAGS_SF;
		break;
	case 5:
		result = rflags & RFLAGS_PF;
		break;
	case 6:
		result = less;
		break;
	default:
		result = less || rflags & RFLAGS_ZF;
		break;
	}
	return result != (cc & 1);
}
