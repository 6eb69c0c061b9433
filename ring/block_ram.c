/* SPDX-License-Identifier: Apache-2.0 */
/* A disk in memory. No lock: requests that overlap in time and place have no order on any disk. */
#include "block.h"

static void copy(u8 *at, const struct block_request *r)
{
	for (u32 i = 0; i < r->nr_segments; i++) {
		const struct piece *s = &r->segments[i];

		if (r->op == BLOCK_READ)
			memcpy(s->base, at, s->length);
		else
			memcpy(at, s->base, s->length);
		at += s->length;
	}
}

__attribute__((noinline)) static enum block_status serve_any(u8 *at, const struct block_request *r)
{
	switch (r->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		copy(at, r);
		break;
	case BLOCK_DISCARD:
	case BLOCK_WRITE_ZEROES:
		memset(at, 0, (u64)r->count * BLOCK_SECTOR);
		break;
	case BLOCK_FLUSH:
	case BLOCK_OPS:
		break;
	}
	return BLOCK_OK;
}

static enum block_status ram_serve(struct block *b, const struct block_request *r, u64 sector)
{
	u8 *at = container_of(b, struct block_ram, block)->base + sector * BLOCK_SECTOR;
	const struct piece *s = r->segments;

	if (unlikely(r->op > BLOCK_WRITE || r->nr_segments != 1))
		return serve_any(at, r);
	if (r->op == BLOCK_READ)
		memcpy(s->base, at, s->length);
	else
		memcpy(at, s->base, s->length);
	return BLOCK_OK;
}

static void ram_submit(struct block *b, struct block_request *r)
{
	r->complete(r, ram_serve(b, r, r->sector));
}

void block_ram_init(struct block_ram *d, void *base, u64 length, u32 flags)
{
	d->block = (struct block){.submit = ram_submit,
				  .sectors = length / BLOCK_SECTOR,
				  .flags = (flags & BLOCK_READ_ONLY) | BLOCK_COPIES,
				  .serve = ram_serve};
	d->base = base;
}
