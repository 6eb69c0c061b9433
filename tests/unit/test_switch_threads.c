/* SPDX-License-Identifier: Apache-2.0 */
/* The switch used by several CPUs at once (M78): both ports send and receive, each frame arrives once and
 * in its sender's order, and a port that leaves meanwhile is gone only when nobody uses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "net.h"

#define FRAMES 6000u
#define AHEAD 8

struct side {
	struct net_port p;
	u32 expected; /* number of the next frame */
	bool inside;  /* a frame is being put into its room */
	u8 room[128];
	struct {
		struct net_frame f;
		struct piece piece;
		u8 data[128];
		int busy;
	} frame[AHEAD];
};

static struct net_switch sw;
static struct side sides[2], third;
static unsigned inside; /* CPUs that copy */

static unsigned room(struct net_port *p, u32 length, struct piece *pieces)
{
	struct side *s = container_of(p, struct side, p);

	assert_int_equal(__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED), 0);
	s->inside = true;
	if (s == &third || s->expected % 64 == 0)
		usleep(20);
	pieces[0] = (struct piece){s->room, length};
	return 1;
}

/* Only the CPU that runs the switch is here, one at a time. */
static void received(struct net_port *p, u32 length, const struct net_offload *o)
{
	struct side *s = container_of(p, struct side, p);
	u32 number;

	(void)o;
	assert_int_equal(length, 128);
	memcpy(&number, s->room + 100, sizeof(number));
	if (s != &third)
		assert_int_equal(number, s->expected);
	s->expected++;
	s->inside = false;
	__atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
}

static const struct net_port_ops ops = {.room = room, .received = received};

static void completed(struct net_frame *f, bool delivered)
{
	assert_true(delivered);
	for (unsigned i = 0; i < 2 * AHEAD; i++)
		if (f == &sides[i / AHEAD].frame[i % AHEAD].f)
			__atomic_store_n(&sides[i / AHEAD].frame[i % AHEAD].busy, 0, __ATOMIC_RELEASE);
}

static void *vm(void *opaque)
{
	unsigned self = (unsigned)(u64)opaque;
	struct side *s = &sides[self];
	u64 next;

	for (u32 k = 0; k < FRAMES; k++) {
		unsigned i = k % AHEAD;

		while (__atomic_load_n(&s->frame[i].busy, __ATOMIC_ACQUIRE)) {
			net_switch_run(&sw, 1, 4, &next);
			usleep(1);
		}
		memcpy(s->frame[i].data, sides[!self].p.address, NET_ADDRESS);
		if (k % 8 == 0)
			memset(s->frame[i].data, 0xff, NET_ADDRESS);
		memcpy(s->frame[i].data + NET_ADDRESS, s->p.address, NET_ADDRESS);
		memcpy(s->frame[i].data + 100, &k, sizeof(k));
		s->frame[i].piece = (struct piece){s->frame[i].data, 128};
		s->frame[i].f = (struct net_frame){
		    .pieces = &s->frame[i].piece, .nr_pieces = 1, .length = 128, .complete = completed};
		s->frame[i].busy = 1;
		if (self == 0 && k % 16 == 0) { /* somebody comes and goes */
			const u8 other[] = {2, 0, 0, 0, 0, 9};

			assert_int_equal(net_port_init(&third.p, &sw, &ops, other, 0), 0);
		}
		net_send(&s->p, &s->frame[i].f);
		while (net_switch_run(&sw, 1, 4, &next))
			;
		if (self == 0 && k % 16 == 0) {
			usleep(100);
			while (net_port_close(&third.p))
				usleep(1);
			assert_false(third.inside);
		}
	}
	return NULL;
}

static void full_duplex(void **state)
{
	(void)state;
	pthread_t thread[2];
	u64 next;

	net_switch_init(&sw, 1, 1000);
	for (u64 i = 0; i < 2; i++) {
		const u8 address[] = {2, 0, 0, 0, 0, (u8)i};

		assert_int_equal(net_port_init(&sides[i].p, &sw, &ops, address, NET_ANTI_SPOOF), 0);
	}
	for (u64 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, vm, (void *)i), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	while (net_switch_run(&sw, 1, 4, &next))
		;
	assert_true(third.expected > 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sides[i].expected, FRAMES);
		assert_int_equal(net_port_meters(&sides[i].p).tx_frames, FRAMES);
		assert_int_equal(net_port_close(&sides[i].p), 0);
	}
}

/* ---- who leaves waits for the turn under way, not for a moment when nobody sends ---- */
#define BURST (3 * NET_BATCH)

static struct net_port from, to, leaves;
static struct net_frame burst[BURST];
static u8 bytes[128];
static unsigned passage, gone_at, to_leaver;
static bool flood; /* of frames for everybody */

static unsigned leave_room(struct net_port *p, u32 length, struct piece *pieces)
{
	static u8 buffer[128];

	pieces[0] = (struct piece){buffer, length};
	if (p == &leaves) {
		assert_int_equal(gone_at, 0);
		to_leaver++;
	}
	/* In the middle of a turn whose frames it may get, or has: it stays for that. */
	if (p == &to && passage >= 4 && !gone_at) {
		int rc = net_port_close(&leaves);

		assert_true(rc == (passage < NET_BATCH ? ERR_AGAIN : 0));
		gone_at = rc ? 0 : passage;
	}
	return 1;
}

static void leave_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)length, (void)o;
}

static void leave_ready(struct net_port *p)
{
	assert_true(p != &leaves || !gone_at);
}

static void leave_completed(struct net_frame *f, bool delivered)
{
	(void)f;
	assert_true(delivered);
	passage++;
}

static void leaves_a_busy_switch(void **state)
{
	static const struct net_port_ops leave_ops = {
	    .room = leave_room, .received = leave_received, .ready = leave_ready};
	const u8 address[3][NET_ADDRESS] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}};
	u64 next;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		flood = i;
		net_switch_init(&sw, 1, 1000);
		assert_int_equal(net_port_init(&from, &sw, &leave_ops, address[0], 0), 0);
		assert_int_equal(net_port_init(&to, &sw, &leave_ops, address[1], 0), 0);
		assert_int_equal(net_port_init(&leaves, &sw, &leave_ops, address[2], 0), 0);
		passage = gone_at = to_leaver = 0;
		struct piece piece = {bytes, sizeof(bytes)};
		memcpy(bytes, address[1], NET_ADDRESS);
		memset(bytes, flood ? 0xff : bytes[0], 1);
		memcpy(bytes + NET_ADDRESS, address[0], NET_ADDRESS);
		for (unsigned k = 0; k < BURST; k++) {
			burst[k] = (struct net_frame){
			    .pieces = &piece, .nr_pieces = 1, .length = 128, .complete = leave_completed};
			net_send(&from, &burst[k]);
		}
		net_switch_run(&sw, 1, 1000, &next);
		assert_int_equal(passage, BURST);
		assert_int_equal(gone_at, NET_BATCH);
		assert_int_equal(to_leaver, flood ? 4 : 0);
		/* Its place and its address are free. */
		assert_int_equal(net_port_init(&leaves, &sw, &leave_ops, address[2], 0), 0);
		assert_int_equal(net_port_close(&leaves), 0);
		assert_int_equal(net_port_close(&leaves), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(full_duplex),
					   cmocka_unit_test(leaves_a_busy_switch)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
