/* SPDX-License-Identifier: Apache-2.0 */
/* Two network interfaces behind Socle rings on one bridge: what the one sends, the other receives. M67, M73,
 * M77.
 */
#include "cpu.h"
#include "driver.h"
#include "nic.h"
#include "page.h"

#define BUFFER 2048U
#define FRAMES 2000U

static struct nic one, two;
static u8 *frames; /* one for each id of the transmit ring */

bool nic_open(struct nic *n, const char *name, u64 flags)
{
	if (!device_find(name, &n->number, &n->info) || !events_begin())
		return false;
	expect_eq(n->info.kind, SOCLE_DEVICE_NETWORK, "kind");
	expect_eq(n->info.nr_rings, 2, "rings");
	expect_eq(n->info.max_length, 1518, "longest frame");
	if (!n->buffers) {
		n->buffers = mem_alloc(SLOTS * BUFFER / PAGE_SIZE);
		n->ring[TX] = mem_alloc(1);
		n->ring[RX] = mem_alloc(1);
	}
	n->event = (u64)hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0);
	for (u32 i = 0; i < 2; i++) {
		memset(n->ring[i], 0, PAGE_SIZE);
		if (!expect_eq((u64)hypercall5(SOCLE_CALL_RING_OPEN, n->number, i, (u64)n->ring[i],
					       SLOTS | flags, n->event),
			       0, "open"))
			return false;
		socle_driver_init(&n->driver[i], n->ring[i], SLOTS);
	}
	return true;
}

void nic_close(struct nic *n)
{
	for (u32 i = 0; i < 2; i++) {
		i64 rc;

		while ((rc = hypercall(SOCLE_CALL_RING_CLOSE, n->number, i)) == SOCLE_EAGAIN)
			;
		expect_eq((u64)rc, 0, "close");
	}
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_CLOSE, n->event, 0), 0, "event");
}

/* The id decides where its buffer is, but only the driver knows the next one. */
static void post(struct nic *n)
{
	while (n->driver[RX].nr_free) {
		u16 id = n->driver[RX].free_ids[n->driver[RX].nr_free - 1];
		const struct socle_request r = {.operation = SOCLE_RING_RECEIVE,
						.length = n->info.max_length,
						.address = (u64)(n->buffers + id * BUFFER)};

		socle_driver_put(&n->driver[RX], &r);
	}
	socle_driver_push(&n->driver[RX]);
}

static u32 length_of(u32 number)
{
	return 60 + number * 37 % 1455;
}

static void send(struct nic *n, const u8 *from, const u8 *to, u32 number)
{
	struct socle_driver *d = &n->driver[TX];
	u8 *f = frames + d->free_ids[d->nr_free - 1] * BUFFER;
	const struct socle_request r = {
	    .operation = SOCLE_RING_SEND, .length = length_of(number), .address = (u64)f};

	memcpy(f, to, 6);
	memcpy(f + 6, from, 6);
	for (u32 i = 12; i < r.length; i++)
		f[i] = (u8)(number + i);
	memcpy(f + 14, &number, 4);
	socle_driver_put(d, &r);
}

static void doorbell(struct nic *n)
{
	if (socle_driver_push(&n->driver[TX]))
		expect_eq((u64)hypercall(SOCLE_CALL_RING_DOORBELL, n->number, TX), 0, "doorbell");
}

static bool check(const struct nic *n, const struct socle_response *r, u32 number)
{
	const u8 *f = n->buffers + r->id * BUFFER;
	bool ok = r->status == 0 && r->length == length_of(number) && memcmp(f + 14, &number, 4) == 0;

	for (u32 i = 18; ok && i < r->length; i++)
		ok = f[i] == (u8)(number + i);
	return expect(ok, "frame %u: status %d, length %u", number, r->status, r->length);
}

static void sent(struct nic *n)
{
	struct socle_response r;

	while (socle_driver_get(&n->driver[TX], &r))
		expect_eq((u64)r.status, 0, "status of a frame that was sent");
}

static bool begin(void)
{
	if (!frames)
		frames = mem_alloc(SLOTS * BUFFER / PAGE_SIZE);
	return nic_open(&one, "net1", 0) && nic_open(&two, "net2", 0);
}

