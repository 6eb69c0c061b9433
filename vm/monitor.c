/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the monitor's prompt: input that waits, the line being typed, and the command that is not done. */
#include "monitor.h"

#include "edit.h"
#include "host.h"
#include "ring.h"

#define PROMPT "socle> "
#define OUT_MAX 8192
#define KEY_INTERRUPT 3 /* Ctrl-C */

static struct {
	struct console_stream *stream; /* NULL: there was no memory for one */
	struct work work;
	struct ring input;
	struct edit edit;
	bool open, overflow;
	char out[OUT_MAX]; /* of a line that is not complete */
	size_t nr_out;
	char rest[EDIT_MAX]; /* of a line with several commands */
	/* A command that is not done. */
	bool (*waiting)(u64 arg);
	u64 wait_arg;
	bool interrupted; /* Ctrl-C while it waited */
	/* A command that reads lines. */
	bool (*line)(const char *text);
} monitor;

/* ---- output ---- */

static void flush(void)
{
	if (monitor.stream && monitor.nr_out)
		console_write(monitor.stream, monitor.out, monitor.nr_out);
	monitor.nr_out = 0;
}

/* Whole lines go out at once, so that no guest's comes in between. */
void monitor_write(const char *buf, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (monitor.nr_out == OUT_MAX)
			flush();
		monitor.out[monitor.nr_out++] = buf[i];
	}
	if (n && buf[n - 1] == '\n')
		flush();
}

void monitor_print(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	monitor_write(text, MIN((size_t)MAX(n, 0), sizeof(text) - 1));
}

void monitor_error(const struct call *c, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	monitor_print("%s: %s\n", c->command->name, text);
}

static void draw_out(void *opaque, const char *buf, size_t n)
{
	(void)opaque;
	monitor_write(buf, n);
}

static void next_line(const char *prompt)
{
	edit_start(&monitor.edit, prompt);
}

/* ---- a command line ---- */

/* The VM that the first word names. */
static bool find_vm(struct call *c)
{
	unsigned count = 0;
	if (c->command->kinds[0] != WORD_VM || !c->nr_words)
		return true;
	c->vm = vm_find(c->words[0]);
	if (c->vm)
		return true;
	monitor_print("%s: no VM \"%.40s\": ", c->command->name, c->words[0]);
	if (list_empty(&vm_host.vms)) {
		monitor_print("there is none\n");
		return false;
	}
	monitor_print("expected");
	monitor_candidates(WORD_VM, monitor_show_candidate, &count);
	monitor_print("\n");
	return false;
}

static void obey_one(char *line)
{
	char why[240];
	struct call c;
	int rc = call_parse(&c, monitor_commands, monitor_nr_commands, line, why, sizeof(why));
	if (rc == ERR_NOENT)
		return;
	if (rc)
		monitor_print("%s\n", why);
	else if (find_vm(&c))
		c.command->run(&c);
}

/* The next command of the line; ';' separates them. */
static void obey_rest(void)
{
	char line[EDIT_MAX];
	bool quote = false;
	size_t n = 0;
	for (; monitor.rest[n] && (quote || monitor.rest[n] != ';'); n++)
		quote ^= monitor.rest[n] == '"';
	memcpy(line, monitor.rest, n);
	line[n] = '\0';
	n += monitor.rest[n] == ';';
	memmove(monitor.rest, monitor.rest + n, strlen(monitor.rest + n) + 1);
	obey_one(line);
}

void monitor_read_lines(const char *prompt, bool (*line)(const char *text))
{
	monitor.line = line;
	next_line(prompt);
}

static void line_done(void)
{
	struct edit *e = &monitor.edit;
	bool (*reader)(const char *text) = monitor.line;
	edit_draw(e, draw_out, NULL);
	monitor_write("\n", 1);
	if (reader) {
		if (!reader(e->line))
			monitor.line = NULL;
		next_line(monitor.line ? e->prompt : PROMPT);
		return;
	}
	edit_remember(e);
	str_copy(monitor.rest, e->line, sizeof(monitor.rest));
	next_line(PROMPT);
}

