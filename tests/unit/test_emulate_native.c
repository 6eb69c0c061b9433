/* SPDX-License-Identifier: Apache-2.0 */
/* Instruction emulation against the processor of the build host: random instructions with random registers,
 * flags and memory run natively and emulated; registers, defined flags and memory must agree. M7, M66. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "insn_gen.h"
#include "lib.h"
#include "native_run.h"
#include "vcpu/emulate.h"
#include "x86.h"

#define BUFFER (3 * PAGE_SIZE)
#define MARGIN 700 /* what an instruction may reach beyond its address */
#define GPA_BASE ((gpa_t)0xfec00000)
#define STATUS_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF | RFLAGS_DF)

static struct native_code codes[3]; /* 16, 32, 64 bits */
static bool have_segments;
static u8 *buffer;        /* what the native instruction works on */
static u8 shadow[BUFFER]; /* what the emulated one works on */
static u8 initial[BUFFER];

struct test_case {
	const struct native_code *code;
	unsigned mode;
	u8 bytes[16];
	struct insn in;
	u64 regs[16];
	u64 rflags;
	u64 target; /* linear address of the memory operand */
};
static struct test_case current;

/* ---- the emulator's surroundings ---- */
static u64 segment_base(unsigned mode, unsigned seg)
{
	if (mode == 64)
		return seg == INSN_GS ? NATIVE_GS_BASE : 0;
	return seg == INSN_DS || seg == INSN_ES ? (u64)buffer : 0;
}

static int op_linear(struct emulate_ctx *c, enum insn_seg seg, u64 offset, unsigned size, unsigned access,
		     u64 *linear)
{
	(void)size;
	assert_true(access == EMULATE_EXEC ? seg == INSN_CS : c->mode_bits != 64 || seg == INSN_GS);
	*linear = offset + segment_base(c->mode_bits, seg);
	return 0;
}

static int op_translate(struct emulate_ctx *c, u64 linear, unsigned access, gpa_t *gpa)
{
	(void)c, (void)access;
	assert_true(linear - (u64)buffer < BUFFER);
	*gpa = GPA_BASE + (linear - (u64)buffer);
	return 0;
}

static u8 *at(gpa_t gpa, unsigned size)
{
	assert_true(gpa - GPA_BASE < BUFFER && gpa % PAGE_SIZE + size <= PAGE_SIZE);
	return shadow + (gpa - GPA_BASE);
}

static u64 op_read(struct emulate_ctx *c, gpa_t gpa, unsigned size)
{
	u64 v = 0;
	(void)c;
	memcpy(&v, at(gpa, size), size);
	return v;
}

static void op_write(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 value)
{
	(void)c;
	memcpy(at(gpa, size), &value, size);
}

static int op_cmpxchg(struct emulate_ctx *c, gpa_t gpa, unsigned size, u64 *expected, const u64 *desired)
{
	u8 *p = at(gpa, size);

	(void)c;
	if (gen_below(2))
		return ERR_NOTSUP; /* as a device */
	if (memcmp(p, expected, size) != 0) {
		memcpy(expected, p, size);
		return ERR_AGAIN;
	}
	memcpy(p, desired, size);
	return 0;
}

static const struct emulate_ops ops = {
    .linear = op_linear,
    .translate = op_translate,
    .read = op_read,
    .write = op_write,
    .cmpxchg = op_cmpxchg,
};

/* ---- making a case ---- */
/* Bytes of the displacement when there is no base. */
static unsigned displacement_size(const struct test_case *t)
{
	unsigned n = t->in.length;
	bool moffs =
	    t->in.op == INSN_MOV && t->in.base == INSN_NONE && t->in.index == INSN_NONE && t->in.reg == 0;

	if (moffs && n > t->in.addr_size && (t->bytes[n - t->in.addr_size - 1] & 0xfc) == 0xa0)
		return t->in.addr_size;
	return t->in.addr_size == 2 ? 2 : 4;
}

/* Rewrites the displacement in the bytes: it is the only field whose change gives what is wanted. */
static bool patch_displacement(struct test_case *t, u64 disp)
{
	static const u8 behind[] = {0, 1, 2, 4};
	unsigned width = displacement_size(t), unused = 64 - 8 * width;

	for (unsigned i = 0; i < ARRAY_SIZE(behind); i++) {
		u8 bytes[16];
		struct insn in, want = t->in;
		want.disp = (i64)(disp << unused) >> unused;
		memcpy(bytes, t->bytes, 16);
		if (t->in.length < width + behind[i])
			continue;
		memcpy(bytes + t->in.length - behind[i] - width, &disp, width);
		if (insn_decode(bytes, 15, t->mode, &in) || memcmp(&in, &want, sizeof(in)) != 0)
			continue;
		memcpy(t->bytes, bytes, 16);
		t->in = in;
		return true;
	}
	return false;
}

