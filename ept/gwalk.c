/* SPDX-License-Identifier: Apache-2.0 */
/* Guest walk: guest-linear to guest-physical by the guest's page tables. See gwalk.h. Sections
 * of SDM volume 3: 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level), 4.6 (rights), 4.7 (error
 * code), 4.8 (accessed and dirty). */
#include "gwalk.h"

#include "x86.h"

/* Walks that start anew because the guest changed an entry under us. */
#define RESTARTS 8
#define MAX_LEVELS 4

/* What a walk went through. */
struct walk {
	struct gmem *m;
	struct gmem_tlb *t;
	const struct gwalk_in *in;
	gva_t linear;
	u32 access;
	unsigned entry_size; /* 4 or 8 */
	unsigned n;          /* entries seen; the last one maps the page */
	struct {
		gpa_t gpa;
		void *ptr; /* NULL outside RAM */
		u64 value;
	} entry[MAX_LEVELS];
	u64 all; /* AND of them: U/S and R/W are rights only if set at each level */
	u64 any; /* OR of them: XD denies at any level */
};

static inline u64 keep_entry(struct walk *w, gpa_t gpa, void *ptr, u64 value)
{
	w->entry[w->n].gpa = gpa;
	w->entry[w->n].ptr = ptr;
	w->entry[w->n].value = value;
	w->n++;
	w->all &= value;
	w->any |= value;
	return value;
}

/* Reads the entry at gpa once. */
static inline u64 read_entry(struct walk *w, gpa_t gpa)
{
	u64 *p = gmem_tlb_ptr(w->m, w->t, gpa, sizeof(*p));

	return keep_entry(w, gpa, p, p ? __atomic_load_n(p, __ATOMIC_RELAXED) : ~(u64)0);
}

static u64 read_entry32(struct walk *w, gpa_t gpa)
{
	u32 *p = gmem_tlb_ptr(w->m, w->t, gpa, sizeof(*p));

	return keep_entry(w, gpa, p, p ? __atomic_load_n(p, __ATOMIC_RELAXED) : ~(u32)0);
}

static bool is_user(const struct walk *w)
{
	return w->in->cpl == 3 && !(w->access & GWALK_IMPLICIT);
}

static int page_fault(const struct walk *w, u64 flags, struct gwalk_out *out)
{
	const struct gwalk_in *in = w->in;
	bool nx = in->cr4 & CR4_PAE && in->efer & EFER_NXE;

	if (w->access & GWALK_WRITE)
		flags |= PF_W;
	if (is_user(w))
		flags |= PF_U;
	if (w->access & GWALK_FETCH && (nx || in->cr4 & CR4_SMEP))
		flags |= PF_I;
	out->error_code = (u32)flags;
	return ERR_FAULT;
}

/* Physical-address bits of an entry beyond the guest's processor. */
static u64 beyond_phys(const struct gwalk_in *in)
{
	return PTE_ADDR & ~(BIT(in->phys_bits) - 1);
}

/* Bits that must be 0 in every 8-byte entry: tables 4-8 to 4-11 (PAE), 4-15 to 4-20 (4-level). */
static u64 reserved_anywhere(const struct gwalk_in *in)
{
	u64 reserved = beyond_phys(in);

	if (!(in->efer & EFER_NXE))
		reserved |= PTE_NX;
	if (!(in->efer & EFER_LMA))
		reserved |= (u64)0x7ff << 52; /* ignored in 4-level paging */
	return reserved;
}

/* Whether an entry with PS is wrong: no pages of that size, or address bits below the page's base (PAT is
 * bit 12). */
static bool is_bad_large(const struct gwalk_in *in, unsigned level, u64 e)
{
	return level == 4 || (level == 3 && !in->pages_1g) ||
	       e & (BIT(PAGE_SHIFT + 9 * (level - 1)) - 1) & ~(u64)0x1fff;
}

/* 8-byte entries from the table at `table` down. */
static inline int walk_long(struct walk *w, gpa_t table, unsigned level, struct gwalk_out *out)
{
	u64 reserved = reserved_anywhere(w->in);

	for (;; level--) {
		unsigned shift = PAGE_SHIFT + 9 * (level - 1);
		u64 e = read_entry(w, table | (w->linear >> shift & 0x1ff) << 3);
		if (!(e & PTE_P))
			return page_fault(w, 0, out);
		if (e & reserved || (level > 1 && e & PTE_PS && is_bad_large(w->in, level, e)))
			return page_fault(w, PF_P | PF_RSVD, out);
		table = e & PTE_ADDR;
		if (level == 1 || e & PTE_PS) {
			u64 offset = BIT(shift) - 1;
			out->gpa = (table & ~offset) | (w->linear & offset);
			out->page_size = offset + 1;
			return 0;
		}
	}
}

