/* SPDX-License-Identifier: Apache-2.0 */
/* Second-level paging: random operations against a model with one word per 4 KiB page (M43: every
 * guest-physical address maps to the frame it was given, or to nothing). */
#include "ept_check.h"

#include <time.h>

/* The window that random operations use: 1.5 GiB on either side of the 512 GiB line, so that they cross
 * tables of every level. */
#define WINDOW_BASE ((512ull << 30) - (1536ull << 20))
#define WINDOW_PAGES (3ull << 18)
/* Frames never touched, so any number will do; far from 0 so that a wrong one shows. */
#define HPA_BASE (64ull << 30)

static const struct ept_options all_sizes = {.pages_1g = true, .pages_2m = true, .accessed_dirty = true};
static u64 *model; /* per page: hpa | type << 3 | perms | present bit, 0 where nothing is mapped */
static u64 seed;

static u64 rnd(u64 limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % limit;
}

static u64 word_of(hpa_t hpa, u32 perms, u32 type)
{
	return hpa | EPTE_LEAF | (u64)type << 3 | perms;
}

static gpa_t visited; /* everything below has been compared */

static void compare_leaf(void *opaque, gpa_t gpa, const struct ept_leaf *leaf)
{
	(void)opaque;
	assert_true(gpa >= visited && IS_ALIGNED(gpa, leaf->size));
	for (; visited < gpa; visited += PAGE_SIZE)
		assert_int_equal(model[(visited - WINDOW_BASE) >> PAGE_SHIFT], 0);
	for (; visited < gpa + leaf->size; visited += PAGE_SIZE)
		assert_int_equal(model[(visited - WINDOW_BASE) >> PAGE_SHIFT],
				 word_of(leaf->hpa + (visited - gpa), leaf->perms, leaf->memtype));
}

static void check_all(const struct ept *e, bool empty_allowed)
{
	check_tables(e, empty_allowed);
	visited = WINDOW_BASE;
	ept_for_each(e, compare_leaf, NULL);
	for (; visited < WINDOW_BASE + (WINDOW_PAGES << PAGE_SHIFT); visited += PAGE_SIZE)
		assert_int_equal(model[(visited - WINDOW_BASE) >> PAGE_SHIFT], 0);
}

static u64 actual_word(const struct ept *e, u64 page)
{
	struct ept_leaf leaf;
	gpa_t gpa = WINDOW_BASE + (page << PAGE_SHIFT);

	if (ept_lookup(e, gpa, &leaf))
		return 0;
	return word_of(leaf.hpa + (gpa & (leaf.size - 1)), leaf.perms, leaf.memtype);
}

/* ---- random operations ---- */
struct op {
	enum { MAP, UNMAP, PROTECT, MERGE, CLEAR } kind;
	u64 page, pages;
	hpa_t hpa;
	u32 perms, type;
};

static struct op op_random(void)
{
	static const u64 unit[] = {1, 1, 512, 512, 1 << 18};
	static const u32 perms[] = {0, EPT_R, EPT_R | EPT_W, EPT_R | EPT_X, EPT_RWX};
	static const u32 types[] = {EPT_UC, EPT_WC, EPT_WB};
	struct op op = {.kind = (unsigned)rnd(5), .perms = perms[rnd(5)], .type = types[rnd(3)]};
	u64 u = unit[rnd(5)];

	op.pages = u * (1 + rnd(u == 1 ? 700 : 3));
	op.page = rnd(WINDOW_PAGES / u) * u;
	op.pages = MIN(op.pages, WINDOW_PAGES - op.page);
	/* Mostly such that large leaves and merges are possible. */
	op.hpa = HPA_BASE + ((rnd(4) ? op.page : rnd(WINDOW_PAGES) / u * u) << PAGE_SHIFT);
	return op;
}

