/* SPDX-License-Identifier: Apache-2.0 */
/* A block that the page allocator gave out whole comes back in pieces, as guest memory does after the
 * EPT split a large page (M43). */
#include "shim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host.h"
#include "host/buddy.h"

#define PAGES 1024u

static struct buddy b;
static u8 state_bytes[PAGES];
static hpa_t base;
static jmp_buf panicked;

/* The test's own, so that a refusal can be seen. */
void panic(const char *fmt, ...)
{
	(void)fmt;
	longjmp(panicked, 1);
}

static int setup(void **state)
{
	static void *memory;

	(void)state;
	free(memory);
	memory = aligned_alloc(PAGES * PAGE_SIZE, PAGES * PAGE_SIZE);
	base = virt_to_phys(memory);
	buddy_init(&b, base >> PAGE_SHIFT, PAGES, state_bytes);
	buddy_add(&b, base, PAGES * PAGE_SIZE);
	return 0;
}

static bool free_panics(hpa_t pa, unsigned order)
{
	if (setjmp(panicked))
		return true;
	buddy_free(&b, pa, order);
	return false;
}

static void test_pieces(void **state)
{
	hpa_t block = buddy_alloc(&b, 9), other = buddy_alloc(&b, 9);

	(void)state;
	assert_int_equal(b.nr_free, 0);
	for (unsigned i = 512; i-- > 0;) { /* one page at a time, from the top */
		assert_false(free_panics(block + i * PAGE_SIZE, 0));
		assert_int_equal(b.nr_free, 512 - i);
	}
	assert_int_equal(buddy_order(&b, other), 9);
	assert_int_equal(buddy_alloc(&b, 9), block); /* joined again */
	assert_false(free_panics(other, 9));
	assert_false(free_panics(block + 256 * PAGE_SIZE, 8));
	assert_false(free_panics(block + 8 * PAGE_SIZE, 3));
	assert_false(free_panics(block + 128 * PAGE_SIZE, 7));
	for (unsigned i = 0; i < 128; i++) {
		if (i < 8 || i >= 16)
			assert_false(free_panics(block + i * PAGE_SIZE, 0));
	}
	assert_int_equal(buddy_alloc(&b, 10), base);
}

static void test_refused(void **state)
{
	hpa_t block = buddy_alloc(&b, 9);

	(void)state;
	assert_true(free_panics(block + PAGE_SIZE, 1)); /* not aligned */
	assert_true(free_panics(block, 10));            /* larger than it was */
	assert_false(free_panics(block + 4 * PAGE_SIZE, 2));
	assert_true(free_panics(block + 4 * PAGE_SIZE, 2)); /* twice */
	assert_true(free_panics(block + 5 * PAGE_SIZE, 0)); /* inside what is free */
	assert_true(free_panics(block, 9));                 /* no longer whole */
	assert_true(free_panics(base - PAGE_SIZE, 0));
	assert_true(free_panics(base + PAGES * PAGE_SIZE, 0));
	assert_int_equal(b.nr_free, PAGES - 512 + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_pieces, setup),
	    cmocka_unit_test_setup(test_refused, setup),
	};

	return cmocka_run_group_tests_name("buddy blocks in pieces (M43)", tests, NULL, NULL);
}
