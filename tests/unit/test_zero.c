/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of zeroed pages (M51: memory on demand, at a price that idle CPUs paid). */
#include <pthread.h>

#include "fake_cpu.h"
#include "frames.h"

#include "ept/zero.h"
#include "gmem.h"

/* A page takes several calls. */
static bool idle_page(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (!gmem_idle_zero())
			return false;
	return true;
}

static void test_idle_zero(void **state)
{
	const u64 nothing[512] = {0};
	unsigned ready = 0;
	struct cpu cpu = {.index = 1};
	hpa_t page;

	(void)state;
	fake_cpu = &cpu;
	frames_in_use = FRAMES - 5000; /* a small machine */
	while (idle_page())
		assert_true(++ready <= 2000);
	assert_int_equal(ready, 905); /* as soon as free < 4096 */
	frames_in_use = FRAMES - 50000 + ready;
	while (idle_page())
		ready++;
	assert_int_equal(ready, 10000); /* a quarter of the 40000 left */
	frames_in_use = ready;
	frames_fail_after = 0; /* all come from the pool, then there is none */
	for (unsigned i = 0; i < ready; i++) {
		page = zero_page_get();
		assert_memory_equal(phys_to_virt(page), nothing, sizeof(nothing));
		memset(phys_to_virt(page), 0xff, PAGE_SIZE);
		page_free(page, 0);
	}
	assert_int_equal(zero_page_get(), PAGE_NONE);
	assert_false(gmem_idle_zero());
	frames_fail_after = -1;
	assert_true(idle_page());
	page = zero_page_get();
	assert_memory_equal(phys_to_virt(page), nothing, sizeof(nothing));
	page_free(page, 0);
	assert_true(idle_page() && idle_page());
	assert_int_equal(gmem_idle_pages(), 2);
	assert_ptr_equal(frames_release, gmem_idle_drain);
	assert_true(gmem_idle_drain());
	assert_false(gmem_idle_drain());
	assert_int_equal(frames_in_use, 0);
}

/* One page at most is begun or ready at any moment, whoever asks. */
static void *pages_come_and_go(void *done)
{
	for (unsigned i = 0; i < 100000; i++) {
		idle_page();
		page_free(zero_page_get(), 0);
	}
	__atomic_store_n((bool *)done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void test_counted_once(void **state)
{
	struct cpu cpu = {.index = 1};
	pthread_t worker;
	bool done = false;

	(void)state;
	fake_cpu = &cpu;
	assert_int_equal(pthread_create(&worker, NULL, pages_come_and_go, &done), 0);
	u64 most = 0;
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		most = MAX(most, gmem_idle_pages());
	pthread_join(worker, NULL);
	assert_in_range(most, 0, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_idle_zero),
	    cmocka_unit_test(test_counted_once),
	};

	return cmocka_run_group_tests_name("pool of zeroed pages (M51)", tests, NULL, NULL);
}
