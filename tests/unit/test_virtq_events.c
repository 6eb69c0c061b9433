/* SPDX-License-Identifier: Apache-2.0 */
/* When each side of a virtqueue is told of the other's progress (M21, M84): index arithmetic in full at small
 * sizes, wrap included (M70), thresholds kept exactly, and no wake-up lost with the two sides on two CPUs. */
#include <pthread.h>
#include <setjmp.h>
#include <unistd.h>

#include <cmocka.h>

#include "virtq_test.h"

#define SPLIT 0
#define PACKED VIRTIO_F_RING_PACKED
#define EVENT VIRTIO_F_EVENT_IDX

static struct piece segments[4];

static void begin(u16 size, u64 features)
{
	driver_init(&driver, size, features, QUEUE);
	assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), 0);
}

static struct virtq_chain chain(void)
{
	return (struct virtq_chain){.segments = segments, .room = ARRAY_SIZE(segments)};
}

static unsigned collect(void)
{
	u16 id;
	u32 len;
	unsigned n = 0;

	while (driver_used(&driver, &id, &len)) {
		assert_int_equal(len, 16);
		n++;
	}
	return n;
}

/* ---- index arithmetic, in full ---- */
static void split_arithmetic(void **state)
{
	static const u16 news[] = {0, 1, 2, 3, 5, 8, 0x7fff, 0x8000, 0xfff8, 0xfffe, 0xffff};

	(void)state;
	for (unsigned n = 0; n < ARRAY_SIZE(news); n++)
		for (u32 since = 0; since <= 9; since++)
			for (u32 event = 0; event <= 0xffff; event++) {
				bool in = false;
				for (u32 i = 1; i <= since; i++)
					in |= event == (u16)(news[n] - i);
				if (virtq_split_passed((u16)event, news[n], since) != in)
					fail_msg("event %u new %u since %u", event, news[n], since);
			}
	assert_true(virtq_split_passed(7, 7, 0x10000));
}

static void packed_arithmetic(void **state)
{
	(void)state;
	for (u32 size = 1; size <= 7; size++)
		for (u32 next = 0; next < size; next++)
			for (u32 x = 0; x < 2 * (size + 1) * (size + 2) * 2; x++) {
				bool wrap = x & 1, event_wrap = x >> 1 & 1, in = false;
				u32 since = (x >> 2) / (size + 2), offset = (x >> 2) % (size + 2);
				/* One back at a time; below 0 it is the end of the round before. */
				u32 p = next;
				bool w = wrap;
				for (u32 i = 0; i < since; i++) {
					w ^= p == 0;
					p = p ? p - 1 : size - 1;
					in |= p == offset && w == event_wrap;
				}
				if (offset >= size)
					in = since > 0;
				if (virtq_packed_passed((u16)(event_wrap << 15 | offset), (u16)next, wrap,
							(u16)size, since) != in)
					fail_msg("size %u next %u.%d since %u event %u.%d", size, next, wrap,
						 since, offset, event_wrap);
			}
}

/* ---- told exactly when it was asked for ---- */
static void interrupts(u16 size, u64 features)
{
	static const struct buffer one = {DATA, 16, true};
	struct virtq_chain c = chain();

	/* `after` more than the next, with the ring at each position and `count` pushed at once. */
	begin(size, features | EVENT);
	for (unsigned turn = 0; turn < 3u * size; turn++)
		for (u16 after = 0; after < size; after++)
			for (u16 count = 1; count <= size; count++) {
				u16 used = 0;
				driver_want_event(&driver, after);
				while (used < size) {
					u16 n = MIN(count, (u16)(size - used));
					for (u16 i = 0; i < n; i++) {
						driver_add(&driver, &one, 1, false);
						assert_int_equal(virtq_pop(&queue, &c), 1);
						virtq_push(&queue, &c, 16);
					}
					bool told = virtq_interrupt(&queue);
					assert_int_equal(told, after >= used && after < used + n);
					assert_false(virtq_interrupt(&queue));
					used = (u16)(used + n);
				}
				collect();
				/* One more, so that the next round starts elsewhere. */
				driver_add(&driver, &one, 1, false);
				assert_int_equal(virtq_pop(&queue, &c), 1);
				virtq_push(&queue, &c, 16);
				virtq_interrupt(&queue);
				collect();
			}
}

