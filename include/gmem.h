/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory (owner: ept/): the only way to touch it. Guest RAM is a few slots of guest-physical
 * addresses, populated on first touch; the EPT is the one record of which frame stands where.
 * Everything here checks its range and returns ERR_FAULT outside RAM; nothing is read twice. Any
 * CPU may call anything at any time, except gmem_init(), gmem_add_slot() and gmem_destroy(). */
#pragma once

#include "ept.h"
#include "lib.h"

#define GMEM_MAX_SLOTS 8
#define GMEM_READONLY 1u /* guest writes are faults (ROM) */
#define GMEM_PIN_BUCKETS 256
#define GMEM_PINNED_MAX 4096u /* pages of one VM that may be pinned at once */

struct gmem_slot {
	gpa_t base;
	u64 length; /* bytes, multiple of 4096 */
	u32 flags;
};

struct gmem {
	struct ept *ept;
	unsigned nr_slots;
	unsigned page_order; /* largest populate size: 0 = 4 KiB, 9 = 2 MiB, 18 = 1 GiB */
	struct gmem_slot slots[GMEM_MAX_SLOTS];
	u64 populated_pages; /* 4 KiB units */
	u64 limit_pages;     /* frames this guest may own; populate fails beyond it */
	u64 pinned_pages;    /* atomic; a page that is pinned twice counts twice */
	u64 pinned_limit;
	bool lent;                  /* see gmem_lend() */
	bool held;                  /* see gmem_hold() */
	u32 pins[GMEM_PIN_BUCKETS]; /* atomic; of the frames that share a bucket, see gmem_pin.c */
};

void gmem_init(struct gmem *m, struct ept *ept, unsigned page_order, u64 limit_pages);
/* ERR_INVAL: empty or not page aligned; ERR_RANGE: beyond EPT_GPA_BITS; ERR_EXIST: overlaps another
 * slot; ERR_NOMEM: too many. Slots are searched in the order in which they came: the largest first. */
int gmem_add_slot(struct gmem *m, gpa_t base, u64 length, u32 flags);
/* Frees every frame. The EPT must not be in use by any CPU. Waits for what is pinned: nobody may start I/O
 * any more. */
void gmem_destroy(struct gmem *m);
const struct gmem_slot *gmem_slot_of(const struct gmem *m, gpa_t gpa);

/* Makes the page at gpa present (largest size up to 2 MiB that fits slot, alignment and page_order, smaller
 * when memory is fragmented). No interrupt comes in. 0, ERR_FAULT (not RAM), ERR_NOMEM. */
int gmem_populate(struct gmem *m, gpa_t gpa);
/* The same for an EPT violation; access as in bits 2:0 of its exit qualification (EPT_R | EPT_W |
 * EPT_X). 0: the guest may try again. ERR_FAULT: not RAM, or a write to ROM. ERR_NOMEM. What takes long is
 * done in pieces, with the function of gmem_on_wait() in between: the caller holds no lock. */
int gmem_fault(struct gmem *m, gpa_t gpa, u32 access);
/* Once: what lets others run, or handles interrupts at least. */
void gmem_on_wait(void (*fn)(void));
/* The next access of the guest to this 4 KiB page is an EPT violation, which gmem_fault() resolves
 * with the same frame and contents; nothing where none is. Asks for a flush. 0, ERR_FAULT (not RAM),
 * ERR_NOMEM, ERR_AGAIN (pinned, or another CPU hides one). */
int gmem_hide(struct gmem *m, gpa_t gpa);

/* Copies; the range may cross pages and slots. Nothing is copied when any byte is outside RAM
 * (ERR_FAULT); ERR_NOMEM may leave a part done. A page never touched reads as zeros and stays
 * unpopulated. gmem_write and gmem_set ignore GMEM_READONLY (loaders); gmem_dma_write does not
 * (devices, emulated stores of the guest): ERR_FAULT. */
int gmem_read(struct gmem *m, gpa_t gpa, void *dst, size_t n);
int gmem_write(struct gmem *m, gpa_t gpa, const void *src, size_t n);
int gmem_dma_write(struct gmem *m, gpa_t gpa, const void *src, size_t n);
int gmem_set(struct gmem *m, gpa_t gpa, u8 byte, size_t n);