/* 32-bit paging: tables 4-4 to 4-6. */
static int walk_32bit(struct walk *w, struct gwalk_out *out)
{
	const struct gwalk_in *in = w->in;
	u64 e = read_entry32(w, (in->cr3 & 0xfffff000u) | (w->linear >> 22 & 0x3ff) << 2);

	if (!(e & PTE_P))
		return page_fault(w, 0, out);
	if (e & PTE_PS && in->cr4 & CR4_PSE) {
		/* PSE-36: bits 20:13 are address bits 39:32 as far as the processor has them. */
		u64 high = (e >> 13 & 0xff) << 32;
		if (e & BIT(21) || high & beyond_phys(in))
			return page_fault(w, PF_P | PF_RSVD, out);
		out->gpa = (e & 0xffc00000u) | high | (w->linear & 0x3fffff);
		out->page_size = (u64)4 << 20;
		return 0;
	}
	e = read_entry32(w, (e & 0xfffff000u) | (w->linear >> 12 & 0x3ff) << 2);
	if (!(e & PTE_P))
		return page_fault(w, 0, out);
	out->gpa = (e & 0xfffff000u) | (w->linear & 0xfff);
	out->page_size = PAGE_SIZE;
	return 0;
}

/* 4.6.1: may the access be made, by what all entries together say? XD is a reserved bit without NXE. */
static bool is_allowed(const struct walk *w)
{
	const struct gwalk_in *in = w->in;
	bool user_page = w->all & PTE_U, fetch = w->access & GWALK_FETCH;

	if (fetch && w->entry_size == 8 && w->any & PTE_NX)
		return false;
	if (is_user(w))
		return user_page && (!(w->access & GWALK_WRITE) || w->all & PTE_W);
	if (user_page && fetch && in->cr4 & CR4_SMEP)
		return false;
	if (user_page && !fetch && in->cr4 & CR4_SMAP && (w->access & GWALK_IMPLICIT || !in->ac))
		return false;
	return !(w->access & GWALK_WRITE) || w->all & PTE_W || !(in->cr0 & CR0_WP);
}

