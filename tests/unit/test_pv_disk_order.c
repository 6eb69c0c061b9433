/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring: requests go to the disk in the order of the ring (M72); barriers and FUA,
 * over power cuts too (M82). */
#include "pv_fake_disk.h"

static u64 log_of[256];
static unsigned logged;

static void note(struct fake_disk *d, const struct block_request *r)
{
	(void)d;
	log_of[logged++ % 256] = r->op == BLOCK_FLUSH ? ~0ull : r->sector;
}

/* ---- the trace of what reached the disk ---- */
static u64 taken;

static void next_of_the_ring(struct fake_disk *d, const struct block_request *r)
{
	(void)d;
	if (r->op != BLOCK_FLUSH) /* those have no sector */
		assert_int_equal(r->sector, taken % SECTORS);
	taken++;
}

/* Without barriers, whatever a request is, however many are shown at once, while others come back in any
 * order, and when the ring is full: what is put as number n is the nth that the disk is asked. */
static void taken_in_order(void **state)
{
	struct socle_response r;
	u64 shown = 0, back = 0, deepest = 0;

	(void)state;
	fake_seed = 72;
	taken = 0;
	board(BLOCK_VOLATILE);
	disk.begun = next_of_the_ring;
	while (shown < 20000) {
		for (u64 n = fake_disk_random(80); n; n--) {
			static const u8 ops[] = {SOCLE_RING_READ, SOCLE_RING_WRITE, SOCLE_RING_FLUSH,
						 SOCLE_RING_DISCARD, SOCLE_RING_ZERO};
			u8 op = ops[fake_disk_random(5)];
			bool moves = op <= SOCLE_RING_WRITE;

			if (put(op, 0, op == SOCLE_RING_FLUSH ? 0 : shown % SECTORS,
				moves                    ? 512
				: op == SOCLE_RING_FLUSH ? 0
							 : 1,
				moves ? (DATA + fake_disk_random(8)) * PAGE_SIZE : 0) < 0)
				break;
			shown++;
		}
		ring();
		deepest = MAX(deepest, disk.nr_pending);
		for (u64 n = fake_disk_random(80); n; n--) {
			timer_poll();
			fake_disk_step(&disk);
		}
		for (u64 n = fake_disk_random(80); n && socle_driver_get(&driver, &r); n--, back++)
			assert_int_equal(r.status, 0);
	}
	run();
	for (; socle_driver_get(&driver, &r); back++)
		assert_int_equal(r.status, 0);
	assert_int_equal(taken, shown);
	assert_int_equal(back, shown);
	assert_true(deepest > 32);
	off();
}

/* ---- barriers ---- */
static void barriers_keep_their_place(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		u64 place = 3 + round % 3;

		board(round % 2 ? BLOCK_VOLATILE : 0);
		disk.begun = note;
		logged = 0;
		for (u64 i = 0; i < 8; i++)
			put(i % 2 ? SOCLE_RING_READ : SOCLE_RING_WRITE, i == place ? SOCLE_RING_BARRIER : 0,
			    i, 512, (DATA + i) * PAGE_SIZE);
		ring();
		assert_int_equal(logged, place);
		while (disk.nr_pending > 1) {
			fake_disk_step(&disk);
			timer_poll();
			assert_int_equal(logged, place);
		}
		run();
		/* A flush in front of it and, where it writes, one behind it. */
		unsigned at = (unsigned)place;
		if (round % 2)
			assert_int_equal(log_of[at++], ~0ull);
		assert_int_equal(log_of[at++], place);
		if (round % 2 && place % 2 == 0)
			assert_int_equal(log_of[at++], ~0ull);
		for (u64 i = place + 1; i < 8; i++)
			assert_int_equal(log_of[at++], i);
		assert_int_equal(at, logged);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(get(NULL), 0);
		off();
	}
}

static void a_barrier_that_fails(void **state)
{
	int id, ids[6], status;

	(void)state;
	board(0);
	disk.bad_sector = 2;
	for (unsigned i = 0; i < 6; i++)
		ids[i] = put(SOCLE_RING_WRITE, i == 2 ? SOCLE_RING_BARRIER : 0, i, 512, DATA * PAGE_SIZE);
	ring();
	run();
	for (unsigned i = 0; i < 6; i++) {
		status = get(&id);
		for (unsigned n = 0; n < 6; n++)
			if (ids[n] == id)
				assert_int_equal(status, n < 2 ? 0 : n == 2 ? SOCLE_EIO : SOCLE_ECANCELED);
	}
	assert_int_equal(ask(SOCLE_RING_WRITE, SOCLE_RING_BARRIER, 9, 512, DATA * PAGE_SIZE), 0);
	/* One that is wrong in itself is a barrier still. */
	put(SOCLE_RING_WRITE, SOCLE_RING_BARRIER, SECTORS, 512, DATA * PAGE_SIZE);
	put(SOCLE_RING_WRITE, 0, 0, 512, DATA * PAGE_SIZE);
	ring();
	run();
	assert_int_equal(get(NULL), SOCLE_EINVAL);
	assert_int_equal(get(NULL), SOCLE_ECANCELED);
	off();
}

/* A write-ahead log: eight sectors of data, then, behind a barrier, the record that says that they are
 * valid. Cut at any moment, the record is on the medium only with all of its data; what was answered
 * with FUA is there. */
static void power_cuts(void **state)
{
	unsigned seen = 0;

	(void)state;
	fake_seed = 4711;
	for (unsigned cut = 0; cut < 1000; cut++) {
		bool durable[8] = {false};
		int fua[8], id;

		board(BLOCK_VOLATILE);
		fill(DATA * PAGE_SIZE, 8 * 512, (u8)cut);
		*(u8 *)gmem_ptr(&ram, 30 * PAGE_SIZE, 1) = 0xc0;
		for (u32 i = 0; i < 8; i++)
			fua[i] = put(SOCLE_RING_WRITE, i % 3 ? 0 : SOCLE_RING_FUA, 10 + i, 512,
				     DATA * PAGE_SIZE + i * 512);
		put(SOCLE_RING_WRITE, SOCLE_RING_BARRIER, 9, 512, 30 * PAGE_SIZE);
		ring();
		for (u64 steps = fake_disk_random(40); steps; steps--)
			if (!timer_poll() && !fake_disk_step(&disk))
				break;
		struct socle_response r;
		while (socle_driver_get(&driver, &r)) {
			id = (int)r.id;
			for (unsigned i = 0; i < 8; i += 3)
				durable[i] = durable[i] || fua[i] == id;
		}
		fake_disk_cut(&disk);
		for (u32 i = 0; i < 8; i++)
			if (disk.medium[9 * 512] == 0xc0 || durable[i])
				assert_memory_equal(disk.medium + (10 + i) * 512, ram_page[DATA] + i * 512,
						    512);
		seen += disk.medium[9 * 512] == 0xc0;
		off();
	}
	assert_in_range(seen, 100, 900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(taken_in_order),
	    cmocka_unit_test(barriers_keep_their_place),
	    cmocka_unit_test(a_barrier_that_fails),
	    cmocka_unit_test(power_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