/* Writes the low bits of a register that an address uses; what is above must not matter. */
static void set_address_reg(struct test_case *t, unsigned reg, u64 value)
{
	u64 mask = gen_mask(t->in.addr_size), all = t->mode == 64 ? ~(u64)0 : 0xffffffff;

	t->regs[reg] = ((value & mask) | (gen_random() & ~mask)) & all;
}

/* Makes the operand's offset `wanted` by changing a register or the displacement. */
static bool aim(struct test_case *t, u64 wanted)
{
	const struct insn *in = &t->in;
	u64 index = in->index != INSN_NONE ? t->regs[in->index] << in->scale : 0;

	if (in->base < 16) {
		if (in->base == in->index)
			return false;
		set_address_reg(t, in->base, wanted - (u64)in->disp - index);
		return true;
	}
	if (in->index != INSN_NONE)
		set_address_reg(t, in->index, gen_below(256));
	index = in->index != INSN_NONE ? t->regs[in->index] << in->scale : 0;
	if (in->base == INSN_BASE_RIP)
		index += t->code->hole_ip + in->length;
	return patch_displacement(t, wanted - index);
}

/* The linear address of the operand, computed apart from the emulator's code. */
static u64 linear_of(const struct test_case *t)
{
	const struct insn *in = &t->in;
	__int128 sum = in->disp;

	if (in->base == INSN_BASE_RIP)
		sum += t->code->hole_ip + in->length;
	else if (in->base != INSN_NONE)
		sum += t->regs[in->base];
	if (in->index != INSN_NONE)
		sum += (__int128)t->regs[in->index] << in->scale;
	if (in->op >= INSN_BT && in->op <= INSN_BTC && in->form == INSN_MEM_REG) {
		i64 bit = in->size == 2   ? (i16)t->regs[in->reg]
			  : in->size == 4 ? (i32)t->regs[in->reg]
					  : (i64)t->regs[in->reg];
		i64 bits = 8 * in->size;
		i64 units = bit / bits - (bit % bits < 0);
		sum += units * in->size;
	}
	return ((u64)sum & gen_mask(in->addr_size)) + segment_base(t->mode, in->seg);
}

static bool in_buffer(u64 linear)
{
	return linear - ((u64)buffer + MARGIN) < BUFFER - 2 * MARGIN;
}

static u64 random_target(const struct insn *in)
{
	u64 align = in->size == 16 || in->flags & INSN_F_LOCK || in->op == INSN_XCHG ? in->size : 1;

	if (!gen_below(4)) /* across a page */
		return ALIGN_DOWN((u64)buffer + PAGE_SIZE * (1 + gen_below(2)) - gen_below(in->size + 1u),
				  align);
	return ALIGN_DOWN((u64)buffer + MARGIN + 16 + gen_below(BUFFER - 2 * MARGIN - 32), align);
}

static bool make_string(struct test_case *t)
{
	u64 source = random_target(&t->in) - segment_base(t->mode, t->in.seg);
	u64 target = random_target(&t->in) - segment_base(t->mode, INSN_ES);
	u64 mask = gen_mask(t->in.addr_size);

	/* Intel's and AMD's processors differ in the upper halves after no iteration at all. */
	set_address_reg(t, 1, t->in.addr_size == 8 ? gen_below(60) : 1 + gen_below(60));
	set_address_reg(t, 6, source);
	set_address_reg(t, 7, target);
	if (!gen_below(3)) /* a long comparison */
		memset(initial, gen_below(2), BUFFER);
	return t->in.op != INSN_INS && t->in.op != INSN_OUTS && !(source & ~mask) && !(target & ~mask);
}

/* Operands that decide: comparisons are true sometimes, jumps come back. */
static void plant_equal(const struct test_case *t)
{
	u8 *p = initial + (t->target - (u64)buffer);
	u64 behind = t->code->hole_ip + NATIVE_HOLE;

	if (t->in.op == INSN_CALL || t->in.op == INSN_JMP)
		memcpy(p, &behind, t->in.size);
	if (gen_below(2))
		return;
	if (t->in.op == INSN_CMPXCHG)
		memcpy(p, &t->regs[0], t->in.size);
	if (t->in.op == INSN_CMPXCHG8B) {
		memcpy(p, &t->regs[0], t->in.size / 2);
		memcpy(p + t->in.size / 2, &t->regs[2], t->in.size / 2);
	}
}

