/* SPDX-License-Identifier: Apache-2.0 */
/* The TSC (time-stamp counter) of this CPU; all clocks of the hypervisor derive from it. A header of its own,
 * so that unit tests can have another one found first. */
#pragma once

#include "types.h"

static inline u64 tsc_now(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}
