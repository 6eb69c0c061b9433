/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the way from a request's pieces of memory to the bus master's table. */
#include "dma.h"
#include "ide.h"

#define REGION 0x10000u /* no descriptor crosses a multiple of it */

/* Appends descriptors; returns how many there are then, 0: they do not fit. */
static u32 append(struct ide_channel *c, u32 n, u32 address, u32 length)
{
	while (length) {
		u32 part = MIN(length, REGION - (address & (REGION - 1)));

		if (n == IDE_PRDS)
			return 0;
		c->table[n++] = (struct ide_prd){address, (u16)part, 0};
		address += part;
		length -= part;
	}
	return n;
}

/* The next piece of up to bytes bytes at the cursor, which moves behind it. */
static struct piece take(const struct block_request *r, struct ide_cursor *at, u32 bytes)
{
	const struct piece *s = &r->segments[at->segment];
	struct piece p = {s->base + at->offset, MIN(bytes, s->length - at->offset)};

	at->offset += p.length;
	if (at->offset == s->length)
		*at = (struct ide_cursor){at->segment + 1, 0};
	return p;
}

bool ide_describe(struct ide_channel *c, const struct block_request *r, u32 bytes)
{
	struct ide_cursor at = c->at;
	u32 n = 0;

	while (bytes) {
		struct piece p = take(r, &at, bytes);
		u32 address;

		if (!dma_address(p.base, p.length, &address) || (address | p.length) & 1)
			return false;
		n = append(c, n, address, p.length);
		if (!n)
			return false;
		bytes -= p.length;
	}
	c->table[n - 1].flags = IDE_PRD_END;
	c->next = at;
	return true;
}

static void copy(struct ide_channel *c, const struct block_request *r, u32 bytes, bool from_bounce)
{
	struct ide_cursor at = c->at;
	u8 *bounce = c->bounce;

	while (bytes) {
		struct piece p = take(r, &at, bytes);

		if (from_bounce)
			memcpy(p.base, bounce, p.length);
		else
			memcpy(bounce, p.base, p.length);
		bounce += p.length;
		bytes -= p.length;
	}
	c->next = at;
}

void ide_describe_bounce(struct ide_channel *c, const struct block_request *r, u32 bytes)
{
	u32 n = append(c, 0, c->bounce_address, bytes);

	c->table[n - 1].flags = IDE_PRD_END;
	if (r->op == BLOCK_WRITE)
		copy(c, r, bytes, false);
	else if (r->op == BLOCK_WRITE_ZEROES)
		memset(c->bounce, 0, bytes);
}

void ide_copy_back(struct ide_channel *c, const struct block_request *r, u32 bytes)
{
	copy(c, r, bytes, true);
}
