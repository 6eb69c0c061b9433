/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that take what they can get of the CPUs, or would like to, for performance isolation (M35). Each
 * is at it until its TSC has come to `for=N` million ticks:
 *   cli      spins with interrupts off
 *   flood    `cpus=N` virtual CPUs send themselves and each other interrupts without end, and arm a timer
 *            that goes off at once
 *   sleeper  sleeps and wakes every 20 us, so that it always has slept just now
 *   faults   makes address spaces and faults their pages in, page after page, without end */
#include "../bare/smp/smp.h"
#include "page.h"
#include "print.h"

#define MILLION 1000000u
#define SOON 100    /* ticks */
#define NAP 500     /* ticks: 10 us of 50 MHz */
#define HALT_EACH 8 /* rounds of the flood */
#define ICR (MSR_X2APIC + APIC_ICR / 16)
#define FAULT_BASE (64ULL << 30)
#define FAULT_PAGES 256

static u64 end;
static u64 *faulting_table;

static u64 option(const char *key)
{
	const char *text = test_option(key);
	u64 n = 0;
	while (text && *text >= '0' && *text <= '9')
		n = n * 10 + (u64)(*text++ - '0');
	return n;
}

static void begin(const char *name)
{
	end = option("for") * MILLION;
	expect(end, "needs for=");
	print("HOSTILE %s begins\n", name);
}

static void report(const char *name, u64 rounds)
{
	print("HOSTILE %s rounds %lu\n", name, rounds);
}

static void cli_test(void)
{
	u64 n = 0;
	begin("cli");
	irq_disable();
	for (; rdtsc() < end; n++)
		;
	report("cli", n);
}

static void timer_on(void)
{
	wrmsr(MSR_X2APIC + APIC_LVT_TIMER / 16, APIC_TIMER_DEADLINE | VEC_COUNT);
}

static void flood(u32 me)
{
	u64 n = 0;
	timer_on();
	for (; rdtsc() < end; n++) {
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + SOON);
		wrmsr(ICR, APIC_ICR_SELF | APIC_ICR_ASSERT | VEC_COUNT);
		for (u32 other = 0; other < CPUS; other++)
			if (other != me && cpus[other].alive)
				wrmsr(ICR, (u64)other << 32 | APIC_ICR_ASSERT | VEC_SHOOT);
		irq_window();
		if (n % HALT_EACH)
			continue;
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + SOON);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
	}
}

static void flood_test(void)
{
	u32 nr_cpus = (u32)option("cpus");
	apic_init(true);
	cpus_prepare();
	if (!expect(nr_cpus <= CPUS, "cpus= up to %u", CPUS))
		return;
	cpus[0].alive = 1;
	for (u32 id = 1; id < nr_cpus; id++)
		if (!expect(cpu_start(id), "processor %u does not come", id))
			return;
	begin("flood");
	for (u32 id = 1; id < nr_cpus; id++)
		cpu_give(id, flood);
	flood(0);
	for (u32 id = 1; id < nr_cpus; id++)
		cpu_wait(id);
	report("flood", cpus[0].counted[VEC_COUNT] + cpus[0].counted[VEC_SHOOT]);
}

static void sleeper_test(void)
{
	u64 n = 0;
	apic_init(true);
	cpus_prepare();
	timer_on();
	begin("sleeper");
	for (u64 now = rdtsc(); now < end; n++, now = rdtsc()) {
		wrmsr(MSR_TSC_DEADLINE, now + NAP);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		while (rdtsc() < now + 2 * NAP)
			;
	}
	report("sleeper", n);
}

/* The page that faulted gets a page; where there is none left, the first is taken again. */
static void on_fault(struct regs *r)
{
	static u64 first, next, last;
	u64 va = read_cr2();
	if (!last) {
		mem_free_range(&next, &last);
		first = next + (1 << 20); /* below: tables */
		next = first;
	}
	if (next >= last)
		next = first;
	faulting_table[va >> 12 & 511] = next | PTE_RAM;
	next += 4096;
	(void)r;
}

static void faults_test(void)
{
	u64 n = 0;
	page_entry(FAULT_BASE);
	faulting_table = (u64 *)((u64)page_entry(FAULT_BASE) & ~4095ULL);
	trap_handler(VEC_PF, on_fault);
	begin("faults");
	for (; rdtsc() < end; n++) {
		for (u64 i = 0; i < FAULT_PAGES; i++)
			faulting_table[i] = 0;
		write_cr3(read_cr3());
		for (u64 i = 0; i < FAULT_PAGES; i++)
			*(volatile u64 *)(FAULT_BASE + i * 4096) = n;
	}
	trap_handler(VEC_PF, NULL);
	report("faults", n * FAULT_PAGES);
}

const struct test guest_tests[] = {
    {"cli", cli_test, ON_DEMAND},
    {"flood", flood_test, ON_DEMAND},
    {"sleeper", sleeper_test, ON_DEMAND},
    {"faults", faults_test, ON_DEMAND},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
