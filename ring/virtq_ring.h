/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the virtqueues share: areas, descriptors, and a chain while it is being read. */
#pragma once

#include "virtq.h"

/* virtio 1.2, 2.7.5 and 2.8.13: a descriptor, little endian. */
struct virtq_desc {
	u64 addr;
	u32 len;
	union {
		struct {
			u16 flags, next;
		} split;
		struct {
			u16 id, flags;
		} packed;
	};
};
_Static_assert(sizeof(struct virtq_desc) == 16, "virtio 1.2, 2.7.5");

#define VIRTQ_DESC_BYTES ((u32)sizeof(struct virtq_desc))

/* An element of an area, which no page boundary cuts: offset and size follow from the alignment. */
static inline void *virtq_at(const struct virtq_area *a, u32 offset)
{
	u64 at;

	if (likely(a->base))
		return a->base + offset;
	at = a->gpa % PAGE_SIZE + offset;
	return a->page[at >> PAGE_SHIFT] + at % PAGE_SIZE;
}

static inline u16 virtq_load16(const struct virtq_area *a, u32 offset)
{
	return __atomic_load_n((const u16 *)virtq_at(a, offset), __ATOMIC_ACQUIRE);
}

static inline void virtq_store16(const struct virtq_area *a, u32 offset, u16 value)
{
	__atomic_store_n((u16 *)virtq_at(a, offset), value, __ATOMIC_RELEASE);
}

/* Two halves, each read once; the second, which has the flags, first. */
static inline struct virtq_desc virtq_load_desc(const void *p)
{
	const u64 *from = p;
	union {
		u64 half[2];
		struct virtq_desc desc;
	} d;

	d.half[1] = __atomic_load_n(&from[1], __ATOMIC_ACQUIRE);
	d.half[0] = __atomic_load_n(&from[0], __ATOMIC_RELAXED);
	return d.desc;
}

/* The queue is broken from now on; returns err. */
int virtq_break(struct virtq *q, int err);

/* ---- a chain: virtq_chain.c ---- */
static inline void virtq_chain_begin(struct virtq_chain *c)
{
	c->nr_read = c->nr_write = 0;
	c->read_bytes = c->write_bytes = 0;
	c->left = VIRTQ_BYTES_MAX;
	c->too_long = false;
}

/* Joins it to the one before where it goes on in host memory, and in the same direction. */
static inline void virtq_segment_add(struct virtq_chain *c, u8 *base, u32 length, bool write)
{
	u32 *nr = write ? &c->nr_write : &c->nr_read, count = c->nr_read + c->nr_write;
	struct piece *next = c->segments + count;

	if (*nr && next[-1].base + next[-1].length == base && next[-1].length <= ~0u - length) {
		next[-1].length += length;
	} else if (unlikely(count == c->room)) {
		c->too_long = true;
		c->left = 0;
	} else {
		next->base = base;
		next->length = length;
		++*nr;
	}
}

/* Slots stay, so one that was right once is the first to look at. */
static inline bool virtq_slot_has(const struct gmem_slot *s, gpa_t gpa, u64 len, bool write)
{
	return s && gpa - s->base < s->length && len <= s->length - (gpa - s->base) &&
	       !(write && s->flags & GMEM_READONLY);
}

/* The slow half of virtq_chain_add(). */
int virtq_chain_add_any(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, bool write);
/* Where it is, if it lies in a large page of which something was used before; the queue was found usable just
 * now. */
static inline u8 *virtq_known(const struct virtq *q, gpa_t gpa, u32 len, bool write)
{
	const struct gmem_tlb_entry *large = &q->tlb.large[gpa / GMEM_LARGE % GMEM_TLB_LARGE];
	u64 offset = gpa ^ large->page;

	if (unlikely(offset >= GMEM_LARGE || len - (u64)1 >= GMEM_LARGE - offset || q->tlb.gen != q->gen ||
		     (write && !(q->tlb.writable & GMEM_TLB_LARGE_BIT(gpa)))))
		return NULL;
	return large->host + offset;
}

/* One buffer. ERR_INVAL: the device reads it after one that it writes; ERR_FAULT: not RAM, or ROM to be
 * written; ERR_NOMEM. `write` is a constant where this is called. */
static inline __attribute__((always_inline)) int virtq_chain_add_way(struct virtq *q, struct virtq_chain *c,
								     gpa_t gpa, u32 len, bool write)
{
	u8 *base;

	if (!write && unlikely(c->write_bytes))
		return ERR_INVAL;
	base = virtq_known(q, gpa, len, write);
	if (unlikely(!base || len > c->left))
		return virtq_chain_add_any(q, c, gpa, len, write);
	c->left -= len;
	*(write ? &c->write_bytes : &c->read_bytes) += len;
	virtq_segment_add(c, base, len, write);
	return 0;
}

static inline __attribute__((always_inline)) int virtq_chain_add(struct virtq *q, struct virtq_chain *c,
								 gpa_t gpa, u32 len, bool write)
{
	return write ? virtq_chain_add_way(q, c, gpa, len, true) : virtq_chain_add_way(q, c, gpa, len, false);
}

/* The buffers of an indirect table of len bytes; hops: what is left of the budget. */
int virtq_chain_table(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, u32 hops);

/* ---- split: 2.7.6 the driver's area, and 2.7.8 the device's: flags, index, ring, event index of the other
 * side ---- */
#define AREA_FLAGS 0u
#define AREA_INDEX 2u
#define AREA_RING 4u
#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u
#define USED_BYTES 8u /* id, then length */

static inline u32 virtq_slot_of(const struct virtq *q, u16 index)
{
	return index & (q->size - 1u);
}

static inline void virtq_split_push_hidden(struct virtq *q, u16 id, u32 written)
{
	u32 at = AREA_RING + USED_BYTES * virtq_slot_of(q, q->next_used);
	u8 *base = q->device.base;

	/* Each is aligned; both together may cross a page. */
	__atomic_store_n((u32 *)(likely(base) ? base + at : virtq_at(&q->device, at)), id, __ATOMIC_RELAXED);
	at += 4;
	__atomic_store_n((u32 *)(likely(base) ? base + at : virtq_at(&q->device, at)), written,
			 __ATOMIC_RELAXED);
	q->next_used++;
	q->since++;
}

static inline void virtq_split_show(struct virtq *q)
{
	virtq_store16(&q->device, AREA_INDEX, q->next_used);
}

/* ---- virtq_split.c, virtq_packed.c: as in the contract, for a queue that is not broken, and is if pop fails
 * ---- */
int virtq_split_pop(struct virtq *q, struct virtq_chain *c);
bool virtq_split_interrupt(struct virtq *q);
bool virtq_split_waiting(const struct virtq *q);
void virtq_split_kicks_off(struct virtq *q);
bool virtq_split_kicks_on(struct virtq *q);
int virtq_packed_pop(struct virtq *q, struct virtq_chain *c);
void virtq_packed_push(struct virtq *q, const struct virtq_chain *c, u32 written);
void virtq_packed_push_hidden(struct virtq *q, const struct virtq_chain *c, u32 written);
void virtq_packed_show(struct virtq *q);
bool virtq_packed_interrupt(struct virtq *q);
bool virtq_packed_waiting(const struct virtq *q);
void virtq_packed_kicks_off(struct virtq *q);
bool virtq_packed_kicks_on(struct virtq *q);
