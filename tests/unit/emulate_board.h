/* SPDX-License-Identifier: Apache-2.0 */
/* Surroundings for tests of the instruction emulator: linear = physical, a few pages of RAM, one device page
 * that writes down its accesses, pages that fault, a port that counts. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib.h"
#include "vcpu/emulate.h"
#include "x86.h"

#define RAM ((u64)0x10000) /* RAM_PAGES pages */
#define RAM_PAGES 4
#define RAM_END (RAM + RAM_PAGES * PAGE_SIZE)
#define DEVICE ((u64)0xfec00000)
#define CODE ((u64)0x400000)
#define ABSENT RAM_END /* faults, as everything else */
#define FS_BASE ((u64)0x3000)
#define PF_CODE 0x1234u /* what the page faults here carry */

enum { AX, CX, DX, BX, SP, BP, SI, DI };

struct access {
	char kind; /* r, w, x (compare and exchange), i, o (ports) */
	u64 address;
	unsigned size;
	u64 value;
};

static struct board {
	u8 ram[RAM_PAGES * PAGE_SIZE];
	struct access log[64]; /* of the device and of ports */
	unsigned logged, translations, segmentations;
	u64 device_value; /* what the device page reads as */
	u64 read_only;    /* linear page that faults on writes */
	int races;        /* compare-and-exchange attempts that another CPU spoils */
	unsigned last_access, last_seg;
	u64 last_offset;
	bool segment_faults;
	u64 regs[16];
	struct emulate_ctx c;
} b;

static void note(char kind, u64 address, unsigned size, u64 value)
{
	assert_true(b.logged < ARRAY_SIZE(b.log));
	b.log[b.logged++] = (struct access){kind, address, size, value};
}

static int board_linear(struct emulate_ctx *c, enum insn_seg seg, u64 offset, unsigned size, unsigned access,
			u64 *linear)
{
	b.segmentations++;
	b.last_seg = seg;
	b.last_offset = offset;
	b.last_access = access;
	(void)size;
	if (b.segment_faults) {
		c->fault = (struct emulate_fault){.vector = VEC_GP, .has_error = true};
		return -1;
	}
	*linear = offset + (seg == INSN_FS ? FS_BASE : 0);
	return 0;
}

static int board_translate(struct emulate_ctx *c, u64 linear, unsigned access, gpa_t *gpa)
{
	bool present = linear - RAM < RAM_PAGES * PAGE_SIZE || linear - DEVICE < PAGE_SIZE;

	b.translations++;
	b.last_access = access;
	if (!present || (access == EMULATE_WRITE && ALIGN_DOWN(linear, PAGE_SIZE) == b.read_only)) {
		c->fault = (struct emulate_fault){VEC_PF, true, PF_CODE, linear};
		return -1;
	}
	*gpa = linear;
	return 0;
}

static u64 board_read(struct emulate_ctx *c, gpa_t gpa, unsigned size)
{
	u64 v = 0;

	(void)c;
	assert_true(gpa % PAGE_SIZE + size <= PAGE_SIZE);
	if (gpa - DEVICE < PAGE_SIZE) {
		v = size == 8 ? b.device_value : b.device_value & (((u64)1 << 8 * size) - 1);
		note('r', gpa, size, v);
	} else {
		memcpy(&v, b.ram + (gpa - RAM), size);
	}
	return v;
}

static void board_write(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 value)
{
	(void)c;
	assert_true(gpa % PAGE_SIZE + size <= PAGE_SIZE);
	if (gpa - DEVICE < PAGE_SIZE)
		note('w', gpa, size, value);
	else
		memcpy(b.ram + (gpa - RAM), &value, size);
}

static int board_cmpxchg(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 *expected, const u64 *desired)
{
	u8 *p = b.ram + (gpa - RAM);

	(void)c;
	if (gpa - DEVICE < PAGE_SIZE)
		return ERR_NOTSUP;
	note('x', gpa, size, *desired);
	if (b.races > 0) { /* another CPU adds 1 */
		b.races--;
		p[0]++;
	}
	if (memcmp(p, expected, size) != 0) {
		memcpy(expected, p, size);
		return ERR_AGAIN;
	}
	memcpy(p, desired, size);
	return 0;
}

