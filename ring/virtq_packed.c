/* SPDX-License-Identifier: Apache-2.0 */
/* Packed virtqueues (virtio 1.2, 2.8): one ring that both sides write. */
#include "virtq_ring.h"

/* 2.8.14: event suppression; offset and wrap counter below, flags above. */
#define EVENT_FLAGS_SHIFT 16
#define EVENT_ENABLE 0u
#define EVENT_DISABLE 1u
#define EVENT_DESC 2u
#define EVENT_WRAP_SHIFT 15

static void *desc_at(const struct virtq *q, u32 position)
{
	return virtq_at(&q->desc, position * VIRTQ_DESC_BYTES);
}

/* 2.8.1: the driver set AVAIL to its wrap counter and USED to the inverse. */
static bool is_available(const struct virtq *q, u16 flags)
{
	return !!(flags & VIRTQ_DESC_AVAIL) == q->avail_wrap && !!(flags & VIRTQ_DESC_USED) != q->avail_wrap;
}

/* The first descriptor is there, so all of the chain are (2.8.6): they follow each other in the ring. */
static int chain_read(struct virtq *q, struct virtq_chain *c, struct virtq_desc d)
{
	u32 position = q->next_avail;
	int rc;

	c->descs = 1;
	for (;;) {
		c->id = d.packed.id;
		/* 2.8.8: a table stands alone. */
		if (d.packed.flags & VIRTQ_DESC_INDIRECT)
			return c->descs > 1 || d.packed.flags & VIRTQ_DESC_NEXT
				   ? ERR_INVAL
				   : virtq_chain_table(q, c, d.addr, d.len, VIRTQ_HOPS_MAX);
		rc = virtq_chain_add(q, c, d.addr, d.len, d.packed.flags & VIRTQ_DESC_WRITE);
		if (rc || !(d.packed.flags & VIRTQ_DESC_NEXT))
			return rc;
		if (c->descs++ == q->size)
			return ERR_INVAL;
		position = position + 1 == q->size ? 0 : position + 1;
		d = virtq_load_desc(desc_at(q, position));
	}
}

/* The position after `count` more descriptors; true: it went round. */
static bool advance(const struct virtq *q, u16 *position, u16 count)
{
	u32 next = (u32)*position + count;
	bool round = next >= q->size;

	*position = (u16)(round ? next - q->size : next);
	return round;
}

int virtq_packed_pop(struct virtq *q, struct virtq_chain *c)
{
	struct virtq_desc d = virtq_load_desc(desc_at(q, q->next_avail));
	int rc;

	if (!is_available(q, d.packed.flags))
		return 0;
	virtq_chain_begin(c);
	rc = chain_read(q, c, d);
	if (rc)
		return virtq_break(q, rc);
	/* The driver has no more out than the ring holds: else ours would overwrite what is not read yet. */
	if (q->taken + c->descs > q->size)
		return virtq_break(q, ERR_INVAL);
	q->taken = (u16)(q->taken + c->descs);
	q->avail_wrap ^= advance(q, &q->next_avail, c->descs);
	return 1;
}

/* One store, so that the driver sees all of it when it sees the flags. */
static void used_store(const struct virtq *q, u16 position, u64 word)
{
	u64 *to = desc_at(q, position);

	__atomic_store_n(&to[1], word, __ATOMIC_RELEASE);
}

static u64 used_word(const struct virtq *q, const struct virtq_chain *c, u32 written)
{
	u64 flags = written ? VIRTQ_DESC_WRITE : 0;

	if (q->used_wrap)
		flags |= VIRTQ_DESC_AVAIL | VIRTQ_DESC_USED;
	return flags << 48 | (u64)c->id << 32 | written;
}

static void used_step(struct virtq *q, const struct virtq_chain *c)
{
	q->used_wrap ^= advance(q, &q->next_used, c->descs);
	q->taken = (u16)(q->taken - c->descs);
	q->since += c->descs;
}

void virtq_packed_push(struct virtq *q, const struct virtq_chain *c, u32 written)
{
	used_store(q, q->next_used, used_word(q, c, written));
	used_step(q, c);
}

/* The driver looks at one place after the other: it sees none before the first. */
void virtq_packed_push_hidden(struct virtq *q, const struct virtq_chain *c, u32 written)
{
	if (q->hides) {
		used_store(q, q->next_used, used_word(q, c, written));
	} else {
		q->hides = true;
		q->hidden_at = q->next_used;
		q->hidden = used_word(q, c, written);
	}
	used_step(q, c);
}

void virtq_packed_show(struct virtq *q)
{
	if (q->hides)
		used_store(q, q->hidden_at, q->hidden);
	q->hides = false;
}

bool virtq_packed_interrupt(struct virtq *q)
{
	u32 event = __atomic_load_n((const u32 *)virtq_at(&q->driver, 0), __ATOMIC_ACQUIRE);
	u32 flags = event >> EVENT_FLAGS_SHIFT & 3;

	if (flags == EVENT_DESC && q->event_idx)
		return virtq_packed_passed((u16)event, q->next_used, q->used_wrap, q->size, q->since);
	return flags != EVENT_DISABLE;
}

bool virtq_packed_waiting(const struct virtq *q)
{
	return is_available(q, virtq_load_desc(desc_at(q, q->next_avail)).packed.flags);
}

static void event_store(const struct virtq *q, u32 flags, u32 position)
{
	__atomic_store_n((u32 *)virtq_at(&q->device, 0), flags << EVENT_FLAGS_SHIFT | position,
			 __ATOMIC_RELEASE);
}

void virtq_packed_kicks_off(struct virtq *q)
{
	event_store(q, EVENT_DISABLE, 0);
}

bool virtq_packed_kicks_on(struct virtq *q)
{
	if (q->event_idx)
		event_store(q, EVENT_DESC, q->next_avail | (u32)q->avail_wrap << EVENT_WRAP_SHIFT);
	else
		event_store(q, EVENT_ENABLE, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtq_packed_waiting(q);
}
