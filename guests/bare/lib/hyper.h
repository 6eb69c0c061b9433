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

/* With all its arguments. */
static inline i64 hypercall5(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	i64 result;

	__asm__ volatile("vmcall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "memory");
	return result;
}
