/* SPDX-License-Identifier: Apache-2.0 */
/* Pages in flight. A pin is a count of the page's frame, by host address: frames share GMEM_PIN_BUCKETS
 * counts, so that pinning is one atomic addition and needs no memory for each page. Frames that share a count
 * are only ever refused to move without need.
 *
 * Who pins looks up, counts, and looks whether the EPT has changed since: then it looks up again. Who changes
 * it sets GMEM_FROZEN where the count is 0, changes the entry and flush_gen, and takes GMEM_FROZEN away. So
 * either the count is there before the change begins, and it does not, or the new flush_gen is seen with the
 * count. */
#include "gmem.h"
#include "spinlock.h"

#define PIN_TRIES 64 /* each is lost to a change of the EPT on another CPU */

static void count_up(u32 *count)
{
	while (unlikely(__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST) & GMEM_FROZEN)) {
		__atomic_fetch_sub(count, 1, __ATOMIC_RELAXED);
		while (__atomic_load_n(count, __ATOMIC_RELAXED) & GMEM_FROZEN)
			cpu_relax();
	}
}

/* A page that was pinned before. NULL: it is none. */
static inline void *pin_known(struct gmem *m, const struct gmem_tlb *t, gpa_t gpa, size_t n, bool to_guest)
{
	u32 i = (gpa >> PAGE_SHIFT) % GMEM_TLB_ENTRIES, *count;
	u64 offset = gpa ^ t->entry[i].page;
	u8 *p;

	if (n - 1 >= PAGE_SIZE || offset > PAGE_SIZE - n || (to_guest && !(t->writable >> i & 1)))
		return NULL;
	p = t->entry[i].host + offset;
	count = gmem_pin_count(m, p);
	if (likely(!(__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST) & GMEM_FROZEN) &&
		   t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_SEQ_CST)))
		return p;
	__atomic_fetch_sub(count, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void note_writable(struct gmem_tlb *t, gpa_t gpa)
{
	t->writable |= (u32)BIT((gpa >> PAGE_SHIFT) % GMEM_TLB_ENTRIES);
	gmem_tlb_writable(t, gpa);
}

/* The page's place in the quota is taken. */
int gmem_pin_slowly(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, bool to_guest, void **host)
{
	int rc;

	*host = pin_known(m, t, gpa, n, to_guest);
	if (likely(*host))
		return 0;
	rc = to_guest && gmem_check(m, gpa, n, 1) ? ERR_FAULT : 0;
	for (unsigned i = 0; i < PIN_TRIES && !rc; i++) {
		void *p = gmem_tlb_ptr(m, t, gpa, n);

		if (!p) {
			rc = ERR_FAULT;
			break;
		}
		count_up(gmem_pin_count(m, p));
		if (t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_SEQ_CST)) {
			if (to_guest)
				note_writable(t, gpa);
			*host = p;
			return 0;
		}
		__atomic_fetch_sub(gmem_pin_count(m, p), 1, __ATOMIC_RELEASE);
	}
	__atomic_fetch_sub(&m->pinned_pages, 1, __ATOMIC_RELAXED);
	return rc ? rc : ERR_AGAIN;
}

int gmem_freeze(struct gmem *m, const void *host)
{
	u32 none = 0;

	return __atomic_compare_exchange_n(gmem_pin_count(m, host), &none, GMEM_FROZEN, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
		   ? 0
		   : ERR_AGAIN;
}

/* Who waits has counted, perhaps. */
void gmem_thaw(struct gmem *m, const void *host)
{
	__atomic_fetch_and(gmem_pin_count(m, host), ~GMEM_FROZEN, __ATOMIC_SEQ_CST);
}
