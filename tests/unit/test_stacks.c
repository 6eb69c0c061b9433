/* SPDX-License-Identifier: Apache-2.0 */
/* Slots for stacks: not used again before every CPU has emptied its TLB, and no more page tables than what is
 * used at once needs (M87). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"
#include "host/paging.h"
#include "shim.h"

#define SLOT_PAGES 16
#define SLOTS_OF_TABLE 32
#define ALL 4096

static struct cpu cpus[2];
static bool deaf; /* the other CPU does not obey kicks */
static unsigned kicks, mapped;
static u64 highest; /* address mapped */
static hpa_t frames[ALL * SLOT_PAGES];

unsigned cpu_count(void)
{
	return ARRAY_SIZE(cpus);
}

struct cpu *cpu_get(unsigned index)
{
	return &cpus[index];
}

static void other_syncs(void)
{
	fake_cpu = &cpus[1];
	vmap_sync();
	fake_cpu = &cpus[0];
}

void cpu_kick(unsigned index)
{
	if (index == 0)
		return;
	kicks++;
	if (!deaf)
		other_syncs();
}

int paging_map(u64 va, hpa_t pa, u64 size, u64 flags)
{
	(void)flags;
	assert_int_equal(size, PAGE_SIZE);
	assert_true(pa != PAGE_NONE);
	frames[(va - VIRT_DYNAMIC) / PAGE_SIZE] = pa;
	highest = MAX(highest, va);
	mapped++;
	return 0;
}

hpa_t paging_unmap_page(u64 va)
{
	mapped--;
	return frames[(va - VIRT_DYNAMIC) / PAGE_SIZE];
}

static unsigned slot_of(const void *top)
{
	return (unsigned)(((u64)top - VIRT_DYNAMIC) / (SLOT_PAGES * PAGE_SIZE)) - 1;
}

static unsigned tables(void)
{
	return (unsigned)((highest - VIRT_DYNAMIC) / PAGE_SIZE_2M) + 1;
}

static void one_after_the_other(void **state)
{
	(void)state;
	fake_cpu = &cpus[0];
	/* The other CPU sleeps all the time: it is woken each time a page table is full. */
	for (unsigned i = 0; i < 1000; i++) {
		void *top = stack_alloc(4);
		assert_non_null(top);
		assert_true(slot_of(top) < SLOTS_OF_TABLE);
		stack_free(top, 4);
	}
	assert_int_equal(tables(), 1);
	assert_true(kicks >= 1000 / SLOTS_OF_TABLE - 1 && kicks <= 1000 / SLOTS_OF_TABLE + 1);
	other_syncs();
	void *top = stack_alloc(4);
	assert_int_equal(slot_of(top), 0);
	stack_free(top, 4);
	other_syncs();
}

static void not_before_all_have_seen_it(void **state)
{
	static void *first[SLOTS_OF_TABLE];
	(void)state;
	for (unsigned i = 0; i < SLOTS_OF_TABLE; i++) {
		first[i] = stack_alloc(2);
		assert_int_equal(slot_of(first[i]), i);
	}
	deaf = true;
	kicks = 0;
	stack_free(first[7], 2);
	void *next = stack_alloc(2); /* the other may still know the old one */
	assert_int_equal(slot_of(next), SLOTS_OF_TABLE);
	assert_int_equal(tables(), 2);
	assert_int_equal(kicks, 1);
	other_syncs();
	void *again = stack_alloc(2);
	assert_int_equal(slot_of(again), 7);
	first[7] = again;
	stack_free(next, 2);
	for (unsigned i = 0; i < SLOTS_OF_TABLE; i++)
		stack_free(first[i], 2);
	assert_int_equal(mapped, 0);
	other_syncs();
	deaf = false;
}

static void all_used(void **state)
{
	static void *tops[ALL];
	(void)state;
	for (unsigned i = 0; i < ALL; i++)
		assert_non_null(tops[i] = stack_alloc(1));
	kicks = 0;
	assert_null(stack_alloc(1));
	assert_int_equal(kicks, 0); /* there is nothing to wait for */
	stack_free(tops[ALL - 1], 1);
	assert_non_null(tops[ALL - 1] = stack_alloc(1));
	assert_int_equal(kicks, 1);
	for (unsigned i = 0; i < ALL; i++)
		stack_free(tops[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_after_the_other),
	    cmocka_unit_test(not_before_all_have_seen_it),
	    cmocka_unit_test(all_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
