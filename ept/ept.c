/* SPDX-License-Identifier: Apache-2.0 */
/* Extended page tables (EPT): everything that changes an entry. entry.h says in which order. */
#include "entry.h"

#define PERMS_VALID(p) ((p) <= EPT_RWX && (p) != EPT_W && (p) != EPT_X && (p) != (EPT_W | EPT_X))

/* What one call has done so far; ends in change_end(). */
struct change {
	struct ept *ept;
	u64 keep, set; /* for change_range(): new leaf = (old & keep) | set */
	bool stale;    /* a CPU may hold a translation, or a way to a table, that is gone */
};

static struct change change_begin(struct ept *e, u64 keep, u64 set)
{
	spin_lock(&e->lock);
	return (struct change){.ept = e, .keep = keep, .set = set};
}

void ept_changed(struct ept *e)
{
	/* After the entries, before the lock is released: who reads the new value sees the entries. */
	__atomic_store_n(&e->flush_gen, e->flush_gen + 1, __ATOMIC_SEQ_CST);
	if (e->flush_needed)
		e->flush_needed(e->flush_opaque);
}

static void change_end(struct change *c)
{
	if (c->stale)
		ept_changed(c->ept);
	spin_unlock(&c->ept->lock);
}

static hpa_t table_new(struct ept *e)
{
	hpa_t table = page_alloc_zeroed(0);

	if (table != PAGE_NONE)
		e->table_pages++;
	return table;
}

/* Puts an unlinked table and the tables below it on the list of ept_reclaim(). Its first two entries
 * become the link and the generation that makes it free; both read as "not present". */
static void table_retire(struct change *c, u64 entry)
{
	u64 *table = phys_to_virt(entry & EPTE_ADDR);

	for (unsigned i = 0; i < EPT_ENTRIES; i++) {
		if (epte_is_table(table[i]))
			table_retire(c, table[i]);
	}
	__atomic_store_n(&table[0], c->ept->retired, __ATOMIC_RELAXED);
	__atomic_store_n(&table[1], (c->ept->flush_gen + 1) << PAGE_SHIFT, __ATOMIC_RELAXED);
	c->ept->retired = entry & EPTE_ADDR;
	c->stale = true;
}

/* Looks from the entry after `gpa` on, because whoever frees one page at a time left the next. */
static bool table_is_empty(u64 entry, gpa_t gpa, unsigned level)
{
	const u64 *table = phys_to_virt(entry & EPTE_ADDR);
	unsigned first = (unsigned)(gpa >> level_shift(level)) + 1;

	for (unsigned i = 0; i < EPT_ENTRIES; i++) {
		if (table[(first + i) % EPT_ENTRIES])
			return false;
	}
	return true;
}

/* True when a CPU that cached the old leaf does something else than one that reads the new one.
 * Entries that hardware finds not present are not cached (SDM volume 3, 29.4.2); with more
 * permissions than cached an access faults once, and the fault drops the cached entry (29.4.3.1). */
static bool leaf_is_stale(u64 old, u64 new)
{
	if (!(old & EPTE_RWX))
		return false;
	return (old & EPTE_RWX & ~new) || ((old ^ new) & (EPTE_ADDR | EPTE_TYPE));
}

/* Replaces a large leaf by a table with the same meaning; cached translations stay true. When
 * hardware sets A or D meanwhile, the table is filled again. */
static bool leaf_split(struct ept *e, u64 *entry, unsigned level)
{
	hpa_t table = table_new(e);
	u64 *child, old = epte_load(entry);

	if (table == PAGE_NONE)
		return false;
	child = phys_to_virt(table);
	do {
		u64 leaf = level == 2 ? old & ~EPTE_LARGE : old;

		for (unsigned i = 0; i < EPT_ENTRIES; i++)
			child[i] = leaf + i * level_size(level - 1);
	} while (!__atomic_compare_exchange_n(entry, &old, epte_table(table), false, __ATOMIC_RELEASE,
					      __ATOMIC_ACQUIRE));
	return true;
}

