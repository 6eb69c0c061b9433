/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio disk with several queues (M80): each has its requests, its completions and its vector, and none
 * waits for another; what one has begun ends there, also in a reset. */
#include "virtio_blk_board.h"

#define F_MQ BIT(12)
#define NR 3u
#define QUEUE_OF(q) ((q) ? HIGH_BASE + 0x10000ull * (q) : QUEUE)

static struct driver drivers[NR];

/* The tables, headers and data of each queue are its own. */
static void begin(u64 features)
{
	for (u32 q = 0; q < NR; q++)
		driver_init(&drivers[q], 64, features, QUEUE_OF(q));
	assert_true(negotiate(features));
	for (u16 q = 0; q < NR; q++) {
		queue_place(q, &drivers[q].s);
		common_set(0x1c, 2, 1);
	}
	cfg_set(seen.msix + 2, 2, 0x8000);
	for (u16 q = 0; q < NR; q++) {
		board_write(false, seen.msix_table + 16 * (q + 1), 8, 0xfee00000);
		board_write(false, seen.msix_table + 16 * (q + 1) + 8, 8, 0x40 + q);
		common_set(0x16, 2, q);
		common_set(0x1a, 2, q + 1);
		assert_int_equal(common(0x1a, 2), q + 1);
	}
	common_set(0x14, 1, 15);
	assert_int_equal(status(), 15);
	board.messages = 0;
}

static u16 add_to(unsigned q, unsigned tag, u32 type, u64 sector)
{
	driver = drivers[q];
	u16 id = add(tag, type, sector, DATA + 0x200ull * tag, 512);
	drivers[q] = driver;
	return id;
}

static bool used_of(unsigned q, u16 *id)
{
	u32 len;
	return driver_used(&drivers[q], id, &len);
}

static void config(void **state)
{
	(void)state;
	board_queues = NR;
	create(0, true);
	assert_int_equal(device_features() & F_MQ, F_MQ);
	assert_int_equal(board_read(false, seen.config + 34, 2), NR);
	assert_int_equal(common(0x12, 2), NR);
	assert_int_equal((cfg(seen.msix + 2, 2) & 0x7ff) + 1, NR + 1);
	destroy();
	board_queues = 200;
	create(0, true);
	assert_int_equal(board_read(false, seen.config + 34, 2), VIRTIO_BLK_QUEUES_MAX);
	destroy();
	board_queues = 1;
	create(0, true);
	assert_int_equal(device_features() & F_MQ, 0);
	destroy();
}

static void none_waits_for_another(void **state)
{
	u16 id, back;
	struct device_meters m;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		board_queues = NR;
		create(0, l);
		begin(layout(l) | F_MQ);
		hold = true;
		id = add_to(0, 0, IN, 5);
		doorbell(0);
		assert_int_equal(nr_held, 1);
		hold = false;
		for (unsigned q = 1; q < NR; q++) {
			u16 mine = add_to(q, q, IN, 10 + q);
			doorbell((u16)q);
			assert_true(used_of(q, &back));
			assert_int_equal(back, mine);
			assert_int_equal(answer(q), 0);
			assert_int_equal(*(u8 *)at(DATA + 0x200ull * q, 1), (u8)(7 * (10 + q)));
			assert_int_equal(board.messages, q);
			assert_int_equal(board.data, 0x40 + q);
		}
		assert_false(used_of(0, &back));
		let_go(0);
		assert_true(used_of(0, &back));
		assert_int_equal(back, id);
		assert_int_equal(board.data, 0x40);
		assert_int_equal(board.messages, NR);
		virtio_blk_meters(blk, &m);
		assert_int_equal(m.doorbells, NR);
		assert_int_equal(m.interrupts, NR);
		assert_int_equal(m.suppressed, 0);
		/* The driver's registers, and MSI-X's. */
		assert_true(m.accesses > NR);
		doorbell(0);
		u64 before = m.accesses;
		virtio_blk_meters(blk, &m);
		assert_int_equal(m.accesses, before + 1);
		destroy();
	}
}

