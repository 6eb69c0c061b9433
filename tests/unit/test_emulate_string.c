/* SPDX-License-Identifier: Apache-2.0 */
/* Emulated string instructions: bounded repetition, faults in the middle, single step, ports, segments. M66.
 */
#include "emulate_board.h"

#define TEST(name) cmocka_unit_test_setup(name, board_reset)

/* REP stops for interrupts and goes on where it was. */
static void test_budget(void **state)
{
	unsigned n = 3 * EMULATE_MAX_ITERATIONS + 7;

	(void)state;
	b.regs[CX] = n;
	b.regs[AX] = 0xaa;
	for (unsigned call = 1; call <= 3; call++) {
		assert_int_equal(run("f3 aa"), EMULATE_AGAIN);
		assert_int_equal(b.c.rip, CODE);
		assert_true(b.c.rflags & RFLAGS_RF);
		assert_int_equal(b.regs[CX], n - call * EMULATE_MAX_ITERATIONS);
		assert_int_equal(b.regs[DI], RAM + call * EMULATE_MAX_ITERATIONS);
	}
	expect_done("f3 aa");
	assert_int_equal(b.regs[CX], 0);
	assert_int_equal(b.ram[n - 1], 0xaa);
	assert_int_equal(b.ram[n], 0);
	expect_done("f3 aa"); /* nothing left: no access */
	assert_int_equal(b.ram[n], 0);
	/* A count that ends with the budget is done, not "again". */
	b.regs[CX] = EMULATE_MAX_ITERATIONS;
	expect_done("f3 aa");
}

/* A repetition translates each page once, and learns the right to write apart from that to read. */
static void test_translations(void **state)
{
	(void)state;
	b.regs[SI] = RAM + PAGE_SIZE - 64;
	b.regs[DI] = DEVICE + 0x100;
	b.regs[CX] = 16;
	for (unsigned i = 0; i < sizeof(b.ram); i++)
		b.ram[i] = (u8)i;
	expect_done("f3 48 a5");
	assert_int_equal(b.translations, 3);
	expect_log(0, 'w', DEVICE + 0x100, 8, 0xc7c6c5c4c3c2c1c0);
	expect_log(15, 'w', DEVICE + 0x178, 8, 0x3f3e3d3c3b3a3938);
	/* Source and target on one page, known from the exit for reading only. */
	b.translations = 0;
	b.c.page = (struct emulate_page){RAM, RAM, EMULATE_READ};
	b.read_only = RAM;
	b.regs[SI] = RAM;
	b.regs[DI] = RAM + 0x10;
	expect_fault("a4", VEC_PF, RAM + 0x10);
	assert_int_equal(b.translations, 1);
}

static void test_fault_in_the_middle(void **state)
{
	(void)state;
	b.regs[DI] = RAM_END - 6;
	b.regs[CX] = 10;
	b.regs[AX] = 0x55;
	assert_int_equal(run("f3 aa"), EMULATE_FAULT);
	assert_int_equal(b.c.fault.cr2, RAM_END);
	assert_int_equal(b.c.rip, CODE);
	assert_true(b.c.rflags & RFLAGS_RF);
	assert_int_equal(b.regs[CX], 4);
	assert_int_equal(b.regs[DI], RAM_END);
	assert_int_equal(b.ram[sizeof(b.ram) - 1], 0x55);
	/* SCAS: registers advance, flags are those from before the instruction. */
	b.regs[DI] = RAM_END - 2;
	b.regs[CX] = 10;
	b.c.rflags = RFLAGS_FIXED1 | RFLAGS_CF;
	assert_int_equal(run("f3 ae"), EMULATE_FAULT);
	assert_int_equal(b.regs[CX], 8);
	assert_true(b.c.rflags == (RFLAGS_FIXED1 | RFLAGS_CF | RFLAGS_RF));
	/* MOVS whose target faults does not read the device. */
	b.regs[SI] = DEVICE;
	b.regs[DI] = ABSENT;
	expect_fault("a5", VEC_PF, ABSENT);
	expect_fault("f3 a5", VEC_PF, ABSENT);
}

