/* SPDX-License-Identifier: Apache-2.0 */
/* frames NETWORK serve: does what the other side says, at 10.0.NETWORK.2. frames NETWORK bulk|rr|tcp|get SIZE
 * COUNT: sends COUNT frames of SIZE bytes by UDP from 10.0.NETWORK.1, or each and waits for one back, or
 * COUNT pieces of SIZE bytes by TCP, or gets (`get`) so much by TCP; then a line of what that took on this
 * side, and one of the other.
 *
 * By UDP a receiver says after each burst how much it has, and the sender is never more than two of them
 * ahead.
 */
#include "inet.h"
#include "meters.h"

#define PORT 7000
#define HEADERS 42 /* Ethernet, IPv4, UDP */
#define BURST 64
#define PIECE_MAX 65536

enum op { BULK, RR, TCP, GET };
enum kind { HELLO, WELCOME, ORDER, READY, DATA, COUNT, ASK, TELL };
struct body {
	uint16_t kind, op;
	uint32_t value, size, count;
};
struct report {
	struct body b;
	uint64_t before[METERS], after[METERS];
};

static char buffer[PIECE_MAX];
static int net, listener;
static uint64_t network;

static noreturn void fail(const char *what, long result)
{
	print("frames: ");
	print(what);
	print(" failed: ");
	print_number((uint64_t)(result < 0 ? -result : result));
	print("\n");
	sys_exit(1);
}

static long must(const char *what, long result)
{
	if (result < 0)
		fail(what, result);
	return result;
}

/* ---- sockets ---- */
static uint32_t address(uint8_t host)
{
	return inet_address(10, 0, (uint8_t)network, host);
}

/* Whoever waits longer has lost a frame. */
static void patience(uint64_t seconds, uint64_t microseconds)
{
	const uint64_t time[2] = {seconds, microseconds};

	must("setsockopt", inet_option(net, SOL_SOCKET, SO_RCVTIMEO, time, sizeof(time)));
}

static void open_all(uint8_t host, uint8_t other)
{
	net = (int)must("socket", inet_open(SOCK_DGRAM, address(host), PORT));
	must("connect", inet_connect(net, address(other), PORT));
	if (host == 2) {
		listener = (int)must("socket", inet_open(SOCK_STREAM, address(host), PORT));
		must("listen", sys_call(SYS_LISTEN, listener, 1, 0, 0, 0));
	}
}

/* Payload of n bytes that begins with *b. */
static void send(enum kind kind, uint32_t value, uint64_t n)
{
	struct body *b = (struct body *)buffer;

	b->kind = (uint16_t)kind;
	b->value = value;
	sys_call(SYS_WRITE, net, (long)buffer, (long)n, 0, 0); /* who is not there yet refuses it */
}

/* False: none came in time. */
static int receive(struct body *b, uint64_t n)
{
	return sys_call(SYS_READ, net, (long)b, (long)n, 0, 0) >= (long)sizeof(*b);
}

static void receive_must(struct body *b, enum kind kind)
{
	do
		if (!receive(b, sizeof(*b)))
			fail("a frame that is awaited", b->kind);
	while (b->kind != kind);
}

/* ---- the work ---- */
static void bulk_send(uint32_t count, uint64_t n)
{
	uint32_t sent = 0, acked = 0;
	struct body b;

	while (acked < count) {
		while (sent < count && sent - acked < BURST)
			send(DATA, sent++, n);
		receive_must(&b, COUNT);
		acked = b.value;
	}
}

static void bulk_receive(uint32_t count)
{
	struct body b;

	for (uint32_t got = 1; got <= count; got++) {
		receive_must(&b, DATA);
		if (b.value != got - 1)
			fail("the order of frames", b.value);
		if (got % BURST == 0 || got == count)
			send(COUNT, got, sizeof(b));
	}
}

static void pings(uint32_t count, uint64_t n, int first)
{
	struct body b;

	for (uint32_t i = 0; i < count; i++) {
		if (first)
			send(DATA, i, n);
		receive_must(&b, DATA);
		if (!first)
			send(DATA, i, n);
	}
}

static int stream_open(void)
{
	int fd = (int)must("socket", inet_open(SOCK_STREAM, address(1), 0));

	must("connect", inet_connect(fd, address(2), PORT));
	return fd;
}

static int stream_accept(void)
{
	return (int)must("accept", inet_accept(listener));
}

