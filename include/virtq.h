/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues, the device's side (owner: ring/): split (virtio 1.2, 2.7) and packed (2.8), with indirect
 * descriptors and event indices. The driver is hostile: each word that it wrote is read once, checked, then
 * used; a chain has a budget of hops. Nothing here allocates, loops on what the driver says, or logs.
 *
 * One caller at a time: whoever owns the queue has a lock for it. In memory the queue belongs to the guest;
 * host pointers to it are kept, and fetched anew when ept.flush_gen has changed. Those that a chain gives are
 * good until the guest's frames are unmapped.
 *
 * Memory order: what the driver published with an index or a flag is read after that index or flag
 * (acquire); what the device wrote is visible before its index or flag is (release); and between publishing
 * one's own and reading the other side's wish to be told there is a full barrier, on both sides, so that one
 * of them sees the other (2.7.7, 2.7.10, 2.8.21). */
#pragma once

#include "gmem.h"
#include "piece.h"

/* Feature bits (virtio 1.2, chapter 6). */
#define VIRTIO_F_INDIRECT_DESC BIT(28)
#define VIRTIO_F_EVENT_IDX BIT(29)
#define VIRTIO_F_VERSION_1 BIT(32)
#define VIRTIO_F_RING_PACKED BIT(34)

#define VIRTQ_SIZE_MAX 256 /* descriptors */
/* The largest part of a queue, the descriptors, may begin anywhere in a page. */
#define VIRTQ_AREA_PAGES 2
/* Descriptors of a chain, in the ring and in an indirect table together. */
#define VIRTQ_HOPS_MAX 256
/* Bytes of a chain of which pages are looked up; no device promises to take more. */
#define VIRTQ_BYTES_MAX (4u << 20)

/* Bits of a descriptor's flags (2.7.5, 2.8.1). */
#define VIRTQ_DESC_NEXT 1u
#define VIRTQ_DESC_WRITE 2u /* by the device */
#define VIRTQ_DESC_INDIRECT 4u
#define VIRTQ_DESC_AVAIL 0x80u
#define VIRTQ_DESC_USED 0x8000u

/* What the driver tells before it enables a queue (4.1.4.3). */
struct virtq_setup {
	u16 size;                   /* descriptors; 1 to VIRTQ_SIZE_MAX, and where it is split a power of 2 */
	gpa_t desc, driver, device; /* the areas */
	u64 features;               /* of those above, what was negotiated */
};

/* A part of a queue in guest memory. */
struct virtq_area {
	gpa_t gpa;
	u32 length;
	bool written; /* by the device */
	u8 *base;     /* where it is in host memory, in one; NULL: it is not */
	u8 *page[VIRTQ_AREA_PAGES];
};

struct virtq {
	struct gmem *mem;
	struct gmem_tlb tlb;          /* of the buffers */
	const struct gmem_slot *slot; /* where the last buffer was */
	struct virtq_area desc, driver, device;
	u64 gen; /* of the areas' pages */
	u16 size;
	bool packed, event_idx, indirect;
	bool broken; /* the driver broke the rules: nothing is read or written any more, until it starts anew
		      */
	/* Split: free-running, so that each is an index when taken modulo size. Packed: 0 to size - 1. */
	u16 next_avail;             /* the next to be read */
	u16 seen;                   /* split: the driver's index when it was read last */
	u16 next_used;              /* the next to be written */
	bool avail_wrap, used_wrap; /* packed: the wrap counters of those two */
	u16 taken;                  /* packed: descriptors popped and not pushed */
	bool hides;                 /* packed: the first of those that are hidden is not stored yet */
	u16 hidden_at;              /* where it goes */
	u64 hidden;                 /* what it is */
	u32 since;                  /* used entries (packed: descriptors) since virtq_interrupt() was asked */
};

/* One chain of descriptors. */
struct virtq_chain {
	/* The caller's: where segments go, and for how many there is room. */
	struct piece *segments;
	u32 room;
	/* Of virtq_pop(). Segments that the device reads come first. They are as the driver cut them, but for
	 * page boundaries: neighbours in host memory are one, those of length 0 left out. */
	u32 nr_read, nr_write;
	u64 read_bytes, write_bytes;
	/* More segments than room, or bytes than VIRTQ_BYTES_MAX: those above are its first ones, the bytes
	 * all of them. */
	bool too_long;
	u32 left;  /* of VIRTQ_BYTES_MAX, while the chain is read; 0: too_long */
	u16 id;    /* what the driver knows it by */
	u16 descs; /* packed: how many descriptors of the ring it takes */
};

/* Begins with an empty queue. ERR_INVAL: size or alignment; ERR_FAULT: an area is not in RAM, or the device
 * may not write what it has to; ERR_NOMEM. Then the queue is broken. */
int virtq_start(struct virtq *q, struct gmem *m, const struct virtq_setup *s);

/* The next chain that is available. 1: there is one; 0: there is none; ERR_INVAL or ERR_FAULT: the driver
 * broke the rules, and the queue is broken: the index jumped, a descriptor is outside the ring, RAM or order,
 * a chain has no end. */
int virtq_pop(struct virtq *q, struct virtq_chain *c);
/* The next n bytes of those that the device may read, however the driver has cut them (2.7.4.2); there are as
 * many. */
void virtq_take(struct virtq_chain *c, void *to, u32 n);
/* Gives a chain back, in any order; written: how many bytes at the start of what the device may write were
 * written. */
void virtq_push(struct virtq *q, const struct virtq_chain *c, u32 written);
/* The same, but the driver sees none of those before virtq_show(): buffers of one frame (5.1.6.4). */
void virtq_push_hidden(struct virtq *q, const struct virtq_chain *c, u32 written);
void virtq_show(struct virtq *q);
/* Both of those, for n chains of which nothing was written, each so many bytes behind the one before. */
void virtq_push_read(struct virtq *q, const struct virtq_chain *c, size_t stride, u32 n);
/* After some pushes: whether the driver wants to be told of any of them. Once for the same pushes. */
bool virtq_interrupt(struct virtq *q);

/* Whether there is one, or the queue is found broken by the next pop. */
bool virtq_waiting(struct virtq *q);

/* Asks the driver not to tell of new chains; a hint. */
void virtq_kicks_off(struct virtq *q);
/* Asks it to tell of the next one. True: there is one already, of which it may not tell. */
bool virtq_kicks_on(struct virtq *q);

/* ---- index arithmetic ---- */
/* Split, 2.7.7.1 and 2.7.10.1: whether `event` is one of the indices old, old + 1, ... new - 1, all modulo
 * 65536; since = new - old, up to 65536. */
static inline bool virtq_split_passed(u16 event, u16 new, u32 since)
{
	return (u16)(new - event - 1) < since;
}

/* Packed, 2.8.10: whether the descriptor at offset bits 14:0 of event, in the round of wrap counter bit 15,
 * is one of the last `since`, up to size, before position `next` of the round of counter wrap. An offset that
 * is not in the ring counts as passed: the driver is told rather too often. */
static inline bool virtq_packed_passed(u16 event, u16 next, bool wrap, u16 size, u32 since)
{
	u32 offset = event & 0x7fffu, back = next;

	if (offset >= size)
		return since;
	if (wrap != event >> 15)
		back += size; /* it is of the round before */
	return back > offset && back - offset <= since;
}
