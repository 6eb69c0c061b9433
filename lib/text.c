/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the string functions that the C library does not have, and 128-bit arithmetic. */
#include "lib.h"

size_t str_copy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size) {
		size_t fits = MIN(n, size - 1);
		memcpy(dst, src, fits);
		dst[fits] = '\0';
	}
	return n;
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (u8)c;
}

int str_casecmp(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) - lower(*b);
}

u64 mul_div(u64 a, u64 b, u64 c)
{
	u64 lo, hi, rem;

	/* The compiler has no 128 by 64 division without its run-time library. */
	__asm__("mulq %3" : "=a"(lo), "=d"(hi) : "a"(a), "rm"(b) : "cc");
	if (hi >= c)
		return UINT64_MAX; /* DIV would fault: the quotient needs more than 64 bits */
	__asm__("divq %4" : "=a"(lo), "=d"(rem) : "a"(lo), "d"(hi), "rm"(c) : "cc");
	return lo;
}
