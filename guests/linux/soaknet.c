/* SPDX-License-Identifier: Apache-2.0 */
/* soaknet lead|follow NAME OWN PEER SEED BITS: talks to another soaknet, both ways at once and from both
 * ends: TCP streams of random sizes up to 2^BITS in pieces of random sizes, and bursts of UDP datagrams, some
 * longer than a frame; each byte is known to both by its place, and compared. OWN, PEER: IPv4 addresses. The
 * one that leads ends when there is a file /tmp/stop, and so does the other. Says what went wrong. */
#include "inet.h"

#define SYS_POLL 7
#define SYS_MMAP 9
#define SYS_ACCESS 21
#define SYS_NANOSLEEP 35
#define SYS_KILL 62
#define SYS_FCNTL 72
#define F_SETFL 4
#define O_NONBLOCK 04000
#define POLLIN 1
#define POLLOUT 4
#define EAGAIN_RESULT (-11)
#define SIGKILL 9
#define PROT_RW 3
#define MAP_SHARED_ANONYMOUS 0x21

#define PORT_STREAM 7001
#define PORT_DATAGRAM 7002 /* the answering end; the asking one has the next */
#define PORT_END 7004
#define BUFFER 65536
#define DATAGRAM_MAX 8000u
#define DATAGRAM_MIN 16u
#define RECENT 1024
#define PATIENCE_MS 300000
#define LEAST 2 /* streams, and bursts, however soon it has to stop */

struct poll_fd {
	int fd;
	short events, seen;
};

/* What goes one way through a connection. */
struct stream {
	uint64_t seed, size, done, piece;
};

struct greeting {
	uint64_t seed, up, down;
};

/* All processes of this end see it. */
struct totals {
	uint64_t stop, streams, sent, received, datagrams, answers, datagram_bytes;
};

static struct {
	const char *name;
	uint64_t random, bits;
	uint32_t own, peer;
	int leads;
	struct totals *totals;
	uint64_t recent[RECENT]; /* numbers of the answers that came last */
	uint8_t data[BUFFER];
} s;

static void say(const char *what)
{
	print("soak: net: ");
	print(s.name);
	print(": ");
	print(what);
}

static void tell(const char *what, uint64_t n)
{
	print(what);
	print_number(n);
}

static noreturn void fail(const char *what, uint64_t where)
{
	say("WRONG: ");
	print(what);
	tell(", ", where);
	print("\n");
	sys_exit(1);
}

static long check(long result, const char *what)
{
	if (result < 0)
		fail(what, (uint64_t)-result);
	return result;
}

static void count(uint64_t *total, uint64_t n)
{
	__atomic_fetch_add(total, n, __ATOMIC_RELAXED);
}

static void *shared(uint64_t size)
{
	return (void *)check(sys_call(SYS_MMAP, 0, (long)size, PROT_RW, MAP_SHARED_ANONYMOUS, -1),
			     "no memory");
}

/* ---- numbers ---- */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	return x ^ x >> 32;
}

static uint64_t next(void)
{
	return mix(s.random++);
}

/* From 1 to 2^bits, of each length as many. */
static uint64_t some(uint64_t bits)
{
	return 1 + next() % ((uint64_t)1 << next() % (bits + 1));
}

/* Writes n bytes of what belongs at `place` of a stream, or says where others are; n: all are right. */
static uint64_t bytes(uint64_t seed, uint64_t place, uint8_t *data, uint64_t n, int compare)
{
	uint64_t word = mix(seed + place / 8) >> place % 8 * 8;

	for (uint64_t i = 0; i < n; i++, place++, word >>= 8) {
		if (place % 8 == 0)
			word = mix(seed + place / 8);
		if (!compare)
			data[i] = (uint8_t)word;
		else if (data[i] != (uint8_t)word)
			return i;
	}
	return n;
}

/* As it is in a packet. */
static uint32_t address(const char *text)
{
	uint32_t result = 0;
	for (int i = 0; i < 4; i++) {
		result |= (uint32_t)text_number(text) << i * 8;
		while (*text && *text++ != '.')
			;
	}
	return result;
}

