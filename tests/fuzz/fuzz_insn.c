/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the instruction decoder and the emulator behind it. Input: a byte of choices, 16 bytes of code (as
 * many as there are), then what registers hold, what memory reads as and where it faults. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib.h"
#include "vcpu/emulate.h"
#include "x86.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}
#define REQUIRE(cond) require(cond, #cond)

/* ---- the rest of the input, and zeros when it has ended ---- */
static const u8 *rest, *rest_end;
static unsigned reads, writes, translations;

static u64 next(unsigned n)
{
	u64 v = 0;

	for (unsigned i = 0; i < n && rest < rest_end; i++)
		v |= (u64)*rest++ << (8 * i);
	return v;
}

static bool is_size(unsigned size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static bool is_canonical(u64 linear)
{
	return (u64)((i64)(linear << 16) >> 16) == linear;
}

/* ---- the emulator's surroundings: half of all addresses fault ---- */
static int raise(struct emulate_ctx *c, u8 vector, u64 cr2)
{
	c->fault = (struct emulate_fault){vector, true, 0, cr2};
	return -1;
}

static int op_linear(struct emulate_ctx *c, enum insn_seg seg, u64 offset, unsigned size, unsigned access,
		     u64 *linear)
{
	REQUIRE(seg <= INSN_GS && size >= 1 && size <= 16);
	REQUIRE(access == EMULATE_READ || access == EMULATE_WRITE || access == EMULATE_EXEC);
	REQUIRE(c->mode_bits != 64 || seg >= INSN_FS);
	*linear = c->mode_bits == 64 ? (u64)((i64)(offset << 16) >> 16) : (u32)(offset + 0x1230);
	if (!is_canonical(*linear + size - 1)) /* as the contract says */
		return raise(c, VEC_GP, 0);
	return next(1) & 0x10 ? raise(c, VEC_GP, 0) : 0;
}

static int op_translate(struct emulate_ctx *c, u64 linear, unsigned access, gpa_t *gpa)
{
	REQUIRE(is_canonical(linear));
	REQUIRE(access == EMULATE_READ || access == EMULATE_WRITE);
	translations++;
	*gpa = (linear ^ 0x5000) & 0xfffffffff;
	return next(1) & 0x10 ? raise(c, VEC_PF, linear) : 0;
}

static u64 op_read(struct emulate_ctx *c, gpa_t gpa, unsigned size)
{
	(void)c;
	REQUIRE(is_size(size) && gpa % PAGE_SIZE + size <= PAGE_SIZE);
	reads++;
	return next(size);
}

static void op_write(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 value)
{
	(void)c;
	REQUIRE(is_size(size) && gpa % PAGE_SIZE + size <= PAGE_SIZE);
	REQUIRE(size == 8 || !(value >> 8 * size));
	writes++;
}

static int op_cmpxchg(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 *expected, const u64 *desired)
{
	static const int answers[4] = {0, ERR_AGAIN, ERR_NOTSUP, 0};
	int answer = answers[next(1) & 3];

	(void)c, (void)desired;
	REQUIRE((is_size(size) || size == 16) && gpa % PAGE_SIZE + size <= PAGE_SIZE);
	if (answer == ERR_AGAIN) {
		expected[0] = next(size < 8 ? size : 8);
		if (size == 16)
			expected[1] = next(8);
	}
	if (!answer)
		writes++;
	return answer;
}

static u32 op_port_in(struct emulate_ctx *c, u16 port, unsigned size)
{
	(void)c, (void)port;
	REQUIRE(size == 1 || size == 2 || size == 4);
	reads++;
	return (u32)next(4); /* more than was asked for */
}

static void op_port_out(struct emulate_ctx *c, u16 port, unsigned size, u32 value)
{
	(void)c, (void)port;
	REQUIRE(size == 4 || ((size == 1 || size == 2) && !(value >> 8 * size)));
	writes++;
}

static const struct emulate_ops ops = {
    .linear = op_linear,
    .translate = op_translate,
    .read = op_read,
    .write = op_write,
    .cmpxchg = op_cmpxchg,
    .port_in = op_port_in,
    .port_out = op_port_out,
};

/* ---- the decoder's promises ---- */
static void check_insn(const struct insn *in, unsigned mode)
{
	REQUIRE(in->op < INSN_NR_OPS && in->form <= INSN_MEM_CL);
	REQUIRE(is_size(in->size) || (in->size == 16 && in->op == INSN_CMPXCHG8B));
	REQUIRE(in->reg < 20 || in->reg == INSN_NONE);
	REQUIRE(is_size(in->reg_size));
	REQUIRE(in->base <= INSN_BASE_RIP || in->base == INSN_NONE);
	REQUIRE(in->index < 16 || in->index == INSN_NONE);
	REQUIRE(in->scale < 4 && in->seg <= INSN_GS && in->rep <= INSN_REPNE);
	REQUIRE(in->addr_size == 2 || in->addr_size == 4 || in->addr_size == 8);
	REQUIRE(mode == 64 ? in->addr_size != 2 : in->addr_size != 8);
	REQUIRE(mode == 64 || (in->reg_size != 8 && in->base != INSN_BASE_RIP));
	REQUIRE(!(in->flags & INSN_F_FLAT) || (mode == 64 && in->seg < INSN_FS));
}

static int decode(const u8 *code, size_t n, unsigned mode, struct insn *in)
{
	u8 *exact = malloc(n ? n : 1);
	int err;

	memcpy(exact, code, n);
	err = insn_decode(exact, n, mode, in);
	free(exact);
	return err;
}

static bool check_decode(const u8 *code, size_t n, unsigned mode, struct insn *in)
{
	struct insn again;
	int err = decode(code, n, mode, in);

	REQUIRE(err == 0 || err == ERR_NOTSUP || err == ERR_AGAIN || err == ERR_TOOLONG);
	if (err == ERR_AGAIN)
		REQUIRE(n < INSN_MAX_LENGTH);
	if (err == ERR_TOOLONG)
		REQUIRE(n >= INSN_MAX_LENGTH);
	if (err)
		return false;
	REQUIRE(in->length >= 1 && in->length <= INSN_MAX_LENGTH && in->length <= n);
	check_insn(in, mode);
	for (size_t k = 0; k < in->length; k++)
		REQUIRE(decode(code, k, mode, &again) == ERR_AGAIN);
	REQUIRE(decode(code, in->length, mode, &again) == 0 && memcmp(in, &again, sizeof(again)) == 0);
	return true;
}

static void check_execution(const struct insn *in, unsigned mode, u8 choices)
{
	u64 regs[16], before[16];
	struct emulate_ctx c = {.regs = regs, .ops = &ops, .mode_bits = (u8)mode};
	enum emulate_result r;
	u64 rip;

	for (unsigned i = 0; i < 16; i++)
		before[i] = regs[i] = next(8);
	c.rip = rip = next(6) & (mode == 64 ? ~(u64)0 : 0xffffffff);
	c.rflags = next(3);
	c.stack_size = mode == 64 ? 8 : choices & 0x40 ? 4 : 2;
	c.page = (struct emulate_page){next(4) << 12, next(3) << 12, choices >> 4 & 3};
	if (c.page.access > EMULATE_WRITE)
		c.page.access = 0;
	reads = writes = translations = 0;
	r = emulate_insn(&c, in);
	REQUIRE(r == EMULATE_DONE || r == EMULATE_AGAIN || r == EMULATE_FAULT);
	REQUIRE(reads <= 32 * EMULATE_MAX_ITERATIONS && writes <= 32 * EMULATE_MAX_ITERATIONS);
	if (r == EMULATE_DONE) {
		REQUIRE(!(c.rflags & RFLAGS_RF));
		return;
	}
	REQUIRE(c.rip == rip);
	if (r == EMULATE_AGAIN)
		REQUIRE(in->rep || in->flags & INSN_F_LOCK || in->op == INSN_XCHG);
	if (r == EMULATE_FAULT && in->form != INSN_STRING) {
		REQUIRE(writes == 0 && memcmp(regs, before, sizeof(regs)) == 0);
		REQUIRE(reads == 0 || in->op == INSN_CALL || in->op == INSN_JMP);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned modes[4] = {16, 32, 64, 64};
	size_t n;
	struct insn in;

	if (!size)
		return 0;
	n = MIN(size - 1, (size_t)16);
	rest = data + 1 + n;
	rest_end = data + size;
	if (check_decode(data + 1, n, modes[data[0] & 3], &in))
		check_execution(&in, modes[data[0] & 3], data[0]);
	return 0;
}
