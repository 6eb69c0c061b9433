/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues, split and packed, against a driver written from the specification: many times round at small
 * sizes, wrap included (M70), in any order (M71), descriptors that are pointers to the guest's own memory
 * (M69). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "virtq_test.h"

#define SPLIT 0
#define PACKED VIRTIO_F_RING_PACKED
#define EVENT VIRTIO_F_EVENT_IDX
#define INDIRECT VIRTIO_F_INDIRECT_DESC

static struct piece segments[64];

static void begin(u16 size, u64 features)
{
	driver_init(&driver, size, features, QUEUE);
	assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), 0);
}

static struct virtq_chain chain(void)
{
	return (struct virtq_chain){.segments = segments, .room = ARRAY_SIZE(segments)};
}

/* ---- requests come and go, in any order, many times round ---- */
static u32 seed;

static u32 dice(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

struct flight {
	struct virtq_chain c;
	u32 len;
};

static struct flight flights[DRIVER_SIZE_MAX];
static unsigned nr_flights;
static u32 expected_len[DRIVER_SIZE_MAX];

static void add_some(bool indirect)
{
	while (driver.room && driver.nr_free && dice(3)) {
		unsigned most = indirect ? 3 : MIN(driver.room, 3u), n = 1 + dice(most),
			 readable = dice(n + 1);
		struct buffer b[3];
		u32 len = 0;
		for (unsigned i = 0; i < n; i++) {
			b[i] = (struct buffer){DATA + dice(0x4000), 1 + dice(40), i >= readable};
			len += b[i].write ? b[i].len : 0;
		}
		u16 id = driver_add(&driver, b, n, indirect);
		expected_len[id] = len;
	}
}

static void pop_some(void)
{
	while (dice(4)) {
		struct flight *f = &flights[nr_flights];
		f->c = chain();
		int rc = virtq_pop(&queue, &f->c);
		assert_true(rc >= 0);
		if (!rc)
			return;
		assert_true(nr_flights < driver.s.size);
		assert_int_equal(f->c.write_bytes, expected_len[f->c.id]);
		f->len = (u32)f->c.write_bytes;
		nr_flights++;
	}
}

static void push_some(void)
{
	while (nr_flights && dice(4)) {
		unsigned i = dice(nr_flights);
		virtq_push(&queue, &flights[i].c, flights[i].len);
		flights[i] = flights[--nr_flights];
	}
}

static unsigned collect(void)
{
	u16 id;
	u32 len;
	unsigned n = 0;

	while (driver_used(&driver, &id, &len)) {
		assert_int_equal(len, expected_len[id]);
		n++;
	}
	return n;
}

static void traffic(u16 size, u64 features, unsigned rounds)
{
	unsigned done = 0;

	begin(size, features);
	nr_flights = 0;
	while (done < rounds) {
		add_some(features & INDIRECT);
		pop_some();
		push_some();
		done += collect();
	}
	while (driver.room < size) {
		pop_some();
		push_some();
		collect();
	}
	assert_int_equal(driver.room, size);
	assert_int_equal(driver.nr_free, size);
	assert_false(queue.broken);
	struct virtq_chain c = chain();
	assert_int_equal(virtq_pop(&queue, &c), 0);
}

/* The split indices go round 65536 with each size. */
static void split_round_trips(void **state)
{
	(void)state;
	for (u16 size = 1; size <= 8; size *= 2) {
		traffic(size, SPLIT, 70000);
		traffic(size, SPLIT | INDIRECT, 2000);
		traffic(size, SPLIT | INDIRECT | EVENT, 2000);
	}
	traffic(256, SPLIT | EVENT, 140000);
}

static void packed_round_trips(void **state)
{
	(void)state;
	for (u16 size = 1; size <= 8; size++) {
		traffic(size, PACKED, 3000);
		traffic(size, PACKED | INDIRECT, 3000);
		traffic(size, PACKED | INDIRECT | EVENT, 3000);
	}
	traffic(255, PACKED, 30000);
	traffic(256, PACKED | EVENT, 30000);
}

/* ---- from descriptors to host memory ---- */
static void segments_are_the_guests_memory(void **state)
{
	(void)state;
	static const u64 layouts[] = {SPLIT | INDIRECT, PACKED | INDIRECT};

	for (unsigned l = 0; l < 4; l++) {
		struct virtq_chain c = chain();
		const struct buffer b[] = {{DATA + 8, 8, false},     {DATA + 16, 16, false},
					   {DATA + 0x100, 0, false}, {DATA + PAGE_SIZE - 3, 4, false},
					   {DATA + 32, 0, true},     {DATA + 32, 2 * PAGE_SIZE, true},
					   {ROM_BASE, 0, true}};
		begin(8, layouts[l / 2]);
		memcpy(at(DATA + 8, 24), "what the driver wrote..", 24);
		driver_add(&driver, b, 6, l % 2);
		assert_int_equal(virtq_pop(&queue, &c), 1);
		assert_int_equal(c.read_bytes, 8 + 16 + 4);
		assert_int_equal(c.write_bytes, 2 * PAGE_SIZE);
		assert_false(c.too_long);
		u64 sum = 0;
		for (unsigned i = 0; i < c.nr_read + c.nr_write; i++) {
			assert_int_not_equal(segments[i].length, 0);
			sum += segments[i].length;
		}
		assert_int_equal(sum, c.read_bytes + c.write_bytes);
		/* The first two are neighbours. */
		assert_ptr_equal(segments[0].base, at(DATA + 8, 1));
		assert_int_equal(segments[0].length, 24);
		assert_ptr_equal(segments[c.nr_read].base, at(DATA + 32, 1));
		segments[c.nr_read].base[0] = 0x5a;
		assert_int_equal(*(u8 *)at(DATA + 32, 1), 0x5a);
	}
}

/* Split, 2.7.5.3.2: direct descriptors, and a table at the end. */
static void table_behind_direct_ones(void **state)
{
	struct virtq_chain c = chain();

	(void)state;
	begin(4, SPLIT | INDIRECT);
	desc_write(QUEUE + 16 * 2, DATA, 16, VIRTQ_DESC_NEXT, 1);
	desc_write(QUEUE + 16 * 1, DATA + 0x1000, 32, VIRTQ_DESC_INDIRECT, 0);
	desc_write(DATA + 0x1000, DATA + 0x100, 5, VIRTQ_DESC_NEXT, 1);
	desc_write(DATA + 0x1010, DATA + 0x200, 7, VIRTQ_DESC_WRITE, 0);
	split_publish(&driver, 2);
	assert_int_equal(virtq_pop(&queue, &c), 1);
	assert_int_equal(c.id, 2);
	assert_int_equal(c.read_bytes, 21);
	assert_int_equal(c.write_bytes, 7);
}

/* The specification aligns no table: at any byte, and over the end of a page. */
static void tables_at_any_byte(void **state)
{
	static const u64 layouts[] = {SPLIT | INDIRECT, PACKED | INDIRECT};

	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (u32 offset = 0; offset < 40; offset++) {
			struct virtq_chain c = chain();
			gpa_t table = DATA + 2 * PAGE_SIZE - offset;
			begin(4, layouts[l]);
			desc_write(table, DATA, 5, l ? 0 : VIRTQ_DESC_NEXT, l ? 0 : 1);
			desc_write(table + 16, DATA + 64, 7, l ? 0 : VIRTQ_DESC_WRITE,
				   l ? VIRTQ_DESC_WRITE : 0);
			desc_write(QUEUE, table, 32, l ? 0 : VIRTQ_DESC_INDIRECT,
				   l ? VIRTQ_DESC_INDIRECT | VIRTQ_DESC_AVAIL : 0);
			if (!l)
				split_publish(&driver, 0);
			assert_int_equal(virtq_pop(&queue, &c), 1);
			assert_int_equal(c.read_bytes, 5);
			assert_int_equal(c.write_bytes, 7);
			assert_int_equal(c.nr_read + c.nr_write, 2);
		}
}

static void no_room_for_segments(void **state)
{
	const struct buffer b[] = {{DATA, 3 * PAGE_SIZE, false}, {DATA + 0x8000, 0x4000, true}};

	(void)state;
	for (u32 room = 0; room < 8; room++) {
		struct virtq_chain c = {.segments = segments, .room = room};
		memset(segments, 0xff, sizeof(segments));
		begin(2, SPLIT);
		driver_add(&driver, b, 2, false);
		assert_int_equal(virtq_pop(&queue, &c), 1);
		assert_int_equal(c.read_bytes, 3 * PAGE_SIZE);
		assert_int_equal(c.write_bytes, 0x4000);
		assert_true(c.nr_read + c.nr_write <= room);
		assert_true(c.too_long || c.nr_read + c.nr_write >= 2);
		if (room == 0)
			assert_true(c.too_long);
		assert_int_equal(segments[room].length, 0xffffffff);
	}
}

/* ---- what a queue may be ---- */
static int start(u16 size, u64 features, gpa_t desc, gpa_t drv, gpa_t dev)
{
	const struct virtq_setup s = {size, desc, drv, dev, features};
	struct virtq_chain c = chain();
	int rc = virtq_start(&queue, &guest_ram, &s);

	assert_int_equal(queue.broken, rc != 0);
	if (rc) {
		assert_int_equal(virtq_pop(&queue, &c), ERR_INVAL);
		virtq_push(&queue, &c, 0);
		virtq_kicks_off(&queue);
		assert_false(virtq_kicks_on(&queue));
		assert_false(virtq_interrupt(&queue));
	}
	return rc;
}

static void sizes_and_places(void **state)
{
	const gpa_t d = 0x10000, a = 0x14000, u = 0x18000;

	(void)state;
	for (u32 size = 0; size <= 0xffff; size++) {
		bool ok = size && size <= 256;
		assert_int_equal(start((u16)size, PACKED, d, a, u) == 0, ok);
		assert_int_equal(start((u16)size, SPLIT, d, a, u) == 0, ok && !(size & (size - 1)));
	}
	for (unsigned off = 0; off < 32; off++) {
		assert_int_equal(start(8, SPLIT, d + off, a, u), off % 16 ? ERR_INVAL : 0);
		assert_int_equal(start(8, SPLIT, d, a + off, u), off % 2 ? ERR_INVAL : 0);
		assert_int_equal(start(8, SPLIT, d, a, u + off), off % 4 ? ERR_INVAL : 0);
		assert_int_equal(start(8, PACKED, d + off, a, u), off % 16 ? ERR_INVAL : 0);
		assert_int_equal(start(8, PACKED, d, a + off, u), off % 4 ? ERR_INVAL : 0);
		assert_int_equal(start(8, PACKED, d, a, u + off), off % 4 ? ERR_INVAL : 0);
	}
	/* To the last byte of RAM, and one element beyond. Event indices need two bytes more. */
	assert_int_equal(start(16, SPLIT, HIGH_END - 256, HIGH_END - 36, HIGH_END - 132), 0);
	assert_int_equal(start(16, SPLIT, HIGH_END - 240, a, u), ERR_FAULT);
	assert_int_equal(start(16, SPLIT, d, HIGH_END - 34, u), ERR_FAULT);
	assert_int_equal(start(16, SPLIT | EVENT, d, HIGH_END - 36, u), ERR_FAULT);
	assert_int_equal(start(16, SPLIT, d, a, HIGH_END - 128), ERR_FAULT);
	assert_int_equal(start(16, SPLIT | EVENT, d, a, HIGH_END - 132), ERR_FAULT);
	/* ROM is for what the device only reads. */
	assert_int_equal(start(16, SPLIT, ROM_BASE, ROM_BASE, u), 0);
	assert_int_equal(start(16, SPLIT, d, a, ROM_BASE), ERR_FAULT);
	assert_int_equal(start(16, PACKED, ROM_BASE, a, u), ERR_FAULT);
	assert_int_equal(start(16, PACKED, d, a, ROM_BASE), ERR_FAULT);
	/* Devices, nothing, the end of the address space. */
	assert_int_equal(start(16, SPLIT, HOLE, a, u), ERR_FAULT);
	assert_int_equal(start(16, SPLIT, RAM2_END - 16, a, u), ERR_FAULT);
	assert_int_equal(start(16, SPLIT, d, 0xfee00000, u), ERR_FAULT);
	assert_int_equal(start(16, SPLIT, d, a, ~0ull << 12), ERR_FAULT);
	assert_int_equal(start(16, SPLIT, ~0xfull, a, u), ERR_FAULT);
}

static void no_memory_behind_it(void **state)
{
	(void)state;
	for (long left = 0; left < (ram_large ? 3 : 5); left++) { /* tables, then frames */
		teardown(state);
		ram_create();
		shim_fail_after = left;
		assert_int_equal(start(256, SPLIT, 0x10ff0, 0x14000, 0x18000), ERR_NOMEM);
		shim_fail_after = -1;
		assert_int_equal(start(256, SPLIT, 0x10ff0, 0x14000, 0x18000), 0);
	}
}

/* Its pages become others: what was written before stays with the old ones. */
static void pages_change(void **state)
{
	static const struct buffer one = {DATA, 16, true};
	struct virtq_chain c = chain();
	struct ept_leaf old;
	gpa_t page;

	(void)state;
	begin(4, SPLIT);
	page = ALIGN_DOWN(driver.s.device, PAGE_SIZE);
	driver_add(&driver, &one, 1, false);
	assert_int_equal(virtq_pop(&queue, &c), 1);
	assert_int_equal(ept_lookup(&guest_ept, page, &old), 0);
	old.hpa += page & (old.size - 1);
	hpa_t new = page_alloc_zeroed(0);
	assert_int_equal(ept_map(&guest_ept, page, new, PAGE_SIZE, EPT_RWX, EPT_WB), 0);
	virtq_push(&queue, &c, 16);
	assert_int_equal(get16(driver.s.device + 2), 1);
	assert_int_equal(*(u16 *)((u8 *)phys_to_virt(old.hpa) + (driver.s.device + 2) % PAGE_SIZE), 0);
	page_free(old.hpa, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static int run(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(split_round_trips),        TEST(packed_round_trips),  TEST(segments_are_the_guests_memory),
	    TEST(table_behind_direct_ones), TEST(tables_at_any_byte),  TEST(no_room_for_segments),
	    TEST(sizes_and_places),         TEST(no_memory_behind_it), TEST(pages_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
