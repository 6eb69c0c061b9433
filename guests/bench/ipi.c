/* SPDX-License-Identifier: Apache-2.0 */
/* What an interrupt from one processor to another costs. On two CPUs: the receiver that runs, the sender, and
 * the way from HLT to the handler; there the test machine's TSC is the mean of both CPUs' instructions, in
 * portions, so a yardstick, CPUID on the receiver, says how many of its ticks an instruction takes. On one
 * CPU, where the TSC counts instructions: a round trip, each processor in HLT while the other runs. Lines as
 * those of exits.c. */
#include "../bare/smp/smp.h"
#include "hyper.h"
#include "print.h"

#define IPIS 2000U
#define SPIN_ROUNDS 6000000ULL /* more than IPIS interrupts one after the other take */
#define ASLEEP 20000U          /* ticks after which a processor that halts has halted */
#define VEC_BENCH 0x70
#define ICR (MSR_X2APIC + APIC_ICR / 16)

void bench_ipi(void);
u64 bench_spin(u64 rounds);
extern volatile u64 bench_ipis;

volatile u64 bench_ipis;
static volatile u64 spun;
static volatile bool stop;

static void spin(u32 me)
{
	(void)me;
	spun = bench_spin(SPIN_ROUNDS);
}

static void sleep(u32 me)
{
	(void)me;
	while (!stop)
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
}

static void measure_cpuid(u32 me)
{
	u64 start = rdtsc();

	(void)me;
	for (unsigned i = 0; i < IPIS; i++)
		cpuid(0, 0);
	spun = rdtsc() - start;
}

static void answer(u32 me)
{
	(void)me;
	while (!stop) {
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		wrmsr(ICR, APIC_ICR_ASSERT | VEC_BENCH);
	}
}

struct figure {
	u64 sum, least, count;
};

static void figure_add(struct figure *f, u64 ticks)
{
	f->sum += ticks;
	f->least = f->count++ && f->least < ticks ? f->least : ticks;
}

static void report(const char *name, const struct figure *f)
{
	u64 tenths = f->sum * 10 / f->count;

	print("BENCH %s %lu.%lu %lu -\n", name, tenths / 10, tenths % 10, f->least);
}

/* Sends one and waits until it was counted; both times go to the figures. */
static bool send(struct figure *sender, struct figure *arrival)
{
	u64 before = bench_ipis, start = rdtsc(), sent;

	wrmsr(ICR, (u64)1 << 32 | APIC_ICR_ASSERT | VEC_BENCH);
	sent = rdtsc();
	while (bench_ipis == before)
		if (rdtsc() - start > PATIENCE)
			return expect(false, "an interrupt got lost");
	figure_add(arrival, rdtsc() - start);
	figure_add(sender, sent - start);
	return true;
}

static void yardstick_test(void)
{
	struct figure yard = {.count = IPIS};

	cpu_give(1, measure_cpuid);
	cpu_wait(1);
	yard.sum = spun;
	yard.least = spun / IPIS;
	report("ipi-yardstick", &yard);
}

static void round_trip_test(void)
{
	struct figure trip = {0};

	stop = false;
	cpu_give(1, answer);
	for (u64 start = rdtsc(); rdtsc() - start < ASLEEP;)
		cpu_pause();
	for (unsigned i = 0; i < IPIS; i++) {
		u64 before = bench_ipis, start = rdtsc();

		wrmsr(ICR, (u64)1 << 32 | APIC_ICR_ASSERT | VEC_BENCH);
		while (bench_ipis < before + 2)
			__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		figure_add(&trip, rdtsc() - start);
	}
	stop = true;
	cpu_give(1, NULL);
	report("ipi-round-trip", &trip);
}

static void give_way(u32 me)
{
	(void)me;
	while (!stop)
		hypercall(SOCLE_CALL_YIELD, 0, 0);
}

/* Two processors on one CPU that give way to each other: two calls and two switches a round. */
static void switch_test(void)
{
	struct figure calls = {0}, turns = {0};
	u64 start = rdtsc();

	for (unsigned i = 0; i < IPIS; i++)
		hypercall(HYPERCALL_UNKNOWN, 0, 0);
	calls.sum = rdtsc() - start;
	stop = false;
	cpu_give(1, give_way);
	for (start = rdtsc(); rdtsc() - start < ASLEEP;)
		hypercall(SOCLE_CALL_YIELD, 0, 0);
	for (unsigned i = 0; i < IPIS; i++) {
		start = rdtsc();
		hypercall(SOCLE_CALL_YIELD, 0, 0);
		figure_add(&turns, rdtsc() - start);
	}
	stop = true;
	cpu_give(1, NULL);
	calls.least = calls.sum /= IPIS;
	turns.sum = turns.sum / 2 - calls.sum * turns.count;
	turns.least = turns.least / 2 - calls.least;
	report("switch", &turns);
}

static void running_test(void)
{
	struct figure sender = {0}, arrival = {0}, receiver = {0};
	u64 alone;

	cpu_give(1, spin);
	if (!cpu_wait(1))
		return;
	alone = spun;
	cpu_give(1, spin);
	for (u64 start = rdtsc(); rdtsc() - start < ASLEEP;)
		cpu_pause();
	for (unsigned i = 0; i < IPIS; i++)
		if (!send(&sender, &arrival))
			return;
	expect(cpus[1].job != NULL, "the receiver was done too early");
	if (!cpu_wait(1))
		return;
	receiver.sum = spun > alone ? spun - alone : 0;
	receiver.least = receiver.sum / IPIS;
	receiver.count = IPIS;
	report("ipi-receiver", &receiver);
	report("ipi-sender", &sender);
	report("ipi-arrival", &arrival);
}

static void wake_test(void)
{
	struct figure sender = {0}, wake = {0};

	stop = false;
	cpu_give(1, sleep);
	for (unsigned i = 0; i < IPIS; i++) {
		for (u64 start = rdtsc(); rdtsc() - start < ASLEEP;)
			;
		if (!send(&sender, &wake))
			return;
	}
	stop = true;
	cpu_give(1, NULL);
	report("ipi-wake", &wake);
}

static void ipi_test(void)
{
	apic_init(true);
	cpus_prepare();
	trap_gate(VEC_BENCH, bench_ipi);
	if (!expect(cpu_start(1), "the other processor does not come"))
		return;
	if (!test_has_word("two-cpus")) {
		round_trip_test();
		if (hypercall_present())
			switch_test();
		return;
	}
	yardstick_test();
	running_test();
	wake_test();
}

const struct test guest_tests[] = {{"ipi", ipi_test, 0}};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
