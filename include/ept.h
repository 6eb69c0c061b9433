/* SPDX-License-Identifier: Apache-2.0 */
/* Second-level paging, EPT = extended page tables (owner: ept/), SDM volume 3, 29.3 "The extended
 * page-table mechanism". The table memory comes from page_alloc_zeroed(); mapped frames belong to
 * the caller.
 *
 * Any CPU may call anything at any time, except ept_init() and ept_destroy(). Changes take the
 * lock, lookups do not. What a change took away may still be used by a CPU until it has noticed:
 * a vCPU reads flush_gen before it enters the guest; where that is not the value of its last
 * ept_invalidate() on this CPU, it invalidates and remembers the value it had read. So whoever
 * unmaps a frame may reuse it only when every vCPU remembers a generation that is not older than
 * flush_gen after the unmap. The same holds for table pages that became empty: they wait on a list
 * for ept_reclaim(). */
#pragma once

#include "spinlock.h"
#include "types.h"

#define EPT_R 1u
#define EPT_W 2u
#define EPT_X 4u
#define EPT_RWX (EPT_R | EPT_W | EPT_X)

/* Guest-physical addresses that 4 levels translate. */
#define EPT_GPA_BITS 48

/* SDM 29.3.7: memory types in a leaf entry. */
enum ept_memtype { EPT_UC = 0, EPT_WC = 1, EPT_WT = 4, EPT_WP = 5, EPT_WB = 6 };

struct ept_options {
	bool pages_1g; /* 1 GiB leaves may be used */
	bool pages_2m;
	bool accessed_dirty; /* hardware sets A and D, EPTP bit 6 */
};

struct ept {
	hpa_t root;
	u64 eptp; /* value for the VMCS */
	struct ept_options opt;
	u64 table_pages;        /* pages used for tables, root and those on the list below included */
	volatile u64 flush_gen; /* incremented when a CPU that cached older entries must INVEPT */
	struct spinlock lock;   /* taken by everything that changes an entry */
	hpa_t retired;          /* tables that were unlinked and may still be walked, newest first */
	/* Called under the lock after flush_gen was incremented; NULL: nobody to tell. It may only mark
	 * and kick, not wait. Set after ept_init(). */
	void (*flush_needed)(void *opaque);
	void *flush_opaque;
};

struct ept_leaf {
	hpa_t hpa; /* frame base of the leaf */
	u64 size;  /* 4 KiB, 2 MiB or 1 GiB */
	u32 perms; /* EPT_R.. */
	u32 memtype;
	bool accessed, dirty;
};

int ept_init(struct ept *e, const struct ept_options *opt); /* ERR_NOMEM */
void ept_destroy(struct ept *e);                            /* no CPU may use it any more */

/* Maps [gpa, gpa+size) to [hpa, ...) with the largest leaves that alignment and options allow.
 * All three multiples of 4096. An existing mapping in the range is replaced (large leaves are
 * split), tables that become empty are freed, leaves that could merge are not. ERR_NOMEM leaves the
 * range partly mapped. ERR_INVAL: alignment, or permissions that hardware refuses (W without R, X
 * alone); ERR_RANGE: beyond EPT_GPA_BITS. perms 0 keeps the frame known to ept_lookup() while
 * every access of the guest is an EPT violation. */
int ept_map(struct ept *e, gpa_t gpa, hpa_t hpa, u64 size, u32 perms, enum ept_memtype type);
/* ERR_NOMEM where a large leaf had to be split; the range is then partly unmapped. */
int ept_unmap(struct ept *e, gpa_t gpa, u64 size);
/* Changes permissions of what is mapped in the range; holes stay holes. */
int ept_protect(struct ept *e, gpa_t gpa, u64 size, u32 perms);
/* Joins 512 leaves into one of the given size (2 MiB or 1 GiB) where frames are contiguous and
 * attributes equal; true when it did. The new leaf counts as accessed and dirty. */
bool ept_merge(struct ept *e, gpa_t gpa, u64 size);

/* The leaf that maps gpa. 0, or ERR_NOENT. */
int ept_lookup(const struct ept *e, gpa_t gpa, struct ept_leaf *out);
/* Calls fn for each leaf in address order. */
void ept_for_each(const struct ept *e, void (*fn)(void *opaque, gpa_t gpa, const struct ept_leaf *),
		  void *opaque);
/* Reads and clears the accessed (and dirty) bits of the leaf; false when not mapped or not accessed.
 * Clearing the dirty bit asks for a flush, for a CPU would not set it again while it has the
 * translation cached; clearing the accessed bit alone does not (ept_request_flush() after a scan
 * where that matters). dirty may be NULL: then the dirty bit stays as it is. */
bool ept_test_clear_accessed(struct ept *e, gpa_t gpa, bool *dirty);

/* Increments flush_gen. The caller kicks the CPUs. */
void ept_request_flush(struct ept *e);
/* This CPU forgets all translations of this EPT (INVEPT single-context, SDM volume 3, 31.3). */
void ept_invalidate(const struct ept *e);
/* Frees the unlinked tables that nobody can walk any more: every vCPU remembers a generation >= seen. */
void ept_reclaim(struct ept *e, u64 seen);
