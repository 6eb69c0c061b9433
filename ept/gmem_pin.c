/* SPDX-License-Identifier: Apache-2.0 */
/* Pages in flight. A pin is a count of the page's frame, by host address: frames share GMEM_PIN_BUCKETS
 * counts, so that pinning is one atomic addition and needs no memory for each page. Frames that share a count
 * are only ever refused to move without need.
 *
 * Who pins looks up, counts, and looks whether the EPT has changed since: then it looks up again. Who changes
 * it sets FROZEN where the count is 0, changes the entry and flush_gen, and takes FROZEN away. So either the
 * count is there before the change begins, and it does not, or the new flush_gen is seen with the count. */
#include "gmem.h"
#include "spinlock.h"

#define FROZEN ((u32)BIT(31))
#define PIN_TRIES 64 /* each is lost to a change of the EPT on another CPU */

static u32 *pin_count(struct gmem *m, const void *host)
{
	return &m->pins[((u64)host >> PAGE_SHIFT) % GMEM_PIN_BUCKETS];
}

static void count_up(u32 *count)
{
	while (unlikely(__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST) & FROZEN)) {
		__atomic_fetch_sub(count, 1, __ATOMIC_RELAXED);
		while (__atomic_load_n(count, __ATOMIC_RELAXED) & FROZEN)
			cpu_relax();
	}
}

int gmem_pin(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, bool to_guest, void **host)
{
	int rc = ERR_AGAIN;

	if (to_guest && gmem_check(m, gpa, n, 1))
		return ERR_FAULT;
	if (__atomic_add_fetch(&m->pinned_pages, 1, __ATOMIC_RELAXED) > m->pinned_limit)
		goto fail;
	for (unsigned i = 0; i < PIN_TRIES; i++) {
		void *p = gmem_tlb_ptr(m, t, gpa, n);

		if (unlikely(!p)) {
			rc = ERR_FAULT;
			break;
		}
		count_up(pin_count(m, p));
		if (likely(t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_SEQ_CST))) {
			*host = p;
			return 0;
		}
		__atomic_fetch_sub(pin_count(m, p), 1, __ATOMIC_RELEASE);
	}
fail:
	__atomic_fetch_sub(&m->pinned_pages, 1, __ATOMIC_RELAXED);
	return rc;
}

/* Release: what was done by the pointer is done. */
void gmem_unpin(struct gmem *m, const void *host)
{
	__atomic_fetch_sub(pin_count(m, host), 1, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&m->pinned_pages, 1, __ATOMIC_RELEASE);
}

int gmem_freeze(struct gmem *m, const void *host)
{
	u32 none = 0;

	return __atomic_compare_exchange_n(pin_count(m, host), &none, FROZEN, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED)
		   ? 0
		   : ERR_AGAIN;
}

/* Who waits has counted, perhaps. */
void gmem_thaw(struct gmem *m, const void *host)
{
	__atomic_fetch_and(pin_count(m, host), ~FROZEN, __ATOMIC_SEQ_CST);
}
