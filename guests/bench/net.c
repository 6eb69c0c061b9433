/* SPDX-License-Identifier: Apache-2.0 */
/* What a network interface costs (M26, M75, M77, M78): frames between two of these guests on one bridge. One
 * measures
 * (`role=first`), the other does what that one tells it (`role=second`). A point for each of `op=`: bulk,
 * get (the same, the other way), rr (a frame there and one back), and `size=`, lists both; `mode=` says which
 * way (net/net.h); `n=` frames each, and so many as `burst=` are put before the doorbell is thought of. Sizes
 * above 1514 are segments of TCP, to be cut by whoever needs them cut.
 *
 * In bulk the receiver says how much it has got after each burst, and the sender is never more than two of
 * them ahead, so that none is lost.
 *
 * `role=flood size=`: sends all it can to whoever is the judge; `role=judge ticks=`: counts for so long what
 * comes from two of them, and prints SHARES, with the frames of each.
 *
 * `role=idle`: nothing, for ever; its interfaces are ports.
 *
 * FRAMES first, FRAMES second: ticks of the TSC for all of them (on the test machine with one CPU:
 * instructions of everybody), then of each side the VM's meters, without what reading those takes. */
#include "apic.h"
#include "lib/options.h"
#include "meter.h"
#include "net/talk.h"
#include "page.h"
#include "print.h"
#include "test.h"

struct __attribute__((packed)) order {
	struct body b;
	u32 op, size, frames, burst;
};
static const struct {
	const char *name;
	u32 which;
} meter_names[] = {{"exits", METER_EXITS},
		   {"guest", METER_GUEST},
		   {"hypervisor", METER_HYPERVISOR},
		   {"billed", METER_BILLED},
		   {"copied", METER_COPIED},
		   {"notified", METER_NOTIFIED},
		   {"interrupts", 1},
		   {"hlt", 12},
		   {"ports", 30},
		   {"msrs", 32},
		   {"timer", 52}};
#define METERS ARRAY_SIZE(meter_names)
struct meters {
	u64 v[METERS];
};
struct __attribute__((packed)) report {
	struct body b;
	struct meters m;
};

static const struct net_driver *const drivers[] = {&net_virtio, &net_packed, &net_socle, &net_e1000};
/* ---- the work ---- */
static void bulk_send(u32 count, u32 size, u32 burst)
{
	u32 sent = 0, acked = 0, bytes;

	while (acked < count) {
		const struct body *b = talk_get(&bytes);
		if (b) {
			acked = b->kind == COUNT ? b->value : acked;
			talk_net->release();
		} else if (sent == count || sent - acked == 2 * burst) {
			talk_sleep();
		} else {
			for (u32 i = 0; i < burst && sent < count && sent - acked < 2 * burst; i++)
				talk_send(DATA, sent++, size);
			talk_net->kick();
		}
	}
}

static bool bulk_receive(u32 count, u32 size, u32 burst)
{
	bool ok = true;
	u32 bytes;

	for (u32 got = 0; got < count;) {
		struct body *b = talk_get(&bytes);
		if (!b) {
			talk_sleep();
			continue;
		}
		if (b->kind == DATA) {
			ok &= b->value == got++ && bytes == size;
			if (got % burst == 0 || got == count) {
				talk_send(COUNT, got, TALK_SMALL);
				talk_net->kick();
			}
		}
		talk_net->release();
	}
	return ok;
}

static void pings(u32 count, u32 size)
{
	for (u32 i = 0; i < count; i++) {
		talk_send(PING, i, size);
		talk_net->kick();
		talk_await(PONG);
		talk_net->release();
	}
}

