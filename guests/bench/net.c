/* SPDX-License-Identifier: Apache-2.0 */
/* What a network interface costs (M11, M81): frames between two of these guests on one bridge. One measures
 * (`role=first`), the other does what that one tells it (`role=second`). A point for each of `op=`, tx, rx or
 * rr (a frame there and one back), and `size=`, lists both; `mode=` says which way (net/net.h); `n=` frames
 * each, and so many as `burst=` are put before the doorbell is thought of. Sizes above 1514 are segments of
 * TCP, to be cut by whoever needs them cut.
 *
 * In bulk a receiver says how much it has got after each burst, and a sender is never more than two of them
 * ahead, so that none is lost.
 *
 * NET mode op size: n frames; ticks of the TSC for all of them (on the test machine with one CPU:
 * instructions of everybody); of each side what its guest, and the hypervisor for it, took by the test
 * device's meters, its interrupts and exits. */
#include "net/net.h"
#include "apic.h"
#include "counters.h"
#include "disk/disk.h"
#include "page.h"
#include "print.h"
#include "test.h"

#define METER_PORT 0x2020
#define SLOTS 256u /* frames in memory, of which none is used again before it has arrived */
#define FRAME_PAGES ((u64)NET_BYTES_MAX / NET_PAGE + 1)
#define CUT 1448
#define ONE_MAX 1514u
#define SMALL 64u
#define HELLO_TICKS 3000000u

/* Behind the headers of IPv4 and TCP that every frame has. */
#define BODY_AT 54
enum kind { HELLO, WELCOME, ORDER, DATA, COUNT, PING, PONG, ASK, TELL, BYE };
enum op { TX, RX, RR };
struct __attribute__((packed)) body {
	u16 kind;
	u32 value, more;
};
struct __attribute__((packed)) order {
	struct body b;
	u32 op, size, frames, burst;
};
struct meters {
	u64 exits, guest, hypervisor, billed, interrupts;
};
struct __attribute__((packed)) report {
	struct body b;
	struct meters m;
};

static const struct net_driver *const drivers[] = {&net_virtio, &net_packed};
static const struct net_driver *net;
static u8 own[6], other[6];
static u8 *frames;
static u32 slot, stride = NET_PAGE; /* bytes from one frame to the next */

/* ---- frames ---- */
static u8 *frame_at(u32 i)
{
	return frames + i % SLOTS * (u64)stride + NET_HEADROOM;
}

/* What does not change from frame to frame: IPv4 (RFC 791) and TCP (RFC 9293), to whom it may concern. */
static void frames_make(void)
{
	static const u8 ip[] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};

	for (u32 i = 0; i < SLOTS; i++) {
		u8 *f = frame_at(i);
		memcpy(f, other, 6);
		memcpy(f + 6, own, 6);
		f[12] = 0x08;
		f[13] = 0;
		memcpy(f + 14, ip, sizeof(ip));
		memset(f + 34, 0, 20);
		f[46] = 5 << 4;
	}
}

/* All frames are in whole pages, as those of other guests are. */
static void stride_set(u32 size)
{
	u32 pages = (size + NET_HEADROOM + NET_PAGE - 1) / NET_PAGE;

	if (stride == pages * NET_PAGE)
		return;
	stride = pages * NET_PAGE;
	frames_make();
}

static void send(enum kind kind, u32 value, u32 size)
{
	u8 *f = frame_at(slot++);
	struct body *b = (struct body *)(f + BODY_AT);

	b->kind = (u16)kind;
	b->value = value;
	while (!net->put(f, size, size > ONE_MAX ? CUT : 0))
		cpu_pause();
}

static void send_with(enum kind kind, void *what, u32 bytes)
{
	u8 *f = frame_at(slot);

	((struct body *)what)->kind = (u16)kind;
	memcpy(f + BODY_AT, what, bytes);
	send(kind, ((struct body *)what)->value, BODY_AT + bytes);
	net->kick();
}

