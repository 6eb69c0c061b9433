/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction emulation: what the comparison with a real processor (test_emulate_native.c) cannot show.
 * Devices are accessed once and as wide as asked; faults change nothing; repetition is bounded; locked
 * operations race; segments, ports, stacks. M4, M66. */
#include "emulate_board.h"

#define TEST(name) cmocka_unit_test_setup(name, board_reset)

static void test_device_mov(void **state)
{
	(void)state;
	expect_done("8b 43 04"); /* MOV EAX, [RBX+4] */
	assert_int_equal(b.regs[AX], 0x44332211);
	expect_log(0, 'r', DEVICE + 0x14, 4, 0x44332211);
	expect_done("48 8b 0b");
	assert_int_equal(b.regs[CX], 0x8877665544332211);
	expect_done("8a 2b"); /* MOV CH, [RBX] */
	assert_int_equal(b.regs[CX], 0x8877665544331111);
	expect_done("0f b7 13"); /* MOVZX EDX, word */
	assert_int_equal(b.regs[DX], 0x2211);
	expect_log(3, 'r', DEVICE + 0x10, 2, 0x2211);
	expect_done("88 2b"); /* MOV [RBX], CH */
	expect_log(4, 'w', DEVICE + 0x10, 1, 0x11);
	expect_done("c7 03 fe ff ff ff");
	expect_log(5, 'w', DEVICE + 0x10, 4, 0xfffffffe);
	expect_done("48 c7 03 fe ff ff ff");
	expect_log(6, 'w', DEVICE + 0x10, 8, 0xfffffffffffffffe);
	assert_int_equal(b.logged, 7);
}

/* With the page of the exit known, neither segmentation nor paging is asked. */
static void test_known_page(void **state)
{
	(void)state;
	b.c.page = (struct emulate_page){DEVICE, DEVICE, EMULATE_WRITE};
	expect_done("89 03");
	expect_done("8b 03");
	expect_done("f0 83 0b 01");
	assert_int_equal(b.translations, 0);
	/* A page known for reading says nothing about writing. */
	b.c.page.access = EMULATE_READ;
	expect_done("8b 03");
	assert_int_equal(b.translations, 0);
	expect_done("89 03");
	assert_int_equal(b.translations, 1);
	assert_int_equal(b.last_access, EMULATE_WRITE);
	/* Nor does it cover an access that leaves it, or one before it. */
	b.regs[BX] = DEVICE + PAGE_SIZE - 2;
	expect_fault("8b 03", VEC_PF, DEVICE + PAGE_SIZE);
	b.regs[BX] = DEVICE - 1;
	expect_fault("8b 03", VEC_PF, DEVICE - 1);
	/* No page known: nothing matches, not even address 0. */
	b.c.page = (struct emulate_page){0};
	b.regs[BX] = 0;
	expect_fault("8b 03", VEC_PF, 0);
}

/* Forms that read, write back or only compare ask for the right access. */
static void test_access_kind(void **state)
{
	static const char *const writes[] = {"89 07",       "01 07",    "87 07", "0f b1 0f",
					     "0f c7 0f",    "ff 07",    "d1 27", "0f ab 07",
					     "0f ba 3f 01", "0f 90 07", "f7 17"};
	static const char *const reads[] = {"8b 07",    "03 07",       "39 07",    "3b 07", "85 07",
					    "0f a3 07", "0f ba 27 01", "0f 40 07", "f7 27", "0f ae 3f"};

	(void)state;
	b.regs[AX] = 0; /* BTS, BT */
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		b.last_access = 0;
		assert_int_equal(run(writes[i]), EMULATE_DONE);
		assert_int_equal(b.last_access, EMULATE_WRITE);
		b.read_only = RAM;
		b.regs[AX] = 0;
		expect_fault(writes[i], VEC_PF, RAM);
		b.read_only = ABSENT;
	}
	b.read_only = RAM;
	for (unsigned i = 0; i < ARRAY_SIZE(reads); i++) {
		b.last_access = 0;
		assert_int_equal(run(reads[i]), EMULATE_DONE);
		assert_int_equal(b.last_access, EMULATE_READ);
		b.regs[AX] = 0;
	}
}

