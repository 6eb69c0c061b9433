/* SPDX-License-Identifier: Apache-2.0 */
/* The way past the block queue, for disks that do everything at once: barriers (M82), shares (M79) and meters
 * (M40, M42) hold there as they do in the queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "block_queue.h"
#include "shim.h"

#define SECTORS 1024

static struct block_queue queue;
static struct block_port port, other;

/* A disk that remembers who came, and lets the test do something meanwhile. */
static u64 came[64];
static unsigned nr_came, inside, inside_most, barriers_inside;
static enum block_status result;
static void (*meanwhile)(void);

static enum block_status prompt_serve(struct block *b, const struct block_request *r, u64 sector)
{
	void (*fn)(void) = meanwhile;

	(void)b, (void)r;
	came[nr_came++ % ARRAY_SIZE(came)] = sector;
	meanwhile = NULL;
	if (fn)
		fn();
	return result;
}

static void prompt_submit(struct block *b, struct block_request *r)
{
	r->complete(r, prompt_serve(b, r, r->sector));
}

static struct block prompt = {.submit = prompt_submit, .sectors = SECTORS, .serve = prompt_serve};

static struct block_request requests[16];
static int status_of[16];
static u8 data[BLOCK_SECTOR];
static const struct piece segment = {data, sizeof(data)};

static void done(struct block_request *r, enum block_status status)
{
	assert_int_equal(status_of[r - requests], -1);
	status_of[r - requests] = status;
}

/* Sector i is request i. */
static void ask(struct block_port *p, unsigned i, enum block_op op, u32 flags)
{
	bool moves = op == BLOCK_READ || op == BLOCK_WRITE;

	requests[i] = (struct block_request){.op = op,
					     .flags = flags,
					     .sector = op == BLOCK_FLUSH ? 0 : i,
					     .count = op != BLOCK_FLUSH,
					     .nr_segments = moves,
					     .segments = moves ? &segment : NULL,
					     .complete = done};
	status_of[i] = -1;
	block_submit(&p->block, &requests[i]);
}

static void board(u32 share)
{
	nr_came = 0;
	result = BLOCK_OK;
	meanwhile = NULL;
	block_queue_init(&queue, &prompt, 16);
	assert_int_equal(block_port_init(&port, &queue, 0, 512, 0, share), 0);
	assert_int_equal(block_port_init(&other, &queue, 512, 512, 0, share), 0);
}

static void board_end(void)
{
	assert_int_equal(port.gate, 0);
	assert_int_equal(block_port_close(&port), 0);
	assert_int_equal(block_port_close(&other), 0);
	assert_int_equal(queue.free_slots, 0xffff);
}

/* While request 1 is at the disk, somebody else has these come. */
static void barrier_and_more(void)
{
	ask(&port, 2, BLOCK_WRITE, BLOCK_BARRIER);
	ask(&port, 3, BLOCK_WRITE, 0);
	ask(&port, 4, BLOCK_READ, BLOCK_BARRIER);
	ask(&port, 5, BLOCK_WRITE, BLOCK_FUA);
	assert_int_equal(nr_came, 1);
	assert_int_equal(status_of[1], -1);
	/* Another VM's is not held up. */
	ask(&other, 6, BLOCK_WRITE, 0);
	assert_int_equal(status_of[6], BLOCK_OK);
	assert_int_equal(nr_came, 2);
	assert_int_equal(block_port_close(&port), ERR_AGAIN);
}

/* While request 1 is at the disk, a barrier comes: who will not wait is sent away. */
static void nothing_at_once(void)
{
	enum block_status status = BLOCK_UNSUPP;
	struct block_request r = {
	    .op = BLOCK_WRITE, .sector = 3, .count = 1, .nr_segments = 1, .segments = &segment};

	assert_true(block_now(&port.block, &r, &status));
	assert_int_equal(status, BLOCK_OK);
	ask(&port, 2, BLOCK_WRITE, BLOCK_BARRIER);
	assert_false(block_now(&port.block, &r, &status));
	assert_true(block_now(&other.block, &r, &status));
	assert_int_equal(nr_came, 3);
	r.flags = BLOCK_FUA;
	assert_false(block_now(&other.block, &r, &status));
	r.flags = 0;
	r.sector = 512;
	assert_false(block_now(&other.block, &r, &status));
	r.sector = 0;
	r.count = 2;
	assert_false(block_now(&other.block, &r, &status));
	assert_int_equal(nr_came, 3);
}

