/* SPDX-License-Identifier: Apache-2.0 */
/* Memory-mapped I/O where addresses and pages matter: absolute and RIP-relative operands, instructions and
 * operands across pages, long strings, faults in the middle of a string. */
#include "apic.h"
#include "mmio.h"

#define ALIAS 0x40000000ULL /* within 2 GiB of the code, RAM of no test machine */
#define CODE_VA 0x900000000ULL
#define DATA_VA 0xa00000000ULL
#define TIMER_VECTOR 0x62

static u8 *emit(u8 *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

/* prefix, opcode, address of n bytes; RAX comes from the argument and goes back as the result. */
static u64 run_absolute(u8 *code, const u8 *opcode, size_t n, u64 address, size_t address_bytes, u64 rax)
{
	u8 *p = emit(code, (const u8[]){0x48, 0x89, 0xf8}, 3); /* MOV rax, rdi */

	p = emit(p, opcode, n);
	p = emit(p, &address, address_bytes);
	emit(p, (const u8[]){0xc3}, 1);
	return ((u64(*)(u64))code)(rax);
}

/* MOV between the accumulator and an absolute address, opcodes A0 to A3. */
void absolute_test(void)
{
	static const struct {
		u8 n, bytes[4], address_bytes;
	} rows[] = {
	    {1, {0xa0}, 8},       {2, {0x66, 0xa1}, 8}, {1, {0xa1}, 8},       {2, {0x48, 0xa1}, 8},
	    {1, {0xa2}, 8},       {2, {0x66, 0xa3}, 8}, {1, {0xa3}, 8},       {2, {0x48, 0xa3}, 8},
	    {2, {0x67, 0xa0}, 4}, {2, {0x67, 0xa1}, 4}, {2, {0x67, 0xa3}, 4}, {3, {0x67, 0x48, 0xa3}, 4},
	};
	u8 *code = mem_alloc(1);
	volatile u64 *m = (volatile u64 *)(MMIO_BASE + 0x238), *r = (volatile u64 *)(ram_twin + 0x238);

	if (!mmio_present())
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 rax = random64(), on_mmio, on_ram;

		*m = *r = random64();
		on_mmio = run_absolute(code, rows[i].bytes, rows[i].n, (u64)m, rows[i].address_bytes, rax);
		on_ram = run_absolute(code, rows[i].bytes, rows[i].n, (u64)r, rows[i].address_bytes, rax);
		expect(on_mmio == on_ram && *m == *r, "opcode 0x%x of row %u: 0x%lx, 0x%lx", rows[i].bytes[0],
		       i, on_mmio, *m);
	}
}

/* The displacement counts from the end of the instruction, behind an immediate too. */
void rip_relative_test(void)
{
	static const struct {
		u8 n, bytes[4], immediates;
	} rows[] = {
	    {2, {0x8b, 0x05}, 0},
	    {2, {0x89, 0x3d}, 0},
	    {2, {0xc7, 0x05}, 4},
	    {2, {0x80, 0x0d}, 1},
	    {3, {0x48, 0x81, 0x05}, 4},
	    {3, {0x66, 0x81, 0x35}, 2},
	    {4, {0x48, 0x0f, 0xb7, 0x05}, 0},
	};
	u8 *code = mem_alloc(1);
	u64 ram = (u64)mem_alloc(1);

	if (!mmio_present())
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 results[2], contents[2], start = random64();

		for (unsigned on_ram = 0; on_ram < 2; on_ram++) {
			u8 *p = emit(code, (const u8[]){0x31, 0xc0}, 2); /* XOR eax, eax */
			u64 end = (u64)p + rows[i].n + 4 + rows[i].immediates;
			u32 displacement = (u32)(ALIAS + 0x18 - end), immediate = 0x13579bdf;

			page_map(ALIAS, on_ram ? ram : MMIO_BASE + 0x3000, PTE_UC);
			*(volatile u64 *)(ALIAS + 0x18) = start;
			p = emit(p, rows[i].bytes, rows[i].n);
			p = emit(p, &displacement, 4);
			p = emit(p, &immediate, rows[i].immediates);
			emit(p, (const u8[]){0xc3}, 1);
			results[on_ram] = ((u64(*)(u64))code)(0x2468ace02468ace0ULL);
			contents[on_ram] = *(volatile u64 *)(ALIAS + 0x18);
		}
		expect(results[0] == results[1] && contents[0] == contents[1], "row %u: 0x%lx, 0x%lx", i,
		       results[0], contents[0]);
	}
	page_map(ALIAS, ALIAS, PTE_RAM);
}

/* The bytes of the instruction lie on two pages that are no neighbours in physical memory. */
void code_crossing_test(void)
{
	/* MOV dword [rdi + 0x100], 0x11223344 */
	static const u8 insn[] = {0xc7, 0x87, 0x00, 0x01, 0x00, 0x00, 0x44, 0x33, 0x22, 0x11, 0xc3};
	u8 *pages = mem_alloc(3);
	volatile u32 *m = (volatile u32 *)(MMIO_BASE + 0x4100);

	if (!mmio_present())
		return;
	page_map(CODE_VA, (u64)pages + 2 * PAGE_SIZE, PTE_RAM);
	page_map(CODE_VA + PAGE_SIZE, (u64)pages, PTE_RAM);
	for (u64 before = 1; before < sizeof(insn); before++) {
		u8 *at = (u8 *)(CODE_VA + PAGE_SIZE - before);

		emit(at, insn, sizeof(insn));
		*m = 0;
		((void (*)(u64))at)(MMIO_BASE + 0x4000);
		expect(*m == 0x11223344, "%lu bytes on the first page: 0x%x", before, *m);
	}
	page_unmap(CODE_VA);
	page_unmap(CODE_VA + PAGE_SIZE);
}

