/* SPDX-License-Identifier: Apache-2.0 */
/* The instruction decoder: forms that must be accepted and those that must be refused, prefixes in legal and
 * other orders, truncated and overlong instructions, the cache. M66. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "lib.h"
#include "vcpu/insn.h"

struct row {
	unsigned mode;
	const char *hex;
	u8 op, form, size, reg, base;
	i64 disp;
	i64 imm;
};

static unsigned parse(const char *hex, u8 *bytes)
{
	unsigned n = 0;
	char *end;

	while (*hex) {
		bytes[n++] = (u8)strtoul(hex, &end, 16);
		hex = end + (*end == ' ');
	}
	return n;
}

#define NO INSN_NONE
#define RIP INSN_BASE_RIP

static const struct row accepted[] = {
    /* What Linux's readl, writel and relatives compile to. */
    {64, "8b 07", INSN_MOV, INSN_REG_MEM, 4, 0, 7, 0, 0},
    {64, "8b 47 10", INSN_MOV, INSN_REG_MEM, 4, 0, 7, 0x10, 0},
    {64, "41 8b 84 24 00 01 00 00", INSN_MOV, INSN_REG_MEM, 4, 0, 12, 0x100, 0},
    {64, "89 3e", INSN_MOV, INSN_MEM_REG, 4, 7, 6, 0, 0},
    {64, "88 07", INSN_MOV, INSN_MEM_REG, 1, 0, 7, 0, 0},
    {64, "8a 07", INSN_MOV, INSN_REG_MEM, 1, 0, 7, 0, 0},
    {64, "66 8b 07", INSN_MOV, INSN_REG_MEM, 2, 0, 7, 0, 0},
    {64, "48 8b 07", INSN_MOV, INSN_REG_MEM, 8, 0, 7, 0, 0},
    {64, "4c 89 3c 24", INSN_MOV, INSN_MEM_REG, 8, 15, 4, 0, 0},
    {64, "0f b6 07", INSN_MOV, INSN_REG_MEM, 1, 0, 7, 0, 0},
    {64, "0f b7 07", INSN_MOV, INSN_REG_MEM, 2, 0, 7, 0, 0},
    {64, "48 0f be 07", INSN_MOVSX, INSN_REG_MEM, 1, 0, 7, 0, 0},
    {64, "0f bf 07", INSN_MOVSX, INSN_REG_MEM, 2, 0, 7, 0, 0},
    {64, "48 63 07", INSN_MOVSX, INSN_REG_MEM, 4, 0, 7, 0, 0},
    {64, "c7 07 78 56 34 12", INSN_MOV, INSN_MEM_IMM, 4, NO, 7, 0, 0x12345678},
    {64, "48 c7 07 fe ff ff ff", INSN_MOV, INSN_MEM_IMM, 8, NO, 7, 0, -2},
    {64, "c6 07 80", INSN_MOV, INSN_MEM_IMM, 1, NO, 7, 0, -128},
    {64, "66 c7 07 34 12", INSN_MOV, INSN_MEM_IMM, 2, NO, 7, 0, 0x1234},
    {64, "8b 05 10 00 00 00", INSN_MOV, INSN_REG_MEM, 4, 0, RIP, 0x10, 0},
    {64, "8b 04 25 00 00 e0 fe", INSN_MOV, INSN_REG_MEM, 4, 0, NO, -0x1200000, 0},
    {64, "a1 00 00 c0 fe 00 00 00 00", INSN_MOV, INSN_REG_MEM, 4, 0, NO, 0xfec00000, 0},
    {64, "48 a3 88 77 66 55 44 33 22 11", INSN_MOV, INSN_MEM_REG, 8, 0, NO, 0x1122334455667788, 0},
    {32, "a0 00 00 c0 fe", INSN_MOV, INSN_REG_MEM, 1, 0, NO, (i32)0xfec00000, 0},
    {16, "a2 34 12", INSN_MOV, INSN_MEM_REG, 1, 0, NO, 0x1234, 0},
    {64, "0f c3 07", INSN_MOV, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "0f 38 f0 07", INSN_MOVBE, INSN_REG_MEM, 4, 0, 7, 0, 0},
    {64, "66 0f 38 f1 07", INSN_MOVBE, INSN_MEM_REG, 2, 0, 7, 0, 0},
    /* 8-bit registers: AH without REX, SPL with one. */
    {64, "8a 27", INSN_MOV, INSN_REG_MEM, 1, INSN_REG_AH, 7, 0, 0},
    {64, "88 3f", INSN_MOV, INSN_MEM_REG, 1, INSN_REG_AH + 3, 7, 0, 0},
    {64, "40 8a 27", INSN_MOV, INSN_REG_MEM, 1, 4, 7, 0, 0},
    {64, "41 8a 27", INSN_MOV, INSN_REG_MEM, 1, 4, 15, 0, 0},
    {32, "8a 27", INSN_MOV, INSN_REG_MEM, 1, INSN_REG_AH, 7, 0, 0},
    /* Arithmetic in each form. */
    {64, "01 07", INSN_ADD, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "f0 09 07", INSN_OR, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "23 07", INSN_AND, INSN_REG_MEM, 4, 0, 7, 0, 0},
    {64, "80 0f 01", INSN_OR, INSN_MEM_IMM, 1, NO, 7, 0, 1},
    {64, "f0 83 27 fe", INSN_AND, INSN_MEM_IMM, 4, NO, 7, 0, -2},
    {64, "81 3f 00 00 01 00", INSN_CMP, INSN_MEM_IMM, 4, NO, 7, 0, 0x10000},
    {32, "82 07 ff", INSN_ADD, INSN_MEM_IMM, 1, NO, 7, 0, -1},
    {64, "85 07", INSN_TEST, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "f7 07 00 01 00 00", INSN_TEST, INSN_MEM_IMM, 4, NO, 7, 0, 0x100},
    {64, "f6 07 80", INSN_TEST, INSN_MEM_IMM, 1, NO, 7, 0, -128},
    {64, "f7 17", INSN_NOT, INSN_MEM, 4, NO, 7, 0, 0},
    {64, "48 f7 1f", INSN_NEG, INSN_MEM, 8, NO, 7, 0, 0},
    {64, "ff 07", INSN_INC, INSN_MEM, 4, NO, 7, 0, 0},
    {64, "f0 fe 0f", INSN_DEC, INSN_MEM, 1, NO, 7, 0, 0},
    {64, "f7 27", INSN_MUL, INSN_MEM, 4, NO, 7, 0, 0},
    {64, "0f af 07", INSN_IMUL, INSN_REG_MEM, 4, 0, 7, 0, 0},
    {64, "6b 07 f0", INSN_IMUL, INSN_REG_MEM_IMM, 4, 0, 7, 0, -16},
    {64, "c1 27 04", INSN_SHL, INSN_MEM_IMM, 4, NO, 7, 0, 4},
    {64, "d1 2f", INSN_SHR, INSN_MEM_IMM, 4, NO, 7, 0, 1},
    {64, "d3 3f", INSN_SAR, INSN_MEM_CL, 4, NO, 7, 0, 0},
    {64, "0f 44 07", INSN_CMOV, INSN_REG_MEM, 4, 0, 7, 0, 4},
    {64, "0f 95 07", INSN_SETCC, INSN_MEM, 1, NO, 7, 0, 5},
    {64, "87 07", INSN_XCHG, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "f0 0f b1 0f", INSN_CMPXCHG, INSN_MEM_REG, 4, 1, 7, 0, 0},
    {64, "f0 0f c1 07", INSN_XADD, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "f0 48 0f c7 0f", INSN_CMPXCHG8B, INSN_MEM, 16, NO, 7, 0, 0},
    {32, "f0 0f c7 0f", INSN_CMPXCHG8B, INSN_MEM, 8, NO, 7, 0, 0},
    {64, "f0 0f ab 07", INSN_BTS, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "0f a3 07", INSN_BT, INSN_MEM_REG, 4, 0, 7, 0, 0},
    {64, "0f ba 27 1f", INSN_BT, INSN_MEM_IMM, 4, NO, 7, 0, 31},
    {64, "f0 0f ba 37 07", INSN_BTR, INSN_MEM_IMM, 4, NO, 7, 0, 7},
    {64, "0f ba 3f 07", INSN_BTC, INSN_MEM_IMM, 4, NO, 7, 0, 7},
    {64, "ff 37", INSN_PUSH, INSN_MEM, 8, NO, 7, 0, 0},
    {64, "66 ff 37", INSN_PUSH, INSN_MEM, 2, NO, 7, 0, 0},
    {32, "8f 07", INSN_POP, INSN_MEM, 4, NO, 7, 0, 0},
    {64, "66 ff 17", INSN_CALL, INSN_MEM, 8, NO, 7, 0, 0},
    {32, "ff 27", INSN_JMP, INSN_MEM, 4, NO, 7, 0, 0},
    {64, "66 0f ae 3f", INSN_CLFLUSH, INSN_MEM, 1, NO, 7, 0, 0},
    {64, "f3 48 a5", INSN_MOVS, INSN_STRING, 8, 0, NO, 0, 0},
    {64, "f3 aa", INSN_STOS, INSN_STRING, 1, 0, NO, 0, 0},
    {16, "f2 ae", INSN_SCAS, INSN_STRING, 1, 0, NO, 0, 0},
    {64, "f3 66 6d", INSN_INS, INSN_STRING, 2, 0, NO, 0, 0},
    {64, "48 6f", INSN_OUTS, INSN_STRING, 4, 0, NO, 0, 0},
    /* Addressing: 16 bits, sizes by mode, address-size prefix. */
    {16, "8b 40 fe", INSN_MOV, INSN_REG_MEM, 2, 0, 3, -2, 0},
    {16, "8b 46 02", INSN_MOV, INSN_REG_MEM, 2, 0, 5, 2, 0},
    {16, "8b 0e 34 f2", INSN_MOV, INSN_REG_MEM, 2, 1, NO, -0xdcc, 0},
    {16, "66 67 8b 03", INSN_MOV, INSN_REG_MEM, 4, 0, 3, 0, 0},
    {32, "67 8b 07", INSN_MOV, INSN_REG_MEM, 4, 0, 3, 0, 0},
    {32, "8b 05 00 00 c0 fe", INSN_MOV, INSN_REG_MEM, 4, 0, NO, (i32)0xfec00000, 0},
    {64, "67 8b 07", INSN_MOV, INSN_REG_MEM, 4, 0, 7, 0, 0},
    {64, "8b 45 00", INSN_MOV, INSN_REG_MEM, 4, 0, 5, 0, 0},
    {64, "41 8b 45 00", INSN_MOV, INSN_REG_MEM, 4, 0, 13, 0, 0},
    {64, "41 8b 04 25 10 00 00 00", INSN_MOV, INSN_REG_MEM, 4, 0, NO, 0x10, 0},
    /* A REX that is not next to the opcode does nothing; the last one counts. */
    {64, "48 66 8b 07", INSN_MOV, INSN_REG_MEM, 2, 0, 7, 0, 0},
    {64, "48 41 8b 07", INSN_MOV, INSN_REG_MEM, 4, 0, 15, 0, 0},
    {64, "66 48 8b 07", INSN_MOV, INSN_REG_MEM, 8, 0, 7, 0, 0},
    {64, "f3 f2 8b 07", INSN_MOV, INSN_REG_MEM, 4, 0, 7, 0, 0},
    {64, "2e 2e 2e 2e 2e 2e 2e 2e 2e 2e 2e 2e 2e 8b 07", INSN_MOV, INSN_REG_MEM, 4, 0, 7, 0, 0},
};

