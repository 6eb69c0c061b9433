/* SPDX-License-Identifier: Apache-2.0 */
/* lib/printf.c against the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define snprintf hv_snprintf
#define vsnprintf hv_vsnprintf
#include "lib/printf.c"
#undef snprintf
#undef vsnprintf

#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#pragma GCC diagnostic ignored "-Wformat-overflow"

#define SAME(...)                                                                                            \
	do {                                                                                                 \
		char ours[128], theirs[128];                                                                 \
		int a = hv_snprintf(ours, sizeof(ours), __VA_ARGS__);                                        \
		int b = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                       \
		assert_string_equal(ours, theirs);                                                           \
		assert_int_equal(a, b);                                                                      \
	} while (0)

/* Every combination of flags, widths and precisions with every integer conversion. */
static void test_integers(void **state)
{
	static const char *const widths[] = {"", "1", "8", "12"};
	static const char *const precisions[] = {"", ".", ".0", ".1", ".9"};
	static const long values[] = {0, 1, -1, 9, 10, 255, -128, 65536, 0x7fffffff, -0x7fffffff - 1};
	static const char *const kinds[] = {"d", "i", "u", "x", "X", "hd", "hhd", "hu", "hhx"};
	(void)state;

	for (unsigned flags = 0; flags < 32; flags++)
		for (size_t w = 0; w < ARRAY_SIZE(widths); w++)
			for (size_t p = 0; p < ARRAY_SIZE(precisions); p++)
				for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
					for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
						char fmt[32];
						snprintf(fmt, sizeof(fmt), "<%%%s%s%s%s%s%s%s%s>",
							 flags & 1 ? "-" : "", flags & 2 ? "0" : "",
							 flags & 4 ? "+" : "", flags & 8 ? " " : "",
							 flags & 16 ? "#" : "", widths[w], precisions[p],
							 kinds[k]);
						SAME(fmt, (int)values[v]);
					}
}

static void test_lengths(void **state)
{
	(void)state;
	SAME("%ld %lu %lx", -1L, ~0UL, 0x123456789abcdefL);
	SAME("%lld %llu %llX", INT64_MIN, ~0ULL, 0xfedcba9876543210ULL);
	SAME("%zu %zd %zx", (size_t)-1, (size_t)-1, (size_t)77);
	SAME("%d %lu %d %lu %d %lu %d %lu", 1, 2UL, 3, 4UL, 5, 6UL, 7, 8UL);
}

static void test_text(void **state)
{
	(void)state;
	SAME("%s|%5s|%-5s|%.2s|%5.1s|%.0s|", "abc", "abc", "abc", "abc", "abc", "abc");
	SAME("%c|%3c|%-3c|", 'x', 'y', 'z');
	SAME("%%|%d%%", 5);
	SAME("%*d|%-*d|%*d|%.*d|%.*s", 6, 1, 6, 2, -6, 3, 4, 4, 2, "abc");
	SAME("%.*d", -1, 7);
	SAME("%p", (void *)0xdead0000beef);
	SAME("no conversion");
	SAME("%.3s", (const char[3]){'n', 'o', '0'}); /* not terminated: must not be read further */
	SAME("%s", (const char *)NULL);
}

static void test_bounds(void **state)
{
	char buf[8];
	(void)state;

	memset(buf, 'z', sizeof(buf));
	assert_int_equal(hv_snprintf(buf, 4, "%d", 123456), 6);
	assert_string_equal(buf, "123");
	assert_int_equal(buf[4], 'z');
	assert_int_equal(hv_snprintf(NULL, 0, "%s", "hello"), 5);
	assert_int_equal(hv_snprintf(buf, 1, "x"), 1);
	assert_int_equal(buf[0], 0);
	assert_int_equal(hv_snprintf(buf, sizeof(buf), "%q%"), 3);
	assert_string_equal(buf, "%q%");
	assert_int_equal(hv_snprintf(buf, sizeof(buf), "%100000d", 1), 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_integers),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