static void interrupts_where_asked_for(void **state)
{
	(void)state;
	for (u16 size = 1; size <= 8; size *= 2)
		interrupts(size, SPLIT);
	for (u16 size = 1; size <= 8; size++)
		interrupts(size, PACKED);
}

static void interrupts_on_and_off(void **state)
{
	static const u64 layouts[] = {SPLIT, PACKED};
	static const struct buffer one = {DATA, 16, true};

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		struct virtq_chain c = chain();
		begin(4, layouts[l]);
		for (unsigned i = 0; i < 20; i++) {
			driver_want(&driver, i & 1);
			assert_false(virtq_interrupt(&queue)); /* nothing has come back */
			driver_add(&driver, &one, 1, false);
			assert_int_equal(virtq_pop(&queue, &c), 1);
			virtq_push(&queue, &c, 16);
			assert_int_equal(virtq_interrupt(&queue), i & 1);
			assert_int_equal(collect(), 1);
		}
	}
}

/* The driver kicks with the chain that the device has said it waits for, and no other. */
static void kicks(u16 size, u64 features)
{
	static const struct buffer one = {DATA, 16, true};
	struct virtq_chain c = chain();

	begin(size, features);
	for (unsigned turn = 0; turn < 4u * size; turn++) {
		virtq_kicks_off(&queue);
		if (!(features & EVENT) || features & PACKED) {
			driver_add(&driver, &one, 1, false);
			assert_false(driver_kick(&driver));
			assert_true(virtq_kicks_on(&queue)); /* it came before */
			assert_int_equal(virtq_pop(&queue, &c), 1);
			virtq_push(&queue, &c, 16);
		}
		assert_false(virtq_kicks_on(&queue));
		collect();
		for (u16 i = 0; i < size; i++) {
			driver_add(&driver, &one, 1, false);
			assert_int_equal(driver_kick(&driver), i == 0 || !(features & EVENT));
		}
		for (u16 i = 0; i < size; i++) {
			assert_int_equal(virtq_pop(&queue, &c), 1);
			virtq_push(&queue, &c, 16);
		}
		collect();
	}
}

static void kicks_where_asked_for(void **state)
{
	(void)state;
	for (u16 size = 1; size <= 8; size *= 2) {
		kicks(size, SPLIT);
		kicks(size, SPLIT | EVENT);
	}
	for (u16 size = 1; size <= 8; size++) {
		kicks(size, PACKED);
		kicks(size, PACKED | EVENT);
	}
}

/* Whether there is something, for who polls: seen before or not, and nothing is taken by the look. */
static void waiting(u16 size, u64 features)
{
	static const struct buffer one = {DATA, 16, true};
	struct virtq_chain c = chain();

	begin(size, features);
	for (unsigned turn = 0; turn < 5u * size; turn++)
		for (u16 n = 1; n <= size; n++) {
			assert_false(virtq_waiting(&queue));
			for (u16 i = 0; i < n; i++) {
				driver_add(&driver, &one, 1, false);
				assert_true(virtq_waiting(&queue));
			}
			for (u16 i = 0; i < n; i++) {
				assert_true(virtq_waiting(&queue));
				assert_int_equal(virtq_pop(&queue, &c), 1);
				virtq_push(&queue, &c, 16);
			}
			assert_false(virtq_waiting(&queue));
			assert_int_equal(collect(), n);
		}
	/* What was seen is there, whatever the driver makes of its index. */
	for (unsigned i = 0; i < 2 && !(features & PACKED); i++) {
		driver_add(&driver, &one, 1, false);
		driver_add(&driver, &one, 1, false);
		for (u16 n = 0; n < 2; n++) {
			assert_int_equal(virtq_pop(&queue, &c), 1);
			virtq_push(&queue, &c, 16);
			set16(driver.s.driver + 2, queue.next_avail);
			assert_int_equal(virtq_waiting(&queue), !n);
		}
		assert_int_equal(collect(), 2);
	}
	/* What is wrong is the next pop's to say; then nothing waits any more. */
	driver_add(&driver, &(struct buffer){HOLE, 16, true}, 1, false);
	assert_true(virtq_waiting(&queue));
	assert_int_equal(virtq_pop(&queue, &c), ERR_FAULT);
	driver_add(&driver, &one, 1, false);
	assert_false(virtq_waiting(&queue));
}

