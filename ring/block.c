/* SPDX-License-Identifier: Apache-2.0 */
/* The check that every block request passes. */
#include "block.h"

static bool segments_fit(const struct block_request *r, u64 bytes)
{
	u64 sum = 0;

	for (u32 i = 0; i < r->nr_segments; i++) {
		if (r->segments[i].length == 0)
			return false;
		sum += r->segments[i].length; /* 2^32 times less than 2^32 */
	}
	return sum == bytes;
}

static bool valid(const struct block *b, const struct block_request *r)
{
	bool writes = r->op == BLOCK_WRITE || r->op == BLOCK_WRITE_ZEROES;
	bool moves = r->op == BLOCK_READ || r->op == BLOCK_WRITE;

	if ((unsigned)r->op >= BLOCK_OPS || r->flags & ~(writes ? BLOCK_BARRIER | BLOCK_FUA : BLOCK_BARRIER))
		return false;
	if (r->op == BLOCK_FLUSH)
		return r->count == 0 && r->nr_segments == 0;
	if (b->flags & BLOCK_READ_ONLY && r->op != BLOCK_READ)
		return false;
	if (r->count == 0 || r->sector >= b->sectors || r->count > b->sectors - r->sector)
		return false;
	return segments_fit(r, moves ? (u64)r->count * BLOCK_SECTOR : 0);
}

void block_submit(struct block *b, struct block_request *r)
{
	if (unlikely(!block_is_plain(b, r) && !valid(b, r)))
		r->complete(r, BLOCK_IOERR);
	else
		b->submit(b, r);
}
