/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: the hypervisor's own reads and writes of it. */
#include "entry.h"
#include "gmem.h"

/* The byte at gpa, which is RAM, if its page has a frame; the size of the page. */
static u8 *sized_find(const struct gmem *m, gpa_t gpa, u64 *size)
{
	struct epte_walk w = epte_walk(m->ept, gpa);

	if (!epte_is_leaf(w.value))
		return NULL;
	*size = level_size(w.level);
	return (u8 *)phys_to_virt(w.value & EPTE_ADDR) + (gpa & (*size - 1));
}

static u8 *byte_find(const struct gmem *m, gpa_t gpa)
{
	u64 size;

	return sized_find(m, gpa, &size);
}

static u8 *sized_ptr(struct gmem *m, gpa_t gpa, size_t n, u64 *size)
{
	u8 *p;

	/* Slots are whole pages, so the first byte answers for all. */
	if (n - 1 >= PAGE_SIZE - gpa % PAGE_SIZE || !gmem_slot_of(m, gpa))
		return NULL;
	p = sized_find(m, gpa, size);
	if (!p && gmem_populate(m, gpa) == 0)
		p = sized_find(m, gpa, size);
	return p;
}

void *gmem_ptr(struct gmem *m, gpa_t gpa, size_t n)
{
	u64 size;

	return sized_ptr(m, gpa, n, &size);
}

/* True when all n bytes are RAM that none of the flags forbids. */
static bool range_ok(const struct gmem *m, gpa_t gpa, size_t n, u32 forbidden)
{
	while (n) {
		const struct gmem_slot *s = gmem_slot_of(m, gpa);
		u64 rest;

		if (!s || s->flags & forbidden)
			return false;
		rest = s->base + s->length - gpa;
		if (n <= rest)
			break;
		n -= rest;
		gpa += rest;
	}
	return true;
}

/* How many of n bytes lie in the page of gpa. */
static size_t in_page(gpa_t gpa, size_t n)
{
	return MIN(n, PAGE_SIZE - gpa % PAGE_SIZE);
}

int gmem_read(struct gmem *m, gpa_t gpa, void *dst, size_t n)
{
	u8 *to = dst;

	if (!range_ok(m, gpa, n, 0))
		return ERR_FAULT;
	while (n) {
		size_t part = in_page(gpa, n);
		const u8 *from = byte_find(m, gpa);

		if (from)
			memcpy(to, from, part);
		else
			memset(to, 0, part);
		to += part;
		gpa += part;
		n -= part;
	}
	return 0;
}

static int copy_in(struct gmem *m, gpa_t gpa, const u8 *from, size_t n, u32 forbidden)
{
	if (!range_ok(m, gpa, n, forbidden))
		return ERR_FAULT;
	while (n) {
		size_t part = in_page(gpa, n);
		u8 *to = gmem_ptr(m, gpa, part);

		if (!to)
			return ERR_NOMEM;
		memcpy(to, from, part);
		from += part;
		gpa += part;
		n -= part;
	}
	return 0;
}

int gmem_write(struct gmem *m, gpa_t gpa, const void *src, size_t n)
{
	return copy_in(m, gpa, src, n, 0);
}

int gmem_dma_write(struct gmem *m, gpa_t gpa, const void *src, size_t n)
{
	return copy_in(m, gpa, src, n, GMEM_READONLY);
}

int gmem_set(struct gmem *m, gpa_t gpa, u8 byte, size_t n)
{
	if (!range_ok(m, gpa, n, 0))
		return ERR_FAULT;
	while (n) {
		size_t part = in_page(gpa, n);
		/* What was never touched is zero already. */
		u8 *to = byte ? gmem_ptr(m, gpa, part) : byte_find(m, gpa);

		if (!to && byte)
			return ERR_NOMEM;
		if (to)
			memset(to, byte, part);
		gpa += part;
		n -= part;
	}
	return 0;
}

void gmem_tlb_reset(struct gmem_tlb *t)
{
	t->gen = 0;
	t->writable = 0;
	/* A page of the next entry: what is looked for here is never it. */
	for (u64 i = 0; i < GMEM_TLB_ENTRIES; i++)
		t->entry[i].page = (i + 1) * PAGE_SIZE;
	for (u64 i = 0; i < GMEM_TLB_LARGE; i++)
		t->large[i].page = (i + 1) * GMEM_LARGE;
}

static inline void *tlb_enter(struct gmem_tlb *t, gpa_t gpa, u8 *p)
{
	struct gmem_tlb_entry *slot = &t->entry[(gpa >> PAGE_SHIFT) % GMEM_TLB_ENTRIES];

	slot->page = ALIGN_DOWN(gpa, PAGE_SIZE);
	slot->host = p - gpa % PAGE_SIZE;
	t->writable &= ~(u32)BIT((gpa >> PAGE_SHIFT) % GMEM_TLB_ENTRIES);
	return p;
}

/* The generation is read before the tables: a page unmapped meanwhile is forgotten at the next use. */
static void *tlb_walk(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, u64 gen)
{
	u64 size = 0;
	u8 *p = sized_ptr(m, gpa, n, &size);

	if (t->gen != gen) {
		gmem_tlb_reset(t);
		t->gen = gen;
	}
	if (!p)
		return NULL;
	if (size >= GMEM_LARGE) {
		t->large[gpa / GMEM_LARGE % GMEM_TLB_LARGE] =
		    (struct gmem_tlb_entry){ALIGN_DOWN(gpa, GMEM_LARGE), p - gpa % GMEM_LARGE};
		t->writable &= ~GMEM_TLB_LARGE_BIT(gpa);
	}
	return tlb_enter(t, gpa, p);
}

void *gmem_tlb_fill(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n)
{
	u64 gen = __atomic_load_n(&m->ept->flush_gen, __ATOMIC_ACQUIRE);
	const struct gmem_tlb_entry *large = &t->large[gpa / GMEM_LARGE % GMEM_TLB_LARGE];
	u64 offset = gpa ^ large->page;

	if (likely(offset < GMEM_LARGE && t->gen == gen && n - 1 < PAGE_SIZE - gpa % PAGE_SIZE))
		return tlb_enter(t, gpa, large->host + offset);
	return tlb_walk(m, t, gpa, n, gen);
}
