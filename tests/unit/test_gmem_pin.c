/* SPDX-License-Identifier: Apache-2.0 */
/* Pages in flight (M74): they stay where they are until they are unpinned, whoever wants to move them, and
 * no more of them than the quota (M79). */
#include "frames.h"

#include "gmem.h"

#define BASE (1ull << 30)
#define ROM (2ull << 30)
#define PAGES 64u

static struct ept ept;
static struct gmem mem;
static struct gmem_tlb tlb;

static int board(void **state)
{
	static const struct ept_options opt = {.pages_1g = true, .pages_2m = true};

	(void)state;
	assert_int_equal(ept_init(&ept, &opt), 0);
	gmem_init(&mem, &ept, 0, ~0ull >> 1);
	assert_int_equal(gmem_add_slot(&mem, BASE, PAGES * PAGE_SIZE, 0), 0);
	assert_int_equal(gmem_add_slot(&mem, ROM, PAGE_SIZE, GMEM_READONLY), 0);
	gmem_tlb_reset(&tlb);
	return 0;
}

static int board_off(void **state)
{
	(void)state;
	assert_int_equal(mem.pinned_pages, 0);
	for (unsigned i = 0; i < GMEM_PIN_BUCKETS; i++)
		assert_int_equal(mem.pins[i], 0);
	gmem_destroy(&mem);
	ept_destroy(&ept);
	assert_int_equal(frames_in_use, 0);
	return 0;
}

static int pin(gpa_t gpa, size_t n, bool to_guest, void **host)
{
	return gmem_pin(&mem, &tlb, gpa, n, to_guest, host);
}

static void what_can_be_pinned(void **state)
{
	void *a, *b;

	(void)state;
	/* With nothing remembered yet, no address is. */
	for (unsigned bit = 0; bit < 64; bit++)
		for (u64 page = 0; page < 64; page++)
			if (bit != 30 && bit != 31 && (bit < 12 || bit > 17))
				assert_int_equal(pin((1ull << bit) + page * PAGE_SIZE, 1, false, &a),
						 ERR_FAULT);
	assert_int_equal(pin(BASE + 100, 8, true, &a), 0);
	memcpy(a, "together", 8);
	assert_int_equal(pin(BASE + 96, 16, false, &b), 0);
	assert_ptr_equal((u8 *)b + 4, a);
	assert_int_equal(mem.pinned_pages, 2);
	/* Neither a wrong range nor ROM. */
	void *none = NULL;
	assert_int_equal(pin(BASE + 4090, 8, false, &none), ERR_FAULT);
	assert_int_equal(pin(BASE - 8, 8, false, &none), ERR_FAULT);
	assert_int_equal(pin(BASE, 0, false, &none), ERR_FAULT);
	assert_int_equal(pin(BASE, ~(size_t)0, true, &none), ERR_FAULT);
	assert_int_equal(pin(~0ull, 1, false, &none), ERR_FAULT);
	assert_int_equal(pin(ROM, 8, true, &none), ERR_FAULT);
	assert_null(none);
	assert_int_equal(mem.pinned_pages, 2);
	assert_int_equal(pin(ROM, 8, false, &none), 0);
	gmem_unpin(&mem, none);
	gmem_unpin(&mem, a);
	gmem_unpin(&mem, b);
}

static void pinned_pages_stay(void **state)
{
	void *a, *b;
	u64 gen;

	(void)state;
	assert_int_equal(pin(BASE + PAGE_SIZE, 1, true, &a), 0);
	assert_int_equal(pin(BASE + PAGE_SIZE, 1, false, &b), 0);
	gen = ept.flush_gen;
	assert_int_equal(gmem_hide(&mem, BASE + PAGE_SIZE), ERR_AGAIN);
	assert_int_equal(gmem_freeze(&mem, a), ERR_AGAIN);
	gmem_unpin(&mem, a);
	assert_int_equal(gmem_hide(&mem, BASE + PAGE_SIZE + 5), ERR_AGAIN);
	assert_int_equal(ept.flush_gen, gen);
	gmem_unpin(&mem, b);
	assert_int_equal(gmem_hide(&mem, BASE + PAGE_SIZE), 0);
	assert_int_not_equal(ept.flush_gen, gen);
	/* Hidden from the guest, not from devices: the frame is its own still. */
	assert_int_equal(pin(BASE + PAGE_SIZE, 1, true, &b), 0);
	assert_ptr_equal(a, b);
	gmem_unpin(&mem, b);
}

static void a_quota(void **state)
{
	void *host[5], *none = NULL;

	(void)state;
	assert_int_equal(mem.pinned_limit, GMEM_PINNED_MAX);
	mem.pinned_limit = 4;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pin(BASE + i / 2 * PAGE_SIZE, 1, true, &host[i]), 0);
	assert_int_equal(pin(BASE, 1, true, &none), ERR_AGAIN);
	assert_int_equal(pin(BASE + 9 * PAGE_SIZE, 1, true, &none), ERR_AGAIN);
	assert_null(none);
	gmem_unpin(&mem, host[2]);
	assert_int_equal(pin(BASE + 9 * PAGE_SIZE, 1, true, &host[2]), 0);
	for (unsigned i = 0; i < 4; i++)
		gmem_unpin(&mem, host[i]);
}

