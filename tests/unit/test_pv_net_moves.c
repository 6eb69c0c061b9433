/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody takes frames of host memory away from two VMs while one sends all it can to the other (M74): it
 * moves the contents elsewhere and overwrites what was there, as a balloon's or a sharer's host does. What is
 * in flight is not moved, so no frame has another byte; the rings are pinned as long as they are open. The
 * guests' own accesses are kept away from a move, as its vCPUs would be. */
#include <pthread.h>

#include "pv_flip_board.h"

#define PAGES 24u /* of each: sent, posted */
#define LENGTH 1514u
#define ROUNDS 3000u
#define MOVES 500u
#define POISON 0xdd

static pthread_mutex_t vcpus = PTHREAD_MUTEX_INITIALIZER;
static bool over;
static u64 moved, refused;

/* One page of a VM, if it may go: spare gets its contents and its place. */
static u64 *move(struct side *s, gpa_t gpa, u64 *spare)
{
	u64 *old = gmem_ptr(&s->mem, gpa, PAGE_SIZE);

	assert_non_null(old);
	if (gmem_freeze(&s->mem, old)) {
		__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
		return spare;
	}
	memcpy(spare, old, PAGE_SIZE);
	assert_int_equal(ept_map(&s->ept, gpa, virt_to_phys(spare), PAGE_SIZE, EPT_RWX, EPT_WB), 0);
	gmem_thaw(&s->mem, old);
	memset(old, POISON, PAGE_SIZE);
	__atomic_fetch_add(&moved, 1, __ATOMIC_RELAXED);
	return old;
}

static void *mover(void *opaque)
{
	u64 *spare = phys_to_virt(page_alloc_zeroed(0)), x = 88172645463325252ull;

	(void)opaque;
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		gpa_t page = (x >> 33) % PAGES * PAGE_SIZE;

		pthread_mutex_lock(&vcpus);
		spare = x >> 63 ? move(a, FRAMES + page, spare) : move(b, ROOMS + page, spare);
		pthread_mutex_unlock(&vcpus);
	}
	page_free(virt_to_phys(spare), 0);
	return NULL;
}

/* What came, each byte of it; the numbers say which frame. */
static u64 look_at(struct side *s, u8 *seed_of_next)
{
	struct socle_response r;
	u64 n = 0;

	for (; answered(s, RX, &r); n++, ++*seed_of_next) {
		const u8 *p;

		assert_int_equal(r.status, 0);
		assert_int_equal(r.length, LENGTH);
		p = side_at(s, ROOMS + *seed_of_next % PAGES * PAGE_SIZE, PAGE_SIZE);
		for (u32 i = 2 * NET_ADDRESS; i < LENGTH; i++)
			if (p[i] != (u8)(*seed_of_next + i * 3))
				fail_msg("frame %u byte %u is %x", *seed_of_next, i, p[i]);
	}
	return n;
}

/* For pages that may go, and for one that may not. */
static bool asked_enough(void)
{
	return __atomic_load_n(&moved, __ATOMIC_RELAXED) >= MOVES &&
	       __atomic_load_n(&refused, __ATOMIC_RELAXED);
}

static void pages_in_flight_stay(void **state)
{
	pthread_t thread;
	u64 got = 0, sent = 0;
	u8 next = 0, seed = 0;

	(void)state;
	over = false;
	moved = refused = 0;
	assert_int_equal(pthread_create(&thread, NULL, mover, NULL), 0);
	for (unsigned round = 0; round < ROUNDS || (!asked_enough() && round < 100 * ROUNDS); round++) {
		struct socle_response r;

		pthread_mutex_lock(&vcpus);
		for (unsigned i = 0; i < 4; i++, seed++) {
			put(b, RX, LENGTH, ROOMS + seed % PAGES * PAGE_SIZE, 0);
			compose(a, b->address, FRAMES + seed % PAGES * PAGE_SIZE, LENGTH, seed);
			put(a, TX, LENGTH, FRAMES + seed % PAGES * PAGE_SIZE, 0);
			sent++;
		}
		pthread_mutex_unlock(&vcpus);
		assert_int_equal(pv_doorbell(&a->bus, 0, TX), 0);
		wait_a_while();
		pthread_mutex_lock(&vcpus);
		got += look_at(b, &next);
		while (answered(a, TX, &r))
			assert_int_equal(r.status, 0);
		pthread_mutex_unlock(&vcpus);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	print_message("%llu frames, %llu pages moved, %llu in flight\n", (unsigned long long)got,
		      (unsigned long long)moved, (unsigned long long)refused);
	assert_int_equal(got, sent);
	assert_true(moved >= MOVES);
	assert_true(refused > 0);
}

/* An open ring is in flight; a closed one is not. */
static void rings_stay_while_open(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * SIDES; i++) {
		struct side *s = &side[i / 2];
		void *ring = gmem_ptr(&s->mem, RING_OF(i % 2), 8);

		assert_int_equal(gmem_freeze(&s->mem, ring), ERR_AGAIN);
		assert_int_equal(pv_close(&s->bus, 0, i % 2), 0);
		assert_int_equal(gmem_freeze(&s->mem, ring), 0);
		gmem_thaw(&s->mem, ring);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(pages_in_flight_stay, setup, teardown),
	    cmocka_unit_test_setup_teardown(rings_stay_while_open, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