void net_test(void)
{
	static const u8 all[6] = {255, 255, 255, 255, 255, 255};
	struct socle_response r;
	u32 got = 0, upcalls;

	if (!begin())
		return;
	expect(memcmp(one.info.mac, two.info.mac, 6) != 0 && !(one.info.mac[0] & 1), "addresses");
	for (u32 number = 0; number < FRAMES;) {
		post(&two);
		for (u32 i = 0; i < 1 + number % SLOTS && number < FRAMES; i++, number++)
			send(&one, one.info.mac, number % 5 ? two.info.mac : all, number);
		doorbell(&one);
		while (socle_driver_get(&two.driver[RX], &r))
			if (!check(&two, &r, got++))
				return;
		sent(&one);
	}
	expect_eq(got, FRAMES, "frames");
	/* Told at the threshold, once. */
	post(&two);
	irq_window();
	upcalls = event_upcalls[two.event];
	socle_driver_arm(&two.driver[RX], 10);
	for (u32 i = 0; i < 12; i++)
		send(&one, one.info.mac, two.info.mac, i);
	doorbell(&one);
	irq_window();
	expect_eq(event_upcalls[two.event] - upcalls, 1, "upcalls for twelve frames");
	nic_close(&one);
	nic_close(&two);
}

void net_hostile_test(void)
{
	struct socle_response r = {.status = 1};
	const u8 R = SOCLE_RING_RECEIVE, S = SOCLE_RING_SEND;
	const struct {
		u8 op;
		u32 length;
		u64 address;
		i64 status;
	} rows[] = {
	    {SOCLE_RING_READ, 512, (u64)one.buffers, SOCLE_ENOTSUP},
	    {S, 13, (u64)one.buffers, SOCLE_EINVAL},
	    {S, 0, (u64)one.buffers, SOCLE_EINVAL},
	    {S, 1519, (u64)one.buffers, SOCLE_E2BIG},
	    {S, 0xffffffff, (u64)one.buffers, SOCLE_E2BIG},
	    {S, 60, 0xa0000 - 20, SOCLE_EFAULT},
	    {S, 60, 0xfee00000, SOCLE_EFAULT},
	    {S, 60, ~0ULL - 20, SOCLE_EFAULT},
	    {R, 60, (u64)one.buffers, SOCLE_ENOTSUP},
	};

	if (!begin())
		return;
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct socle_request q = {
		    .operation = rows[i].op, .length = rows[i].length, .address = rows[i].address};

		socle_driver_put(&one.driver[TX], &q);
		doorbell(&one);
		expect(socle_driver_get(&one.driver[TX], &r), "a response");
		expect_eq((u64)r.status, (u64)rows[i].status, "status");
	}
	/* In another's name, and with no buffer there: neither arrives. */
	send(&one, one.info.mac, two.info.mac, 1);
	doorbell(&one);
	post(&two);
	send(&one, two.info.mac, two.info.mac, 2);
	send(&one, one.info.mac, two.info.mac, 3);
	doorbell(&one);
	expect(socle_driver_get(&two.driver[RX], &r) && check(&two, &r, 3), "the one that is right");
	expect(!socle_driver_get(&two.driver[RX], &r), "no other");
	sent(&one);
	/* A receive ring that breaks under a frame; the transmit ring of the same interface goes on. */
	two.ring[RX]->request_producer += SLOTS * 2;
	for (u32 i = 0; i < 2 * SLOTS; i++) {
		send(&one, one.info.mac, two.info.mac, i);
		doorbell(&one);
		sent(&one);
	}
	expect_eq(two.ring[RX]->broken, SOCLE_RING_BROKEN_PRODUCER, "broken");
	post(&one);
	send(&two, two.info.mac, one.info.mac, 7);
	doorbell(&two);
	expect(socle_driver_get(&one.driver[RX], &r) && check(&one, &r, 7), "the other way");
	expect_eq((u64)hypercall(SOCLE_CALL_RING_DOORBELL, one.number, 2), (u64)SOCLE_ENOENT, "ring 2");
	nic_close(&two);
	expect_eq((u64)hypercall(SOCLE_CALL_RING_DOORBELL, two.number, RX), (u64)SOCLE_ENOENT, "closed");
	/* The other stays open, with buffers posted: the VM ends with it. */
}
