/* SPDX-License-Identifier: Apache-2.0 */
/* INIT and start-up IPIs in every state of a processor, and what the processors say of themselves. SDM vol.
 * 3, 10.4 and 11.4.7. */
#include "smp.h"

#define ICR_INIT 0x500U
#define ICR_STARTUP 0x600U
#define ICR_OTHERS 0xc0000U
#define ICR_SELF 0x40000U
#define STORM 1000U
#define SHORT_WAIT 200000U

extern volatile u32 start_alive;

void start_test(void)
{
	for (u32 id = 1; id < CPUS; id++) {
		expect_eq(cpus[id].alive >= 1, 1, "came to C");
		cpu_give(id, NULL);
	}
	expect(start_alive >= OTHERS, "the trampoline ran %u times", start_alive);
}

static volatile u32 ids[CPUS], bsp[CPUS], logical[CPUS], x2_ids[CPUS], cores[CPUS], ids_wide[CPUS];

static void say(u32 me)
{
	struct cpuid_regs r = cpuid(1, 0);

	ids[me] = apic_id();
	bsp[me] = !!(rdmsr(MSR_APIC_BASE) & APIC_BASE_BSP);
	logical[me] = r.ebx >> 16 & 0xff;
	ids_wide[me] = cpuid(4, 0).eax >> 26;
	r = cpuid(0xb, 1);
	x2_ids[me] = r.edx;
	cores[me] = r.ebx;
}

void topology_test(void)
{
	say(0);
	cpus_give(say);
	if (!cpus_wait())
		return;
	for (u32 id = 0; id < CPUS; id++) {
		expect_eq(ids[id], id, "APIC id");
		expect_eq(x2_ids[id], id, "leaf 0xb: x2APIC id");
		expect_eq(bsp[id], id == 0, "BSP flag");
		expect_eq(logical[id], CPUS, "leaf 1: ids of the package");
		expect_eq(ids_wide[id], CPUS - 1, "leaf 4: cores of the package");
		expect_eq(cores[id], CPUS, "leaf 0xb: cores");
	}
	expect_eq(cpuid(0xb, 1).eax & 0x1f, 2, "leaf 0xb: width of a core's id");
	expect_eq(cpuid(0xb, 0).ebx & 0xffff, 1, "leaf 0xb: threads of a core");
}

static void spin_off(u32 me)
{
	(void)me;
	for (;;) /* interrupts are off: nothing but an INIT ends this */
		cpu_pause();
}

static void halt_off(u32 me)
{
	(void)me;
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

static void sleep_on(u32 me)
{
	(void)me;
	for (;;)
		__asm__ volatile("sti\n\thlt" ::: "memory");
}

static void wait_ticks(u64 ticks)
{
	u64 start = rdtsc();

	while (rdtsc() - start < ticks)
		cpu_pause();
}

/* A processor is started again from each state in which it may be. */
void init_test(void)
{
	static void (*const states[])(u32) = {NULL, spin_off, halt_off, sleep_on};

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
		if (states[i])
			cpu_give(2, states[i]);
		wait_ticks(SHORT_WAIT);
		expect(cpu_start(2), "from state %u", i);
	}
	/* From wait-for-SIPI: INIT twice. Only then a SIPI counts. */
	apic_send(2, ICR_INIT | APIC_ICR_ASSERT);
	apic_send(2, ICR_INIT | APIC_ICR_ASSERT);
	wait_ticks(SHORT_WAIT);
	expect(cpu_start(2), "from wait-for-SIPI");
	/* A storm. */
	for (unsigned i = 0; i < STORM; i++)
		apic_send(2, ICR_INIT | APIC_ICR_ASSERT);
	expect(cpu_start(2), "after a storm of INITs");
	/* The registers that INIT clears (table 10-1): interrupts in flight are gone. */
	counts_clear();
	cpu_give(2, spin_off);
	wait_ticks(SHORT_WAIT);
	apic_send(2, APIC_ICR_ASSERT | VEC_COUNT);
	expect(cpu_start(2), "with an interrupt pending");
	cpu_give(2, NULL);
	wait_ticks(SHORT_WAIT);
	expect_eq(cpus[2].counted[VEC_COUNT], 0, "interrupt of before the INIT");
}

/* Start-up IPIs to who does not wait for one: nothing. */
void sipi_test(void)
{
	u32 before = start_alive, alive = cpus[3].alive;

	apic_send(3, ICR_STARTUP | APIC_ICR_ASSERT | 8);
	apic_send(0, ICR_STARTUP | APIC_ICR_ASSERT | 8); /* to itself */
	apic_send(0, ICR_SELF | ICR_STARTUP | APIC_ICR_ASSERT | 8);
	for (unsigned i = 0; i < STORM; i++)
		apic_send(3, ICR_STARTUP | APIC_ICR_ASSERT | 8);
	wait_ticks(SHORT_WAIT);
	expect_eq(start_alive, before, "starts by a SIPI alone");
	expect_eq(cpus[3].alive, alive, "starts by a SIPI alone");
	/* SIPI, then INIT: it waits, for the SIPI was of before. */
	apic_send(3, ICR_STARTUP | APIC_ICR_ASSERT | 8);
	apic_send(3, ICR_INIT | APIC_ICR_ASSERT);
	wait_ticks(SHORT_WAIT);
	expect_eq(start_alive, before, "starts by a SIPI of before the INIT");
	/* While it waits: neither interrupt nor NMI. */
	counts_clear();
	cpus[3].nmis = 0;
	apic_send(3, APIC_ICR_ASSERT | VEC_COUNT);
	apic_send(3, APIC_ICR_ASSERT | APIC_ICR_NMI);
	wait_ticks(SHORT_WAIT);
	expect(cpu_start(3), "afterwards");
	cpu_give(3, NULL);
	wait_ticks(SHORT_WAIT);
	expect_eq(cpus[3].counted[VEC_COUNT], 0, "interrupt to who waits for a SIPI");
	expect_eq(cpus[3].nmis, 0, "NMI to who waits for a SIPI");
}

/* All at once, by the shorthand, without delay, as kernels that are in a hurry do it. */
void restart_test(void)
{
	u32 alive[CPUS];
	u64 start = rdtsc();

	for (u32 id = 1; id < CPUS; id++) {
		alive[id] = cpus[id].alive;
		cpus[id].job = NULL;
	}
	apic_send(0, ICR_OTHERS | ICR_INIT | APIC_ICR_ASSERT);
	apic_send(0, ICR_OTHERS | ICR_STARTUP | APIC_ICR_ASSERT | 8);
	for (u32 id = 1; id < CPUS; id++) {
		while (cpus[id].alive == alive[id] && rdtsc() - start < PATIENCE)
			cpu_pause();
		expect_eq(cpus[id].alive, alive[id] + 1, "started once");
	}
}

static volatile u64 baton;

static void pass(u32 me)
{
	/* Each in turn writes its TSC, which must not be below that of the one before it. */
	for (unsigned round = 0; round < 50; round++) {
		while (baton % CPUS != me)
			cpu_pause();
		u64 now = rdtsc(), last = baton / CPUS;
		baton = (now >= last ? now : ~0ULL / CPUS) * CPUS + (me + 1) % CPUS;
	}
}

/* The time-stamp counters are one: whoever reads later reads more. */
void tsc_test(void)
{
	baton = 0;
	cpus_give(pass);
	pass(0);
	cpus_wait();
	expect(baton / CPUS < ~0ULL / CPUS, "a TSC went back from one processor to the next");
}