static void test_accepted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(accepted); i++) {
		const struct row *r = &accepted[i];
		u8 bytes[16] = {0};
		unsigned n = parse(r->hex, bytes);
		struct insn in;
		int err = insn_decode(bytes, 15, r->mode, &in);
		if (err || in.length != n || in.op != r->op || in.form != r->form || in.size != r->size ||
		    in.reg != r->reg || in.base != r->base || in.disp != r->disp || in.imm != r->imm)
			fail_msg("%u bits, %s: result %d, length %u op %u form %u size %u reg %u base %u "
				 "disp %lx imm %lx",
				 r->mode, r->hex, err, in.length, in.op, in.form, in.size, in.reg, in.base,
				 (unsigned long)in.disp, (unsigned long)in.imm);
	}
}

static const struct {
	unsigned mode;
	const char *hex;
} refused[] = {
    {64, "8b c7"},          /* registers only */
    {64, "05 00 00 00 00"}, /* ADD EAX, imm: no memory operand */
    {64, "f0 8b 07"},       /* LOCK on what cannot be locked */
    {64, "f0 39 07"},       /* CMP */
    {64, "f0 03 07"},       /* destination is a register */
    {64, "f0 a4"},
    {64, "f0 01 c7"},
    {64, "8c 07"}, /* segment registers */
    {64, "8e 07"},
    {64, "82 07 ff"},    /* not in 64-bit mode */
    {32, "63 07"},       /* ARPL */
    {32, "48 8b 07"},    /* DEC EAX: REX only in 64-bit mode */
    {64, "c5 f8 10 07"}, /* VEX */
    {64, "c4 e1 78 10 07"},
    {32, "c4 07"},             /* LES */
    {64, "62 f1 7c 48 10 07"}, /* EVEX */
    {64, "8f e8 78 a2 07 00"}, /* XOP */
    {64, "0f 10 07"},          /* MOVUPS */
    {64, "f3 0f 6f 07"},       /* MOVDQU */
    {64, "d8 07"},             /* x87 */
    {64, "ff 1f"},             /* far CALL and JMP */
    {64, "ff 2f"},
    {64, "ff 3f"},
    {64, "fe 17"},
    {64, "c6 0f 00"},
    {64, "c7 f8 00 00 00 00"}, /* XBEGIN */
    {64, "f7 37"},             /* DIV */
    {64, "0f c7 37"},          /* VMPTRLD */
    {64, "66 0f c3 07"},       /* MOVNTI takes no 66 */
    {64, "f3 0f ae 3f"},
    {64, "0f ae 2f"},       /* XRSTOR */
    {64, "f2 0f 38 f0 07"}, /* CRC32 */
    {64, "0f 38 00 07"},
    {64, "0f 0b"},
    {64, "0f ba 07 01"},
    {64, "90"},
};

