/* SPDX-License-Identifier: Apache-2.0 */
/* host/buddy.c: alignment, joining, and the panic on every wrong free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "host.h"
#include "host/buddy.h"
#include "log.h"

static jmp_buf panicked;

void panic(const char *fmt, ...)
{
	(void)fmt;
	longjmp(panicked, 1);
}

#define ASSERT_PANICS(call)                                                                                  \
	do {                                                                                                 \
		if (!setjmp(panicked)) {                                                                     \
			call;                                                                                \
			fail_msg("no panic: %s", #call);                                                     \
		}                                                                                            \
	} while (0)

/* Address space of 3 GiB, of which only what is written takes memory; aligned to 1 GiB. */
#define ARENA (3 * PAGE_SIZE_1G)
static char *arena;
static u8 *state;

static int setup(void **s)
{
	char *p = mmap(NULL, ARENA + PAGE_SIZE_1G, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)s;
	if (p == MAP_FAILED)
		return -1;
	arena = (char *)ALIGN_UP((uintptr_t)p, PAGE_SIZE_1G);
	state = malloc(ARENA >> PAGE_SHIFT);
	return 0;
}

static u64 frame(const void *p)
{
	return virt_to_phys(p) >> PAGE_SHIFT;
}

static void begin(struct buddy *b, u64 offset, u64 length)
{
	buddy_init(b, frame(arena), ARENA >> PAGE_SHIFT, state);
	buddy_add(b, virt_to_phys(arena + offset), length);
}

static void test_every_order(void **s)
{
	struct buddy b;
	(void)s;

	for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
		begin(&b, 0, PAGE_SIZE_1G);
		assert_int_equal(b.nr_free, 1u << 18);
		hpa_t pa = buddy_alloc(&b, order);
		assert_true(pa != PAGE_NONE && IS_ALIGNED(pa, PAGE_SIZE << order));
		assert_int_equal(b.nr_free, (1u << 18) - (1u << order));
		assert_int_equal(buddy_order(&b, pa), order);
		buddy_free(&b, pa, order);
		assert_true(buddy_order(&b, pa) < 0);
		assert_int_equal(buddy_alloc(&b, 18), virt_to_phys(arena)); /* all joined again */
		assert_int_equal(b.nr_free, 0);
		assert_int_equal(buddy_alloc(&b, 0), PAGE_NONE);
	}
}

/* A region that begins and ends anywhere gives all its pages and not one more. */
static void test_odd_region(void **s)
{
	static const u64 cases[][2] = {{1, 1}, {1, 2}, {3, 7}, {511, 1026}, {1, 4095}};
	struct buddy b;
	(void)s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 first = cases[i][0], count = cases[i][1], sum = 0, got = 0;
		begin(&b, first * PAGE_SIZE, count * PAGE_SIZE);
		assert_int_equal(b.nr_free, count);
		for (hpa_t pa; (pa = buddy_alloc(&b, 0)) != PAGE_NONE; got++)
			sum += (pa >> PAGE_SHIFT) - frame(arena);
		assert_int_equal(got, count);
		assert_int_equal(sum, count * first + count * (count - 1) / 2);
	}
	begin(&b, PAGE_SIZE + 100, 2 * PAGE_SIZE); /* partial pages at both ends do not count */
	assert_int_equal(b.nr_free, 1);
}

/* Buddies of two regions that touch are one block; a gap of one page keeps them apart. */
static void test_regions_join(void **s)
{
	struct buddy b;
	(void)s;

	begin(&b, 0, PAGE_SIZE_2M / 2);
	buddy_add(&b, virt_to_phys(arena + PAGE_SIZE_2M / 2), PAGE_SIZE_2M / 2);
	assert_int_equal(buddy_alloc(&b, 9), virt_to_phys(arena));
	begin(&b, 0, PAGE_SIZE_2M / 2);
	buddy_add(&b, virt_to_phys(arena + PAGE_SIZE_2M / 2 + PAGE_SIZE), PAGE_SIZE_2M / 2 - PAGE_SIZE);
	assert_int_equal(buddy_alloc(&b, 9), PAGE_NONE);
}

/* From what ends at the limit or below, out of a larger block where it has to be. */
static void test_below(void **s)
{
	struct buddy b;
	hpa_t start = virt_to_phys(arena), limit = start + PAGE_SIZE_2M / 2;
	(void)s;

	begin(&b, 0, PAGE_SIZE_2M);
	assert_int_equal(buddy_alloc_below(&b, 0, start + PAGE_SIZE - 1), PAGE_NONE);
	assert_int_equal(buddy_alloc_below(&b, 9, limit), PAGE_NONE);
	for (unsigned i = 0; i < 32; i++)
		assert_int_equal(buddy_alloc_below(&b, 3, limit) & ~(PAGE_SIZE_2M / 2 - 1), start);
	assert_int_equal(buddy_alloc_below(&b, 3, limit), PAGE_NONE);
	assert_int_equal(b.nr_free, 256);
	for (unsigned i = 0; i < 32; i++)
		buddy_free(&b, start + i * 8 * PAGE_SIZE, 3);
	assert_int_equal(buddy_alloc_below(&b, 8, limit), start);
	assert_int_equal(buddy_alloc(&b, 8), limit);
}

