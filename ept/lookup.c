/* SPDX-License-Identifier: Apache-2.0 */
/* Extended page tables (EPT): reads of the tables, all without the lock. */
#include "entry.h"

static struct ept_leaf leaf_decode(u64 v, unsigned level)
{
	return (struct ept_leaf){
	    .hpa = v & EPTE_ADDR,
	    .size = level_size(level),
	    .perms = (u32)(v & EPTE_RWX),
	    .memtype = (u32)((v & EPTE_TYPE) >> EPTE_TYPE_SHIFT),
	    .accessed = v & EPTE_ACCESSED,
	    .dirty = v & EPTE_DIRTY,
	};
}

int ept_lookup(const struct ept *e, gpa_t gpa, struct ept_leaf *out)
{
	struct epte_walk w;

	if (gpa >= BIT(EPT_GPA_BITS))
		return ERR_NOENT;
	w = epte_walk(e, gpa);
	if (!epte_is_leaf(w.value))
		return ERR_NOENT;
	*out = leaf_decode(w.value, w.level);
	return 0;
}

/* Each step looks up one address and goes on behind the leaf or the hole that it found. */
void ept_for_each(const struct ept *e, void (*fn)(void *opaque, gpa_t gpa, const struct ept_leaf *),
		  void *opaque)
{
	gpa_t gpa = 0;

	while (gpa < BIT(EPT_GPA_BITS)) {
		struct epte_walk w = epte_walk(e, gpa);

		if (epte_is_leaf(w.value)) {
			struct ept_leaf leaf = leaf_decode(w.value, w.level);

			fn(opaque, ALIGN_DOWN(gpa, leaf.size), &leaf);
		}
		gpa = ALIGN_DOWN(gpa, level_size(w.level)) + level_size(w.level);
	}
}
