/* SPDX-License-Identifier: Apache-2.0 */
/* Opcode maps of the instruction decoder: one row per opcode that has a memory operand and that we
 * execute; what is absent is refused. SDM volume 2, appendix A. */
#include "insn_table.h"

/* clang-format off */

/* op r/m8,r8; r/m,r; r8,r/m8; r,r/m; the accumulator forms have no memory operand. */
#define ALU(base, op, lock)                                                                            \
	[base] = {op, ENC_MEM_REG, D_BYTE | D_FLAGS | (lock)},                                         \
	[base + 1] = {op, ENC_MEM_REG, D_FLAGS | (lock)},                                              \
	[base + 2] = {op, ENC_REG_MEM, D_BYTE | D_FLAGS},                                              \
	[base + 3] = {op, ENC_REG_MEM, D_FLAGS}

#define REX4(n) [n] = {0, ENC_REX, 0}, [n + 1] = {0, ENC_REX, 0}, [n + 2] = {0, ENC_REX, 0}, [n + 3] = {0, ENC_REX, 0}

const struct insn_desc insn_map_1[256] = {
	ALU(0x00, INSN_ADD, D_LOCK),
	ALU(0x08, INSN_OR, D_LOCK),
	ALU(0x10, INSN_ADC, D_LOCK),
	ALU(0x18, INSN_SBB, D_LOCK),
	ALU(0x20, INSN_AND, D_LOCK),
	ALU(0x28, INSN_SUB, D_LOCK),
	ALU(0x30, INSN_XOR, D_LOCK),
	ALU(0x38, INSN_CMP, 0),
	[0x0f] = {0, ENC_ESCAPE, 0},
	[0x26] = {INSN_ES, ENC_PREFIX, P_SEG},
	[0x2e] = {INSN_CS, ENC_PREFIX, P_SEG},
	[0x36] = {INSN_SS, ENC_PREFIX, P_SEG},
	[0x3e] = {INSN_DS, ENC_PREFIX, P_SEG},
	REX4(0x40), REX4(0x44), REX4(0x48), REX4(0x4c),
	[0x63] = {INSN_MOVSX, ENC_REG_MEM, D_MEM32 | D_ONLY64},
	[0x64] = {INSN_FS, ENC_PREFIX, P_SEG},
	[0x65] = {INSN_GS, ENC_PREFIX, P_SEG},
	[0x66] = {0, ENC_PREFIX, P_OPSIZE},
	[0x67] = {0, ENC_PREFIX, P_ADDRSIZE},
	[0x69] = {INSN_IMUL, ENC_REG_MEM_IMM, D_IMMZ | D_FLAGS},
	[0x6b] = {INSN_IMUL, ENC_REG_MEM_IMM, D_IMM8 | D_FLAGS},
	[0x6c] = {INSN_INS, ENC_STRING, D_BYTE},
	[0x6d] = {INSN_INS, ENC_STRING, D_MEM32},
	[0x6e] = {INSN_OUTS, ENC_STRING, D_BYTE},
	[0x6f] = {INSN_OUTS, ENC_STRING, D_MEM32},
	[0x80] = {GROUP_ALU_8, ENC_GROUP, 0},
	[0x81] = {GROUP_ALU_Z, ENC_GROUP, 0},
	[0x82] = {GROUP_ALU_8, ENC_GROUP, D_NOT64},
	[0x83] = {GROUP_ALU_S, ENC_GROUP, 0},
	[0x84] = {INSN_TEST, ENC_MEM_REG, D_BYTE | D_FLAGS},
	[0x85] = {INSN_TEST, ENC_MEM_REG, D_FLAGS},
	[0x86] = {INSN_XCHG, ENC_MEM_REG, D_BYTE | D_LOCK},
	[0x87] = {INSN_XCHG, ENC_MEM_REG, D_LOCK},
	[0x88] = {INSN_MOV, ENC_MEM_REG, D_BYTE},
	[0x89] = {INSN_MOV, ENC_MEM_REG, 0},
	[0x8a] = {INSN_MOV, ENC_REG_MEM, D_BYTE},
	[0x8b] = {INSN_MOV, ENC_REG_MEM, 0},
	[0x8f] = {GROUP_POP, ENC_GROUP, 0},
	[0xa0] = {INSN_REG_MEM, ENC_MOFFS, D_BYTE},
	[0xa1] = {INSN_REG_MEM, ENC_MOFFS, 0},
	[0xa2] = {INSN_MEM_REG, ENC_MOFFS, D_BYTE},
	[0xa3] = {INSN_MEM_REG, ENC_MOFFS, 0},
	[0xa4] = {INSN_MOVS, ENC_STRING, D_BYTE},
	[0xa5] = {INSN_MOVS, ENC_STRING, 0},
	[0xa6] = {INSN_CMPS, ENC_STRING, D_BYTE},
	[0xa7] = {INSN_CMPS, ENC_STRING, 0},
	[0xaa] = {INSN_STOS, ENC_STRING, D_BYTE},
	[0xab] = {INSN_STOS, ENC_STRING, 0},
	[0xac] = {INSN_LODS, ENC_STRING, D_BYTE},
	[0xad] = {INSN_LODS, ENC_STRING, 0},
	[0xae] = {INSN_SCAS, ENC_STRING, D_BYTE},
	[0xaf] = {INSN_SCAS, ENC_STRING, 0},
	[0xc0] = {GROUP_SHIFT_8, ENC_GROUP, 0},
	[0xc1] = {GROUP_SHIFT, ENC_GROUP, 0},
	[0xc6] = {GROUP_MOV_8, ENC_GROUP, 0},
	[0xc7] = {GROUP_MOV, ENC_GROUP, 0},
	[0xd0] = {GROUP_SHIFT1_8, ENC_GROUP, 0},
	[0xd1] = {GROUP_SHIFT1, ENC_GROUP, 0},
	[0xd2] = {GROUP_SHIFTC_8, ENC_GROUP, 0},
	[0xd3] = {GROUP_SHIFTC, ENC_GROUP, 0},
	[0xf0] = {0, ENC_PREFIX, P_LOCK},
	[0xf2] = {0, ENC_PREFIX, P_REPNE},
	[0xf3] = {0, ENC_PREFIX, P_REPE},
	[0xf6] = {GROUP_F6, ENC_GROUP, 0},
	[0xf7] = {GROUP_F7, ENC_GROUP, 0},
	[0xfe] = {GROUP_FE, ENC_GROUP, 0},
	[0xff] = {GROUP_FF, ENC_GROUP, 0},
};

