/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver against virtqueues (M67, M70): indices that jump, chains without end, addresses that are
 * not RAM, lengths of 0 and 2^32 - 1, and memory that changes under the device's hands. */
#include <pthread.h>
#include <setjmp.h>
#include <unistd.h>

#include <cmocka.h>

#include "virtq_test.h"

#define TABLE 0x30000ull
#define SPLIT VIRTIO_F_INDIRECT_DESC
#define PACKED (VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC)
#define SIZE 8

static struct piece segments[32];
static struct virtq_chain c;

static void begin(u64 features)
{
	driver_init(&driver, SIZE, features, QUEUE);
	assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), 0);
	c = (struct virtq_chain){.segments = segments, .room = ARRAY_SIZE(segments)};
}

static int pop(void)
{
	int rc = virtq_pop(&queue, &c);

	assert_int_equal(queue.broken, rc < 0);
	if (rc < 0) {
		/* Nothing works any more, and nothing is touched. */
		u16 index = driver.packed ? 0 : get16(driver.s.device + 2);
		assert_int_equal(virtq_pop(&queue, &c), ERR_INVAL);
		virtq_push(&queue, &c, 1);
		assert_false(virtq_interrupt(&queue));
		assert_int_equal(driver.packed ? 0 : get16(driver.s.device + 2), index);
	}
	return rc;
}

/* The flags of packed descriptor i that make it available in the first round. */
static void packed_desc(unsigned i, u64 addr, u32 len, u16 flags)
{
	desc_write(QUEUE + 16 * i, addr, len, (u16)i, flags | VIRTQ_DESC_AVAIL);
}

/* One descriptor, available. */
static int pop_one(u64 features, u64 addr, u32 len, u16 flags)
{
	begin(features);
	if (driver.packed) {
		packed_desc(0, addr, len, flags);
	} else {
		desc_write(QUEUE, addr, len, flags, 1);
		split_publish(&driver, 0);
	}
	return pop();
}

static void split_index_jumps(void **state)
{
	(void)state;
	for (u32 in_flight = 0; in_flight <= SIZE; in_flight++)
		for (u32 index = 0; index <= 0xffff; index += index == 40 ? 0xffd0 - 40 : 1) {
			begin(SPLIT);
			for (u16 i = 0; i < SIZE; i++)
				desc_write(QUEUE + 16 * i, DATA, 1, 0, 0);
			set16(driver.s.driver + 2, (u16)in_flight);
			for (u32 i = 0; i < in_flight; i++)
				assert_int_equal(pop(), 1);
			set16(driver.s.driver + 2, (u16)index);
			int want = index < in_flight || index > SIZE ? ERR_INVAL : index > in_flight;
			assert_int_equal(pop(), want);
		}
}

static void split_heads_outside(void **state)
{
	(void)state;
	for (u32 head = 0; head <= 0xffff; head++) {
		begin(SPLIT);
		set16(driver.s.driver + 4, (u16)head);
		set16(driver.s.driver + 2, 1);
		assert_int_equal(pop(), head < SIZE ? 1 : ERR_INVAL);
	}
}

static void loops(void **state)
{
	(void)state;
	/* Of each length, in the ring. */
	for (u16 length = 1; length <= SIZE; length++) {
		begin(SPLIT);
		for (u16 i = 0; i < length; i++)
			desc_write(QUEUE + 16 * i, DATA, 4, VIRTQ_DESC_NEXT, (u16)((i + 1) % length));
		split_publish(&driver, 0);
		assert_int_equal(pop(), ERR_INVAL);
		/* In a table. */
		begin(SPLIT);
		for (u16 i = 0; i < length; i++)
			desc_write(TABLE + 16 * i, DATA, 4, VIRTQ_DESC_NEXT, (u16)((i + 1) % length));
		desc_write(QUEUE, TABLE, 16u * length, VIRTQ_DESC_INDIRECT, 0);
		split_publish(&driver, 0);
		assert_int_equal(pop(), ERR_INVAL);
	}
	/* Next outside the ring, outside the table. */
	for (u32 next = SIZE; next <= 0xffff; next += 7) {
		begin(SPLIT);
		desc_write(QUEUE, DATA, 4, VIRTQ_DESC_NEXT, (u16)next);
		split_publish(&driver, 0);
		assert_int_equal(pop(), ERR_INVAL);
		begin(SPLIT);
		desc_write(TABLE, DATA, 4, VIRTQ_DESC_NEXT, (u16)next);
		desc_write(QUEUE, TABLE, 16 * SIZE, VIRTQ_DESC_INDIRECT, 0);
		split_publish(&driver, 0);
		assert_int_equal(pop(), ERR_INVAL);
	}
	/* All of the packed ring goes on. */
	begin(PACKED);
	for (u16 i = 0; i < SIZE; i++)
		packed_desc(i, DATA, 4, VIRTQ_DESC_NEXT);
	assert_int_equal(pop(), ERR_INVAL);
	/* All but the last: the longest there is; and then no more fits. */
	begin(PACKED);
	for (u16 i = 0; i < SIZE; i++)
		packed_desc(i, DATA, 4, i + 1 < SIZE ? VIRTQ_DESC_NEXT : 0);
	assert_int_equal(pop(), 1);
	assert_int_equal(c.descs, SIZE);
	for (u16 i = 0; i < SIZE; i++)
		desc_write(QUEUE + 16 * i, DATA, 4, i, VIRTQ_DESC_USED);
	assert_int_equal(pop(), ERR_INVAL);
}

