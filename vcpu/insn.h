/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction decoder: turns the bytes of an instruction with a memory operand into struct insn.
 * Accepted: MOV (registers, immediates, absolute addresses), MOVZX, MOVSX, MOVSXD, MOVBE, MOVNTI, CMOVcc,
 * SETcc, ADD..CMP, TEST, NOT, NEG, INC, DEC, rotates and shifts, MUL, IMUL, XCHG, CMPXCHG, CMPXCHG8B/16B,
 * XADD, BT/BTS/BTR/BTC, PUSH, POP, near CALL and JMP, CLFLUSH/CLFLUSHOPT/CLWB, string and string I/O.
 * Refused: segment register moves, far transfers, DIV, x87, MMX, SSE, and everything in VEX/EVEX/XOP.
 * SDM volume 2, chapters 2 (instruction format) and appendix A (opcode maps). */
#pragma once

#include "types.h"

#define INSN_MAX_LENGTH 15

/* Operations. The first 16 have the order of the ModRM.reg encodings of groups 1 and 2. */
enum insn_op {
	INSN_ADD,
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_ROL,
	INSN_ROR,
	INSN_RCL,
	INSN_RCR,
	INSN_SHL,
	INSN_SHR,
	INSN_SAL, /* the undocumented second encoding of SHL */
	INSN_SAR,
	INSN_MOV,
	INSN_MOVSX, /* MOVSXD too; MOVZX is a MOV whose register is wider than its memory operand */
	INSN_MOVBE,
	INSN_CMOV,  /* condition in imm */
	INSN_SETCC, /* condition in imm */
	INSN_TEST,
	INSN_NOT,
	INSN_NEG,
	INSN_INC,
	INSN_DEC,
	INSN_MUL,
	INSN_IMUL, /* form INSN_MEM: one operand; else two or three */
	INSN_XCHG,
	INSN_CMPXCHG,
	INSN_CMPXCHG8B, /* size 8 or 16 */
	INSN_XADD,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	INSN_PUSH,
	INSN_POP,
	INSN_CALL,
	INSN_JMP,
	INSN_CLFLUSH,
	INSN_MOVS,
	INSN_CMPS,
	INSN_STOS,
	INSN_LODS,
	INSN_SCAS,
	INSN_INS,
	INSN_OUTS,
	INSN_NR_OPS
};

/* Where the operands are; "A_B" = destination A, source B. */
enum insn_form {
	INSN_STRING,  /* rSI, rDI, rCX and the accumulator are implied */
	INSN_REG_MEM, /* for CMP: first operand register, second memory */
	INSN_MEM_REG,
	INSN_REG_MEM_IMM, /* three operands: reg = mem op imm */
	INSN_MEM,         /* memory and implied registers only */
	INSN_MEM_IMM,
	INSN_MEM_CL /* shift count in CL */
};

enum insn_seg { INSN_ES, INSN_CS, INSN_SS, INSN_DS, INSN_FS, INSN_GS };

enum insn_rep { INSN_REP_NONE, INSN_REPE, INSN_REPNE }; /* F3, F2; only on string operations */

/* Register numbers: 0..15 as encoded. In reg, 16..19 mean AH, CH, DH, BH. */
#define INSN_REG_AH 16
#define INSN_BASE_RIP 16 /* in base: the address of the next instruction */
#define INSN_NONE 32     /* in reg, base and index */

/* struct insn.flags */
#define INSN_F_LOCK 1u    /* LOCK prefix (XCHG is locked without) */
#define INSN_F_FLAT 2u    /* 64-bit mode and not FS or GS: linear address = effective address */
#define INSN_F_RSP 4u     /* reads or writes RSP */
#define INSN_F_FLAGS 8u   /* reads or writes RFLAGS */
#define INSN_F_STACK 16u  /* pushes or pops: needs emulate_ctx.stack_size */
#define INSN_F_SIMPLE 32u /* MOV or MOVZX, flat, address = base register + disp, 64 bits wide */

struct insn {
	u8 length;   /* bytes, 1..15 */
	u8 op;       /* enum insn_op */
	u8 form;     /* enum insn_form */
	u8 size;     /* bytes of the memory operand: 1, 2, 4, 8, 16 */
	u8 reg;      /* register operand or INSN_NONE */
	u8 reg_size; /* its bytes: 1, 2, 4, 8 */
	u8 base;     /* effective address = base + (index << scale) + disp, modulo 2^(8 * addr_size) */
	u8 index;
	u8 scale;     /* 0..3 */
	u8 addr_size; /* 2, 4, 8 */
	u8 seg;       /* enum insn_seg: of the memory operand; of the source for MOVS, CMPS, LODS, OUTS */
	u8 rep;       /* enum insn_rep */
	u32 flags;    /* INSN_F_* */
	i64 disp;
	i64 imm; /* sign-extended; or a condition code */
};

/* Decodes one instruction. mode_bits: 16 or 32 = default size of the code segment, 64 = 64-bit mode. The
 * n bytes may end anywhere; 15 are always enough. Nothing beyond bytes[n - 1] is read.
 * 0; ERR_NOTSUP: nothing that we execute, inject #UD; ERR_AGAIN: goes on behind the n bytes (fetch those
 * from the next page); ERR_TOOLONG: more than 15 bytes, inject #GP(0). *out is defined only after 0. */
int insn_decode(const u8 *bytes, size_t n, unsigned mode_bits, struct insn *out);

/* The string I/O instruction that a VM exit described in its exit qualification and VM-exit
 * instruction information (SDM 28.2.5), without its bytes. op: INSN_INS or INSN_OUTS; size 1, 2, 4. */
void insn_make_string_io(struct insn *out, enum insn_op op, unsigned size, unsigned addr_size,
			 enum insn_seg seg, bool rep, unsigned length, unsigned mode_bits);

/* Decoded instructions of one vCPU, found by their 16 raw bytes: what was decoded once costs a
 * comparison. Needs no invalidation, because the bytes are the key. Zeroed = empty. */
#define INSN_CACHE_BITS 3
struct insn_cache {
	struct insn_cached {
		u64 bytes[2];
		u64 mode_bits; /* 0 = empty */
		struct insn insn;
	} slots[1 << INSN_CACHE_BITS];
	struct insn single; /* result for less than 16 bytes, which are not cached */
};

/* As insn_decode(); *out stays valid until the next call. Quick when n >= 16. */
int insn_cache_decode(struct insn_cache *c, const u8 *bytes, size_t n, unsigned mode_bits,
		      const struct insn **out);
