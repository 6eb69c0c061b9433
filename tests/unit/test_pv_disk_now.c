/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring where the block device does everything at once: the same answers as on the way
 * that waits (M71, M80), also where a CPU polls (M84), and what does not fit that way goes the other (M67).
 */
#include "block_queue.h"
#include "pv_disk_board.h"

#define SECTORS 64u
#define FROM ((u64)DATA * PAGE_SIZE)
#define TO ((u64)(DATA + 4) * PAGE_SIZE)

static u8 medium[SECTORS * BLOCK_SECTOR];
static struct block_ram ram_disk;
static struct block_queue queue;
static struct block_port port;
static enum block_status (*ram_serve)(struct block *b, const struct block_request *r, u64 sector);
static u64 bad_sector;
static bool endless;
static u32 other_id;
static unsigned pinned; /* pages while the disk was at it */

void cpu_poll_interrupts(void)
{
}

static enum block_status serve(struct block *b, const struct block_request *r, u64 sector)
{
	pinned = (unsigned)ram.pinned_pages;
	if (endless) {
		struct socle_request again = {
		    .operation = SOCLE_RING_WRITE, .length = 512, .address = FROM, .id = other_id ^= 1};

		memcpy(socle_ring_slot(shared, RING_SIZE, shared->request_producer), &again, sizeof(again));
		shared->request_producer++;
	}
	return sector == bad_sector ? BLOCK_IOERR : ram_serve(b, r, sector);
}

static void board(u32 flags)
{
	memset(medium, 0, sizeof(medium));
	block_ram_init(&ram_disk, medium, sizeof(medium), 0);
	ram_serve = ram_disk.block.serve;
	ram_disk.block.serve = serve;
	bad_sector = ~0ull;
	block_queue_init(&queue, &ram_disk.block, 16);
	assert_int_equal(block_port_init(&port, &queue, 0, SECTORS, flags, 64), 0);
	pv_board(&port.block);
}

static void off(void)
{
	pv_board_off();
	assert_int_equal(block_port_close(&port), 0);
}

static int ask(u8 op, u8 flags, u64 sector, u32 length, gpa_t address)
{
	int id = put(op, flags, sector, length, address), back, status;

	ring();
	status = get(&back);
	assert_int_equal(id, back);
	assert_int_equal(ram.pinned_pages, 1); /* the ring's own */
	return status;
}

static void there_and_back(void **state)
{
	u8 *from, *to;

	(void)state;
	board(0);
	from = gmem_ptr(&ram, FROM, 1);
	to = gmem_ptr(&ram, TO, 1);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		from[i] = (u8)(i * 7 + i / 256);
	for (u32 n = 1; n <= 8; n++) {
		assert_int_equal(ask(SOCLE_RING_WRITE, 0, n, n * 512, FROM + PAGE_SIZE - n * 512), 0);
		assert_int_equal(pinned, 2);
		assert_memory_equal(medium + (size_t)n * 512, from + PAGE_SIZE - n * 512, n * 512);
		assert_int_equal(ask(SOCLE_RING_READ, 0, n, n * 512, TO), 0);
		assert_memory_equal(to, from + PAGE_SIZE - n * 512, n * 512);
	}
	assert_int_equal(block_port_meters(&port).ops[BLOCK_READ], 8);
	assert_int_equal(block_port_meters(&port).bytes_written, 36 * 512);
	/* Across a page, and more than one: with a slot. */
	assert_int_equal(ask(SOCLE_RING_WRITE, 0, 0, 512, FROM + PAGE_SIZE - 100), 0);
	assert_memory_equal(medium, from + PAGE_SIZE - 100, 100);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 2 * PAGE_SIZE, TO), 0);
	assert_memory_equal(to, medium, PAGE_SIZE);
	off();
}