static void test_refused(void **state)
{
	struct insn in;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
		u8 bytes[16] = {0};
		parse(refused[i].hex, bytes);
		int err = insn_decode(bytes, 15, refused[i].mode, &in);
		if (err != ERR_NOTSUP)
			fail_msg("%u bits, %s: result %d", refused[i].mode, refused[i].hex, err);
	}
}

/* Exact heap copies: a read beyond the bytes is an ASan error. */
static int decode_exact(const u8 *bytes, size_t n, unsigned mode)
{
	u8 *copy = malloc(n ? n : 1);
	struct insn in;

	memcpy(copy, bytes, n);
	int err = insn_decode(copy, n, mode, &in);
	free(copy);
	return err;
}

static void test_truncated(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(accepted); i++) {
		u8 bytes[16] = {0};
		unsigned n = parse(accepted[i].hex, bytes);
		for (unsigned k = 0; k < n; k++)
			assert_int_equal(decode_exact(bytes, k, accepted[i].mode), ERR_AGAIN);
		assert_int_equal(decode_exact(bytes, n, accepted[i].mode), 0);
		assert_int_equal(decode_exact(bytes, 16, accepted[i].mode), 0);
	}
	/* Refused as soon as the bytes that say so are there. */
	assert_int_equal(decode_exact((const u8 *)"\x8c", 1, 64), ERR_NOTSUP);
	assert_int_equal(decode_exact((const u8 *)"\xf7", 1, 64), ERR_AGAIN);
	assert_int_equal(decode_exact((const u8 *)"\xf7\x37", 2, 64), ERR_NOTSUP);
	assert_int_equal(decode_exact((const u8 *)"\x0f", 1, 64), ERR_AGAIN);
	assert_int_equal(decode_exact((const u8 *)"\x0f\x0b", 2, 64), ERR_NOTSUP);
}

