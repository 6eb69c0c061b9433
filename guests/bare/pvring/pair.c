/* SPDX-License-Identifier: Apache-2.0 */
/* Page flips between two VMs that run this test on one bridge, both ways at once. Each frame is a page that
 * its number fills to the end; each page that comes for one holds nothing. `frames=N` of them, 0: for ever,
 * for somebody who ends the VM meanwhile. M76. */
#include "cpu.h"
#include "nic.h"
#include "page.h"
#include "print.h"
#include "trap.h"

#define FRAMES 1000U
#define WINDOW 16U /* that the other has not said to have; it has room for more */
#define SAY_AFTER 8U
#define HELLO_TICKS 500000U
#define ETHERTYPE 0xb588 /* 88b5, for local experiments */

struct __attribute__((packed)) frame {
	u8 to[6], from[6];
	u16 type, kind;
	u32 number, received;
};
enum { HELLO, DATA, SAY };

static struct nic nic;
static u8 *pages;   /* by ring and id */
static u8 other[6]; /* zeroes: nobody has been heard of */
static u32 frames, sent, said, received, received_said, flips, small;
static bool wrong;

static u8 *page(u32 ring, u32 id)
{
	return pages + (ring * SLOTS + id) * PAGE_SIZE;
}

static u8 filling(u32 number)
{
	return (u8)(number * 7 + 1) | 1;
}

static bool holds(const u8 *p, u32 from, u32 to, u8 byte)
{
	for (u32 i = from; i < to; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void post(void)
{
	struct socle_driver *d = &nic.driver[RX];

	while (d->nr_free) {
		const struct socle_request r = {.operation = SOCLE_RING_RECEIVE,
						.flags = SOCLE_RING_FLIP,
						.length = PAGE_SIZE,
						.address = (u64)page(RX, d->free_ids[d->nr_free - 1])};
		socle_driver_put(d, &r);
	}
	socle_driver_push(d);
}

static void send(u16 kind, u32 number)
{
	static const u8 all[6] = {255, 255, 255, 255, 255, 255};
	struct socle_driver *d = &nic.driver[TX];
	u32 length = kind == DATA ? 60 + number * 37 % 1455 : 60;

	if (!d->nr_free)
		return;
	u8 *p = page(TX, d->free_ids[d->nr_free - 1]);
	struct frame f = {.type = ETHERTYPE, .kind = kind, .number = number, .received = received};
	const struct socle_request r = {.operation = SOCLE_RING_SEND,
					.flags = kind == DATA ? SOCLE_RING_FLIP : 0,
					.length = length,
					.address = (u64)p};

	memcpy(f.to, kind == HELLO ? all : other, 6);
	memcpy(f.from, nic.info.mac, 6);
	memset(p, filling(number), kind == DATA ? PAGE_SIZE : 60);
	memcpy(p, &f, sizeof(f));
	socle_driver_put(d, &r);
	socle_driver_push(d);
	hypercall(SOCLE_CALL_RING_DOORBELL, nic.number, TX);
	received_said = received;
}

/* Pages that came back, or for those that went. */
static void sent_back(void)
{
	struct socle_response r;

	while (socle_driver_get(&nic.driver[TX], &r)) {
		flips += r.flags;
		if (r.flags)
			wrong |=
			    !expect(holds(page(TX, r.id), 0, PAGE_SIZE, 0), "the page that came for a frame");
	}
}

static void take(void)
{
	struct socle_response r;
	struct frame f;

	while (!wrong && socle_driver_get(&nic.driver[RX], &r)) {
		const u8 *p = page(RX, r.id);

		memcpy(&f, p, sizeof(f));
		if (f.type != ETHERTYPE)
			continue;
		memcpy(other, f.from, 6);
		said = f.kind == HELLO ? said : f.received;
		if (f.kind != DATA)
			continue;
		wrong |= !expect_eq(f.number, received, "number of a frame") ||
			 !expect(holds(p, sizeof(f), r.flags ? PAGE_SIZE : r.length, filling(f.number)),
				 "frame %u", f.number);
		small += !r.flags;
		if (++received == 4 * WINDOW && !frames)
			print("pair: under way\n");
	}
	post();
}

static void greet(u64 *last)
{
	if (rdtsc() - *last > HELLO_TICKS) {
		send(HELLO, 0);
		*last = rdtsc();
	}
}

static bool goes_on(void)
{
	return !wrong && (!frames || sent < frames || said < frames || received < frames ||
			  received_said < received || nic.driver[TX].nr_free < SLOTS);
}

void pair_test(void)
{
	const char *option = test_option("frames");
	u64 last = 0;

	frames = option ? 0 : FRAMES;
	for (; option && *option >= '0' && *option <= '9'; option++)
		frames = frames * 10 + (u32)(*option - '0');
	pages = mem_alloc(2 * SLOTS);
	if (!nic_open(&nic, "net1", SOCLE_RING_OPEN_FLIP))
		return;
	post();
	while (goes_on()) {
		if (holds(other, 0, 6, 0))
			greet(&last);
		else if ((!frames || sent < frames) && sent - said < WINDOW && nic.driver[TX].nr_free)
			send(DATA, sent++);
		else if (received - received_said >= (frames && received == frames ? 1 : SAY_AFTER))
			send(SAY, 0);
		else
			hypercall(SOCLE_CALL_YIELD, 0, 0);
		sent_back();
		take();
	}
	expect(flips > frames / 10 * 9, "%u of %u flipped", flips, frames);
	print("pair: %u of %u flipped, %u came as copies\n", flips, frames, small);
	nic_close(&nic);
}
