/* SPDX-License-Identifier: Apache-2.0 */
/* Socle's side of the ring: indices and ids. */
#include "pv_ring.h"

_Static_assert(sizeof(struct socle_ring) == 128, "ABI");
_Static_assert(sizeof(struct socle_request) == 32, "ABI");
_Static_assert(sizeof(struct socle_response) == 32, "ABI");
_Static_assert(offsetof(struct socle_response, status) == 4 && offsetof(struct socle_response, length) == 8,
	       "see pv_ring_respond()");
_Static_assert(sizeof(struct socle_segment) == 16, "ABI");

static void *reach(const struct pv_ring *r, u32 at)
{
	at += r->offset;
	return r->page[at / PAGE_SIZE] + at % PAGE_SIZE;
}

static struct socle_ring *header(const struct pv_ring *r)
{
	return reach(r, 0);
}

static void set_broken(struct pv_ring *r, u32 why)
{
	r->broken = why;
	r->request_seen = r->request_consumer;
	__atomic_store_n(&header(r)->broken, why, __ATOMIC_RELEASE);
}

int pv_ring_init(struct pv_ring *r, struct gmem *mem, gpa_t base, u64 size)
{
	unsigned n = 0;
	u64 end;

	if (size == 0 || size > SOCLE_RING_MAX || size & (size - 1) || !IS_ALIGNED(base, 128))
		return ERR_INVAL;
	end = base + sizeof(struct socle_ring) + size * PV_SLOT_SIZE;
	if (end < base)
		return ERR_INVAL;
	memset(r, 0, sizeof(*r));
	r->mem = mem;
	r->offset = base % PAGE_SIZE;
	r->first = r->offset + (u32)sizeof(struct socle_ring);
	r->size = (u32)size;
	r->mask = r->size - 1;
	gmem_tlb_reset(&r->tlb);
	for (gpa_t at = ALIGN_DOWN(base, PAGE_SIZE); at < end; at += PAGE_SIZE) {
		void *host = NULL;
		int rc = gmem_pin(mem, &r->tlb, at, PAGE_SIZE, true, &host);

		if (rc) {
			pv_ring_fini(r);
			return rc;
		}
		r->page[n++] = host;
	}
	pv_ring_rest(r);
	return 0;
}

void pv_ring_fini(struct pv_ring *r)
{
	for (unsigned i = 0; i < PV_RING_PAGES; i++)
		if (r->page[i])
			gmem_unpin(r->mem, r->page[i]);
	memset(r->page, 0, sizeof(r->page));
}

u32 pv_ring_waiting(struct pv_ring *r)
{
	u32 n, producer;

	if (r->broken)
		return 0;
	/* Acquire: the slots are read after the index that says that they are filled. */
	producer = __atomic_load_n(&header(r)->request_producer, __ATOMIC_ACQUIRE);
	n = producer - r->request_consumer;
	/* Slots of requests that were read and not answered are not free; whether the guest has read the
	 * answers is its own affair. */
	if (n <= r->size - (r->request_consumer - r->response_producer)) {
		r->request_seen = producer;
		return n;
	}
	set_broken(r, SOCLE_RING_BROKEN_PRODUCER);
	return 0;
}

void pv_ring_bad_id(struct pv_ring *r)
{
	set_broken(r, SOCLE_RING_BROKEN_ID);
}

bool pv_ring_publish(struct pv_ring *r)
{
	struct socle_ring *h = header(r);
	u32 before = r->response_published;

	if (r->broken || before == r->response_producer)
		return false;
	r->response_published = r->response_producer;
	/* Release: the slots before the index. The barrier: the index before the look at what the guest waits
	 * for, see socle_driver_arm(). */
	__atomic_store_n(&h->response_producer, r->response_producer, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!socle_ring_crossed(__atomic_load_n(&h->response_event, __ATOMIC_RELAXED), before,
				r->response_producer)) {
		r->suppressed++;
		return false;
	}
	r->notifications++;
	return true;
}

bool pv_ring_rest(struct pv_ring *r)
{
	if (r->broken)
		return false;
	__atomic_store_n(&header(r)->request_event, r->request_consumer + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return pv_ring_waiting(r) != 0;
}

/* An index that the producer has passed; see socle_ring_crossed(). */
void pv_ring_hush(struct pv_ring *r)
{
	__atomic_store_n(&header(r)->request_event, r->request_consumer, __ATOMIC_RELAXED);
}
