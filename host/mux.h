/* SPDX-License-Identifier: Apache-2.0 */
/* Console multiplexer: many streams and the log on one terminal, no two of them within one line. Pure
 * logic without a lock; console.c adds both ends. */
#pragma once

#include "escape.h"
#include "lib.h"

#define STREAM_NAME_MAX 32
#define STREAM_LINE_MAX 256

struct console_stream {
	char name[STREAM_NAME_MAX];
	void *payer; /* for what its output costs when it leaves; console.c's */
	/* Foreground: the bytes of the line under the cursor, already shown. Background: text of the
	 * line so far, not yet shown. */
	char line[STREAM_LINE_MAX];
	u32 len;
	u32 escape_at; /* foreground: where in line[] the last sequence began */
	enum escape escape;
	bool after_cr;
};

struct mux {
	void (*out)(const char *buf, size_t n);
	struct console_stream *front; /* the foreground, NULL: nobody */
	/* Lines from outside the foreground come in bursts: its own line is shown again after the last of
	 * them, when mux_settle() is called, at the latest below a screenful. */
	bool lazy;
	u32 hidden; /* lines since its own line was broken and not shown again */
};

void mux_write(struct mux *m, struct console_stream *s, const char *buf, size_t n);
/* A whole line from outside the streams, without newline. */
void mux_line(struct mux *m, const char *text);
void mux_set_front(struct mux *m, struct console_stream *s);
/* Nothing is on its way to the terminal: the foreground's line belongs there again. */
void mux_settle(struct mux *m);
/* Shows what is left of a stream that ends. */
void mux_end(struct mux *m, struct console_stream *s);