static void test_too_long(void **state)
{
	u8 bytes[32];
	struct insn in;

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(insn_decode(bytes, 15, 64, &in), ERR_TOOLONG);
	assert_int_equal(insn_decode(bytes, 32, 64, &in), ERR_TOOLONG);
	assert_int_equal(insn_decode(bytes, 14, 64, &in), ERR_AGAIN);
	/* 14 prefixes and MOV: its ModRM would be byte 16. */
	bytes[14] = 0x8b;
	bytes[15] = 0x07;
	assert_int_equal(insn_decode(bytes, 16, 64, &in), ERR_TOOLONG);
	assert_int_equal(insn_decode(bytes + 1, 16, 64, &in), 0);
	assert_int_equal(in.length, 15);
	/* 10 prefixes, MOV with a displacement and an immediate of 4 bytes each. */
	memcpy(bytes + 10, "\xc7\x87\0\0\0\0\0\0\0\0", 10);
	memset(bytes, 0x3e, 10);
	assert_int_equal(insn_decode(bytes, 32, 64, &in), ERR_TOOLONG);
	assert_int_equal(insn_decode(bytes + 5, 27, 64, &in), 0);
	assert_int_equal(in.length, 15);
}

static void test_segments(void **state)
{
	static const struct {
		unsigned mode;
		const char *hex;
		u8 seg;
		bool flat;
	} rows[] = {
	    {64, "8b 07", INSN_DS, true},
	    {64, "8b 45 00", INSN_SS, true},
	    {64, "8b 04 24", INSN_SS, true},
	    {64, "41 8b 04 24", INSN_DS, true}, /* R12 is not RSP */
	    {64, "64 8b 07", INSN_FS, false},
	    {64, "65 8b 45 00", INSN_GS, false},
	    {64, "2e 8b 07", INSN_DS, true},     /* CS means nothing in 64-bit mode, */
	    {64, "64 2e 8b 07", INSN_FS, false}, /* nor does it undo FS */
	    {64, "64 65 8b 07", INSN_GS, false},
	    {32, "8b 07", INSN_DS, false},
	    {32, "8b 45 00", INSN_SS, false},
	    {32, "3e 8b 45 00", INSN_DS, false},
	    {32, "2e 64 26 8b 07", INSN_ES, false},
	    {16, "8b 02", INSN_SS, false}, /* BP+SI */
	    {32, "36 a5", INSN_SS, false}, /* the source of MOVS */
	    {32, "aa", INSN_DS, false},
	};
	struct insn in;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u8 bytes[16] = {0};
		parse(rows[i].hex, bytes);
		assert_int_equal(insn_decode(bytes, 15, rows[i].mode, &in), 0);
		if (in.seg != rows[i].seg || !!(in.flags & INSN_F_FLAT) != rows[i].flat)
			fail_msg("%u bits, %s: segment %u, flags %x", rows[i].mode, rows[i].hex, in.seg,
				 in.flags);
	}
}