/* A VM whose quota is used up takes nothing from another one's. */
static void quotas_are_each_ones_own(void **state)
{
	static const struct ept_options opt = {.pages_1g = true, .pages_2m = true};
	struct gmem_tlb other_tlb;
	struct ept other_ept;
	struct gmem other;
	static void *host[GMEM_PINNED_MAX], *its[GMEM_PINNED_MAX];
	void *none = NULL;

	(void)state;
	assert_int_equal(ept_init(&other_ept, &opt), 0);
	gmem_init(&other, &other_ept, 0, ~0ull >> 1);
	assert_int_equal(gmem_add_slot(&other, BASE, PAGES * PAGE_SIZE, 0), 0);
	gmem_tlb_reset(&other_tlb);
	for (unsigned i = 0; i < GMEM_PINNED_MAX; i++)
		assert_int_equal(pin(BASE + i % PAGES * PAGE_SIZE, 1, true, &host[i]), 0);
	assert_int_equal(pin(BASE, 1, true, &none), ERR_AGAIN);
	for (unsigned i = 0; i < GMEM_PINNED_MAX; i++)
		assert_int_equal(gmem_pin(&other, &other_tlb, BASE + i % PAGES * PAGE_SIZE, 1, true, &its[i]),
				 0);
	assert_int_equal(gmem_pin(&other, &other_tlb, BASE, 1, true, &none), ERR_AGAIN);
	for (unsigned i = 0; i < GMEM_PINNED_MAX; i++) {
		gmem_unpin(&mem, host[i]);
		gmem_unpin(&other, its[i]);
	}
	assert_int_equal(other.pinned_pages, 0);
	gmem_destroy(&other);
	ept_destroy(&other_ept);
}

static void no_memory(void **state)
{
	void *none = NULL;

	(void)state;
	frames_fail_after = 0;
	assert_int_equal(pin(BASE + 3 * PAGE_SIZE, 1, true, &none), ERR_FAULT);
	frames_fail_after = -1;
	assert_null(none);
}

/* ---- who moves pages against who has them in flight ---- */
#define ROUNDS 20000u
#define MOVES 100u /* at least, however the host's CPUs are shared out */
#define MARK 0x70696e6e6564ull
#define POISON 0xdeaddeaddeadull

static bool over;
static u64 moved;

/* A page's first word says whose frame it is: MARK + page, or POISON where it is nobody's. */
static void *mover(void *opaque)
{
	u64 *spare = phys_to_virt(page_alloc_zeroed(0));
	u64 x = 88172645463325252ull;

	(void)opaque;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		u64 page = (x >> 33) % PAGES;
		gpa_t gpa = BASE + page * PAGE_SIZE;
		u64 *old = gmem_ptr(&mem, gpa, 8);

		if (gmem_freeze(&mem, old))
			continue;
		memcpy(spare, old, PAGE_SIZE);
		assert_int_equal(ept_map(&ept, gpa, virt_to_phys(spare), PAGE_SIZE, EPT_RWX, EPT_WB), 0);
		gmem_thaw(&mem, old);
		__atomic_store_n(&old[0], POISON, __ATOMIC_SEQ_CST);
		spare = old;
		__atomic_fetch_add(&moved, 1, __ATOMIC_RELAXED);
	}
	page_free(virt_to_phys(spare), 0);
	return NULL;
}

static void *device(void *opaque)
{
	u64 x = (u64)opaque * 7919 + 1, wrong = 0;
	struct gmem_tlb own;
	u64 *p;

	gmem_tlb_reset(&own);
	for (unsigned i = 0;
	     i < ROUNDS || (__atomic_load_n(&moved, __ATOMIC_RELAXED) < MOVES && i < 1000 * ROUNDS); i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		u64 page = (x >> 33) % PAGES;

		int rc = gmem_pin(&mem, &own, BASE + page * PAGE_SIZE, 16, true, (void **)&p);
		if (rc == ERR_AGAIN)
			continue; /* lost too often against the mover */
		assert_int_equal(rc, 0);
		for (unsigned n = 0; n < 20; n++)
			wrong += __atomic_load_n(&p[0], __ATOMIC_SEQ_CST) != MARK + page;
		__atomic_fetch_add(&p[1], 1, __ATOMIC_RELAXED);
		gmem_unpin(&mem, p);
	}
	return (void *)wrong;
}

static void moves_and_pins_race(void **state)
{
	pthread_t threads[3];
	void *wrong;

	(void)state;
	for (u64 i = 0; i < PAGES; i++) {
		u64 mark = MARK + i;
		assert_int_equal(gmem_write(&mem, BASE + i * PAGE_SIZE, &mark, sizeof(mark)), 0);
	}
	over = false;
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i ? device : mover, (void *)i), 0);
	for (unsigned i = 1; i < 3; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(threads[0], NULL);
	assert_true(moved >= MOVES);
	ept_reclaim(&ept, ept.flush_gen);
}

/* Frames may be given back only when the last I/O has ended. */
static void *late(void *opaque)
{
	struct timespec t = {.tv_nsec = 50000000};

	nanosleep(&t, NULL);
	assert_true(__atomic_load_n(&frames_in_use, __ATOMIC_RELAXED) > 0);
	assert_int_equal(*(u8 *)opaque, 77);
	gmem_unpin(&mem, opaque);
	return NULL;
}

static void destruction_waits(void **state)
{
	pthread_t thread;
	void *host;

	assert_int_equal(pin(BASE, 1, true, &host), 0);
	*(u8 *)host = 77;
	assert_int_equal(pthread_create(&thread, NULL, late, host), 0);
	gmem_destroy(&mem);
	pthread_join(thread, NULL);
	ept_destroy(&ept);
	assert_int_equal(frames_in_use, 0);
	board(state);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board, board_off)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_can_be_pinned), T(pinned_pages_stay),   T(a_quota),           T(quotas_are_each_ones_own),
	    T(no_memory),          T(moves_and_pins_race), T(destruction_waits),
	};

	return cmocka_run_group_tests_name("pages in flight (M74, M79)", tests, NULL, NULL);
}