/* A device is read once and written once, CMP does not write, MOV store and SETcc do not read. */
static void test_device_accesses(void **state)
{
	static const struct {
		const char *hex, *kinds;
	} rows[] = {
	    {"01 03", "rw"},      {"f0 01 03", "rw"},    {"03 03", "r"},          {"39 03", "r"},
	    {"f6 03 01", "r"},    {"87 03", "rw"},       {"0f b1 0b", "rw"},      {"f0 0f b1 0b", "rw"},
	    {"0f c1 03", "rw"},   {"ff 03", "rw"},       {"f7 1b", "rw"},         {"d1 23", "rw"},
	    {"0f ba 23 03", "r"}, {"0f ba 2b 03", "rw"}, {"0f 94 03", "w"},       {"0f 44 03", "r"},
	    {"0f 38 f0 03", "r"}, {"0f 38 f1 03", "w"},  {"f0 0f c7 0b", "rrww"}, {"0f af 03", "r"},
	    {"0f ae 3b", ""},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		char kinds[8] = {0};
		b.logged = 0;
		b.regs[AX] = 0x5a;
		expect_done(rows[i].hex);
		for (unsigned k = 0; k < b.logged; k++)
			kinds[k] = b.log[k].kind;
		if (strcmp(kinds, rows[i].kinds) != 0)
			fail_msg("%s: %s", rows[i].hex, kinds);
	}
}

static void test_canonical(void **state)
{
	(void)state;
	b.regs[DI] = 0x800000000000;
	expect_fault("8b 07", VEC_GP, 0);
	b.regs[DI] = 0x7ffffffffffe; /* its end is beyond */
	expect_fault("8b 07", VEC_GP, 0);
	b.regs[BP] = (u64)1 << 63;
	expect_fault("8b 45 00", VEC_SS, 0);
	expect_fault("3e 8b 45 00", VEC_SS, 0); /* DS means nothing in 64-bit mode */
	b.regs[DI] = ~(u64)0 << 47;
	expect_fault("8b 07", VEC_PF, ~(u64)0 << 47);
	b.regs[SP] = 0x7ffffffffff8 + 16;
	expect_fault("ff 33", VEC_SS, 0); /* PUSH: neither device nor RSP is touched */
}