static void crossing_write(void *value)
{
	*(volatile u64 *)(DATA_VA + PAGE_SIZE - 3) = *(const u64 *)value;
}

/* One operand on two pages that are mapped to different places of the device; then to RAM and the device. */
void mapped_crossing_test(void)
{
	volatile u8 *low = (volatile u8 *)(MMIO_BASE + 0x2000), *high = (volatile u8 *)(MMIO_BASE + 0x9000);
	u64 ram = (u64)mem_alloc(1), v = 0x8877665544332211ULL;
	u32 vector;

	if (!mmio_present())
		return;
	page_map(DATA_VA, (u64)low, PTE_UC);
	page_map(DATA_VA + PAGE_SIZE, (u64)high, PTE_UC);
	crossing_write(&v);
	for (unsigned i = 0; i < 8; i++) {
		u8 got = i < 3 ? low[PAGE_SIZE - 3 + i] : high[i - 3];

		expect(got == (u8)(v >> 8 * i), "byte %u: 0x%x", i, got);
	}
	expect_eq(*(volatile u64 *)(DATA_VA + PAGE_SIZE - 3), v, "read across");
	*(volatile u32 *)(DATA_VA + PAGE_SIZE - 1) += 0x01010101;
	expect_eq(*(volatile u32 *)(DATA_VA + PAGE_SIZE - 1), 0x67564534, "addition across");

	page_map(DATA_VA, ram, PTE_RAM);
	memset((void *)ram, 0, PAGE_SIZE);
	for (unsigned i = 0; i < 5; i++)
		high[i] = 0;
	vector = trap_catch(crossing_write, &v);
	expect(vector == NO_FAULT || vector == VEC_UD, "RAM and device: vector %u", vector);
	for (unsigned i = 0; i < 8; i++) {
		u8 got = i < 3 ? ((u8 *)ram)[PAGE_SIZE - 3 + i] : high[i - 3];

		expect(got == (vector == NO_FAULT ? (u8)(v >> 8 * i) : 0), "RAM and device, byte %u: 0x%x", i,
		       got);
	}
	page_unmap(DATA_VA);
	page_unmap(DATA_VA + PAGE_SIZE);
}

static volatile u64 timer_ticks;

static void timer_handler(struct regs *r)
{
	(void)r;
	timer_ticks++;
	apic_eoi();
}

/* 32 KiB in one instruction, both ways and both directions, with timer interrupts in between. */
void long_string_test(void)
{
	u64 words = MMIO_SIZE / 2 / 8, n;
	u64 *from = mem_alloc(8), *back = mem_alloc(8), *s;
	volatile u64 *d;

	if (!mmio_present())
		return;
	for (u64 i = 0; i < words; i++)
		from[i] = random64();
	apic_init(false);
	trap_handler(TIMER_VECTOR, timer_handler);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | TIMER_VECTOR);
	apic_write(APIC_TIMER_INITIAL, 100000);
	irq_enable();
	d = (volatile u64 *)(MMIO_BASE + 0x4000);
	s = from;
	n = words;
	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(n)::"memory");
	expect(!n && (u64)d == MMIO_BASE + 0xc000 && s == from + words,
	       "registers behind REP MOVSQ to the device");
	d--;
	s = back + words - 1;
	n = words;
	__asm__ volatile("std\n\trep movsq\n\tcld" : "+S"(d), "+D"(s), "+c"(n)::"memory");
	expect(!n && (u64)d == MMIO_BASE + 0x4000 - 8 && s == back - 1, "registers behind REP MOVSQ from it");
	irq_disable();
	apic_write(APIC_TIMER_INITIAL, 0);
	irq_window();
	trap_handler(TIMER_VECTOR, NULL);
	expect(!memcmp(from, back, words * 8), "what went out did not come back");
}

static struct regs at_fault;
static u64 fault_cr2, repaired_pa;
static unsigned faults;

/* Remembers the state, makes the page present, goes on. */
static void repair_handler(struct regs *r)
{
	at_fault = *r;
	fault_cr2 = read_cr2();
	faults++;
	page_map(fault_cr2 & ~0xfffULL, repaired_pa, PTE_RAM);
}

/* The RAM side of a string faults in the middle: the state is that of the iterations done. */
void fault_inside_string_test(void)
{
	u8 *pages = mem_alloc(2), *d = (u8 *)(DATA_VA + PAGE_SIZE - 10);
	volatile u8 *m = (volatile u8 *)(MMIO_BASE + 0x100), *s = m;
	u64 n = 30;

	if (!mmio_present())
		return;
	for (unsigned i = 0; i < 30; i++)
		m[i] = (u8)(i * 7 + 1);
	page_map(DATA_VA, (u64)pages, PTE_RAM);
	page_unmap(DATA_VA + PAGE_SIZE);
	repaired_pa = (u64)pages + PAGE_SIZE;
	faults = 0;
	trap_handler(VEC_PF, repair_handler);
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
	trap_handler(VEC_PF, NULL);
	expect_eq(faults, 1, "faults");
	expect_eq(fault_cr2, DATA_VA + PAGE_SIZE, "CR2");
	expect_eq(at_fault.error, 2, "error code");
	expect_eq(at_fault.rcx, 20, "RCX at the fault");
	expect_eq(at_fault.rdi, DATA_VA + PAGE_SIZE, "RDI at the fault");
	expect_eq(at_fault.rsi, (u64)m + 10, "RSI at the fault");
	expect(!n, "%lu left", n);
	for (unsigned i = 0; i < 30; i++)
		expect(((u8 *)(DATA_VA + PAGE_SIZE - 10))[i] == (u8)(i * 7 + 1), "byte %u", i);
	page_unmap(DATA_VA);
	page_unmap(DATA_VA + PAGE_SIZE);
}