#define CC4(n, op, enc, flags)                                                                         \
	[n] = {op, enc, flags}, [n + 1] = {op, enc, flags}, [n + 2] = {op, enc, flags}, [n + 3] = {op, enc, flags}
#define CC16(n, op, enc, flags)                                                                        \
	CC4(n, op, enc, flags), CC4(n + 4, op, enc, flags), CC4(n + 8, op, enc, flags), CC4(n + 12, op, enc, flags)

const struct insn_desc insn_map_0f[256] = {
	[0x38] = {0, ENC_ESCAPE, 0},
	CC16(0x40, INSN_CMOV, ENC_REG_MEM, D_CC | D_FLAGS),
	CC16(0x90, INSN_SETCC, ENC_MEM, D_CC | D_BYTE | D_FLAGS),
	[0xa3] = {INSN_BT, ENC_MEM_REG, D_FLAGS},
	[0xab] = {INSN_BTS, ENC_MEM_REG, D_FLAGS | D_LOCK},
	[0xae] = {GROUP_0FAE, ENC_GROUP, 0},
	[0xaf] = {INSN_IMUL, ENC_REG_MEM, D_FLAGS},
	[0xb0] = {INSN_CMPXCHG, ENC_MEM_REG, D_BYTE | D_FLAGS | D_LOCK},
	[0xb1] = {INSN_CMPXCHG, ENC_MEM_REG, D_FLAGS | D_LOCK},
	[0xb3] = {INSN_BTR, ENC_MEM_REG, D_FLAGS | D_LOCK},
	[0xb6] = {INSN_MOV, ENC_REG_MEM, D_MEM8},
	[0xb7] = {INSN_MOV, ENC_REG_MEM, D_MEM16},
	[0xba] = {GROUP_BT, ENC_GROUP, 0},
	[0xbb] = {INSN_BTC, ENC_MEM_REG, D_FLAGS | D_LOCK},
	[0xbe] = {INSN_MOVSX, ENC_REG_MEM, D_MEM8},
	[0xbf] = {INSN_MOVSX, ENC_REG_MEM, D_MEM16},
	[0xc0] = {INSN_XADD, ENC_MEM_REG, D_BYTE | D_FLAGS | D_LOCK},
	[0xc1] = {INSN_XADD, ENC_MEM_REG, D_FLAGS | D_LOCK},
	[0xc3] = {INSN_MOV, ENC_MEM_REG, D_NOPFX}, /* MOVNTI: the hint means nothing here */
	[0xc7] = {GROUP_0FC7, ENC_GROUP, 0},
};

