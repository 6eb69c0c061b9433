/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's line editor, against a terminal of 80 columns and a plain model of the line (M86). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vm/edit.h"

#define PROMPT "socle> "

static struct edit e;

/* ---- the terminal: one line of it ---- */
static char screen[81];
static size_t column, sent, sent_since_return;

static void terminal(void *opaque, const char *buf, size_t n)
{
	(void)opaque;
	sent += n;
	for (size_t i = 0; i < n; i++, sent_since_return++) {
		if (buf[i] == '\r') {
			column = 0;
			sent_since_return = 0;
		} else if (buf[i] == '\b') {
			assert_true(column > 0);
			column--;
		} else if (buf[i] == '\x1b') {
			assert_true(n - i >= 3 && memcmp(buf + i, "\x1b[K", 3) == 0);
			screen[column] = '\0';
			i += 2;
			sent_since_return += 2;
		} else {
			assert_in_range(buf[i], ' ', '~');
			assert_true(column < 79); /* the last column would wrap */
			if (!screen[column])
				screen[column + 1] = '\0';
			screen[column++] = buf[i];
		}
	}
	assert_true(sent_since_return <= 255);
}

static void draw(void)
{
	edit_draw(&e, terminal, NULL);
}

static enum edit_event type(const char *keys)
{
	enum edit_event event = EDIT_NONE;
	for (; *keys; keys++) {
		event = edit_byte(&e, (u8)*keys);
		draw();
	}
	return event;
}

static int setup(void **state)
{
	(void)state;
	memset(&e, 0, sizeof(e));
	edit_start(&e, PROMPT);
	screen[0] = '\0';
	column = sent_since_return = 0;
	draw();
	return 0;
}

static void assert_shows(const char *line, size_t cursor)
{
	char want[200];
	snprintf(want, sizeof(want), PROMPT "%s", line);
	assert_string_equal(screen, want);
	assert_int_equal(column, strlen(PROMPT) + cursor);
	assert_string_equal(e.line, line);
}

/* A line is entered, and the next one begins. */
static void enter(const char *line)
{
	type(line);
	assert_int_equal(type("\r"), EDIT_LINE);
	edit_remember(&e);
	edit_start(&e, PROMPT);
	screen[0] = '\0'; /* the next line */
	column = sent_since_return = 0;
	draw();
}

static void typing(void **state)
{
	(void)state;
	type("list");
	assert_shows("list", 4);
	sent = 0;
	type(" -j");
	assert_int_equal(sent, 3); /* no more than what was typed */
	type("\x01x\x05y");
	assert_shows("xlist -jy", 9);
	type("\x7f\x08");
	assert_shows("xlist -", 7);
	type("\x02\x02\x06\x04");
	assert_shows("xlist ", 6);
	type("web\x17");
	assert_shows("xlist ", 6);
	type("\x15");
	assert_shows("", 0);
	type("abc\x01\x06\x0b");
	assert_shows("a", 1);
	assert_int_equal(type("\r"), EDIT_LINE);
	assert_int_equal(edit_byte(&e, '\n'), EDIT_NONE); /* of CR LF */
	assert_int_equal(edit_byte(&e, '\n'), EDIT_LINE);
	assert_int_equal(edit_byte(&e, '\t'), EDIT_TAB);
	assert_int_equal(edit_byte(&e, 3), EDIT_CANCEL);
	edit_start(&e, PROMPT);
	assert_int_equal(edit_byte(&e, 4), EDIT_END);
}

static void arrows(void **state)
{
	(void)state;
	type("ab\x1b[Dx\x1bODy\x1b[C\x1b[Cz");
	assert_shows("ayxbz", 5);
	type("\x1b[H1\x1b[F2\x1b[1~3\x1b[4~4\x1b[D\x1b[3~");
	assert_shows("31ayxbz2", 8);
	/* Unknown sequences leave no trace, however long. */
	type("\x1b[15~\x1bx\x1b[1;5C\x1b[999999999999999X\x1bOP");
	assert_shows("31ayxbz2", 8);
	type("\xc3\xa4\x7f");
	assert_shows("31ayxbz", 7); /* only ASCII is taken */
}

