/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is in the block queue (M81): the bound when several are overdue, a search tree that stays
 * flat, disks that complete within submit, ports used by several CPUs at once (M80), and one that takes all
 * it can get (M79). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "block_queue.h"
#include "ring/block_tree.h"

#define SECTORS BIT(40)

static struct block_queue queue;
static struct block_port port;
static struct block_request requests[BLOCK_QUEUE_WAITING];

/* A disk of depth 1 without data. */
static struct block light;
static struct block_request *at_disk;
static u64 dispatches;

static void light_submit(struct block *b, struct block_request *r)
{
	(void)b;
	assert_null(at_disk);
	at_disk = r;
	dispatches++;
}

static bool light_complete(void)
{
	struct block_request *r = at_disk;

	at_disk = NULL;
	if (r)
		r->complete(r, BLOCK_OK);
	return r != NULL;
}

static unsigned completions;
static void count(struct block_request *r, enum block_status status)
{
	assert_int_equal(status, BLOCK_OK);
	r->count = 0;
	completions++;
}

static void submit(struct block_request *r, u64 sector)
{
	*r =
	    (struct block_request){.op = BLOCK_WRITE_ZEROES, .sector = sector, .count = 1, .complete = count};
	block_submit(&port.block, r);
}

static void board(unsigned depth)
{
	light = (struct block){.submit = light_submit, .sectors = SECTORS};
	block_queue_init(&queue, &light, depth);
	assert_int_equal(block_port_init(&port, &queue, 0, SECTORS, 0, BLOCK_QUEUE_WAITING), 0);
	completions = 0;
	dispatches = 0;
	at_disk = NULL;
}

/* A stream runs away from three requests below and from those that it was overtaken by. */
static void each_overdue_request_has_its_turn(void **state)
{
	(void)state;
	static struct block_request far[3];
	u64 next = 1000000, most[3];

	board(1);
	for (unsigned i = 0; i < 16; i++, next += 2)
		submit(&requests[i], next);
	for (unsigned i = 0; i < 3; i++) {
		submit(&far[i], 3000 - 1000 * i);
		most[i] = dispatches + BLOCK_QUEUE_BOUND + BLOCK_QUEUE_BATCH * (1 + 16 + i);
	}
	for (unsigned k = 16; k < 2000; k++) {
		/* Just above where the sweep is now, wherever it went. */
		submit(&requests[k], at_disk->sector + 2);
		light_complete();
		for (unsigned i = 0; i < 3; i++)
			assert_true(far[i].count == 0 || at_disk == NULL || dispatches <= most[i] + 1);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(far[i].count, 0);
	while (light_complete())
		;
}

static unsigned depth_of(struct block_request *r)
{
	unsigned left, right;

	if (!r)
		return 0;
	if (block_ticket(r)->left)
		assert_true(block_ticket(block_ticket(r)->left)->priority <= block_ticket(r)->priority);
	if (block_ticket(r)->right)
		assert_true(block_ticket(block_ticket(r)->right)->priority <= block_ticket(r)->priority);
	left = depth_of(block_ticket(r)->left);
	right = depth_of(block_ticket(r)->right);
	return 1 + MAX(left, right);
}

static void tree_stays_flat(void **state)
{
	(void)state;
	board(1);
	for (unsigned i = 0; i < BLOCK_QUEUE_WAITING; i++)
		submit(&requests[i], 2 * i);
	assert_true(depth_of(queue.root) <= 40); /* 4.3 ln n is the limit in the mean */
	for (unsigned i = 1; i < BLOCK_QUEUE_WAITING; i += 3) {
		block_tree_remove(&queue.root, &requests[i]);
		if (i % 64 == 1)
			assert_true(depth_of(queue.root) <= 40);
		block_tree_insert(&queue.root, &requests[i]);
	}
	for (unsigned i = 0; i < BLOCK_QUEUE_WAITING * 3 / 4; i++)
		light_complete();
	assert_true(depth_of(queue.root) <= 34);
	while (light_complete())
		;
	assert_int_equal(completions, BLOCK_QUEUE_WAITING);
}

/* Completes within submit, where a careless queue would submit again. */
static unsigned nested, nested_most;
static void nesting_submit(struct block *b, struct block_request *r)
{
	(void)b;
	nested_most = MAX(nested_most, ++nested);
	r->complete(r, BLOCK_OK);
	nested--;
}

static void no_recursion(void **state)
{
	(void)state;
	board(1);
	for (unsigned i = 0; i < 1000; i++)
		submit(&requests[i], 4000 - 2 * i);
	light.submit = nesting_submit;
	nested_most = 0;
	/* The one at the light disk; its completion lets all the others go. */
	light_complete();
	assert_int_equal(completions, 1000);
	assert_int_equal(nested_most, 1);
}

static void submit_to(struct block_port *p, struct block_request *r, u64 sector)
{
	*r =
	    (struct block_request){.op = BLOCK_WRITE_ZEROES, .sector = sector, .count = 1, .complete = count};
	block_submit(&p->block, r);
}

/* One VM has its whole share at the queue, and much more that waits, all the time: another one has its share
 * at once, and is served within the bound. */
static void exhaustion_is_ones_own(void **state)
{
	(void)state;
	static struct block_request its[8];
	struct block_port greedy, other;
	u64 start;

	board(1);
	while (block_port_close(&port))
		;
	assert_int_equal(block_port_init(&greedy, &queue, 0, SECTORS / 2, 0, 8), 0);
	assert_int_equal(block_port_init(&other, &queue, SECTORS / 2, SECTORS / 2, 0, 8), 0);
	for (unsigned i = 0; i < BLOCK_QUEUE_WAITING; i++)
		submit_to(&greedy, &requests[i], 2 * i);
	assert_int_equal(greedy.outstanding, 8);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 8; i++)
			submit_to(&other, &its[i], 4000 - 2 * i - 100 * round);
		assert_int_equal(other.outstanding, 8);
		for (start = dispatches; other.outstanding;) {
			assert_true(light_complete());
			assert_int_equal(greedy.outstanding, 8);
			assert_true(dispatches - start <= BLOCK_QUEUE_BOUND + BLOCK_QUEUE_BATCH * (1 + 16));
		}
	}
	assert_int_equal(block_port_meters(&other).ops[BLOCK_WRITE_ZEROES], 20 * 8);
	while (light_complete())
		;
	assert_int_equal(completions, BLOCK_QUEUE_WAITING + 20 * 8);
}

