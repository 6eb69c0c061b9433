/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of clocks. Pure logic; time.c reads the hardware. */
#pragma once

#include "lib.h"

/* ticks -> x by one multiplication: x = ticks * factor >> shift, the product with 128 bits. What does
 * not fit becomes UINT64_MAX. */
struct clock_scale {
	u64 factor;
	unsigned shift; /* 0 .. 63 */
};

/* For `from` ticks that take as long as `to` ticks of the other clock, both at least 1. The factor has
 * the most bits that fit, and is rounded down: 30 bits at least while the rates differ by less than 2^33. */
struct clock_scale clock_scale_make(u64 from, u64 to);

static inline u64 clock_convert(struct clock_scale s, u64 ticks)
{
	u64 low, high;

	__asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(ticks), "rm"(s.factor) : "cc");
	if (high >> s.shift)
		return UINT64_MAX;
	return s.shift ? low >> s.shift | high << (64 - s.shift) : low;
}

/* What the CMOS clock shows (MC146818A data sheet), as read, and its status register B. */
struct cmos_time {
	u8 second, minute, hour, day, month, year, century, status_b;
};

/* Seconds since 1970-01-01 00:00:00 UTC; 0 when it is no date. Century 0: the one that makes it 1970
 * to 2069. */
u64 cmos_to_seconds(const struct cmos_time *t);