static bool replace_entry(const struct walk *w, void *ptr, u64 old, u64 value)
{
	u32 old32 = (u32)old;

	if (w->entry_size == 4)
		return __atomic_compare_exchange_n((u32 *)ptr, &old32, (u32)value, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((u64 *)ptr, &old, value, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* Sets bits in one entry, if it is still what the walk saw. False: it is not. */
static bool mark_entry(struct walk *w, unsigned i, u64 bits)
{
	u64 value = w->entry[i].value;
	const struct gmem_slot *slot;

	if ((value & bits) == bits || !w->entry[i].ptr)
		return true;
	slot = gmem_slot_of(w->m, w->entry[i].gpa);
	if (!slot || slot->flags & GMEM_READONLY)
		return true; /* tables in ROM: the write goes nowhere */
	w->entry[i].value = value | bits;
	return replace_entry(w, w->entry[i].ptr, value, value | bits);
}

static bool mark_entries(struct walk *w)
{
	if (w->all & PTE_A && (!(w->access & GWALK_WRITE) || w->entry[w->n - 1].value & PTE_D))
		return true;
	for (unsigned i = 0; i < w->n; i++) {
		bool dirty = i == w->n - 1 && w->access & GWALK_WRITE;
		if (!mark_entry(w, i, dirty ? PTE_A | PTE_D : PTE_A))
			return false;
	}
	return true;
}

static int walk_once(struct walk *w, struct gwalk_out *out)
{
	const struct gwalk_in *in = w->in;

	w->n = 0;
	w->all = ~(u64)0;
	w->any = 0;
	if (in->efer & EFER_LMA)
		return walk_long(w, in->cr3 & PTE_ADDR, 4, out);
	if (in->cr4 & CR4_PAE) {
		u64 pdpte = in->pdpte[w->linear >> 30 & 3];
		if (!(pdpte & PTE_P))
			return page_fault(w, 0, out);
		return walk_long(w, pdpte & PTE_ADDR, 2, out);
	}
	return walk_32bit(w, out);
}

static inline void walk_init(struct walk *w, struct gmem *m, struct gmem_tlb *t, const struct gwalk_in *in,
			     gva_t linear, u32 access)
{
	w->m = m;
	w->t = t;
	w->in = in;
	w->linear = linear;
	w->access = access;
}

static int walk(struct walk *w, struct gwalk_out *out)
{
	const struct gwalk_in *in = w->in;

	if (!(in->cr0 & CR0_PG)) {
		out->gpa = w->linear & 0xffffffffu;
		out->page_size = (u64)1 << 32;
		return 0;
	}
	w->entry_size = in->cr4 & CR4_PAE ? 8 : 4;
	for (unsigned i = 0; i < RESTARTS; i++) {
		int err = walk_once(w, out);
		if (err)
			return err;
		if (!is_allowed(w))
			return page_fault(w, PF_P, out);
		if (mark_entries(w))
			return 0;
	}
	return ERR_AGAIN;
}

int gwalk(struct gmem *m, struct gmem_tlb *t, const struct gwalk_in *in, gva_t linear, u32 access,
	  struct gwalk_out *out)
{
	struct walk w;

	walk_init(&w, m, t, in, linear, access);
	return walk(&w, out);
}

/* The small fields of struct gwalk_in and the access in one word. */
static inline u64 memo_flags(const struct gwalk_in *in, u32 access)
{
	u32 small;

	_Static_assert(offsetof(struct gwalk_in, phys_bits) == offsetof(struct gwalk_in, cpl) + 3,
		       "one word");
	__builtin_memcpy(&small, &in->cpl, sizeof(small));
	return (u64)access << 32 | small;
}

/* Keeps an allowed walk of 4-level paging whose tables are in RAM. */
static void memo_fill(struct gwalk_memo *memo, const struct walk *w, u64 flush_gen,
		      const struct gwalk_out *out)
{
	memo->gpa = GWALK_EMPTY;
	for (unsigned i = 0; i < MAX_LEVELS; i++) {
		unsigned from = MIN(i, w->n - 1);
		if (!w->entry[from].ptr)
			return;
		memo->entry[i] = w->entry[from].ptr;
		memo->value[i] = w->entry[from].value;
	}
	memo->cr0 = w->in->cr0;
	memo->cr3 = w->in->cr3;
	memo->cr4 = w->in->cr4;
	memo->efer = w->in->efer;
	memo->flags = memo_flags(w->in, w->access);
	memo->page = ALIGN_DOWN(w->linear, PAGE_SIZE);
	memo->flush_gen = flush_gen;
	memo->page_size = out->page_size;
	memo->gpa = ALIGN_DOWN(out->gpa, PAGE_SIZE);
}

static __attribute__((noinline)) int cache_miss(struct gwalk_cache *cache, const struct gwalk_in *in,
						gva_t linear, u32 access, struct gwalk_out *out)
{
	struct walk w;
	/* Before the walk: what it finds is valid as long as nothing was unmapped since. */
	u64 flush_gen = __atomic_load_n(&cache->m->ept->flush_gen, __ATOMIC_ACQUIRE);
	int err;

	walk_init(&w, cache->m, cache->tlb, in, linear, access);
	err = walk(&w, out);
	if (!err && in->cr0 & CR0_PG && in->efer & EFER_LMA)
		memo_fill(&cache->memo[(linear >> PAGE_SHIFT) % GWALK_MEMOS], &w, flush_gen, out);
	return err;
}

static inline u64 entry_now(const u64 *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

int gwalk_cached(struct gwalk_cache *cache, const struct gwalk_in *in, gva_t linear, u32 access,
		 struct gwalk_out *out)
{
	const struct gwalk_memo *memo = &cache->memo[(linear >> PAGE_SHIFT) % GWALK_MEMOS];
	u64 in_page = linear ^ memo->page;

	/* flush_gen before the entries: it says that they are still there. */
	if (likely(
		in_page < PAGE_SIZE && memo->gpa != GWALK_EMPTY && memo->cr3 == in->cr3 &&
		memo->flags == memo_flags(in, access) && memo->cr0 == in->cr0 && memo->cr4 == in->cr4 &&
		memo->efer == in->efer &&
		memo->flush_gen == __atomic_load_n(&cache->m->ept->flush_gen, __ATOMIC_ACQUIRE) &&
		entry_now(memo->entry[0]) == memo->value[0] && entry_now(memo->entry[1]) == memo->value[1] &&
		entry_now(memo->entry[2]) == memo->value[2] && entry_now(memo->entry[3]) == memo->value[3])) {
		out->gpa = memo->gpa + in_page;
		out->page_size = memo->page_size;
		return 0;
	}
	return cache_miss(cache, in, linear, access, out);
}

void gwalk_cache_init(struct gwalk_cache *cache, struct gmem *m, struct gmem_tlb *tlb)
{
	*cache = (struct gwalk_cache){.m = m, .tlb = tlb};
	for (unsigned i = 0; i < GWALK_MEMOS; i++)
		cache->memo[i].gpa = GWALK_EMPTY;
}
