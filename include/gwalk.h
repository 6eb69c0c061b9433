/* SPDX-License-Identifier: Apache-2.0 */
/* Guest walk (owner: ept/): guest-linear to guest-physical addresses by the guest's own page tables, as
 * its processor would do it: SDM volume 3, chapter 4. No paging, 32-bit (PSE, PSE-36), PAE, 4-level;
 * CR0.WP, EFER.NXE, SMEP, SMAP, reserved bits, accessed and dirty bits. 5-level paging, protection
 * keys and shadow stacks are not offered to guests and are unknown here. */
#pragma once

#include "gmem.h"

/* The access; bits. None: a data read. */
#define GWALK_WRITE 1u
#define GWALK_FETCH 2u
#define GWALK_IMPLICIT 4u /* supervisor access by the processor itself: SMAP ignores RFLAGS.AC */

/* The state that a walk depends on. */
struct gwalk_in {
	u64 cr0, cr3, cr4, efer;
	u64 pdpte[4]; /* PAE without long mode: the VMCS's, not what memory holds now */
	/* These four are compared as one word. */
	u8 cpl;
	bool ac;       /* RFLAGS.AC */
	bool pages_1g; /* the guest's CPUID offers 1 GiB pages */
	u8 phys_bits;  /* its MAXPHYADDR, 32..52 */
};

struct gwalk_out {
	gpa_t gpa;
	u64 page_size;  /* of the guest's mapping: 4 KiB .. 1 GiB; 4 GiB without paging */
	u32 error_code; /* of the #PF when the walk returned ERR_FAULT; CR2 is the linear address */
};

/* With 48-bit linear addresses (SDM volume 1, 3.3.7.1). */
static inline bool is_canonical(u64 linear)
{
	return (u64)((i64)(linear << 16) >> 16) == linear;
}

/* Translates one address, which is canonical or 32 bits wide (segmentation has seen to that), and sets
 * accessed and dirty bits where the access is allowed. 0; ERR_FAULT: inject #PF; ERR_AGAIN: the guest
 * keeps changing the entries, let it run and try again. Page tables outside RAM read as all-ones. */
int gwalk(struct gmem *m, struct gmem_tlb *t, const struct gwalk_in *in, gva_t linear, u32 access,
	  struct gwalk_out *out);

#define GWALK_EMPTY BIT(63) /* no page starts there */

/* A vCPU's memory of walks of 4-level paging, with the entries they went through. A walk is used again
 * while each of them, read anew, still holds the same: nothing that the guest does can make it stale,
 * and no invalidation is needed. */
#define GWALK_MEMOS 4
struct gwalk_cache {
	struct gmem *m;
	struct gmem_tlb *tlb;
	struct gwalk_memo {
		u64 cr0, cr3, cr4, efer;
		u64 flags;  /* cpl, ac, pages_1g, phys_bits, access */
		gva_t page; /* linear address of the 4 KiB page */
		u64 flush_gen;
		u64 *entry[4]; /* where each level's entry is, the last one repeated for large pages */
		u64 value[4];
		gpa_t gpa; /* of the 4 KiB page; GWALK_EMPTY: this memo holds nothing */
		u64 page_size;
	} memo[GWALK_MEMOS];
};

/* m and tlb must outlive it. */
void gwalk_cache_init(struct gwalk_cache *cache, struct gmem *m, struct gmem_tlb *tlb);
/* As gwalk(), a quarter of its price for a page seen before. */
int gwalk_cached(struct gwalk_cache *cache, const struct gwalk_in *in, gva_t linear, u32 access,
		 struct gwalk_out *out);

/* The short way for an address that the processor itself has just translated with 4-level paging under
 * this CR3, so that only "where", not "whether", is asked: the guest-physical address, or
 * GWALK_EMPTY when the cache does not hold the walk. */
static inline gpa_t gwalk_again(const struct gwalk_cache *cache, u64 cr3, gva_t linear)
{
	const struct gwalk_memo *memo = &cache->memo[(linear >> PAGE_SHIFT) % GWALK_MEMOS];
	u64 in_page = linear ^ memo->page;

	if (unlikely(in_page >= PAGE_SIZE || memo->cr3 != cr3 || memo->gpa == GWALK_EMPTY ||
		     memo->flush_gen != __atomic_load_n(&cache->m->ept->flush_gen, __ATOMIC_ACQUIRE)))
		return GWALK_EMPTY;
	for (unsigned i = 0; i < 4; i++)
		if (unlikely(__atomic_load_n(memo->entry[i], __ATOMIC_RELAXED) != memo->value[i]))
			return GWALK_EMPTY;
	return memo->gpa + in_page;
}