/* A port is an extent: its sector 3 is not another one's. */
static void ports_are_extents(void **state)
{
	(void)state;
	static struct block_ram disk;
	static u8 medium[16 * BLOCK_SECTOR];
	struct block_port low, high;
	u8 data[BLOCK_SECTOR];
	struct piece segment = {data, sizeof(data)};
	struct block_request r = {.op = BLOCK_WRITE,
				  .flags = BLOCK_FUA,
				  .sector = 3,
				  .count = 1,
				  .nr_segments = 1,
				  .segments = &segment,
				  .complete = count};

	completions = 0;
	memset(data, 0x5a, sizeof(data));
	block_ram_init(&disk, medium, sizeof(medium), 0);
	block_queue_init(&queue, &disk.block, 1);
	assert_int_equal(block_port_init(&low, &queue, 0, 8, BLOCK_READ_ONLY, 1), 0);
	assert_int_equal(block_port_init(&high, &queue, 8, 8, 0, 1), 0);
	block_submit(&high.block, &r);
	assert_int_equal(completions, 1);
	for (unsigned i = 0; i < sizeof(medium); i++)
		assert_int_equal(medium[i], i / BLOCK_SECTOR == 8 + 3 ? 0x5a : 0);
	assert_int_equal(low.block.flags, BLOCK_READ_ONLY | BLOCK_COPIES);
	assert_int_equal(low.block.sectors, 8);
}

#define THREADS 2 /* ticket locks, and fewer CPUs than threads: a wait would be a time slice long */
#define ROUNDS 2000
#define AHEAD 16

static struct block_port ports[THREADS];
static struct block_ram ram;

struct job {
	struct block_request r;
	struct piece segment;
	u8 data[2 * BLOCK_SECTOR];
	u8 want;
	int busy;
};

static void job_done(struct block_request *r, enum block_status status)
{
	struct job *j = container_of(r, struct job, r);

	assert_int_equal(status, BLOCK_OK);
	if (r->op == BLOCK_READ)
		for (unsigned i = 0; i < sizeof(j->data); i++)
			assert_int_equal(j->data[i], j->want);
	__atomic_store_n(&j->busy, 0, __ATOMIC_RELEASE);
}

/* Each job has its own two sectors: writes, then reads back, while others' requests are merged with it. */
static void *vm(void *opaque)
{
	unsigned self = (unsigned)(u64)opaque;
	struct job *jobs = calloc(AHEAD, sizeof(*jobs));

	for (unsigned k = 0; k < ROUNDS; k++) {
		struct job *j = &jobs[k % AHEAD];
		bool reads = k / AHEAD % 2;

		while (__atomic_load_n(&j->busy, __ATOMIC_ACQUIRE))
			usleep(1);
		j->want = reads ? j->want : (u8)(k / AHEAD * 5 + self);
		memset(j->data, reads ? 0xff : j->want, sizeof(j->data));
		j->segment = (struct piece){j->data, sizeof(j->data)};
		j->r = (struct block_request){.op = reads ? BLOCK_READ : BLOCK_WRITE,
					      .flags = k % 37 ? 0 : BLOCK_BARRIER,
					      .sector = k % AHEAD * 2,
					      .count = 2,
					      .nr_segments = 1,
					      .segments = &j->segment,
					      .complete = job_done};
		j->busy = 1;
		block_submit(&ports[self].block, &j->r);
	}
	for (unsigned i = 0; i < AHEAD; i++)
		while (__atomic_load_n(&jobs[i].busy, __ATOMIC_ACQUIRE))
			usleep(1);
	free(jobs);
	return NULL;
}

static void several_cpus(void **state)
{
	(void)state;
	pthread_t thread[THREADS];
	u8 *medium = calloc(THREADS * AHEAD * 2, BLOCK_SECTOR);

	block_ram_init(&ram, medium, THREADS * AHEAD * 2 * BLOCK_SECTOR, 0);
	block_queue_init(&queue, &ram.block, 2);
	for (u64 i = 0; i < THREADS; i++) {
		assert_int_equal(block_port_init(&ports[i], &queue, i * AHEAD * 2, AHEAD * 2, 0, 8), 0);
		assert_int_equal(pthread_create(&thread[i], NULL, vm, (void *)i), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		struct block_meters m = block_port_meters(&ports[i]);

		assert_int_equal(m.ops[BLOCK_READ] + m.ops[BLOCK_WRITE], ROUNDS);
		while (block_port_close(&ports[i]))
			;
	}
	assert_int_equal(queue.pumps, 0);
	free(medium);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_overdue_request_has_its_turn),
	    cmocka_unit_test(tree_stays_flat),
	    cmocka_unit_test(no_recursion),
	    cmocka_unit_test(exhaustion_is_ones_own),
	    cmocka_unit_test(ports_are_extents),
	    cmocka_unit_test(several_cpus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
