/* SPDX-License-Identifier: Apache-2.0 */
/* Port I/O of every size and form against the test device's 32-bit latch at 0xe0 to 0xe3. M66, M67. */
#include "forms.h"
#include "mmio.h"

#define LATCH 0xe0
#define DATA_VA 0xa00000000ULL
#define FORM_SIZE 0xff
#define FORM_INPUT 0x100
#define FORM_REPEAT 0x200

extern const struct form ports64[], ports64_end[], ports32[], ports32_end[], ports16[], ports16_end[];

static bool latch_present(void)
{
	outl(LATCH, 0x12345678);
	if (inl(LATCH) == 0x12345678)
		return true;
	test_skip("no test device");
	return false;
}

static u64 in_keeps(unsigned size)
{
	u64 rax = 0xffeeddccbbaa9988ULL;

	if (size == 1)
		__asm__ volatile("inb %%dx, %%al" : "+a"(rax) : "d"(LATCH));
	else if (size == 2)
		__asm__ volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(LATCH));
	else
		__asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(LATCH));
	return rax;
}

void port_sizes_test(void)
{
	u32 model;

	if (!latch_present())
		return;
	expect_eq(in_keeps(1), 0xffeeddccbbaa9978ULL, "RAX behind IN al");
	expect_eq(in_keeps(2), 0xffeeddccbbaa5678ULL, "RAX behind IN ax");
	expect_eq(in_keeps(4), 0x12345678, "RAX behind IN eax");
	__asm__ volatile("inb $0xe1, %%al\n\tmovzbl %%al, %0" : "=r"(model)::"eax");
	expect_eq(model, 0x56, "IN al, 0xe1");
	__asm__ volatile("movl $0xcafe4321, %%eax\n\toutw %%ax, $0xe2" ::: "eax");
	expect_eq(inl(LATCH), 0x43215678, "OUT 0xe2, ax");
	model = inl(LATCH);
	for (unsigned i = 0; i < 300; i++) {
		u32 v = (u32)random64();
		unsigned offset = v % 4, size = 1U << (v >> 8) % 3;
		u32 mask, got;

		if (offset % size) /* the device of QEMU takes aligned accesses only */
			continue;
		mask = (u32)(BIT(8 * size) - 1) << 8 * offset;
		model = (model & ~mask) | (v << 8 * offset & mask);
		if (size == 1)
			outb((u16)(LATCH + offset), (u8)v);
		else if (size == 2)
			outw((u16)(LATCH + offset), (u16)v);
		else
			outl(LATCH, v);
		got = size == 1   ? inb((u16)(LATCH + offset))
		      : size == 2 ? inw((u16)(LATCH + offset))
				  : inl(LATCH);
		expect(got == (model & mask) >> 8 * offset, "%u bytes at 0x%x: 0x%x", size, LATCH + offset,
		       got);
		expect(inl(LATCH) == model, "latch 0x%x instead of 0x%x", inl(LATCH), model);
	}
}

/* A long string of each size and direction, across a page. */
void port_strings_test(void)
{
	u8 *buffer = (u8 *)mem_alloc(3) + PAGE_SIZE - 200;
	u64 n = 100;
	u32 *end = (u32 *)buffer;

	if (!latch_present())
		return;
	for (unsigned i = 0; i < 400; i++)
		buffer[i] = (u8)(i * 13);
	__asm__ volatile("rep outsl" : "+S"(end), "+c"(n) : "d"(LATCH) : "memory");
	expect(!n && end == (u32 *)buffer + 100, "registers behind REP OUTSD");
	expect_eq(inl(LATCH), ((u32 *)buffer)[99], "last one out");
	outl(LATCH, 0xa1b2c3d4);
	n = 100;
	end = (u32 *)buffer;
	__asm__ volatile("rep insl" : "+D"(end), "+c"(n) : "d"(LATCH) : "memory");
	expect(!n && end == (u32 *)buffer + 100, "registers behind REP INSD");
	for (unsigned i = 0; i < 100; i++)
		expect(((u32 *)buffer)[i] == 0xa1b2c3d4, "dword %u in", i);
	expect_eq(((u32 *)buffer)[100], 0, "dword behind the end");
}

static struct regs at_fault;
static u64 repaired_pa;
static unsigned faults;

static void repair_handler(struct regs *r)
{
	at_fault = *r;
	faults++;
	page_map(DATA_VA + PAGE_SIZE, repaired_pa, PTE_RAM);
}

static void expect_fault_state(u64 rcx, u64 error, const char *what)
{
	expect_eq(faults, 1, what);
	expect_eq(at_fault.rcx, rcx, what);
	expect_eq(at_fault.error, error, what);

	faults = 0;
}

