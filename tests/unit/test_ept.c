/* SPDX-License-Identifier: Apache-2.0 */
/* Second-level paging: what each function promises, one property at a time (M43). test_ept_random.c has
 * the rest. */
#include "ept_check.h"

static const struct ept_options all_sizes = {.pages_1g = true, .pages_2m = true, .accessed_dirty = true};

static struct ept_leaf leaf_at(const struct ept *e, gpa_t gpa)
{
	struct ept_leaf leaf = {0};

	assert_int_equal(ept_lookup(e, gpa, &leaf), 0);
	return leaf;
}

static void test_init(void **state)
{
	struct ept e;

	(void)state;
	shim_fail_after = 0;
	assert_int_equal(ept_init(&e, &all_sizes), ERR_NOMEM);
	shim_fail_after = -1;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	assert_int_equal(e.eptp, e.root | 0x5e); /* A/D, 4 levels, write-back */
	assert_int_equal(ept_lookup(&e, 0, &(struct ept_leaf){0}), ERR_NOENT);
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

static void test_arguments(void **state)
{
	static const u32 bad_perms[] = {EPT_W, EPT_X, EPT_W | EPT_X, 8};
	struct ept e;

	(void)state;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	assert_int_equal(ept_map(&e, 0x800, 0, 0x1000, EPT_RWX, EPT_WB), ERR_INVAL);
	assert_int_equal(ept_map(&e, 0, 0x800, 0x1000, EPT_RWX, EPT_WB), ERR_INVAL);
	assert_int_equal(ept_map(&e, 0, 0, 0x1800, EPT_RWX, EPT_WB), ERR_INVAL);
	assert_int_equal(ept_map(&e, 1ull << 48, 0, 0x1000, EPT_RWX, EPT_WB), ERR_RANGE);
	assert_int_equal(ept_map(&e, (1ull << 48) - 0x1000, 0, 0x2000, EPT_RWX, EPT_WB), ERR_RANGE);
	assert_int_equal(ept_map(&e, 0, (1ull << 52) - 0x1000, 0x2000, EPT_RWX, EPT_WB), ERR_RANGE);
	assert_int_equal(ept_map(&e, 0, 0 - 0x1000ull, 0x1000, EPT_RWX, EPT_WB), ERR_RANGE);
	assert_int_equal(ept_unmap(&e, 0x1000, 0 - 0x1000ull), ERR_RANGE);
	for (unsigned i = 0; i < ARRAY_SIZE(bad_perms); i++) {
		assert_int_equal(ept_map(&e, 0, 0, 0x1000, bad_perms[i], EPT_WB), ERR_INVAL);
		assert_int_equal(ept_protect(&e, 0, 0x1000, bad_perms[i]), ERR_INVAL);
	}
	assert_int_equal(e.table_pages, 1);
	assert_int_equal(ept_map(&e, (1ull << 48) - 0x1000, (1ull << 52) - 0x1000, 0x1000, EPT_R, EPT_UC), 0);
	assert_int_equal(leaf_at(&e, ~0ull >> 16).hpa, (1ull << 52) - 0x1000);
	assert_int_equal(ept_lookup(&e, 1ull << 48, &(struct ept_leaf){0}), ERR_NOENT);
	assert_false(ept_test_clear_accessed(&e, 1ull << 48, NULL));
	assert_false(ept_merge(&e, 0x1000, PAGE_SIZE_2M));
	assert_false(ept_merge(&e, 0, PAGE_SIZE));
	assert_false(ept_merge(&e, 1ull << 48, PAGE_SIZE_2M));
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

/* 4 KiB, 2 MiB and 1 GiB leaves are chosen by alignment, split by a hole, and joined again. */
static void test_split_and_merge(void **state)
{
	const hpa_t frame = 4ull << 30;
	struct ept e;

	(void)state;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	assert_int_equal(ept_map(&e, PAGE_SIZE_1G - PAGE_SIZE, frame - PAGE_SIZE,
				 PAGE_SIZE_1G + PAGE_SIZE_2M + 2 * PAGE_SIZE, EPT_RWX, EPT_WB),
			 0);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G - 1).size, PAGE_SIZE);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G).size, PAGE_SIZE_1G);
	assert_int_equal(leaf_at(&e, 2 * PAGE_SIZE_1G).size, PAGE_SIZE_2M);
	assert_int_equal(leaf_at(&e, 2 * PAGE_SIZE_1G + PAGE_SIZE_2M).size, PAGE_SIZE);
	assert_int_equal(e.flush_gen, 0); /* only not present -> present so far */

	assert_int_equal(ept_protect(&e, PAGE_SIZE_1G + 5 * PAGE_SIZE, PAGE_SIZE, EPT_R), 0);
	assert_int_equal(e.flush_gen, 1);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G).size, PAGE_SIZE);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G + 5 * PAGE_SIZE).perms, EPT_R);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G + 6 * PAGE_SIZE).hpa, frame + 6 * PAGE_SIZE);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G + PAGE_SIZE_2M).hpa, frame + PAGE_SIZE_2M);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G + PAGE_SIZE_2M).size, PAGE_SIZE_2M);

	assert_false(ept_merge(&e, PAGE_SIZE_1G, PAGE_SIZE_2M)); /* one page differs */
	assert_int_equal(ept_protect(&e, PAGE_SIZE_1G + 5 * PAGE_SIZE, PAGE_SIZE, EPT_RWX), 0);
	assert_int_equal(e.flush_gen, 1);                        /* more permissions need no flush */
	assert_false(ept_merge(&e, PAGE_SIZE_1G, PAGE_SIZE_1G)); /* a level is missing */
	assert_true(ept_merge(&e, PAGE_SIZE_1G, PAGE_SIZE_2M));
	assert_int_equal(e.flush_gen, 2);
	assert_true(ept_merge(&e, PAGE_SIZE_1G, PAGE_SIZE_1G));
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G + 5 * PAGE_SIZE).size, PAGE_SIZE_1G);
	assert_int_equal(leaf_at(&e, PAGE_SIZE_1G).hpa, frame);
	assert_true(leaf_at(&e, PAGE_SIZE_1G).dirty);
	check_tables(&e, false);
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

