/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the TSCs (time-stamp counters) of all CPUs agree: each of the others meets the boot CPU, and both
 * read their counters in turn. One that is behind is set forward, where the processor can do that (SDM volume
 * 3, 18.17.3). All clocks are functions of the TSC, so guests are told when it cannot be trusted across CPUs.
 */
#include "host.h"
#include "log.h"
#include "spinlock.h"
#include "x86.h"
#include "x86_ops.h"

#define ROUNDS 500
#define ATTEMPTS 8

static bool disagree;

struct meeting {
	u32 turn;      /* even: the boot CPU's, odd: the other's; atomic */
	u64 last;      /* the highest TSC read so far */
	u64 behind[2]; /* by how much the TSC of each was seen to be behind the other's; the boot CPU is 0 */
	u64 forward;   /* for adjust() */
	struct cpu_call call;
};

bool tsc_stable(void)
{
	return !disagree;
}

static void meet(struct meeting *m, unsigned side)
{
	for (u32 turn = side; turn < 2 * ROUNDS; turn += 2) {
		while (__atomic_load_n(&m->turn, __ATOMIC_ACQUIRE) != turn)
			cpu_relax();
		__asm__ volatile("lfence" : : : "memory"); /* not before it is our turn */
		u64 now = tsc_now();
		if (now < m->last)
			m->behind[side] = MAX(m->behind[side], m->last - now);
		m->last = MAX(m->last, now);
		__atomic_store_n(&m->turn, turn + 1, __ATOMIC_RELEASE);
	}
}

static void meet_there(void *opaque)
{
	meet(opaque, 1);
}

static void adjust(void *opaque)
{
	const struct meeting *m = opaque;
	wrmsr(MSR_TSC_ADJUST, rdmsr(MSR_TSC_ADJUST) + m->forward);
}

static void meet_cpu(struct meeting *m, unsigned index)
{
	*m = (struct meeting){.call = {.run = meet_there, .opaque = m}};
	cpu_call(index, &m->call);
	meet(m, 0);
	while (__atomic_load_n(&m->turn, __ATOMIC_ACQUIRE) != 2 * ROUNDS)
		cpu_relax();
}

/* What is seen is less than the difference, so it takes a few attempts. */
static bool make_agree(unsigned index, bool adjustable)
{
	struct meeting m;
	for (unsigned attempt = 0;; attempt++) {
		meet_cpu(&m, index);
		if (!m.behind[0] && !m.behind[1]) {
			if (attempt)
				log_info("TSC of CPU %u set to the boot CPU's", index);
			return true;
		}
		if (!adjustable || attempt == ATTEMPTS)
			break;
		m.forward = m.behind[1] - m.behind[0];
		cpu_call_wait(index, adjust, &m);
	}
	log_warn("TSC of CPU %u is %lu ticks behind and %lu ahead of the boot CPU's", index, m.behind[1],
		 m.behind[0]);
	return false;
}

void tsc_compare(void)
{
	bool adjustable = cpuid(0, 0).eax >= CPUID_LEAF_EXT_FEATURES &&
			  cpuid(CPUID_LEAF_EXT_FEATURES, 0).ebx & CPUID7_EBX_TSC_ADJUST;
	for (unsigned i = 1; i < cpu_count(); i++)
		if (!make_agree(i, adjustable))
			disagree = true;
}