static struct body *get(u32 *size)
{
	const u8 *f = net->get(size);

	return f ? (struct body *)(f + BODY_AT) : NULL;
}

static void sleep(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
}

/* The next frame of a kind, to be released; others are not waited for. */
static struct body *await(enum kind kind)
{
	struct body *b;
	u32 size;

	for (;; net->release()) {
		while (!(b = get(&size)))
			sleep();
		if (b->kind == kind)
			return b;
	}
}

/* ---- the work ---- */
static void bulk_send(u32 count, u32 size, u32 burst)
{
	u32 sent = 0, acked = 0, bytes;

	while (acked < count) {
		const struct body *b = get(&bytes);
		if (b) {
			acked = b->kind == COUNT ? b->value : acked;
			net->release();
		} else if (sent == count || sent - acked == 2 * burst) {
			sleep();
		} else {
			for (u32 i = 0; i < burst && sent < count && sent - acked < 2 * burst; i++)
				send(DATA, sent++, size);
			net->kick();
		}
	}
}

static bool bulk_receive(u32 count, u32 size, u32 burst)
{
	bool ok = true;
	u32 bytes;

	for (u32 got = 0; got < count;) {
		struct body *b = get(&bytes);
		if (!b) {
			sleep();
			continue;
		}
		if (b->kind == DATA) {
			ok &= b->value == got++ && bytes == size;
			if (got % burst == 0 || got == count) {
				send(COUNT, got, SMALL);
				net->kick();
			}
		}
		net->release();
	}
	return ok;
}

static void pings(u32 count, u32 size)
{
	for (u32 i = 0; i < count; i++) {
		send(PING, i, size);
		net->kick();
		await(PONG);
		net->release();
	}
}

static void pongs(u32 count, u32 size)
{
	for (u32 i = 0; i < count; i++) {
		await(PING);
		net->release();
		send(PONG, i, size);
		net->kick();
	}
}

/* rr: this side's part of it. */
static bool work(enum op op, const struct order *o, void (*rr)(u32 count, u32 size))
{
	if (op == RX)
		return bulk_receive(o->frames, o->size, o->burst);
	if (op == TX)
		bulk_send(o->frames, o->size, o->burst);
	else
		rr(o->frames, o->size);
	return true;
}

/* ---- meters ---- */
static u64 meter(u32 which)
{
	outl(METER_PORT, which);
	return inl(METER_PORT) | (u64)inl(METER_PORT + 4) << 32;
}

static struct meters meters(void)
{
	return (struct meters){meter(0x100), meter(0x101), meter(0x102), meter(0x103), disk_interrupts};
}

static struct meters since(struct meters m)
{
	struct meters now = meters();

	return (struct meters){now.exits - m.exits, now.guest - m.guest, now.hypervisor - m.hypervisor,
			       now.billed - m.billed, now.interrupts - m.interrupts};
}

/* ---- the second ---- */
static void second(void)
{
	static const enum op turned[] = {[TX] = RX, [RX] = TX, [RR] = RR};
	struct report r = {0};
	struct meters m = {0};
	struct body *b;
	u32 bytes;

	for (bool end = false; !end;) {
		while (!(b = get(&bytes)))
			sleep();
		struct order o = *(struct order *)b;
		if (b->kind == HELLO)
			memcpy(other, (u8 *)b - BODY_AT + 6, 6);
		net->release();
		switch (o.b.kind) {
		case HELLO:
			frames_make();
			send(WELCOME, 0, SMALL);
			net->kick();
			break;
		case ORDER:
			stride_set(o.size);
			m = meters();
			expect(work(turned[o.op], &o, pongs), "frames are lost or spoilt");
			break;
		case ASK:
			r.m = since(m);
			send_with(TELL, &r, sizeof(r));
			break;
		case BYE:
			end = true;
			break;
		}
	}
}