/* ---- sockets ---- */
static int open_socket(int type, unsigned port)
{
	return (int)check(inet_open(type, s.own, port), "no socket");
}

static int try_connect(int fd, unsigned port)
{
	return inet_connect(fd, s.peer, port) == 0;
}

static void pause_ms(uint64_t ms)
{
	uint64_t time[2] = {ms / 1000, ms % 1000 * 1000000};
	sys_call(SYS_NANOSLEEP, (long)time, 0, 0, 0, 0);
}

/* The other end may not be there yet. */
static int reach(unsigned port)
{
	for (int i = 0; i < 600; i++) {
		int fd = open_socket(SOCK_STREAM, 0);
		if (try_connect(fd, port))
			return fd;
		sys_call(SYS_CLOSE, fd, 0, 0, 0, 0);
		pause_ms(500);
	}
	fail("the other does not answer at port", port);
}

static int take_connection(int listener)
{
	return (int)check(inet_accept(listener), "cannot accept");
}

static int wait_for(int fd, int events, long ms)
{
	struct poll_fd row = {fd, (short)events, 0};
	return check(sys_call(SYS_POLL, (long)&row, 1, ms, 0, 0), "cannot poll") ? row.seen : 0;
}

static void read_all(int fd, void *to, uint64_t n)
{
	for (uint64_t done = 0; done < n;) {
		long got = wait_for(fd, POLLIN, PATIENCE_MS);
		if (got)
			got = sys_call(SYS_READ, fd, (long)to + (long)done, (long)(n - done), 0, 0);
		if (got <= 0)
			fail("a stream has no beginning, or no end", done);
		done += (uint64_t)got;
	}
}

/* ---- streams ---- */
static void send_piece(int fd, struct stream *out)
{
	uint64_t n = 1 + next() % out->piece;
	long done;

	n = n < out->size - out->done ? n : out->size - out->done;
	bytes(out->seed, out->done, s.data, n, 0);
	done = sys_call(SYS_WRITE, fd, (long)s.data, (long)n, 0, 0);
	if (done == EAGAIN_RESULT)
		return;
	out->done += (uint64_t)check(done, "cannot send");
}

static void take_piece(int fd, struct stream *in)
{
	uint64_t rest = in->size - in->done, most = rest < BUFFER ? rest : BUFFER;
	long n = sys_call(SYS_READ, fd, (long)s.data, (long)(1 + next() % most), 0, 0);
	uint64_t good;

	if (n == EAGAIN_RESULT)
		return;
	if (check(n, "cannot receive") == 0)
		fail("a stream ends too early", in->done);
	good = bytes(in->seed, in->done, s.data, (uint64_t)n, 1);
	if (good != (uint64_t)n)
		fail("a stream has another byte", in->done + good);
	in->done += (uint64_t)n;
}