static void tables(void **state)
{
	static const u64 layouts[] = {SPLIT, PACKED};

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		/* Nobody agreed to tables. */
		assert_int_equal(
		    pop_one(layouts[l] & ~VIRTIO_F_INDIRECT_DESC, TABLE, 16, VIRTQ_DESC_INDIRECT), ERR_INVAL);
		/* Sizes: no multiple of 16, none, too many. The table is one long chain. */
		for (u16 i = 0; i < 300; i++)
			desc_write(TABLE + 16 * i, DATA, 1,
				   l         ? 0
				   : i < 299 ? VIRTQ_DESC_NEXT
					     : 0,
				   (u16)(l ? 0 : i + 1));
		static const u32 sizes[] = {0, 1, 15, 17, 31, 16 * 257, 16 * 300, ~0, ~7, ~15u, 1u << 31};
		for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
			assert_int_equal(pop_one(layouts[l], TABLE, sizes[i], VIRTQ_DESC_INDIRECT),
					 ERR_INVAL);
		if (l)
			assert_int_equal(pop_one(layouts[l], TABLE, 16 * 256, VIRTQ_DESC_INDIRECT), 1);
		/* At places that are none. */
		static const u64 places[] = {HOLE, RAM2_END - 8, 0xfee00000, HIGH_END - 8, ~0ull, ~0ull - 15};
		for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
			assert_true(pop_one(layouts[l], places[i], 32, VIRTQ_DESC_INDIRECT) < 0);
		/* Goes on behind a table. */
		assert_int_equal(pop_one(layouts[l], TABLE, 16, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_NEXT),
				 ERR_INVAL);
	}
	/* A table in a table. Packed: the bit is ignored there (2.8.7). */
	desc_write(TABLE, TABLE, 16, VIRTQ_DESC_INDIRECT, 0);
	assert_int_equal(pop_one(SPLIT, TABLE, 16, VIRTQ_DESC_INDIRECT), ERR_INVAL);
	desc_write(TABLE, DATA, 16, 0, VIRTQ_DESC_INDIRECT | VIRTQ_DESC_NEXT);
	assert_int_equal(pop_one(PACKED, TABLE, 16, VIRTQ_DESC_INDIRECT), 1);
	/* Packed: a table after direct descriptors (2.8.8). */
	begin(PACKED);
	packed_desc(0, DATA, 4, VIRTQ_DESC_NEXT);
	packed_desc(1, TABLE, 16, VIRTQ_DESC_INDIRECT);
	assert_int_equal(pop(), ERR_INVAL);
}

static void addresses(void **state)
{
	static const u64 layouts[] = {SPLIT, PACKED};
	static const struct {
		u64 addr;
		u32 len;
		int read, write;
	} row[] = {
	    {DATA, 0, 1, 1},
	    {DATA, 1, 1, 1},
	    {0, RAM_END, 1, 1},
	    {0, RAM_END + 1, 1, ERR_FAULT}, /* into ROM */
	    {ROM_BASE, ROM_END - ROM_BASE, 1, ERR_FAULT},
	    {ROM_BASE - 1, ROM_END - ROM_BASE + 2, 1, ERR_FAULT},
	    {RAM_END, 1, 1, ERR_FAULT},
	    {ROM_END, 0x2000, 1, 1},
	    {0, HOLE, 1, ERR_FAULT},
	    {0, HOLE + 1, ERR_FAULT, ERR_FAULT}, /* into the hole */
	    {HOLE, 1, ERR_FAULT, ERR_FAULT},
	    {HIGH_BASE - 1, 1, ERR_FAULT, ERR_FAULT},
	    {HIGH_END - 1, 1, 1, 1},
	    {HIGH_END - 1, 2, ERR_FAULT, ERR_FAULT},
	    {0xfec00000, 4, ERR_FAULT, ERR_FAULT},
	    {0xfee00000, 4, ERR_FAULT, ERR_FAULT},
	    {0, 0xffffffff, ERR_FAULT, ERR_FAULT},
	    {DATA, 0xffffffff, ERR_FAULT, ERR_FAULT},
	    {~0ull, 1, ERR_FAULT, ERR_FAULT},
	    {~0ull, 0xffffffff, ERR_FAULT, ERR_FAULT},
	    {1ull << 63, 1, ERR_FAULT, ERR_FAULT},
	    {1ull << 48, 1, ERR_FAULT, ERR_FAULT},
	    {HOLE, 0, 1, 1}, /* nothing is nowhere */
	};

	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (unsigned i = 0; i < ARRAY_SIZE(row); i++) {
			assert_int_equal(pop_one(layouts[l], row[i].addr, row[i].len, 0), row[i].read);
			assert_int_equal(pop_one(layouts[l], row[i].addr, row[i].len, VIRTQ_DESC_WRITE),
					 row[i].write);
		}
	/* What is to be read after what is to be written. */
	begin(SPLIT);
	desc_write(QUEUE, DATA, 4, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE, 1);
	desc_write(QUEUE + 16, DATA, 4, 0, 0);
	split_publish(&driver, 0);
	assert_int_equal(pop(), ERR_INVAL);
	begin(PACKED);
	packed_desc(0, DATA, 4, VIRTQ_DESC_NEXT | VIRTQ_DESC_WRITE);
	packed_desc(1, DATA, 4, 0);
	assert_int_equal(pop(), ERR_INVAL);
}