u64 *epte_reach(struct ept *e, gpa_t gpa, unsigned level)
{
	u64 *entry = epte_at(e->root, gpa, EPT_LEVELS);

	for (unsigned l = EPT_LEVELS; l > level; l--) {
		u64 v = epte_load(entry);

		if (epte_is_leaf(v)) {
			if (!leaf_split(e, entry, l))
				return NULL;
		} else if (!epte_is_table(v)) {
			hpa_t table = table_new(e);

			if (table == PAGE_NONE)
				return NULL;
			__atomic_store_n(entry, epte_table(table), __ATOMIC_RELEASE);
		}
		entry = epte_at(*entry, gpa, l - 1);
	}
	return entry;
}

static void leaf_change(struct change *c, u64 *entry)
{
	u64 old = epte_load(entry), new;

	do {
		new = (old & c->keep) | c->set;
	} while (!__atomic_compare_exchange_n(entry, &old, new, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE));
	if (leaf_is_stale(old, new))
		c->stale = true;
}

/* Applies the change to all leaves in [gpa, end), which lies within one table of the level. */
static int change_range(struct change *c, u64 table, unsigned level, gpa_t gpa, gpa_t end)
{
	gpa_t next;

	for (; gpa < end; gpa = next) {
		u64 *entry = epte_at(table, gpa, level);
		int rc;

		next = MIN(ALIGN_DOWN(gpa, level_size(level)) + level_size(level), end);
		if (epte_is_leaf(*entry)) {
			if (next - gpa == level_size(level)) {
				leaf_change(c, entry);
				continue;
			}
			if (!leaf_split(c->ept, entry, level))
				return ERR_NOMEM;
		}
		if (!epte_is_table(*entry))
			continue;
		rc = change_range(c, *entry, level - 1, gpa, next);
		if (c->set == 0 && table_is_empty(*entry, next - 1, level - 1))
			table_retire(c, __atomic_exchange_n(entry, 0, __ATOMIC_SEQ_CST));
		if (rc)
			return rc;
	}
	return 0;
}

static int range_check(u64 gpa, u64 hpa, u64 size)
{
	if (!IS_ALIGNED(gpa | hpa | size, PAGE_SIZE))
		return ERR_INVAL;
	if (gpa >= BIT(EPT_GPA_BITS) || size > BIT(EPT_GPA_BITS) - gpa)
		return ERR_RANGE;
	return 0;
}

static unsigned best_level(const struct ept *e, u64 gpa_and_hpa, u64 size)
{
	if (e->opt.pages_1g && IS_ALIGNED(gpa_and_hpa, PAGE_SIZE_1G) && size >= PAGE_SIZE_1G)
		return 3;
	if (e->opt.pages_2m && IS_ALIGNED(gpa_and_hpa, PAGE_SIZE_2M) && size >= PAGE_SIZE_2M)
		return 2;
	return 1;
}

int ept_map(struct ept *e, gpa_t gpa, hpa_t hpa, u64 size, u32 perms, enum ept_memtype type)
{
	int rc = range_check(gpa, hpa, size);
	struct change c;

	if (rc)
		return rc;
	if (hpa > EPTE_ADDR || size > EPTE_ADDR + PAGE_SIZE - hpa)
		return ERR_RANGE;
	if (!PERMS_VALID(perms))
		return ERR_INVAL;
	c = change_begin(e, 0, 0);
	while (size) {
		unsigned level = best_level(e, gpa | hpa, size);
		u64 *entry = epte_reach(e, gpa, level);
		u64 old, new = epte_leaf(level, hpa, perms, type);

		if (!entry) {
			rc = ERR_NOMEM;
			break;
		}
		old = __atomic_exchange_n(entry, new, __ATOMIC_SEQ_CST);
		if (epte_is_table(old))
			table_retire(&c, old);
		else if (leaf_is_stale(old, new))
			c.stale = true;
		gpa += level_size(level);
		hpa += level_size(level);
		size -= level_size(level);
	}
	change_end(&c);
	return rc;
}

static int change_all(struct ept *e, gpa_t gpa, u64 size, u64 keep, u64 set)
{
	int rc = range_check(gpa, 0, size);
	struct change c;

	if (rc)
		return rc;
	c = change_begin(e, keep, set);
	rc = change_range(&c, e->root, EPT_LEVELS, gpa, gpa + size);
	change_end(&c);
	return rc;
}

int ept_unmap(struct ept *e, gpa_t gpa, u64 size)
{
	return change_all(e, gpa, size, 0, 0);
}

