/* SPDX-License-Identifier: Apache-2.0 */
/* The guests' consoles: each guest's COM1 and virtio console are one stream on the operator's terminal; what
 * is typed goes to the guest in the foreground, as fast as its UART or virtio console takes it. Order of
 * locks: a console's, then its device's, then the operator console's in host/. */
#include "host.h"
#include "keys.h"
#include "monitor.h"
#include "ring.h"
#include "spinlock.h"
#include "vm.h"

#define OWN_NAME "socle" /* of the stream with what Socle itself has to say */

struct vm_console {
	struct list node; /* in operator.consoles, by place */
	struct vm *vm;
	struct console_stream *stream;
	struct spinlock lock; /* input, overflow, pc */
	struct pc *pc;        /* the machine that input is meant for */
	bool overflow;        /* input was lost, and the operator told so */
	struct ring input;
};

/* The operator's end. Input arrives in the interrupt handler of one CPU. */
static struct {
	struct keys keys;
	struct console_stream *stream; /* for what Socle itself has to say */
	struct list consoles;
	struct vm_console *front;
} operator= {.consoles = {&operator.consoles, &operator.consoles } };

static void say(const char *text)
{
	if (!operator.stream)
		return;
	console_write(operator.stream, text, strlen(text));
	console_write(operator.stream, "\r\n", 2);
}

/* ---- input ---- */

/* Hands over what the guest's UART or virtio console has room for. With the lock. */
static void input_drain(struct vm_console *c)
{
	for (;;) {
		size_t n;
		const u8 *buf = ring_peek(&c->input, &n);
		if (!n)
			break;
		size_t taken = pc_console_input(c->pc, buf, n);
		ring_drop(&c->input, taken);
		if (taken < n)
			return; /* the device remembers, and vm_console_room() follows */
	}
	c->overflow = false;
}

static void input_feed(struct vm_console *c, const u8 *buf, size_t n)
{
	bool lost = false;
	if (!c || !n || !c->vm->pc)
		return;
	spin_lock(&c->lock);
	if (c->pc != c->vm->pc) {
		/* The VM was started again: what its last life did not read is not for this one. */
		ring_clear(&c->input);
		c->pc = c->vm->pc;
	}
	if (ring_put(&c->input, buf, n) < n && !c->overflow)
		lost = c->overflow = true;
	input_drain(c);
	spin_unlock(&c->lock);
	if (lost)
		say("the guest does not read: input is lost");
}

void vm_console_room(struct vm *vm)
{
	struct vm_console *c = vm->console;
	if (!c)
		return;
	spin_lock(&c->lock);
	if (c->pc == vm->pc)
		input_drain(c);
	spin_unlock(&c->lock);
}

/* ---- the operator's commands ---- */

/* One line of several, while Socle's own stream is in the foreground. */
static void tell(const char *key, const char *what, const char *name, const char *note)
{
	char line[96];
	snprintf(line, sizeof(line), OWN_NAME "| Ctrl-] %-8s%s%s%s", key, what, name, note);
	say(line);
}

/* In the foreground for once, so that the guest's line is not shown again after each of these. */
static void show_help(void)
{
	console_set_foreground(operator.stream);
	tell("q", "power the machine off", "", "");
	tell("m", "the monitor: commands for Socle", "", "");
	tell("n", "console of the next guest", "", "");
	tell("Ctrl-]", "a Ctrl-] for the guest", "", "");
	list_for_each(n, &operator.consoles)
	{
		const struct vm_console *c = list_entry(n, struct vm_console, node);
		const char key[] = {(char)('0' + c->vm->place), '\0'};
		if (c->vm->place <= 9)
			tell(key, "console of ", c->vm->name, c == operator.front ? " (this one)" : "");
	}
	if (monitor_is_open())
		monitor_open();
	else
		console_set_foreground(operator.front ? operator.front->stream : NULL);
}

static void bring_to_front(struct vm_console *c)
{
	char line[64];
	monitor_left();
	operator.front = c;
	console_set_foreground(c ? c->stream : NULL);
	if (!c)
		return;
	snprintf(line, sizeof(line), "console of %s", c->vm->name);
	say(line);
}