static void exchange(int fd, struct stream out, struct stream in)
{
	int one = 1;

	inet_option(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	check(sys_call(SYS_FCNTL, fd, F_SETFL, O_NONBLOCK, 0, 0), "cannot change a socket");
	out.piece = out.size / 256 + some(15);
	out.piece = out.piece < BUFFER ? out.piece : BUFFER;
	while (out.done < out.size || in.done < in.size) {
		int want = (out.done < out.size ? POLLOUT : 0) | (in.done < in.size ? POLLIN : 0);
		int seen = wait_for(fd, want, PATIENCE_MS);
		if (!(seen & want))
			fail("a stream stalls, or is cut", out.done + in.done);
		if (seen & want & POLLIN)
			take_piece(fd, &in);
		else
			send_piece(fd, &out);
	}
	count(&s.totals->sent, out.size);
	count(&s.totals->received, in.size);
	count(&s.totals->streams, 1);
}

static noreturn void answer_streams(int listener)
{
	for (;;) {
		int fd = take_connection(listener);
		struct greeting hello;
		read_all(fd, &hello, sizeof(hello));
		exchange(fd, (struct stream){~hello.seed, hello.down, 0, 0},
			 (struct stream){hello.seed, hello.up, 0, 0});
		hello.seed = ~hello.seed;
		check(sys_call(SYS_WRITE, fd, (long)&hello, 1, 0, 0), "cannot say that all is here");
		sys_call(SYS_CLOSE, fd, 0, 0, 0, 0);
	}
}

static int has_to_stop(void)
{
	if (s.leads && sys_call(SYS_ACCESS, (long)"/tmp/stop", 0, 0, 0, 0) == 0)
		s.totals->stop = 1;
	return __atomic_load_n(&s.totals->stop, __ATOMIC_RELAXED) != 0;
}

static noreturn void begin_streams(void)
{
	for (unsigned i = 0; i < LEAST || !has_to_stop(); i++) {
		int fd = reach(PORT_STREAM);
		struct greeting hello = {next(), some(s.bits), some(s.bits)};
		uint8_t all = (uint8_t)hello.seed;
		hello.up = next() % 8 ? hello.up : 0;
		hello.down = next() % 8 ? hello.down : 0;
		check(sys_call(SYS_WRITE, fd, (long)&hello, sizeof(hello), 0, 0), "cannot greet");
		exchange(fd, (struct stream){hello.seed, hello.up, 0, 0},
			 (struct stream){~hello.seed, hello.down, 0, 0});
		read_all(fd, &all, 1);
		if (all != (uint8_t)~hello.seed)
			fail("a stream has another end", hello.down);
		sys_call(SYS_CLOSE, fd, 0, 0, 0, 0);
	}
	sys_exit(0);
}

/* ---- datagrams ---- */
/* Begins with its number; its seed and both sizes follow from that. */
static uint64_t datagram_size(uint64_t seed)
{
	return DATAGRAM_MIN + mix(seed) % ((seed % 8 ? 1472u : DATAGRAM_MAX) - DATAGRAM_MIN + 1);
}

static void send_datagram(int fd, uint64_t seed, uint64_t n)
{
	uint64_t size = datagram_size(seed + n);

	*(uint64_t *)(void *)s.data = n;
	*(uint64_t *)(void *)(s.data + 8) = seed;
	bytes(seed + n, DATAGRAM_MIN, s.data + DATAGRAM_MIN, size - DATAGRAM_MIN, 0);
	check(sys_call(SYS_WRITE, fd, (long)s.data, (long)size, 0, 0), "cannot send a datagram");
	count(&s.totals->datagram_bytes, size);
}

/* Its number, and *seed. */
static uint64_t take_datagram(int fd, uint64_t *seed)
{
	long got = check(sys_call(SYS_READ, fd, (long)s.data, BUFFER, 0, 0), "cannot receive a datagram");
	uint64_t n = *(uint64_t *)(void *)s.data, size;

	*seed = *(uint64_t *)(void *)(s.data + 8);
	size = datagram_size(*seed + n);
	if ((uint64_t)got != size)
		fail("a datagram has another size", (uint64_t)got);
	if (bytes(*seed + n, DATAGRAM_MIN, s.data + DATAGRAM_MIN, size - DATAGRAM_MIN, 1) !=
	    size - DATAGRAM_MIN)
		fail("a datagram has another byte", size);
	return n;
}

static noreturn void answer_datagrams(int fd)
{
	for (;;) {
		uint64_t seed, n = take_datagram(fd, &seed);
		send_datagram(fd, ~seed, n);
	}
}

static void take_answers(int fd, uint64_t seed, uint64_t sent)
{
	uint64_t its, n = take_datagram(fd, &its);

	if (its != ~seed || n == 0 || n > sent)
		fail("an answer to nothing", n);
	if (s.recent[n % RECENT] == n)
		fail("an answer twice", n);
	s.recent[n % RECENT] = n;
	count(&s.totals->answers, 1);
}

/* An answer that does not come in time is not waited for; it may come later. */
static noreturn void begin_datagrams(int fd)
{
	uint64_t seed = next(), n = 0;

	for (unsigned i = 0; i < LEAST || !has_to_stop(); i++) {
		uint64_t before = s.totals->answers, burst = some(4);
		for (uint64_t k = 0; k < burst; k++)
			send_datagram(fd, seed, ++n);
		count(&s.totals->datagrams, burst);
		while (s.totals->answers - before < burst && wait_for(fd, POLLIN, 1000))
			take_answers(fd, seed, n);
	}
	while (s.totals->answers < n && wait_for(fd, POLLIN, 3000))
		take_answers(fd, seed, n);
	sys_exit(0);
}

/* ---- the whole ---- */
#define PROCESSES 4

static void report(void)
{
	say("all is there: ");
	tell("", s.totals->streams);
	tell(" streams, sent ", s.totals->sent / 1024);
	tell(" KiB, received ", s.totals->received / 1024);
	tell(" KiB; ", s.totals->datagrams);
	tell(" datagrams asked, ", s.totals->datagram_bytes / 1024);
	tell(" KiB sent, lost ", s.totals->datagrams - s.totals->answers);
	print("\n");
}

static void collect(long pid, int *good)
{
	int status = 1;
	if (sys_call(SYS_WAIT4, pid, (long)&status, 0, 0, 0) != pid || status)
		*good = 0;
}

/* Those of this end that ask; then the other's, which are through before it answers here. */
static int end_both(int listener, const long *asking)
{
	int good = 1, fd = -1;
	char byte = 0;

	if (!s.leads) {
		fd = take_connection(listener);
		s.totals->stop = 1;
	}
	collect(asking[0], &good);
	collect(asking[1], &good);
	if (s.leads) {
		fd = reach(PORT_END);
		read_all(fd, &byte, 1);
	} else {
		sys_call(SYS_WRITE, fd, (long)&byte, 1, 0, 0);
	}
	sys_call(SYS_CLOSE, fd, 0, 0, 0, 0);
	return good;
}

static long start(int which, int streams, int datagrams, int asking)
{
	long pid = check(sys_call(SYS_FORK, 0, 0, 0, 0, 0), "cannot fork");

	if (pid)
		return pid;
	s.random = mix(s.random + (uint64_t)which);
	if (which == 0)
		begin_streams();
	else if (which == 1)
		begin_datagrams(asking);
	else if (which == 2)
		answer_streams(streams);
	answer_datagrams(datagrams);
}

noreturn void program_main(long argc, char **argv, char **envp)
{
	long pids[PROCESSES];
	int datagrams, asking, streams, end, good;

	(void)envp;
	if (argc != 7) {
		print("usage: soaknet lead|follow NAME OWN PEER SEED BITS\n");
		sys_exit(2);
	}
	s.leads = argv[1][0] == 'l';
	s.name = argv[2];
	s.own = address(argv[3]);
	s.peer = address(argv[4]);
	s.random = mix(text_number(argv[5]) + (uint64_t)s.leads);
	s.bits = text_number(argv[6]);
	datagrams = open_socket(SOCK_DGRAM, PORT_DATAGRAM);
	asking = open_socket(SOCK_DGRAM, PORT_DATAGRAM + 1);
	streams = open_socket(SOCK_STREAM, PORT_STREAM);
	end = open_socket(SOCK_STREAM, PORT_END);
	if (!try_connect(datagrams, PORT_DATAGRAM + 1) || !try_connect(asking, PORT_DATAGRAM))
		fail("no way to the other", s.peer);
	check(sys_call(SYS_LISTEN, end, 4, 0, 0, 0), "cannot listen");
	check(sys_call(SYS_LISTEN, streams, 4, 0, 0, 0), "cannot listen");
	s.totals = shared(sizeof(*s.totals));
	sys_call(SYS_CLOSE, s.leads ? reach(PORT_END) : take_connection(end), 0, 0, 0, 0);
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = start(i, streams, datagrams, asking);
	good = end_both(end, pids);
	for (int i = 2; i < PROCESSES; i++)
		sys_call(SYS_KILL, pids[i], SIGKILL, 0, 0, 0);
	if (good)
		report();
	sys_exit(!good);
}
