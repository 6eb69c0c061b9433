/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts (M82): a write-ahead log on one port of the queue, other writes on another, a disk with a cache
 * that completes in any order, 1,000 cuts at random moments for each way to order writes (barrier, FLUSH,
 * FUA). What was reported as lasting is there, no data is on the medium before its log, and the replayed
 * log gives a state that once was. Without the ordering the same test finds damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block_queue.h"
#include "fake_disk.h"

#define CUTS 1000
#define TXNS 24
#define PAGES 8
#define PAGE_SECTORS 2
#define RECORDS 3 /* of a transaction: one sector each */
#define LOG_SECTORS (TXNS * RECORDS)
#define NOISE 40
#define PORT0 (LOG_SECTORS + PAGES * PAGE_SECTORS)
#define MAGIC 0x57414c21u

enum order { BY_BARRIER, BY_FLUSH, BY_FUA, ORDERS };

struct record {
	u32 magic, txn, index, page;
	u64 value, sum;
};

struct io {
	struct block_request r;
	struct piece segment;
	u8 data[PAGE_SECTORS * BLOCK_SECTOR];
	unsigned txn; /* 0: noise */
	u64 version;
	bool live, log;
};

static struct fake_disk disk;
static struct block_queue queue;
static struct block_port ports[2];
static struct io ios[1024];
static unsigned nr_ios;
static enum order order;
static bool ordered; /* else the orders are left out: the control */
static struct {
	unsigned txn;   /* the last that has begun */
	unsigned logs;  /* of its records that are on their way */
	unsigned datas; /* pages that are on their way */
	unsigned acked; /* all up to this are promised to last */
	bool flushing, flushed;
} wal;
static u32 page_of[TXNS + 1][RECORDS];
/* Noise, a number in each sector: being written, completed, completed before the flush, promised. */
static u64 version[NOISE], complete[NOISE], before_flush[NOISE], lasting[NOISE];
static bool noise_busy[NOISE], noise_flush;

static u64 sum_of(const struct record *r)
{
	return ((r->magic * 31ull + r->txn) * 31 + r->index) * 31 + r->page * 31 +
	       r->value * 0x9e3779b97f4a7c15u;
}

static void io_done(struct block_request *r, enum block_status status)
{
	struct io *io = container_of(r, struct io, r);

	assert_true(io->live);
	assert_int_equal(status, BLOCK_OK);
	io->live = false;
	if (io->txn && r->op == BLOCK_FLUSH) {
		wal.flushing = false;
		wal.flushed = true;
		wal.acked = io->txn;
	} else if (io->txn && io->log) {
		if (order == BY_BARRIER ? (r->flags & BLOCK_BARRIER) != 0 || !ordered : wal.logs == 1)
			wal.acked = order == BY_FLUSH ? wal.acked : MAX(wal.acked, io->txn);
		wal.logs--;
	} else if (io->txn) {
		wal.datas--;
	} else if (r->op == BLOCK_FLUSH) {
		memcpy(lasting, before_flush, sizeof(lasting));
		noise_flush = false;
	} else {
		noise_busy[r->sector] = false;
		complete[r->sector] = io->version;
	}
}

static struct io *prepare(unsigned txn, enum block_op op, u64 sector, u32 count)
{
	struct io *io = &ios[nr_ios++];

	assert_true(nr_ios <= ARRAY_SIZE(ios));
	memset(io, 0, sizeof(*io));
	io->r = (struct block_request){.op = op,
				       .sector = sector,
				       .count = count,
				       .nr_segments = count != 0,
				       .segments = &io->segment,
				       .complete = io_done};
	io->segment = (struct piece){io->data, count * BLOCK_SECTOR};
	io->txn = txn;
	io->live = true;
	return io;
}

static void write_log(unsigned txn)
{
	for (u32 i = 0; i < RECORDS; i++) {
		struct io *io = prepare(txn, BLOCK_WRITE, (txn - 1) * RECORDS + i, 1);
		struct record rec = {MAGIC, txn, i, (u32)fake_disk_random(PAGES), txn, 0};

		page_of[txn][i] = rec.page;
		rec.sum = sum_of(&rec);
		memcpy(io->data, &rec, sizeof(rec));
		io->log = true;
		wal.logs++;
		if (ordered && order == BY_FUA)
			io->r.flags = BLOCK_FUA;
		if (ordered && order == BY_BARRIER && i == RECORDS - 1)
			io->r.flags = BLOCK_BARRIER;
		block_submit(&ports[0].block, &io->r);
	}
}

static void write_data(unsigned txn)
{
	for (u32 i = 0; i < RECORDS; i++) {
		u32 page = page_of[txn][i];

		if (i > 0 && (page == page_of[txn][0] || page == page_of[txn][i - 1]))
			continue;
		struct io *io = prepare(txn, BLOCK_WRITE, LOG_SECTORS + page * PAGE_SECTORS, PAGE_SECTORS);

		memset(io->data, (int)txn, sizeof(io->data));
		wal.datas++;
		block_submit(&ports[0].block, &io->r);
	}
}

static void wal_flush(void)
{
	struct io *io = prepare(wal.txn, BLOCK_FLUSH, 0, 0);

	wal.flushing = true;
	if (ordered)
		block_submit(&ports[0].block, &io->r);
	else
		io_done(&io->r, BLOCK_OK);
}

/* The next that the log's owner does, if it need not wait. */
static void wal_step(void)
{
	static unsigned written; /* the last whose data is on its way */

	if (wal.txn == 0)
		written = 0;
	if (order == BY_BARRIER) { /* waits for nothing */
		if (wal.txn < TXNS && fake_disk_random(4) == 0) {
			write_log(++wal.txn);
			write_data(wal.txn);
		}
	} else if (wal.logs || wal.flushing) {
		return;
	} else if (order == BY_FLUSH && wal.txn > written && !wal.flushed) {
		wal_flush();
	} else if (wal.txn > written) {
		write_data(written = wal.txn);
	} else if (wal.txn < TXNS && !wal.datas) {
		wal.flushed = false;
		write_log(++wal.txn);
	}
}