static void pongs(u32 count, u32 size)
{
	for (u32 i = 0; i < count; i++) {
		talk_await(PING);
		talk_net->release();
		talk_send(PONG, i, size);
		talk_net->kick();
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
static struct meters meters(void)
{
	struct meters m;

	for (u32 i = 0; i < METERS; i++)
		m.v[i] = meter(meter_names[i].which);
	return m;
}

static struct meters nothing; /* what the reading itself takes */

static struct meters since(const struct meters *m)
{
	struct meters now = meters();

	for (u32 i = 0; i < METERS; i++) {
		now.v[i] -= m->v[i];
		now.v[i] -= now.v[i] < nothing.v[i] ? now.v[i] : nothing.v[i];
	}
	return now;
}

/* ---- the second ---- */
static void second(void)
{
	static const enum op turned[] = {[TX] = RX, [RX] = TX, [RR] = RR};
	struct report r = {0};
	struct meters m = {{0}};
	struct body *b;
	u32 bytes;

	for (bool end = false; !end;) {
		while (!(b = talk_get(&bytes)))
			talk_sleep();
		struct order o = *(struct order *)b;
		if (b->kind == HELLO)
			memcpy(talk_other, (u8 *)b - BODY_AT + 6, 6);
		talk_net->release();
		switch (o.b.kind) {
		case HELLO:
			talk_frames_make();
			talk_send(WELCOME, 0, TALK_SMALL);
			talk_net->kick();
			break;
		case ORDER:
			talk_size(o.size);
			m = meters();
			expect(work(turned[o.op], &o, pongs), "frames are lost or spoilt");
			break;
		case ASK:
			r.m = since(&m);
			talk_send_with(TELL, &r, sizeof(r));
			break;
		case BYE:
			end = true;
			break;
		}
	}
}

/* ---- the first ---- */
static void say(const char *side, const struct order *o, u64 ticks, const struct meters *m)
{
	static const char *const names[] = {[TX] = "bulk", [RX] = "get", [RR] = "rr"};

	print("FRAMES %s %s size %u count %u ticks %lu", side, names[o->op], o->size, o->frames, ticks);
	for (u32 i = 0; i < METERS; i++)
		print(" %s %lu", meter_names[i].name, m->v[i]);
	print("\n");
}

static void point(enum op op, u32 size, u32 count, u32 burst)
{
	struct order o = {.op = op, .size = size, .frames = count, .burst = burst};
	struct meters before, mine, theirs;
	u64 ticks;

	talk_size(size);
	before = meters();
	ticks = rdtsc();
	talk_send_with(ORDER, &o, sizeof(o));
	bool ok = work(op, &o, pings);
	ticks = rdtsc() - ticks;
	mine = since(&before);
	talk_send(ASK, 0, TALK_SMALL);
	talk_net->kick();
	theirs = ((struct report *)talk_await(TELL))->m;
	talk_net->release();
	if (!expect(ok, "frames of %u bytes are lost or spoilt", size))
		return;
	say("first", &o, ticks, &mine);
	say("second", &o, ticks, &theirs);
}

static void first(void)
{
	const char *sizes = test_option("size");

	talk_find_other();
	for (u32 size; (size = option_element(&sizes));) {
		u32 most = NET_BUFFERS / 2 / ((size + NET_HEADROOM) / NET_PAGE + 1),
		    burst = option_number("burst", 64);
		if (!expect(size >= TALK_SMALL && size <= NET_BYTES_MAX && burst, "size=%u cannot be", size))
			break;
		burst = burst < most ? burst : most;
		if (option_has("op", "bulk"))
			point(TX, size, option_number("n", 1000), burst);
		if (option_has("op", "get"))
			point(RX, size, option_number("n", 1000), burst);
		if (option_has("op", "rr"))
			point(RR, size, option_number("n", 1000), burst);
	}
	talk_send(BYE, 0, TALK_SMALL);
	talk_net->kick();
}

static bool begin(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(drivers); i++)
		talk_net = option_has("mode", drivers[i]->mode) ? drivers[i] : talk_net;
	if (!expect(talk_net && test_option("role"), "needs mode= and role="))
		return false;
	if (!expect(apic_has_x2(), "needs x2APIC mode"))
		return false;
	apic_init(true);
	return expect(talk_begin() && talk_net->open(talk_own), "%s: no such interface", talk_net->mode);
}

static void net_test(void)
{
	struct meters m;

	while (option_has("role", "idle"))
		talk_sleep();
	if (!begin())
		return;
	m = meters();
	nothing = since(&m);
	if (option_has("role", "first"))
		first();
	else if (option_has("role", "judge"))
		share_judge(option_number("ticks", 20000000));
	else if (option_has("role", "flood"))
		share_flood(option_number("size", TALK_SMALL));
	else
		second();
}

const struct test guest_tests[] = {{"net", net_test, 0}};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
