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

static void count_up(u32 *count)
{
	while (unlikely(__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST) & FROZEN)) {
		__atomic_fetch_sub(count, 1, __ATOMIC_RELAXED);
		while (__atomic_load_n(count, __ATOMIC_RELAXED) & FROZEN)
			cpu_relax();
	}
}

/* The page's place in the quota is taken. */
__attribute__((noinline)) static int pin_slowly(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n,
						bool to_guest, void **host)
{
	int rc = to_guest && gmem_check(m, gpa, n, 1) ? ERR_FAULT : 0;

	for (unsigned i = 0; i < PIN_TRIES && !rc; i++) {
		void *p = gmem_tlb_ptr(m, t, gpa, n);

		if (!p) {
			rc = ERR_FAULT;
			break;
		}
		count_up(gmem_pin_count(m, p));
		if (t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_SEQ_CST)) {
			t->writable |= (u32)to_guest << (gpa >> PAGE_SHIFT) % GMEM_TLB_ENTRIES;
			*host = p;
			return 0;
		}
		__atomic_fetch_sub(gmem_pin_count(m, p), 1, __ATOMIC_RELEASE);
	}
	__atomic_fetch_sub(&m->pinned_pages, 1, __ATOMIC_RELAXED);
	return rc ? rc : ERR_AGAIN;
}

/* The usual case calls nothing. */
int gmem_pin(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, bool to_guest, void **host)
{
	u32 i = (gpa >> PAGE_SHIFT) % GMEM_TLB_ENTRIES;
	const struct gmem_tlb_entry *e = &t->entry[i];
	u64 offset = gpa ^ e->page;

	if (unlikely(__atomic_add_fetch(&m->pinned_pages, 1, __ATOMIC_RELAXED) > m->pinned_limit)) {
		__atomic_fetch_sub(&m->pinned_pages, 1, __ATOMIC_RELAXED);
		return ERR_AGAIN;
	}
	if (likely(n - 1 < PAGE_SIZE && offset <= PAGE_SIZE - n && (!to_guest || t->writable >> i & 1))) {
		u32 *count = gmem_pin_count(m, e->host);

		if (likely(!(__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST) & FROZEN) &&
			   t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_SEQ_CST))) {
			*host = e->host + offset;
			return 0;
		}
		__atomic_fetch_sub(count, 1, __ATOMIC_RELEASE);
	}
	return pin_slowly(m, t, gpa, n, to_guest, host);
}

int gmem_freeze(struct gmem *m, const void *host)
{
	u32 none = 0;

	return __atomic_compare_exchange_n(gmem_pin_count(m, host), &none, FROZEN, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED)
		   ? 0
		   : ERR_AGAIN;
}

/* Who waits has counted, perhaps. */
void gmem_thaw(struct gmem *m, const void *host)
{
	__atomic_fetch_and(gmem_pin_count(m, host), ~FROZEN, __ATOMIC_SEQ_CST);
}