static u32 flags_of(const char *hex)
{
	u8 bytes[16] = {0};
	struct insn in;

	parse(hex, bytes);
	assert_int_equal(insn_decode(bytes, 15, 64, &in), 0);
	return in.flags & ~(INSN_F_FLAT | INSN_F_SIMPLE);
}

/* What tells the caller which VMCS fields it must read. */
static void test_flags(void **state)
{
	(void)state;
	assert_int_equal(flags_of("8b 07"), 0);
	assert_int_equal(flags_of("8b 67 08"), INSN_F_RSP);    /* MOV ESP, [RDI+8] */
	assert_int_equal(flags_of("44 8b 67 08"), 0);          /* R12D */
	assert_int_equal(flags_of("8a 67 08"), 0);             /* AH */
	assert_int_equal(flags_of("40 8a 67 08"), INSN_F_RSP); /* SPL */
	assert_int_equal(flags_of("8b 04 24"), INSN_F_RSP);
	assert_int_equal(flags_of("ff 37"), INSN_F_RSP | INSN_F_STACK);
	assert_int_equal(flags_of("ff 27"), 0);
	assert_int_equal(flags_of("01 07"), INSN_F_FLAGS);
	assert_int_equal(flags_of("f0 01 07"), INSN_F_FLAGS | INSN_F_LOCK);
	assert_int_equal(flags_of("0f 44 07"), INSN_F_FLAGS);
	assert_int_equal(flags_of("a4"), INSN_F_FLAGS);
}

