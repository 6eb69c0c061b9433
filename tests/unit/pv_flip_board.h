/* SPDX-License-Identifier: Apache-2.0 */
/* Two VMs whose interfaces behind Socle rings receive by page flip: the way of a frame, and what became of
 * the pages. Defines functions, so one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pv_net_board.h"

#define SIZE 64u
#define RING_OF(ring) (0x8000ull + (ring)*0x1000ull)
#define FRAMES 0x20000ull /* pages that are sent */
#define ROOMS 0x40000ull  /* pages that are posted */
#define SECRET 0x5a

static struct side *const a = &side[0], *const b = &side[1];

static inline void open_all(u64 flags)
{
	for (unsigned i = 0; i < 2 * SIDES; i++)
		side_open(&side[i / 2], i % 2, RING_OF(i % 2), SIZE | flags);
}

static inline int setup(void **state)
{
	(void)state;
	sides_create(NET_ANTI_SPOOF, 0);
	open_all(SOCLE_RING_OPEN_FLIP);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	sides_destroy();
	return 0;
}

static inline hpa_t frame_of(struct side *s, gpa_t gpa)
{
	struct ept_leaf leaf;

	assert_int_equal(ept_lookup(&s->ept, gpa, &leaf), 0);
	return leaf.hpa + (gpa & (leaf.size - 1));
}

static inline void fill(struct side *s, gpa_t gpa, u8 byte)
{
	memset(side_at(s, gpa, PAGE_SIZE), byte, PAGE_SIZE);
}

static inline void compose(struct side *from, const u8 *to, gpa_t gpa, u32 length, u8 seed)
{
	u8 *p = side_at(from, gpa, PAGE_SIZE);

	for (u32 i = 0; i < length; i++)
		p[i] = (u8)(seed + i * 3);
	memcpy(p, to, NET_ADDRESS);
	memcpy(p + NET_ADDRESS, from->address, NET_ADDRESS);
}

static inline int put(struct side *s, unsigned ring, u32 length, gpa_t gpa, u8 flags)
{
	const struct socle_request r = {
	    .operation = (u8)(SOCLE_RING_SEND + ring), .length = length, .address = gpa, .flags = flags};
	int id = socle_driver_put(&s->driver[ring], &r);

	(void)socle_driver_push(&s->driver[ring]);
	return id;
}

static inline void post(struct side *s, gpa_t gpa, u8 flags)
{
	fill(s, gpa, SECRET);
	put(s, RX, PAGE_SIZE, gpa, flags);
}

static inline void send(struct side *s, u32 length, gpa_t gpa, u8 flags)
{
	put(s, TX, length, gpa, flags);
	assert_int_equal(pv_doorbell(&s->bus, 0, TX), 0);
}

/* A flip of which the sender's vCPUs, or the receiver's, notice nothing. */
static inline void send_to_laggard(unsigned late)
{
	gpa_t gpa = FRAMES + late * PAGE_SIZE;

	compose(a, b->address, gpa, 100, 1);
	post(b, ROOMS + late * PAGE_SIZE, SOCLE_RING_FLIP);
	side_lag(&side[late]);
	send(a, 100, gpa, SOCLE_RING_FLIP);
}

static inline void wait_a_while(void)
{
	fake_run_until(shim_tsc + ns_to_tsc(5000000));
}

static inline bool answered(struct side *s, unsigned ring, struct socle_response *r)
{
	return socle_driver_get(&s->driver[ring], r);
}

/* Both are told, and whether the page was flipped. */
static inline u32 both_answered(struct side *from, struct side *to, u32 length)
{
	struct socle_response sent, got;

	wait_a_while();
	assert_true(answered(from, TX, &sent));
	assert_true(answered(to, RX, &got));
	assert_int_equal(sent.status, 0);
	assert_int_equal(got.status, 0);
	assert_int_equal(sent.length, 0);
	assert_int_equal(got.length, length);
	assert_int_equal(sent.flags, got.flags);
	return got.flags;
}

static inline void page_is(struct side *s, gpa_t gpa, u32 from, u8 byte)
{
	const u8 *p = side_at(s, gpa, PAGE_SIZE);

	for (u32 i = from; i < PAGE_SIZE; i++)
		assert_int_equal(p[i], byte);
}
