/* SPDX-License-Identifier: Apache-2.0 */
/* The instruction decoder against Zydis on a million random instructions: what we accept, Zydis decodes to
 * the same length, operation and operands; what it decodes to an operation of ours, we accept. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <Zydis/Zydis.h>

#include "insn_gen.h"
#include "lib.h"
#include "vcpu/insn.h"

#define ROUNDS 1000000

static ZydisDecoder decoders[3];
static const unsigned modes[3] = {16, 32, 64};

struct both {
	u8 bytes[16];
	unsigned mode;
	int err;
	struct insn in;
	bool valid; /* Zydis decoded it */
	ZydisDecodedInstruction z;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecodedOperand *mem, *reg, *imm; /* explicit ones */
};

static void complain(const struct both *b, const char *what)
{
	char text[60];

	for (unsigned i = 0; i < 15; i++)
		snprintf(text + 3 * i, 4, "%02x ", b->bytes[i]);
	fail_msg(
	    "%u bits, %s: %s; ours: result %d length %u op %u form %u size %u reg %u/%u base %u index %u "
	    "disp %lx imm %lx; Zydis: %s %s length %u",
	    b->mode, text, what, b->err, b->in.length, b->in.op, b->in.form, b->in.size, b->in.reg,
	    b->in.reg_size, b->in.base, b->in.index, (unsigned long)b->in.disp, (unsigned long)b->in.imm,
	    b->valid ? "accepts" : "refuses", b->valid ? ZydisMnemonicGetString(b->z.mnemonic) : "",
	    b->z.length);
}

#define SAME(b, cond)                                                                                        \
	do {                                                                                                 \
		if (!(cond))                                                                                 \
			complain(b, #cond);                                                                  \
	} while (0)

/* ---- operations ---- */
#define M(name) ZYDIS_MNEMONIC_##name
static const u16 by_op[INSN_NR_OPS][3] = {
    [INSN_ADD] = {M(ADD)},
    [INSN_OR] = {M(OR)},
    [INSN_ADC] = {M(ADC)},
    [INSN_SBB] = {M(SBB)},
    [INSN_AND] = {M(AND)},
    [INSN_SUB] = {M(SUB)},
    [INSN_XOR] = {M(XOR)},
    [INSN_CMP] = {M(CMP)},
    [INSN_ROL] = {M(ROL)},
    [INSN_ROR] = {M(ROR)},
    [INSN_RCL] = {M(RCL)},
    [INSN_RCR] = {M(RCR)},
    [INSN_SHL] = {M(SHL)},
    [INSN_SHR] = {M(SHR)},
    [INSN_SAL] = {M(SHL)},
    [INSN_SAR] = {M(SAR)},
    [INSN_MOV] = {M(MOV), M(MOVZX), M(MOVNTI)},
    [INSN_MOVSX] = {M(MOVSX), M(MOVSXD)},
    [INSN_MOVBE] = {M(MOVBE)},
    [INSN_TEST] = {M(TEST)},
    [INSN_NOT] = {M(NOT)},
    [INSN_NEG] = {M(NEG)},
    [INSN_INC] = {M(INC)},
    [INSN_DEC] = {M(DEC)},
    [INSN_MUL] = {M(MUL)},
    [INSN_IMUL] = {M(IMUL)},
    [INSN_XCHG] = {M(XCHG)},
    [INSN_CMPXCHG] = {M(CMPXCHG)},
    [INSN_CMPXCHG8B] = {M(CMPXCHG8B), M(CMPXCHG16B)},
    [INSN_XADD] = {M(XADD)},
    [INSN_BT] = {M(BT)},
    [INSN_BTS] = {M(BTS)},
    [INSN_BTR] = {M(BTR)},
    [INSN_BTC] = {M(BTC)},
    [INSN_PUSH] = {M(PUSH)},
    [INSN_POP] = {M(POP)},
    [INSN_CALL] = {M(CALL)},
    [INSN_JMP] = {M(JMP)},
    [INSN_CLFLUSH] = {M(CLFLUSH), M(CLFLUSHOPT), M(CLWB)},
};
static const u16 cmov[16] = {M(CMOVO),  M(CMOVNO),  M(CMOVB),  M(CMOVNB), M(CMOVZ), M(CMOVNZ),
			     M(CMOVBE), M(CMOVNBE), M(CMOVS),  M(CMOVNS), M(CMOVP), M(CMOVNP),
			     M(CMOVL),  M(CMOVNL),  M(CMOVLE), M(CMOVNLE)};
static const u16 setcc[16] = {M(SETO), M(SETNO), M(SETB), M(SETNB), M(SETZ), M(SETNZ), M(SETBE), M(SETNBE),
			      M(SETS), M(SETNS), M(SETP), M(SETNP), M(SETL), M(SETNL), M(SETLE), M(SETNLE)};
/* By operand size 1, 2, 4, 8. */
static const u16 strings[INSN_NR_OPS][4] = {
    [INSN_MOVS] = {M(MOVSB), M(MOVSW), M(MOVSD), M(MOVSQ)},
    [INSN_CMPS] = {M(CMPSB), M(CMPSW), M(CMPSD), M(CMPSQ)},
    [INSN_STOS] = {M(STOSB), M(STOSW), M(STOSD), M(STOSQ)},
    [INSN_LODS] = {M(LODSB), M(LODSW), M(LODSD), M(LODSQ)},
    [INSN_SCAS] = {M(SCASB), M(SCASW), M(SCASD), M(SCASQ)},
    [INSN_INS] = {M(INSB), M(INSW), M(INSD)},
    [INSN_OUTS] = {M(OUTSB), M(OUTSW), M(OUTSD)},
};

static bool in_list(u16 m, const u16 *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == m)
			return true;
	return false;
}

