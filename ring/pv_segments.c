/* SPDX-License-Identifier: Apache-2.0 */
/* A request's addresses: checked and turned into host memory, page by page. */
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
		void *host;

		if (p->n == p->max)
			return ERR_TOOLONG;
		if (to_guest && gmem_check(r->mem, gpa, n, 1))
			return ERR_FAULT;
		host = gmem_tlb_ptr(r->mem, &r->tlb, gpa, n);
		if (!host)
			return ERR_FAULT;
		p->at[p->n++] = (struct piece){host, (u32)n};
		gpa += n;
		length -= n;
	}
	return 0;
}

int pv_ring_segments(struct pv_ring *r, const struct socle_request *request, bool to_guest,
		     struct piece *pieces, u32 max)
{
	struct pieces p = {pieces, 0, max};
	u64 bytes = (u64)request->nr_segments * sizeof(struct socle_segment), sum = 0;
	const struct socle_segment *list;
	int err;

	if (request->nr_segments == 0) {
		err = add(r, request->address, request->length, to_guest, &p);
		return err ? err : (int)p.n;
	}
	if (request->nr_segments > SOCLE_RING_SEGMENTS)
		return ERR_TOOLONG;
	if (!IS_ALIGNED(request->address, sizeof(*list)))
		return ERR_INVAL;
	if (request->address % PAGE_SIZE + bytes > PAGE_SIZE)
		return ERR_INVAL;
	list = gmem_tlb_ptr(r->mem, &r->tlb, request->address, bytes);
	if (!list)
		return ERR_FAULT;
	for (u32 i = 0; i < request->nr_segments; i++) {
		/* Each word once. */
		u64 address = __atomic_load_n(&list[i].address, __ATOMIC_RELAXED);
		u32 length = __atomic_load_n(&list[i].length, __ATOMIC_RELAXED);

		sum += length;
		if (sum > request->length)
			return ERR_INVAL;
		err = add(r, address, length, to_guest, &p);
		if (err)
			return err;
	}
	return sum == request->length ? (int)p.n : ERR_INVAL;
}
