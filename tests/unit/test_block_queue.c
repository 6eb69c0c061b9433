/* SPDX-License-Identifier: Apache-2.0 */
/* The queue that several VMs' requests share: every byte and every order rule against a model, with random
 * completion order (M71, M72, M80, M82); merging, and the fairness bound of the elevator (M81); shares (M79).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block_queue.h"
#include "fake_disk.h"

#define PORTS 3
#define EXTENT 96
#define REQUESTS 64 /* of a port at a time */

struct job {
	struct block_request r;
	struct piece segments[80];
	u8 *data;
	unsigned port;
	bool live, begun;
	u64 number;  /* of the port's submissions */
	u64 at;      /* dispatches when it was submitted */
	u64 ahead;   /* that competed then */
	u64 writing; /* what its bytes are made of */
};

static struct fake_disk disk;
static struct block_queue queue;
static struct block_port ports[PORTS];
static struct job jobs[PORTS][REQUESTS];
static u64 model[PORTS * EXTENT];  /* what the sector's bytes are made of; 0: zeros */
static u64 writer[PORTS * EXTENT]; /* number of the last write that has begun */
static bool locks[PORTS * EXTENT]; /* some request is under way there */
static bool bound_holds;           /* nothing but the elevator makes a request wait */
static u64 submitted[PORTS], completed, failed, live;

static u8 byte_of(u64 seed, u64 sector, unsigned i)
{
	return seed ? (u8)((seed * 0x9e3779b97f4a7c15u ^ sector * 0x85ebca6b) >> i % 7 * 8) ^ (u8)i : 0;
}

static bool is_write(const struct block_request *r)
{
	return r->op == BLOCK_WRITE || r->op == BLOCK_WRITE_ZEROES || r->op == BLOCK_DISCARD;
}

static void job_done(struct block_request *r, enum block_status status)
{
	struct job *j = container_of(r, struct job, r);

	assert_true(j->live);
	j->live = false;
	live--;
	completed++;
	failed += status != BLOCK_OK;
	for (u32 i = 0; i < r->count; i++) {
		u64 s = (u64)j->port * EXTENT + r->sector + i;

		locks[s] = false;
		for (unsigned k = 0; status == BLOCK_OK && r->op == BLOCK_READ && k < BLOCK_SECTOR; k++)
			if (j->data[i * BLOCK_SECTOR + k] != byte_of(model[s], s, k))
				fail_msg("port %u sector %u byte %u", j->port, (unsigned)r->sector + i, k);
		/* FUA, barriers, and everything on a disk without a cache: where it was promised. */
		if (status == BLOCK_OK && is_write(r) && r->flags)
			assert_int_equal(disk.written[s], 0);
	}
	free(j->data);
	j->data = NULL;
}

/* The order rules, when a job's first sector reaches the disk. */
static void check_order(const struct job *x)
{
	u64 barrier = 0;

	for (unsigned i = 0; i < REQUESTS; i++) {
		const struct job *j = &jobs[x->port][i];

		if (!j->live || j->number >= x->number)
			continue;
		assert_false(j->r.flags & BLOCK_BARRIER); /* a barrier before it is done */
		assert_false(x->r.flags & BLOCK_BARRIER); /* all before a barrier is done */
	}
	if (x->r.flags & BLOCK_BARRIER)
		barrier = x->number;
	for (u64 s = x->port * EXTENT; s < (x->port + 1) * EXTENT; s++)
		assert_false(disk.written[s] && writer[s] < barrier);
}

static void job_begun(struct fake_disk *d, const struct block_request *r)
{
	u64 covered = 0;

	(void)d;
	for (unsigned p = 0; p < PORTS && r->op != BLOCK_FLUSH; p++) {
		for (unsigned i = 0; i < REQUESTS; i++) {
			struct job *j = &jobs[p][i];
			u64 first = p * EXTENT + j->r.sector;

			if (!j->live || j->r.op != r->op || j->begun || first < r->sector ||
			    first >= r->sector + r->count)
				continue;
			j->begun = true;
			covered += j->r.count;
			if (bound_holds)
				assert_in_range(disk.dispatches - 1 - j->at, 0,
						BLOCK_QUEUE_BOUND + BLOCK_QUEUE_BATCH * (1 + j->ahead));
			check_order(j);
			for (u32 k = 0; is_write(r) && k < j->r.count; k++)
				writer[first + k] = j->number;
		}
	}
	assert_true(r->op == BLOCK_FLUSH || covered == r->count);
	disk.merged_most = MAX(disk.merged_most, r->count);
}

