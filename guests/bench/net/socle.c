/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for a network interface behind two Socle rings, from include/socle/ alone: a VMCALL where Socle
 * waits for one, an event for what has come, and none for what was sent. */
#include "../lib/rings.h"
#include "hyper.h"
#include "net.h"
#include "page.h"

#define VECTOR 0x70
#define SIZE NET_BUFFERS /* slots of each ring */
#define LONGEST 1514u
enum { TX, RX };

static struct {
	struct socle_device info;
	u32 number;
	struct socle_driver driver[2];
	u8 *buffers; /* one for each id of the receive ring */
} n;

/* The buffer is that of the id that it gets, the next free one. */
static void buffer_post(void)
{
	struct socle_driver *d = &n.driver[RX];
	const struct socle_request r = {.operation = SOCLE_RING_RECEIVE,
					.length = n.info.max_length,
					.address = (u64)(n.buffers + d->free_ids[d->nr_free - 1] * NET_PAGE)};

	socle_driver_put(d, &r);
}

static bool open(u8 address[6])
{
	u64 event;

	if (!rings_find(SOCLE_DEVICE_NETWORK, LONGEST, &n.number, &n.info))
		return false;
	event = rings_event(VECTOR);
	n.buffers = mem_alloc(NET_BUFFERS * NET_PAGE / PAGE_SIZE);
	if (!event || !n.buffers || !rings_open(n.number, TX, SIZE, 0, &n.driver[TX]) ||
	    !rings_open(n.number, RX, SIZE, event, &n.driver[RX]))
		return false;
	memcpy(address, n.info.mac, 6);
	while (n.driver[RX].nr_free)
		buffer_post();
	socle_driver_push(&n.driver[RX]);
	return true;
}

/* ---- receiving ---- */
static const u8 *get(u32 *bytes)
{
	struct socle_response r;

	if (!socle_driver_get(&n.driver[RX], &r)) {
		rings_events_take();
		if (!socle_driver_arm(&n.driver[RX], 1) || !socle_driver_get(&n.driver[RX], &r))
			return NULL;
	}
	*bytes = r.length;
	return n.buffers + r.id * NET_PAGE;
}

/* Its id is the one that came back last. */
static void release(void)
{
	buffer_post();
	socle_driver_push(&n.driver[RX]);
}

/* ---- sending ---- */
static bool put(const void *frame, u32 bytes, u16 cut)
{
	const struct socle_request r = {.operation = SOCLE_RING_SEND, .length = bytes, .address = (u64)frame};
	struct socle_response sent;

	while (socle_driver_get(&n.driver[TX], &sent))
		;
	return !cut && socle_driver_put(&n.driver[TX], &r) >= 0;
}

static void kick(void)
{
	if (socle_driver_push(&n.driver[TX]))
		hypercall(SOCLE_CALL_RING_DOORBELL, n.number, TX);
}

const struct net_driver net_socle = {"socle", open, put, kick, get, release};