int ept_protect(struct ept *e, gpa_t gpa, u64 size, u32 perms)
{
	if (!PERMS_VALID(perms))
		return ERR_INVAL;
	return change_all(e, gpa, size, ~EPTE_RWX, EPTE_LEAF | perms);
}

/* The leaf that could stand for a whole table whose leaves are of the given level, or 0. */
static u64 table_as_leaf(u64 entry, unsigned level)
{
	const u64 *child = phys_to_virt(entry & EPTE_ADDR);
	u64 first = child[0] & ~(EPTE_ACCESSED | EPTE_DIRTY);

	if (!epte_is_leaf(first) || !IS_ALIGNED(first & EPTE_ADDR, level_size(level + 1)))
		return 0;
	for (unsigned i = 1; i < EPT_ENTRIES; i++) {
		if ((child[i] & ~(EPTE_ACCESSED | EPTE_DIRTY)) != first + i * level_size(level))
			return 0;
	}
	return first | EPTE_LARGE;
}

/* A CPU that still walks the old table may set D there after we looked, hence always A and D. */
bool ept_merge(struct ept *e, gpa_t gpa, u64 size)
{
	unsigned level = size == PAGE_SIZE_1G ? 3 : 2;
	u64 v = epte_table(e->root), leaf = 0, *entry = NULL;
	struct change c;

	if (size != level_size(level) || !IS_ALIGNED(gpa, size) || range_check(gpa, 0, size))
		return false;
	if (!(level == 3 ? e->opt.pages_1g : e->opt.pages_2m))
		return false;
	c = change_begin(e, 0, 0);
	for (unsigned l = EPT_LEVELS; l >= level && epte_is_table(v); l--) {
		entry = epte_at(v, gpa, l);
		v = epte_load(entry);
		if (l == level && epte_is_table(v))
			leaf = table_as_leaf(v, level - 1);
	}
	if (leaf) {
		__atomic_store_n(entry, leaf | EPTE_ACCESSED | EPTE_DIRTY, __ATOMIC_SEQ_CST);
		table_retire(&c, v);
	}
	change_end(&c);
	return leaf;
}

bool ept_test_clear_accessed(struct ept *e, gpa_t gpa, bool *dirty)
{
	u64 clear = EPTE_ACCESSED | (dirty ? EPTE_DIRTY : 0), old = 0;
	struct epte_walk w;
	struct change c;

	if (gpa >= BIT(EPT_GPA_BITS))
		return false;
	c = change_begin(e, 0, 0);
	w = epte_walk(e, gpa);
	if (epte_is_leaf(w.value))
		old = __atomic_fetch_and(w.entry, ~clear, __ATOMIC_SEQ_CST);
	c.stale = old & clear & EPTE_DIRTY;
	change_end(&c);
	if (dirty)
		*dirty = old & EPTE_DIRTY;
	return old & EPTE_ACCESSED;
}

void ept_request_flush(struct ept *e)
{
	spin_lock(&e->lock);
	ept_changed(e);
	spin_unlock(&e->lock);
}

void ept_reclaim(struct ept *e, u64 seen)
{
	hpa_t *link = &e->retired;

	spin_lock(&e->lock);
	while (*link != PAGE_NONE) {
		u64 *table = phys_to_virt(*link);
		hpa_t pa = *link;

		if (table[1] >> PAGE_SHIFT > seen) {
			link = &table[0];
			continue;
		}
		*link = table[0];
		page_free(pa, 0);
		e->table_pages--;
	}
	spin_unlock(&e->lock);
}

int ept_init(struct ept *e, const struct ept_options *opt)
{
	*e = (struct ept){.opt = *opt, .retired = PAGE_NONE};
	e->root = table_new(e);
	if (e->root == PAGE_NONE)
		return ERR_NOMEM;
	/* SDM volume 3, table 25-10: walk length 4, tables write-back, A and D in bit 6. */
	e->eptp = e->root | (opt->accessed_dirty ? BIT(6) : 0) | (EPT_LEVELS - 1) << 3 | EPT_WB;
	return 0;
}

void ept_destroy(struct ept *e)
{
	struct change c = {.ept = e};

	table_retire(&c, e->root);
	ept_reclaim(e, ~(u64)0);
}