static u64 competing(void)
{
	u64 n = 0;

	for (unsigned p = 0; p < PORTS; p++)
		for (unsigned i = 0; i < REQUESTS; i++)
			n += jobs[p][i].live && !jobs[p][i].begun;
	return n;
}

/* Random pieces that add up. */
static void cut_into_segments(struct job *j)
{
	u32 left = j->r.count * BLOCK_SECTOR, n = 0;

	while (left) {
		u32 piece = (u32)fake_disk_random(4) ? 512 : 1 + (u32)fake_disk_random(left);

		piece = n == ARRAY_SIZE(j->segments) - 1 ? left : MIN(piece, left);
		j->segments[n++] = (struct piece){j->data + j->r.count * BLOCK_SECTOR - left, piece};
		left -= piece;
	}
	j->r.segments = j->segments;
	j->r.nr_segments = n;
}

static bool place_free(unsigned port, const struct block_request *r)
{
	for (u32 i = 0; i < r->count; i++)
		if (locks[port * EXTENT + r->sector + i])
			return false;
	return true;
}

static void submit(struct job *j)
{
	unsigned port = j->port;

	for (u32 i = 0; i < j->r.count; i++) {
		u64 s = port * EXTENT + j->r.sector + i;

		locks[s] = true;
		if (is_write(&j->r))
			model[s] = j->r.op == BLOCK_WRITE ? j->writing : 0;
	}
	j->number = ++submitted[port];
	j->ahead = competing();
	j->at = disk.dispatches;
	j->live = true;
	j->begun = false;
	live++;
	block_submit(&ports[port].block, &j->r);
}

static void random_job(u32 flags_of_100)
{
	unsigned port = (unsigned)fake_disk_random(PORTS);
	struct job *j = &jobs[port][fake_disk_random(REQUESTS)];
	static const enum block_op ops[] = {BLOCK_READ,  BLOCK_READ,    BLOCK_WRITE,       BLOCK_WRITE,
					    BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES};

	if (j->live)
		return;
	j->port = port;
	j->r = (struct block_request){.op = ops[fake_disk_random(ARRAY_SIZE(ops))], .complete = job_done};
	if (j->r.op != BLOCK_FLUSH) {
		j->r.sector = fake_disk_random(EXTENT);
		j->r.count = (u32)MIN(1 + fake_disk_random(8), EXTENT - j->r.sector);
	}
	if (fake_disk_random(100) < flags_of_100)
		j->r.flags = fake_disk_random(2) && is_write(&j->r) && j->r.op != BLOCK_DISCARD
				 ? BLOCK_FUA
				 : BLOCK_BARRIER;
	if (!place_free(port, &j->r))
		return;
	if (j->r.op == BLOCK_READ || j->r.op == BLOCK_WRITE) {
		static u64 seeds;

		j->writing = ++seeds;
		j->data = malloc(j->r.count * BLOCK_SECTOR);
		for (u32 i = 0; i < j->r.count * BLOCK_SECTOR; i++)
			j->data[i] = j->r.op == BLOCK_READ
					 ? 0xaa
					 : byte_of(j->writing, port * EXTENT + j->r.sector + i / BLOCK_SECTOR,
						   i % BLOCK_SECTOR);
		cut_into_segments(j);
	}
	submit(j);
}