const struct insn_desc insn_movbe[2] = {
	{INSN_MOVBE, ENC_REG_MEM, 0},
	{INSN_MOVBE, ENC_MEM_REG, 0},
};

#define EIGHT(op, enc, flags)                                                                          \
	{                                                                                              \
		{(op), enc, flags}, {(op) + 1, enc, flags}, {(op) + 2, enc, flags},                    \
		{(op) + 3, enc, flags}, {(op) + 4, enc, flags}, {(op) + 5, enc, flags},                \
		{(op) + 6, enc, flags}, {(op) + 7, enc, flags},                                        \
	}
/* CMP, the eighth, may not be locked. */
#define ALU_IMM(flags)                                                                                 \
	{                                                                                              \
		{INSN_ADD, ENC_MEM_IMM, D_FLAGS | D_LOCK | (flags)},                                   \
		{INSN_OR, ENC_MEM_IMM, D_FLAGS | D_LOCK | (flags)},                                    \
		{INSN_ADC, ENC_MEM_IMM, D_FLAGS | D_LOCK | (flags)},                                   \
		{INSN_SBB, ENC_MEM_IMM, D_FLAGS | D_LOCK | (flags)},                                   \
		{INSN_AND, ENC_MEM_IMM, D_FLAGS | D_LOCK | (flags)},                                   \
		{INSN_SUB, ENC_MEM_IMM, D_FLAGS | D_LOCK | (flags)},                                   \
		{INSN_XOR, ENC_MEM_IMM, D_FLAGS | D_LOCK | (flags)},                                   \
		{INSN_CMP, ENC_MEM_IMM, D_FLAGS | (flags)},                                            \
	}
/* /1 is an undocumented TEST on every processor since the 8086. */
#define UNARY(size, imm)                                                                               \
	{                                                                                              \
		{INSN_TEST, ENC_MEM_IMM, D_FLAGS | (size) | (imm)},                                    \
		{INSN_TEST, ENC_MEM_IMM, D_FLAGS | (size) | (imm)},                                    \
		{INSN_NOT, ENC_MEM, D_LOCK | (size)},                                                  \
		{INSN_NEG, ENC_MEM, D_FLAGS | D_LOCK | (size)},                                        \
		{INSN_MUL, ENC_MEM, D_FLAGS | (size)},                                                 \
		{INSN_IMUL, ENC_MEM, D_FLAGS | (size)},                                                \
	}

