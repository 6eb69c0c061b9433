/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes what the operator types in the monitor: the line editor keeps its promises to the terminal, and
 * every line is a command, nothing, or an error in one line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/edit.h"
#include "vm/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}
#define REQUIRE(cond) require(cond, #cond)

static void nothing(struct call *c)
{
	(void)c;
}

static const struct command table[] = {
    {"list", "j", 0, 1, {WORD_VM}, nothing, "[-j] [VM]", "the VMs", "list"},
    {"pause", "", 1, 1, {WORD_VM}, nothing, "VM", "stop", "pause web"},
    {"trace", "ed", 1, 2, {WORD_VM, WORD_NUMBER}, nothing, "[-e|-d] VM [VCPU]", "exits", "trace web"},
};

static void command_line(const char *text)
{
	struct call c;
	char line[EDIT_MAX], why[200];
	snprintf(line, sizeof(line), "%s", text);
	int rc = call_parse(&c, table, ARRAY_SIZE(table), line, why, sizeof(why));
	if (rc == 0) {
		REQUIRE(c.command >= table && c.command < table + ARRAY_SIZE(table));
		REQUIRE(c.nr_words >= c.command->min && c.nr_words <= c.command->max);
		for (unsigned i = 0; i < c.nr_words; i++)
			REQUIRE(c.words[i] >= line && c.words[i] + strlen(c.words[i]) < line + sizeof(line));
	} else if (rc != ERR_NOENT) {
		REQUIRE(why[0] && strlen(why) < sizeof(why));
		for (const char *s = why; *s; s++)
			REQUIRE(*s >= ' ' && *s <= '~');
	}
}

static size_t column, since_return;

static void terminal(void *opaque, const char *buf, size_t n)
{
	(void)opaque;
	for (size_t i = 0; i < n; i++) {
		since_return = buf[i] == '\r' ? 0 : since_return + 1;
		if (buf[i] == '\r') {
			column = 0;
		} else if (buf[i] == '\b') {
			REQUIRE(column-- > 0);
		} else if (buf[i] == '\x1b') {
			REQUIRE(i + 2 < n && buf[i + 1] == '[' && buf[i + 2] == 'K');
			i += 2;
			since_return += 2;
		} else {
			REQUIRE(buf[i] >= ' ' && buf[i] <= '~' && ++column <= EDIT_COLUMNS);
		}
		REQUIRE(since_return < 256);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct edit e;
	memset(&e, 0, sizeof(e));
	edit_start(&e, "socle> ");
	column = since_return = 0;
	for (size_t i = 0; i < size; i++) {
		enum edit_event event = edit_byte(&e, data[i]);
		REQUIRE(e.len < EDIT_MAX && e.cursor <= e.len && strlen(e.line) == e.len);
		if (event == EDIT_TAB)
			edit_insert(&e, "completed ", 10);
		if (i % 3)
			edit_draw(&e, terminal, NULL);
		if (event != EDIT_LINE && event != EDIT_CANCEL)
			continue;
		command_line(e.line);
		edit_remember(&e);
		edit_start(&e, "socle> ");
		column = since_return = 0;
	}
	return 0;
}
