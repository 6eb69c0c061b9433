/* SPDX-License-Identifier: Apache-2.0 */
/* All four at once: interrupts, TLB shoot-downs, locks, and instructions that the hypervisor emulates. */
#include "irqchip.h"
#include "smp.h"

#define HAMMER 1000U
#define SHOTS 200U
#define LOCKED 2000U
#define EMULATED 500U
#define PORT_SCRATCH 0x3ff /* COM1's scratch register */
#define WINDOW 0x40000000ULL

/* Each sends to each other in turn, with interrupts on, and waits for room: a vector holds one. */
static volatile u64 sent[CPUS][CPUS], taken[CPUS][CPUS];

static void on_hammer(struct regs *r)
{
	u32 me = me_id(), from = (u32)(r->vector & 3);

	taken[from][me]++;
	apic_eoi();
}

static void hammer(u32 me)
{
	u64 start = rdtsc();

	irq_enable();
	for (unsigned i = 0; i < HAMMER; i++)
		for (u32 to = 0; to < CPUS; to++) {
			while (taken[me][to] != sent[me][to] && rdtsc() - start < 20 * PATIENCE)
				cpu_pause();
			if (taken[me][to] != sent[me][to])
				return;
			sent[me][to]++;
			apic_send(to, APIC_ICR_ASSERT | (0x60 + me));
		}
	irq_disable();
}

void hammer_test(void)
{
	memset((void *)sent, 0, sizeof(sent));
	memset((void *)taken, 0, sizeof(taken));
	for (u8 v = 0x60; v < 0x60 + CPUS; v++)
		trap_handler(v, on_hammer);
	cpus_give(hammer);
	hammer(0);
	irq_enable(); /* what the others still send */
	cpus_wait();
	u64 start = rdtsc();
	while (rdtsc() - start < 1000000)
		cpu_pause();
	irq_disable();
	for (u32 from = 0; from < CPUS; from++)
		for (u32 to = 0; to < CPUS; to++)
			expect_eq(taken[from][to], HAMMER, "interrupts of one to another");
}

/* The boot processor moves a page; the others, told by an interrupt, forget the old place and must see the
 * new one. */
static volatile u64 seen[CPUS];
static volatile u32 acknowledged;

static void on_shoot(struct regs *r)
{
	(void)r;
	invlpg((void *)WINDOW);
	seen[me_id()] = *(volatile u64 *)WINDOW;
	__atomic_fetch_add(&acknowledged, 1, __ATOMIC_RELEASE);
	apic_eoi();
}

static void look(u32 me)
{
	(void)me;
	irq_enable();
	while (acknowledged < SHOTS * OTHERS)
		(void)*(volatile u64 *)WINDOW; /* keeps the translation in the TLB */
	irq_disable();
}

void shoot_test(void)
{
	u64 *pages[2] = {mem_alloc(1), mem_alloc(1)};
	bool good = true;

	*pages[0] = 1;
	*pages[1] = 2;
	page_map(WINDOW, (u64)pages[0], PTE_RAM);
	trap_handler(VEC_SHOOT, on_shoot);
	acknowledged = 0;
	cpus_give(look);
	for (unsigned i = 1; i <= SHOTS && good; i++) {
		u64 start = rdtsc();

		page_map(WINDOW, (u64)pages[i & 1], PTE_RAM);
		apic_send(0, 0xc0000 | APIC_ICR_ASSERT | VEC_SHOOT);
		while (acknowledged != i * OTHERS && rdtsc() - start < PATIENCE)
			cpu_pause();
		good = expect_eq(acknowledged, i * OTHERS, "shoot-downs acknowledged");
		for (u32 id = 1; id < CPUS && good; id++)
			good = expect_eq(seen[id], (i & 1) + 1, "the page after a shoot-down");
	}
	acknowledged = SHOTS * OTHERS;
	cpus_wait();
	page_unmap(WINDOW);
}

/* A ticket lock that spins with PAUSE, around what is not atomic. */
static volatile u32 next, serving;
static volatile u64 guarded[8];

static void lock_and_count(u32 me)
{
	(void)me;
	for (unsigned i = 0; i < LOCKED; i++) {
		u32 ticket = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);

		while (__atomic_load_n(&serving, __ATOMIC_ACQUIRE) != ticket)
			cpu_pause();
		for (unsigned n = 0; n < ARRAY_SIZE(guarded); n++)
			guarded[n] = guarded[n] + 1;
		__atomic_store_n(&serving, serving + 1, __ATOMIC_RELEASE);
	}
}

void locks_test(void)
{
	next = serving = 0;
	memset((void *)guarded, 0, sizeof(guarded));
	cpus_give(lock_and_count);
	lock_and_count(0);
	cpus_wait();
	for (unsigned n = 0; n < ARRAY_SIZE(guarded); n++)
		expect_eq(guarded[n], CPUS * LOCKED, "counted under the lock");
}

/* The same instructions at the same time: ports, device registers, string I/O, CPUID, MSRs. */
static volatile u32 wrong;

static void emulate(u32 me)
{
	u8 text[8], *to;
	u64 value, count;

	for (unsigned i = 0; i < EMULATED; i++) {
		outb(PORT_SCRATCH, (u8)(0x50 + me));
		value = inb(PORT_SCRATCH);
		wrong += value < 0x50 || value > 0x53;
		value = *(volatile u32 *)IOAPIC_MMIO; /* the index register */
		wrong += value > 0xff;
		to = text;
		count = sizeof(text);
		__asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(PORT_SCRATCH) : "memory");
		for (unsigned n = 0; n < sizeof(text); n++)
			wrong += text[n] < 0x50 || text[n] > 0x53;
		wrong += cpuid(1, 0).ebx >> 24 != me;
		wrong += rdmsr(MSR_BIOS_SIGN_ID) != (u64)1 << 32;
	}
}

void emulation_test(void)
{
	wrong = 0;
	cpus_give(emulate);
	emulate(0);
	cpus_wait();
	expect_eq(wrong, 0, "wrong answers to one while others ask the same");
}