static void board(u32 disk_flags, unsigned depth, u32 share)
{
	fake_disk_init(&disk, PORTS * EXTENT, disk_flags);
	disk.begun = job_begun;
	block_queue_init(&queue, &disk.block, depth);
	for (unsigned p = 0; p < PORTS; p++)
		assert_int_equal(block_port_init(&ports[p], &queue, p * EXTENT, EXTENT, 0, share), 0);
	memset(jobs, 0, sizeof(jobs));
	memset(model, 0, sizeof(model));
	memset(writer, 0, sizeof(writer));
	memset(locks, 0, sizeof(locks));
	memset(submitted, 0, sizeof(submitted));
	completed = failed = live = 0;
	bound_holds = false;
}

static void board_end(void)
{
	u64 ops = 0, errors = 0;

	while (fake_disk_step(&disk))
		;
	assert_int_equal(live, 0);
	for (unsigned p = 0; p < PORTS; p++) {
		struct block_meters m = block_port_meters(&ports[p]);

		for (unsigned i = 0; i < BLOCK_OPS; i++)
			ops += m.ops[i];
		errors += m.errors;
		assert_int_equal(block_port_close(&ports[p]), 0);
	}
	assert_int_equal(queue.reserved, 0);
	assert_int_equal(queue.free_slots, BIT(queue.depth) - 1);
	assert_int_equal(ops, completed - failed);
	assert_int_equal(errors, failed);
	for (u64 s = 0; s < PORTS * EXTENT && !failed; s++)
		for (unsigned k = 0; k < BLOCK_SECTOR; k++)
			assert_int_equal(disk.view[s * BLOCK_SECTOR + k], byte_of(model[s], s, k));
	fake_disk_free(&disk);
}

static void random_against_model(u32 disk_flags, unsigned depth, u32 share, u32 flags_of_100)
{
	board(disk_flags, depth, share);
	bound_holds = flags_of_100 == 0 && share == REQUESTS;
	for (unsigned i = 0; i < 20000; i++) {
		random_job(flags_of_100);
		/* Bursts, so that requests pile up and merge. */
		if (i / 64 % 2 || share < REQUESTS)
			fake_disk_step(&disk);
	}
	assert_true(disk.merged_most > 8);
	board_end();
}

static void model_volatile_disk(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 4; seed++) {
		fake_seed = seed;
		random_against_model(BLOCK_VOLATILE, 1 + (unsigned)seed * 3, REQUESTS, 10);
	}
}

static void model_durable_disk(void **state)
{
	(void)state;
	fake_seed = 77;
	random_against_model(0, 4, REQUESTS, 10);
	random_against_model(0, 1, REQUESTS, 0);
}

/* A share of 3: the rest waits in its port, in order, and the queue never has more. */
static void share_limits_what_competes(void **state)
{
	(void)state;
	fake_seed = 5;
	board(BLOCK_VOLATILE, 4, 3);
	for (unsigned i = 0; i < 20000; i++) {
		random_job(5);
		for (unsigned p = 0; p < PORTS; p++)
			assert_true(ports[p].outstanding <= 3);
		if (fake_disk_random(3) == 0)
			fake_disk_step(&disk);
	}
	board_end();
	assert_int_equal(block_port_init(&ports[0], &queue, 0, 1, 0, BLOCK_QUEUE_WAITING), 0);
	assert_int_equal(block_port_init(&ports[1], &queue, 0, 1, 0, 1), ERR_NOMEM);
	assert_int_equal(block_port_close(&ports[0]), 0);
	assert_int_equal(block_port_init(&ports[1], &queue, 1, PORTS * EXTENT, 0, 1), ERR_RANGE);
	assert_int_equal(block_port_init(&ports[1], &queue, ~0ull, 2, 0, 1), ERR_RANGE);
	assert_int_equal(block_port_init(&ports[1], &queue, 0, 1, 0, 0), ERR_INVAL);
	assert_int_equal(block_port_init(&ports[1], &queue, 0, 1, BLOCK_VOLATILE, 1), ERR_INVAL);
}

/* Small tests: requests whose completions are only counted. */
static struct block_request plain[8192];
static int plain_status[8192];
static unsigned plain_done;
static u8 plain_data[8 * BLOCK_SECTOR];
static struct piece plain_segment = {plain_data, BLOCK_SECTOR}; /* of all of them */