static void noise_step(void)
{
	u64 s = fake_disk_random(NOISE);

	if (fake_disk_random(16) == 0 && !noise_flush) {
		struct io *io = prepare(0, BLOCK_FLUSH, 0, 0);

		memcpy(before_flush, complete, sizeof(complete));
		noise_flush = true;
		block_submit(&ports[1].block, &io->r);
	} else if (!noise_busy[s]) {
		struct io *io = prepare(0, BLOCK_WRITE, s, 1);

		io->version = ++version[s];
		for (unsigned i = 0; i < BLOCK_SECTOR; i += 8)
			memcpy(io->data + i, &version[s], 8);
		noise_busy[s] = true;
		block_submit(&ports[1].block, &io->r);
	}
}

static bool record_valid(unsigned txn, u32 i)
{
	struct record rec;

	memcpy(&rec, disk.medium + ((txn - 1) * RECORDS + i) * BLOCK_SECTOR, sizeof(rec));
	return rec.magic == MAGIC && rec.txn == txn && rec.index == i && rec.sum == sum_of(&rec) &&
	       rec.page == page_of[txn][i];
}

/* What the owner finds after the cut: 0, or what is wrong. */
static const char *recover(void)
{
	u8 *data = disk.medium + LOG_SECTORS * BLOCK_SECTOR;
	u64 want[PAGES] = {0};
	unsigned n;

	for (n = 0; n < wal.txn; n++) {
		bool whole = true;

		for (u32 i = 0; i < RECORDS; i++)
			whole = whole && record_valid(n + 1, i);
		if (!whole)
			break;
	}
	if (n < wal.acked)
		return "a transaction that was promised to last is not in the log";
	for (unsigned s = 0; s < PAGES * PAGE_SECTORS; s++) {
		for (unsigned i = 0; i < BLOCK_SECTOR; i++)
			if (data[s * BLOCK_SECTOR + i] != data[s * BLOCK_SECTOR])
				return "a sector is torn";
		if (data[s * BLOCK_SECTOR] > n)
			return "data is on the medium before its log";
	}
	for (unsigned t = 1; t <= n; t++)
		for (u32 i = 0; i < RECORDS; i++) {
			memset(data + page_of[t][i] * PAGE_SECTORS * BLOCK_SECTOR, (int)t,
			       PAGE_SECTORS * BLOCK_SECTOR);
			want[page_of[t][i]] = t;
		}
	for (unsigned i = 0; i < PAGES * PAGE_SECTORS * BLOCK_SECTOR; i++)
		if (data[i] != want[i / (PAGE_SECTORS * BLOCK_SECTOR)])
			return "the state after replay never was";
	for (unsigned s = 0; s < NOISE; s++) {
		u64 found;

		memcpy(&found, disk.medium + (PORT0 + s) * BLOCK_SECTOR, sizeof(found));
		if (found < lasting[s] || found > version[s])
			return "what was flushed is not there";
	}
	return NULL;
}

static const char *one_cut(unsigned *promised)
{
	const char *wrong;
	u64 steps = 1 + fake_disk_random(400);

	fake_disk_init(&disk, PORT0 + NOISE, BLOCK_VOLATILE);
	block_queue_init(&queue, &disk.block, 1 + (unsigned)fake_disk_random(BLOCK_QUEUE_DEPTH));
	assert_int_equal(block_port_init(&ports[0], &queue, 0, PORT0, 0, 1 + (u32)fake_disk_random(64)), 0);
	assert_int_equal(block_port_init(&ports[1], &queue, PORT0, NOISE, 0, 64), 0);
	memset(&wal, 0, sizeof(wal));
	memset(version, 0, sizeof(version));
	memset(complete, 0, sizeof(complete));
	memset(lasting, 0, sizeof(lasting));
	memset(noise_busy, 0, sizeof(noise_busy));
	noise_flush = false;
	nr_ios = 0;
	for (u64 i = 0; i < steps; i++) {
		wal_step();
		if (fake_disk_random(2))
			noise_step();
		for (u64 n = fake_disk_random(4); n; n--)
			fake_disk_step(&disk);
	}
	fake_disk_cut(&disk);
	*promised += wal.acked;
	wrong = recover();
	fake_disk_free(&disk);
	return wrong;
}

static void cuts(enum order how)
{
	unsigned promised = 0, control = 0, damaged = 0;

	order = how;
	ordered = true;
	fake_seed = 1 + how;
	for (unsigned i = 0; i < CUTS; i++) {
		const char *wrong = one_cut(&promised);

		if (wrong)
			fail_msg("cut %u: %s", i, wrong);
	}
	assert_true(promised > CUTS); /* and not because nothing ever was */
	ordered = false;
	for (unsigned i = 0; i < CUTS; i++)
		damaged += one_cut(&control) != NULL;
	print_message("%u transactions were promised in %u cuts; without the order %u cuts do damage\n",
		      promised, CUTS, damaged);
	assert_true(damaged > CUTS / 20);
}

static void cuts_by_barrier(void **state)
{
	(void)state;
	cuts(BY_BARRIER);
}

static void cuts_by_flush(void **state)
{
	(void)state;
	cuts(BY_FLUSH);
}

static void cuts_by_fua(void **state)
{
	(void)state;
	cuts(BY_FUA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cuts_by_barrier),
	    cmocka_unit_test(cuts_by_flush),
	    cmocka_unit_test(cuts_by_fua),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
