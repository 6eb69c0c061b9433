/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring: what a request is. The guest's words were copied once; here they are
 * checked. */
#include "pv_disk_internal.h"

static const struct {
	bool known, moves;
	u8 op, flags;
} operations[] = {
    [SOCLE_RING_READ] = {true, true, BLOCK_READ, SOCLE_RING_BARRIER},
    [SOCLE_RING_WRITE] = {true, true, BLOCK_WRITE, SOCLE_RING_BARRIER | SOCLE_RING_FUA},
    [SOCLE_RING_FLUSH] = {true, false, BLOCK_FLUSH, SOCLE_RING_BARRIER},
    [SOCLE_RING_DISCARD] = {true, false, BLOCK_DISCARD, SOCLE_RING_BARRIER},
    [SOCLE_RING_ZERO] = {true, false, BLOCK_WRITE_ZEROES, SOCLE_RING_BARRIER | SOCLE_RING_FUA},
};

static int check_place(const struct block *disk, const struct block_request *r)
{
	if (disk->flags & BLOCK_READ_ONLY && r->op != BLOCK_READ)
		return SOCLE_EROFS;
	if (r->count == 0 || r->sector >= disk->sectors || r->count > disk->sectors - r->sector)
		return SOCLE_EINVAL;
	return 0;
}

static int segments_status(int rc)
{
	switch (rc) {
	case ERR_FAULT:
		return SOCLE_EFAULT;
	case ERR_TOOLONG:
		return SOCLE_E2BIG;
	case ERR_AGAIN:
		return SOCLE_EDQUOT;
	default:
		return SOCLE_EINVAL;
	}
}

/* At most so many pieces, or more. */
static u64 pieces_bound(const struct socle_request *r)
{
	return r->length / PAGE_SIZE + (r->nr_segments ? 2 * (u64)r->nr_segments : 2);
}

static int parse_move(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r)
{
	bool read = s->request.op == BLOCK_READ;
	struct piece *pieces = s->few;
	u32 room = PV_FEW;
	int rc;

	if (r->length % BLOCK_SECTOR)
		return SOCLE_EINVAL;
	if (r->length > PV_LENGTH_MAX)
		return SOCLE_E2BIG;
	s->request.count = r->length / BLOCK_SECTOR;
	rc = check_place(d->disk, &s->request);
	if (rc)
		return rc;
	if (unlikely(pieces_bound(r) > PV_FEW)) {
		unsigned i = bit_first(d->free_chunks);

		s->chunk = (u8)BIT(i);
		d->free_chunks ^= s->chunk;
		pieces = d->chunks[i];
		room = SOCLE_RING_PAGES;
	}
	rc = pv_ring_segments(&d->ring, r, read, pieces, room);
	if (rc < 0)
		return segments_status(rc);
	s->request.segments = pieces;
	s->request.nr_segments = (u32)rc;
	s->written = read ? r->length : 0;
	return 0;
}

static int parse_range(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r)
{
	if (s->request.op == BLOCK_FLUSH) {
		s->request.sector = 0;
		return 0;
	}
	if (r->length > PV_LENGTH_MAX / BLOCK_SECTOR)
		return SOCLE_E2BIG;
	s->request.count = r->length;
	return check_place(d->disk, &s->request);
}

/* What a barrier or FUA takes on a disk with a volatile cache. */
static u8 steps_of(const struct pv_slot *s, u8 flags)
{
	u8 steps = STEP_MAIN;

	if (s->request.op == BLOCK_FLUSH)
		return steps;
	if (flags & SOCLE_RING_BARRIER)
		steps |= STEP_FLUSH_BEFORE;
	if (flags && s->request.op != BLOCK_READ)
		steps |= STEP_FLUSH_AFTER;
	return steps;
}

int pv_disk_parse(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r)
{
	s->id = r->id;
	s->barrier = r->flags & SOCLE_RING_BARRIER;
	s->written = 0;
	s->begun = false;
	s->chunk = 0;
	s->steps = STEP_MAIN;
	s->request.sector = r->sector;
	s->request.count = s->request.nr_segments = 0;
	if (r->operation >= ARRAY_SIZE(operations) || !operations[r->operation].known)
		return SOCLE_ENOTSUP;
	if (r->flags & ~operations[r->operation].flags)
		return SOCLE_EINVAL;
	s->request.op = operations[r->operation].op;
	if (unlikely(r->flags && d->disk->flags & BLOCK_VOLATILE))
		s->steps = steps_of(s, r->flags);
	return operations[r->operation].moves ? parse_move(d, s, r) : parse_range(d, s, r);
}
