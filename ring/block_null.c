/* SPDX-License-Identifier: Apache-2.0 */
/* The disk that costs nothing, so that a benchmark sees the way to it alone. */
#include "block.h"

static enum block_status null_serve(struct block *b, const struct block_request *r, u64 sector)
{
	(void)b, (void)sector;
	if (r->op == BLOCK_READ)
		for (u32 i = 0; i < r->nr_segments; i++)
			memset(r->segments[i].base, 0, r->segments[i].length);
	return BLOCK_OK;
}

static void null_submit(struct block *b, struct block_request *r)
{
	r->complete(r, null_serve(b, r, 0));
}

void block_null_init(struct block *b, u64 sectors)
{
	*b = (struct block){.submit = null_submit, .sectors = sectors, .serve = null_serve};
}
