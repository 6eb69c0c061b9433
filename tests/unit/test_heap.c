/* SPDX-License-Identifier: Apache-2.0 */
/* host/heap.c on host/page.c: sizes, alignment, zeroes, and that every page comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_cpu.h"
#include "host.h"
#include "host/page.h"
#include "log.h"

#define ARENA (16u << 20)

static jmp_buf panicked;
static struct boot_info bi;

void panic(const char *fmt, ...)
{
	(void)fmt;
	longjmp(panicked, 1);
}

static int setup(void **s)
{
	static struct cpu cpu;
	char *arena = aligned_alloc(ARENA, ARENA);
	u64 base = virt_to_phys(arena);

	(void)s;
	memset(arena, 0xa5, ARENA);
	bi.nr_mem = 4;
	bi.mem[0] = (struct boot_mem){base, 2 * PAGE_SIZE, BOOT_MEM_USABLE, 0};
	bi.mem[1] = (struct boot_mem){base + 2 * PAGE_SIZE, PAGE_SIZE, BOOT_MEM_RESERVED, 0};
	bi.mem[2] = (struct boot_mem){base + 3 * PAGE_SIZE, 13 * PAGE_SIZE, BOOT_MEM_LOADER, 0};
	bi.mem[3] = (struct boot_mem){base + 16 * PAGE_SIZE, ARENA - 16 * PAGE_SIZE, BOOT_MEM_USABLE, 0};
	fake_cpu = &cpu;
	page_init(&bi);
	heap_init();
	return 0;
}

/* All usable pages are there but the one that holds the state bytes (4096 pages: 1 page). */
static void test_pages(void **s)
{
	u64 usable = 2 + ARENA / PAGE_SIZE - 16 - 1;
	(void)s;

	assert_int_equal(page_count_total(), usable);
	assert_int_equal(page_count_free(), usable);
	page_reclaim_loader(&bi);
	assert_int_equal(page_count_total(), usable + 13);
	assert_int_equal(page_count_free(), usable + 13);
	hpa_t pa = page_alloc_zeroed(1);
	const u8 *p = phys_to_virt(pa);
	for (u64 i = 0; i < 2 * PAGE_SIZE; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(page_order(pa), 1);
	page_free(pa, 1);
	assert_true(page_order(pa) < 0);
}

static void test_sizes(void **s)
{
	u64 before = page_count_free();
	(void)s;

	for (size_t size = 0; size < 9000; size += size < 100 ? 1 : 31) {
		u8 *a = heap_alloc(size), *b = heap_alloc(size);
		assert_non_null(a);
		assert_non_null(b);
		assert_true(IS_ALIGNED((uintptr_t)a, 16) && IS_ALIGNED((uintptr_t)b, 16));
		assert_true(a + size <= b || b + size <= a);
		for (size_t i = 0; i < size; i++)
			assert_true(!a[i] && !b[i]);
		memset(a, 0xff, size);
		memset(b, 0xff, size);
		assert_in_range(heap_size(a), size, 2 * MAX(size, PAGE_SIZE));
		assert_int_equal(heap_size(a), heap_size(b));
		heap_free(a);
		heap_free(b);
	}
	assert_int_equal(page_count_free(), before);
	heap_free(NULL);
	assert_int_equal(heap_size(NULL), 0);
	assert_null(heap_alloc(ARENA * 2));
	assert_null(heap_alloc((size_t)2 << 30));
	assert_null(heap_alloc(SIZE_MAX));
}

static void test_random(void **s)
{
	enum { N = 2000 };
	static struct {
		u8 *p;
		size_t size;
	} live[N];
	u64 before = page_count_free();
	(void)s;

	srand(2);
	for (int round = 0; round < 100000; round++) {
		int i = rand() % N;
		if (live[i].p) {
			for (size_t k = 0; k < live[i].size; k += 7)
				assert_int_equal(live[i].p[k], (u8)i);
			heap_free(live[i].p);
			live[i].p = NULL;
		} else {
			live[i].size = (size_t)rand() % (rand() % 20 ? 500 : 6000);
			live[i].p = heap_alloc(live[i].size);
			assert_non_null(live[i].p);
			memset(live[i].p, i, live[i].size);
		}
	}
	for (int i = 0; i < N; i++)
		heap_free(live[i].p);
	assert_int_equal(page_count_free(), before);
}

static void test_exhaustion(void **s)
{
	u64 before = page_count_free();
	void **chain = NULL, **p;
	(void)s;

	while ((p = heap_alloc(2000))) {
		*p = chain;
		chain = p;
	}
	assert_int_equal(page_count_free(), 0);
	for (; chain; chain = p) {
		p = *chain;
		heap_free(chain);
	}
	assert_int_equal(page_count_free(), before);
}

/* panic() leaves locks taken, so each wrong free has a process of its own. */
static void assert_dies(void (*fn)(char *), char *p)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!setjmp(panicked))
			fn(p);
		else
			_exit(42);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void free_here(char *p)
{
	heap_free(p);
}

static void free_inside(char *p)
{
	heap_free(p + 16);
}

static void free_second_page(char *p)
{
	heap_free(p + PAGE_SIZE);
}

static void free_twice(char *p)
{
	heap_free(p);
	heap_free(p);
}

static void free_header(char *p)
{
	heap_free((char *)ALIGN_DOWN((uintptr_t)p, PAGE_SIZE) + 16);
}

static void test_wrong_free(void **s)
{
	char *large = heap_alloc(5000), *small = heap_alloc(100), *neighbour = heap_alloc(100);
	(void)s;

	assert_dies(free_second_page, large);
	assert_dies(free_twice, large);
	assert_dies(free_inside, small);
	assert_dies(free_header, small);
	assert_dies(free_twice, small); /* its slab lives on: the bitmap knows */
	heap_free(neighbour);
	assert_dies(free_here, neighbour);
	heap_free(small);
	assert_dies(free_here, small); /* its slab is gone */
	heap_free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages),      cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_random),     cmocka_unit_test(test_exhaustion),
	    cmocka_unit_test(test_wrong_free),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
