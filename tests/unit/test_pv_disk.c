/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring: data by address and in any order (M71, M80), barriers and FUA over power
 * cuts (M82), pages in flight and their quota (M74, M79), notification (M84), and what guests do wrong (M67).
 */
#include "pv_fake_disk.h"

static void what_it_says_of_itself(void **state)
{
	struct socle_device d;

	(void)state;
	board(BLOCK_VOLATILE);
	assert_int_equal(pv_query(&bus, 0, &d), 0);
	assert_int_equal(d.kind, SOCLE_DEVICE_DISK);
	assert_int_equal(d.flags, SOCLE_DISK_VOLATILE);
	assert_int_equal(d.nr_rings, 1);
	assert_int_equal(d.sectors, SECTORS);
	assert_int_equal(d.max_length, 1 << 20);
	assert_int_equal(d.max_pages, GMEM_PINNED_MAX);
	assert_string_equal(d.name, "disk1");
	assert_true(pv_disk_usage(pv) > 0);
	for (u64 i = 1; i; i <<= 1)
		assert_int_equal(pv_query(&bus, i, &d), ERR_NOENT);
	off();
	board(BLOCK_READ_ONLY);
	assert_int_equal(pv_query(&bus, 0, &d), 0);
	assert_int_equal(d.flags, SOCLE_DISK_READ_ONLY);
	off();
}

static void there_and_back(void **state)
{
	(void)state;
	board(0);
	for (u32 n = 1; n <= 16; n++) {
		gpa_t from = DATA * PAGE_SIZE + n * 333, to = (DATA + 10) * PAGE_SIZE + n * 77;

		fill(from, n * 512, (u8)n);
		assert_int_equal(ask(SOCLE_RING_WRITE, 0, n * 20, n * 512, from), 0);
		assert_int_equal(ask(SOCLE_RING_READ, 0, n * 20, n * 512, to), 0);
		for (u32 i = 0; i < n * 512; i++)
			assert_int_equal(*(u8 *)gmem_ptr(&ram, to + i, 1),
					 *(u8 *)gmem_ptr(&ram, from + i, 1));
	}
	assert_int_equal(disk.medium[20 * 16 * 512], 16);
	assert_int_equal(ask(SOCLE_RING_FLUSH, 0, 0, 0, 0), 0);
	assert_int_equal(ask(SOCLE_RING_ZERO, 0, 320, 1, 0), 0);
	assert_int_equal(ask(SOCLE_RING_DISCARD, 0, 321, 1, 0), 0);
	for (u32 i = 0; i < 1024; i++)
		assert_int_equal(disk.medium[320 * 512 + i], 0);
	assert_int_equal(disk.medium[322 * 512], (u8)(16 + 2 * 31 + 1024));
	off();
}

static void a_list_of_segments(void **state)
{
	struct socle_request r = {
	    .operation = SOCLE_RING_WRITE, .nr_segments = 3, .length = 1024, .address = 20 * PAGE_SIZE};
	struct socle_segment *list;
	u8 expected[1024];

	(void)state;
	board(0);
	list = gmem_ptr(&ram, 20 * PAGE_SIZE, 48);
	list[0] = (struct socle_segment){21 * PAGE_SIZE + 4000, 200, 0};
	list[1] = (struct socle_segment){23 * PAGE_SIZE + 1, 1, 0};
	list[2] = (struct socle_segment){24 * PAGE_SIZE, 823, 0};
	for (u32 i = 0; i < 1024; i++) {
		u32 k = i < 200 ? 0 : i < 201 ? 1 : 2, at = k == 0 ? i : k == 1 ? 0 : i - 201;

		expected[i] = (u8)(i * 7);
		*(u8 *)gmem_ptr(&ram, list[k].address + at, 1) = expected[i];
	}
	socle_driver_put(&driver, &r);
	ring();
	assert_int_equal(ram.pinned_pages, 1 + 4);
	memset(list, 0xff, 48); /* was read once */
	run();
	assert_int_equal(get(NULL), 0);
	assert_int_equal(ram.pinned_pages, 1);
	assert_memory_equal(disk.medium, expected, 1024);
	off();
}