const struct insn_desc insn_groups[NR_GROUPS][8] = {
	[GROUP_ALU_8] = ALU_IMM(D_BYTE | D_IMM8),
	[GROUP_ALU_Z] = ALU_IMM(D_IMMZ),
	[GROUP_ALU_S] = ALU_IMM(D_IMM8),
	[GROUP_SHIFT_8] = EIGHT(INSN_ROL, ENC_MEM_IMM, D_FLAGS | D_BYTE | D_IMM8),
	[GROUP_SHIFT] = EIGHT(INSN_ROL, ENC_MEM_IMM, D_FLAGS | D_IMM8),
	[GROUP_SHIFT1_8] = EIGHT(INSN_ROL, ENC_MEM_IMM, D_FLAGS | D_BYTE | D_ONE),
	[GROUP_SHIFT1] = EIGHT(INSN_ROL, ENC_MEM_IMM, D_FLAGS | D_ONE),
	[GROUP_SHIFTC_8] = EIGHT(INSN_ROL, ENC_MEM_CL, D_FLAGS | D_BYTE),
	[GROUP_SHIFTC] = EIGHT(INSN_ROL, ENC_MEM_CL, D_FLAGS),
	[GROUP_MOV_8] = {{INSN_MOV, ENC_MEM_IMM, D_BYTE | D_IMM8}},
	[GROUP_MOV] = {{INSN_MOV, ENC_MEM_IMM, D_IMMZ}},
	[GROUP_POP] = {{INSN_POP, ENC_MEM, D_STACK}},
	[GROUP_F6] = UNARY(D_BYTE, D_IMM8),
	[GROUP_F7] = UNARY(0, D_IMMZ),
	[GROUP_FE] = {
		{INSN_INC, ENC_MEM, D_FLAGS | D_LOCK | D_BYTE},
		{INSN_DEC, ENC_MEM, D_FLAGS | D_LOCK | D_BYTE},
	},
	[GROUP_FF] = {
		{INSN_INC, ENC_MEM, D_FLAGS | D_LOCK},
		{INSN_DEC, ENC_MEM, D_FLAGS | D_LOCK},
		[2] = {INSN_CALL, ENC_MEM, D_STACK | D_NEAR},
		[4] = {INSN_JMP, ENC_MEM, D_NEAR},
		[6] = {INSN_PUSH, ENC_MEM, D_STACK},
	},
	[GROUP_BT] = {
		[4] = {INSN_BT, ENC_MEM_IMM, D_FLAGS | D_IMM8},
		[5] = {INSN_BTS, ENC_MEM_IMM, D_FLAGS | D_IMM8 | D_LOCK},
		[6] = {INSN_BTR, ENC_MEM_IMM, D_FLAGS | D_IMM8 | D_LOCK},
		[7] = {INSN_BTC, ENC_MEM_IMM, D_FLAGS | D_IMM8 | D_LOCK},
	},
	[GROUP_0FC7] = {[1] = {INSN_CMPXCHG8B, ENC_MEM, D_FLAGS | D_LOCK | D_PAIR}},
	[GROUP_0FAE] = {[7] = {INSN_CLFLUSH, ENC_MEM, D_BYTE | D_NOPFX}},
	[GROUP_0FAE_66] = {
		[6] = {INSN_CLFLUSH, ENC_MEM, D_BYTE | D_NOPFX}, /* CLWB */
		[7] = {INSN_CLFLUSH, ENC_MEM, D_BYTE | D_NOPFX}, /* CLFLUSHOPT */
	},
};

#define NO {INSN_NONE, 0, 0, 0}
#define ROW(n, reg, rm5)                                                                               \
	{n, reg, 0, INSN_DS}, {n, reg, 1, INSN_DS}, {n, reg, 2, INSN_DS}, {n, reg, 3, INSN_DS},        \
	NO, rm5, {n, reg, 6, INSN_DS}, {n, reg, 7, INSN_DS}
#define BP(n, reg) {n, reg, 5, INSN_SS}
#define NO8 NO, NO, NO, NO, NO, NO, NO, NO

const struct insn_modrm insn_quick[256] = {
	ROW(0, 0, NO), ROW(0, 1, NO), ROW(0, 2, NO), ROW(0, 3, NO),
	ROW(0, 4, NO), ROW(0, 5, NO), ROW(0, 6, NO), ROW(0, 7, NO),
	ROW(1, 0, BP(1, 0)), ROW(1, 1, BP(1, 1)), ROW(1, 2, BP(1, 2)), ROW(1, 3, BP(1, 3)),
	ROW(1, 4, BP(1, 4)), ROW(1, 5, BP(1, 5)), ROW(1, 6, BP(1, 6)), ROW(1, 7, BP(1, 7)),
	ROW(4, 0, BP(4, 0)), ROW(4, 1, BP(4, 1)), ROW(4, 2, BP(4, 2)), ROW(4, 3, BP(4, 3)),
	ROW(4, 4, BP(4, 4)), ROW(4, 5, BP(4, 5)), ROW(4, 6, BP(4, 6)), ROW(4, 7, BP(4, 7)),
	NO8, NO8, NO8, NO8, NO8, NO8, NO8, NO8,
};
/* clang-format on */
