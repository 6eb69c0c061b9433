/* SPDX-License-Identifier: Apache-2.0 */
/* A page for a page: the frames of two pages change places in their extended page tables. Both locks are
 * held, and the two frames are frozen (gmem_pin.c), so that nobody pins one by its old owner meanwhile. */
#include "entry.h"
#include "gmem.h"

void gmem_lend(struct gmem *m)
{
	/* With the lock: an exchange was before, and our look-ups see it, or it comes to nothing. */
	spin_lock(&m->ept->lock);
	m->lent = true;
	spin_unlock(&m->ept->lock);
}

void gmem_hold(struct gmem *m, bool hold)
{
	spin_lock(&m->ept->lock);
	m->held = hold;
	spin_unlock(&m->ept->lock);
}

static void lock_both(struct ept *a, struct ept *b)
{
	spin_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		spin_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct ept *a, struct ept *b)
{
	spin_unlock(&a->lock);
	if (a != b)
		spin_unlock(&b->lock);
}

/* The leaf of 4 KiB, made of a larger one where it has to be. ERR_AGAIN: it is not what was pinned, or the
 * guest may not write there. */
static int find(struct gmem_page *p, u64 **entry)
{
	struct ept *e = p->mem->ept;
	struct epte_walk w = epte_walk(e, p->gpa);
	hpa_t frame = (w.value & EPTE_ADDR) + (p->gpa & (level_size(w.level) - 1));

	if (p->mem->lent || p->mem->held || !epte_is_leaf(w.value) || (w.value & EPTE_RWX) != EPTE_RWX ||
	    phys_to_virt(frame) != (void *)p->host) {
		p->stays = true;
		return ERR_AGAIN;
	}
	*entry = w.level == 1 ? w.entry : epte_reach(e, p->gpa, 1);
	p->stays = !*entry;
	return *entry ? 0 : ERR_NOMEM;
}

/* The one pin becomes the freeze. */
static int freeze_own(struct gmem_page *p)
{
	u32 one = 1;

	p->stays = !__atomic_compare_exchange_n(gmem_pin_count(p->mem, p->host), &one, GMEM_FROZEN, false,
						__ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	return p->stays ? ERR_AGAIN : 0;
}

/* Others may have counted, and wait. */
static void thaw_own(const struct gmem_page *p)
{
	__atomic_fetch_sub(gmem_pin_count(p->mem, p->host), GMEM_FROZEN - 1, __ATOMIC_SEQ_CST);
}

/* Accessed and dirty: what is there is new. Hardware may set either of the old leaf's meanwhile. */
static void put(u64 *entry, hpa_t frame)
{
	u64 old = epte_load(entry), new;

	do {
		new = (old & ~EPTE_ADDR) | frame | EPTE_ACCESSED | EPTE_DIRTY;
	} while (!__atomic_compare_exchange_n(entry, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE));
}

/* Both are frozen, by different counts where both are of one VM. The pins of the new frames come first:
 * whoever sees a new entry finds them. */
static void swap(struct gmem_page *a, u64 *entry_a, struct gmem_page *b, u64 *entry_b)
{
	u8 *host_a = a->host, *host_b = b->host;

	__atomic_fetch_add(gmem_pin_count(a->mem, host_b), 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(gmem_pin_count(b->mem, host_a), 1, __ATOMIC_SEQ_CST);
	put(entry_a, virt_to_phys(host_b));
	put(entry_b, virt_to_phys(host_a));
	ept_changed(a->mem->ept);
	ept_changed(b->mem->ept);
	gmem_thaw(a->mem, host_a);
	gmem_thaw(b->mem, host_b);
	a->host = host_b;
	b->host = host_a;
}

int gmem_exchange(struct gmem_page *a, struct gmem_page *b)
{
	u64 *entry_a, *entry_b;
	int rc;

	lock_both(a->mem->ept, b->mem->ept);
	b->stays = false;
	rc = find(a, &entry_a);
	rc = rc ? rc : find(b, &entry_b);
	rc = rc ? rc : freeze_own(a);
	if (!rc) {
		rc = freeze_own(b);
		if (rc)
			thaw_own(a);
	}
	if (!rc)
		swap(a, entry_a, b, entry_b);
	unlock_both(a->mem->ept, b->mem->ept);
	return rc;
}
