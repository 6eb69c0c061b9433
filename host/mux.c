/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the rule that lines never mix. The foreground's bytes go straight out and the line under the
 * cursor is remembered; whoever else has a line breaks that one, prints, and shows it again. */
#include "mux.h"

#define SCREENFUL 20u
#define CANCEL "\x18" /* makes a terminal forget an unfinished sequence (ECMA-48 8.3.6) */

static void out_text(struct mux *m, const char *s)
{
	m->out(s, strlen(s));
}

/* ---- the foreground ---- */

/* The line is longer than the memory of it: keep what was written since the last return to column
 * 0, or else the newer half. */
static void line_shrink(struct console_stream *s)
{
	u32 cut = s->len / 2;

	for (u32 i = s->len - 1; i; i--)
		if (s->line[i] == '\r') {
			cut = i;
			break;
		}
	s->len -= cut;
	memmove(s->line, s->line + cut, s->len);
	s->escape_at -= MIN(cut, s->escape_at);
}

/* A finished sequence that must not be repeated: questions to the terminal would be answered twice,
 * erasing would hit the lines above, and after a cursor movement the line is another one. */
static void line_drop_sequence(struct console_stream *s, char last)
{
	bool csi = s->escape_at + 1 < s->len && s->line[s->escape_at + 1] == '[';

	if (csi ? last == 'n' || last == 'c' || last == 'J' : last == 'Z')
		s->len = s->escape_at;
	else if (csi && (last == 'H' || last == 'f'))
		s->len = 0;
}

static void line_remember(struct console_stream *s, char c)
{
	bool inside = escape_unfinished(s->escape), part;

	if (c == '\n') {
		s->len = 0;
		s->escape = ESCAPE_NONE;
		return;
	}
	if (c == '\r' && !s->len)
		return;
	if (s->len == STREAM_LINE_MAX)
		line_shrink(s);
	part = escape_step(&s->escape, c);
	if (part && !inside)
		s->escape_at = s->len;
	s->line[s->len++] = c;
	if (part && s->escape == ESCAPE_LAST)
		line_drop_sequence(s, c);
}

static void write_front(struct mux *m, struct console_stream *s, const char *buf, size_t n)
{
	size_t done = 0;

	mux_settle(m);
	for (size_t i = 0; i < n; i++) {
		if (buf[i] == '\n' && !s->after_cr) { /* a program without a terminal driver */
			m->out(buf + done, i - done);
			out_text(m, "\r");
			done = i;
		}
		s->after_cr = buf[i] == '\r';
		line_remember(s, buf[i]);
	}
	m->out(buf + done, n - done);
}

static void front_break(struct mux *m)
{
	struct console_stream *s = m->front;

	if (!s || !s->len || m->hidden)
		return;
	if (escape_unfinished(s->escape))
		out_text(m, CANCEL);
	out_text(m, "\r\n");
}

void mux_settle(struct mux *m)
{
	if (m->hidden && m->front)
		m->out(m->front->line, m->front->len);
	m->hidden = 0;
}

/* After a line that is not the foreground's. */
static void front_resume(struct mux *m)
{
	m->hidden++;
	if (!m->lazy || m->hidden == SCREENFUL)
		mux_settle(m);
}

/* ---- the background ---- */

static void show_line(struct mux *m, struct console_stream *s)
{
	front_break(m);
	out_text(m, s->name);
	out_text(m, "| ");
	m->out(s->line, s->len);
	out_text(m, "\r\n");
	front_resume(m);
	s->len = 0;
}

static void add_text(struct mux *m, struct console_stream *s, char c)
{
	if (s->after_cr) /* what follows a lone CR covers the text before it */
		s->len = 0;
	s->after_cr = false;
	if (s->len == STREAM_LINE_MAX)
		show_line(m, s);
	s->line[s->len++] = c;
}

/* 80h to 9fh: continues a character of UTF-8, or else is a control character like ESC [ in one byte (ECMA-48
 * 5.3), which in UTF-8 is written C2h 80h to C2h 9fh. */
static bool c1_control(const struct console_stream *s, u8 c)
{
	u8 before = s->len ? (u8)s->line[s->len - 1] : 0;

	return c >= 0x80 && c <= 0x9f && (before < 0x80 || before == 0xc2);
}

/* Only text gets through: anything that moves the cursor could hide whose line it is. */
static void write_back(struct mux *m, struct console_stream *s, const char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = buf[i];

		if (c == '\n') {
			s->escape = ESCAPE_NONE;
			s->after_cr = false;
			show_line(m, s);
		} else if (escape_step(&s->escape, c)) {
			continue;
		} else if (c == '\r') {
			s->after_cr = true;
		} else if (c1_control(s, (u8)c)) {
			continue;
		} else if (c == '\t' || ((u8)c >= ' ' && c != 0x7f)) {
			add_text(m, s, c);
		}
	}
}

/* ---- all ---- */

void mux_write(struct mux *m, struct console_stream *s, const char *buf, size_t n)
{
	if (s == m->front)
		write_front(m, s, buf, n);
	else
		write_back(m, s, buf, n);
}

void mux_line(struct mux *m, const char *text)
{
	front_break(m);
	out_text(m, text);
	out_text(m, "\r\n");
	front_resume(m);
}

void mux_set_front(struct mux *m, struct console_stream *s)
{
	struct console_stream *old = m->front;
	char shown[STREAM_LINE_MAX];
	u32 n;

	if (s == old)
		return;
	front_break(m);
	m->hidden = 0;
	m->front = s;
	if (old) { /* its unfinished line becomes the text of a background line */
		n = old->len;
		memcpy(shown, old->line, n);
		old->len = 0;
		old->escape = ESCAPE_NONE;
		old->after_cr = false;
		write_back(m, old, shown, n);
	}
	if (s)
		s->escape = ESCAPE_NONE;
	m->hidden = 1;
	mux_settle(m);
}

void mux_end(struct mux *m, struct console_stream *s)
{
	if (m->front == s) {
		front_break(m);
		m->hidden = 0;
		m->front = NULL;
	} else if (s->len) {
		show_line(m, s);
	}
	s->len = 0;
}
