/* SPDX-License-Identifier: Apache-2.0 */
/* Freestanding helpers (owner: lib/). The C library's names keep the C library's meaning, so that
 * unit tests link the same sources against the hosted libc. */
#pragma once

#include <stdarg.h>

#include "types.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)
#define PICK_(a, op, b, x, y)                                                                                \
	__extension__({                                                                                      \
		__typeof__((a)op(b) ? (a) : (b)) x = (a), y = (b);                                           \
		x op y ? x : y;                                                                              \
	})
/* Each argument is evaluated once: it may be what another CPU changes. */
#define MIN(a, b) PICK_(a, <, b, CONCAT(lesser_, __COUNTER__), CONCAT(lesser_, __COUNTER__))
#define MAX(a, b) PICK_(a, >, b, CONCAT(greater_, __COUNTER__), CONCAT(greater_, __COUNTER__))
#define BIT(n) ((u64)1 << (n))
#define ALIGN_DOWN(x, a) ((x) & ~((a)-1))
#define ALIGN_UP(x, a) (((x) + (a)-1) & ~((a)-1))
#define IS_ALIGNED(x, a) (((x) & ((a)-1)) == 0)
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Errors are negative; 0 is success. */
enum err {
	ERR_INVAL = -1,   /* an argument or input is wrong */
	ERR_NOMEM = -2,   /* no memory, table full */
	ERR_NOENT = -3,   /* not found */
	ERR_EXIST = -4,   /* overlaps something that is there already */
	ERR_RANGE = -5,   /* outside what can be addressed */
	ERR_NOTSUP = -6,  /* this machine or build cannot do it */
	ERR_FAULT = -7,   /* a guest address that has nothing behind it */
	ERR_AGAIN = -8,   /* not now */
	ERR_TOOLONG = -9, /* does not fit */
};

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/* Copies with truncation, always terminates; returns strlen(src). */
size_t str_copy(char *dst, const char *src, size_t size);
/* Case-insensitive ASCII comparison, as strcmp. */
int str_casecmp(const char *a, const char *b);

/* C99 meaning. Conversions: d i u x X p s c %, flags 0 - # +, width, precision, h hh l ll z. */
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

/* a * b / c with a 128-bit product; the quotient saturates at UINT64_MAX; c must not be 0. */
u64 mul_div(u64 a, u64 b, u64 c);

/* Index of the highest / lowest set bit; x must not be 0. */
static inline unsigned bit_last(u64 x)
{
	return 63U - (unsigned)__builtin_clzll(x);
}
static inline unsigned bit_first(u64 x)
{
	return (unsigned)__builtin_ctzll(x);
}
