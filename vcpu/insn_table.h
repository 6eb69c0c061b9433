/* SPDX-License-Identifier: Apache-2.0 */
/* Opcode maps of the instruction decoder (private to insn.c). */
#pragma once

#include "insn.h"

/* Shapes of a table entry; those from ENC_MODRM on have a ModRM byte. */
enum insn_enc {
	ENC_NONE, /* refused */
	ENC_PREFIX,
	ENC_REX,    /* prefix in 64-bit mode, refused elsewhere */
	ENC_ESCAPE, /* 0F */
	ENC_STRING,
	ENC_MOFFS,
	ENC_MODRM,
	ENC_GROUP = ENC_MODRM, /* op is the row of insn_groups[], ModRM.reg the column */
	ENC_REG_MEM,           /* from here on the order of enum insn_form */
	ENC_MEM_REG,
	ENC_REG_MEM_IMM,
	ENC_MEM, /* ModRM.reg is no operand from here on */
	ENC_MEM_IMM,
	ENC_MEM_CL
};

/* struct insn_desc.flags of an opcode. */
#define D_BYTE 0x0001u       /* 8-bit operands */
#define D_IMM8 0x0002u       /* sign-extended byte immediate */
#define D_IMMZ 0x0004u       /* immediate of 2 or 4 bytes */
#define D_LOCK 0x0010u       /* LOCK is legal */
#define D_FLAGS INSN_F_FLAGS /* 0x0008, the same bit in struct insn */
#define D_STACK 0x0020u      /* 64-bit operands are the default in 64-bit mode; uses the stack */
#define D_MEM8 0x0040u       /* memory operand is a byte whatever the register */
#define D_MEM16 0x0080u      /* ... two bytes */
#define D_MEM32 0x0100u      /* ... at most four bytes (MOVSXD, string I/O) */
#define D_ONLY64 0x0200u     /* 64-bit mode only */
#define D_NOT64 0x0400u      /* #UD in 64-bit mode */
#define D_NEAR 0x0800u       /* near branch: 66 is ignored in 64-bit mode */
#define D_ONE 0x1000u        /* the immediate is 1, not encoded */
#define D_CC 0x2000u         /* condition code in the low 4 bits of the opcode */
#define D_PAIR 0x4000u       /* memory operand is two registers wide */
#define D_NOPFX 0x8000u      /* F2, F3 (and 66, except for CLFLUSH) make it another instruction */
#define D_RARE                                                                                               \
	(D_STACK | D_MEM8 | D_MEM16 | D_MEM32 | D_ONLY64 | D_NOT64 | D_NEAR | D_ONE | D_CC | D_PAIR | D_NOPFX)

/* struct insn_desc.flags of a prefix, and the decoder's set of prefixes seen. */
#define P_OPSIZE 1u
#define P_ADDRSIZE 2u
#define P_LOCK 4u
#define P_SEG 8u /* op holds enum insn_seg */
#define P_REPE 16u
#define P_REPNE 32u

struct insn_desc {
	u8 op;
	u8 enc;
	u16 flags;
};

enum insn_group {
	GROUP_ALU_8, /* 80, 82 */
	GROUP_ALU_Z, /* 81 */
	GROUP_ALU_S, /* 83 */
	GROUP_SHIFT_8,
	GROUP_SHIFT,
	GROUP_SHIFT1_8,
	GROUP_SHIFT1,
	GROUP_SHIFTC_8,
	GROUP_SHIFTC,
	GROUP_MOV_8,
	GROUP_MOV,
	GROUP_POP,
	GROUP_F6,
	GROUP_F7,
	GROUP_FE,
	GROUP_FF,
	GROUP_BT, /* 0F BA */
	GROUP_0FC7,
	GROUP_0FAE,
	GROUP_0FAE_66,
	NR_GROUPS
};

extern const struct insn_desc insn_map_1[256];  /* one-byte opcodes and prefixes */
extern const struct insn_desc insn_map_0f[256]; /* 0F xx */
extern const struct insn_desc insn_movbe[2];    /* 0F 38 F0, F1 */
extern const struct insn_desc insn_groups[NR_GROUPS][8];

/* ModRM in 64-bit mode without SIB; disp_size INSN_NONE: SIB, RIP-relative, register operand. */
struct insn_modrm {
	u8 disp_size;
	u8 reg;
	u8 base;
	u8 seg;
};
extern const struct insn_modrm insn_quick[256];
