/* SPDX-License-Identifier: Apache-2.0 */
/* host/mux.c: lines of guests and of the log never mix, whatever the guests write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host/mux.h"

static char screen[1 << 20];
static size_t used;

static void out(const char *buf, size_t n)
{
	assert_true(used + n < sizeof(screen));
	memcpy(screen + used, buf, n);
	used += n;
	screen[used] = '\0';
}

static struct mux m;
static struct console_stream a, b;

static int reset(void **s)
{
	(void)s;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	strcpy(a.name, "a");
	strcpy(b.name, "b");
	m = (struct mux){.out = out, .front = &a};
	used = 0;
	screen[0] = '\0';
	return 0;
}

static void put(struct console_stream *s, const char *text)
{
	mux_write(&m, s, text, strlen(text));
}

#define ASSERT_SCREEN(text)                                                                                  \
	do {                                                                                                 \
		assert_string_equal(screen, text);                                                           \
		used = 0;                                                                                    \
		screen[0] = '\0';                                                                            \
	} while (0)

/* What some terminals take for ESC [ does not get through, letters beyond ASCII do. */
static void test_background_c1(void **s)
{
	(void)s;
	put(&b, "x\x9b"
		"2J y\xc2\x9b"
		"2J\n");
	assert_null(strchr(screen, '\x9b'));
	used = 0;
	put(&b, "\xc3\x80 \xe2\x82\xac \xf0\x9f\x98\x80\n");
	ASSERT_SCREEN("b| \xc3\x80 \xe2\x82\xac \xf0\x9f\x98\x80\r\n");
}

static void test_foreground(void **s)
{
	(void)s;
	put(&a, "login: ");
	ASSERT_SCREEN("login: ");
	put(&a, "root\r\n");
	ASSERT_SCREEN("root\r\n");
	put(&a, "bare\nline feeds\n");
	ASSERT_SCREEN("bare\r\nline feeds\r\n");
	put(&a, "split\r");
	put(&a, "\n");
	ASSERT_SCREEN("split\r\n");
	put(&a, "\x1b[1mraw\x1b[0m\a\b");
	ASSERT_SCREEN("\x1b[1mraw\x1b[0m\a\b");
}

static void test_log_line(void **s)
{
	(void)s;
	mux_line(&m, "log 1");
	ASSERT_SCREEN("log 1\r\n");
	put(&a, "/ # ls");
	mux_line(&m, "log 2");
	ASSERT_SCREEN("/ # ls\r\nlog 2\r\n/ # ls");
	put(&a, " -l\r\n");
	mux_line(&m, "log 3");
	ASSERT_SCREEN(" -l\r\nlog 3\r\n");
	put(&a, "\r");
	mux_line(&m, "log 4"); /* the cursor is at the start of an empty line */
	ASSERT_SCREEN("\rlog 4\r\n");
}

static void test_background(void **s)
{
	(void)s;
	put(&b, "one\r\ntw");
	ASSERT_SCREEN("b| one\r\n");
	put(&a, "$ ");
	put(&b, "o\n");
	ASSERT_SCREEN("$ \r\nb| two\r\n$ ");
	put(&b, "10%\r20%\r\x1b[K30%\r\n");
	ASSERT_SCREEN("\r\nb| 30%\r\n$ ");
	put(&b, "\x1b[2J\x1b[H\x1b]0;title\a\x1b(Btext\b\x7f\ttab\n");
	ASSERT_SCREEN("\r\nb| text\ttab\r\n$ ");
	put(&b, "\n");
	ASSERT_SCREEN("\r\nb| \r\n$ ");
}

static void test_overlong(void **s)
{
	char big[2 * STREAM_LINE_MAX + 10], line[STREAM_LINE_MAX + 1];
	(void)s;

	memset(big, 'x', sizeof(big));
	memset(line, 'x', STREAM_LINE_MAX);
	line[STREAM_LINE_MAX] = '\0';
	mux_write(&m, &b, big, sizeof(big));
	put(&b, "\n");
	assert_int_equal(used, 3 * strlen("b| \r\n") + sizeof(big));
	assert_memory_equal(screen, "b| xxx", 6);
	used = 0;
	/* The foreground's line longer than the memory of it: its newer part is shown again. */
	mux_write(&m, &a, big, sizeof(big));
	put(&a, "end");
	used = 0;
	mux_line(&m, "log");
	assert_memory_equal(screen, "\r\nlog\r\nx", 8);
	assert_memory_equal(screen + used - 4, "xend", 4);
	assert_in_range(used, STREAM_LINE_MAX / 2, STREAM_LINE_MAX + 7);
	used = 0;
	for (int i = 0; i < 1000; i++) /* a progress bar */
		put(&a, "\rprogress 50%");
	used = 0;
	mux_line(&m, "log");
	assert_memory_equal(screen + used - 13, "\rprogress 50%", 13);
}