/* Instructions that this test cannot run. */
static bool is_excluded(const struct test_case *t)
{
	const struct insn *in = &t->in;

	if (in->op == INSN_POP && (in->base == 4 || in->index == 4))
		return true; /* the address moves with RSP: test_emulate.c */
	if (t->mode == 32 && in->size == 2 && (in->op == INSN_CALL || in->op == INSN_JMP))
		return true; /* to the first 64 KiB */
	if (t->mode == 64 && (in->op == INSN_CALL || in->op == INSN_JMP) &&
	    memchr(t->bytes, 0x66, in->length))
		return true; /* AMD's processors heed 66, Intel's do not */
	if (t->mode == 64)
		return in->seg == INSN_FS;
	return in->seg == INSN_FS || in->seg == INSN_GS || in->seg == INSN_CS;
}

/* False: this one cannot be run natively. */
static bool make_case(struct test_case *t, const struct native_code *code)
{
	const struct insn *in = &t->in;
	u64 wanted;

	t->code = code;
	t->mode = code->mode_bits;
	gen_bytes(t->bytes);
	if (insn_decode(t->bytes, 15, t->mode, &t->in) || is_excluded(t))
		return false;
	for (unsigned i = 0; i < 16; i++)
		t->regs[i] = t->mode == 64 ? gen_value() : i < 8 ? (u32)gen_value() : 0;
	for (unsigned i = 0; i < BUFFER; i += 8)
		memcpy(initial + i, &(u64){gen_random()}, 8);
	t->rflags = RFLAGS_FIXED1 | RFLAGS_IF | (gen_random() & STATUS_FLAGS);
	if (in->form == INSN_STRING)
		return make_string(t);
	if (in->form == INSN_MEM_REG && in->op >= INSN_BT && in->op <= INSN_BTC)
		/* Within the margin on both sides. */
		t->regs[in->reg] =
		    (u64)(i64)((int)gen_below(2000) - 1000) & (t->mode == 64 ? ~(u64)0 : 0xffffffff);
	if (in->flags & INSN_F_STACK && in->base != 4)
		t->regs[4] = random_target(in);
	wanted = random_target(in) - segment_base(t->mode, in->seg);
	if (wanted & ~gen_mask(in->addr_size) || !aim(t, wanted))
		return false;
	t->target = linear_of(t);
	if (!in_buffer(t->target) || (in->flags & INSN_F_STACK && !in_buffer(t->regs[4])))
		return false;
	plant_equal(t);
	return true;
}

/* ---- running it ---- */
static char describe_text[200];

static const char *describe(const struct test_case *t)
{
	int n = 0;

	for (unsigned i = 0; i < t->in.length; i++)
		n += snprintf(describe_text + n, sizeof(describe_text) - (size_t)n, "%02x ", t->bytes[i]);
	snprintf(describe_text + n, sizeof(describe_text) - (size_t)n,
		 "(op %u form %u size %u) flags %lx cl %lx", t->in.op, t->in.form, t->in.size,
		 (unsigned long)t->rflags, (unsigned long)t->regs[1] & 0xff);
	return describe_text;
}

static void on_fault(int signal)
{
	const char *text = describe(&current);

	(void)!write(2, "native fault in ", 16);
	(void)!write(2, text, strlen(text));
	(void)!write(2, "\n", 1);
	_exit(128 + signal);
}

static void native(struct test_case *t, u64 regs[16], u64 *rflags)
{
	struct native_state *s = t->code->state;
	struct native_code code = *t->code;

	memcpy(buffer, initial, BUFFER);
	memcpy(s->regs, t->regs, sizeof(s->regs));
	s->rflags = t->rflags;
	native_run(&code, t->bytes, t->in.length);
	memcpy(regs, s->regs, sizeof(s->regs));
	*rflags = s->rflags;
}

static void emulated(const struct test_case *t, u64 regs[16], u64 *rflags)
{
	struct emulate_ctx c = {
	    .regs = regs,
	    .rip = t->code->hole_ip,
	    .rflags = t->rflags,
	    .ops = &ops,
	    .mode_bits = (u8)t->mode,
	    .stack_size = t->mode == 64 ? 8 : 4,
	};
	bool jumps = t->in.op == INSN_CALL || t->in.op == INSN_JMP;
	enum emulate_result r;
	u64 rip = c.rip;

	memcpy(shadow, initial, BUFFER);
	memcpy(regs, t->regs, sizeof(t->regs));
	if (gen_below(2) && t->in.form != INSN_STRING) { /* as after an EPT violation */
		c.page.linear = ALIGN_DOWN(t->target, PAGE_SIZE);
		c.page.gpa = GPA_BASE + (c.page.linear - (u64)buffer);
		c.page.access = 1 + gen_below(2);
	}
	while ((r = emulate_insn(&c, &t->in)) == EMULATE_AGAIN)
		assert_true(c.rflags & RFLAGS_RF && c.rip == rip);
	if (r != EMULATE_DONE)
		fail_msg("result %d: %s", r, describe(t));
	assert_int_equal(c.rip, rip + (jumps ? NATIVE_HOLE : t->in.length));
	assert_false(c.rflags & RFLAGS_RF);
	*rflags = c.rflags;
}

