/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the line being typed in the monitor: keys, history, and the least output that shows a change. */
#include "edit.h"

#define CTRL(c) ((c) - '@')
#define KEY_ESC 0x1b
#define KEY_DELETE 0x7f
#define SCROLL 20 /* columns that the shown part jumps, so that typing at the edge redraws seldom */
/* The console remembers 256 bytes of an unfinished line, from its last carriage return on. */
#define RETURN_EVERY 250

void edit_start(struct edit *e, const char *prompt)
{
	e->prompt = prompt;
	e->len = e->cursor = e->start = 0;
	e->line[0] = '\0';
	e->shown_len = e->shown_cursor = e->since_return = 0;
	e->escape_len = 0;
	e->browse = 0;
}

/* ---- changes ---- */

static void erase(struct edit *e, size_t from, size_t to)
{
	memmove(e->line + from, e->line + to, e->len - to + 1);
	e->len -= to - from;
	e->cursor = from;
}

void edit_insert(struct edit *e, const char *text, size_t n)
{
	for (size_t i = 0; i < n && e->len + 1 < EDIT_MAX; i++) {
		if (text[i] < ' ' || text[i] > '~')
			continue;
		memmove(e->line + e->cursor + 1, e->line + e->cursor, e->len - e->cursor + 1);
		e->line[e->cursor++] = text[i];
		e->len++;
	}
}

static void replace(struct edit *e, const char *text)
{
	e->len = e->cursor = 0;
	e->line[0] = '\0';
	edit_insert(e, text, strlen(text));
}

static size_t word_start(const struct edit *e)
{
	size_t at = e->cursor;
	while (at && e->line[at - 1] == ' ')
		at--;
	while (at && e->line[at - 1] != ' ')
		at--;
	return at;
}

/* ---- history ---- */

void edit_remember(struct edit *e)
{
	if (!e->len || e->len >= EDIT_HISTORY_MAX ||
	    (e->nr_history && strcmp(e->history[e->newest], e->line) == 0))
		return;
	e->newest = (e->newest + 1) % EDIT_HISTORY;
	str_copy(e->history[e->newest], e->line, EDIT_HISTORY_MAX);
	e->nr_history = MIN(e->nr_history + 1, (unsigned)EDIT_HISTORY);
}

static void browse(struct edit *e, unsigned to)
{
	if (to > e->nr_history)
		return;
	if (!e->browse)
		str_copy(e->draft, e->line, sizeof(e->draft));
	e->browse = to;
	replace(e, to ? e->history[(e->newest + EDIT_HISTORY - (to - 1)) % EDIT_HISTORY] : e->draft);
}

/* ---- keys ---- */

enum edit_key { LEFT, RIGHT, UP, DOWN, HOME, END, DELETE };

static void key(struct edit *e, enum edit_key k)
{
	switch (k) {
	case LEFT:
		e->cursor -= e->cursor > 0;
		break;
	case RIGHT:
		e->cursor += e->cursor < e->len;
		break;
	case UP:
		browse(e, e->browse + 1);
		break;
	case DOWN:
		if (e->browse)
			browse(e, e->browse - 1);
		break;
	case HOME:
		e->cursor = 0;
		break;
	case END:
		e->cursor = e->len;
		break;
	case DELETE:
		if (e->cursor < e->len)
			erase(e, e->cursor, e->cursor + 1);
		break;
	}
}

/* What follows ESC: [ or O, perhaps digits, and a letter or ~ (ECMA-48 5.4; VT220 keys). */
static void escape_byte(struct edit *e, u8 c)
{
	static const struct {
		const char *bytes;
		enum edit_key key;
	} keys[] = {{"[A", UP},   {"OA", UP},   {"[B", DOWN}, {"OB", DOWN}, {"[C", RIGHT},  {"OC", RIGHT},
		    {"[D", LEFT}, {"OD", LEFT}, {"[H", HOME}, {"OH", HOME}, {"[1~", HOME},  {"[7~", HOME},
		    {"[F", END},  {"OF", END},  {"[4~", END}, {"[8~", END}, {"[3~", DELETE}};
	u8 n = e->escape_len - 1; /* bytes after ESC */
	if (n == 0 && c != '[' && c != 'O') {
		e->escape_len = 0;
		return;
	}
	if (e->escape_len < sizeof(e->escape))
		e->escape[e->escape_len++] = c;
	if (n == 0 || (c >= '0' && c <= '?'))
		return;
	n = e->escape_len - 1;
	e->escape_len = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		if (strlen(keys[i].bytes) == n && memcmp(keys[i].bytes, e->escape + 1, n) == 0)
			key(e, keys[i].key);
}