static void test_largest_block(void **s)
{
	struct buddy b;
	(void)s;

	begin(&b, 0, 2 * PAGE_SIZE_1G + PAGE_SIZE);
	hpa_t a = buddy_alloc(&b, 18), c = buddy_alloc(&b, 18);
	assert_true(a != PAGE_NONE && c != PAGE_NONE && a != c);
	assert_int_equal(buddy_alloc(&b, 18), PAGE_NONE);
	buddy_free(&b, a, 18);
	buddy_free(&b, c, 18);
	assert_int_equal(b.nr_free, (2u << 18) + 1);
}

static void test_wrong_free(void **s)
{
	struct buddy b;
	(void)s;

	begin(&b, 0, PAGE_SIZE_2M);
	hpa_t pa = buddy_alloc(&b, 2), other = buddy_alloc(&b, 0);
	ASSERT_PANICS(buddy_free(&b, pa, 3));
	ASSERT_PANICS(buddy_free(&b, pa + PAGE_SIZE, 1));
	ASSERT_PANICS(buddy_free(&b, other + PAGE_SIZE, 0));
	ASSERT_PANICS(buddy_free(&b, pa + 16, 2));
	ASSERT_PANICS(buddy_free(&b, virt_to_phys(arena) - PAGE_SIZE, 0));
	ASSERT_PANICS(buddy_free(&b, virt_to_phys(arena) + ARENA, 0));
	ASSERT_PANICS(buddy_free(&b, PAGE_NONE, 0));
	buddy_free(&b, pa, 2);
	ASSERT_PANICS(buddy_free(&b, pa, 2)); /* twice, alone and after it was joined */
	buddy_free(&b, other, 0);
	ASSERT_PANICS(buddy_free(&b, other, 0));
	assert_int_equal(b.nr_free, 512);
}

/* A block may come back in pieces, in any order; each piece once. */
static void test_pieces(void **s)
{
	struct buddy b;
	(void)s;

	begin(&b, 0, PAGE_SIZE_2M);
	hpa_t pa = buddy_alloc(&b, 9);
	buddy_free(&b, pa + 8 * PAGE_SIZE, 3);
	assert_int_equal(b.nr_free, 8);
	ASSERT_PANICS(buddy_free(&b, pa + 8 * PAGE_SIZE, 0));
	ASSERT_PANICS(buddy_free(&b, pa + 15 * PAGE_SIZE, 0));
	ASSERT_PANICS(buddy_free(&b, pa, 4)); /* a part of it is free already */
	for (u64 i = 512; i-- > 0;)
		if (i < 8 || i >= 16)
			buddy_free(&b, pa + i * PAGE_SIZE, 0);
	assert_int_equal(b.nr_free, 512);
	assert_int_equal(buddy_alloc(&b, 9), pa);
}

static void test_page_zero(void **s)
{
	struct buddy b;
	u8 few[4];
	(void)s;

	buddy_init(&b, 0, sizeof(few), few);
	buddy_add(&b, 0, PAGE_SIZE);
	assert_int_equal(b.nr_free, 0);
}

struct block {
	hpa_t pa;
	unsigned order;
};

/* Random use: blocks never overlap, and in the end everything is one block again. */
static void test_random(void **s)
{
	enum { PAGES = 4096, BLOCKS = 300 };
	static u8 owned[PAGES];
	static struct block blocks[BLOCKS];
	struct buddy b;
	u64 in_use = 0;
	(void)s;

	srand(1);
	begin(&b, 0, PAGES * PAGE_SIZE);
	for (int round = 0; round < 60000; round++) {
		struct block *k = &blocks[rand() % BLOCKS];
		bool take = k->pa == PAGE_NONE;

		if (take) {
			k->order = (unsigned)rand() % 8;
			k->pa = buddy_alloc(&b, k->order);
			if (k->pa == PAGE_NONE)
				continue;
		}
		u64 at = (k->pa >> PAGE_SHIFT) - frame(arena);
		for (u64 i = at; i < at + BIT(k->order); i++) {
			assert_int_equal(owned[i], !take);
			owned[i] = take;
		}
		in_use += take ? BIT(k->order) : -BIT(k->order);
		if (!take) {
			buddy_free(&b, k->pa, k->order);
			k->pa = PAGE_NONE;
		}
		assert_int_equal(b.nr_free, PAGES - in_use);
	}
	for (int i = 0; i < BLOCKS; i++)
		if (blocks[i].pa != PAGE_NONE)
			buddy_free(&b, blocks[i].pa, blocks[i].order);
	assert_true(buddy_alloc(&b, 12) != PAGE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_order),   cmocka_unit_test(test_odd_region),
	    cmocka_unit_test(test_regions_join),  cmocka_unit_test(test_below),
	    cmocka_unit_test(test_largest_block), cmocka_unit_test(test_wrong_free),
	    cmocka_unit_test(test_pieces),        cmocka_unit_test(test_page_zero),
	    cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
