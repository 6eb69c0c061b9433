/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of an extended page table (EPT), its bits and its place, SDM volume 3, tables 29-1 to
 * 29-7; private to ept/.
 *
 * Levels count from 1 (a leaf maps 4 KiB) to 4 (the root). An entry is nothing, a table (always
 * RWX, so that permissions are those of the leaf), or a leaf. Two bits that hardware ignores say
 * which: with them a walk needs one test a level, and a leaf without permissions, not present for
 * hardware, still knows its frame.
 *
 * Hardware walks the tables, and sets A and D in them with locked operations, while we change
 * them. Therefore:
 *  - an entry is one 64-bit store, and changes from a value that hardware may update by compare
 *    and exchange or by exchange, so that no A or D bit is lost unseen;
 *  - a table is filled before the entry that points to it is stored (x86 keeps stores in order; the
 *    release says it to the compiler);
 *  - a table that was unlinked stays readable, and all it then says is "not present" or what it
 *    said before, until every CPU has flushed (ept_reclaim). */
#pragma once

#include "ept.h"
#include "host.h"

#define EPT_LEVELS 4
#define EPT_ENTRIES 512u

#define EPTE_RWX ((u64)EPT_RWX)
#define EPTE_TYPE_SHIFT 3
#define EPTE_TYPE ((u64)7 << EPTE_TYPE_SHIFT)
#define EPTE_LARGE BIT(7)
#define EPTE_ACCESSED BIT(8)
#define EPTE_DIRTY BIT(9)
#define EPTE_TABLE BIT(11)
#define EPTE_LEAF BIT(52)
#define EPTE_ADDR 0x000ffffffffff000u

static inline unsigned level_shift(unsigned level)
{
	return PAGE_SHIFT + 9 * (level - 1);
}

static inline u64 level_size(unsigned level)
{
	return BIT(level_shift(level));
}

static inline u64 epte_load(const u64 *entry)
{
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

static inline bool epte_is_leaf(u64 v)
{
	return v & EPTE_LEAF;
}

static inline bool epte_is_table(u64 v)
{
	return v & EPTE_TABLE;
}

static inline u64 epte_table(hpa_t table)
{
	return table | EPTE_TABLE | EPTE_RWX;
}

static inline u64 epte_leaf(unsigned level, hpa_t hpa, u32 perms, enum ept_memtype type)
{
	return hpa | (u64)type << EPTE_TYPE_SHIFT | EPTE_LEAF | perms | (level > 1 ? EPTE_LARGE : 0);
}

static inline u64 *epte_at(u64 table, gpa_t gpa, unsigned level)
{
	u64 *entries = phys_to_virt(table & EPTE_ADDR);

	return &entries[(gpa >> level_shift(level)) % EPT_ENTRIES];
}

/* Where a walk ended: at a leaf, or at an entry that is nothing. */
struct epte_walk {
	u64 *entry;
	u64 value;
	unsigned level;
};

/* One level down; true when there is another. */
static inline bool epte_step(struct epte_walk *w, gpa_t gpa, unsigned level)
{
	w->level = level;
	w->entry = epte_at(w->value, gpa, level);
	w->value = epte_load(w->entry);
	return epte_is_table(w->value);
}

/* No lock: what the walk meets is explained above. gpa < 2^48. Written out because every EPT
 * violation and every access to guest memory comes here. */
static inline struct epte_walk epte_walk(const struct ept *e, gpa_t gpa)
{
	struct epte_walk w = {.value = e->root};

	if (epte_step(&w, gpa, 4) && epte_step(&w, gpa, 3) && epte_step(&w, gpa, 2))
		epte_step(&w, gpa, 1);
	return w;
}

/* An entry was changed that a CPU may have cached; the lock is held. */
void ept_changed(struct ept *e);

/* The entry of gpa at a level, with the tables above it made and large leaves in the way split.
 * The lock is held. NULL: no memory. */
u64 *epte_reach(struct ept *e, gpa_t gpa, unsigned level);