static int op_run(struct ept *e, const struct op *op)
{
	gpa_t gpa = WINDOW_BASE + (op->page << PAGE_SHIFT);
	u64 size = op->pages << PAGE_SHIFT;
	bool dirty;

	switch (op->kind) {
	case MAP:
		return ept_map(e, gpa, op->hpa, size, op->perms, op->type);
	case UNMAP:
		return ept_unmap(e, gpa, size);
	case PROTECT:
		return ept_protect(e, gpa, size, op->perms);
	case MERGE:
		(void)ept_merge(e, ALIGN_DOWN(gpa, PAGE_SIZE_2M), PAGE_SIZE_2M);
		(void)ept_merge(e, ALIGN_DOWN(gpa, PAGE_SIZE_1G), PAGE_SIZE_1G);
		return 0;
	case CLEAR:
		(void)ept_test_clear_accessed(e, gpa, &dirty);
		return 0;
	}
	return -1;
}

static u64 op_expect(const struct op *op, u64 page, u64 old)
{
	switch (op->kind) {
	case MAP:
		return word_of(op->hpa + ((page - op->page) << PAGE_SHIFT), op->perms, op->type);
	case UNMAP:
		return 0;
	case PROTECT:
		return old ? (old & ~EPTE_RWX) | op->perms : 0;
	default:
		return old;
	}
}

/* A CPU that cached the old word would do wrong by the new one. */
static bool word_stale(u64 old, u64 new)
{
	return (old & EPTE_RWX) && ((old & ~new &EPTE_RWX) || ((old ^ new) & ~EPTE_RWX));
}

/* Follows one operation in the model; after ERR_NOMEM each page may be old or new. */
static void op_check(struct ept *e, const struct op *op, int rc, u64 gen)
{
	bool stale = false;

	for (u64 page = op->page; page < op->page + op->pages; page++) {
		u64 want = op_expect(op, page, model[page]);

		if (rc == ERR_NOMEM) {
			u64 is = actual_word(e, page);

			assert_true(is == want || is == model[page]);
			want = is;
		}
		stale |= word_stale(model[page], want);
		model[page] = want;
	}
	if (stale)
		assert_true(e->flush_gen > gen);
}

static void run_random(const struct ept_options *opt, unsigned rounds, bool failing)
{
	struct ept e;
	unsigned failed = 0;

	seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) : (u64)time(NULL) * 2654435761u | 1;
	print_message("SEED=%#llx repeats this run\n", (unsigned long long)seed);
	model = calloc(WINDOW_PAGES, sizeof(*model));
	assert_int_equal(ept_init(&e, opt), 0);
	for (unsigned i = 0; i < rounds; i++) {
		struct op op = op_random();
		u64 gen = e.flush_gen;
		int rc;

		shim_fail_after = failing ? (long)rnd(4) : -1;
		rc = op_run(&e, &op);
		shim_fail_after = -1;
		assert_true(rc == 0 || (failing && rc == ERR_NOMEM));
		failed += rc != 0;
		op_check(&e, &op, rc, gen);
		if (i % 16 == 0)
			check_all(&e, failing);
		if (rnd(3) == 0)
			ept_reclaim(&e, e.flush_gen - rnd(3));
	}
	check_all(&e, failing);
	assert_true(!failing || failed > rounds / 50);
	ept_reclaim(&e, e.flush_gen);
	assert_int_equal(e.retired, PAGE_NONE);
	ept_destroy(&e);
	assert_int_equal(shim_pages_in_use, 0);
	free(model);
}

static void test_random(void **state)
{
	static const struct ept_options small = {.pages_1g = false, .pages_2m = false};

	(void)state;
	run_random(&all_sizes, 1500, false);
	run_random(&small, 100, false);
}

static void test_random_without_memory(void **state)
{
	(void)state;
	run_random(&all_sizes, 1500, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_random_without_memory),
	};

	return cmocka_run_group_tests_name("ept at random (M43)", tests, NULL, NULL);
}