static void any_order(void **state)
{
	int ids[64], back;
	bool seen[64] = {false};
	bool mixed = false;

	(void)state;
	board(0);
	for (unsigned round = 0; round < 50; round++) {
		memset(seen, 0, sizeof(seen));
		for (unsigned i = 0; i < 64; i++) {
			ids[i] = put(SOCLE_RING_READ, 0, i, 512, (DATA + i % 8) * PAGE_SIZE);
			assert_in_range(ids[i], 0, 63);
		}
		assert_int_equal(put(SOCLE_RING_READ, 0, 0, 512, DATA * PAGE_SIZE), -1);
		ring();
		assert_int_equal(disk.nr_pending, 64);
		run();
		for (unsigned i = 0; i < 64; i++) {
			assert_int_equal(get(&back), 0);
			assert_false(seen[back]);
			seen[back] = true;
			mixed = mixed || back != ids[i];
		}
	}
	assert_true(mixed);
	off();
}

/* ---- what guests do wrong ---- */
enum { R = SOCLE_RING_READ, W = SOCLE_RING_WRITE, Z = SOCLE_RING_ZERO, D = SOCLE_RING_DISCARD };
static const struct {
	u8 op, flags;
	u16 segments;
	u64 sector, length;
	gpa_t address;
	int status;
} rows[] = {
    {0, 0, 0, 0, 512, DATA *PAGE_SIZE, SOCLE_ENOTSUP},
    {SOCLE_RING_SEND, 0, 0, 0, 512, DATA *PAGE_SIZE, SOCLE_ENOTSUP},
    {255, 0, 0, 0, 512, DATA *PAGE_SIZE, SOCLE_ENOTSUP},
    {R, 4, 0, 0, 512, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {R, SOCLE_RING_FUA, 0, 0, 512, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {SOCLE_RING_FLUSH, SOCLE_RING_FUA, 0, 0, 0, 0, SOCLE_EINVAL},
    {W, 0x80, 0, 0, 512, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {R, 0, 0, 0, 0, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {R, 0, 0, 0, 511, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {R, 0, 0, 0, 0xffffffff, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {R, 0, 0, 0, 0xfffffe00, DATA *PAGE_SIZE, SOCLE_E2BIG},
    {R, 0, 0, SECTORS, 512, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {W, 0, 0, SECTORS - 1, 1024, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {W, 0, 0, ~0ull, 512, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {W, 0, 0, ~0ull - 1, 2048, DATA *PAGE_SIZE, SOCLE_EINVAL},
    {R, 0, 0, 0, 512, RAM_HOLE *PAGE_SIZE, SOCLE_EFAULT},
    {R, 0, 0, 0, 512, RAM_HOLE *PAGE_SIZE - 1, SOCLE_EFAULT},
    {R, 0, 0, 0, 512, RAM_ROM *PAGE_SIZE, SOCLE_EFAULT},
    {R, 0, 0, 0, 512, ~0ull - 100, SOCLE_EFAULT},
    {R, 0, 1, 0, 512, RAM_HOLE *PAGE_SIZE, SOCLE_EFAULT},
    {R, 0, 1, 0, 512, 30 * PAGE_SIZE + 8, SOCLE_EINVAL},
    {R, 0, 2, 0, 512, 31 * PAGE_SIZE - 16, SOCLE_EINVAL},
    {R, 0, 129, 0, 512, 30 * PAGE_SIZE, SOCLE_E2BIG},
    {R, 0, 0xffff, 0, 512, 30 * PAGE_SIZE, SOCLE_E2BIG},
    {R, 0, 1, 0, 512, 30 * PAGE_SIZE, SOCLE_EINVAL}, /* a segment of length 0 */
    {Z, 0, 0, 0, 0, 0, SOCLE_EINVAL},
    {Z, 0, 0, 0, 2049, 0, SOCLE_E2BIG},
    {D, 0, 0, 0, 0xffffffff, 0, SOCLE_E2BIG},
    {D, 0, 0, SECTORS - 1, 2, 0, SOCLE_EINVAL},
};

static void bad_requests(void **state)
{
	(void)state;
	board(0);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct socle_request r = {.operation = rows[i].op,
						.flags = rows[i].flags,
						.nr_segments = rows[i].segments,
						.length = (u32)rows[i].length,
						.sector = rows[i].sector,
						.address = rows[i].address};
		socle_driver_put(&driver, &r);
		ring();
		assert_int_equal(get(NULL), rows[i].status);
		assert_int_equal(ram.pinned_pages, 1);
	}
	assert_int_equal(disk.dispatches + disk.flushes, 0);
	assert_int_equal(ask(W, SOCLE_RING_FUA, SECTORS - 1, 512, DATA * PAGE_SIZE), 0);
	off();
	board(BLOCK_READ_ONLY);
	assert_int_equal(ask(W, 0, 0, 512, DATA * PAGE_SIZE), SOCLE_EROFS);
	assert_int_equal(ask(Z, 0, 0, 1, 0), SOCLE_EROFS);
	assert_int_equal(ask(D, 0, 0, 1, 0), SOCLE_EROFS);
	assert_int_equal(ask(R, SOCLE_RING_BARRIER, 0, 512, DATA * PAGE_SIZE), 0);
	assert_int_equal(ask(SOCLE_RING_FLUSH, 0, 0, 0, 0), 0);
	off();
	board(0);
	disk.bad_sector = 5;
	assert_int_equal(ask(R, 0, 4, 1024, DATA * PAGE_SIZE), SOCLE_EIO);
	off();
}

static void bad_rings(void **state)
{
	(void)state;
	board(0);
	assert_int_equal(pv_open(&bus, 0, 0, RING_GPA, RING_SIZE, 0), ERR_EXIST);
	assert_int_equal(pv_open(&bus, 1, 0, RING_GPA, RING_SIZE, 0), ERR_NOENT);
	assert_int_equal(pv_open(&bus, 0, 1, RING_GPA, RING_SIZE, 0), ERR_NOENT);
	assert_int_equal(pv_open(&bus, ~0ull, 0, RING_GPA, RING_SIZE, 0), ERR_NOENT);
	assert_int_equal(pv_doorbell(&bus, 0, 1), ERR_NOENT);
	assert_int_equal(pv_doorbell(&bus, 1, 0), ERR_NOENT);
	assert_int_equal(pv_doorbell(&bus, 0, 1ull << 32), ERR_NOENT);
	assert_int_equal(pv_close(&bus, 0, 1), ERR_NOENT);
	assert_int_equal(pv_close(&bus, 0, 0), 0);
	assert_int_equal(pv_close(&bus, 0, 0), ERR_NOENT);
	assert_int_equal(pv_doorbell(&bus, 0, 0), ERR_NOENT);
	assert_int_equal(pv_open(&bus, 0, 0, RING_GPA, 0, 0), ERR_INVAL);
	assert_int_equal(pv_open(&bus, 0, 0, RING_GPA, 1ull << 32 | 64, 0), ERR_INVAL);
	assert_int_equal(pv_open(&bus, 0, 0, RAM_HOLE * PAGE_SIZE, 64, 0), ERR_FAULT);
	assert_int_equal(ram.pinned_pages, 0);
	assert_int_equal(pv_doorbell(&bus, 0, 0), ERR_NOENT);
	open_ring();
	/* A ring that breaks: the guest is told, once; nothing more is written. */
	put(SOCLE_RING_READ, 0, 0, 512, DATA * PAGE_SIZE);
	ring();
	assert_int_equal(disk.nr_pending, 1);
	shared->request_producer += RING_SIZE;
	assert_int_equal(pv_doorbell(&bus, 0, 0), 0);
	assert_int_equal(shared->broken, SOCLE_RING_BROKEN_PRODUCER);
	assert_int_equal(events, 1);
	run();
	assert_int_equal(pv_doorbell(&bus, 0, 0), 0);
	assert_int_equal(shared->response_producer, 0);
	assert_int_equal(events, 1);
	assert_int_equal(pv_close(&bus, 0, 0), 0);
	open_ring();
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 512, DATA * PAGE_SIZE), 0);
	off();
}

static void quota(void **state)
{
	int status;

	(void)state;
	board(0);
	ram.pinned_limit = 1 + 4; /* the ring, and so much in flight */
	for (unsigned i = 0; i < 3; i++)
		put(SOCLE_RING_WRITE, 0, i * 8, 4096, (DATA + i) * PAGE_SIZE + 8); /* two pages each */
	ring();
	assert_int_equal(disk.nr_pending, 2);
	status = get(NULL);
	assert_int_equal(status, SOCLE_EDQUOT);
	run();
	assert_int_equal(get(NULL) | get(NULL), 0);
	assert_int_equal(ask(SOCLE_RING_WRITE, 0, 0, 4096, DATA * PAGE_SIZE + 8), 0);
	off();
}

/* More pieces than there is room for: the rest waits in the ring. */
static void more_than_fits(void **state)
{
	struct socle_request r = {
	    .operation = SOCLE_RING_READ, .nr_segments = 128, .length = 65536, .address = 20 * PAGE_SIZE};
	struct socle_segment *list;

	(void)state;
	board(0);
	list = gmem_ptr(&ram, 20 * PAGE_SIZE, PAGE_SIZE);
	for (unsigned i = 0; i < 128; i++)
		list[i] = (struct socle_segment){(DATA + 1 + i % 8) * PAGE_SIZE - 256, 512, 0};
	for (unsigned i = 0; i < 40; i++)
		assert_true(socle_driver_put(&driver, &r) >= 0);
	ring();
	assert_in_range(disk.nr_pending, 6, 8);
	run();
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(get(NULL), 0);
	off();
}

/* ---- notification ---- */
static void thresholds(void **state)
{
	(void)state;
	board(0);
	assert_int_equal(socle_driver_arm(&driver, 8), 0);
	for (unsigned i = 0; i < 16; i++)
		put(SOCLE_RING_READ, 0, i, 512, DATA * PAGE_SIZE);
	ring();
	assert_int_equal(events, 0);
	for (unsigned i = 1; i <= 16; i++) {
		fake_disk_step(&disk);
		assert_int_equal(events, i >= 8);
	}
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(get(NULL), 0);
	/* Socle is at rest: it wants to hear of the next, and of that one only. */
	put(SOCLE_RING_READ, 0, 0, 512, DATA * PAGE_SIZE);
	assert_int_not_equal(socle_driver_push(&driver), 0);
	assert_int_equal(pv_doorbell(&bus, 0, 0), 0);
	run();
	struct device_meters m;
	pv_disk_meters(pv, &m);
	assert_int_equal(m.doorbells, 2);
	assert_int_equal(m.accesses, 2);
	assert_int_equal(m.interrupts, 1);
	assert_int_equal(m.suppressed, 16); /* seven, those behind the eighth, the last */
	off();
}

/* ---- closing ---- */
static void closing(void **state)
{
	u8 before[PAGE_SIZE];

	(void)state;
	board(BLOCK_VOLATILE);
	for (unsigned i = 0; i < 8; i++)
		put(SOCLE_RING_WRITE,
		    i == 5   ? SOCLE_RING_BARRIER
		    : i == 2 ? SOCLE_RING_FUA
			     : 0,
		    i, 512, (DATA + i) * PAGE_SIZE);
	ring();
	assert_int_equal(disk.nr_pending, 5); /* the barrier waits */
	assert_int_equal(pv_close(&bus, 0, 0), ERR_AGAIN);
	memcpy(before, shared, PAGE_SIZE);
	assert_int_equal(pv_open(&bus, 0, 0, RING_GPA, RING_SIZE, EVENT), ERR_EXIST);
	assert_int_equal(pv_doorbell(&bus, 0, 0), ERR_NOENT);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(events, 0);
		assert_int_equal(pv_close(&bus, 0, 0), ERR_AGAIN);
		fake_disk_step(&disk);
	}
	assert_int_equal(events, 1);
	assert_false(timer_poll());
	assert_int_equal(ram.pinned_pages, 1);
	assert_int_equal(pv_close(&bus, 0, 0), 0);
	assert_int_equal(ram.pinned_pages, 0);
	assert_memory_equal(before, shared, PAGE_SIZE);
	open_ring();
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 512, DATA * PAGE_SIZE), 0);
	off();
}

static void the_end_waits(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		board(BLOCK_VOLATILE);
		for (unsigned i = 0; i < 8; i++)
			put(SOCLE_RING_WRITE, i == 5 ? SOCLE_RING_BARRIER : 0, i, 512, DATA * PAGE_SIZE);
		ring();
		shim_polls = 0;
		if (way)
			pv_disk_reset(pv);
		else
			pv_board_off();
		assert_int_equal(disk.nr_pending, 0);
		assert_int_equal(shim_polls, 5);
		if (way)
			off();
		else
			fake_disk_free(&disk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_it_says_of_itself),
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(a_list_of_segments),
	    cmocka_unit_test(any_order),
	    cmocka_unit_test(bad_requests),
	    cmocka_unit_test(bad_rings),
	    cmocka_unit_test(quota),
	    cmocka_unit_test(more_than_fits),
	    cmocka_unit_test(thresholds),
	    cmocka_unit_test(closing),
	    cmocka_unit_test(the_end_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
