/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the C library's memory and string functions. Short sizes are straight-line code (a few loads
 * and stores that may overlap), long ones one REP instruction: both are cheap in instructions. */
#include "lib.h"

/* Any alignment, any type underneath. */
typedef u64 __attribute__((may_alias, aligned(1))) word;
typedef u32 __attribute__((may_alias, aligned(1))) half;
typedef u16 __attribute__((may_alias, aligned(1))) quarter;

/* Up to 16 bytes: all loads come before all stores, so overlap does not matter. */
static inline void move_short(u8 *d, const u8 *s, size_t n)
{
	if (n >= 8) {
		u64 a = *(const word *)s, b = *(const word *)(s + n - 8);
		*(word *)d = a;
		*(word *)(d + n - 8) = b;
	} else if (n >= 4) {
		u32 a = *(const half *)s, b = *(const half *)(s + n - 4);
		*(half *)d = a;
		*(half *)(d + n - 4) = b;
	} else if (n >= 2) {
		u16 a = *(const quarter *)s, b = *(const quarter *)(s + n - 2);
		*(quarter *)d = a;
		*(quarter *)(d + n - 2) = b;
	} else if (n) {
		*d = *s;
	}
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;
	size_t words;

	if (n <= 16) {
		move_short(d, s, n);
		return dst;
	}
	/* The last 8 bytes first, then whole words from the front: together they cover any length. */
	*(word *)(d + n - 8) = *(const word *)(s + n - 8);
	words = n >> 3;
	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;
	u64 edge;

	if (n <= 16) {
		move_short(d, s, n);
		return dst;
	}
	if ((size_t)(d - s) >= n) { /* going up never overwrites a word that is still to be read */
		size_t words = n >> 3;
		edge = *(const word *)(s + n - 8);
		__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words)::"memory");
		*(word *)((u8 *)dst + n - 8) = edge;
		return dst;
	}
	edge = *(const word *)s;
	for (size_t i = n; i >= 8; i -= 8)
		*(word *)(d + i - 8) = *(const word *)(s + i - 8);
	*(word *)d = edge;
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;
	u64 v = (u64)(u8)c * 0x0101010101010101u;
	size_t words;

	if (n > 16) {
		*(word *)(d + n - 8) = v;
		words = n >> 3;
		__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(v) : "memory");
	} else if (n >= 8) {
		*(word *)d = v;
		*(word *)(d + n - 8) = v;
	} else if (n >= 4) {
		*(half *)d = (u32)v;
		*(half *)(d + n - 4) = (u32)v;
	} else if (n) {
		d[0] = d[n >> 1] = d[n - 1] = (u8)v;
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	while (n >= 8 && *(const word *)p == *(const word *)q) {
		p += 8;
		q += 8;
		n -= 8;
	}
	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	for (const u8 *p = s; n; n--, p++)
		if (*p == (u8)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			return 0;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}
