/* SPDX-License-Identifier: Apache-2.0 */
/* Locks that are held for longer than a turn on the CPU. Those who spin meanwhile do no good there: a
 * hypervisor that sees them, by their PAUSEs, lets the holder run instead. */
#include "hyper.h"
#include "print.h"
#include "smp.h"

#define ROUNDS 20U
#define WORK 200000U /* ticks with the lock; a turn is 250,000 in Bochs */
#define REASON_PAUSE 40

static volatile u32 next, serving;
static u64 worked[CPUS], pauses[CPUS];

/* Ticks that went by while this processor ran: a tick between two readings is not one of another's. */
static void work(u32 me)
{
	for (u64 done = 0; done < WORK;) {
		u64 start = rdtsc();

		for (volatile unsigned i = 0; i < 100; i = i + 1)
			;
		u64 ticks = rdtsc() - start;
		if (ticks < 5000)
			done += ticks;
	}
	worked[me] += WORK;
}

static u64 pause_exits(void)
{
	i64 n = hypercall_present() ? hypercall(SOCLE_CALL_EXIT_COUNT, REASON_PAUSE, 0) : 0;

	return n > 0 ? (u64)n : 0;
}

static void hold(u32 me)
{
	u64 before = pause_exits();

	for (unsigned i = 0; i < ROUNDS; i++) {
		u32 ticket = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);

		while (__atomic_load_n(&serving, __ATOMIC_ACQUIRE) != ticket)
			cpu_pause();
		work(me);
		__atomic_store_n(&serving, serving + 1, __ATOMIC_RELEASE);
	}
	pauses[me] = pause_exits() - before;
}

/* All work is done under the lock, so it takes this long on any number of CPUs. */
void holders_test(void)
{
	u64 start = rdtsc(), wanted = 0, exits = 0;

	next = serving = 0;
	memset(worked, 0, sizeof(worked));
	cpus_give(hold);
	hold(0);
	if (!cpus_wait())
		return;
	u64 took = rdtsc() - start;
	for (u32 id = 0; id < CPUS; id++) {
		wanted += worked[id];
		exits += pauses[id];
	}
	print("locks held for %lu ticks in all took %lu and %lu exits at PAUSE\n", wanted, took, exits);
	expect_eq(wanted, (u64)CPUS * ROUNDS * WORK, "work done");
	expect(took < wanted * 3 / 2, "locks held for %lu ticks in all took %lu", wanted, took);
}
