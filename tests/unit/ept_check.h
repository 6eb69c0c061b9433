/* SPDX-License-Identifier: Apache-2.0 */
/* A checker for extended page tables, shared by the tests of ept/. */
#pragma once

#include "shim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ept/entry.h"

struct tally {
	u64 tables, leaves;
};

/* Counts what hangs below a table and checks what must hold for every entry. */
static inline void check_table(hpa_t table, unsigned level, struct tally *n, bool empty_allowed)
{
	const u64 *entries = phys_to_virt(table);
	unsigned used = 0;

	n->tables++;
	for (unsigned i = 0; i < EPT_ENTRIES; i++) {
		u64 v = entries[i];

		if (!v)
			continue;
		used++;
		if (epte_is_leaf(v)) {
			n->leaves++;
			assert_int_equal(!!(v & EPTE_LARGE), level > 1);
			assert_true(level <= 3);
			assert_true(IS_ALIGNED(v & EPTE_ADDR, level_size(level)));
			assert_true((v & EPTE_RWX) == 0 || (v & EPT_R));
		} else {
			assert_true(level > 1);
			assert_int_equal(v & ~EPTE_ADDR, EPTE_TABLE | EPTE_RWX);
			check_table(v & EPTE_ADDR, level - 1, n, empty_allowed);
		}
	}
	assert_true(used || empty_allowed || level == EPT_LEVELS);
}

static inline u64 retired_count(const struct ept *e)
{
	u64 n = 0;

	for (hpa_t t = e->retired; t != PAGE_NONE; t = *(u64 *)phys_to_virt(t))
		n++;
	return n;
}

/* No table is lost, none is counted twice. */
static inline void check_tables(const struct ept *e, bool empty_allowed)
{
	struct tally n = {0};

	check_table(e->root, EPT_LEVELS, &n, empty_allowed);
	assert_int_equal(n.tables + retired_count(e), e->table_pages);
	assert_int_equal(e->table_pages, shim_pages_in_use);
}