static void at_once_or_not_at_all(void **state)
{
	enum block_status status = BLOCK_OK;
	struct block_request r = {
	    .op = BLOCK_READ, .sector = 3, .count = 1, .nr_segments = 1, .segments = &segment};

	(void)state;
	board(8);
	meanwhile = nothing_at_once;
	ask(&port, 1, BLOCK_WRITE, 0);
	assert_int_equal(status_of[2], BLOCK_OK);
	meanwhile = NULL;
	result = BLOCK_IOERR;
	assert_true(block_now(&port.block, &r, &status));
	assert_int_equal(status, BLOCK_IOERR);
	assert_int_equal(block_port_meters(&port).errors, 1);
	assert_int_equal(block_port_meters(&port).ops[BLOCK_WRITE], 3);
	assert_false(block_now(&prompt, &r, &status));
	board_end();
}

static void barriers_wait(void **state)
{
	static const u64 order[] = {1, 512 + 6, 2, 3, 4, 5, 7};

	(void)state;
	board(8);
	meanwhile = barrier_and_more;
	ask(&port, 1, BLOCK_WRITE, 0);
	for (unsigned i = 1; i < 7; i++)
		assert_int_equal(status_of[i], BLOCK_OK);
	/* Nothing is left behind: the way is free again. */
	assert_int_equal(port.gate, 0);
	ask(&port, 7, BLOCK_WRITE, 0);
	assert_int_equal(nr_came, ARRAY_SIZE(order));
	for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
		assert_int_equal(came[i], order[i]);
	board_end();
}

static void one_more(void)
{
	ask(&port, 2, BLOCK_WRITE, 0);
	assert_int_equal(nr_came, 1);
}

/* A share of 1: the second waits until the first is done. A share of 2: it does not. */
static void shares_hold(void **state)
{
	(void)state;
	board(1);
	meanwhile = one_more;
	ask(&port, 1, BLOCK_WRITE, 0);
	assert_int_equal(status_of[2], BLOCK_OK);
	assert_int_equal(nr_came, 2);
	board_end();
}

static void two_more(void)
{
	ask(&port, 2, BLOCK_WRITE, 0);
	assert_int_equal(nr_came, 2);
	/* For the flush nothing has to be done: what is complete is where it was promised. */
	ask(&port, 3, BLOCK_FLUSH, 0);
	assert_int_equal(status_of[3], BLOCK_OK);
}

static void no_lock_and_no_wait(void **state)
{
	(void)state;
	board(2);
	meanwhile = two_more;
	spin_lock(&queue.lock); /* nobody asks for it */
	ask(&port, 1, BLOCK_WRITE, BLOCK_FUA);
	spin_unlock(&queue.lock);
	assert_int_equal(status_of[1], BLOCK_OK);
	board_end();
}

static void time_goes_by(void)
{
	shim_tsc += 700;
}

