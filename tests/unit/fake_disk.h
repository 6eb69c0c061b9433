/* SPDX-License-Identifier: Apache-2.0 */
/* A disk with a cache that a power cut empties: requests wait until the test completes them, in any order.
 * It keeps no promise that block.h does not make. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block.h"

#define FAKE_PENDING 64

struct fake_disk {
	struct block block;
	u8 *medium, *view, *snapshot; /* what a cut leaves, what reads see, the view when the flush began */
	u64 *written;                 /* per sector: number of the last write to it, 0: clean */
	u64 writes, flush_at, flushes, dispatches, sectors_moved, merged_most;
	bool *staged; /* since the flush began */
	struct block_request *pending[FAKE_PENDING];
	unsigned nr_pending;
	u64 bad_sector; /* fails, ~0: none */
	bool bounces;   /* it copies all that goes through it */
	void (*begun)(struct fake_disk *d, const struct block_request *r);
};

static u64 fake_seed = 1;

static inline u64 fake_disk_random(u64 below)
{
	fake_seed ^= fake_seed << 13;
	fake_seed ^= fake_seed >> 7;
	fake_seed ^= fake_seed << 17;
	return fake_seed % below;
}

static inline void fake_disk_submit(struct block *b, struct block_request *r)
{
	struct fake_disk *d = container_of(b, struct fake_disk, block);

	assert_true(d->nr_pending < FAKE_PENDING);
	assert_int_equal(r->flags, 0);
	d->pending[d->nr_pending++] = r;
	if (r->op == BLOCK_FLUSH) {
		memcpy(d->snapshot, d->view, d->block.sectors * BLOCK_SECTOR);
		memset(d->staged, 0, d->block.sectors);
		d->flush_at = d->writes;
		d->flushes++;
	} else {
		d->dispatches++;
	}
	if (d->begun)
		d->begun(d, r);
}

static inline void fake_disk_init(struct fake_disk *d, u64 sectors, u32 flags)
{
	*d = (struct fake_disk){.block = {fake_disk_submit, sectors, flags, NULL}, .bad_sector = ~0ull};
	d->medium = calloc(sectors, BLOCK_SECTOR);
	d->view = calloc(sectors, BLOCK_SECTOR);
	d->snapshot = calloc(sectors, BLOCK_SECTOR);
	d->written = calloc(sectors, sizeof(u64));
	d->staged = calloc(sectors, sizeof(bool));
}

static inline void fake_disk_free(struct fake_disk *d)
{
	free(d->medium);
	free(d->view);
	free(d->snapshot);
	free(d->written);
	free(d->staged);
}

/* The cache writes a sector back when it likes. */
static inline void fake_disk_stage(struct fake_disk *d, u64 sector)
{
	memcpy(d->medium + sector * BLOCK_SECTOR, d->view + sector * BLOCK_SECTOR, BLOCK_SECTOR);
	d->written[sector] = 0;
	d->staged[sector] = true;
}

static inline void fake_disk_flush(struct fake_disk *d)
{
	for (u64 s = 0; s < d->block.sectors; s++) {
		if (d->written[s] && d->written[s] <= d->flush_at)
			fake_disk_stage(d, s);
		else if (d->written[s] && !d->staged[s]) /* what was written since stays in the cache */
			memcpy(d->medium + s * BLOCK_SECTOR, d->snapshot + s * BLOCK_SECTOR, BLOCK_SECTOR);
	}
}

static inline void fake_disk_move(struct fake_disk *d, const struct block_request *r)
{
	u8 *at = d->view + r->sector * BLOCK_SECTOR, *start = at;

	for (u32 i = 0; i < r->nr_segments; i++) {
		if (r->op == BLOCK_READ)
			memcpy(r->segments[i].base, at, r->segments[i].length);
		else
			memcpy(at, r->segments[i].base, r->segments[i].length);
		at += r->segments[i].length;
	}
	if (r->op == BLOCK_DISCARD || r->op == BLOCK_WRITE_ZEROES)
		memset(start, 0, (u64)r->count * BLOCK_SECTOR);
	else
		assert_int_equal(at - start, (u64)r->count * BLOCK_SECTOR);
	d->sectors_moved += r->count;
	for (u32 i = 0; r->op != BLOCK_READ && i < r->count; i++) {
		d->written[r->sector + i] = ++d->writes;
		if (!(d->block.flags & BLOCK_VOLATILE) || fake_disk_random(8) == 0)
			fake_disk_stage(d, r->sector + i);
	}
}

/* Completes the request number i of those that wait. */
static inline void fake_disk_complete(struct fake_disk *d, unsigned i)
{
	struct block_request *r = d->pending[i];
	bool bad = r->op != BLOCK_FLUSH && d->bad_sector - r->sector < r->count;

	d->pending[i] = d->pending[--d->nr_pending];
	if (!bad && r->op == BLOCK_FLUSH)
		fake_disk_flush(d);
	else if (!bad)
		fake_disk_move(d, r);
	if (!bad && d->bounces && r->op <= BLOCK_WRITE)
		r->copied += (u64)r->count * BLOCK_SECTOR;
	r->complete(r, bad ? BLOCK_IOERR : BLOCK_OK);
}

static inline bool fake_disk_step(struct fake_disk *d)
{
	if (d->nr_pending == 0)
		return false;
	fake_disk_complete(d, (unsigned)fake_disk_random(d->nr_pending));
	return true;
}

/* Power is off: sectors of the cache and of writes on their way may have reached the medium. */
static inline void fake_disk_cut(struct fake_disk *d)
{
	for (u64 s = 0; s < d->block.sectors; s++)
		if (d->written[s] && fake_disk_random(2))
			fake_disk_stage(d, s);
	for (unsigned i = 0; i < d->nr_pending; i++) {
		struct block_request *r = d->pending[i];

		if (r->op != BLOCK_WRITE)
			continue;
		u8 *all = malloc((size_t)r->count * BLOCK_SECTOR), *at = all;
		for (u32 k = 0; k < r->nr_segments; at += r->segments[k++].length)
			memcpy(at, r->segments[k].base, r->segments[k].length);
		for (u32 k = 0; k < r->count; k++)
			if (fake_disk_random(2))
				memcpy(d->medium + (r->sector + k) * BLOCK_SECTOR,
				       all + (size_t)k * BLOCK_SECTOR, BLOCK_SECTOR);
		free(all);
	}
}