/* The console behind front by place, round and round. */
static struct vm_console *next_console(void)
{
	struct list *next = operator.front ? operator.front->node.next : operator.consoles.next;
	if (next == &operator.consoles)
		next = next->next;
	return next == &operator.consoles ? NULL : list_entry(next, struct vm_console, node);
}

static void select_console(unsigned number)
{
	list_for_each(n, &operator.consoles)
	{
		struct vm_console *c = list_entry(n, struct vm_console, node);
		if (c->vm->place == number) {
			bring_to_front(c);
			return;
		}
	}
	say("no guest with a console has that number");
}

static void obey(enum key_action action, unsigned number)
{
	switch (action) {
	case KEY_HELP:
		show_help();
		break;
	case KEY_QUIT:
		console_shorten();
		say("the operator powers the machine off");
		vm_power_off();
	case KEY_MONITOR:
		monitor_open();
		break;
	case KEY_NEXT:
		bring_to_front(next_console());
		break;
	case KEY_SELECT:
		select_console(number);
		break;
	case KEY_UNKNOWN:
		say("not a command: Ctrl-] ? shows them");
		break;
	case KEY_PASS:
	case KEY_WAIT:
		break;
	}
}

static void feed(const u8 *buf, size_t n)
{
	if (n && monitor_is_open())
		monitor_input(buf, n);
	else
		input_feed(operator.front, buf, n);
}

/* Time of an interrupt, and whom it was for: a VM's group, or NULL. */
static void charge(void *payer, u64 ticks)
{
	sched_charge(payer, ticks);
}

/* Bytes from the operator's terminal; those for the guest are handed over in runs. Whose console it is pays.
 */
static void on_input(void *opaque, const u8 *buf, size_t n)
{
	bool of_guest = operator.front && !monitor_is_open();
	struct sched_group *payer = of_guest ? &operator.front->vm->guest.group : NULL;
	u64 start = tsc_now();
	size_t run = 0;
	(void)opaque;
	for (size_t i = 0; i < n; i++) {
		unsigned number = 0;
		enum key_action action = keys_step(&operator.keys, buf[i], &number);
		if (action == KEY_PASS)
			continue;
		feed(buf + run, i - run);
		run = i + 1;
		obey(action, number);
	}
	feed(buf + run, n - run);
	charge(payer, tsc_now() - start);
}

/* ---- life ---- */

void vm_console_init(void)
{
	operator.stream = console_open(OWN_NAME, NULL);
	monitor_init();
	console_set_bill(charge);
	console_set_input(on_input, NULL);
}

static void console_insert(struct vm_console *c)
{
	struct list *pos = operator.consoles.next;
	while (pos !=
	       &operator.consoles && list_entry(pos, struct vm_console, node)->vm->place < c->vm->place)
		pos = pos->next;
	list_insert(pos, &c->node);
}

int vm_console_open(struct vm *vm)
{
	if (vm->config->console == CONSOLE_NONE)
		return 0;
	struct vm_console *c = heap_alloc(sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	c->vm = vm;
	c->stream = console_open(vm->name, &vm->guest.group);
	if (!c->stream) {
		heap_free(c);
		return ERR_NOMEM;
	}
	vm->console = c;
	console_insert(c);
	if (!operator.front) {
		operator.front = c;
		if (!monitor_is_open())
			console_set_foreground(c->stream);
	}
	return 0;
}

void vm_console_close(struct vm *vm)
{
	struct vm_console *c = vm->console;
	if (!c)
		return;
	vm->console = NULL;
	struct vm_console *next = operator.front == c ? next_console() : operator.front;
	list_remove(&c->node);
	if (operator.front == c && monitor_is_open())
		operator.front = next == c ? NULL : next;
	else if (operator.front == c)
		bring_to_front(next == c ? NULL : next);
	console_close(c->stream);
	ring_free(&c->input);
	heap_free(c);
}

u64 vm_console_usage(const struct vm *vm)
{
	const struct vm_console *c = vm->console;
	return c ? heap_size(c) + heap_size(c->stream) + heap_size(c->input.bytes) : 0;
}

bool vm_console_bring(struct vm *vm)
{
	struct vm_console *c = vm ? vm->console : operator.front;
	if (c)
		bring_to_front(c);
	return c;
}

void vm_console_output(void *opaque, const u8 *buf, size_t n)
{
	struct vm *vm = opaque;
	if (vm->console)
		console_write(vm->console->stream, (const char *)buf, n);
}