static void test_comparisons(void **state)
{
	(void)state;
	memcpy(b.ram, "hello\0x", 8);
	memcpy(b.ram + 0x100, "hellO", 6);
	b.regs[AX] = 0;
	b.regs[CX] = 100;
	expect_done("f2 ae"); /* strlen */
	assert_int_equal(b.regs[DI], RAM + 6);
	assert_int_equal(b.regs[CX], 94);
	b.regs[DI] = RAM;
	b.regs[CX] = 6;
	expect_done("f3 a6");
	assert_int_equal(b.regs[CX], 1);
	assert_true(b.c.rflags & RFLAGS_CF); /* 'O' - 'o', source first */
	assert_false(b.c.rflags & RFLAGS_ZF);
	/* Without a prefix the flags do not matter, with MOVS they are not looked at. */
	b.regs[CX] = 3;
	b.c.rflags |= RFLAGS_ZF;
	expect_done("f2 a4");
	assert_int_equal(b.regs[CX], 0);
}

static void test_single_step(void **state)
{
	(void)state;
	b.c.rflags |= RFLAGS_TF;
	b.regs[CX] = 2;
	assert_int_equal(run("f3 aa"), EMULATE_AGAIN);
	assert_int_equal(b.regs[CX], 1);
	expect_done("f3 aa");
	assert_int_equal(b.regs[DI], RAM + 2);
}

static void test_ports(void **state)
{
	u32 first;

	(void)state;
	b.regs[DX] = 0xabcd01f0;
	b.regs[CX] = 3;
	expect_done("f3 66 6d"); /* REP INSW */
	expect_log(0, 'i', 0x1f0, 2, b.log[0].value);
	assert_int_equal(b.logged, 3);
	first = (u32)b.log[0].value;
	assert_int_equal(b.ram[0] | b.ram[1] << 8, first & 0xffff);
	assert_int_equal(b.ram[6], 0); /* words, not more */
	assert_int_equal(b.regs[DI], RAM + 6);
	b.c.rflags |= RFLAGS_DF;
	b.regs[SI] = RAM + 4;
	memcpy(b.ram + 4, "\x78\x56\x34\x12", 4);
	expect_done("6f"); /* OUTSD, backwards */
	expect_log(3, 'o', 0x1f0, 4, 0x12345678);
	assert_int_equal(b.regs[SI], RAM);
	/* A target that faults: the port is not read. */
	b.regs[DI] = ABSENT;
	expect_fault("6c", VEC_PF, ABSENT);
}

/* From the exit's description instead of the bytes. */
static void test_described_io(void **state)
{
	struct insn in;

	(void)state;
	insn_make_string_io(&in, INSN_OUTS, 1, 8, INSN_FS, true, 3, 64);
	b.regs[SI] = RAM - FS_BASE;
	b.regs[CX] = 2;
	b.ram[1] = 0x77;
	assert_int_equal(emulate_insn(&b.c, &in), EMULATE_DONE);
	assert_int_equal(b.last_seg, INSN_FS);
	assert_int_equal(b.logged, 2);
	expect_log(1, 'o', b.regs[DX] & 0xffff, 1, 0x77);
	assert_int_equal(b.c.rip, CODE + 3);
}

/* 32- and 16-bit addresses: pointers wrap and count as wide as they are. */
static void test_address_sizes(void **state)
{
	(void)state;
	b.regs[DI] = 0xffffffff00000000 | RAM;
	b.regs[CX] = 0xffffffff00000002;
	expect_done("67 f3 aa");
	assert_int_equal(b.regs[DI], RAM + 2);
	assert_int_equal(b.regs[CX], 0);
	b.c.mode_bits = 16;
	b.regs[DI] = 0x1234fffe;
	b.regs[CX] = 0xffff0000; /* CX is 0 */
	expect_done("f3 aa");
	assert_int_equal(b.segmentations, 0);
	b.regs[CX] = 0xffff0001;
	assert_int_equal(run("f3 aa"), EMULATE_FAULT);
	assert_int_equal(b.last_seg, INSN_ES);
	assert_int_equal(b.last_offset, 0xfffe);
	b.regs[SI] = 0x1ffff;
	b.segment_faults = true;
	expect_fault("f3 36 ac", VEC_GP, 0); /* LODS from SS */
	assert_int_equal(b.last_seg, INSN_SS);
	assert_int_equal(b.last_offset, 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_budget),       TEST(test_translations),  TEST(test_fault_in_the_middle),
	    TEST(test_comparisons),  TEST(test_single_step),   TEST(test_ports),
	    TEST(test_described_io), TEST(test_address_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
