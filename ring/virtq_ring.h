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
	u64 at = a->gpa % PAGE_SIZE + offset;

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
void virtq_chain_begin(struct virtq_chain *c);
/* One buffer. ERR_INVAL: the device reads it after one that it writes; ERR_FAULT: not RAM, or ROM to be
 * written; ERR_NOMEM. */
int virtq_chain_add(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, bool write);
/* The buffers of an indirect table of len bytes; hops: what is left of the budget. */
int virtq_chain_table(struct virtq *q, struct virtq_chain *c, gpa_t gpa, u32 len, u32 hops);

/* ---- virtq_split.c, virtq_packed.c: as in the contract, for a queue that is not broken ---- */
int virtq_split_pop(struct virtq *q, struct virtq_chain *c);
void virtq_split_push(struct virtq *q, u16 id, u32 written);
void virtq_split_push_hidden(struct virtq *q, u16 id, u32 written);
void virtq_split_show(struct virtq *q);
bool virtq_split_interrupt(struct virtq *q);
void virtq_split_kicks_off(struct virtq *q);
bool virtq_split_kicks_on(struct virtq *q);
int virtq_packed_pop(struct virtq *q, struct virtq_chain *c);
void virtq_packed_push(struct virtq *q, const struct virtq_chain *c, u32 written);
void virtq_packed_push_hidden(struct virtq *q, const struct virtq_chain *c, u32 written);
void virtq_packed_show(struct virtq *q);
bool virtq_packed_interrupt(struct virtq *q);
void virtq_packed_kicks_off(struct virtq *q);
bool virtq_packed_kicks_on(struct virtq *q);