static void wrong_ones(void **state)
{
	(void)state;
	board(0);
	assert_int_equal(ask(SOCLE_RING_READ, 0, SECTORS, 512, TO), SOCLE_EINVAL);
	assert_int_equal(ask(SOCLE_RING_READ, 0, SECTORS - 1, 1024, TO), SOCLE_EINVAL);
	assert_int_equal(ask(SOCLE_RING_READ, 0, ~0ull, 512, TO), SOCLE_EINVAL);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 0, TO), SOCLE_EINVAL);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 511, TO), SOCLE_EINVAL);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 513, TO), SOCLE_EINVAL);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 512, (u64)RAM_HOLE * PAGE_SIZE), SOCLE_EFAULT);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 512, (u64)RAM_ROM * PAGE_SIZE), SOCLE_EFAULT);
	assert_int_equal(ask(SOCLE_RING_WRITE, 0, 0, 512, (u64)RAM_ROM * PAGE_SIZE), 0);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 512, ~0ull - 511), SOCLE_EFAULT);
	assert_int_equal(ask(SOCLE_RING_READ, SOCLE_RING_FUA, 0, 512, TO), SOCLE_EINVAL);
	assert_int_equal(ask(0, 0, 0, 512, TO), SOCLE_ENOTSUP);
	assert_int_equal(ask(255, 0, 0, 512, TO), SOCLE_ENOTSUP);
	off();
	board(BLOCK_READ_ONLY);
	assert_int_equal(ask(SOCLE_RING_WRITE, 0, 0, 512, FROM), SOCLE_EROFS);
	assert_int_equal(ask(SOCLE_RING_READ, 0, 0, 512, TO), 0);
	off();
}

static void the_medium_fails(void **state)
{
	struct socle_response r;

	(void)state;
	board(0);
	bad_sector = 3;
	put(SOCLE_RING_READ, 0, 3, 512, TO);
	ring();
	assert_int_equal(socle_driver_get(&driver, &r), 1);
	assert_int_equal(r.status, SOCLE_EIO);
	assert_int_equal(r.length, 0);
	assert_int_equal(block_port_meters(&port).errors, 1);
	off();
}

/* One that could be done at once stands behind a barrier that failed. */
static void barriers_hold(void **state)
{
	(void)state;
	board(0);
	put(SOCLE_RING_WRITE, 0, 1, 512, FROM);
	put(SOCLE_RING_WRITE, SOCLE_RING_BARRIER, SECTORS, 512, FROM);
	put(SOCLE_RING_WRITE, 0, 2, 512, FROM);
	ring();
	assert_int_equal(get(NULL), 0);
	assert_int_equal(get(NULL), SOCLE_EINVAL);
	assert_int_equal(get(NULL), SOCLE_ECANCELED);
	assert_int_equal(block_port_meters(&port).ops[BLOCK_WRITE], 1);
	off();
}

/* While one is served, the guest answers each response with a request: a turn ends all the same. */
static void turns_end(void **state)
{
	(void)state;
	board(0);
	endless = true;
	put(SOCLE_RING_WRITE, 0, 0, 512, FROM);
	ring();
	assert_in_range(block_port_meters(&port).ops[BLOCK_WRITE], RING_SIZE / 2, RING_SIZE + 1);
	assert_true(timer_poll());
	assert_in_range(block_port_meters(&port).ops[BLOCK_WRITE], RING_SIZE, 2 * RING_SIZE + 2);
	endless = false;
	while (timer_poll())
		;
	off();
}

/* A ring that is polled wants no doorbell, however many requests there are, and bears those that come. */
static void polled(void **state)
{
	unsigned rung = 0, seen = 0;

	(void)state;
	shim_polling = 1;
	board(0);
	assert_non_null(shim_poller);
	assert_false(shim_poller->poll(shim_poller->opaque));
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned i = 0; i <= round % RING_SIZE; i++)
			put(SOCLE_RING_WRITE, 0, i, 512, FROM);
		rung += socle_driver_push(&driver) != 0;
		(void)socle_driver_arm(&driver, 1);
		seen = events;
		assert_true(shim_poller->poll(shim_poller->opaque));
		assert_int_equal(events, seen + 1);
		for (unsigned i = 0; i <= round % RING_SIZE; i++)
			assert_int_equal(get(NULL), 0);
		assert_false(shim_poller->poll(shim_poller->opaque));
		assert_false(timer_poll());
	}
	assert_int_equal(rung, 0);
	put(SOCLE_RING_READ, 0, 0, 512, TO);
	(void)socle_driver_push(&driver);
	assert_int_equal(pv_doorbell(&bus, 0, 0), 0);
	assert_int_equal(get(NULL), 0);
	assert_int_equal(pv_close(&bus, 0, 0), 0);
	assert_false(shim_poller->poll(shim_poller->opaque));
	open_ring();
	put(SOCLE_RING_READ, 0, 0, 512, TO);
	assert_false(socle_driver_push(&driver));
	assert_true(shim_poller->poll(shim_poller->opaque));
	assert_int_equal(get(NULL), 0);
	off();
	assert_null(shim_poller);
	shim_polling = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back),   cmocka_unit_test(wrong_ones),
	    cmocka_unit_test(the_medium_fails), cmocka_unit_test(barriers_hold),
	    cmocka_unit_test(turns_end),        cmocka_unit_test(polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
