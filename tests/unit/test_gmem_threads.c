/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory touched by several vCPUs at once (M43, M44): each page gets one frame, no store is
 * lost, and no table is freed while somebody may walk it. */
#include "frames.h"

#include "gmem.h"

#define THREADS 2 /* ticket locks and fewer CPUs than threads: a wait is a time slice long */
#define EXITS 3000
#define PAGES 2048
#define BASE (1ull << 30)
#define DEVICE (8ull << 30) /* mapped and unmapped all the time */

static struct ept ept;
static struct gmem mem;
static u64 seen[THREADS]; /* flush_gen at each thread's last VM entry */

static void vm_entry(unsigned self)
{
	u64 min = ~0ull;

	__atomic_store_n(&seen[self], __atomic_load_n(&ept.flush_gen, __ATOMIC_ACQUIRE), __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < THREADS; i++)
		min = MIN(min, __atomic_load_n(&seen[i], __ATOMIC_SEQ_CST));
	ept_reclaim(&ept, min);
}

/* The first word of each page counts visits, the second says whose page it is. */
static void visit(struct gmem_tlb *tlb, u64 page)
{
	gpa_t gpa = BASE + page * PAGE_SIZE;
	u64 none = 0, *p;

	assert_int_equal(gmem_fault(&mem, gpa, EPT_W), 0);
	p = gmem_tlb_ptr(&mem, tlb, gpa, 16);
	assert_non_null(p);
	if (!__atomic_compare_exchange_n(&p[1], &none, gpa, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		assert_int_equal(none, gpa);
	__atomic_fetch_add(&p[0], 1, __ATOMIC_SEQ_CST);
}

static void *vcpu(void *opaque)
{
	unsigned self = (unsigned)(u64)opaque;
	u64 x = 88172645463325252ull + self;
	struct gmem_tlb tlb;
	struct ept_leaf leaf;

	gmem_tlb_reset(&tlb);
	for (unsigned i = 0; i < EXITS; i++) {
		gpa_t device = DEVICE + (x >> 40) % 4 * PAGE_SIZE_2M;

		vm_entry(self);
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* Mostly close together, so that all want the same page. */
		visit(&tlb, i % 4 ? i / 3 : x % PAGES);
		if (x % 8 == 0)
			while (gmem_hide(&mem, BASE + x / 8 % PAGES * PAGE_SIZE) == ERR_AGAIN)
				;
		if (x % 16 == 1)
			assert_int_equal(ept_map(&ept, device, device, PAGE_SIZE, EPT_RWX, EPT_UC), 0);
		if (x % 16 == 2)
			assert_int_equal(ept_unmap(&ept, device, PAGE_SIZE), 0);
		if (ept_lookup(&ept, device, &leaf) == 0)
			assert_int_equal(leaf.hpa, device);
	}
	__atomic_store_n(&seen[self], ~0ull, __ATOMIC_SEQ_CST);
	return NULL;
}

static void run(unsigned order)
{
	static const struct ept_options opt = {.pages_1g = true, .pages_2m = true};
	pthread_t thread[THREADS];
	u64 visits = 0, count;

	assert_int_equal(ept_init(&ept, &opt), 0);
	gmem_init(&mem, &ept, order, ~0ull >> 1);
	assert_int_equal(gmem_add_slot(&mem, BASE, PAGES * PAGE_SIZE, 0), 0);
	memset(seen, 0, sizeof(seen));
	for (u64 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, vcpu, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (u64 page = 0; page < PAGES; page++) {
		assert_int_equal(gmem_read(&mem, BASE + page * PAGE_SIZE, &count, sizeof(count)), 0);
		visits += count;
	}
	assert_int_equal(visits, THREADS * EXITS);
	ept_reclaim(&ept, ept.flush_gen);
	assert_int_equal(mem.populated_pages + ept.table_pages, frames_in_use);
	gmem_destroy(&mem);
	ept_destroy(&ept);
	assert_int_equal(frames_in_use, 0);
}

static void test_small_pages(void **state)
{
	(void)state;
	run(0);
}

static void test_large_pages(void **state)
{
	(void)state;
	run(9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_small_pages),
	    cmocka_unit_test(test_large_pages),
	};

	return cmocka_run_group_tests_name("gmem with threads (M43, M44)", tests, NULL, NULL);
}