static void test_merge_refused(void **state)
{
	struct ept e;

	(void)state;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	/* Contiguous, but the first frame is not where a large one may begin. */
	assert_int_equal(ept_map(&e, 0, PAGE_SIZE, PAGE_SIZE_2M, EPT_RWX, EPT_WB), 0);
	assert_false(ept_merge(&e, 0, PAGE_SIZE_2M));
	/* One hole; one other type; nothing at all. */
	assert_int_equal(ept_map(&e, 0, 0, PAGE_SIZE_2M - PAGE_SIZE, EPT_RWX, EPT_WB), 0);
	assert_int_equal(ept_unmap(&e, PAGE_SIZE_2M - PAGE_SIZE, PAGE_SIZE), 0);
	assert_false(ept_merge(&e, 0, PAGE_SIZE_2M));
	assert_int_equal(
	    ept_map(&e, PAGE_SIZE_2M - PAGE_SIZE, PAGE_SIZE_2M - PAGE_SIZE, PAGE_SIZE, EPT_RWX, EPT_WT), 0);
	assert_false(ept_merge(&e, 0, PAGE_SIZE_2M));
	assert_false(ept_merge(&e, PAGE_SIZE_1G, PAGE_SIZE_2M));
	assert_int_equal(
	    ept_map(&e, PAGE_SIZE_2M - PAGE_SIZE, PAGE_SIZE_2M - PAGE_SIZE, PAGE_SIZE, EPT_RWX, EPT_WB), 0);
	e.opt.pages_2m = false;
	assert_false(ept_merge(&e, 0, PAGE_SIZE_2M));
	e.opt.pages_2m = true;
	assert_true(ept_merge(&e, 0, PAGE_SIZE_2M));
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

/* Emptied tables leave the tree at once and the machine only when nobody can walk them. */
static void test_tables_are_freed(void **state)
{
	struct ept e;
	u64 gen;

	(void)state;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	assert_int_equal(ept_map(&e, 0x1000, 0x1000, 0x2000, EPT_RWX, EPT_WB), 0);
	assert_int_equal(e.table_pages, 4);
	assert_int_equal(ept_unmap(&e, 0x1000, 0x1000), 0);
	assert_int_equal(retired_count(&e), 0);
	gen = e.flush_gen;
	assert_int_equal(ept_unmap(&e, 0x2000, 0x1000), 0);
	assert_int_equal(retired_count(&e), 3);
	assert_true(e.flush_gen > gen);
	ept_reclaim(&e, gen);
	assert_int_equal(shim_pages_in_use, 4);
	ept_reclaim(&e, e.flush_gen);
	assert_int_equal(shim_pages_in_use, 1);

	/* A large leaf over a table frees it too. */
	assert_int_equal(ept_map(&e, 0x1000, 0x1000, 0x1000, EPT_RWX, EPT_WB), 0);
	gen = e.flush_gen;
	assert_int_equal(ept_map(&e, 0, 0, PAGE_SIZE_1G, EPT_RWX, EPT_WB), 0);
	assert_int_equal(retired_count(&e), 2);
	assert_true(e.flush_gen > gen);
	check_tables(&e, false);
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

/* A CPU on its way through a retired table finds nothing or what was there, never a wrong frame. */
static void test_retired_table_reads_as_nothing(void **state)
{
	struct ept e;
	u64 *old;

	(void)state;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	assert_int_equal(ept_map(&e, 0, 0x5000, 0x4000, EPT_RWX, EPT_WB), 0);
	old = epte_reach(&e, 0, 1);
	assert_int_equal(ept_map(&e, 0x200000, 0x5000, 0x1000, EPT_RWX, EPT_WB), 0);
	assert_int_equal(ept_unmap(&e, 0, 0x4000), 0);
	assert_int_equal(ept_unmap(&e, 0x200000, 0x1000), 0);
	for (unsigned i = 0; i < EPT_ENTRIES; i++) {
		assert_int_equal(old[i] & EPTE_RWX, 0);
		assert_false(epte_is_leaf(old[i]) || epte_is_table(old[i]));
	}
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

static void test_no_permissions(void **state)
{
	struct ept e;
	u64 gen;

	(void)state;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	assert_int_equal(ept_map(&e, 0, 0, PAGE_SIZE, EPT_RWX, EPT_UC), 0);
	assert_int_equal(ept_protect(&e, 0, PAGE_SIZE_2M, 0), 0);
	gen = e.flush_gen;
	assert_true(gen > 0);
	/* Frame 0, uncached, no permission: still a mapping, and nothing for hardware. */
	assert_int_equal(leaf_at(&e, 0).perms, 0);
	assert_int_equal(*epte_reach(&e, 0, 1) & EPTE_RWX, 0);
	assert_int_equal(ept_lookup(&e, PAGE_SIZE, &(struct ept_leaf){0}), ERR_NOENT);
	assert_int_equal(ept_protect(&e, 0, PAGE_SIZE, EPT_RWX), 0);
	assert_int_equal(ept_map(&e, 0, 0, PAGE_SIZE, EPT_RWX, EPT_UC), 0);
	assert_int_equal(e.flush_gen, gen);
	assert_int_equal(ept_map(&e, 0, PAGE_SIZE, PAGE_SIZE, EPT_RWX, EPT_UC), 0);
	assert_int_equal(e.flush_gen, gen + 1); /* another frame */
	assert_int_equal(ept_map(&e, 0, PAGE_SIZE, PAGE_SIZE, EPT_RWX, EPT_WB), 0);
	assert_int_equal(e.flush_gen, gen + 2); /* another type */
	ept_request_flush(&e);
	assert_int_equal(e.flush_gen, gen + 3);
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

static void test_accessed_dirty(void **state)
{
	struct ept e;
	bool dirty = true;
	u64 *entry;

	(void)state;
	assert_int_equal(ept_init(&e, &all_sizes), 0);
	assert_false(ept_test_clear_accessed(&e, 0, &dirty));
	assert_false(dirty);
	assert_int_equal(ept_map(&e, 0, 0, PAGE_SIZE_2M, EPT_RWX, EPT_WB), 0);
	assert_false(ept_test_clear_accessed(&e, 0x3000, &dirty));
	entry = epte_reach(&e, 0, 2);
	*entry |= EPTE_ACCESSED | EPTE_DIRTY; /* what hardware does */
	assert_true(leaf_at(&e, 0).accessed && leaf_at(&e, 0).dirty);
	assert_true(ept_test_clear_accessed(&e, 0x3000, NULL));
	assert_int_equal(e.flush_gen, 0);
	assert_false(leaf_at(&e, 0).accessed);
	*entry |= EPTE_ACCESSED;
	assert_true(ept_test_clear_accessed(&e, 0x3000, &dirty));
	assert_true(dirty);
	assert_int_equal(e.flush_gen, 1);
	/* A split keeps both bits on every piece, as does a change of permissions. */
	*entry |= EPTE_ACCESSED | EPTE_DIRTY;
	assert_int_equal(ept_protect(&e, 0x7000, PAGE_SIZE, EPT_R), 0);
	assert_true(leaf_at(&e, 0x7000).accessed && leaf_at(&e, 0x7000).dirty);
	assert_true(leaf_at(&e, 0x1ff000).accessed && leaf_at(&e, 0x1ff000).dirty);
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
}

static void test_spinlock(void **state)
{
	struct spinlock l = {0};

	(void)state;
	spin_lock(&l);
	assert_false(spin_trylock(&l));
	spin_unlock(&l);
	assert_true(spin_trylock(&l));
	assert_false(spin_trylock(&l));
	spin_unlock(&l);
	spin_lock(&l);
	spin_unlock(&l);
	assert_int_equal(l.next, l.serving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_init),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_split_and_merge),
	    cmocka_unit_test(test_merge_refused),
	    cmocka_unit_test(test_tables_are_freed),
	    cmocka_unit_test(test_retired_table_reads_as_nothing),
	    cmocka_unit_test(test_no_permissions),
	    cmocka_unit_test(test_accessed_dirty),
	    cmocka_unit_test(test_spinlock),
	};

	return cmocka_run_group_tests_name("ept (M43)", tests, NULL, NULL);
}
