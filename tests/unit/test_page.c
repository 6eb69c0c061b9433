/* SPDX-License-Identifier: Apache-2.0 */
/* The page allocator on a small machine: all of it comes and goes, and who hoards is asked when nothing
 * is left (M44, M51). */
#include "shim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"

#define PAGES 256u

static hpa_t hoard[2];
static unsigned nr_hoard, asked;

static bool release(void)
{
	asked++;
	if (!nr_hoard)
		return false;
	page_free(hoard[--nr_hoard], 0);
	return true;
}

/* One page of the 256 holds the allocator's state. */
static void test_all_pages(void **state)
{
	static struct boot_info bi;
	static struct cpu cpu;
	void *memory = aligned_alloc(PAGES * PAGE_SIZE, PAGES * PAGE_SIZE);
	hpa_t taken[PAGES], base = virt_to_phys(memory);

	(void)state;
	fake_cpu = &cpu;
	bi.nr_mem = 1;
	bi.mem[0] = (struct boot_mem){.base = base, .length = PAGES * PAGE_SIZE, .type = BOOT_MEM_USABLE};
	page_init(&bi);
	assert_int_equal(page_count_total(), PAGES - 1);
	for (unsigned i = 0; i < PAGES - 1; i++) {
		taken[i] = page_alloc_zeroed(0);
		assert_true(taken[i] > base && taken[i] < base + PAGES * PAGE_SIZE);
		assert_int_equal(*(u64 *)phys_to_virt(taken[i]), 0);
		assert_int_equal(page_count_free(), PAGES - 2 - i); /* those that this CPU keeps count */
	}
	assert_int_equal(page_count_free(), 0);
	assert_int_equal(page_alloc(0), PAGE_NONE);

	page_on_shortage(release);
	assert_int_equal(page_alloc(0), PAGE_NONE);
	assert_int_equal(asked, 1);
	hoard[0] = taken[0];
	hoard[1] = taken[1];
	nr_hoard = 2;
	taken[1] = page_alloc(0);
	assert_int_equal(taken[1], hoard[1]);
	taken[0] = page_alloc(0);
	assert_int_equal(taken[0], hoard[0]);
	assert_int_equal(asked, 3);
	assert_int_equal(page_alloc(0), PAGE_NONE);

	for (unsigned i = 0; i < PAGES - 1; i++)
		page_free(taken[i], 0);
	assert_int_equal(page_count_free(), PAGES - 1);
	taken[0] = page_alloc(0);
	assert_true(cpu.pages_left > 0);
	page_free(taken[0], 0);
	assert_true(page_alloc(7) != PAGE_NONE); /* joined again: one half of the machine is whole */
	assert_int_equal(asked, 4);
	assert_int_equal(page_alloc(7), PAGE_NONE);
	assert_int_equal(asked, 5);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_pages),
	};

	return cmocka_run_group_tests_name("page allocator (M44, M51)", tests, NULL, NULL);
}