/* By a CPU that polls: all queues, and after the first requests the drivers have nothing to tell of. */
static void polled(void **state)
{
	struct device_meters m;
	u16 back;

	(void)state;
	shim_polling = 1;
	for (unsigned l = 0; l < 2; l++) {
		unsigned rung = 0;

		board_queues = NR;
		create(0, l);
		assert_non_null(shim_poller);
		assert_false(shim_poller->poll(shim_poller->opaque));
		begin(layout(l) | F_MQ | VIRTIO_F_EVENT_IDX);
		for (unsigned round = 0; round < 300; round++) {
			unsigned q = round % NR;
			u16 id = add_to(q, q, IN, 10 + q);

			rung += driver_kick(&drivers[q]);
			assert_true(shim_poller->poll(shim_poller->opaque));
			assert_true(used_of(q, &back));
			assert_int_equal(back, id);
			assert_int_equal(answer(q), 0);
			assert_false(shim_poller->poll(shim_poller->opaque));
		}
		assert_in_range(rung, 0, NR);
		virtio_blk_meters(blk, &m);
		assert_int_equal(m.doorbells, 0);
		destroy();
		assert_null(shim_poller);
	}
	shim_polling = 0;
}

/* Two queues at once, completions in any order: each of them in its own queue. */
static void in_flight_on_all(void **state)
{
	static unsigned queue_of[NR][64];
	unsigned added[NR] = {0}, done[NR] = {0};
	u32 seed = 7;
	u16 id;

	(void)state;
	create(0, true);
	begin(layout(1) | F_MQ);
	hold = true;
	for (unsigned round = 0; round < 3000; round++) {
		unsigned q = (seed = seed * 1664525 + 1013904223) >> 24;
		q %= NR;
		if (added[q] - done[q] < 8) {
			unsigned tag = q * 8 + added[q] % 8;
			queue_of[q][add_to(q, tag, OUT, tag)] = 1;
			added[q]++;
			doorbell((u16)q);
		}
		if (nr_held && seed >> 20 & 1)
			let_go((seed >> 8) % nr_held);
		for (q = 0; q < NR; q++)
			while (used_of(q, &id)) {
				assert_int_equal(queue_of[q][id], 1);
				queue_of[q][id] = 0;
				done[q]++;
			}
		/* Tags come again in order: none may be out twice. */
		for (q = 0; q < NR; q++)
			if (added[q] - done[q] == 8)
				while (nr_held)
					let_go(0);
	}
	assert_true(added[0] > 100 && added[1] > 100 && added[2] > 100);
	while (nr_held)
		let_go(0);
	for (unsigned q = 0; q < NR; q++) {
		while (used_of(q, &id))
			done[q]++;
		assert_int_equal(added[q], done[q]);
	}
	destroy();
}

static void reset_waits_for_all(void **state)
{
	(void)state;
	create(0, false);
	begin(layout(0) | F_MQ);
	hold = true;
	add_to(2, 0, IN, 1);
	doorbell(2);
	assert_int_equal(nr_held, 1);
	common_set(0x14, 1, 0);
	assert_int_not_equal(status(), 0);
	add_to(1, 1, IN, 1);
	doorbell(1);
	assert_int_equal(nr_held, 1);
	let_go(0);
	assert_int_equal(status(), 0);
	/* A queue that breaks the rules takes the device with it. */
	hold = false;
	begin(layout(0) | F_MQ);
	add_to(0, 0, IN, 1);
	set32(drivers[1].s.driver, 40u << 16 | 0);
	assert_int_equal(gmem_set(&guest_ram, drivers[1].s.desc, 0xff, 64), 0);
	doorbell(1);
	assert_int_equal(status() & 0x40, 0x40);
	submits = 0;
	doorbell(0);
	assert_int_equal(submits, 0);
	destroy();
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(config),           cmocka_unit_test(none_waits_for_another),
	    cmocka_unit_test(in_flight_on_all), cmocka_unit_test(reset_waits_for_all),
	    cmocka_unit_test(polled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
