/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to Socle. */
#pragma once

#include <socle/hypercall.h>

#include "base.h"
#include "test.h"

#define HYPERCALL_UNKNOWN 0x7fffffffULL /* a number that never gets a meaning */

static inline bool hypercall_present(void)
{
	return guest_platform() == PLATFORM_SOCLE;
}

static inline i64 hypercall(u64 nr, u64 a, u64 b)
{
	i64 result;

	__asm__ volatile("vmcall" : "=a"(result) : "a"(nr), "D"(a), "S"(b) : "memory");
	return result;
}