/* The mark for the emulator's quick lane: exactly the simple moves have it, however they were decoded. */
static void test_simple(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(accepted); i++) {
		u8 bytes[16] = {0};
		struct insn in;
		parse(accepted[i].hex, bytes);
		assert_int_equal(insn_decode(bytes, 15, accepted[i].mode, &in), 0);
		bool simple = in.op == INSN_MOV && in.flags & INSN_F_FLAT && in.addr_size == 8 &&
			      in.base < 16 && in.index == INSN_NONE;
		if (!!(in.flags & INSN_F_SIMPLE) != simple)
			fail_msg("%s", accepted[i].hex);
	}
}

static void test_cache(void **state)
{
	struct insn_cache *c = calloc(1, sizeof(*c));
	const struct insn *in, *again;
	u8 bytes[16] = {0x8b, 0x47, 0x10};

	(void)state;
	assert_int_equal(insn_cache_decode(c, bytes, 16, 64, &in), 0);
	assert_int_equal(in->length, 3);
	assert_int_equal(insn_cache_decode(c, bytes, 16, 64, &again), 0);
	assert_ptr_equal(in, again);
	/* The same bytes mean something else in another mode, and after a change in any place. */
	assert_int_equal(insn_cache_decode(c, bytes, 16, 16, &in), 0);
	assert_int_equal(in->size, 2);
	assert_int_equal(insn_cache_decode(c, bytes, 16, 64, &in), 0);
	assert_int_equal(in->size, 4);
	bytes[2] = 0x20;
	assert_int_equal(insn_cache_decode(c, bytes, 16, 64, &in), 0);
	assert_int_equal(in->disp, 0x20);
	bytes[15] = 1;
	assert_int_equal(insn_cache_decode(c, bytes, 16, 64, &in), 0);
	assert_int_equal(in->disp, 0x20);
	/* What is refused is not kept, and leaves nothing that looks valid. */
	for (unsigned i = 0; i < 3; i++) {
		u8 bad[16] = {0x8b, 0xc7};
		assert_int_equal(insn_cache_decode(c, bad, 16, 64, &in), ERR_NOTSUP);
	}
	/* Near the end of a page, the rest of it unknown. */
	assert_int_equal(insn_cache_decode(c, bytes, 3, 64, &in), 0);
	assert_int_equal(in->length, 3);
	assert_int_equal(insn_cache_decode(c, bytes, 2, 64, &in), ERR_AGAIN);
	free(c);
}

