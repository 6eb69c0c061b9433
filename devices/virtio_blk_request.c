/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio block device: what a request is (virtio 1.2, 5.2.6). The driver's words are copied once, then
 * checked. */
#include "virtio_blk_internal.h"

enum {
	TYPE_IN = 0,
	TYPE_OUT = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
	TYPE_DISCARD = 11,
	TYPE_WRITE_ZEROES = 13
};

struct header {
	u32 type, reserved;
	u64 sector;
};
#define HEADER_BYTES ((u32)sizeof(struct header))

/* Of a discard or of write zeroes. */
struct range {
	u64 sector;
	u32 sectors, flags;
};
#define RANGE_BYTES ((u32)sizeof(struct range))
#define RANGE_UNMAP 1u

/* As virtq_take(): most drivers make a piece of their own of it. */
static inline __attribute__((always_inline)) void take(struct blk_slot *s, void *to, u32 n)
{
	struct virtq_chain *c = &s->chain;

	if (likely(c->segments->length == n)) {
		c->read_bytes -= n;
		__builtin_memcpy(to, c->segments->base, n);
		c->segments++;
		c->nr_read--;
		return;
	}
	virtq_take(c, to, n);
}

/* The last byte that the device may write is the status; there is one. */
static void take_status(struct blk_slot *s)
{
	struct virtq_chain *c = &s->chain;
	struct piece *last = &c->segments[c->nr_read + c->nr_write - 1];

	s->status = last->base + --last->length;
	c->write_bytes--;
	if (!last->length)
		c->nr_write--;
}

static enum blk_next answer(enum block_status *to, enum block_status status)
{
	*to = status;
	return BLK_DONE;
}

static enum blk_next parse_move(struct blk_slot *s, const struct header *h, enum block_status *status)
{
	struct virtq_chain *c = &s->chain;
	bool read = h->type == TYPE_IN;
	u64 bytes = read ? c->write_bytes : c->read_bytes;

	/* Data in one direction only, and whole sectors of it. */
	if (!bytes || bytes % BLOCK_SECTOR || (read ? c->read_bytes : c->write_bytes))
		return answer(status, BLOCK_IOERR);
	s->request.op = read ? BLOCK_READ : BLOCK_WRITE;
	s->request.sector = h->sector;
	s->request.count = (u32)(bytes / BLOCK_SECTOR);
	s->request.segments = c->segments;
	s->request.nr_segments = read ? c->nr_write : c->nr_read;
	s->written = read ? (u32)bytes + 1 : 1;
	return BLK_SUBMIT;
}

/* 5.2.6.2: a discard knows no flag, write zeroes one, which need not be followed. */
static enum blk_next parse_range(struct blk_slot *s, const struct header *h, enum block_status *status)
{
	struct range r;
	u32 known = h->type == TYPE_WRITE_ZEROES ? RANGE_UNMAP : 0;

	if (s->chain.read_bytes != RANGE_BYTES)
		return answer(status, BLOCK_IOERR);
	take(s, &r, RANGE_BYTES);
	if (r.flags & ~known)
		return answer(status, BLOCK_UNSUPP);
	if (r.sectors > BLK_RANGE_MAX)
		return answer(status, BLOCK_IOERR);
	s->request.op = h->type == TYPE_DISCARD ? BLOCK_DISCARD : BLOCK_WRITE_ZEROES;
	s->request.sector = r.sector;
	s->request.count = r.sectors;
	s->written = 1;
	return BLK_SUBMIT;
}

static enum blk_next parse_id(struct virtio_blk *b, struct blk_slot *s, enum block_status *status)
{
	const struct virtq_chain *c = &s->chain;
	const struct piece *to = c->segments + c->nr_read;

	if (c->write_bytes < VIRTIO_BLK_ID_BYTES)
		return answer(status, BLOCK_IOERR);
	for (u32 i = 0, part; i < VIRTIO_BLK_ID_BYTES; i += part, to++) {
		part = MIN(VIRTIO_BLK_ID_BYTES - i, to->length);
		memcpy(to->base, b->id + i, part);
	}
	/* All in front of the status was written only if there was no more. */
	s->written = c->write_bytes == VIRTIO_BLK_ID_BYTES ? VIRTIO_BLK_ID_BYTES + 1 : 0;
	return answer(status, BLOCK_OK);
}

static enum blk_next parse_type(struct virtio_blk *b, struct blk_slot *s, const struct header *h,
				enum block_status *status)
{
	u64 features = virtio_pci_features(&b->pci);

	switch (h->type) {
	case TYPE_IN:
	case TYPE_OUT:
		return parse_move(s, h, status);
	case TYPE_FLUSH:
		s->request.op = BLOCK_FLUSH;
		s->written = 1;
		return BLK_SUBMIT;
	case TYPE_GET_ID:
		return parse_id(b, s, status);
	case TYPE_DISCARD:
		if (features & BLK_F_DISCARD)
			return parse_range(s, h, status);
		break;
	case TYPE_WRITE_ZEROES:
		if (features & BLK_F_WRITE_ZEROES)
			return parse_range(s, h, status);
		break;
	}
	return answer(status, BLOCK_UNSUPP);
}

enum blk_next blk_parse(struct virtio_blk *b, struct blk_slot *s, enum block_status *status)
{
	struct header h;
	enum blk_next next;

	if (s->chain.too_long || !s->chain.write_bytes)
		return BLK_BROKEN;
	take_status(s);
	s->written = 0;
	s->request.flags = 0;
	s->request.sector = 0;
	s->request.count = s->request.nr_segments = 0;
	if (s->chain.read_bytes < HEADER_BYTES)
		return answer(status, BLOCK_IOERR);
	take(s, &h, HEADER_BYTES);
	next = parse_type(b, s, &h, status);
	/* 5.2.5.1: a driver without FLUSH takes every completed write for durable. */
	if (next == BLK_SUBMIT && b->disk->flags & BLOCK_VOLATILE &&
	    !(virtio_pci_features(&b->pci) & BLK_F_FLUSH) &&
	    (s->request.op == BLOCK_WRITE || s->request.op == BLOCK_WRITE_ZEROES))
		s->request.flags = BLOCK_FUA;
	return next;
}