static void test_sequences(void **s)
{
	(void)s;
	put(&a, "# \x1b[6n\x1b[c\x1bZ\x1b[Jls"); /* questions and erasing are not repeated */
	used = 0;
	mux_line(&m, "log");
	ASSERT_SCREEN("\r\nlog\r\n# ls");
	put(&a, "\x1b[3");
	used = 0;
	mux_line(&m, "log"); /* a log line must not become part of a control sequence */
	ASSERT_SCREEN("\x18\r\nlog\r\n# ls\x1b[3");
	put(&a, "1m\x1b[H\x1b[Jnew");
	used = 0;
	mux_line(&m, "log");
	ASSERT_SCREEN("\r\nlog\r\nnew");
	put(&a, "\x1b]0;never ending");
	used = 0;
	mux_line(&m, "log");
	assert_memory_equal(screen, "\x18\r\nlog\r\n", 8);
}

static void test_switch(void **s)
{
	(void)s;
	put(&a, "\x1b[32mhalf\x1b[0m a line");
	put(&b, "half b");
	used = 0;
	mux_set_front(&m, &b);
	ASSERT_SCREEN("\r\nhalf b");
	put(&a, " done\r\n");
	ASSERT_SCREEN("\r\na| half a line done\r\nhalf b");
	mux_set_front(&m, NULL);
	ASSERT_SCREEN("\r\n");
	put(&b, " and b\n");
	ASSERT_SCREEN("b| half b and b\r\n");
	mux_line(&m, "log");
	ASSERT_SCREEN("log\r\n");
}

/* A burst: the foreground's line is shown once, after it, or as soon as somebody types there. */
static void test_burst(void **s)
{
	(void)s;
	m.lazy = true;
	put(&a, "prompt> ");
	put(&b, "one\ntwo\n");
	mux_line(&m, "three");
	ASSERT_SCREEN("prompt> \r\nb| one\r\nb| two\r\nthree\r\n");
	mux_settle(&m);
	mux_settle(&m);
	ASSERT_SCREEN("prompt> ");
	mux_line(&m, "four");
	put(&a, "x");
	put(&b, "five\n");
	ASSERT_SCREEN("\r\nfour\r\nprompt> x\r\nb| five\r\n");
	mux_set_front(&m, &b); /* its line goes to the background, where it has no end yet */
	mux_settle(&m);
	put(&b, "six");
	mux_set_front(&m, &a);
	ASSERT_SCREEN("six\r\nprompt> x");
	mux_line(&m, "seven");
	mux_end(&m, &a);
	mux_line(&m, "eight");
	mux_settle(&m);
	ASSERT_SCREEN("\r\nseven\r\neight\r\n");
}

/* One without an end shows it with each screenful. */
static void test_flood(void **s)
{
	unsigned prompts = 0;
	(void)s;
	m.lazy = true;
	put(&a, "prompt> ");
	for (unsigned i = 0; i < 100; i++)
		put(&b, "line\n");
	for (const char *p = screen; (p = strstr(p, "prompt")); p++)
		prompts++;
	assert_int_equal(prompts, 6);
}

static void test_end(void **s)
{
	(void)s;
	put(&a, "last words");
	put(&b, "last of b");
	used = 0;
	mux_end(&m, &b);
	ASSERT_SCREEN("\r\nb| last of b\r\nlast words");
	mux_end(&m, &a);
	ASSERT_SCREEN("\r\n");
	assert_null(m.front);
	mux_end(&m, &b);
	ASSERT_SCREEN("");
}

static void random_bytes(struct console_stream *s, char letter)
{
	static const char noise[] = "\r\n\x1b[;0JHm]\a\b\t\x18\\P";
	char buf[40];
	size_t n = (size_t)rand() % sizeof(buf);

	for (size_t i = 0; i < n; i++)
		buf[i] = rand() % 4 ? letter : noise[(size_t)rand() % (sizeof(noise) - 1)];
	mux_write(&m, s, buf, n);
}

/* Hostile streams: a line that holds a log text holds nothing else, and a background's letters come
 * only in lines that begin with its name. */
static void test_random(void **s)
{
	(void)s;
	srand(3);
	for (int round = 0; round < 4000; round++) {
		random_bytes(&a, 'A');
		random_bytes(&b, 'B');
		if (rand() % 3 == 0)
			mux_line(&m, "LLLL");
	}
	for (char *line = strtok(screen, "\n"); line; line = strtok(NULL, "\n")) {
		if (strchr(line, 'L'))
			assert_string_equal(line + strspn(line, "\r"), "LLLL\r");
		if (strchr(line, 'B')) {
			assert_memory_equal(line, "b| ", 3);
			assert_null(strchr(line, 'A'));
			assert_null(strchr(line, '\x1b'));
			assert_null(strchr(line, '\b'));
			assert_ptr_equal(strchr(line, '\r'), line + strlen(line) - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_foreground, reset),    cmocka_unit_test_setup(test_log_line, reset),
	    cmocka_unit_test_setup(test_background, reset),    cmocka_unit_test_setup(test_overlong, reset),
	    cmocka_unit_test_setup(test_sequences, reset),     cmocka_unit_test_setup(test_switch, reset),
	    cmocka_unit_test_setup(test_end, reset),           cmocka_unit_test_setup(test_random, reset),
	    cmocka_unit_test_setup(test_background_c1, reset), cmocka_unit_test_setup(test_burst, reset),
	    cmocka_unit_test_setup(test_flood, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