static void stream_send(int fd, uint32_t count, uint64_t n)
{
	for (uint64_t left = count * n; left;) {
		uint64_t part = left % n ? left % n : n;
		left -= (uint64_t)must("write", sys_call(SYS_WRITE, fd, (long)buffer, (long)part, 0, 0));
	}
	must("read", sys_call(SYS_READ, fd, (long)buffer, 1, 0, 0)); /* the other has all */
	sys_call(SYS_CLOSE, fd, 0, 0, 0, 0);
}

static void stream_receive(int fd, uint32_t count, uint64_t n)
{
	for (uint64_t left = count * n; left;)
		left -= (uint64_t)must("read", sys_call(SYS_READ, fd, (long)buffer, sizeof(buffer), 0, 0));
	must("write", sys_call(SYS_WRITE, fd, (long)buffer, 1, 0, 0));
	sys_call(SYS_CLOSE, fd, 0, 0, 0, 0);
}

static void work(const struct body *o, int first)
{
	if (o->op == RR)
		pings(o->count, o->size - HEADERS, first);
	else if (o->op == BULK && first)
		bulk_send(o->count, o->size - HEADERS);
	else if (o->op == BULK)
		bulk_receive(o->count);
	else if (first == (o->op == TCP))
		stream_send(first ? stream_open() : stream_accept(), o->count, o->size);
	else
		stream_receive(first ? stream_open() : stream_accept(), o->count, o->size);
}

/* ---- the second ---- */
static noreturn void serve(void)
{
	static struct report r;
	struct body b;

	open_all(2, 1);
	for (;;) {
		if (!receive(&b, sizeof(b)))
			continue;
		if (b.kind == HELLO) {
			send(WELCOME, 0, sizeof(b));
		} else if (b.kind == ORDER) {
			patience(5, 0);
			send(READY, 0, sizeof(b));
			meters_read(r.before);
			work(&b, 0);
			meters_read(r.after);
			patience(0, 0);
		} else if (b.kind == ASK) {
			r.b.kind = TELL;
			must("write", sys_call(SYS_WRITE, net, (long)&r, sizeof(r), 0, 0));
		}
	}
}

/* ---- the first ---- */
static void say(const char *side, const struct body *o, uint64_t ticks, const struct report *r)
{
	static const char *const names[] = {"bulk", "rr", "tcp", "get"};

	print("FRAMES ");
	print(side);
	print(" ");
	print(names[o->op]);
	row("size", o->size);
	row("count", o->count);
	row("ticks", ticks);
	meters_print(r->before, r->after);
	print("\n");
}

static void lead(struct body o)
{
	static struct report own, other;
	struct body b;

	open_all(1, 2);
	patience(0, 300000);
	do
		send(HELLO, 0, sizeof(b));
	while (!receive(&b, sizeof(b)));
	patience(5, 0);
	*(struct body *)buffer = o;
	send(ORDER, 0, sizeof(b));
	receive_must(&b, READY);
	meters_read(own.before);
	uint64_t start = tsc_read();
	work(&o, 1);
	uint64_t ticks = tsc_read() - start;
	meters_read(own.after);
	send(ASK, 0, sizeof(b));
	do
		if (!receive(&other.b, sizeof(other)))
			fail("the other's report", 0);
	while (other.b.kind != TELL);
	say("first", &o, ticks, &own);
	say("second", &o, ticks, &other);
}

/* ---- the program ---- */
noreturn void program_main(long argc, char **argv, char **envp)
{
	(void)envp;
	network = argc > 1 ? text_number(argv[1]) : 0;
	if (argc != 3 && argc != 5) {
		print("Usage: frames NETWORK serve | frames NETWORK bulk|rr|tcp|get SIZE COUNT\n"
		      "Example: frames 1 bulk 1500 1000\n");
		sys_exit(2);
	}
	must("iopl", meters_open());
	if (argc == 3)
		serve();
	char op = argv[2][0];
	struct body o = {.op = op == 'r'   ? RR
			       : op == 't' ? TCP
			       : op == 'g' ? GET
					   : BULK,
			 .size = (uint32_t)text_number(argv[3]),
			 .count = (uint32_t)text_number(argv[4])};
	if (o.size < HEADERS + sizeof(o) || o.size > PIECE_MAX || (o.op < TCP && o.size > 1514)) {
		print("frames: expected a SIZE of 58 to 1514, by TCP up to 65536\n");
		sys_exit(2);
	}
	lead(o);
	sys_exit(0);
}
