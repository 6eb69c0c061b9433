/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring: what a request is. The guest's words were copied once; here they are
 * checked. */
#include "pv_disk_internal.h"

static int check_place(const struct pv_disk *d, const struct pv_slot *s)
{
	if (d->disk->flags & BLOCK_READ_ONLY && s->op != BLOCK_READ)
		return SOCLE_EROFS;
	if (s->count == 0 || s->sector >= d->disk->sectors || s->count > d->disk->sectors - s->sector)
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

static int parse_move(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r)
{
	bool read = s->op == BLOCK_READ;
	int rc;

	if (r->length % BLOCK_SECTOR)
		return SOCLE_EINVAL;
	if (r->length > PV_LENGTH_MAX)
		return SOCLE_E2BIG;
	s->count = r->length / BLOCK_SECTOR;
	rc = check_place(d, s);
	if (rc)
		return rc;
	s->pieces = &d->pool[d->pool_tail % PV_POOL];
	rc = pv_ring_segments(&d->ring, r, read, s->pieces, SOCLE_RING_PAGES);
	if (rc < 0)
		return segments_status(rc);
	s->nr_pieces = (u32)rc;
	s->written = read ? r->length : 0;
	return 0;
}

static int parse_range(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r)
{
	if (r->length > PV_LENGTH_MAX / BLOCK_SECTOR)
		return SOCLE_E2BIG;
	s->count = r->length;
	return check_place(d, s);
}

static int parse_operation(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r)
{
	switch (r->operation) {
	case SOCLE_RING_READ:
		s->op = BLOCK_READ;
		return parse_move(d, s, r);
	case SOCLE_RING_WRITE:
		s->op = BLOCK_WRITE;
		return parse_move(d, s, r);
	case SOCLE_RING_FLUSH:
		s->op = BLOCK_FLUSH;
		s->sector = 0;
		return 0;
	case SOCLE_RING_DISCARD:
		s->op = BLOCK_DISCARD;
		return parse_range(d, s, r);
	case SOCLE_RING_ZERO:
		s->op = BLOCK_WRITE_ZEROES;
		return parse_range(d, s, r);
	default:
		return SOCLE_ENOTSUP;
	}
}

/* What a barrier or FUA takes on a disk with a volatile cache. */
static u8 steps_of(const struct pv_slot *s, u8 flags)
{
	u8 steps = STEP_MAIN;

	if (s->op == BLOCK_FLUSH)
		return steps;
	if (flags & SOCLE_RING_BARRIER)
		steps |= STEP_FLUSH_BEFORE;
	if (flags && s->op != BLOCK_READ)
		steps |= STEP_FLUSH_AFTER;
	return steps;
}

int pv_disk_parse(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r)
{
	bool writes = r->operation == SOCLE_RING_WRITE || r->operation == SOCLE_RING_ZERO;
	u8 known = SOCLE_RING_BARRIER | (writes ? SOCLE_RING_FUA : 0);
	int status;

	s->id = r->id;
	s->barrier = r->flags & SOCLE_RING_BARRIER;
	s->sector = r->sector;
	s->count = s->nr_pieces = s->written = 0;
	s->begun = s->done = false;
	status = r->flags & ~known ? SOCLE_EINVAL : parse_operation(d, s, r);
	s->steps = d->disk->flags & BLOCK_VOLATILE ? steps_of(s, r->flags) : STEP_MAIN;
	return status;
}