static void plain_complete(struct block_request *r, enum block_status status)
{
	plain_status[r - plain] = status;
	plain_done++;
}

static struct block_request *plain_submit(struct block *b, unsigned i, enum block_op op, u32 flags,
					  u64 sector)
{
	bool moves = op == BLOCK_READ || op == BLOCK_WRITE;

	plain[i] =
	    (struct block_request){.op = op,
				   .flags = flags,
				   .sector = sector,
				   .count = op == BLOCK_FLUSH ? 0 : plain_segment.length / BLOCK_SECTOR,
				   .nr_segments = moves,
				   .segments = moves ? &plain_segment : NULL,
				   .complete = plain_complete};
	plain_status[i] = -1;
	block_submit(b, &plain[i]);
	return &plain[i];
}

static void plain_board(u64 sectors, u32 flags, unsigned depth, unsigned nr_ports)
{
	fake_disk_init(&disk, sectors, flags);
	block_queue_init(&queue, &disk.block, depth);
	for (unsigned p = 0; p < nr_ports; p++)
		assert_int_equal(
		    block_port_init(&ports[p], &queue, p * (sectors / nr_ports), sectors / nr_ports, 0, 1024),
		    0);
	plain_done = 0;
}

/* One VM keeps the disk busy just above the head; another one wants a sector below it. */
static void elevator_is_fair(void **state)
{
	(void)state;
	u64 next = 0, before;

	plain_board(8192, 0, 1, 2);
	for (; next < 40; next++)
		plain_submit(&ports[1].block, (unsigned)next, BLOCK_READ, 0, next * 2);
	before = disk.dispatches;
	plain_submit(&ports[0].block, 8000, BLOCK_READ, 0, 0);
	for (; plain_status[8000] == -1; next++) {
		assert_true(fake_disk_step(&disk));
		assert_true(disk.dispatches - before <= BLOCK_QUEUE_BOUND + BLOCK_QUEUE_BATCH * 40);
		plain_submit(&ports[1].block, (unsigned)next, BLOCK_READ, 0, next * 2);
	}
	/* It was the bound that brought it its turn, not the end of the sweep. */
	assert_true(block_port_meters(&ports[0]).longest_wait >= BLOCK_QUEUE_BOUND);
	while (fake_disk_step(&disk))
		;
	assert_int_equal(plain_done, next + 1);
	fake_disk_free(&disk);
}

/* Sectors' worth of time: 1 for each, 200 to move the head: a millisecond where 100 MB come in a second. */
#define SEEK 200
#define STREAM 8 /* sectors of a read */
static u64 head_at, disk_time;
static void measure(struct fake_disk *d, const struct block_request *r)
{
	(void)d;
	disk_time += r->count + (r->sector == head_at ? 0 : SEEK);
	head_at = r->sector + r->count;
}

/* Each port reads its extent from the start, 64 requests ahead. */
static u64 sequential(unsigned nr_ports)
{
	u64 next[2] = {0, 0}, reads = 0, longest = 0;

	plain_board(8192 * STREAM, 0, 1, 2);
	plain_segment.length = STREAM * BLOCK_SECTOR;
	disk.begun = measure;
	head_at = disk_time = 0;
	for (unsigned i = 0; i < 64 * nr_ports; i++, reads++)
		plain_submit(&ports[i % nr_ports].block, (unsigned)reads, BLOCK_READ, 0,
			     STREAM * next[i % nr_ports]++);
	while (fake_disk_step(&disk)) {
		while (reads < plain_done + 64 * nr_ports && reads < 4000) {
			plain_submit(&ports[reads % nr_ports].block, (unsigned)reads, BLOCK_READ, 0,
				     STREAM * next[reads % nr_ports]);
			next[reads++ % nr_ports]++;
		}
	}
	plain_segment.length = BLOCK_SECTOR;
	assert_int_equal(plain_done, 4000);
	assert_true(block_port_meters(&ports[0]).merges > 0);
	/* However well the other's requests follow each other. */
	for (unsigned p = 0; p < nr_ports; p++)
		longest = MAX(longest, block_port_meters(&ports[p]).longest_wait);
	assert_true(longest <= BLOCK_QUEUE_BOUND);
	fake_disk_free(&disk);
	return disk_time;
}

