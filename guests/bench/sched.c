/* SPDX-License-Identifier: Apache-2.0 */
/* What bench-sched measures with: `for=N` runs until the guest's TSC has come to N million ticks and tells
 * how often it went round a loop of fixed length; with `wake=N` it sleeps instead, wakes every N thousand
 * ticks and tells how late it was. */
#include "apic.h"
#include "cpu.h"
#include "print.h"
#include "test.h"
#include "trap.h"

#define MILLION 1000000u
#define WAKE_VECTOR 0x60
#define SAMPLES 4096
#define LOOP 1000

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

static void spin(u64 end)
{
	u64 rounds = 0;
	for (; rdtsc() < end; rounds++)
		work();
	print("SCHED %s rounds %lu\n", name(), rounds);
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

static void wake(u64 end, u64 period)
{
	unsigned n = 0;
	apic_init(false);
	trap_gate(WAKE_VECTOR, irq);
	apic_write(APIC_LVT_TIMER, APIC_TIMER_DEADLINE | WAKE_VECTOR);
	for (u64 next = rdtsc() + period; next < end && n < SAMPLES; next += period) {
		wrmsr(MSR_TSC_DEADLINE, next);
		__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		u64 now = rdtsc();
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
	u64 end = option("for") * MILLION, period = option("wake") * 1000;
	if (!expect(end, "needs for="))
		return;
	if (period)
		wake(end, period);
	else
		spin(end);
}

const struct test guest_tests[] = {{"sched", sched_test, 0}};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