static void waiting_for_who_polls(void **state)
{
	(void)state;
	for (u16 size = 2; size <= 8; size *= 2) {
		waiting(size, SPLIT);
		waiting(size, SPLIT | EVENT);
	}
	for (u16 size = 2; size <= 8; size++)
		waiting(size, PACKED);
}

/* ---- no lost wake-up: the two sides on two CPUs, each asleep until the other tells it ---- */
#define THREAD_CHAINS 40000
int sched_yield(void); /* our own sched.h hides the C library's */
static u32 kicks_told, interrupts_told;
static bool over;

static void sleep_until_more(u32 *counter, u32 seen)
{
	while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) == seen &&
	       !__atomic_load_n(&over, __ATOMIC_SEQ_CST))
		sched_yield();
}

static void *device_thread(void *opaque)
{
	struct virtq_chain c = chain();

	(void)opaque;
	while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
		u32 seen = __atomic_load_n(&kicks_told, __ATOMIC_SEQ_CST);
		virtq_kicks_off(&queue);
		do
			while (virtq_pop(&queue, &c) > 0)
				virtq_push(&queue, &c, 16);
		while (virtq_kicks_on(&queue));
		if (virtq_interrupt(&queue))
			__atomic_fetch_add(&interrupts_told, 1, __ATOMIC_SEQ_CST);
		sleep_until_more(&kicks_told, seen);
	}
	return NULL;
}

static void both_at_once(u64 features)
{
	static const struct buffer one = {DATA, 16, true};
	pthread_t thread;
	unsigned added = 0, done = 0;

	begin(4, features);
	over = false;
	kicks_told = interrupts_told = 0;
	assert_int_equal(pthread_create(&thread, NULL, device_thread, NULL), 0);
	alarm(60); /* a lost wake-up is for ever */
	while (done < THREAD_CHAINS) {
		u32 seen = __atomic_load_n(&interrupts_told, __ATOMIC_SEQ_CST);
		for (; driver.room && added < THREAD_CHAINS; added++)
			driver_add(&driver, &one, 1, false);
		if (driver_kick(&driver))
			__atomic_fetch_add(&kicks_told, 1, __ATOMIC_SEQ_CST);
		if (features & EVENT)
			driver_want_event(&driver, 0);
		unsigned n = collect();
		done += n;
		if (!n)
			sleep_until_more(&interrupts_told, seen);
	}
	__atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	alarm(0);
	assert_int_equal(added, done);
}

static void no_wakeup_is_lost(void **state)
{
	(void)state;
	both_at_once(SPLIT);
	both_at_once(SPLIT | EVENT);
	both_at_once(PACKED);
	both_at_once(PACKED | EVENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(split_arithmetic),
	    cmocka_unit_test(packed_arithmetic),
	    TEST(interrupts_where_asked_for),
	    TEST(interrupts_on_and_off),
	    TEST(kicks_where_asked_for),
	    TEST(waiting_for_who_polls),
	    TEST(no_wakeup_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
