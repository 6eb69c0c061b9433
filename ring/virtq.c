/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues: where a queue is in guest memory, and which of the two layouts it has. */
#include "virtq_ring.h"

#include "lib.h"

int virtq_break(struct virtq *q, int err)
{
	q->broken = true;
	return err;
}

/* ---- areas ---- */
/* Whether every byte is RAM, which the guest may write itself where the device is to write. */
static bool area_is_ram(const struct gmem *m, const struct virtq_area *a)
{
	gpa_t gpa = a->gpa, end = a->gpa + a->length;

	if (end < gpa)
		return false;
	for (; gpa < end; gpa = ALIGN_DOWN(gpa, PAGE_SIZE) + PAGE_SIZE) {
		const struct gmem_slot *s = gmem_slot_of(m, gpa);
		if (!s || (a->written && s->flags & GMEM_READONLY))
			return false;
	}
	return true;
}

static int area_map(struct virtq *q, struct virtq_area *a)
{
	gpa_t page = ALIGN_DOWN(a->gpa, PAGE_SIZE);

	for (unsigned i = 0; i < VIRTQ_AREA_PAGES && page < a->gpa + a->length; i++, page += PAGE_SIZE) {
		a->page[i] = gmem_ptr(q->mem, page, PAGE_SIZE);
		if (!a->page[i])
			return ERR_NOMEM;
		if (i == 0)
			a->base = a->page[0] + a->gpa % PAGE_SIZE;
		else if (a->page[i] != a->page[i - 1] + PAGE_SIZE)
			a->base = NULL;
	}
	return 0;
}

/* The generation is read before the tables: what is unmapped meanwhile is noticed at the next use. */
static int areas_map(struct virtq *q)
{
	int rc;

	q->gen = __atomic_load_n(&q->mem->ept->flush_gen, __ATOMIC_ACQUIRE);
	rc = area_map(q, &q->desc);
	rc = rc ? rc : area_map(q, &q->driver);
	rc = rc ? rc : area_map(q, &q->device);
	return rc ? virtq_break(q, rc) : 0;
}

/* False: the queue is broken. */
static inline bool usable(struct virtq *q)
{
	if (unlikely(q->broken))
		return false;
	if (likely(q->gen == __atomic_load_n(&q->mem->ept->flush_gen, __ATOMIC_ACQUIRE)))
		return true;
	return areas_map(q) == 0;
}

/* ---- life ---- */
/* Sizes: 2.7.2 and 2.8.9; the event indices at the end of the split areas are there only where they were
 * negotiated. */
static void areas_set(struct virtq *q, const struct virtq_setup *s)
{
	u32 event = q->event_idx ? 2 : 0;

	q->desc = (struct virtq_area){.gpa = s->desc, .length = 16u * s->size, .written = q->packed};
	q->driver = (struct virtq_area){.gpa = s->driver, .length = q->packed ? 4 : 4 + 2u * s->size + event};
	q->device = (struct virtq_area){
	    .gpa = s->device, .length = q->packed ? 4 : 4 + 8u * s->size + event, .written = true};
}

static bool setup_ok(const struct virtq *q, const struct virtq_setup *s)
{
	if (!s->size || s->size > VIRTQ_SIZE_MAX || (!q->packed && s->size & (s->size - 1)))
		return false;
	return IS_ALIGNED(s->desc, 16u) && IS_ALIGNED(s->driver, q->packed ? 4u : 2u) &&
	       IS_ALIGNED(s->device, 4u);
}

int virtq_start(struct virtq *q, struct gmem *m, const struct virtq_setup *s)
{
	memset(q, 0, sizeof(*q));
	gmem_tlb_reset(&q->tlb);
	q->mem = m;
	gmem_lend(m);
	q->size = s->size;
	q->packed = s->features & VIRTIO_F_RING_PACKED;
	q->event_idx = s->features & VIRTIO_F_EVENT_IDX;
	q->indirect = s->features & VIRTIO_F_INDIRECT_DESC;
	q->avail_wrap = q->used_wrap = true;
	if (!setup_ok(q, s))
		return virtq_break(q, ERR_INVAL);
	areas_set(q, s);
	if (!area_is_ram(m, &q->desc) || !area_is_ram(m, &q->driver) || !area_is_ram(m, &q->device))
		return virtq_break(q, ERR_FAULT);
	return areas_map(q);
}

/* ---- use ---- */
int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
	if (!usable(q))
		return ERR_INVAL;
	return q->packed ? virtq_packed_pop(q, c) : virtq_split_pop(q, c);
}

void virtq_push(struct virtq *q, const struct virtq_chain *c, u32 written)
{
	if (!usable(q))
		return;
	if (q->packed) {
		virtq_packed_push(q, c, written);
	} else {
		virtq_split_push_hidden(q, c->id, written);
		virtq_split_show(q);
	}
}

void virtq_push_hidden(struct virtq *q, const struct virtq_chain *c, u32 written)
{
	if (!usable(q))
		return;
	if (q->packed)
		virtq_packed_push_hidden(q, c, written);
	else
		virtq_split_push_hidden(q, c->id, written);
}

void virtq_show(struct virtq *q)
{
	if (!usable(q))
		return;
	if (q->packed)
		virtq_packed_show(q);
	else
		virtq_split_show(q);
}

void virtq_push_read(struct virtq *q, const struct virtq_chain *c, size_t stride, u32 n)
{
	if (!n || !usable(q))
		return;
	for (; n; n--, c = (const struct virtq_chain *)((const u8 *)c + stride))
		if (q->packed)
			virtq_packed_push_hidden(q, c, 0);
		else
			virtq_split_push_hidden(q, c->id, 0);
	virtq_show(q);
}

bool virtq_interrupt(struct virtq *q)
{
	bool wanted;

	if (!q->since || !usable(q))
		return false;
	/* The used entries before the driver's wish. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wanted = q->packed ? virtq_packed_interrupt(q) : virtq_split_interrupt(q);
	q->since = 0;
	return wanted;
}

bool virtq_waiting(struct virtq *q)
{
	if (!usable(q))
		return false;
	return q->packed ? virtq_packed_waiting(q) : virtq_split_waiting(q);
}

void virtq_kicks_off(struct virtq *q)
{
	if (!usable(q))
		return;
	if (q->packed)
		virtq_packed_kicks_off(q);
	else
		virtq_split_kicks_off(q);
}

bool virtq_kicks_on(struct virtq *q)
{
	if (!usable(q))
		return false;
	return q->packed ? virtq_packed_kicks_on(q) : virtq_split_kicks_on(q);
}
