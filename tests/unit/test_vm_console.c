/* SPDX-License-Identifier: Apache-2.0 */
/* The guests' consoles: the escape key, the queue of input, who is in the foreground. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"
#include "vm/keys.h"
#include "vm/ring.h"
#include "vm/vm.h"

/* ---- fakes of host/ and devices/ ---- */
struct vm_host vm_host;

struct console_stream {
	char name[32];
	void *payer;
};
static char shown[8192]; /* "name<text>" as written */
static struct console_stream *front;
static int streams_open, opens_left = -1;
static void (*input)(void *opaque, const u8 *buf, size_t n);
static jmp_buf powered_off;

struct console_stream *console_open(const char *name, void *payer)
{
	if (opens_left == 0)
		return NULL;
	struct console_stream *s = calloc(1, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->payer = payer;
	streams_open++;
	return s;
}

static struct sched_group *charged;
static u64 charged_ticks;

void sched_charge(struct sched_group *g, u64 ticks)
{
	charged_ticks = ticks;
	charged = g;
}

void console_close(struct console_stream *s)
{
	streams_open--;
	if (front == s)
		front = NULL;
	free(s);
}

void console_write(struct console_stream *s, const char *buf, size_t n)
{
	size_t used = strlen(shown);
	snprintf(shown + used, sizeof(shown) - used, "%s<%.*s>", s->name, (int)n, buf);
}

void console_set_foreground(struct console_stream *s)
{
	front = s;
}

void console_shorten(void)
{
}

static void (*bill)(void *payer, u64 ticks);

void console_set_bill(void (*fn)(void *payer, u64 ticks))
{
	bill = fn;
}

void console_set_input(void (*fn)(void *opaque, const u8 *buf, size_t n), void *opaque)
{
	(void)opaque;
	input = fn;
}

__attribute__((noreturn)) void vm_power_off(void)
{
	longjmp(powered_off, 1);
}

/* ---- the monitor ---- */
static bool monitor_is_front;
static char typed_there[256];

void monitor_init(void)
{
}

void monitor_open(void)
{
	monitor_is_front = true;
	front = NULL;
}

void monitor_left(void)
{
	monitor_is_front = false;
}

bool monitor_is_open(void)
{
	return monitor_is_front;
}

void monitor_input(const u8 *buf, size_t n)
{
	strncat(typed_there, (const char *)buf, n);
}

/* A UART that takes what there is room for, as devices/uart.c does. */
struct pc {
	size_t room, taken;
	u8 bytes[65536];
};

size_t pc_console_input(struct pc *pc, const u8 *buf, size_t n)
{
	size_t fits = MIN(n, pc->room);
	memcpy(pc->bytes + pc->taken, buf, fits);
	pc->taken += fits;
	pc->room -= fits;
	return fits;
}

/* ---- a machine with three VMs; the second has no console ---- */
static struct vm vms[3];
static struct config_vm sections[3];
static struct pc pcs[3];

static int setup(void **state)
{
	static const char *const names[] = {"one", "two", "three"};
	(void)state;
	memset(vms, 0, sizeof(vms));
	memset(pcs, 0, sizeof(pcs));
	opens_left = -1;
	monitor_is_front = false;
	typed_there[0] = '\0';
	for (unsigned i = 0; i < 3; i++) {
		struct config_vm *c = &sections[i];
		snprintf(vms[i].name, sizeof(vms[i].name), "%s", names[i]);
		c->console = i == 1 ? CONSOLE_NONE : CONSOLE_SERIAL;
		vms[i].config = c;
		vms[i].place = i + 1;
		vms[i].pc = &pcs[i];
		assert_int_equal(vm_console_open(&vms[i]), 0);
	}
	shown[0] = '\0';
	return 0;
}

static int setup_once(void **state)
{
	(void)state;
	vm_console_init();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		vm_console_close(&vms[i]);
	assert_null(front);
	return 0;
}

static void type_bytes(const void *bytes, size_t n)
{
	input(NULL, bytes, n);
}

static void type(const char *text)
{
	type_bytes(text, strlen(text));
}

static void assert_got(unsigned vm, const char *text)
{
	assert_int_equal(pcs[vm].taken, strlen(text));
	assert_memory_equal(pcs[vm].bytes, text, strlen(text));
}

static void test_output(void **state)
{
	(void)state;
	vm_console_output(&vms[0], (const u8 *)"abc", 3);
	vm_console_output(&vms[1], (const u8 *)"lost", 4);
	vm_console_output(&vms[2], (const u8 *)"d", 1);
	assert_string_equal(shown, "one<abc>three<d>");
}

static void test_first_is_in_front(void **state)
{
	(void)state;
	assert_string_equal(front->name, "one");
	pcs[0].room = 100;
	type("hello");
	assert_got(0, "hello");
	assert_int_equal(pcs[2].taken, 0);
}

/* M31, M42: interrupts for a console are its VM's; what is typed for the monitor, the hypervisor's. */
static void test_who_pays(void **state)
{
	(void)state;
	pcs[0].room = 100;
	type("hello");
	assert_ptr_equal(charged, &vms[0].guest.group);
	assert_ptr_equal(front->payer, &vms[0].guest.group);
	type("\x1d"
	     "3x");
	type("x");
	assert_ptr_equal(charged, &vms[2].guest.group);
	bill(front->payer, 123);
	assert_ptr_equal(charged, &vms[2].guest.group);
	assert_int_equal(charged_ticks, 123);
	type("\x1dm");
	type("list");
	assert_null(charged);
	charged = &vms[0].guest.group;
	bill(NULL, 5);
	assert_null(charged);
}

static void test_switch(void **state)
{
	(void)state;
	pcs[0].room = pcs[2].room = 100;
	type("a\x1d"
	     "3b\x1d"
	     "1c\x1dnd\x1dne");
	assert_got(0, "ace");
	assert_got(2, "bd");
	assert_string_equal(front->name, "one");
	assert_non_null(strstr(shown, "socle<console of three>"));
	shown[0] = '\0';
	type("\x1d"
	     "2f");
	assert_got(0, "acef"); /* no console 2: nothing changed */
	assert_non_null(strstr(shown, "no guest with a console has that number"));
	type("\x1d"
	     "9");
	assert_string_equal(front->name, "one");
}

static void test_escape_key(void **state)
{
	(void)state;
	pcs[0].room = 100;
	/* Twice is one for the guest; alone at the end of a read it waits for the next. */
	type("x\x1d\x1dy\x1d");
	assert_got(0, "x\x1dy");
	type("\x1dz");
	assert_got(0, "x\x1dy\x1dz");
	type("\x1d"
	     "w");
	assert_got(0, "x\x1dy\x1dz");
	assert_string_equal(shown, "socle<not a command: Ctrl-] ? shows them>socle<\r\n>");
	type("q?n1");
	assert_got(0, "x\x1dy\x1dzq?n1"); /* without the escape key they are just text */
}

static void test_help(void **state)
{
	(void)state;
	type("\x1d?");
	assert_string_equal(shown, "socle<socle| Ctrl-] q       power the machine off>socle<\r\n>"
				   "socle<socle| Ctrl-] m       the monitor: commands for Socle>socle<\r\n>"
				   "socle<socle| Ctrl-] n       console of the next guest>socle<\r\n>"
				   "socle<socle| Ctrl-] Ctrl-]  a Ctrl-] for the guest>socle<\r\n>"
				   "socle<socle| Ctrl-] 1       console of one (this one)>socle<\r\n>"
				   "socle<socle| Ctrl-] 3       console of three>socle<\r\n>");
	assert_string_equal(front->name, "one");
	assert_int_equal(pcs[0].taken, 0);
}

static void test_monitor(void **state)
{
	(void)state;
	pcs[0].room = pcs[2].room = 100;
	type("a\x1dmlist\x1d\x1d!\x1d:x\x1d"
	     "3b");
	assert_got(0, "a");
	assert_got(2, "b");
	assert_string_equal(typed_there, "list\x1d!x");
	/* It stays in front when guests come and go; the last one comes back with it left. */
	type("\x1dm");
	vm_console_close(&vms[2]);
	assert_true(monitor_is_front);
	assert_int_equal(vm_console_open(&vms[2]), 0);
	assert_true(monitor_is_front);
	assert_null(front);
	assert_true(vm_console_bring(NULL));
	assert_string_equal(front->name, "one");
	assert_false(vm_console_bring(&vms[1])); /* it has no console */
	assert_true(vm_console_bring(&vms[2]));
	assert_string_equal(front->name, "three");
}

static void test_quit(void **state)
{
	(void)state;
	pcs[0].room = 100;
	volatile bool off = false;
	if (setjmp(powered_off) == 0)
		type("ab\x1dq");
	else
		off = true;
	assert_true(off);
	assert_got(0, "ab");
}

static void test_paste(void **state)
{
	static u8 paste[10240];
	(void)state;
	for (unsigned i = 0; i < sizeof(paste); i++)
		paste[i] = (u8)('a' + i % 26);
	/* It comes faster than a guest reads 16 bytes at a time. */
	for (unsigned i = 0; i < sizeof(paste); i += 64)
		type_bytes(paste + i, 64);
	while (pcs[0].taken < sizeof(paste)) {
		size_t before = pcs[0].taken;
		pcs[0].room = 16;
		vm_console_room(&vms[0]);
		assert_int_equal(pcs[0].taken, before + 16);
	}
	assert_memory_equal(pcs[0].bytes, paste, sizeof(paste));
	pcs[0].room = 16;
	vm_console_room(&vms[0]);
	assert_int_equal(pcs[0].taken, sizeof(paste));
	assert_string_equal(shown, "");
}

static void test_overflow(void **state)
{
	u8 byte = 0;
	(void)state;
	for (unsigned i = 0; i < RING_SIZE; i++, byte = (u8)(i % 100 + 32))
		type_bytes(&byte, 1);
	assert_string_equal(shown, "");
	type("lost");
	type("lost, too");
	/* Said once, until the guest has read everything. */
	assert_string_equal(shown, "socle<the guest does not read: input is lost>socle<\r\n>");
	pcs[0].room = RING_SIZE;
	vm_console_room(&vms[0]);
	assert_int_equal(pcs[0].taken, RING_SIZE);
	pcs[0].room = 10;
	type("again");
	assert_int_equal(pcs[0].taken, RING_SIZE + 5);
	assert_memory_equal(pcs[0].bytes + RING_SIZE, "again", 5);
}

static void test_restarted_vm(void **state)
{
	(void)state;
	type("for the first life");
	vms[0].pc = NULL; /* being built */
	type("for nobody");
	vm_console_room(&vms[0]);
	static struct pc second;
	second = (struct pc){.room = 100};
	vms[0].pc = &second;
	vm_console_room(&vms[0]);
	assert_int_equal(second.taken, 0);
	type("new");
	assert_int_equal(second.taken, 3);
	assert_memory_equal(second.bytes, "new", 3);
	assert_int_equal(pcs[0].taken, 0);
}

static void test_close(void **state)
{
	(void)state;
	pcs[2].room = 100;
	vm_console_close(&vms[0]);
	assert_null(vms[0].console);
	assert_string_equal(front->name, "three");
	type("x");
	assert_got(2, "x");
	vm_console_output(&vms[0], (const u8 *)"dead", 4);
	vm_console_close(&vms[0]); /* twice does no harm */
	vm_console_close(&vms[2]);
	type("y\x1dn\x1d?");
	assert_got(2, "x"); /* freed: nobody gets it */
	assert_int_equal(vm_console_open(&vms[2]), 0);
	assert_string_equal(front->name, "three");
}

static void test_no_memory(void **state)
{
	(void)state;
	int before = streams_open;
	vm_console_close(&vms[0]);
	opens_left = 0;
	assert_int_equal(vm_console_open(&vms[0]), ERR_NOMEM);
	assert_null(vms[0].console);
	assert_int_equal(streams_open, before - 1);
	opens_left = -1;
}

static void test_ring(void **state)
{
	struct ring r = {0};
	static u8 bytes[RING_SIZE];
	size_t n;
	(void)state;
	/* Indices that wrap around 32 bits. */
	r.head = r.tail = UINT32_MAX - 5;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(i * 7);
	assert_int_equal(ring_put(&r, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(ring_put(&r, bytes, 1), 0);
	unsigned done = 0, pieces = 0;
	for (const u8 *p; p = ring_peek(&r, &n), n; pieces++) {
		assert_memory_equal(p, bytes + done, n);
		ring_drop(&r, n);
		done += (unsigned)n;
	}
	assert_int_equal(done, sizeof(bytes));
	assert_int_equal(pieces, 2);
	ring_free(&r);
	assert_null(r.bytes);
	ring_peek(&r, &n); /* nobody has typed: nothing there, and nothing taken for it */
	assert_int_equal(n, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_output),    TEST(test_first_is_in_front), TEST(test_who_pays),
	    TEST(test_switch),    TEST(test_escape_key),        TEST(test_help),
	    TEST(test_quit),      TEST(test_monitor),           TEST(test_paste),
	    TEST(test_overflow),  TEST(test_restarted_vm),      TEST(test_close),
	    TEST(test_no_memory), cmocka_unit_test(test_ring),
	};
	return cmocka_run_group_tests(tests, setup_once, NULL);
}
