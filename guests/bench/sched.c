/* SPDX-License-Identifier: Apache-2.0 */
/* What bench-sched measures with: shares, weights, lateness (M29, M30, M32). By the guest's TSC, which is 0
 * when its VM starts, in millions of ticks: the measured time begins at `from=N` and takes `for=N`; the guest
 * is at it for as long as `from=` before and after, so that nobody has the CPU for himself because others are
 * not there yet, or no more. It goes round a loop of fixed length and tells how often and how long a round
 * takes that nothing interrupts; on all of `cpus=N` virtual CPUs; and every `every=N` how often so far. With
 * `wake=N` it sleeps instead, wakes every N thousand ticks and tells how late it was. */
#include "../bare/smp/smp.h"
#include "print.h"

#define MILLION 1000000u
#define WAKE_VECTOR 0x60
#define SAMPLES 4096
#define LOOP 1000
#define LONGEST 100000 /* ticks; no round takes that long */

static u64 from, until, end, every;
static volatile u64 rounds[CPUS], least[CPUS];
static u32 lateness[SAMPLES];

static u64 option(const char *key)
{
	const char *text = test_option(key);
	u64 n = 0;
	while (text && *text >= '0' && *text <= '9')
		n = n * 10 + (u64)(*text++ - '0');
	return n;
}

/* Which of several guests says it: the word of `name=`. */
static const char *name(void)
{
	static char word[16];
	const char *text = test_option("name");
	for (unsigned i = 0; text && text[i] && text[i] != ' ' && i < sizeof(word) - 1; i++)
		word[i] = text[i];
	return word;
}

static void work(void)
{
	for (unsigned i = 0; i < LOOP; i++)
		__asm__ volatile("");
}

static void spin(u32 me)
{
	u64 n = 0, shortest = LONGEST, report = every ? from + every : ~(u64)0;
	for (u64 before, now = rdtsc(); now < end;) {
		before = now;
		work();
		now = rdtsc();
		if (now >= from && now < until) {
			shortest = now - before < shortest ? now - before : shortest;
			n++;
		}
		if (now < report)
			continue;
		print("SCHED %s at %lu rounds %lu of %lu\n", name(), now - from, n, shortest);
		report += every;
		now = rdtsc();
	}
	rounds[me] = n;
	least[me] = shortest;
}

static void spin_on(u32 nr_cpus)
{
	u64 sum = 0, shortest = LONGEST;
	for (u32 id = 1; id < nr_cpus; id++)
		cpu_give(id, spin);
	spin(0);
	for (u32 id = 0; id < nr_cpus; id++) {
		if (id && !cpu_wait(id))
			return;
		sum += rounds[id];
		shortest = least[id] < shortest ? least[id] : shortest;
	}
	print("SCHED %s rounds %lu of %lu in %lu\n", name(), sum, shortest, until - from);
}

static void sort(u32 *a, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		u32 x = a[i];
		unsigned j = i;
		for (; j && a[j - 1] > x; j--)
			a[j] = a[j - 1];
		a[j] = x;
	}
}

/* End of interrupt, to the memory-mapped local APIC. */
__attribute__((naked)) static void irq(void)
{
	__asm__("push %rax\n\t"
		"mov $0xfee000b0, %eax\n\t"
		"movl $0, (%rax)\n\t"
		"pop %rax\n\t"
		"iretq");
}

static void wake(u64 period)
{
	unsigned n = 0;
	trap_gate(WAKE_VECTOR, irq);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | WAKE_VECTOR);
	for (u64 next = rdtsc() + period; next < end; next += period) {
		wrmsr(MSR_TSC_DEADLINE, next);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		u64 now = rdtsc();
		if (next >= from && next < until && n < SAMPLES)
			lateness[n++] = (u32)(now - next);
		if (now > next + period)
			next = now;
		for (unsigned i = 0; i < 5; i++)
			work();
	}
	sort(lateness, n);
	if (expect(n, "never woke"))
		print("SCHED %s wakes %u p50 %u p99 %u most %u\n", name(), n, lateness[n / 2],
		      lateness[n * 99 / 100], lateness[n - 1]);
}

static void sched_test(void)
{
	u64 period = option("wake") * 1000, nr_cpus = test_option("cpus") ? option("cpus") : 1;
	from = option("from") * MILLION;
	until = from + option("for") * MILLION;
	end = until + from;
	every = option("every") * MILLION;
	if (!expect(end && nr_cpus && nr_cpus <= CPUS, "needs for=, and takes cpus= up to %u", CPUS))
		return;
	apic_init(false);
	cpus_prepare();
	for (u32 id = 1; id < nr_cpus; id++)
		if (!expect(cpu_start(id), "processor %u does not come", id))
			return;
	if (period)
		wake(period);
	else
		spin_on((u32)nr_cpus);
}

const struct test guest_tests[] = {{"sched", sched_test, 0}};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
