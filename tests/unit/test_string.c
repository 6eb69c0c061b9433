/* SPDX-License-Identifier: Apache-2.0 */
/* lib/string.c against the C library, every size and overlap that its branches distinguish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define memcpy hv_memcpy
#define memmove hv_memmove
#define memset hv_memset
#define memcmp hv_memcmp
#define memchr hv_memchr
#define strlen hv_strlen
#define strnlen hv_strnlen
#define strcmp hv_strcmp
#define strncmp hv_strncmp
#define strchr hv_strchr
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define LEN 256

static void fill(unsigned char *p)
{
	for (int i = 0; i < LEN; i++)
		p[i] = (unsigned char)(i * 7 + 1);
}

static void test_copy_and_set(void **state)
{
	unsigned char a[LEN], b[LEN], src[LEN];
	(void)state;

	fill(src);
	for (size_t n = 0; n <= 100; n++)
		for (size_t off = 0; off < 9; off++) {
			memset(a, 0xee, LEN);
			memset(b, 0xee, LEN);
			assert_ptr_equal(hv_memcpy(a + off, src + 3, n), a + off);
			memcpy(b + off, src + 3, n);
			assert_memory_equal(a, b, LEN);
			assert_ptr_equal(hv_memset(a + off, (int)(0x100 + n), n), a + off);
			memset(b + off, (int)n, n);
			assert_memory_equal(a, b, LEN);
		}
}

static void test_move_overlap(void **state)
{
	unsigned char a[LEN], b[LEN];
	(void)state;

	for (size_t n = 0; n <= 70; n++)
		for (size_t from = 0; from <= 80; from += from < 20 ? 1 : 13)
			for (size_t to = 0; to <= 80; to += to < 20 ? 1 : 13) {
				fill(a);
				fill(b);
				assert_ptr_equal(hv_memmove(a + to, a + from, n), a + to);
				memmove(b + to, b + from, n);
				assert_memory_equal(a, b, LEN);
			}
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void test_compare(void **state)
{
	unsigned char a[LEN], b[LEN];
	(void)state;

	fill(a);
	fill(b);
	for (size_t n = 0; n < 40; n++) {
		assert_int_equal(hv_memcmp(a, b, n), 0);
		for (size_t at = 0; at < n; at++)
			for (int delta = -128; delta < 128; delta += 37) {
				b[at] = (unsigned char)(b[at] + delta);
				assert_int_equal(sign(hv_memcmp(a, b, n)), sign(memcmp(a, b, n)));
				assert_int_equal(sign(hv_memcmp(a, b, at)), 0);
				b[at] = a[at];
			}
	}
}

static void test_strings(void **state)
{
	static const char *const s[] = {"",  "a",    "ab",           "abc",         "abd",
					"b", "\xff", "abcdefghijkl", "abcdefghijkm"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		assert_int_equal(hv_strlen(s[i]), strlen(s[i]));
		for (size_t n = 0; n < 5; n++)
			assert_int_equal(hv_strnlen(s[i], n), strnlen(s[i], n));
		for (int c = 0; c < 256; c++) {
			assert_ptr_equal(hv_strchr(s[i], c), strchr(s[i], c));
			assert_ptr_equal(hv_memchr(s[i], c, strlen(s[i])), memchr(s[i], c, strlen(s[i])));
		}
		for (size_t j = 0; j < ARRAY_SIZE(s); j++) {
			assert_int_equal(sign(hv_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
			for (size_t n = 0; n < 4; n++)
				assert_int_equal(sign(hv_strncmp(s[i], s[j], n)),
						 sign(strncmp(s[i], s[j], n)));
		}
	}
}

static void test_text(void **state)
{
	char buf[4] = "zzz";
	(void)state;

	assert_int_equal(str_copy(buf, "hello", sizeof(buf)), 5);
	assert_string_equal(buf, "hel");
	assert_int_equal(str_copy(buf, "", sizeof(buf)), 0);
	assert_string_equal(buf, "");
	assert_int_equal(str_copy(NULL, "abc", 0), 3);
	assert_int_equal(str_casecmp("AbC", "aBc"), 0);
	assert_true(str_casecmp("ab", "ABC") < 0);
	assert_true(str_casecmp("b", "ABC") > 0);
	assert_true(str_casecmp("[", "a") < 0);
}

static void test_mul_div(void **state)
{
	static const u64 v[] = {0,          1,          2,          3,         1000, 50000000,
				1000000000, 1ull << 32, 1ull << 63, ~0ull - 1, ~0ull};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		for (size_t j = 0; j < ARRAY_SIZE(v); j++)
			for (size_t k = 1; k < ARRAY_SIZE(v); k++) {
				unsigned __int128 q = (unsigned __int128)v[i] * v[j] / v[k];
				assert_int_equal(mul_div(v[i], v[j], v[k]), q > ~0ull ? ~0ull : (u64)q);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_copy_and_set), cmocka_unit_test(test_move_overlap),
	    cmocka_unit_test(test_compare),      cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_text),         cmocka_unit_test(test_mul_div),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
