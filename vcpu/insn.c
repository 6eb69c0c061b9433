/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction decoder: prefixes, opcode maps, ModRM and SIB addressing, immediates. See insn.h. */
#include "insn.h"

#include "insn_table.h"
#include "lib.h"

/* Longest rest of an accepted instruction behind its first opcode byte: two more opcode bytes, ModRM,
 * SIB, 4 bytes displacement, 4 bytes immediate. Absolute addresses (8 bytes) are shorter. */
#define REST_MAX 12

/* Indexes: mode (16, 32, 64 bits), then REX.W and the operand-size prefix, or the address-size one. */
static const u8 operand_sizes[3][4] = {{2, 4, 2, 4}, {4, 2, 4, 2}, {4, 2, 8, 8}};
static const u8 address_sizes[3][2] = {{2, 4}, {4, 2}, {8, 4}};

#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u

struct decoder {
	const u8 *p;
	u32 prefixes;
	u32 rex;
	unsigned mode; /* 0, 1, 2 for 16, 32, 64 bits */
};

static inline i64 load_s8(const u8 *p)
{
	return (i8)*p;
}

static inline i64 load_s16(const u8 *p)
{
	i16 v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline i64 load_s32(const u8 *p)
{
	i32 v;
	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

/* Volume 2, table 2-1. */
static const u8 *decode_address16(struct insn *out, const u8 *p, unsigned mod, unsigned rm)
{
	static const u8 base[8] = {3, 3, 5, 5, 6, 7, 5, 3}; /* BX BX BP BP SI DI BP BX */
	static const u8 index[8] = {6, 7, 6, 7, INSN_NONE, INSN_NONE, INSN_NONE, INSN_NONE};

	out->index = index[rm];
	out->scale = 0;
	if (mod == 0 && rm == 6) {
		out->base = INSN_NONE;
		out->seg = INSN_DS;
		out->disp = load_s16(p);
		return p + 2;
	}
	out->base = base[rm];
	out->seg = base[rm] == 5 ? INSN_SS : INSN_DS;
	out->disp = 0;
	if (mod == 1)
		out->disp = load_s8(p++);
	else if (mod == 2) {
		out->disp = load_s16(p);
		p += 2;
	}
	return p;
}

/* Volume 2, tables 2-2 and 2-3; 64-bit mode: 2.2.1.6 RIP-relative addressing. p is behind ModRM. */
static inline const u8 *decode_address(const struct decoder *d, struct insn *out, const u8 *p, unsigned mod,
				       unsigned rm)
{
	unsigned base = rm | (d->rex & REX_B) << 3, index = INSN_NONE, scale = 0;

	if (rm == 4) {
		unsigned sib = *p++;
		base = (sib & 7) | (d->rex & REX_B) << 3;
		rm = sib & 7;
		index = (sib >> 3 & 7) | (d->rex & REX_X) << 2;
		scale = sib >> 6;
		if (index == 4) {
			index = INSN_NONE;
			scale = 0;
		}
		if (mod == 0 && rm == 5)
			base = INSN_NONE;
	} else if (mod == 0 && rm == 5) {
		base = d->mode == 2 ? INSN_BASE_RIP : INSN_NONE;
	}
	out->base = (u8)base;
	out->index = (u8)index;
	out->scale = (u8)scale;
	out->seg = base == 4 || base == 5 ? INSN_SS : INSN_DS;
	if (mod == 1) {
		out->disp = load_s8(p);
		return p + 1;
	}
	if (mod == 2 || base == INSN_NONE || base == INSN_BASE_RIP) {
		out->disp = load_s32(p);
		return p + 4;
	}
	out->disp = 0;
	return p;
}

/* What few opcodes need. False: not a valid combination. */
static bool decode_rare(u32 prefixes, unsigned mode, struct insn_desc desc, u8 opcode, struct insn *out)
{
	bool mode64 = mode == 2;

	if ((desc.flags & D_ONLY64 && !mode64) || (desc.flags & D_NOT64 && mode64))
		return false;
	if (desc.flags & D_NOPFX) {
		u32 bad = P_REPE | P_REPNE | (desc.op == INSN_CLFLUSH ? 0 : P_OPSIZE);
		if (prefixes & bad)
			return false;
		if (out->size == 2)
			out->size = out->reg_size = 4; /* MOVNTI in 16-bit code */
	}
	if (desc.flags & D_STACK)
		out->flags |= INSN_F_STACK | INSN_F_RSP;
	if (mode64 && (desc.flags & D_NEAR || (desc.flags & D_STACK && out->size == 4)))
		out->size = out->reg_size = 8;
	if (desc.flags & D_MEM8)
		out->size = 1;
	if (desc.flags & D_MEM16)
		out->size = 2;
	if (desc.flags & D_MEM32 && out->size > 4)
		out->size = 4;
	if (desc.flags & D_PAIR) {
		out->reg_size = out->size == 8 ? 8 : 4;
		out->size = (u8)(2 * out->reg_size);
	}
	if (desc.flags & D_CC)
		out->imm = opcode & 0xf;
	if (desc.flags & D_ONE)
		out->imm = 1;
	return true;
}

/* Strings and MOV with an absolute address: no ModRM. Returns the end, NULL when refused. */
static const u8 *decode_plain(u32 prefixes, unsigned mode, struct insn_desc desc, const u8 *p,
			      struct insn *out)
{
	out->reg = 0;
	out->base = out->index = INSN_NONE;
	out->scale = 0;
	out->disp = out->imm = 0;
	out->seg = INSN_DS;
	out->op = desc.op;
	out->form = INSN_STRING;
	if (desc.enc == ENC_STRING) {
		out->flags |= INSN_F_FLAGS; /* DF at least */
		if (prefixes & P_REPE)
			out->rep = INSN_REPE;
		else if (prefixes & P_REPNE)
			out->rep = INSN_REPNE;
		if (desc.flags & D_RARE && !decode_rare(prefixes, mode, desc, 0, out))
			return NULL;
		return p;
	}
	if (desc.enc != ENC_MOFFS)
		return NULL;
	out->op = INSN_MOV;
	out->form = desc.op;
	if (out->addr_size == 8) {
		__builtin_memcpy(&out->disp, p, 8);
		return p + 8;
	}
	if (out->addr_size == 4)
		out->disp = load_s32(p);
	else
		out->disp = load_s16(p);
	return p + out->addr_size;
}

/* The row of the opcode at d->p[-1], whose one-byte row is desc: 0F maps and groups. */
static inline struct insn_desc decode_opcode(struct decoder *d, struct insn_desc desc, u8 *opcode)
{
	const struct insn_desc none = {0, ENC_NONE, 0};

	if (desc.enc == ENC_ESCAPE) {
		*opcode = *d->p++;
		desc = insn_map_0f[*opcode];
		if (desc.enc == ENC_ESCAPE) { /* 0F 38 */
			*opcode = *d->p++;
			if (d->prefixes & (P_REPE | P_REPNE) || (*opcode & 0xfe) != 0xf0)
				return none;
			desc = insn_movbe[*opcode & 1];
		}
	}
	if (desc.enc == ENC_GROUP) {
		unsigned row = desc.op;
		u16 inherited = desc.flags;
		if (row == GROUP_0FAE && d->prefixes & P_OPSIZE)
			row = GROUP_0FAE_66;
		desc = insn_groups[row][*d->p >> 3 & 7];
		desc.flags |= inherited;
		if (desc.enc == ENC_NONE)
			d->p++; /* ModRM was looked at: it counts for ERR_AGAIN */
	}
	return desc;
}

/* From the opcode at d->p on, all its bytes readable; desc is the one-byte row of it. Leaves d->p at
 * the end, or behind what was looked at. False: refused. */
static inline bool decode_body(struct decoder *d, struct insn_desc desc, struct insn *out)
{
	u8 opcode = *d->p++;
	unsigned modrm, mod, reg;

	desc = decode_opcode(d, desc, &opcode);
	out->addr_size = address_sizes[d->mode][d->prefixes >> 1 & 1];
	out->size = operand_sizes[d->mode][(d->rex & REX_W) >> 2 | (d->prefixes & P_OPSIZE)];
	if (desc.flags & D_BYTE)
		out->size = 1;
	out->reg_size = out->size;
	out->rep = INSN_REP_NONE;
	out->flags = 0;
	if (desc.enc < ENC_MODRM) {
		const u8 *end = decode_plain(d->prefixes, d->mode, desc, d->p, out);
		if (!end || d->prefixes & P_LOCK)
			return false;
		d->p = end;
		return true;
	}
	modrm = *d->p++;
	mod = modrm >> 6;
	if (mod == 3 || desc.enc == ENC_NONE)
		return false;
	if (unlikely(d->prefixes & P_LOCK)) {
		if (!(desc.flags & D_LOCK))
			return false;
		out->flags = INSN_F_LOCK;
	}
	out->op = desc.op;
	out->form = (u8)(desc.enc - ENC_REG_MEM + INSN_REG_MEM);
	reg = INSN_NONE;
	if (desc.enc < ENC_MEM) {
		reg = (modrm >> 3 & 7) | (d->rex & REX_R) << 1;
		if (reg - 4 < 4 && out->size == 1 && !d->rex)
			reg += INSN_REG_AH - 4;
		if (reg == 4)
			out->flags |= INSN_F_RSP;
	}
	out->reg = (u8)reg;
	if (out->addr_size == 2)
		d->p = decode_address16(out, d->p, mod, modrm & 7);
	else
		d->p = decode_address(d, out, d->p, mod, modrm & 7);
	if (out->base == 4)
		out->flags |= INSN_F_RSP;
	if (desc.flags & D_FLAGS)
		out->flags |= INSN_F_FLAGS;
	out->imm = 0;
	if (desc.flags & D_IMM8) {
		out->imm = load_s8(d->p++);
	} else if (desc.flags & D_IMMZ) {
		out->imm = out->size == 2 ? load_s16(d->p) : load_s32(d->p);
		d->p += out->size == 2 ? 2 : 4;
	}
	return !(desc.flags & D_RARE) || decode_rare(d->prefixes, d->mode, desc, opcode, out);
}

static int decode(const u8 *bytes, size_t readable, size_t n, unsigned mode_bits, struct insn *out);

/* Close to the end of the bytes: decodes a copy with zeros behind. */
static __attribute__((noinline)) int decode_padded(const u8 *bytes, size_t n, unsigned mode_bits,
						   struct insn *out)
{
	u8 copy[INSN_MAX_LENGTH + 1 + REST_MAX] = {0};

	for (size_t i = 0; i < n; i++)
		copy[i] = bytes[i];
	return decode(copy, sizeof(copy), n, mode_bits, out);
}

/* bytes[0..readable) may be read; the instruction must end within bytes[0..n), n <= 15. */
static int decode(const u8 *bytes, size_t readable, size_t n, unsigned mode_bits, struct insn *out)
{
	struct decoder d = {.p = bytes, .mode = mode_bits >> 5};
	const u8 *end = bytes + n;
	unsigned seg = INSN_NONE;
	struct insn_desc desc;
	bool accepted;

	for (;; d.p++) {
		if (d.p == end)
			return n < INSN_MAX_LENGTH ? ERR_AGAIN : ERR_TOOLONG;
		desc = insn_map_1[*d.p];
		if (desc.enc > ENC_REX || desc.enc == ENC_NONE)
			break;
		if (desc.enc == ENC_REX) {
			if (d.mode != 2)
				return ERR_NOTSUP;
			d.rex = *d.p;
			continue;
		}
		d.rex = 0; /* a REX that is not next to the opcode is ignored: 2.2.1 */
		if (desc.flags & (P_REPE | P_REPNE))
			d.prefixes &= ~(P_REPE | P_REPNE); /* the last one counts */
		d.prefixes |= desc.flags;
		if (desc.flags & P_SEG && (d.mode != 2 || desc.op >= INSN_FS))
			seg = desc.op;
	}
	if (unlikely((size_t)(d.p - bytes) + 1 + REST_MAX > readable))
		return decode_padded(bytes, n, mode_bits, out);
	accepted = decode_body(&d, desc, out);
	if (d.p > end)
		return n < INSN_MAX_LENGTH ? ERR_AGAIN : ERR_TOOLONG;
	if (!accepted)
		return ERR_NOTSUP;
	out->length = (u8)(d.p - bytes);
	if (unlikely(seg != INSN_NONE) &&
	    !(out->op == INSN_STOS || out->op == INSN_SCAS || out->op == INSN_INS))
		out->seg = (u8)seg;
	if (d.mode == 2 && out->seg < INSN_FS) {
		out->flags |= INSN_F_FLAT;
		if (out->op == INSN_MOV && out->addr_size == 8 && out->base < INSN_BASE_RIP &&
		    out->index == INSN_NONE)
			out->flags |= INSN_F_SIMPLE;
	}
	return 0;
}

/* The common case, "[REX] opcode ModRM [disp8 or disp32]" in 64-bit mode with a register and a memory
 * operand, no SIB, not RIP-relative; p[0..14] are readable. False: take the long way, which yields the
 * same. */
static inline __attribute__((always_inline)) bool decode_quick(const u8 *p, struct insn *out)
{
	const struct insn_modrm *m;
	const struct insn_desc *desc;
	unsigned rex = 0;

	out->length = 2;
	if ((p[0] & 0xf0) == 0x40) {
		rex = *p++;
		out->length = 3;
	}
	desc = &insn_map_1[p[0]];
	m = &insn_quick[p[1]];
	if ((unsigned)desc->enc - ENC_REG_MEM > ENC_MEM_REG - ENC_REG_MEM ||
	    desc->flags & ~(D_BYTE | D_FLAGS | D_LOCK) || m->disp_size == INSN_NONE)
		return false;
	out->flags = INSN_F_FLAT | (desc->flags & D_FLAGS);
	if (desc->op == INSN_MOV)
		out->flags |= INSN_F_SIMPLE;
	out->op = desc->op;
	out->form = (u8)(desc->enc - ENC_REG_MEM + INSN_REG_MEM);
	out->reg = m->reg;
	out->base = m->base;
	out->seg = m->seg;
	out->size = out->reg_size = 4;
	if (rex) {
		out->reg |= (rex & REX_R) << 1;
		out->base |= (rex & REX_B) << 3;
		out->seg = out->base == 5 ? INSN_SS : INSN_DS;
		if (rex & REX_W)
			out->size = out->reg_size = 8;
	}
	if (desc->flags & D_BYTE)
		out->size = out->reg_size = 1;
	if (m->reg >= 4) {
		if (!rex && desc->flags & D_BYTE)
			out->reg = (u8)(m->reg - 4 + INSN_REG_AH);
		else if (out->reg == 4)
			out->flags |= INSN_F_RSP;
	}
	out->index = INSN_NONE;
	out->scale = 0;
	out->addr_size = 8;
	out->rep = INSN_REP_NONE;
	out->imm = 0;
	out->disp = 0;
	if (m->disp_size == 1) {
		out->disp = load_s8(p + 2);
		out->length += 1;
	} else if (m->disp_size == 4) {
		out->disp = load_s32(p + 2);
		out->length += 4;
	}
	return true;
}

static __attribute__((noinline)) int decode_slow(const u8 *bytes, size_t n, unsigned mode_bits,
						 struct insn *out)
{
	return decode(bytes, n, MIN(n, (size_t)INSN_MAX_LENGTH), mode_bits, out);
}

int insn_decode(const u8 *bytes, size_t n, unsigned mode_bits, struct insn *out)
{
	if (likely(mode_bits == 64 && n >= INSN_MAX_LENGTH) && likely(decode_quick(bytes, out)))
		return 0;
	return decode_slow(bytes, n, mode_bits, out);
}

void insn_make_string_io(struct insn *out, enum insn_op op, unsigned size, unsigned addr_size,
			 enum insn_seg seg, bool rep, unsigned length, unsigned mode_bits)
{
	*out = (struct insn){
	    .length = (u8)length,
	    .op = (u8)op,
	    .form = INSN_STRING,
	    .size = (u8)size,
	    .reg_size = (u8)size,
	    .base = INSN_NONE,
	    .index = INSN_NONE,
	    .addr_size = (u8)addr_size,
	    .seg = op == INSN_INS ? INSN_ES : (u8)seg,
	    .rep = rep ? INSN_REPE : INSN_REP_NONE,
	    .flags = INSN_F_FLAGS | (mode_bits == 64 && seg < INSN_FS ? INSN_F_FLAT : 0),
	};
}

/* Not in the cache: decodes into the slot, or into c->single where there is no full key. */
/* A load that the compiler may neither repeat nor split; unaligned. */
static inline u64 read_once_u64(const u8 *p)
{
	struct unaligned {
		u64 value;
	} __attribute__((packed, may_alias));

	return ((const volatile struct unaligned *)p)->value;
}

static __attribute__((noinline)) int cache_miss(struct insn_cached *slot, u64 low, u64 high,
						unsigned mode_bits, const struct insn **out)
{
	const u64 bytes[2] = {low, high};
	int err;

	slot->mode_bits = 0;
	err = insn_decode((const u8 *)bytes, sizeof(bytes), mode_bits, &slot->insn);
	if (err)
		return err;
	*out = &slot->insn;
	__builtin_memcpy(slot->bytes, bytes, sizeof(slot->bytes));
	slot->mode_bits = mode_bits;
	return 0;
}

/* The bytes may be guest memory that another vCPU is writing: they are read once, here, so that what is
 * decoded is what it is filed under. */
int insn_cache_decode(struct insn_cache *c, const u8 *bytes, size_t n, unsigned mode_bits,
		      const struct insn **out)
{
	struct insn_cached *slot;
	u64 low, high;

	if (unlikely(n < sizeof(slot->bytes))) {
		*out = &c->single;
		return insn_decode(bytes, n, mode_bits, &c->single);
	}
	low = read_once_u64(bytes);
	high = read_once_u64(bytes + 8);
	/* Multiplicative hashing: the first 8 bytes nearly always tell two instructions apart. */
	slot = &c->slots[(low * 0x9e3779b97f4a7c15u) >> (64 - INSN_CACHE_BITS)];
	if (unlikely(slot->bytes[0] != low || slot->bytes[1] != high || slot->mode_bits != mode_bits))
		return cache_miss(slot, low, high, mode_bits, out);
	*out = &slot->insn;
	return 0;
}
