/* SPDX-License-Identifier: Apache-2.0 */
/* Runs each instruction form on the test device's memory and on RAM, from equal registers, flags and
 * contents: the outcome must be equal too. A form marked OPTIONAL may instead give #UD with nothing changed.
 * M66. */
#include "forms.h"
#include "mmio.h"
#include "print.h"

enum form_class {
	FLAGS_MASK = 0xffff,
	OPTIONAL = 1 << 16,
	NEEDS_MOVBE = 1 << 17,
	NEEDS_CX16 = 1 << 18,
	STRING = 1 << 19,
	BITOFFSET = 1 << 20,
	EQUAL = 1 << 21,
};

#define ARITHMETIC_FLAGS 0x8d5ULL
#define WINDOW 96ULL /* bytes compared before and behind the operand */
#define SEEDS 6U
#define SEL_FORMS16 SEL_FREE
#define SEL_WINDOW_ES (SEL_FREE + 8)
#define SEL_WINDOW_DS (SEL_FREE + 16)
#define SEL_WINDOW_GS (SEL_FREE + 24)
#define WINDOW16 0x1040 /* offset of the operand in the 16-bit segments */
#define BASE16 0x7000
#define DISP64 0x12345678
#define DISP32 0x11223344

extern const struct form forms64[], forms64_end[], forms32[], forms32_end[], forms16[], forms16_end[];
extern char forms16_code[];
void form_call64(void *), form_call32(void *), form_call16(void *);

struct state form_state, form_aimed;
u64 form_code;
u8 ram_twin[MMIO_SIZE] __attribute__((aligned(4096)));

static unsigned code_bits, refused;