/* Whether a guest may have n bytes written for it at gpa: 0, ERR_INVAL (not a multiple of align, a power of
 * two), ERR_FAULT (crosses a page, or not in RAM that the guest may write itself). Slots stay, so the answer
 * does. */
int gmem_check(const struct gmem *m, gpa_t gpa, u64 n, u64 align);

/* A pointer to n bytes that lie within one 4 KiB page, or NULL. Valid until the frame is unmapped:
 * a vCPU may use it until its next VM entry. Populates. */
void *gmem_ptr(struct gmem *m, gpa_t gpa, size_t n);

/* A vCPU's memory of gmem_ptr() results: a few pages, forgotten when flush_gen changes. Only its
 * vCPU touches it. gmem_tlb_reset() before first use. */
#define GMEM_TLB_ENTRIES 16
#define GMEM_TLB_LARGE 4 /* pages of 2 MiB, or parts of larger ones: looked at before the tables are */
#define GMEM_LARGE ((u64)2 << 20)
struct gmem_tlb {
	u64 gen;
	struct gmem_tlb_entry {
		gpa_t page; /* page base; of an empty one a page that does not belong there */
		u8 *host;
	} entry[GMEM_TLB_ENTRIES], large[GMEM_TLB_LARGE];
	/* Bit n: the guest may write itself where entry n is; 0 where nobody has asked. Behind them those of
	 * large[]. */
	u32 writable;
};
#define GMEM_TLB_LARGE_BIT(gpa) ((u32)BIT(GMEM_TLB_ENTRIES + (gpa) / GMEM_LARGE % GMEM_TLB_LARGE))

void gmem_tlb_reset(struct gmem_tlb *t);
void *gmem_tlb_fill(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n); /* the slow half */

/* As gmem_ptr(). The XOR is the offset into the page exactly when the entry is the page's own, and
 * a huge number otherwise, so that one comparison checks the entry and the end of the page. */
static inline void *gmem_tlb_ptr(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n)
{
	struct gmem_tlb_entry *slot = &t->entry[(gpa >> PAGE_SHIFT) % GMEM_TLB_ENTRIES];
	u64 offset = gpa ^ slot->page;

	if (likely(n - 1 < PAGE_SIZE && offset <= PAGE_SIZE - n &&
		   t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_ACQUIRE)))
		return slot->host + offset;
	return gmem_tlb_fill(m, t, gpa, n);
}

/* As gmem_tlb_ptr(), for the first of n bytes; how many of them lie there in one piece, to the end of a page
 * of whatever size. 0: NULL. */
static inline size_t gmem_tlb_span(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, u8 **host)
{
	const struct gmem_tlb_entry *large = &t->large[gpa / GMEM_LARGE % GMEM_TLB_LARGE];
	u64 offset = gpa ^ large->page;
	size_t part = MIN(n, PAGE_SIZE - gpa % PAGE_SIZE);

	if (likely(offset < GMEM_LARGE && t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_ACQUIRE))) {
		*host = large->host + offset;
		return MIN(n, GMEM_LARGE - offset);
	}
	*host = gmem_tlb_ptr(m, t, gpa, part);
	return *host ? part : 0;
}

/* The guest may write itself at gpa, where something was just found: so it may everywhere in that page, if it
 * is a large one, for a slot has whole ones. */
static inline void gmem_tlb_writable(struct gmem_tlb *t, gpa_t gpa)
{
	if ((gpa ^ t->large[gpa / GMEM_LARGE % GMEM_TLB_LARGE].page) < GMEM_LARGE)
		t->writable |= GMEM_TLB_LARGE_BIT(gpa);
}

/* ---- pages in flight: what a device, or another CPU, is going to read or write by a pointer ---- */
static inline u32 *gmem_pin_count(struct gmem *m, const void *host)
{
	return &m->pins[((u64)host >> PAGE_SHIFT) % GMEM_PIN_BUCKETS];
}

#define GMEM_FROZEN ((u32)BIT(31)) /* in a count: see gmem_pin.c */
/* The slow half of gmem_pin(): the page's place in the quota is taken. */
int gmem_pin_slowly(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, bool to_guest, void **host);

