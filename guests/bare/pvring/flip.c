/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving by page flip, between two interfaces of this VM: frames, pages and their contents; and what a
 * frame costs each way: into a posted buffer, with a copy by the guest behind it, and by flip. M76, M77. */
#include "counters.h"
#include "cpu.h"
#include "meter.h"
#include "nic.h"
#include "page.h"
#include "print.h"

#define ROUNDS 64U
#define MARK 0x6b

static struct nic one, two;
static u8 *pages[2]; /* SLOTS each: those that are sent, those that are posted */

static bool begin(void)
{
	for (u32 i = 0; i < 2; i++)
		if (!pages[i])
			pages[i] = mem_alloc(SLOTS);
	if (!nic_open(&one, "net1", SOCLE_RING_OPEN_FLIP) || !nic_open(&two, "net2", SOCLE_RING_OPEN_FLIP))
		return false;
	return expect(one.info.flags & two.info.flags & SOCLE_NET_FLIP, "page flip is known");
}

static void put(struct nic *n, u32 ring, u8 *page, u32 length, u8 flags)
{
	const struct socle_request r = {.operation = (u8)(ring ? SOCLE_RING_RECEIVE : SOCLE_RING_SEND),
					.flags = flags,
					.length = length,
					.address = (u64)page};

	socle_driver_put(&n->driver[ring], &r);
}

static void header(u8 *f)
{
	memcpy(f, two.info.mac, 6);
	memcpy(f + 6, one.info.mac, 6);
}

static void doorbell(void)
{
	socle_driver_push(&two.driver[RX]);
	socle_driver_push(&one.driver[TX]);
	hypercall(SOCLE_CALL_RING_DOORBELL, one.number, TX);
}

static void get(struct nic *n, u32 ring, struct socle_response *r)
{
	while (!socle_driver_get(&n->driver[ring], r))
		cpu_pause();
}

static bool all_are(const u8 *p, u32 from, u32 to, u8 byte)
{
	for (u32 i = from; i < to; i++)
		if (p[i] != byte)
			return false;
	return true;
}

/* One frame, with the page that comes back. */
static bool one_frame(u32 number, u8 clean)
{
	u32 length = 60 + number * 37 % 1455;
	struct socle_response sent, got;
	u8 *f = pages[TX], *p = pages[RX];

	memset(f, (u8)number, PAGE_SIZE);
	header(f);
	memset(p, MARK, PAGE_SIZE);
	put(&two, RX, p, PAGE_SIZE, SOCLE_RING_FLIP | clean);
	put(&one, TX, f, length, SOCLE_RING_FLIP);
	doorbell();
	get(&one, TX, &sent);
	get(&two, RX, &got);
	return expect_eq(got.length, length, "length") &&
	       expect_eq(got.flags, SOCLE_RING_FLIPPED, "flags of what was received") &&
	       expect_eq(sent.flags, SOCLE_RING_FLIPPED, "flags of what was sent") &&
	       expect(memcmp(p, two.info.mac, 6) == 0 && all_are(p, 12, PAGE_SIZE, (u8)number),
		      "the frame") &&
	       expect(all_are(f, 0, PAGE_SIZE, clean ? MARK : 0), "the page that came for it");
}

void flip_test(void)
{
	if (!begin())
		return;
	for (u32 i = 0; i < 200; i++)
		if (!one_frame(i, i & 1 ? SOCLE_RING_CLEAN : 0))
			break;
	nic_close(&one);
	nic_close(&two);
}

/* ---- what it costs ---- */
enum way { POSTED, COPIED, FLIPPED, CLEAN };

static u32 flips;

static u64 go(enum way way, u32 length)
{
	static u8 place[1536];
	u8 tx = way >= FLIPPED ? SOCLE_RING_FLIP : 0, rx = way == CLEAN ? SOCLE_RING_CLEAN | tx : tx;
	struct socle_response r;
	u64 start = rdtsc();

	for (u32 n = 0; n < ROUNDS; n++) {
		for (u32 i = 0; i < SLOTS; i++) {
			u8 *f = pages[TX] + i * PAGE_SIZE;

			put(&two, RX, pages[RX] + i * PAGE_SIZE, rx ? PAGE_SIZE : 1518, rx);
			header(f);
			put(&one, TX, f, length, tx);
		}
		doorbell();
		for (u32 i = 0; i < SLOTS; i++) {
			get(&two, RX, &r);
			flips += r.flags;
			if (way == COPIED)
				memcpy(place, pages[RX] + i * PAGE_SIZE, r.length);
		}
		for (u32 i = 0; i < SLOTS; i++)
			get(&one, TX, &r);
	}
	return rdtsc() - start;
}

static void row(const char *what, enum way way, u32 length)
{
	const u32 frames = ROUNDS * SLOTS;
	u64 ticks, metered;

	go(way, length); /* warm */
	flips = 0;
	counters_snapshot();
	metered = meter_hypervisor();
	ticks = go(way, length);
	metered = meter_hypervisor() - metered;
	counters_stop();
	print("cost: %s, %u bytes: %lu instructions of the guest, %lu of the hypervisor, %lu.%02lu exits a "
	      "frame, "
	      "%u of %u flipped\n",
	      what, length, (ticks - metered) / frames, metered / frames, counters_total() / frames,
	      counters_total() * 100 / frames % 100, flips, frames);
	if (way < FLIPPED)
		expect_eq(flips, 0, "flips");
	else
		expect(flips > frames / 2, "%u of %u flipped", flips, frames);
}

void flip_cost_test(void)
{
	if (!counters_available() || !begin())
		return;
	for (u32 length = 60; length <= 1514; length += 1454) {
		row("posted buffer", POSTED, length);
		row("posted buffer, and a copy by the guest", COPIED, length);
		row("page flip", FLIPPED, length);
		row("page flip of clean pages", CLEAN, length);
	}
	nic_close(&one);
	nic_close(&two);
}
