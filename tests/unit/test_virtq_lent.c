/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's memory is used by virtqueues without pins (M74): so its pages keep their frames from the moment
 * when a queue begins, whoever wants to exchange them (M76). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "virtq_test.h"

#define ONE DATA
#define OTHER (DATA + 0x10000)

/* As two interfaces that exchange a page for a page. */
static int exchange(gpa_t x, gpa_t y)
{
	struct gmem_page p = {.mem = &guest_ram, .gpa = x}, q = {.mem = &guest_ram, .gpa = y};
	struct gmem_tlb tlb;
	void *host[2];
	int rc;

	gmem_tlb_reset(&tlb);
	assert_int_equal(gmem_pin(&guest_ram, &tlb, x, PAGE_SIZE, true, &host[0]), 0);
	assert_int_equal(gmem_pin(&guest_ram, &tlb, y, PAGE_SIZE, true, &host[1]), 0);
	p.host = host[0];
	q.host = host[1];
	rc = gmem_exchange(&p, &q);
	gmem_unpin(&guest_ram, p.host);
	gmem_unpin(&guest_ram, q.host);
	return rc;
}

static void begin(u64 features)
{
	driver_init(&driver, 16, features, QUEUE);
	assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), 0);
}

static void in_flight(void **state)
{
	static const u64 layout[] = {0, VIRTIO_F_RING_PACKED};
	struct piece segments[8];
	struct virtq_chain c;
	u16 id;
	u32 len;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(layout); i++) {
		const struct buffer b[] = {{ONE, PAGE_SIZE, true}, {OTHER + 100, 1, true}};

		teardown(NULL);
		ram_create();
		set32(ONE, 1);
		assert_int_equal(exchange(ONE, OTHER), 0);
		assert_int_equal(get32(OTHER), 1);
		begin(layout[i]);
		u64 gen = guest_ept.flush_gen;
		assert_int_equal(driver_add(&driver, b, 2, false) >= 0, true);
		c = (struct virtq_chain){.segments = segments, .room = ARRAY_SIZE(segments)};
		assert_int_equal(virtq_pop(&queue, &c), 1);
		/* Data, the queue itself, and what nobody uses: nothing moves, and nobody has to flush. */
		assert_int_equal(exchange(ONE, OTHER), ERR_AGAIN);
		assert_int_equal(exchange(ALIGN_DOWN(driver.s.device, PAGE_SIZE), ONE), ERR_AGAIN);
		assert_int_equal(exchange(QUEUE, OTHER), ERR_AGAIN);
		assert_int_equal(exchange(HIGH_BASE, HIGH_BASE + PAGE_SIZE), ERR_AGAIN);
		assert_true(guest_ept.flush_gen == gen);
		/* A disk answers late, by the pointers that it was given. */
		memset(segments[0].base, 0x77, segments[0].length);
		*segments[1].base = 5;
		virtq_push(&queue, &c, PAGE_SIZE + 1);
		assert_int_equal(get32(ONE), 0x77777777);
		assert_int_equal(*(u8 *)at(OTHER + 100, 1), 5);
		assert_true(driver_used(&driver, &id, &len));
		assert_int_equal(len, PAGE_SIZE + 1);
		/* A queue that failed, or was stopped, may have requests that are on their way. */
		driver.s.desc += 1;
		assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), ERR_INVAL);
		assert_int_equal(exchange(ONE, OTHER), ERR_AGAIN);
	}
}

/* ---- an exchange that is under way when a queue begins ---- */
#define ROUNDS 200
static bool ends; /* atomic */

static void *exchanges(void *opaque)
{
	u64 *done = opaque;

	while (!__atomic_load_n(&ends, __ATOMIC_ACQUIRE))
		if (exchange(ALIGN_DOWN(driver.s.device, PAGE_SIZE), OTHER) == 0)
			__atomic_fetch_add(done, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void under_way(void **state)
{
	u64 done = 0, sum = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		const struct buffer b = {ONE, 16, true};
		struct piece segment[2];
		struct virtq_chain c = {.segments = segment, .room = 2};
		pthread_t thread;
		u16 id;
		u32 len;

		teardown(NULL);
		ram_create();
		ends = false;
		done = 0;
		driver_init(&driver, 16, 0, QUEUE);
		set16(OTHER, 0);
		assert_int_equal(pthread_create(&thread, NULL, exchanges, &done), 0);
		while (!__atomic_load_n(&done, __ATOMIC_RELAXED) && i % 2)
			cpu_relax();
		assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), 0);
		u64 gen = __atomic_load_n(&guest_ept.flush_gen, __ATOMIC_SEQ_CST);
		driver_add(&driver, &b, 1, false);
		assert_int_equal(virtq_pop(&queue, &c), 1);
		virtq_push(&queue, &c, 16);
		assert_true(driver_used(&driver, &id, &len));
		__atomic_store_n(&ends, true, __ATOMIC_RELEASE);
		pthread_join(thread, NULL);
		assert_true(guest_ept.flush_gen == gen);
		sum += done;
	}
	assert_true(sum >= ROUNDS / 2);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(in_flight, setup, teardown),
	    cmocka_unit_test_setup_teardown(under_way, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
