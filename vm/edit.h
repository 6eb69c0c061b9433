/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's line editor: bytes from a terminal in, an edited line and what brings the terminal up to
 * date out. Pure logic without a lock and without an allocation. */
#pragma once

#include "lib.h"

#define EDIT_MAX 1152        /* bytes of a line, with the terminator: the longest line of a configuration */
#define EDIT_COLUMNS 79      /* of the terminal that are used; a longer line is shown in part */
#define EDIT_HISTORY 16      /* lines */
#define EDIT_HISTORY_MAX 192 /* longer ones are not remembered */

enum edit_event {
	EDIT_NONE,
	EDIT_LINE,   /* Enter: the line is in line[] */
	EDIT_TAB,    /* to be completed, up to the cursor */
	EDIT_CANCEL, /* Ctrl-C */
	EDIT_END,    /* Ctrl-D on an empty line */
};

struct edit {
	char line[EDIT_MAX];
	size_t len, cursor;
	const char *prompt;
	/* What the terminal shows. */
	char shown[EDIT_COLUMNS + 1];
	size_t shown_len, shown_cursor, start; /* start: of the part of line[] that is shown */
	size_t since_return;                   /* bytes sent since the last carriage return */
	/* Keys of several bytes. */
	u8 escape[8], escape_len;
	bool after_return;
	/* Lines given before; browse counts back from the newest, 0 is the line being written. */
	char history[EDIT_HISTORY][EDIT_HISTORY_MAX];
	unsigned nr_history, newest, browse;
	char draft[EDIT_HISTORY_MAX];
};

/* A new, empty line. The terminal's cursor is at the start of an empty one. */
void edit_start(struct edit *e, const char *prompt);
enum edit_event edit_byte(struct edit *e, u8 byte);
/* At the cursor; what does not fit or cannot be shown is dropped. */
void edit_insert(struct edit *e, const char *text, size_t n);
/* Puts line[] into the history, unless it is empty or the newest already. */
void edit_remember(struct edit *e);
/* Brings the terminal up to date. */
void edit_draw(struct edit *e, void (*out)(void *opaque, const char *buf, size_t n), void *opaque);