/* As gmem_tlb_ptr(), and the page keeps its frame until gmem_unpin() of the pointer, or of any other into
 * that page: what would take it away is refused, or waits. to_guest: it is going to be written. 0; ERR_FAULT:
 * not in RAM (that the guest may write), or across a page; ERR_AGAIN: the VM has pinned_limit pages pinned.
 * Takes no lock and does not allocate, but where the page has to be populated. */
static inline int gmem_pin(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, bool to_guest,
			   void **host)
{
	const struct gmem_tlb_entry *large = &t->large[gpa / GMEM_LARGE % GMEM_TLB_LARGE];
	u64 offset = gpa ^ large->page;
	u32 *count;

	if (unlikely(__atomic_add_fetch(&m->pinned_pages, 1, __ATOMIC_RELAXED) > m->pinned_limit)) {
		__atomic_fetch_sub(&m->pinned_pages, 1, __ATOMIC_RELAXED);
		return ERR_AGAIN;
	}
	if (unlikely(offset >= GMEM_LARGE || n - 1 >= PAGE_SIZE - gpa % PAGE_SIZE ||
		     (to_guest && !(t->writable & GMEM_TLB_LARGE_BIT(gpa)))))
		return gmem_pin_slowly(m, t, gpa, n, to_guest, host);
	*host = large->host + offset;
	count = gmem_pin_count(m, *host);
	if (likely(!(__atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST) & GMEM_FROZEN) &&
		   t->gen == __atomic_load_n(&m->ept->flush_gen, __ATOMIC_SEQ_CST)))
		return 0;
	__atomic_fetch_sub(count, 1, __ATOMIC_RELEASE);
	return gmem_pin_slowly(m, t, gpa, n, to_guest, host);
}

/* Release: what was done by the pointer is done. */
static inline void gmem_unpin(struct gmem *m, const void *host)
{
	__atomic_fetch_sub(gmem_pin_count(m, host), 1, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&m->pinned_pages, 1, __ATOMIC_RELEASE);
}
/* Before the page behind host leaves its place: nobody pins it until gmem_thaw(), who tries waits; so a few
 * instructions only, and the EPT's flush_gen changes in between. ERR_AGAIN: it is pinned, or a page that is
 * told apart no further. */
int gmem_freeze(struct gmem *m, const void *host);
void gmem_thaw(struct gmem *m, const void *host);

/* ---- a page for a page ---- */
/* From now on a CPU that is none of the VM's vCPUs uses pointers into its memory that it has not pinned (a
 * virtqueue, descriptors of an 82540EM, tables of an ATA disk): no page is exchanged any more. Any CPU. */
void gmem_lend(struct gmem *m);

/* A whole page, pinned by gmem_pin() once, by whoever names it. */
struct gmem_page {
	struct gmem *mem;
	gpa_t gpa; /* a multiple of 4096 */
	u8 *host;
	bool stays; /* it was this one that could not be exchanged */
};

/* The frames of two pages, of two VMs or of one, change places: each VM has the same number as before, and
 * both pages are still pinned, with their new frames (their host pointers change). Whatever pointers into
 * them other CPUs got without a pin are those of vCPUs, and the translations that CPUs have cached stay in
 * use, until guest_flush_seen() of either VM has reached flush_gen as it is afterwards: until then the old
 * owner may still write. Contents are as they were. ERR_AGAIN: one of them is pinned by others, too, lent or
 * held, not there as it was, or one that its guest may not write; ERR_NOMEM: for a table where a large page
 * has to be split. Then nothing has changed, and `stays` of the one that it is about says so: of the first,
 * where it is about both. */
int gmem_exchange(struct gmem_page *a, struct gmem_page *b);
/* While it is held no page of a VM changes places: ERR_AGAIN, for somebody who counts. */
void gmem_hold(struct gmem *m, bool hold);

/* Zeroes one page ahead of need, about 600 instructions; for a CPU that has nothing else to do.
 * False when enough are waiting or memory is short. They count as allocated until they are used. */
bool gmem_idle_zero(void);
/* Gives the waiting pages back to the allocator; the allocator calls it itself when it has none left.
 * True when there were any. */
bool gmem_idle_drain(void);
/* How many wait, or are about to. */
u64 gmem_idle_pages(void);
