/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues: from descriptors, which a guest wrote, to pieces of host memory. */
#include "virtq_ring.h"

/* They may lie side by side: a buffer may reach from one into the next. */
static bool buffer_is_ram(struct virtq *q, gpa_t gpa, u64 len, bool write)
{
	while (len) {
		const struct gmem_slot *s = gmem_slot_of(q->mem, gpa);
		u64 rest;

		if (!s || (write && s->flags & GMEM_READONLY))
			return false;
		q->slot = s;
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
int virtq_chain_add_any(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, bool write)
{
	if (!virtq_slot_has(q->slot, gpa, len, write) && !buffer_is_ram(q, gpa, len, write))
		return ERR_FAULT;
	*(write ? &c->write_bytes : &c->read_bytes) += len;
	if (len > c->left)
		c->too_long = true;
	c->left = c->too_long ? 0 : c->left - len;
	while (len && likely(!c->too_long)) {
		u8 *base;
		u32 part = (u32)gmem_tlb_span(q->mem, &q->tlb, gpa, len, &base);

		if (!part)
			return ERR_NOMEM;
		if (write)
			gmem_tlb_writable(&q->tlb, gpa);
		virtq_segment_add(c, base, part, write);
		gpa += part;
		len -= part;
	}
	return 0;
}

/* An indirect table: of `count` descriptors, anywhere. Those of drivers are aligned and lie in one page, as a
 * rule: then `host` is where. */
struct table {
	gpa_t gpa;
	const u8 *host;
	u32 count;
};

static inline int desc_read(struct virtq *q, const struct table *t, u32 i, struct virtq_desc *d)
{
	if (unlikely(!t->host))
		return gmem_read(q->mem, t->gpa + (u64)i * VIRTQ_DESC_BYTES, d, sizeof(*d));
	*d = virtq_load_desc(t->host + i * VIRTQ_DESC_BYTES);
	return 0;
}

/* 2.7.5.3: linked by NEXT, from the first on. */
static int table_split(struct virtq *q, struct virtq_chain *c, const struct table *t, u32 hops)
{
	struct virtq_desc d;
	u32 i = 0;
	int rc;

	do {
		if (!hops-- || i >= t->count)
			return ERR_INVAL;
		rc = desc_read(q, t, i, &d);
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
static int table_packed(struct virtq *q, struct virtq_chain *c, const struct table *t, u32 hops)
{
	struct virtq_desc d;
	int rc = t->count > hops ? ERR_INVAL : 0;

	for (u32 i = 0; i < t->count && !rc; i++) {
		rc = desc_read(q, t, i, &d);
		rc = rc ? rc : virtq_chain_add(q, c, d.addr, d.len, d.packed.flags & VIRTQ_DESC_WRITE);
	}
	return rc;
}

int virtq_chain_table(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, u32 hops)
{
	struct table t = {.gpa = gpa, .count = len / VIRTQ_DESC_BYTES};

	if (!q->indirect || !t.count || len % VIRTQ_DESC_BYTES || gpa + len < gpa)
		return ERR_INVAL;
	if (likely(gpa % 8 == 0 && len <= PAGE_SIZE - gpa % PAGE_SIZE))
		t.host = gmem_tlb_ptr(q->mem, &q->tlb, gpa, len);
	return q->packed ? table_packed(q, c, &t, hops) : table_split(q, c, &t, hops);
}

void virtq_take(struct virtq_chain *c, void *to, u32 n)
{
	u8 *out = to;

	c->read_bytes -= n;
	while (n) {
		struct piece *first = c->segments;
		u32 part = MIN(n, first->length);
		memcpy(out, first->base, part);
		out += part;
		n -= part;
		first->base += part;
		first->length -= part;
		if (!first->length) {
			c->segments++;
			c->nr_read--;
		}
	}
}