static enum edit_event control(struct edit *e, u8 c)
{
	switch (c) {
	case CTRL('A'):
		key(e, HOME);
		break;
	case CTRL('B'):
		key(e, LEFT);
		break;
	case CTRL('C'):
		return EDIT_CANCEL;
	case CTRL('D'):
		if (!e->len)
			return EDIT_END;
		key(e, DELETE);
		break;
	case CTRL('E'):
		key(e, END);
		break;
	case CTRL('F'):
		key(e, RIGHT);
		break;
	case CTRL('H'):
	case KEY_DELETE:
		if (e->cursor)
			erase(e, e->cursor - 1, e->cursor);
		break;
	case CTRL('I'):
		return EDIT_TAB;
	case CTRL('K'):
		erase(e, e->cursor, e->len);
		break;
	case CTRL('L'):
		e->since_return = RETURN_EVERY;
		break;
	case CTRL('N'):
		key(e, DOWN);
		break;
	case CTRL('P'):
		key(e, UP);
		break;
	case CTRL('U'):
		erase(e, 0, e->cursor);
		break;
	case CTRL('W'):
		erase(e, word_start(e), e->cursor);
		break;
	}
	return EDIT_NONE;
}

enum edit_event edit_byte(struct edit *e, u8 byte)
{
	bool second = byte == '\n' && e->after_return; /* of CR LF */
	e->after_return = byte == '\r';
	if (e->escape_len) {
		escape_byte(e, byte);
		return EDIT_NONE;
	}
	if (byte == KEY_ESC) {
		e->escape[0] = byte;
		e->escape_len = 1;
		return EDIT_NONE;
	}
	if (byte == '\r' || byte == '\n')
		return second ? EDIT_NONE : EDIT_LINE;
	if (byte < ' ' || byte == KEY_DELETE)
		return control(e, byte);
	edit_insert(e, (const char *)&byte, 1);
	return EDIT_NONE;
}

/* ---- the terminal ---- */

struct drawing {
	struct edit *e;
	void (*out)(void *opaque, const char *buf, size_t n);
	void *opaque;
};

static void emit(const struct drawing *d, const char *buf, size_t n)
{
	if (!n)
		return;
	d->out(d->opaque, buf, n);
	d->e->since_return += n;
}

static void emit_back(const struct drawing *d, size_t n)
{
	while (n--)
		emit(d, "\b", 1);
}

/* Moves the shown part so that the cursor is in it. */
static void scroll_to_cursor(struct edit *e, size_t room)
{
	if (e->len < room)
		e->start = 0;
	else if (e->cursor < e->start + (e->start > 0))
		e->start = e->cursor > SCROLL ? e->cursor - SCROLL : 0;
	else if (e->cursor >= e->start + room)
		e->start = e->cursor - room + SCROLL;
}

/* What the terminal should show: the prompt and a part of the line. Returns the cursor's column. */
static size_t compose(struct edit *e, char *want, size_t *want_len)
{
	size_t prompt = MIN(strlen(e->prompt), (size_t)EDIT_COLUMNS / 2), room = EDIT_COLUMNS - prompt;
	scroll_to_cursor(e, room);
	size_t n = MIN(e->len - e->start, room);
	memcpy(want, e->prompt, prompt);
	memcpy(want + prompt, e->line + e->start, n);
	if (e->start)
		want[prompt] = '<';
	*want_len = prompt + n;
	return prompt + e->cursor - e->start;
}

static void draw_whole(const struct drawing *d, const char *want, size_t len, size_t cursor)
{
	bool unknown = d->e->since_return >= RETURN_EVERY;
	d->e->since_return = 0;
	emit(d, "\r", 1);
	emit(d, want, len);
	emit(d, "\x1b[K", unknown || len < d->e->shown_len ? 3 : 0);
	emit_back(d, len - cursor);
}

/* From the first column that differs, or from the cursor where that is before it. */
static void draw_change(const struct drawing *d, const char *want, size_t len, size_t cursor, size_t same)
{
	const struct edit *e = d->e;
	size_t from = MIN(same, e->shown_cursor), back = e->shown_cursor - from;
	bool clear = len < e->shown_len;
	if (e->since_return + back + (len - from) + (clear ? 3 : 0) + (len - cursor) > RETURN_EVERY) {
		draw_whole(d, want, len, cursor);
		return;
	}
	emit_back(d, back);
	emit(d, want + from, len - from);
	emit(d, "\x1b[K", clear ? 3 : 0);
	emit_back(d, len - cursor);
}

void edit_draw(struct edit *e, void (*out)(void *opaque, const char *buf, size_t n), void *opaque)
{
	const struct drawing d = {e, out, opaque};
	char want[EDIT_COLUMNS + 1];
	size_t len, cursor = compose(e, want, &len), same = 0;
	while (same < len && same < e->shown_len && want[same] == e->shown[same])
		same++;
	if (same == len && same == e->shown_len && e->since_return < RETURN_EVERY) { /* but for the cursor */
		if (cursor == e->shown_cursor)
			return;
		if (cursor < e->shown_cursor && e->since_return + e->shown_cursor - cursor < RETURN_EVERY)
			emit_back(&d, e->shown_cursor - cursor);
		else
			draw_change(&d, want, len, cursor, same);
	} else {
		draw_change(&d, want, len, cursor, same);
	}
	memcpy(e->shown, want, len);
	e->shown_len = len;
	e->shown_cursor = cursor;
}
