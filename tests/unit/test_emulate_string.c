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

/* A device that takes runs of items, `room` of them. */
static u32 room;

static u32 take_run(struct emulate_ctx *c, u16 port, unsigned size, bool in, gpa_t gpa, u32 count)
{
	u32 n = MIN(count, room);

	(void)c;
	assert_true(count >= 1 && gpa % PAGE_SIZE + (u64)count * size <= PAGE_SIZE);
	note(in ? 'I' : 'O', gpa, size, count);
	assert_int_equal(port, 0x1f0);
	if (in)
		memset(b.ram + (gpa - RAM), 0x5a, (size_t)n * size);
	room -= n;
	return n;
}

/* Sets the next instruction up: count items, from or to RAM + at. */
static void run_setup(u64 at, u64 count, u32 device_room)
{
	static struct emulate_ops ops;

	ops = board_ops;
	ops.port_string = take_run;
	b.c.ops = &ops;
	b.regs[DX] = 0x1f0;
	b.regs[DI] = b.regs[SI] = RAM + at;
	b.regs[CX] = count;
	b.logged = 0;
	room = device_room;
}

static void test_runs(void **state)
{
	(void)state;
	run_setup(0, 256, ~0u);
	expect_done("f3 66 6d"); /* a sector */
	assert_int_equal(b.logged, 1);
	expect_log(0, 'I', RAM, 2, 256);
	assert_int_equal(b.regs[DI], RAM + 512);
	assert_int_equal(b.regs[CX], 0);
	assert_int_equal(b.ram[511], 0x5a);
	assert_int_equal(b.ram[512], 0);
	run_setup(PAGE_SIZE - 6, 256, ~0u); /* up to the page, one across it, on */
	expect_done("f3 6f");
	assert_int_equal(b.logged, 3);
	expect_log(0, 'o', 0x1f0, 4, 0);
	expect_log(1, 'o', 0x1f0, 4, 0);
	expect_log(2, 'O', RAM + PAGE_SIZE + 2, 4, 254);
	assert_int_equal(b.regs[SI], RAM + PAGE_SIZE - 6 + 1024);
	run_setup(0, 10, 4); /* the device has enough: the rest one by one */
	expect_done("f3 66 6d");
	expect_log(0, 'I', RAM, 2, 10);
	expect_log(1, 'I', RAM + 8, 2, 6);
	assert_int_equal(b.log[2].kind, 'i');
	assert_int_equal(b.ram[7], 0x5a);
	assert_int_equal(b.regs[DI], RAM + 20);
	run_setup(RAM_PAGES * PAGE_SIZE - 8, 10, ~0u); /* what is there, then the fault */
	assert_int_equal(run("f3 66 6d"), EMULATE_FAULT);
	assert_int_equal(b.c.fault.cr2, RAM_END);
	assert_int_equal(b.regs[CX], 6);
	assert_int_equal(b.regs[DI], RAM_END);
}

/* Where items go one by one, and where a repetition ends without being done. */
static void test_no_runs(void **state)
{
	static u32 attention;

	(void)state;
	run_setup(64, 4, ~0u);
	b.c.rflags |= RFLAGS_DF;
	expect_done("f3 66 6d");
	assert_int_equal(b.log[0].kind, 'i');
	assert_int_equal(b.logged, 4);
	b.c.rflags &= ~RFLAGS_DF;
	run_setup(0, 4, ~0u);
	b.c.rflags |= RFLAGS_TF;
	assert_int_equal(run("f3 66 6d"), EMULATE_AGAIN);
	assert_int_equal(b.regs[CX], 3);
	assert_int_equal(b.log[0].kind, 'i');
	b.c.rflags &= ~RFLAGS_TF;
	run_setup(0, 4, ~0u);
	b.c.mode_bits = 32; /* a limit that holds the first, and not all: board_linear() refuses the lot */
	b.segment_faults = true;
	expect_fault("f3 6d", VEC_GP, 0);
	b.segment_faults = false;
	expect_done("f3 6d");
	expect_log(0, 'I', RAM, 4, 4);
	assert_int_equal(b.last_seg, INSN_ES);
	b.c.mode_bits = 64;
	run_setup(0, 2 * PAGE_SIZE, ~0u); /* an interrupt that the device raises comes in between */
	attention = 1;
	b.c.interrupted = &attention;
	assert_int_equal(run("f3 6c"), EMULATE_AGAIN);
	assert_int_equal(b.regs[CX], PAGE_SIZE);
	attention = 0;
	run_setup(0, ~0ull, ~0u); /* endless: bounded */
	for (unsigned i = 0; i < 4 && b.regs[DI] < RAM_END; i++)
		(void)run("f3 6c");
	assert_true(b.logged <= RAM_PAGES);
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
	    TEST(test_described_io), TEST(test_address_sizes), TEST(test_runs),
	    TEST(test_no_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
