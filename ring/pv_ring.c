/* SPDX-License-Identifier: Apache-2.0 */
/* Socle's side of the ring: indices and ids. */
#include "pv_ring.h"

_Static_assert(sizeof(struct socle_ring) == 128, "ABI");
_Static_assert(sizeof(struct socle_request) == 32, "ABI");
_Static_assert(sizeof(struct socle_response) == 32, "ABI");
_Static_assert(sizeof(struct socle_segment) == 16, "ABI");

#define SLOT_SIZE 32

static void *reach(struct pv_ring *r, gpa_t gpa, size_t n)
{
	return gmem_tlb_ptr(r->mem, &r->tlb, gpa, n);
}

static struct socle_ring *header(struct pv_ring *r)
{
	return r->broken == SOCLE_RING_BROKEN_MEMORY ? NULL : reach(r, r->base, sizeof(struct socle_ring));
}

static void *slot(struct pv_ring *r, u32 index)
{
	/* Never across a page: base is a multiple of 128. */
	return reach(r, r->base + sizeof(struct socle_ring) + (index & (r->size - 1)) * (u64)SLOT_SIZE,
		     SLOT_SIZE);
}

static void set_broken(struct pv_ring *r, u32 why)
{
	struct socle_ring *h = header(r);

	r->broken = why;
	if (h)
		__atomic_store_n(&h->broken, why, __ATOMIC_RELEASE);
}

int pv_ring_init(struct pv_ring *r, struct gmem *mem, gpa_t base, u32 size)
{
	u64 end = base + sizeof(struct socle_ring) + (u64)size * SLOT_SIZE;

	if (size == 0 || size > SOCLE_RING_MAX || size & (size - 1) || !IS_ALIGNED(base, 128) || end < base)
		return ERR_INVAL;
	for (gpa_t at = base; at < end; at = ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE) {
		if (gmem_check(mem, at, MIN(end - at, PAGE_SIZE - at % PAGE_SIZE), 128))
			return ERR_FAULT;
	}
	memset(r, 0, sizeof(*r));
	r->mem = mem;
	r->base = base;
	r->size = size;
	gmem_tlb_reset(&r->tlb);
	pv_ring_rest(r);
	return r->broken ? ERR_FAULT : 0;
}

/* Requests that the guest has shown and Socle has not read; 0 when it claims what cannot be. */
static u32 waiting(struct pv_ring *r, struct socle_ring *h)
{
	/* Acquire: the slots are read after the index that says that they are filled. */
	u32 n = __atomic_load_n(&h->request_producer, __ATOMIC_ACQUIRE) - r->request_consumer;

	/* Slots of requests that were read and not answered are not free; whether the guest has read the
	 * answers is its own affair. */
	if (n <= r->size - (r->request_consumer - r->response_producer))
		return n;
	set_broken(r, SOCLE_RING_BROKEN_PRODUCER);
	return 0;
}

int pv_ring_next(struct pv_ring *r, struct socle_request *request)
{
	struct socle_ring *h = r->broken ? NULL : header(r);
	void *from;

	if (!h || waiting(r, h) == 0)
		return 0;
	from = slot(r, r->request_consumer);
	if (!from) {
		set_broken(r, SOCLE_RING_BROKEN_MEMORY);
		return 0;
	}
	/* The only read: what follows looks at the copy, which the compiler may not replace by the original.
	 */
	memcpy(request, from, sizeof(*request));
	__asm__ volatile("" : : "r"(request) : "memory");
	if (request->id >= r->size || r->in_use[request->id / 64] & BIT(request->id % 64)) {
		set_broken(r, SOCLE_RING_BROKEN_ID);
		return 0;
	}
	r->in_use[request->id / 64] |= BIT(request->id % 64);
	r->request_consumer++;
	r->requests++;
	return 1;
}

int pv_ring_respond(struct pv_ring *r, u32 id, int status, u32 length)
{
	struct socle_response response = {.id = id, .status = status, .length = length};
	void *to;

	if (id >= r->size || !(r->in_use[id / 64] & BIT(id % 64)))
		return ERR_INVAL;
	if (r->broken)
		return ERR_FAULT;
	to = slot(r, r->response_producer);
	if (!to) {
		set_broken(r, SOCLE_RING_BROKEN_MEMORY);
		return ERR_FAULT;
	}
	memcpy(to, &response, sizeof(response));
	r->in_use[id / 64] &= ~BIT(id % 64);
	r->response_producer++;
	r->responses++;
	return 0;
}

bool pv_ring_publish(struct pv_ring *r)
{
	struct socle_ring *h = r->broken ? NULL : header(r);
	u32 before = r->response_published;

	if (!h || before == r->response_producer)
		return false;
	r->response_published = r->response_producer;
	/* Release: the slots before the index. The barrier: the index before the look at what the guest waits
	 * for, see socle_driver_arm(). */
	__atomic_store_n(&h->response_producer, r->response_producer, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!socle_ring_crossed(__atomic_load_n(&h->response_event, __ATOMIC_RELAXED), before,
				r->response_producer))
		return false;
	r->notifications++;
	return true;
}

bool pv_ring_rest(struct pv_ring *r)
{
	struct socle_ring *h = r->broken ? NULL : header(r);

	if (!h) {
		if (!r->broken)
			set_broken(r, SOCLE_RING_BROKEN_MEMORY);
		return false;
	}
	__atomic_store_n(&h->request_event, r->request_consumer + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return waiting(r, h) != 0;
}
