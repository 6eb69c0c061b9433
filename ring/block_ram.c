/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in memory. No lock: requests that overlap in time and place have no order on any disk. */
#include "block.h"

static void copy(struct block_ram *d, const struct block_request *r)
{
	u8 *at = d->base + r->sector * BLOCK_SECTOR;

	for (u32 i = 0; i < r->nr_segments; i++) {
		const struct piece *s = &r->segments[i];

		if (r->op == BLOCK_READ)
			memcpy(s->base, at, s->length);
		else
			memcpy(at, s->base, s->length);
		at += s->length;
	}
}

static void ram_submit(struct block *b, struct block_request *r)
{
	struct block_ram *d = container_of(b, struct block_ram, block);

	switch (r->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		copy(d, r);
		break;
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		memset(d->base + r->sector * BLOCK_SECTOR, 0, (u64)r->count * BLOCK_SECTOR);
		break;
	case BLOCK_FLUSH:
	case BLOCK_OPS:
		break;
	}
	r->complete(r, BLOCK_OK);
}

void block_ram_init(struct block_ram *d, void *base, u64 length, u32 flags)
{
	d->block = (struct block){ram_submit, length / BLOCK_SECTOR, flags & BLOCK_READ_ONLY};
	d->base = base;
}
