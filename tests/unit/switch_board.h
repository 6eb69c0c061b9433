/* SPDX-License-Identifier: Apache-2.0 */
/* A switch with up to 128 ports that receive into posted buffers of three pieces, and count. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

#define MAX_PORTS 128
#define FRAMES 64
#define AGE 1000

struct sender_frame {
	struct net_frame f;
	struct piece pieces[3];
	u8 *data;
	unsigned from;
	bool busy;
};

static struct board_port {
	struct net_port p;
	unsigned posted; /* buffers of 2048 bytes that are left; each of three pieces */
	u8 *buffer;
	u32 got;           /* length of the last frame */
	unsigned frames;   /* received */
	unsigned returned; /* sent and completed */
	unsigned delivered;
} b[MAX_PORTS];
static struct net_switch sw;
static struct sender_frame frames[MAX_PORTS][FRAMES];
static u64 now, next_time;

static unsigned room(struct net_port *p, u32 length, struct piece *pieces)
{
	struct board_port *to = container_of(p, struct board_port, p);

	if (to->posted == 0 || length > 2048)
		return 0;
	free(to->buffer);
	to->buffer = malloc(2048);
	memset(to->buffer, 0xdd, 2048);
	pieces[0] = (struct piece){to->buffer, 10};
	pieces[1] = (struct piece){to->buffer + 10, 100};
	pieces[2] = (struct piece){to->buffer + 110, 2048 - 110};
	return 3;
}

static void received(struct net_port *p, u32 length, const struct net_offload *o)
{
	struct board_port *to = container_of(p, struct board_port, p);

	(void)o;
	to->posted--;
	to->frames++;
	to->got = length;
}

static const struct net_port_ops ops = {.room = room, .received = received};

static void completed(struct net_frame *f, bool delivered)
{
	struct sender_frame *s = container_of(f, struct sender_frame, f);

	assert_true(s->busy);
	s->busy = false;
	free(s->data);
	s->data = NULL;
	b[s->from].returned++;
	b[s->from].delivered += delivered;
}

static inline const u8 *address(unsigned n)
{
	static u8 a[2][NET_ADDRESS];
	static unsigned turn;
	u8 *at = a[turn++ % 2];

	memcpy(at, (u8[]){0x52, 0x54, 0, (u8)(n >> 16), (u8)(n >> 8), (u8)n}, NET_ADDRESS);
	return at;
}

static inline void board(unsigned ports, u32 flags)
{
	memset(b, 0, sizeof(b));
	memset(frames, 0, sizeof(frames));
	now = 1;
	net_switch_init(&sw, 0x123456789abcdef, AGE);
	for (unsigned i = 0; i < ports; i++) {
		assert_int_equal(net_port_init(&b[i].p, &sw, &ops, address(i), flags), 0);
		b[i].posted = 1000000;
	}
}

static inline int board_end(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX_PORTS; i++) {
		free(b[i].buffer);
		b[i].buffer = NULL;
		for (unsigned k = 0; k < FRAMES; k++)
			assert_false(frames[i][k].busy);
	}
	return 0;
}

/* A frame whose bytes behind the addresses are made of seed; NULL: all of the port's are on their way. */
static inline struct sender_frame *send(unsigned from, const u8 *target, const u8 *source, u32 length,
					u8 seed)
{
	struct sender_frame *s = NULL;

	for (unsigned k = 0; k < FRAMES && !s; k++)
		if (!frames[from][k].busy)
			s = &frames[from][k];
	if (!s)
		return NULL;
	s->busy = true;
	s->from = from;
	s->data = malloc(length);
	for (u32 i = 0; i < length; i++)
		s->data[i] = (u8)(seed + i * 7);
	memcpy(s->data, target, MIN(length, 6u));
	if (length >= 12)
		memcpy(s->data + 6, source, 6);
	s->pieces[0] = (struct piece){s->data, length / 3};
	s->pieces[1] = (struct piece){s->data + length / 3, length / 3};
	s->pieces[2] = (struct piece){s->data + length / 3 * 2, length - length / 3 * 2};
	s->f =
	    (struct net_frame){.pieces = s->pieces, .nr_pieces = 3, .length = length, .complete = completed};
	net_send(&b[from].p, &s->f);
	return s;
}

static inline void run(void)
{
	while (net_switch_run(&sw, now, 16, &next_time))
		;
}

static inline void expect_frame(unsigned port, const u8 *target, const u8 *source, u32 length, u8 seed)
{
	assert_int_equal(b[port].got, length);
	assert_memory_equal(b[port].buffer, target, 6);
	assert_memory_equal(b[port].buffer + 6, source, 6);
	for (u32 i = 12; i < 2048; i++)
		assert_int_equal(b[port].buffer[i], i < length ? (u8)(seed + i * 7) : 0xdd);
}