/* Flags that the manual leaves undefined after this instruction. */
static u64 undefined_flags(const struct test_case *t)
{
	unsigned bits = 8u * t->in.size, count = t->in.form == INSN_MEM_CL ? (u8)t->regs[1] : (u8)t->in.imm;

	switch (t->in.op) {
	case INSN_OR:
	case INSN_AND:
	case INSN_XOR:
	case INSN_TEST:
		return RFLAGS_AF;
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
	case INSN_MUL:
	case INSN_IMUL:
		return RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;
	default:
		break;
	}
	if (t->in.op < INSN_ROL || t->in.op > INSN_SAR)
		return 0;
	count &= t->in.size == 8 ? 63 : 31;
	if (count == 0)
		return 0;
	if (t->in.op <= INSN_RCR)
		return count == 1 ? 0 : RFLAGS_OF;
	return RFLAGS_AF | (count == 1 ? 0 : RFLAGS_OF) |
	       (t->in.op != INSN_SAR && count >= bits ? RFLAGS_CF : 0);
}

static void compare(struct test_case *t)
{
	u64 expected[16], got[16], rflags, got_rflags, mask = STATUS_FLAGS & ~undefined_flags(t);

	native(t, expected, &rflags);
	emulated(t, got, &got_rflags);
	for (unsigned i = 0; i < 16; i++)
		if (got[i] != expected[i])
			fail_msg("register %u is %lx, not %lx (was %lx): %s", i, (unsigned long)got[i],
				 (unsigned long)expected[i], (unsigned long)t->regs[i], describe(t));
	if ((rflags ^ got_rflags) & mask)
		fail_msg("flags are %lx, not %lx: %s", (unsigned long)(got_rflags & mask),
			 (unsigned long)(rflags & mask), describe(t));
	for (unsigned i = 0; memcmp(shadow, buffer, BUFFER) && i < BUFFER; i++)
		if (shadow[i] != buffer[i])
			fail_msg("memory %+ld is %x, not %x (was %x): %s",
				 (long)((u64)buffer + i - t->target), shadow[i], buffer[i], initial[i],
				 describe(t));
}

static int setup(void **state)
{
	u8 *pages = native_low_memory(6 * PAGE_SIZE);

	(void)state;
	buffer = native_low_memory(BUFFER);
	assert_true(pages && buffer);
	for (unsigned i = 0; i < 3; i++)
		native_build(&codes[i], pages + 2 * i * PAGE_SIZE, (void *)(pages + (2 * i + 1) * PAGE_SIZE),
			     16u << i);
	have_segments = native_descriptors(codes[0].page, buffer, BUFFER);
	assert_true(native_gs_base());
	print_message("SEED=%#lx\n", (unsigned long)gen_seed());
	return 0;
}

/* In each test: cmocka installs handlers of its own. */
static void catch_faults(void)
{
	static u8 stack[65536];
	struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};

	sigaltstack(&alternate, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static void run_cases(const struct native_code *code, unsigned cases)
{
	unsigned per_op[INSN_NR_OPS] = {0};

	catch_faults();
	for (unsigned done = 0; done < cases;) {
		if (!make_case(&current, code))
			continue;
		compare(&current);
		per_op[current.in.op]++;
		done++;
	}
	for (unsigned i = 0; i < INSN_NR_OPS; i++)
		if (i != INSN_INS && i != INSN_OUTS && per_op[i] < cases / 3000)
			fail_msg("operation %u ran only %u times", i, per_op[i]);
}

static void test_64bit(void **state)
{
	(void)state;
	run_cases(&codes[2], 100000);
}

static void test_32bit(void **state)
{
	(void)state;
	if (!have_segments)
		skip(); /* a kernel without modify_ldt() */
	run_cases(&codes[1], 40000);
}

static void test_16bit(void **state)
{
	(void)state;
	if (!have_segments)
		skip();
	run_cases(&codes[0], 40000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_64bit),
	    cmocka_unit_test(test_32bit),
	    cmocka_unit_test(test_16bit),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
