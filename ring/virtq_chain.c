/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues: from descriptors, which a guest wrote, to pieces of host memory. */
#include "virtq_ring.h"

void virtq_chain_begin(struct virtq_chain *c)
{
	c->nr_read = c->nr_write = 0;
	c->read_bytes = c->write_bytes = 0;
	c->too_long = false;
}

/* Joins it to the one before where it goes on in host memory, and in the same direction. */
static void segment_add(struct virtq_chain *c, u8 *base, u32 length, bool write)
{
	u32 count = c->nr_read + c->nr_write;
	bool same = write ? c->nr_write : c->nr_read;
	struct piece *last = c->segments + count - same;

	if (same && last->base + last->length == base && last->length <= ~0u - length) {
		last->length += length;
	} else if (count == c->room) {
		c->too_long = true;
	} else {
		c->segments[count] = (struct piece){.base = base, .length = length};
		*(write ? &c->nr_write : &c->nr_read) += 1;
	}
}

/* Slots may lie side by side: a buffer may reach from one into the next. */
static bool buffer_is_ram(const struct gmem *m, gpa_t gpa, u64 len, bool write)
{
	while (len) {
		const struct gmem_slot *s = gmem_slot_of(m, gpa);
		u64 rest;

		if (!s || (write && s->flags & GMEM_READONLY))
			return false;
		rest = s->base + s->length - gpa;
		if (len <= rest)
			break;
		len -= rest;
		gpa += rest;
	}
	return true;
}

/* The bytes are counted, but no page is looked up any more, once there is no room: a chain costs no more than
 * it has room for, and pages that lie side by side need little of that. */
int virtq_chain_add(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, bool write)
{
	if (!write && c->write_bytes)
		return ERR_INVAL;
	if (!buffer_is_ram(q->mem, gpa, len, write))
		return ERR_FAULT;
	*(write ? &c->write_bytes : &c->read_bytes) += len;
	if (c->read_bytes + c->write_bytes > VIRTQ_BYTES_MAX)
		c->too_long = true;
	while (len && !c->too_long) {
		u32 part = (u32)MIN((u64)len, PAGE_SIZE - gpa % PAGE_SIZE);
		u8 *base = gmem_tlb_ptr(q->mem, &q->tlb, gpa, part);

		if (!base)
			return ERR_NOMEM;
		segment_add(c, base, part, write);
		gpa += part;
		len -= part;
	}
	return 0;
}

/* A descriptor anywhere: tables of drivers are aligned and lie in one page, as a rule. */
static int desc_read(struct virtq *q, gpa_t gpa, struct virtq_desc *d)
{
	const void *p = gpa % 8 ? NULL : gmem_tlb_ptr(q->mem, &q->tlb, gpa, sizeof(*d));

	if (unlikely(!p))
		return gmem_read(q->mem, gpa, d, sizeof(*d));
	*d = virtq_load_desc(p);
	return 0;
}

/* 2.7.5.3: linked by NEXT, from the first on. */
static int table_split(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 count, u32 hops)
{
	struct virtq_desc d;
	u32 i = 0;
	int rc;

	do {
		if (!hops-- || i >= count)
			return ERR_INVAL;
		rc = desc_read(q, gpa + (u64)i * VIRTQ_DESC_BYTES, &d);
		if (rc)
			return rc;
		if (d.split.flags & VIRTQ_DESC_INDIRECT)
			return ERR_INVAL;
		rc = virtq_chain_add(q, c, d.addr, d.len, d.split.flags & VIRTQ_DESC_WRITE);
		if (rc)
			return rc;
		i = d.split.next;
	} while (d.split.flags & VIRTQ_DESC_NEXT);
	return 0;
}

/* 2.8.7: all of them, in their order; only WRITE means anything. */
static int table_packed(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 count, u32 hops)
{
	struct virtq_desc d;
	int rc = count > hops ? ERR_INVAL : 0;

	for (u32 i = 0; i < count && !rc; i++) {
		rc = desc_read(q, gpa + (u64)i * VIRTQ_DESC_BYTES, &d);
		rc = rc ? rc : virtq_chain_add(q, c, d.addr, d.len, d.packed.flags & VIRTQ_DESC_WRITE);
	}
	return rc;
}

int virtq_chain_table(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, u32 hops)
{
	u32 count = len / VIRTQ_DESC_BYTES;

	if (!q->indirect || !count || len % VIRTQ_DESC_BYTES || gpa + len < gpa)
		return ERR_INVAL;
	return q->packed ? table_packed(q, c, gpa, count, hops) : table_split(q, c, gpa, count, hops);
}
