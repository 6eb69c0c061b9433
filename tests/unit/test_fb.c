/* SPDX-License-Identifier: Apache-2.0 */
/* host/fb.c and host/symbols.c: text on a screen in memory, names of functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "host/fb.h"
#include "host/font.h"
#include "host/panic.h"

#define WIDTH 100 /* 12 columns and a rest */
#define HEIGHT 70 /* 4 rows and a rest */
#define STRIDE 110
#define CELL_HEIGHT (2 * FONT_ROWS)

static u32 *pixels;

static struct boot_framebuffer good(void)
{
	return (struct boot_framebuffer){1, STRIDE * HEIGHT * 4, WIDTH, HEIGHT, STRIDE, 16, 8, 0};
}

static void start(void)
{
	struct boot_framebuffer fb = good();

	free(pixels);
	pixels = malloc(fb.size);
	memset(pixels, 0x55, fb.size);
	fb_init(&fb, pixels);
}

/* Which character is drawn in a cell; 0 when it is none. */
static char read_cell(u32 column, u32 row)
{
	for (int c = FONT_FIRST; c <= FONT_LAST; c++) {
		bool same = true;
		for (u32 y = 0; y < CELL_HEIGHT && same; y++)
			for (u32 x = 0; x < 8; x++) {
				u32 dot = pixels[(row * CELL_HEIGHT + y) * STRIDE + column * 8 + x];
				same &= dot == (font_rows[c - FONT_FIRST][y / 2] & 0x80 >> x ? 0xc0c0c0u : 0);
			}
		if (same)
			return (char)c;
	}
	return 0;
}

static void assert_row(u32 row, const char *text)
{
	char got[13] = "";

	for (u32 i = 0; i < 12; i++)
		got[i] = read_cell(i, row);
	while (*got && got[strlen(got) - 1] == ' ')
		got[strlen(got) - 1] = '\0';
	assert_string_equal(got, text);
}

static void put(const char *text)
{
	fb_write(text, strlen(text));
}

static void test_font(void **s)
{
	(void)s;
	for (int a = FONT_FIRST; a <= FONT_LAST; a++)
		for (int b = FONT_FIRST; b < a; b++)
			assert_true(memcmp(font_rows[a - FONT_FIRST], font_rows[b - FONT_FIRST], FONT_ROWS));
}

static void test_text(void **s)
{
	(void)s;
	start();
	put("Hello\r\nyou\b\b\bY\r\n\tT\x1b[1;31med\x1b[m\xff\a");
	assert_row(0, "Hello");
	assert_row(1, "You");
	assert_row(2, "        Ted?");
	start();
	put("0123456789abcd");
	assert_row(0, "0123456789ab");
	assert_row(1, "cd");
}

static void test_scroll(void **s)
{
	(void)s;
	start();
	put("one\r\ntwo\r\nthree\r\nfour");
	assert_row(3, "four");
	put("\r\nfive");
	assert_row(0, "three");
	assert_row(1, "four");
	assert_row(2, "five");
	assert_row(3, "");
	for (int i = 0; i < 1000; i++)
		put("\r\nx\t\ty\b\b\b\b\b\b\b\b\b\b\b\b\b\b\bz");
	assert_int_equal(read_cell(0, 2), 'z');
}

/* What the monitor's top sends: home, each line erased behind its text, the rest of the screen. */
static void test_sequences(void **s)
{
	(void)s;
	start();
	put("one\r\nlonger\r\nthree\x1b[Hxy\x1b[K\r\nlo\x1b[K");
	assert_row(0, "xy");
	assert_row(1, "lo");
	assert_row(2, "three");
	put("\x1b[J!");
	assert_row(1, "lo!");
	assert_row(2, "");
	put("\x1b[2;3H\x1b[1K\x1bK\x1b]H\a?"); /* with parameters, or others: nothing happens */
	assert_row(1, "lo!?");
}

/* Firmware that describes more pixels than it has, or none, gets no text; nothing is written. */
static void test_wrong_description(void **s)
{
	struct boot_framebuffer cases[] = {good(), good(), good(), good()};
	(void)s;

	cases[0].size -= 4;
	cases[1].stride = WIDTH - 1;
	cases[2].width = 7;
	cases[3].height = 0;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 none[1] = {0x55555555};
		fb_init(&cases[i], none);
		assert_int_equal(none[0], 0x55555555);
	}
}

static void test_symbols(void **s)
{
	static struct {
		struct boot_symbols head;
		struct boot_symbol sym[3];
		char names[16];
	} t = {{3, 0}, {{0x10, 32}, {0x100, 36}, {0x200, 4000}}, "foo\0bar"};
	struct boot_info bi = {.symbols_base = virt_to_phys(&t), .symbols_size = sizeof(t)};
	u64 distance = 0;
	(void)s;

	assert_null(symbol_find(VIRT_IMAGE + 0x20, &distance));
	bi.symbols_size = 20; /* shorter than its own count */
	symbols_init(&bi);
	assert_null(symbol_find(VIRT_IMAGE + 0x20, &distance));
	bi.symbols_size = sizeof(t);
	symbols_init(&bi);
	assert_null(symbol_find(VIRT_IMAGE + 0xf, &distance));
	assert_null(symbol_find(0x20, &distance));
	assert_string_equal(symbol_find(VIRT_IMAGE + 0x10, &distance), "foo");
	assert_int_equal(distance, 0);
	assert_string_equal(symbol_find(VIRT_IMAGE + 0xff, &distance), "foo");
	assert_int_equal(distance, 0xef);
	assert_string_equal(symbol_find(VIRT_IMAGE + 0x1ff, &distance), "bar");
	assert_null(symbol_find(VIRT_IMAGE + 0x300, &distance)); /* its name lies outside */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wrong_description),
	    cmocka_unit_test(test_font),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_scroll),
	    cmocka_unit_test(test_sequences),
	    cmocka_unit_test(test_symbols),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(pixels);
	return failed;
}