static void history(void **state)
{
	(void)state;
	enter("one");
	enter("two");
	enter("two"); /* not twice */
	enter("");
	type("dra\x1b[A");
	assert_shows("two", 3);
	type("\x10");
	assert_shows("one", 3);
	type("\x1b[A\x1b[A");
	assert_shows("one", 3);
	type("\x1b[B\x0e\x1b[B");
	assert_shows("dra", 3);
	type("\x1b[A!\x1b[B");
	assert_shows("dra", 3);
	type("\x15");
	for (unsigned i = 0; i < 3 * EDIT_HISTORY; i++) {
		char line[8];
		snprintf(line, sizeof(line), "n%u", i);
		enter(line);
	}
	for (unsigned i = 0; i < 2 * EDIT_HISTORY; i++)
		type("\x1b[A");
	assert_shows("n32", 3); /* the oldest that is kept */
}

static void long_line(void **state)
{
	char line[EDIT_MAX + 100];
	(void)state;
	for (size_t i = 0; i < sizeof(line) - 1; i++)
		line[i] = (char)('a' + i % 26);
	line[sizeof(line) - 1] = '\0';
	type(line);
	assert_int_equal(e.len, EDIT_MAX - 1);
	assert_memory_equal(e.line, line, EDIT_MAX - 1);
	assert_true(strlen(screen) <= EDIT_COLUMNS);
	assert_int_equal(screen[strlen(PROMPT)], '<');
	assert_int_equal(screen[column - 1], line[EDIT_MAX - 2]);
	type("\x01");
	assert_memory_equal(screen + strlen(PROMPT), line, 70);
	assert_int_equal(column, strlen(PROMPT));
	edit_remember(&e); /* too long for the history */
	assert_int_equal(e.nr_history, 0);
}

/* Random keys: the line against a model, the screen against what it should show. */
static void random_keys(void **state)
{
	static const char *const keys[] = {"\x1b[D", "\x1b[C",  "\x1b[A", "\x1b[B", "\x1b[H",
					   "\x1b[F", "\x1b[3~", "\x7f",   "\x0b",   "\x17",
					   "\x15",   "\x0c",    "\x1b",   "\x1b["};
	(void)state;
	srand(3);
	for (unsigned step = 0; step < 200000; step++) {
		if (rand() % 3) {
			edit_byte(&e, (u8)(' ' + rand() % 95));
		} else if (rand() % 500 == 0) {
			edit_remember(&e);
			edit_start(&e, PROMPT);
			screen[0] = '\0';
			column = sent_since_return = 0;
		} else if (rand() % 20 == 0) {
			edit_byte(&e, (u8)rand());
		} else {
			for (const char *k = keys[rand() % 14]; *k; k++)
				edit_byte(&e, (u8)*k);
		}
		if (rand() % 4 == 0)
			continue; /* several changes in one drawing */
		draw();
		assert_true(e.cursor <= e.len && e.len < EDIT_MAX && strlen(e.line) == e.len);
		assert_true(e.cursor >= e.start);
		assert_int_equal(column, strlen(PROMPT) + e.cursor - e.start);
		size_t n = strlen(screen) - strlen(PROMPT), skip = e.start > 0;
		assert_memory_equal(screen, PROMPT, strlen(PROMPT));
		assert_memory_equal(screen + strlen(PROMPT) + skip, e.line + e.start + skip, n - skip);
		assert_true(n == e.len - e.start || n == EDIT_COLUMNS - strlen(PROMPT));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(typing, setup),      cmocka_unit_test_setup(arrows, setup),
	    cmocka_unit_test_setup(history, setup),     cmocka_unit_test_setup(long_line, setup),
	    cmocka_unit_test_setup(random_keys, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