static void test_page_crossing(void **state)
{
	u64 edge = RAM + PAGE_SIZE;

	(void)state;
	memcpy(b.ram + PAGE_SIZE - 3, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	b.regs[DI] = edge - 3;
	expect_done("48 8b 07");
	assert_int_equal(b.regs[AX], 0x8877665544332211);
	expect_done("48 ff 07"); /* INC */
	assert_int_equal(b.ram[PAGE_SIZE - 3], 0x12);
	/* The second page may not be written: the first is not either. */
	b.read_only = edge;
	expect_fault("48 89 07", VEC_PF, edge);
	expect_fault("48 ff 07", VEC_PF, edge);
	b.regs[DI] = RAM_END - 1;
	expect_fault("66 c7 07 00 00", VEC_PF, RAM_END);
	/* A device whose access crosses the page: its bytes are not touched when the rest faults. */
	b.regs[DI] = DEVICE + PAGE_SIZE - 2;
	expect_fault("8b 07", VEC_PF, DEVICE + PAGE_SIZE);
	b.regs[DI] = DEVICE - 2;
	expect_fault("8b 07", VEC_PF, DEVICE - 2);
}

/* 32-bit addresses wrap, linear ones too. */
static void test_legacy_modes(void **state)
{
	(void)state;
	b.c.mode_bits = 32;
	b.regs[DI] = 0xdeadbeef00000000 | (u32)(RAM - 0x7fffffff);
	expect_done("8b 87 ff ff ff 7f");
	assert_int_equal(b.last_seg, INSN_DS);
	assert_int_equal(b.last_offset, RAM);
	expect_done("26 8b 87 ff ff ff 7f");
	assert_int_equal(b.last_seg, INSN_ES);
	b.regs[BP] = RAM;
	expect_done("8b 45 00");
	assert_int_equal(b.last_seg, INSN_SS);
	b.segment_faults = true;
	expect_fault("8b 45 00", VEC_GP, 0);
	b.segment_faults = false;
	b.c.rip = 0xfffffffe;
	struct insn in;
	assert_int_equal(insn_decode((const u8 *)"\x8b\x45\x00\0\0\0\0\0\0\0\0\0\0\0\0", 15, 32, &in), 0);
	assert_int_equal(emulate_insn(&b.c, &in), EMULATE_DONE);
	assert_int_equal(b.c.rip, 1);
	b.c.mode_bits = 64;
	b.segmentations = 0;
	b.regs[DI] = RAM - FS_BASE;
	expect_done("64 8b 07");
	assert_int_equal(b.last_seg, INSN_FS);
	assert_int_equal(b.segmentations, 1);
}

static void test_lock_races(void **state)
{
	(void)state;
	b.ram[0] = 5;
	b.races = 3;
	expect_done("f0 83 07 10"); /* LOCK ADD */
	assert_int_equal(b.ram[0], 5 + 3 + 0x10);
	assert_int_equal(b.logged, 4);
	expect_done("83 07 10"); /* no LOCK: no compare and exchange */
	expect_done("87 07");    /* XCHG locks by itself */
	assert_int_equal(b.logged, 5);
	assert_int_equal((u8)b.regs[AX], 5 + 3 + 0x20);
	/* XADD and CMPXCHG return what was there when they won. */
	b.ram[0] = 7;
	b.races = 1;
	b.regs[AX] = 1;
	expect_done("f0 0f c0 07");
	assert_int_equal((u8)b.regs[AX], 8);
	assert_int_equal(b.ram[0], 9);
	b.races = 1;
	b.regs[AX] = 10; /* what it is after the race */
	b.regs[CX] = 0x77;
	expect_done("f0 0f b0 0f");
	assert_true(b.c.rflags & RFLAGS_ZF);
	assert_int_equal(b.ram[0], 0x77);
}

static void test_lock_pair(void **state)
{
	u64 pair[2] = {0x1111, 0x2222};

	(void)state;
	b.regs[AX] = 0x1112;
	b.regs[DX] = 0x2222;
	b.regs[BX] = 0xb;
	b.regs[CX] = 0xc;
	memcpy(b.ram, pair, 16);
	b.races = 1;
	expect_done("f0 48 0f c7 0f");
	assert_true(b.c.rflags & RFLAGS_ZF);
	memcpy(pair, b.ram, 16);
	assert_true(pair[0] == 0xb && pair[1] == 0xc);
	expect_done("f0 48 0f c7 0f");
	assert_false(b.c.rflags & RFLAGS_ZF);
	assert_true(b.regs[AX] == 0xb && b.regs[DX] == 0xc);
	/* 8 bytes: one word for the callback. */
	b.regs[AX] = 0xc;
	b.regs[DX] = 0;
	b.races = 1;
	expect_done("f0 0f c7 0f");
	assert_true(b.c.rflags & RFLAGS_ZF);
	memcpy(pair, b.ram, 8);
	assert_int_equal(pair[0], 0xc0000000bu);
	b.regs[DI] = RAM + 8; /* CMPXCHG16B insists on alignment */
	expect_fault("48 0f c7 0f", VEC_GP, 0);
}

/* Another CPU that never lets us win: nothing has happened, the guest may go on. */
static void test_lock_starved(void **state)
{
	u64 rflags;

	(void)state;
	b.races = 1000000;
	memset(b.log, 0, sizeof(b.log));
	rflags = b.c.rflags;
	b.regs[AX] = 0x1234;
	assert_int_equal(run("f0 0f c0 07"), EMULATE_AGAIN);
	assert_int_equal(b.c.rip, CODE);
	assert_int_equal(b.c.rflags, rflags);
	assert_int_equal(b.regs[AX], 0x1234);
	b.logged = 0;
	assert_int_equal(run("f0 0f c7 0f"), EMULATE_AGAIN);
	assert_int_equal(b.c.rip, CODE);
}

static void test_bit_addresses(void **state)
{
	(void)state;
	b.regs[DI] = RAM + 0x100;
	b.regs[AX] = 0x100 * 8 + 5; /* 0x100 bytes further */
	expect_done("0f ab 07");
	assert_int_equal(b.ram[0x200], 0x20);
	b.regs[AX] = (u32)-1; /* bit 31 of the doubleword before; a 32-bit operand sign-extends */
	expect_done("0f ab 07");
	assert_int_equal(b.ram[0xff], 0x80);
	b.regs[AX] = 0xffff;
	expect_done("66 0f bb 07");
	assert_int_equal(b.ram[0xff], 0);
	b.regs[AX] = 0x12345678ffff0000; /* 16-bit operand: the rest is no part of it */
	expect_done("66 0f a3 07");
	b.regs[AX] = (u64)1 << 40; /* 64-bit: out of the world */
	expect_fault("48 0f ab 07", VEC_PF, RAM + 0x100 + ((u64)1 << 37));
}

static void test_stack(void **state)
{
	u64 word;

	(void)state;
	expect_done("ff 33"); /* PUSH [device] */
	assert_int_equal(b.regs[SP], RAM + 0x7f8);
	memcpy(&word, b.ram + 0x7f8, 8);
	assert_int_equal(word, 0x8877665544332211);
	/* POP with RSP in its address: that after the increment. */
	expect_done("8f 44 24 08");
	assert_int_equal(b.regs[SP], RAM + 0x800);
	memcpy(&word, b.ram + 0x808, 8);
	assert_int_equal(word, 0x8877665544332211);
	b.regs[DI] = ABSENT;
	expect_fault("8f 07", VEC_PF, ABSENT); /* RSP is as before */
	expect_fault("ff 37", VEC_PF, ABSENT);
	b.regs[SP] = RAM; /* no room: the device must not be read */
	expect_fault("ff 33", VEC_PF, RAM - 8);
	expect_fault("ff 13", VEC_PF, RAM - 8);
	/* A 16-bit stack pointer wraps and leaves the upper bits alone. */
	b.c.mode_bits = 32;
	b.c.stack_size = 2;
	b.regs[SP] = 0xabcd0002;
	b.regs[DI] = RAM;
	expect_fault("ff 37", VEC_PF, 0xfffe);
	assert_int_equal(b.last_offset, 0xfffe);
}

static void test_branches(void **state)
{
	u64 target = 0xffff800000001234, word;

	(void)state;
	memcpy(b.ram, &target, 8);
	assert_int_equal(run("ff 27"), EMULATE_DONE);
	assert_int_equal(b.c.rip, target);
	assert_int_equal(run("ff 17"), EMULATE_DONE);
	assert_int_equal(b.c.rip, target);
	assert_int_equal(b.regs[SP], RAM + 0x7f8);
	memcpy(&word, b.ram + 0x7f8, 8);
	assert_int_equal(word, CODE + 2);
	target = 0x800000000000;
	memcpy(b.ram, &target, 8);
	expect_fault("ff 27", VEC_GP, 0);
	expect_fault("ff 17", VEC_GP, 0); /* and nothing pushed */
	b.c.mode_bits = 32;
	b.c.stack_size = 4;
	b.segment_faults = false;
	expect_done("8b 07");
	assert_int_equal(run("ff 27"), EMULATE_DONE);
	assert_int_equal(b.last_access, EMULATE_EXEC);
	assert_int_equal(b.last_seg, INSN_CS);
}

static void test_unsupported(void **state)
{
	struct insn in = {.op = INSN_NR_OPS, .length = 2};

	(void)state;
	assert_int_equal(emulate_insn(&b.c, &in), EMULATE_UNSUPPORTED);
	assert_int_equal(b.c.rip, CODE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_device_mov),      TEST(test_known_page),    TEST(test_access_kind),
	    TEST(test_device_accesses), TEST(test_canonical),     TEST(test_page_crossing),
	    TEST(test_legacy_modes),    TEST(test_lock_races),    TEST(test_lock_pair),
	    TEST(test_lock_starved),    TEST(test_bit_addresses), TEST(test_stack),
	    TEST(test_branches),        TEST(test_unsupported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