/* Many instructions, each twice: hits and evictions give what the decoder gives. */
static void test_cache_random(void **state)
{
	struct insn_cache *c = calloc(1, sizeof(*c));
	u64 x = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		u8 bytes[16] = {0x8b, 0x87};
		struct insn want;
		const struct insn *in;
		x = x * 6364136223846793005u + 1442695040888963407u;
		bytes[1] = (u8)(x >> 60); /* 16 forms, so that hits happen */
		bytes[2] = (u8)(x >> 58 & 3);
		bytes[15] = (u8)(x >> 50 & 1);
		int err = insn_decode(bytes, 16, 64, &want);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(insn_cache_decode(c, bytes, 16, 64, &in), err);
			if (!err)
				assert_memory_equal(in, &want, sizeof(want));
		}
	}
	free(c);
}

static bool race_over;

/* Another vCPU: rewrites the instruction all the time. */
static void *rewrite(void *opaque)
{
	volatile u8 *bytes = opaque;

	while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
		bytes[1] = 0x47; /* mov eax, [rdi + disp8] */
		bytes[1] = 0x84; /* mov eax, [sib + disp32] */
		bytes[1] = 0x07; /* mov eax, [rdi] */
		bytes[0] = 0x89; /* and the other way */
		bytes[0] = 0x8b;
	}
	return NULL;
}

/* The bytes may be guest memory: whatever happens to them meanwhile, nothing is filed under bytes that it was
 * not decoded from. */
static void test_cache_race(void **state)
{
	struct insn_cache *c = calloc(1, sizeof(*c));
	u8 bytes[16] = {0x8b, 0x47, 0x10};
	const struct insn *in;
	unsigned wrong = 0;
	struct insn want;
	pthread_t writer;

	(void)state;
	race_over = false;
	assert_int_equal(pthread_create(&writer, NULL, rewrite, bytes), 0);
	for (unsigned i = 0; i < 300000; i++) {
		(void)insn_cache_decode(c, bytes, 16, 64, &in);
		for (unsigned s = 0; i % 64 == 0 && s < ARRAY_SIZE(c->slots); s++) {
			const struct insn_cached *slot = &c->slots[s];
			if (!slot->mode_bits)
				continue;
			wrong += insn_decode((const u8 *)slot->bytes, 16, 64, &want) ||
				 memcmp(&slot->insn, &want, sizeof(want));
		}
		c->slots[i % ARRAY_SIZE(c->slots)].mode_bits = 0; /* so that it decodes again */
	}
	__atomic_store_n(&race_over, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	free(c);
	assert_int_equal(wrong, 0);
}

static void test_string_io(void **state)
{
	struct insn made, decoded;

	(void)state;
	insn_make_string_io(&made, INSN_OUTS, 2, 8, INSN_DS, true, 3, 64);
	assert_int_equal(insn_decode((const u8 *)"\xf3\x66\x6f\0\0\0\0\0\0\0\0\0\0\0", 15, 64, &decoded), 0);
	assert_memory_equal(&made, &decoded, sizeof(made));
	insn_make_string_io(&made, INSN_INS, 1, 4, INSN_ES, false, 1, 32);
	assert_int_equal(made.op, INSN_INS);
	assert_int_equal(made.addr_size, 4);
	assert_int_equal(made.rep, INSN_REP_NONE);
	assert_int_equal(made.flags & INSN_F_FLAT, 0);
	insn_make_string_io(&made, INSN_OUTS, 1, 8, INSN_GS, false, 2, 64);
	assert_int_equal(made.flags & INSN_F_FLAT, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),   cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_truncated),  cmocka_unit_test(test_too_long),
	    cmocka_unit_test(test_segments),   cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_cache),      cmocka_unit_test(test_cache_random),
	    cmocka_unit_test(test_cache_race), cmocka_unit_test(test_string_io),
	    cmocka_unit_test(test_simple),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
