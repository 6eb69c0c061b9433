/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator does to a VM's clocks, as the guest sees it: a pause, and another wall clock. M37, M38.
 */
#include "operator.h"

#include <socle/clock.h>

#include "hyper.h"
#include "print.h"

#define NS_PER_S 1000000000ULL
#define LONG_NS NS_PER_S /* shorter pauses are not looked at */
#define VIRTUAL_NS                                                                                           \
	20000000ULL /* what may pass of virtual time while it is paused: the way there and back              \
		     */
#define DAY_NS (86400 * NS_PER_S)

static struct socle_vcpu_clock record __attribute__((aligned(128)));
static volatile struct socle_vm_clock vm_record __attribute__((aligned(64)));

struct times {
	u64 real, virt, pause, wall;
};

static u64 read_tsc(void)
{
	u32 lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

/* All on the same side of a pause, and of the operator's setting the wall clock. */
static struct times now(void)
{
	struct times t;
	u32 sequence;

	do {
		sequence = __atomic_load_n(&vm_record.sequence, __ATOMIC_ACQUIRE);
		t.pause = vm_record.pause_ns;
		t.real = socle_clock_read(&record, &record.real_tsc, read_tsc);
		t.virt = socle_clock_read(&record, &record.virtual_tsc, read_tsc);
		t.wall = t.real + vm_record.wall_ns;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (sequence & 1 || sequence != __atomic_load_n(&vm_record.sequence, __ATOMIC_RELAXED));
	return t;
}

void operator_test(void)
{
	struct times before, after;

	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VCPU, (u64)&record, 0), 0, "vCPU record");
	expect_eq((u64)hypercall(SOCLE_CALL_CLOCK_VM, (u64)&vm_record, 0), 0, "VM record");
	print("waiting for a pause\n");
	for (before = after = now(); after.pause < before.pause + LONG_NS; after = now())
		before = after;
	u64 pause = after.pause - before.pause, real = after.real - before.real;
	u64 wall = after.wall - before.wall, virt = after.virt - before.virt;
	expect(real >= pause && real < pause + VIRTUAL_NS, "%lu ns of real time in a pause of %lu", real,
	       pause);
	expect(virt < VIRTUAL_NS, "%lu ns of virtual time in a pause", virt);
	expect_eq(wall, real, "ns on the wall clock");
	print("paused for %lu ns, then wall clock %lu\n", pause, after.wall);
	for (before = after = now(); after.wall < before.wall + DAY_NS; after = now())
		before = after;
	print("wall clock set to %lu\n", after.wall);
}