static void cancel_line(void)
{
	bool (*reader)(const char *text) = monitor.line;
	monitor_write("^C\n", 3);
	monitor.line = NULL;
	monitor.rest[0] = '\0';
	if (reader)
		reader(NULL);
	next_line(PROMPT);
}

static void complete(void)
{
	struct edit *e = &monitor.edit;
	char text[EDIT_MAX], add[64];
	if (monitor.line) { /* a text is being pasted: a tab separates words */
		edit_insert(e, " ", 1);
		return;
	}
	memcpy(text, e->line, e->cursor);
	text[e->cursor] = '\0';
	edit_draw(e, draw_out, NULL);
	if (monitor_complete(text, add, sizeof(add))) { /* it has written below the line */
		e->shown_len = e->shown_cursor = 0;
		e->since_return = 0;
	}
	edit_insert(e, add, strlen(add));
}

static void step(u8 byte)
{
	switch (edit_byte(&monitor.edit, byte)) {
	case EDIT_LINE:
		line_done();
		break;
	case EDIT_TAB:
		complete();
		break;
	case EDIT_CANCEL:
		cancel_line();
		break;
	case EDIT_END:
		if (monitor.line)
			cancel_line();
		else
			monitor_close();
		break;
	case EDIT_NONE:
		break;
	}
}

/* ---- input ---- */

static bool take_byte(u8 *byte)
{
	size_t n;
	const u8 *at = ring_peek(&monitor.input, &n);
	if (!n)
		return false;
	*byte = *at;
	ring_drop(&monitor.input, 1);
	return true;
}

int monitor_key(void)
{
	u8 byte;
	return take_byte(&byte) ? byte : -1;
}

void monitor_wait(bool (*waiting)(u64 arg), u64 arg)
{
	monitor.waiting = waiting;
	monitor.wait_arg = arg;
	monitor.interrupted = false;
}

static bool still_waiting(void)
{
	if (!monitor.waiting)
		return false;
	if (monitor.interrupted) {
		monitor_write("^C\n", 3);
		monitor.rest[0] = '\0';
		monitor.waiting = NULL;
	} else if (!monitor.waiting(monitor.wait_arg)) {
		monitor.waiting = NULL;
	}
	return monitor.waiting;
}

static void serve(void *opaque)
{
	u8 byte;
	(void)opaque;
	while (!still_waiting()) {
		if (monitor.rest[0] && !monitor.line) /* they wait until a text is complete */
			obey_rest();
		else if (take_byte(&byte))
			step(byte);
		else
			break;
	}
	if (monitor.overflow)
		monitor_print("\ninput was lost: it came too fast\n");
	monitor.overflow = false;
	if (monitor.open && !monitor.waiting)
		edit_draw(&monitor.edit, draw_out, NULL);
	flush();
}

void monitor_wake(void)
{
	if (monitor.stream)
		work_queue_on(0, &monitor.work);
}

void monitor_input(const u8 *buf, size_t n)
{
	if (monitor.waiting && memchr(buf, KEY_INTERRUPT, n)) {
		monitor.interrupted = true;
		ring_clear(&monitor.input);
	} else if (ring_put(&monitor.input, buf, n) < n && !monitor.overflow) {
		monitor.overflow = true;
	}
	monitor_wake();
}

/* ---- to the foreground and back ---- */

bool monitor_is_open(void)
{
	return monitor.open;
}

void monitor_open(void)
{
	if (!monitor.stream)
		return;
	console_set_foreground(monitor.stream);
	if (!monitor.open)
		next_line(PROMPT);
	monitor.open = true;
	monitor_wake();
}

void monitor_left(void)
{
	if (!monitor.open)
		return;
	monitor.open = false;
	ring_clear(&monitor.input);
	if (monitor.waiting)
		monitor.interrupted = true;
	if (monitor.edit.shown_len)
		monitor_write("\n", 1);
	next_line(PROMPT);
	flush();
	if (monitor.line) {
		monitor.line(NULL);
		monitor.rest[0] = '\0';
	}
	monitor.line = NULL;
	monitor_wake();
}

void monitor_init(void)
{
	monitor.stream = console_open("monitor", NULL);
	work_init(&monitor.work, serve, NULL);
	next_line(PROMPT);
}
