/* SPDX-License-Identifier: Apache-2.0 */
/* A request's addresses: checked, pinned and turned into host memory, page by page. */
#include "pv_ring.h"

struct pieces {
	struct piece *at;
	u32 n, max;
};

static int add(struct pv_ring *r, gpa_t gpa, u64 length, bool to_guest, struct pieces *p)
{
	if (length == 0)
		return ERR_INVAL;
	while (length) {
		u64 n = MIN(length, PAGE_SIZE - gpa % PAGE_SIZE);
		void *host = NULL;
		int rc;

		if (p->n == p->max)
			return ERR_TOOLONG;
		rc = gmem_pin(r->mem, &r->tlb, gpa, n, to_guest, &host);
		if (rc)
			return rc;
		p->at[p->n++] = (struct piece){host, (u32)n};
		gpa += n;
		length -= n;
	}
	return 0;
}

static int add_segments(struct pv_ring *r, const struct socle_request *request,
			const struct socle_segment *list, bool to_guest, struct pieces *p)
{
	u64 sum = 0;

	for (u32 i = 0; i < request->nr_segments; i++) {
		/* Each word once. */
		u64 address = __atomic_load_n(&list[i].address, __ATOMIC_RELAXED);
		u32 length = __atomic_load_n(&list[i].length, __ATOMIC_RELAXED);
		int rc;

		sum += length;
		if (sum > request->length)
			return ERR_INVAL;
		rc = add(r, address, length, to_guest, p);
		if (rc)
			return rc;
	}
	return sum == request->length ? 0 : ERR_INVAL;
}

/* The list stays where it is while it is read: perhaps on another CPU than any of the VM's. */
static int add_list(struct pv_ring *r, const struct socle_request *request, bool to_guest, struct pieces *p)
{
	u64 bytes = (u64)request->nr_segments * sizeof(struct socle_segment);
	void *list = NULL;
	int rc;

	if (request->nr_segments > SOCLE_RING_SEGMENTS)
		return ERR_TOOLONG;
	if (!IS_ALIGNED(request->address, sizeof(struct socle_segment)))
		return ERR_INVAL;
	if (request->address % PAGE_SIZE + bytes > PAGE_SIZE)
		return ERR_INVAL;
	rc = gmem_pin(r->mem, &r->tlb, request->address, bytes, false, &list);
	if (rc)
		return rc;
	rc = add_segments(r, request, list, to_guest, p);
	gmem_unpin(r->mem, list);
	return rc;
}

__attribute__((noinline)) static int segments(struct pv_ring *r, const struct socle_request *request,
					      bool to_guest, struct piece *pieces, u32 max)
{
	struct pieces p = {pieces, 0, max};
	int rc;

	if (request->nr_segments == 0)
		rc = add(r, request->address, request->length, to_guest, &p);
	else
		rc = add_list(r, request, to_guest, &p);
	if (rc == 0)
		return (int)p.n;
	pv_ring_unpin(r, pieces, p.n);
	return rc;
}

int pv_ring_segments(struct pv_ring *r, const struct socle_request *request, bool to_guest,
		     struct piece *pieces, u32 max)
{
	u64 length = request->length;
	int rc;

	if (request->nr_segments || length - 1 >= PAGE_SIZE - request->address % PAGE_SIZE || max == 0)
		return segments(r, request, to_guest, pieces, max);
	/* What is usual: all in one page. */
	rc = gmem_pin(r->mem, &r->tlb, request->address, length, to_guest, (void **)&pieces->base);
	pieces->length = (u32)length;
	return rc ? rc : 1;
}
