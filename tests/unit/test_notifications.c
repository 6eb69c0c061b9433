/* SPDX-License-Identifier: Apache-2.0 */
/* How many notifications requests take, both ways, through a Socle ring and its disk: as many as the batch
 * size says and not one more or earlier (M21), and of 1,000 requests at each depth (M84). */
#include "pv_fake_disk.h"

static struct device_meters meters(void)
{
	struct device_meters m;

	pv_disk_meters(pv, &m);
	return m;
}

static void put_many(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_true(put(SOCLE_RING_READ, 0, i, 512, DATA * PAGE_SIZE) >= 0);
}

static void get_many(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(get(NULL), 0);
}

/* The guest asks to be told when n more are there, for each n that there is; they come back one by one, in
 * any order. */
static void events_by_batch(void **state)
{
	(void)state;
	print_message("events for 960 requests, by the number that the guest waits for:");
	for (unsigned n = 1; n <= RING_SIZE; n++) {
		const unsigned rounds = 960 / n;

		board(0);
		for (unsigned round = 0; round < rounds; round++) {
			assert_int_equal(socle_driver_arm(&driver, n), 0);
			put_many(n);
			ring();
			for (unsigned i = 1; i <= n; i++) {
				assert_int_equal(events, round);
				timer_poll(); /* a turn may be over */
				assert_true(fake_disk_step(&disk));
			}
			assert_int_equal(events, round + 1); /* with the nth, not before */
			get_many(n);
		}
		assert_int_equal(meters().interrupts, rounds);
		assert_int_equal(meters().suppressed, (u64)rounds * (n - 1));
		if ((n & (n - 1)) == 0)
			print_message(" %u: %u", n, events);
		off();
	}
	print_message("\n");
}

/* More come back than were waited for: one event, and it is not for later ones. */
static void one_event_for_what_came(void **state)
{
	(void)state;
	for (unsigned n = 1; n < RING_SIZE; n++) {
		board(0);
		assert_int_equal(socle_driver_arm(&driver, n), 0);
		put_many(RING_SIZE);
		ring();
		for (unsigned i = 1; i <= RING_SIZE; i++) {
			timer_poll();
			assert_true(fake_disk_step(&disk));
			assert_int_equal(events, i >= n);
		}
		assert_int_not_equal(socle_driver_arm(&driver, 1), 0); /* they are there: no sleep */
		get_many(RING_SIZE);
		off();
	}
}

/* Events and doorbells of 1,000 requests: a guest that puts `depth` of them at once and sleeps until the
 * first is back; the disk brings as many as it has before the guest has looked. */
static void thousand(unsigned depth, unsigned *told, unsigned *bells)
{
	struct socle_response r;
	unsigned left = 1000, done = 0;

	board(0);
	put_many(MIN(depth, left));
	left -= MIN(depth, left);
	ring();
	while (done < 1000) {
		unsigned before = done;

		run();
		for (; socle_driver_get(&driver, &r); done++)
			assert_int_equal(r.status, 0);
		assert_true(done > before); /* it sleeps for nothing otherwise */
		(void)socle_driver_arm(&driver, 1);
		put_many(MIN(done - before, left));
		left -= MIN(done - before, left);
		ring();
	}
	*told = events;
	*bells = (unsigned)meters().doorbells;
	off();
}

static void of_a_thousand_requests(void **state)
{
	(void)state;
	print_message("of 1,000 requests:");
	for (unsigned depth = 1; depth <= RING_SIZE; depth *= 2) {
		unsigned told, bells;

		thousand(depth, &told, &bells);
		print_message(" depth %u: %u events, %u doorbells;", depth, told, bells);
		assert_int_equal(told, (1000 + depth - 1) / depth);
		assert_int_equal(bells, (1000 + depth - 1) / depth);
	}
	print_message("\n");
}

/* A guest that looks itself is told nothing. */
static void none_for_who_looks(void **state)
{
	(void)state;
	board(0);
	for (unsigned i = 0; i < 1000; i += 8) {
		__atomic_store_n(&shared->response_event, driver.response_consumer, __ATOMIC_SEQ_CST);
		put_many(8);
		ring();
		run();
		get_many(8);
	}
	assert_int_equal(events, 0);
	assert_int_equal(meters().suppressed, 1000);
	off();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(events_by_batch),
	    cmocka_unit_test(one_event_for_what_came),
	    cmocka_unit_test(of_a_thousand_requests),
	    cmocka_unit_test(none_for_who_looks),
	};

	return cmocka_run_group_tests_name("notifications (M21, M84)", tests, NULL, NULL);
}