static void meters(void **state)
{
	struct block_meters m;

	(void)state;
	board(8);
	meanwhile = time_goes_by;
	ask(&port, 1, BLOCK_READ, 0);
	ask(&port, 2, BLOCK_WRITE, 0);
	meanwhile = time_goes_by;
	ask(&port, 3, BLOCK_WRITE, BLOCK_BARRIER);
	ask(&port, 4, BLOCK_FLUSH, 0);
	ask(&port, 5, BLOCK_WRITE_ZEROES, 0);
	result = BLOCK_IOERR;
	ask(&port, 6, BLOCK_WRITE, 0);
	assert_int_equal(status_of[6], BLOCK_IOERR);
	ask(&port, 7, BLOCK_DISCARD, BLOCK_BARRIER);
	assert_int_equal(status_of[7], BLOCK_IOERR);
	m = block_port_meters(&port);
	assert_int_equal(m.ops[BLOCK_READ], 1);
	assert_int_equal(m.ops[BLOCK_WRITE], 2);
	assert_int_equal(m.ops[BLOCK_FLUSH], 1);
	assert_int_equal(m.ops[BLOCK_WRITE_ZEROES], 1);
	assert_int_equal(m.ops[BLOCK_DISCARD], 0);
	assert_int_equal(m.bytes_read, 512);
	assert_int_equal(m.bytes_written, 1024);
	assert_int_equal(m.barriers, 1);
	assert_int_equal(m.errors, 2);
	assert_int_equal(m.ticks, 1400);
	m = block_port_meters(&other);
	for (unsigned i = 0; i < sizeof(m) / sizeof(u64); i++)
		assert_int_equal(((u64 *)&m)[i], 0);
	board_end();
}

/* ---- several CPUs of one VM ---- */
#define THREADS 2
#define ROUNDS 20000

struct job {
	struct block_request r;
	int over;
};

static enum block_status busy_serve(struct block *b, const struct block_request *r, u64 sector)
{
	unsigned now = __atomic_add_fetch(&inside, 1, __ATOMIC_ACQ_REL);

	(void)b, (void)sector;
	if (now > __atomic_load_n(&inside_most, __ATOMIC_RELAXED))
		__atomic_store_n(&inside_most, now, __ATOMIC_RELAXED);
	/* What is before a barrier is done, what is behind it has not begun. */
	if (r->sector == 1) {
		__atomic_fetch_add(&barriers_inside, 1, __ATOMIC_RELAXED);
		assert_int_equal(now, 1);
		for (volatile unsigned i = 0; i < 50; i++)
			assert_int_equal(__atomic_load_n(&inside, __ATOMIC_ACQUIRE), 1);
	}
	__atomic_sub_fetch(&inside, 1, __ATOMIC_ACQ_REL);
	return BLOCK_OK;
}

static void busy_submit(struct block *b, struct block_request *r)
{
	r->complete(r, busy_serve(b, r, r->sector));
}

static struct block busy = {.submit = busy_submit, .sectors = SECTORS, .serve = busy_serve};

static void job_done(struct block_request *r, enum block_status status)
{
	assert_int_equal(status, BLOCK_OK);
	__atomic_store_n(&container_of(r, struct job, r)->over, 1, __ATOMIC_RELEASE);
}

static void *vcpu(void *opaque)
{
	static struct job jobs[THREADS];
	struct job *j = &jobs[(unsigned)(u64)opaque];

	for (unsigned i = 0; i < ROUNDS; i++) {
		bool barrier = i % 7 == 3;
		j->over = 0;
		j->r = (struct block_request){.op = BLOCK_WRITE_ZEROES,
					      .flags = barrier ? BLOCK_BARRIER : 0,
					      .sector = barrier,
					      .count = 1,
					      .complete = job_done};
		block_submit(&port.block, &j->r);
		while (!__atomic_load_n(&j->over, __ATOMIC_ACQUIRE))
			usleep(1);
	}
	return NULL;
}

static void several_vcpus(void **state)
{
	pthread_t thread[THREADS];

	(void)state;
	inside = inside_most = barriers_inside = 0;
	block_queue_init(&queue, &busy, 4);
	assert_int_equal(block_port_init(&port, &queue, 0, SECTORS, 0, 8), 0);
	for (u64 i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, vcpu, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(block_port_meters(&port).ops[BLOCK_WRITE_ZEROES], THREADS * ROUNDS);
	assert_int_equal(block_port_meters(&port).barriers, barriers_inside);
	assert_int_equal(barriers_inside, THREADS * ((ROUNDS + 3) / 7));
	assert_int_equal(port.gate, 0);
	assert_int_equal(block_port_close(&port), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(barriers_wait),       cmocka_unit_test(shares_hold),
	    cmocka_unit_test(no_lock_and_no_wait), cmocka_unit_test(meters),
	    cmocka_unit_test(several_vcpus),       cmocka_unit_test(at_once_or_not_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