/* INS and OUTS whose memory side faults at the fifth of ten elements. */
void port_string_faults_test(void)
{
	u8 *pages = mem_alloc(2), *p = (u8 *)DATA_VA + PAGE_SIZE - 8;
	u64 n = 10;

	if (!latch_present())
		return;
	repaired_pa = (u64)pages + PAGE_SIZE;
	page_map(DATA_VA, (u64)pages, PTE_RAM);
	page_unmap(DATA_VA + PAGE_SIZE);
	trap_handler(VEC_PF, repair_handler);
	outl(LATCH, 0x7788);
	__asm__ volatile("rep insw" : "+D"(p), "+c"(n) : "d"(LATCH) : "memory");
	expect_fault_state(6, 2, "REP INSW at an absent page");
	for (unsigned i = 0; i < 10; i++)
		expect(((u16 *)(DATA_VA + PAGE_SIZE - 8))[i] == 0x7788, "word %u", i);
	page_unmap(DATA_VA + PAGE_SIZE);
	p = (u8 *)DATA_VA + PAGE_SIZE - 8;
	n = 10;
	__asm__ volatile("rep outsw" : "+S"(p), "+c"(n) : "d"(LATCH) : "memory");
	expect_fault_state(6, 0, "REP OUTSW at an absent page");
	expect_eq(inw(LATCH), 0x7788, "last word out");
	*page_entry(DATA_VA + PAGE_SIZE) = repaired_pa | PTE_P;
	invlpg((void *)(DATA_VA + PAGE_SIZE));
	p = (u8 *)DATA_VA + PAGE_SIZE;
	__asm__ volatile("insb" : "+D"(p) : "d"(LATCH) : "memory");
	expect_fault_state(at_fault.rcx, 3, "INSB at a read-only page");
	expect_eq((u64)p, DATA_VA + PAGE_SIZE + 1, "RDI behind INSB");
	trap_handler(VEC_PF, NULL);
	page_unmap(DATA_VA);
	page_unmap(DATA_VA + PAGE_SIZE);
}

/* What one form must leave behind, computed here. */
static void check_form(const struct form *f, const struct place *p, u64 count, bool down)
{
	unsigned size = f->class & FORM_SIZE;
	i64 step = down ? -(i64)size : (i64)size;
	u64 mask = BIT(8 * size) - 1, moved = (f->class & FORM_REPEAT) ? count : 1;
	u64 latch = inl(LATCH);

	if (f->class & FORM_INPUT) {
		for (u64 i = 0; i < moved; i++) {
			u64 got = 0;

			memcpy(&got, (const void *)(p->target + (u64)((i64)i * step)), size);
			expect(got == (0xc0ffee42 & mask), "%s: element %lu is 0x%lx", f->name, i, got);
		}
		return;
	}
	if (moved) {
		u64 last = 0;

		memcpy(&last, (const void *)(p->second + (u64)((i64)(moved - 1) * step)), size);
		expect((latch & mask) == last, "%s: latch 0x%lx instead of 0x%lx", f->name, latch & mask,
		       last);
	}
}

static void run_port_form(const struct form *f, unsigned bits, u64 count, bool down)
{
	struct place p = {(u64)ram_twin + 0x1080, (u64)ram_twin + 0x5080};
	struct state before, after;
	unsigned size = f->class & FORM_SIZE;
	u64 moved = (f->class & FORM_REPEAT) ? count : 1;
	u64 distance = down ? 0 - moved * size : moved * size, mask = bits == 16 ? 0xffff : UINT32_MAX;
	u32 vector;

	for (unsigned i = 0; i < MMIO_SIZE / 8; i++)
		((u64 *)ram_twin)[i] = random64();
	outl(LATCH, 0xc0ffee42);
	memset(&before, 0, sizeof(before));
	before.rcx = count;
	before.rdx = LATCH;
	before.rax = 0x1122334455667788ULL;
	before.flags = RFLAGS_FIXED | (down ? RFLAGS_DF : 0) | 1;
	vector = form_run_at(f, bits, &p, &before, &after);
	if (!expect(vector == NO_FAULT, "%u bits: %s: vector %u", bits, f->name, vector))
		return;
	check_form(f, &p, count, down);
	expect((after.rcx & mask) == ((f->class & FORM_REPEAT) ? 0 : count), "%u bits: %s: RCX 0x%lx", bits,
	       f->name, after.rcx);
	expect(((after.rdi - form_aimed.rdi) & mask) == ((f->class & FORM_INPUT ? distance : 0) & mask) &&
		   ((after.rsi - form_aimed.rsi) & mask) == ((f->class & FORM_INPUT ? 0 : distance) & mask),
	       "%u bits: %s: pointers 0x%lx, 0x%lx", bits, f->name, after.rsi, after.rdi);
	expect((after.flags & ~RFLAGS_DF) == (before.flags & ~RFLAGS_DF), "%u bits: %s: flags 0x%lx", bits,
	       f->name, after.flags);
}

static void run_port_forms(const struct form *first, const struct form *end, unsigned bits)
{
	for (const struct form *f = first; f < end; f++) {
		run_port_form(f, bits, 7, false);
		run_port_form(f, bits, 7, true);
		run_port_form(f, bits, 1, false);
		run_port_form(f, bits, 0, false);
	}
}

void port_string_forms_test(void)
{
	if (!latch_present())
		return;
	run_port_forms(ports64, ports64_end, 64);
	run_port_forms(ports32, ports32_end, 32);
	run_port_forms(ports16, ports16_end, 16);
}