static void two_sequential_vms_merge(void **state)
{
	(void)state;
	u64 alone, both;

	alone = sequential(1);
	both = sequential(2);
	print_message("sectors' time for 4000 reads of 4 KiB: one VM %llu, two %llu\n",
		      (unsigned long long)alone, (unsigned long long)both);
	/* The best is the one's reads and then all of the other's. */
	assert_true((alone + SEEK) * 10 >= both * 9);
}

/* Neighbours of a bad sector are written, though they travelled together. */
static void bad_sector_fails_alone(void **state)
{
	(void)state;
	plain_board(64, 0, 1, 1);
	plain_submit(&ports[0].block, 0, BLOCK_WRITE, 0, 40);
	for (unsigned i = 1; i < 9; i++)
		plain_submit(&ports[0].block, i, BLOCK_WRITE, 0, i);
	disk.bad_sector = 5;
	while (fake_disk_step(&disk))
		;
	assert_int_equal(plain_done, 9);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(plain_status[i], i == 5 ? BLOCK_IOERR : BLOCK_OK);
	assert_int_equal(block_port_meters(&ports[0]).errors, 1);
	fake_disk_free(&disk);
}

/* What is behind a barrier that failed would be out of order: it fails. What comes later does not. */
static void failed_barrier_fails_what_is_behind(void **state)
{
	(void)state;
	plain_board(64, BLOCK_VOLATILE, 4, 2);
	disk.bad_sector = 1;
	plain_submit(&ports[0].block, 0, BLOCK_WRITE, 0, 0);
	plain_submit(&ports[0].block, 1, BLOCK_WRITE, BLOCK_BARRIER, 1);
	plain_submit(&ports[0].block, 2, BLOCK_WRITE, 0, 2);
	plain_submit(&ports[0].block, 3, BLOCK_WRITE, BLOCK_BARRIER, 3);
	plain_submit(&ports[1].block, 4, BLOCK_WRITE, 0, 2);
	while (fake_disk_step(&disk))
		;
	assert_int_equal(plain_done, 5);
	assert_int_equal(plain_status[0], BLOCK_OK);
	assert_int_equal(plain_status[1], BLOCK_IOERR);
	assert_int_equal(plain_status[2], BLOCK_IOERR);
	assert_int_equal(plain_status[3], BLOCK_IOERR);
	assert_int_equal(plain_status[4], BLOCK_OK);
	plain_submit(&ports[0].block, 5, BLOCK_WRITE, BLOCK_BARRIER, 2);
	while (fake_disk_step(&disk))
		;
	assert_int_equal(plain_status[5], BLOCK_OK);
	fake_disk_free(&disk);
}

/* Flushes that wait together are one; a flush does not count for a write that came after it began. */
static void flushes_are_shared(void **state)
{
	(void)state;
	plain_board(64, BLOCK_VOLATILE, 4, 2);
	plain_submit(&ports[0].block, 0, BLOCK_FLUSH, 0, 0);
	for (unsigned i = 1; i < 20; i++)
		plain_submit(&ports[i % 2].block, i, BLOCK_FLUSH, 0, 0);
	assert_int_equal(disk.flushes, 1);
	fake_disk_complete(&disk, 0);
	assert_int_equal(plain_done, 1);
	assert_int_equal(disk.flushes, 2);
	fake_disk_complete(&disk, 0);
	assert_int_equal(plain_done, 20);
	fake_disk_free(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(model_volatile_disk),
	    cmocka_unit_test(model_durable_disk),
	    cmocka_unit_test(share_limits_what_competes),
	    cmocka_unit_test(elevator_is_fair),
	    cmocka_unit_test(two_sequential_vms_merge),
	    cmocka_unit_test(bad_sector_fails_alone),
	    cmocka_unit_test(failed_barrier_fails_what_is_behind),
	    cmocka_unit_test(flushes_are_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