/* 2^32 - 1 bytes eight times over, where there is that much RAM: they are counted and cost nothing. */
static void much_memory(void **state)
{
	struct gmem big = guest_ram;

	(void)state;
	begin(SPLIT);
	big.slots[0].length = 16ull << 30;
	big.nr_slots = 1;
	assert_int_equal(virtq_start(&queue, &big, &driver.s), 0);
	for (u16 i = 0; i < SIZE; i++)
		desc_write(QUEUE + 16 * i, DATA, ~0u, i + 1 < SIZE ? VIRTQ_DESC_NEXT : 0, (u16)(i + 1));
	split_publish(&driver, 0);
	long before = shim_pages_in_use;
	assert_int_equal(virtq_pop(&queue, &c), 1);
	assert_true(c.too_long);
	assert_int_equal(c.read_bytes, 8 * 0xffffffffull);
	assert_true(shim_pages_in_use - before < 64);
}

static void no_memory_behind_a_buffer(void **state)
{
	(void)state;
	begin(SPLIT);
	desc_write(QUEUE, HIGH_BASE, 4, 0, 0);
	split_publish(&driver, 0);
	shim_fail_after = 0;
	assert_int_equal(pop(), ERR_NOMEM);
}

/* The other side of the ring is written as fast as it can be, while the device takes and gives. */
int sched_yield(void); /* our own sched.h hides the C library's */
static bool over;

static void *scribbler(void *opaque)
{
	static const u8 halfwords[] = {0, 4, 6, 7}; /* low bits of address and length, what is behind them */
	u16 *ring = opaque;
	u32 x = 1;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		x = x * 1664525 + 1013904223;
		u32 half = halfwords[x >> 8 & 3];
		u16 value = (u16)(x >> 16);
		if (half >= 6)
			value &= x & 64 ? 0x8087 : 3;
		__atomic_store_n(&ring[(x >> 10 & 7) * 8 + half], value, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void changed_in_use(void **state)
{
	static const u64 layouts[] = {SPLIT, PACKED};

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		pthread_t thread;
		unsigned popped = 0;
		over = false;
		begin(layouts[l]);
		assert_int_equal(pthread_create(&thread, NULL, scribbler, at(QUEUE, 128)), 0);
		/* As long as it takes until the other has had a CPU. */
		alarm(60);
		for (unsigned i = 0; i < 100000 || popped < 100; i++) {
			if (i % 1024 == 0)
				sched_yield();
			if (queue.broken)
				assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), 0);
			if (!driver.packed)
				set16(driver.s.driver + 2, (u16)(queue.next_used + 1));
			if (virtq_pop(&queue, &c) != 1)
				continue;
			popped++;
			assert_true(c.nr_read + c.nr_write <= c.room);
			u64 sum = 0;
			for (u32 s = 0; s < c.nr_read + c.nr_write; s++) {
				sum += segments[s].length;
				segments[s].base[0]++;
				segments[s].base[segments[s].length - 1]++;
			}
			assert_true(c.too_long || sum == c.read_bytes + c.write_bytes);
			virtq_push(&queue, &c, 1);
		}
		__atomic_store_n(&over, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		alarm(0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static int run(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(split_index_jumps),
	    TEST(split_heads_outside),
	    TEST(loops),
	    TEST(tables),
	    TEST(addresses),
	    TEST(much_memory),
	    TEST(changed_in_use),
	    TEST(no_memory_behind_a_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
