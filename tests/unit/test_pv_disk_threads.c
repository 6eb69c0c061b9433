/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring with its vCPUs, its block device and a timer on CPUs of their own: nothing is
 * lost, nothing is done twice, each side sleeps when it may (M70, M71, M74, M84). */
#include "pv_disk_board.h"

#include <pthread.h>
#include <unistd.h>

#define SECTORS 256u
#define ROUNDS 30000u

static u8 media[SECTORS * 512];
static struct block_ram ram_disk;

/* ---- a block device that takes its time ---- */
static struct block slow;
static struct block_request *waiting[128];
static unsigned nr_waiting;
static struct spinlock waiting_lock;
static bool over;

static void slow_submit(struct block *b, struct block_request *r)
{
	(void)b;
	spin_lock(&waiting_lock);
	waiting[nr_waiting++] = r;
	spin_unlock(&waiting_lock);
}

static void *disk_side(void *opaque)
{
	u64 x = 88172645463325252ull;

	(void)opaque;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		struct block_request *r = NULL;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		spin_lock(&waiting_lock);
		if (nr_waiting) {
			unsigned pick = (unsigned)(x >> 33) % nr_waiting;

			r = waiting[pick];
			waiting[pick] = waiting[--nr_waiting];
		}
		spin_unlock(&waiting_lock);
		if (r)
			ram_disk.block.submit(&ram_disk.block, r);
		else if (!timer_poll())
			usleep(1);
	}
	return NULL;
}

/* Another vCPU that knows no better. */
static void *bell_side(void *opaque)
{
	(void)opaque;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		pv_doorbell(&bus, 0, 0);
		usleep(20);
	}
	return NULL;
}

static void start(pthread_t *threads, u32 flags)
{
	block_ram_init(&ram_disk, media, sizeof(media), 0);
	slow = (struct block){.submit = slow_submit, .sectors = SECTORS, .flags = flags};
	pv_board(&slow);
	over = false;
	assert_int_equal(pthread_create(&threads[0], NULL, disk_side, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, bell_side, NULL), 0);
	alarm(120);
}

static void stop(pthread_t *threads)
{
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	alarm(0);
	pv_board_off();
}

/* As a driver does: some at a time, some of them barriers, asleep until so many are back. */
static void nothing_is_lost(void **state)
{
	struct socle_response answer;
	pthread_t threads[2];
	u32 made = 0, gotten = 0, barriers = 0;
	bool open[RING_SIZE] = {false};

	(void)state;
	start(threads, BLOCK_VOLATILE);
	while (gotten < ROUNDS) {
		for (u32 n = made % 9; made < ROUNDS && n < 9; n++) {
			u8 flags = made % 37 == 0 ? SOCLE_RING_BARRIER : made % 11 == 0 ? SOCLE_RING_FUA : 0;
			int id = put(SOCLE_RING_WRITE, flags, made % SECTORS, 512, DATA * PAGE_SIZE);

			if (id < 0)
				break;
			assert_false(open[id]);
			open[id] = true;
			barriers += flags == SOCLE_RING_BARRIER;
			made++;
		}
		ring();
		while (socle_driver_get(&driver, &answer)) {
			assert_true(open[answer.id]);
			assert_int_equal(answer.status, 0);
			open[answer.id] = false;
			gotten++;
		}
		u32 out = made - gotten;
		if (out && !socle_driver_arm(&driver, 1 + made % out))
			while (!__atomic_exchange_n(&events, 0, __ATOMIC_ACQUIRE))
				usleep(1);
	}
	assert_true(barriers > 100);
	stop(threads);
}

/* Open, fill, close, while the disk works. */
static void closing_races(void **state)
{
	pthread_t threads[2];

	(void)state;
	start(threads, 0);
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0; i < 1 + round % 40; i++)
			put(SOCLE_RING_WRITE, i % 7 == 6 ? SOCLE_RING_BARRIER : 0, i, 512, DATA * PAGE_SIZE);
		ring();
		__atomic_store_n(&events, 0, __ATOMIC_RELEASE);
		socle_driver_arm(&driver, 0);
		while (pv_close(&bus, 0, 0) == ERR_AGAIN)
			usleep(1);
		assert_int_equal(__atomic_load_n(&ram.pinned_pages, __ATOMIC_ACQUIRE), 0);
		open_ring();
	}
	stop(threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_lost),
	    cmocka_unit_test(closing_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