u64 random64(void)
{
	static u64 x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

bool mmio_present(void)
{
	volatile u32 *m = (volatile u32 *)MMIO_BASE;

	*m = 0x600dcafe;
	if (*m == 0x600dcafe)
		return true;
	test_skip("no test device");
	return false;
}

static volatile u32 *window(u64 at)
{
	return (volatile u32 *)((at - WINDOW) & ~3ULL);
}

static void window_fill(u64 at, unsigned seed, u32 salt)
{
	volatile u32 *w = window(at);
	u32 v = seed * 2654435761U + salt;

	for (unsigned i = 0; i < 2 * WINDOW / 4; i++) {
		v = v * 1664525 + 1013904223;
		w[i] = seed == 2 ? 0x5a5a5a5a : seed == 3 ? 0 : v;
	}
}

static void state_common(struct state *s, const struct form *f, unsigned seed)
{
	u64 *r = &s->rax;

	for (unsigned i = 0; i < 15; i++)
		r[i] = random64();
	s->flags = RFLAGS_FIXED | (random64() & ARITHMETIC_FLAGS);
	if (f->class & BITOFFSET)
		s->rcx = (u64)((i64)(s->rcx << 54) >> 54);
	if (f->class & STRING) {
		s->rcx = seed == 5 ? 0 : 1 + s->rcx % 9;
		s->flags |= seed & 1 ? RFLAGS_DF : 0;
		if (seed == 2)
			s->rax = 0x5a5a5a5a5a5a5a5aULL;
	}
}

static u32 segment(unsigned slot_selector, u64 base, u64 type)
{
	boot_gdt[slot_selector / 8] =
	    0xffff | (base & 0xffffff) << 16 | type << 40 | (base >> 24 & 0xff) << 56;
	return slot_selector;
}

static void load_segments(u32 ds, u32 es, u32 fs, u32 gs)
{
	__asm__ volatile("mov %0, %%ds\n\tmov %1, %%es\n\tmov %2, %%fs\n\tmov %3, %%gs" ::"r"(ds), "r"(es),
			 "r"(fs), "r"(gs));
}

/* Gives the pointers of the run to the registers, and the segments their bases. */
static void aim(struct state *s, const struct form *f, const struct place *p)
{
	if (code_bits == 64) {
		s->rdi = s->rbp = s->r11 = s->r12 = s->r13 = p->target;
		s->rsi = p->second;
		s->r8 &= 7;
		s->r9 = p->target & ~15ULL;
		s->r10 = p->target - DISP64;
		wrmsr(MSR_FS_BASE, f->class & STRING ? 0 : p->target - 0x40);
		wrmsr(MSR_GS_BASE, p->target - 0x40);
		return;
	}
	if (code_bits == 32) {
		s->rdi = s->rbp = p->target;
		s->rsi = f->class & STRING ? p->second : DISP32;
		load_segments(SEL_DATA, SEL_DATA, SEL_DATA,
			      segment(SEL_WINDOW_GS, p->target - 0x40, 0x93) & 0xffff);
		return;
	}
	s->rbp = s->rdi = WINDOW16;
	s->rbx = (s->rbx & ~0xffffULL) | BASE16;
	s->rsi = (s->rsi & ~0xffffULL) | (f->class & STRING ? WINDOW16 : (WINDOW16 - BASE16) & 0xffff);
	load_segments(segment(SEL_WINDOW_DS, p->second - WINDOW16, 0x93),
		      segment(SEL_WINDOW_ES, p->target - WINDOW16, 0x93), SEL_DATA, SEL_DATA);
}

u32 form_run_at(const struct form *f, unsigned bits, const struct place *p, const struct state *from,
		struct state *out)
{
	u32 vector;

	code_bits = bits;
	segment(SEL_FORMS16, (u64)forms16_code, 0x9b);
	form_state = *from;
	aim(&form_state, f, p);
	form_aimed = form_state;
	form_code = code_bits == 16 ? f->code - (u64)forms16_code : f->code;
	vector = trap_catch(code_bits == 64   ? form_call64
			    : code_bits == 32 ? form_call32
					      : form_call16,
			    NULL);
	load_segments(0, 0, 0, 0);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
	*out = form_state;
	return vector;
}

/* Registers equal, pointers by how far they moved. */
static bool same_registers(const struct state *a, const struct state *b, const struct place *pa,
			   const struct place *pb)
{
	const u64 *x = &a->rax, *y = &b->rax;

	for (unsigned i = 0; i < 15; i++) {
		u64 d = x[i] - y[i];
		u64 mask = code_bits == 64 ? UINT64_MAX : UINT32_MAX;

		if (i >= 7 && code_bits != 64)
			break;
		if ((d & mask) && ((d - (pa->target - pb->target)) & mask) &&
		    ((d - (pa->second - pb->second)) & mask) &&
		    ((d - ((pa->target & ~15ULL) - (pb->target & ~15ULL))) & mask))
			return false;
	}
	return true;
}

static bool same_window(u64 a, u64 b)
{
	for (unsigned i = 0; i < 2 * WINDOW / 4; i++) {
		if (window(a)[i] != window(b)[i])
			return false;
	}
	return true;
}

static void fill(const struct form *f, const struct place *p, unsigned seed)
{
	window_fill(p->target, seed, 0);
	if (p->second != p->target)
		window_fill(p->second, seed, f->class & STRING && seed == 4 ? 0 : 77);
}

static void compare(const struct form *f, const struct place *m, const struct place *r, unsigned seed)
{
	struct state start, on_ram, on_mmio;
	u32 vector;
	bool ok;

	state_common(&start, f, seed);
	fill(f, m, seed);
	fill(f, r, seed);
	if ((f->class & EQUAL) && (seed & 1))
		memcpy(&start.rax, (const void *)r->target, 8);
	vector = form_run_at(f, code_bits, m, &start, &on_mmio);
	if (vector == VEC_UD && (f->class & OPTIONAL)) {
		refused += seed == 0;
		ok = same_window(m->target, r->target) && same_window(m->second, r->second);
		expect(ok, "%u bits: %s: #UD, but memory changed", code_bits, f->name);
		return;
	}
	if (!expect(vector == NO_FAULT, "%u bits: %s: vector %u, rip 0x%lx", code_bits, f->name, vector,
		    trap_last.rip))
		return;
	form_run_at(f, code_bits, r, &start, &on_ram);
	ok = same_registers(&on_mmio, &on_ram, m, r);
	expect(ok, "%u bits, seed %u: %s: registers differ", code_bits, seed, f->name);
	expect(!((on_mmio.flags ^ on_ram.flags) & f->class & FLAGS_MASK),
	       "%u bits, seed %u: %s: flags 0x%lx instead of 0x%lx", code_bits, seed, f->name, on_mmio.flags,
	       on_ram.flags);
	ok = same_window(m->target, r->target) && same_window(m->second, r->second);
	expect(ok, "%u bits, seed %u: %s: memory differs", code_bits, seed, f->name);
}

/* Offsets of the operand within the device: aligned, not aligned, across a page. */
static const u16 offsets[SEEDS] = {0x1080, 0x1087, 0x2ffd, 0x1081, 0x2fff, 0x1084};

static void run_form(const struct form *f)
{
	u64 ram = (u64)ram_twin;

	for (unsigned seed = 0; seed < SEEDS; seed++) {
		u64 t = offsets[seed], s = offsets[seed] + 0x4000U;
		struct place twin = {ram + t, ram + s};
		struct place device[3] = {{MMIO_BASE + t, ram + 0x8000 + s},
					  {MMIO_BASE + t, MMIO_BASE + s},
					  {ram + 0x8000 + t, MMIO_BASE + s}};

		if (!(f->class & STRING)) {
			device[0].second = device[0].target;
			twin.second = twin.target;
			compare(f, &device[0], &twin, seed);
			continue;
		}
		for (unsigned i = 0; i < 3; i++)
			compare(f, &device[i], &twin, seed);
	}
}

static void run_table(const struct form *first, const struct form *end, unsigned bits)
{
	unsigned n = 0;

	if (!mmio_present())
		return;
	code_bits = bits;
	refused = 0;
	__asm__ volatile("fninit");
	for (const struct form *f = first; f < end; f++) {
		if ((f->class & NEEDS_MOVBE) && !(cpuid(1, 0).ecx & BIT(22)))
			continue;
		if ((f->class & NEEDS_CX16) && !(cpuid(1, 0).ecx & BIT(13)))
			continue;
		run_form(f);
		n++;
	}
	print("%u-bit code: %u forms, %u of the optional ones refused\n", bits, n, refused);
}

void forms64_test(void)
{
	run_table(forms64, forms64_end, 64);
}

void forms32_test(void)
{
	run_table(forms32, forms32_end, 32);
}

void forms16_test(void)
{
	run_table(forms16, forms16_end, 16);
}