static bool is_string(const struct both *b)
{
	if (b->z.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		return false; /* MOVSD and CMPSD are also names of SSE instructions */
	for (unsigned i = INSN_MOVS; i < INSN_NR_OPS; i++)
		if (in_list((u16)b->z.mnemonic, strings[i], 4))
			return true;
	return false;
}

/* Zydis's view of what must be accepted: an operation of ours with an explicit memory operand. */
static bool is_ours(const struct both *b)
{
	u16 m = (u16)b->z.mnemonic;

	if (is_string(b))
		return true;
	if (b->z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !b->mem)
		return false;
	if (in_list(m, cmov, 16) || in_list(m, setcc, 16))
		return true;
	if (m == M(MOV) && b->reg && ZydisRegisterGetClass(b->reg->reg.value) == ZYDIS_REGCLASS_SEGMENT)
		return false;
	if ((m == M(CALL) || m == M(JMP)) && b->z.meta.branch_type != ZYDIS_BRANCH_TYPE_NEAR)
		return false;
	for (unsigned i = 0; i < INSN_NR_OPS; i++)
		if (by_op[i][0] && in_list(m, by_op[i], 3))
			return m != ZYDIS_MNEMONIC_INVALID;
	return false;
}

/* ---- operands ---- */
static ZydisRegister z_reg(unsigned reg, unsigned size)
{
	switch (size) {
	case 1: /* AL..BL, AH..BH, SPL..DIL, R8B.. */
		if (reg >= INSN_REG_AH)
			return (ZydisRegister)(ZYDIS_REGISTER_AH + (int)reg - INSN_REG_AH);
		return (ZydisRegister)((reg < 4 ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_SPL - 4) + (int)reg);
	case 2:
		return (ZydisRegister)(ZYDIS_REGISTER_AX + (int)reg);
	case 4:
		return (ZydisRegister)(ZYDIS_REGISTER_EAX + (int)reg);
	default:
		return (ZydisRegister)(ZYDIS_REGISTER_RAX + (int)reg);
	}
}

static ZydisRegister z_segment(unsigned seg)
{
	return (ZydisRegister)(ZYDIS_REGISTER_ES + (int)seg);
}

static ZydisRegister z_address_reg(const struct both *b, unsigned reg)
{
	if (reg == INSN_NONE)
		return ZYDIS_REGISTER_NONE;
	if (reg == INSN_BASE_RIP)
		return b->in.addr_size == 8 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP;
	return z_reg(reg, b->in.addr_size);
}

/* Zydis 4.0 takes SIB without base for [R13D], where REX.B is set and addresses have 32 bits. No base is
 * right (SDM volume 2, table 2-3, note on REX.B; binutils, LLVM and test_emulate_native agree). */
static bool is_zydis_r13d(const struct both *b)
{
	return b->in.addr_size == 4 && b->z.raw.modrm.mod == 0 && b->z.raw.modrm.rm == 4 &&
	       b->z.raw.sib.base == 5 && b->z.raw.rex.B && b->mem->mem.base == ZYDIS_REGISTER_R13D;
}

static void compare_memory(const struct both *b)
{
	const ZydisDecodedOperandMem *m = &b->mem->mem;
	u64 mask = ~(u64)0 >> (64 - 8 * b->in.addr_size);

	if (is_zydis_r13d(b)) {
		SAME(b, b->in.base == INSN_NONE && b->in.length == b->z.length);
		return;
	}
	SAME(b, m->base == z_address_reg(b, b->in.base));
	SAME(b, m->index == z_address_reg(b, b->in.index));
	if (b->in.index != INSN_NONE && b->in.addr_size > 2)
		SAME(b, m->scale == 1u << b->in.scale);
	SAME(b, ((u64)m->disp.value & mask) == ((u64)b->in.disp & mask));
	SAME(b, m->segment == z_segment(b->in.seg));
	/* CLFLUSH's operand is a cache line to Zydis; 66 MOVSXD reads 16 bits (SDM) or 32 (AMD, Zydis). */
	if (b->in.op == INSN_MOVSX && b->in.reg_size == 2 && b->mem->size == 32)
		SAME(b, b->z.mnemonic == ZYDIS_MNEMONIC_MOVSXD && b->in.size == 2);
	else if (b->in.op != INSN_CLFLUSH)
		SAME(b, b->mem->size == 8u * b->in.size);
}

static void compare_operands(const struct both *b)
{
	const struct insn *in = &b->in;
	bool with_reg = in->form == INSN_REG_MEM || in->form == INSN_MEM_REG || in->form == INSN_REG_MEM_IMM;

	SAME(b, b->mem != NULL);
	compare_memory(b);
	SAME(b, with_reg == (in->reg != INSN_NONE));
	if (with_reg) {
		SAME(b, b->reg && b->reg->reg.value == z_reg(in->reg, in->reg_size));
		SAME(b, (b->mem < b->reg) == (in->form == INSN_MEM_REG));
	} else if (in->form == INSN_MEM_CL) {
		SAME(b, b->reg && b->reg->reg.value == ZYDIS_REGISTER_CL);
	} else {
		SAME(b, !b->reg);
	}
	if (in->form != INSN_MEM_IMM && in->form != INSN_REG_MEM_IMM) {
		SAME(b, !b->imm);
	} else if (b->z.raw.imm[0].size) {
		unsigned unused = 64 - b->z.raw.imm[0].size;
		SAME(b, b->imm && (b->imm->imm.value.u ^ (u64)in->imm) << unused == 0);
		SAME(b, (i64)((u64)in->imm << unused) >> unused == in->imm);
		SAME(b, !b->imm->imm.is_signed || b->imm->imm.value.s == in->imm);
	} else {
		SAME(b, in->imm == 1); /* D0 and D1 */
	}
}

static void compare_string(const struct both *b)
{
	static const u8 log2[9] = {[1] = 0, [2] = 1, [4] = 2, [8] = 3};
	const ZydisDecodedOperand *last_mem = NULL;
	u64 reps = ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
	bool rep = b->z.attributes & reps;

	SAME(b, strings[b->in.op][log2[b->in.size]] == b->z.mnemonic);
	SAME(b, rep == (b->in.rep != INSN_REP_NONE));
	if (b->in.op == INSN_CMPS || b->in.op == INSN_SCAS)
		SAME(b, !(b->z.attributes & ZYDIS_ATTRIB_HAS_REPNE) == (b->in.rep != INSN_REPNE));
	for (unsigned i = 0; i < b->z.operand_count; i++) {
		const ZydisDecodedOperand *op = &b->op[i];
		if (op->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		last_mem = op;
		SAME(b, op->size == 8u * b->in.size);
		if (op->mem.base == z_reg(6, b->in.addr_size)) /* rSI */
			SAME(b, op->mem.segment == z_segment(b->in.seg));
		else
			SAME(b, op->mem.base == z_reg(7, b->in.addr_size) &&
				    op->mem.segment == ZYDIS_REGISTER_ES);
	}
	SAME(b, last_mem != NULL);
}

static void compare(const struct both *b)
{
	const struct insn *in = &b->in;
	bool lock = b->z.attributes & ZYDIS_ATTRIB_HAS_LOCK;

	SAME(b, b->valid);
	SAME(b, in->length == b->z.length);
	SAME(b, lock == !!(in->flags & INSN_F_LOCK));
	SAME(b, in->addr_size * 8 == b->z.address_width);
	if (in->form == INSN_STRING) {
		compare_string(b);
		return;
	}
	if (in->op == INSN_CMOV)
		SAME(b, cmov[in->imm] == b->z.mnemonic);
	else if (in->op == INSN_SETCC)
		SAME(b, setcc[in->imm] == b->z.mnemonic);
	else
		SAME(b, b->z.mnemonic && in_list((u16)b->z.mnemonic, by_op[in->op], 3));
	compare_operands(b);
}

/* Any shorter piece is ERR_AGAIN; exactly the length is enough, and the long way yields the same. */
static void check_lengths(const struct both *b)
{
	struct insn again;

	for (unsigned n = 0; n < b->in.length; n++) {
		u8 *exact = malloc(n ? n : 1); /* so that ASan sees a read beyond */
		memcpy(exact, b->bytes, n);
		SAME(b, insn_decode(exact, n, b->mode, &again) == ERR_AGAIN);
		free(exact);
	}
	memset(&again, 0x5a, sizeof(again));
	SAME(b, insn_decode(b->bytes, b->in.length, b->mode, &again) == 0);
	SAME(b, memcmp(&again, &b->in, sizeof(again)) == 0);
}

static void zydis_decode(struct both *b, const ZydisDecoder *d)
{
	b->mem = b->reg = b->imm = NULL;
	b->valid = ZYAN_SUCCESS(ZydisDecoderDecodeFull(d, b->bytes, 15, &b->z, b->op));
	if (!b->valid)
		return;
	for (unsigned i = 0; i < b->z.operand_count; i++) {
		const ZydisDecodedOperand *op = &b->op[i];
		if (op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			continue;
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY)
			b->mem = op;
		else if (op->type == ZYDIS_OPERAND_TYPE_REGISTER)
			b->reg = op;
		else if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
			b->imm = op;
	}
}

static void test_million(void **state)
{
	unsigned accepted = 0, ours = 0;
	static struct both b;

	(void)state;
	print_message("SEED=%#lx\n", (unsigned long)gen_seed());
	for (unsigned i = 0; i < 3; i++)
		ZydisDecoderInit(&decoders[i],
				 modes[i] == 64   ? ZYDIS_MACHINE_MODE_LONG_64
				 : modes[i] == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
						  : ZYDIS_MACHINE_MODE_LEGACY_16,
				 modes[i] == 64   ? ZYDIS_STACK_WIDTH_64
				 : modes[i] == 32 ? ZYDIS_STACK_WIDTH_32
						  : ZYDIS_STACK_WIDTH_16);
	for (unsigned i = 0; i < 3; i++) /* else 3E before a jump is a hint and no segment */
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned mode = gen_below(2) ? 2 : gen_below(3);
		gen_bytes(b.bytes);
		b.mode = modes[mode];
		memset(&b.in, 0xa5, sizeof(b.in));
		b.err = insn_decode(b.bytes, 15, b.mode, &b.in);
		zydis_decode(&b, &decoders[mode]);
		if (!b.err) {
			accepted++;
			compare(&b);
			if (i % 16 == 0)
				check_lengths(&b);
		} else {
			SAME(&b, b.err == ERR_NOTSUP || b.err == ERR_TOOLONG);
			SAME(&b, !b.valid || (b.err == ERR_NOTSUP && !is_ours(&b)));
		}
		ours += b.valid && is_ours(&b);
	}
	print_message("%u instructions: %u accepted, %u of Zydis's\n", ROUNDS, accepted, ours);
	assert_true(accepted > ROUNDS / 4);
	assert_int_equal(accepted, ours);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_million),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
