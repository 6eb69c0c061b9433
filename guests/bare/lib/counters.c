/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of this vCPU's VM exits, by basic reason (SDM vol. 3, appendix C). */
#include "counters.h"
#include "hyper.h"
#include "print.h"
#include "test.h"

static u64 before[COUNTERS_REASONS], after[COUNTERS_REASONS], own[COUNTERS_REASONS];

static const char *const names[COUNTERS_REASONS] = {
    [0] = "exception",
    [1] = "interrupt",
    [2] = "triple-fault",
    [7] = "interrupt-window",
    [8] = "nmi-window",
    [9] = "task-switch",
    [10] = "cpuid",
    [12] = "hlt",
    [13] = "invd",
    [14] = "invlpg",
    [15] = "rdpmc",
    [16] = "rdtsc",
    [18] = "vmcall",
    [28] = "cr",
    [29] = "dr",
    [30] = "io",
    [31] = "rdmsr",
    [32] = "wrmsr",
    [37] = "mtf",
    [40] = "pause",
    [43] = "tpr-threshold",
    [44] = "apic-access",
    [45] = "eoi",
    [46] = "gdtr-idtr",
    [47] = "ldtr-tr",
    [48] = "ept-violation",
    [49] = "ept-misconfig",
    [51] = "rdtscp",
    [52] = "preemption-timer",
    [54] = "wbinvd",
    [55] = "xsetbv",
    [56] = "apic-write",
};

static bool counters_read(u64 *counts)
{
	bool told = guest_platform() == PLATFORM_SOCLE;

	for (unsigned i = 0; i < COUNTERS_REASONS; i++) {
		i64 n = told ? hypercall(SOCLE_CALL_EXIT_COUNT, i, 0) : 0;

		told = told && n >= 0;
		counts[i] = n >= 0 ? (u64)n : 0;
	}
	return told;
}

bool counters_available(void)
{
	u64 counts[COUNTERS_REASONS];

	return counters_read(counts); /* the readings of an interval stay as they are */
}

/* Two readings in a row tell what a reading itself costs. */
void counters_snapshot(void)
{
	counters_read(own);
	counters_read(before);
	for (unsigned i = 0; i < COUNTERS_REASONS; i++)
		own[i] = before[i] - own[i];
}

void counters_stop(void)
{
	counters_read(after);
}

u64 counters_difference(unsigned reason)
{
	u64 n = after[reason] - before[reason];

	return n > own[reason] ? n - own[reason] : 0;
}

u64 counters_total(void)
{
	u64 total = 0;

	for (unsigned i = 0; i < COUNTERS_REASONS; i++)
		total += counters_difference(i);
	return total;
}

void counters_print_difference(void)
{
	if (!counters_available()) {
		print("-");
		return;
	}
	print("%lu", counters_total());
	for (unsigned i = 0; i < COUNTERS_REASONS; i++) {
		u64 n = counters_difference(i);

		if (n && names[i])
			print(" %s=%lu", names[i], n);
		else if (n)
			print(" reason-%u=%lu", i, n);
	}
}