/* ---- the first ---- */
/* Both begin when they please. */
static void find_other(void)
{
	u64 at = 0; /* of the last cry */
	u32 bytes;

	memset(other, 0xff, 6);
	frames_make();
	for (;;) {
		if (rdtsc() - at > HELLO_TICKS) {
			send(HELLO, 0, SMALL);
			net->kick();
			at = rdtsc();
		}
		const struct body *b = get(&bytes);
		if (!b)
			continue;
		memcpy(other, (const u8 *)b - BODY_AT + 6, 6);
		bool found = b->kind == WELCOME;
		net->release();
		if (found)
			return frames_make();
	}
}

static void print_meters(const char *who, const struct meters *m)
{
	print(" %sguest=%lu %shypervisor=%lu %sinterrupts=%lu %sexits=%lu", who, m->guest, who,
	      m->hypervisor + m->billed, who, m->interrupts, who, m->exits);
}

static void point(const char *op, enum op what, u32 size, u32 count, u32 burst)
{
	struct order o = {.op = what, .size = size, .frames = count, .burst = burst};
	struct meters before, mine, theirs;
	u64 ticks;

	stride_set(size);
	counters_snapshot();
	before = meters();
	ticks = rdtsc();
	send_with(ORDER, &o, sizeof(o));
	bool ok = work(what, &o, pings);
	ticks = rdtsc() - ticks;
	mine = since(before);
	counters_stop();
	send(ASK, 0, SMALL);
	net->kick();
	theirs = ((struct report *)await(TELL))->m;
	net->release();
	if (!expect(ok, "%s: frames are lost or spoilt", op))
		return;
	print("NET mode=%s op=%s size=%u frames=%u ticks=%lu", net->mode, op, size, count, ticks);
	print_meters("", &mine);
	print_meters("peer_", &theirs);
	print(" exits=");
	counters_print_difference();
	print("\n");
}

/* The element after a list's comma; 0: there is none. */
static u32 element(const char **list)
{
	u32 v = 0;

	while (**list >= '0' && **list <= '9')
		v = v * 10 + (u32)(*(*list)++ - '0');
	if (**list == ',')
		(*list)++;
	return v;
}

static u32 number(const char *key, u32 otherwise)
{
	const char *text = test_option(key);

	return text ? element(&text) : otherwise;
}

static bool has(const char *key, const char *word)
{
	const char *text = test_option(key);
	size_t length = strlen(word);

	for (; text && *text && *text != ' '; text++)
		if (!strncmp(text, word, length))
			return true;
	return false;
}

static void first(void)
{
	static const char *const names[] = {"tx", "rx", "rr"};
	const char *sizes = test_option("size");

	find_other();
	for (u32 size; (size = element(&sizes));) {
		u32 most = NET_BUFFERS / 2 / ((size + NET_HEADROOM) / NET_PAGE + 1),
		    burst = number("burst", 64);
		if (!expect(size >= SMALL && size <= NET_BYTES_MAX && burst, "size=%u cannot be", size))
			break;
		for (enum op op = TX; op <= RR; op++)
			if (has("op", names[op]))
				point(names[op], op, size, number("n", 1000), burst < most ? burst : most);
	}
	send(BYE, 0, SMALL);
	net->kick();
}

static bool begin(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
		net = has("mode", drivers[i]->mode) ? drivers[i] : net;
	if (!expect(net && test_option("role"), "needs mode= and role="))
		return false;
	if (!expect(apic_has_x2(), "needs x2APIC mode"))
		return false;
	apic_init(true);
	frames = mem_alloc(SLOTS * FRAME_PAGES);
	return expect(frames && net->open(own), "%s: no such interface", net->mode);
}

static void net_test(void)
{
	if (!begin())
		return;
	if (has("role", "first"))
		first();
	else
		second();
}

const struct test guest_tests[] = {{"net", net_test, 0}};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
