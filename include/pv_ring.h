/* SPDX-License-Identifier: Apache-2.0 */
/* Socle's side of the ring of include/socle/ring.h (owner: ring/). The guest may write anything at any
 * moment: each of its words is read once, and what was read is checked. No function here locks: the ring's
 * owner calls one at a time. */
#pragma once

#include "block.h"
#include "gmem.h"
#include "socle/ring.h"

/* Pages that a ring may lie in. */
#define PV_RING_PAGES 3u

struct pv_ring {
	struct gmem *mem;
	u8 *page[PV_RING_PAGES]; /* in host memory, pinned */
	u32 offset;              /* of the header in the first */
	u32 first;               /* and of the first slot */
	u32 size, mask;          /* slots; less one */
	u32 request_consumer;
	u32 request_seen;            /* up to here the guest has shown requests, when last looked at */
	u32 response_producer;       /* the slots before it are filled */
	u32 response_published;      /* what the guest sees of that */
	u32 broken;                  /* SOCLE_RING_BROKEN_ */
	bool in_use[SOCLE_RING_MAX]; /* ids */
	struct gmem_tlb tlb;
	u64 requests, responses, notifications; /* meters */
	u64 suppressed;                         /* published, and the guest did not want to be told yet */
};

/* Begins with what the guest should have zeroed: the consumers are 0. Pins its pages. ERR_INVAL: size or
 * alignment; ERR_FAULT: not in RAM that the guest may write; ERR_AGAIN: too many pages pinned. */
int pv_ring_init(struct pv_ring *r, struct gmem *mem, gpa_t base, u64 size);
/* After pv_ring_init() has returned 0; requests that are on their way get no response. */
void pv_ring_fini(struct pv_ring *r);
/* Requests that the guest has shown and that were not read; 0 when the ring is broken, or breaks now. */
u32 pv_ring_waiting(struct pv_ring *r);

/* Where the data of the request is: up to max pieces, none across a page, all pinned until pv_ring_unpin().
 * to_guest: Socle is going to write there. The number of pieces; else nothing is pinned: ERR_FAULT: not in
 * RAM (that the guest may write); ERR_INVAL: lengths that do not add up, or 0; ERR_TOOLONG: more segments or
 * pieces than max; ERR_AGAIN: too many pages pinned. The segment list is read once. */
int pv_ring_segments(struct pv_ring *r, const struct socle_request *request, bool to_guest,
		     struct piece *pieces, u32 max);
static inline void pv_ring_unpin(struct pv_ring *r, const struct piece *pieces, u32 n)
{
	for (u32 i = 0; i < n; i++)
		gmem_unpin(r->mem, pieces[i].base);
}

#define PV_SLOT_SIZE 32

/* For the two sides of this file. Never across a page: offset is a multiple of 128. */
static inline void *pv_ring_slot(const struct pv_ring *r, u32 index)
{
	u32 at = r->first + (index & r->mask) * PV_SLOT_SIZE;

	return r->page[at / PAGE_SIZE] + at % PAGE_SIZE;
}

/* The next request: 1 and a copy, whose id is valid and in use from now on; 0: there is none, or the ring is
 * broken. The other fields are as the guest wrote them. */
void pv_ring_bad_id(struct pv_ring *r); /* the slow part of the next one */
static inline int pv_ring_next(struct pv_ring *r, struct socle_request *request)
{
	const volatile u64 *from;
	u64 *to = (u64 *)request;

	if (r->request_consumer == r->request_seen && pv_ring_waiting(r) == 0)
		return 0;
	/* Word by word: the one read of each; what follows looks at the copy. */
	from = pv_ring_slot(r, r->request_consumer);
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
	if (unlikely(request->id >= r->size || r->in_use[request->id])) {
		pv_ring_bad_id(r);
		return 0;
	}
	r->in_use[request->id] = true;
	r->request_consumer++;
	r->requests++;
	return 1;
}

/* Answers; the id is free then. The guest sees it after pv_ring_publish(). ERR_INVAL: the id is not in use;
 * ERR_FAULT: the ring is broken. */
static inline int pv_ring_respond_flags(struct pv_ring *r, u32 id, int status, u32 length, u32 flags)
{
	u64 *to;

	if (unlikely(id >= r->size || !r->in_use[id]))
		return ERR_INVAL;
	if (unlikely(r->broken))
		return ERR_FAULT;
	/* A struct socle_response. */
	to = pv_ring_slot(r, r->response_producer);
	to[0] = id | (u64)(u32)status << 32;
	to[1] = length | (u64)flags << 32;
	to[2] = to[3] = 0;
	r->in_use[id] = false;
	r->response_producer++;
	r->responses++;
	return 0;
}

static inline int pv_ring_respond(struct pv_ring *r, u32 id, int status, u32 length)
{
	return pv_ring_respond_flags(r, id, status, length, 0);
}

/* Shows the guest all answers. True: it wants to be notified. */
bool pv_ring_publish(struct pv_ring *r);

/* Before Socle stops looking at the ring: the guest notifies from now on. True: there is a request already.
 */
bool pv_ring_rest(struct pv_ring *r);
/* Who looks at the ring without being told asks the guest once not to notify, in place of pv_ring_rest(): it
 * does not in the next 2^32 requests. */
void pv_ring_hush(struct pv_ring *r);