static u32 board_port_in(struct emulate_ctx *c, u16 port, unsigned size)
{
	static u32 next = 0x40302010;

	(void)c;
	next += 0x01010101;
	note('i', port, size, next);
	return next;
}

static void board_port_out(struct emulate_ctx *c, u16 port, unsigned size, u32 value)
{
	(void)c;
	note('o', port, size, value);
}

static const struct emulate_ops board_ops = {
    .linear = board_linear,
    .translate = board_translate,
    .read = board_read,
    .write = board_write,
    .cmpxchg = board_cmpxchg,
    .port_in = board_port_in,
    .port_out = board_port_out,
};

/* Each test starts from this: 64-bit mode, RDI and RSI in RAM, RBX on the device, no page known. */
static int board_reset(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	for (unsigned i = 0; i < 16; i++)
		b.regs[i] = 0x1111111111111111u * i;
	b.regs[DI] = RAM;
	b.regs[SI] = RAM + 0x100;
	b.regs[BX] = DEVICE + 0x10;
	b.regs[SP] = RAM + 0x800;
	b.device_value = 0x8877665544332211;
	b.read_only = ABSENT;
	b.c = (struct emulate_ctx){
	    .regs = b.regs,
	    .rip = CODE,
	    .rflags = RFLAGS_FIXED1 | RFLAGS_RF,
	    .ops = &board_ops,
	    .mode_bits = 64,
	    .stack_size = 8,
	};
	return 0;
}

/* Decodes the bytes and executes them once. */
static enum emulate_result run(const char *hex)
{
	u8 bytes[16] = {0};
	unsigned n = 0;
	struct insn in;
	char *end;

	for (; *hex; hex = end + (*end == ' '))
		bytes[n++] = (u8)strtoul(hex, &end, 16);
	assert_int_equal(insn_decode(bytes, 15, b.c.mode_bits, &in), 0);
	assert_int_equal(in.length, n);
	b.c.rip = CODE;
	return emulate_insn(&b.c, &in);
}

static void expect_done(const char *hex)
{
	unsigned n = (unsigned)(strlen(hex) + 1) / 3;

	assert_int_equal(run(hex), EMULATE_DONE);
	assert_int_equal(b.c.rip, CODE + n);
	assert_false(b.c.rflags & RFLAGS_RF);
}

/* The instruction faults and leaves registers, memory and device as they were. */
static void expect_fault(const char *hex, u8 vector, u64 cr2)
{
	struct board before = b;

	assert_int_equal(run(hex), EMULATE_FAULT);
	assert_int_equal(b.c.fault.vector, vector);
	if (vector == VEC_PF) {
		assert_int_equal(b.c.fault.cr2, cr2);
		assert_int_equal(b.c.fault.error, PF_CODE);
	} else {
		assert_int_equal(b.c.fault.error, 0);
	}
	assert_true(b.c.fault.has_error);
	assert_int_equal(b.c.rip, CODE);
	assert_true(b.c.rflags == (before.c.rflags | RFLAGS_RF));
	assert_memory_equal(b.regs, before.regs, sizeof(b.regs));
	assert_memory_equal(b.ram, before.ram, sizeof(b.ram));
	assert_int_equal(b.logged, before.logged);
}

static void expect_log(unsigned i, char kind, u64 address, unsigned size, u64 value)
{
	assert_true(i < b.logged);
	if (b.log[i].kind != kind || b.log[i].address != address || b.log[i].size != size ||
	    b.log[i].value != value)
		fail_msg("access %u: %c %lx size %u value %lx", i, b.log[i].kind,
			 (unsigned long)b.log[i].address, b.log[i].size, (unsigned long)b.log[i].value);
}
