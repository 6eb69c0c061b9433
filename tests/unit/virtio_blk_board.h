/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio disk on a board, in front of a RAM disk that holds requests back where it is told to, and the
 * driver's side of its requests. Defines functions, so one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/virtio_blk.h"
#include "virtio_board.h"

#define SECTORS 8192u
#define QUEUE 0x8000ull
#define DATA 0x20000ull
#define META 0x18000ull /* a page for headers and statuses: 32 bytes for each id */

enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, LIFETIME = 10, DISCARD = 11, ZEROES = 13, ERASE = 14 };
#define F_SIZE_MAX BIT(1)
#define F_SEG_MAX BIT(2)
#define F_RO BIT(5)
#define F_BLK_SIZE BIT(6)
#define F_FLUSH BIT(9)
#define F_DISCARD BIT(13)
#define F_ZEROES BIT(14)
#define F_ALL (F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_DISCARD | F_ZEROES)

static struct virtio_blk *blk;
static unsigned board_queues = 1; /* of the next */
static struct block_ram ram;
static u8 media[SECTORS * 512];
static struct driver driver;

/* ---- a disk that holds requests back ---- */
static struct block slow;
static struct block_request *held[512];
static unsigned nr_held, submits;
static bool hold;
static u32 seen_flags;

static inline void slow_submit(struct block *b, struct block_request *r)
{
	(void)b;
	submits++;
	seen_flags = r->flags;
	if (hold)
		held[nr_held++] = r;
	else
		ram.block.submit(&ram.block, r);
}

static inline void let_go(unsigned i)
{
	struct block_request *r = held[i];

	held[i] = held[--nr_held];
	ram.block.submit(&ram.block, r);
}

static inline void create(u32 disk_flags, bool packed)
{
	const struct virtio_blk_setup setup = {
	    .disk = &slow, .id = "disk1", .packed = packed, .queues = board_queues, .polled = shim_polling};

	shim_tsc = 1000;
	hold = false;
	nr_held = submits = 0;
	board_init();
	for (u32 i = 0; i < sizeof(media); i++)
		media[i] = (u8)(i / 512 * 7 + i % 512);
	block_ram_init(&ram, media, sizeof(media), disk_flags & BLOCK_READ_ONLY);
	slow = (struct block){.submit = slow_submit, .sectors = SECTORS, .flags = disk_flags};
	blk = virtio_blk_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup);
	assert_non_null(blk);
	board_start();
}

static inline void destroy(void)
{
	while (nr_held)
		let_go(0);
	virtio_blk_destroy(blk);
	board_fini();
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(shim_pages_in_use, 0);
}

static inline void go(u16 size, u64 features)
{
	board_go(&driver, size, features, QUEUE);
}

/* Of each layout. */
static inline u64 layout(unsigned l)
{
	return F_ALL | ring_features(l);
}

/* ---- requests ---- */
static inline gpa_t header_of(unsigned tag)
{
	return META + 32ull * tag;
}

static inline u8 answer(unsigned tag)
{
	return *(u8 *)at(header_of(tag) + 16, 1);
}

static inline void header(unsigned tag, u32 type, u64 sector)
{
	memset(at(header_of(tag), 32), 0xee, 32);
	set32(header_of(tag), type);
	set32(header_of(tag) + 4, 0);
	set64(header_of(tag) + 8, sector);
}

static inline u16 add(unsigned tag, u32 type, u64 sector, gpa_t data, u32 bytes)
{
	bool in = type == IN || type == GET_ID;
	const struct buffer b[] = {
	    {header_of(tag), 16, false}, {data, bytes, in}, {header_of(tag) + 16, 1, true}};
	const struct buffer no_data[] = {b[0], b[2]};

	header(tag, type, sector);
	return bytes ? driver_add(&driver, b, 3, true) : driver_add(&driver, no_data, 2, true);
}

static inline void ring(void)
{
	if (driver_kick(&driver))
		doorbell(0);
}

/* One request, to its end. */
static inline u8 ask(u32 type, u64 sector, gpa_t data, u32 bytes, u32 *len)
{
	u16 id, back;
	u32 l;

	id = add(0, type, sector, data, bytes);
	ring();
	assert_true(driver_used(&driver, &back, &l));
	assert_int_equal(back, id);
	if (len)
		*len = l;
	return answer(0);
}

static inline void fill(gpa_t gpa, u32 n, u8 with)
{
	assert_int_equal(gmem_set(&guest_ram, gpa, with, n), 0);
}

/* A discard, or write zeroes. */
static inline u8 range(u32 type, u64 sector, u32 sectors, u32 flags, u32 bytes)
{
	set64(DATA, sector);
	set32(DATA + 8, sectors);
	set32(DATA + 12, flags);
	return ask(type, 0, DATA, bytes, NULL);
}
