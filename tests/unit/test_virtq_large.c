/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues and buffers in pages of 2 MiB, of which a queue knows where they are (M67, M69): what is right
 * is found there, and what is not is refused all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "virtq_driver.h"

#define LARGE 0x200000ull
#define RAM LARGE
#define ROM (3 * LARGE)
#define SIZE 8

static struct driver driver;
static struct virtq queue;
static struct piece segments[8];
static struct virtq_chain c;

static void memory(void)
{
	static const struct ept_options opt = {.pages_2m = true};

	shim_fail_after = -1;
	assert_int_equal(ept_init(&guest_ept, &opt), 0);
	gmem_init(&guest_ram, &guest_ept, 9, ~0ull >> 1);
	assert_int_equal(gmem_add_slot(&guest_ram, 0, 3 * LARGE, 0), 0);
	assert_int_equal(gmem_add_slot(&guest_ram, ROM, LARGE, GMEM_READONLY), 0);
}

/* One descriptor behind what came before; as virtq_pop(). */
static int pop(u64 addr, u32 len, u16 flags)
{
	u16 n = queue.next_avail;

	desc_write(RAM + 16 * (n % SIZE), addr, len, flags, 0);
	set16(driver.s.driver + 4 + 2 * (n % SIZE), n % SIZE);
	set16(driver.s.driver + 2, (u16)(n + 1));
	c = (struct virtq_chain){.segments = segments, .room = ARRAY_SIZE(segments)};
	return virtq_pop(&queue, &c);
}

static void begin(void)
{
	driver_init(&driver, SIZE, 0, RAM);
	assert_int_equal(virtq_start(&queue, &guest_ram, &driver.s), 0);
	for (unsigned i = 0; i < 2; i++) { /* the second time it is known */
		assert_int_equal(pop(2 * LARGE + 100, 64, i ? VIRTQ_DESC_WRITE : 0), 1);
		assert_ptr_equal(segments->base, at(2 * LARGE + 100, 64));
		virtq_push(&queue, &c, 0);
		assert_int_equal(pop(ROM, 64, 0), 1);
		virtq_push(&queue, &c, 0);
	}
}

static void known(void **state)
{
	(void)state;
	memory();
	begin();
	assert_int_equal(pop(2 * LARGE, (u32)LARGE, VIRTQ_DESC_WRITE), 1);
	assert_true(c.nr_write == 1 && !c.nr_read && c.write_bytes == LARGE && !c.read_bytes);
	assert_true(segments->base == at(2 * LARGE, 1) && segments->length == LARGE && !c.too_long);
	virtq_push(&queue, &c, 7);
	/* From one large page into the next. */
	assert_int_equal(pop(2 * LARGE - 32, 64, 0), 1);
	assert_int_equal(c.read_bytes, 64);
	ram_destroy();
}

static void refused(void **state)
{
	static const struct {
		u64 addr;
		u32 len;
		u16 flags;
	} bad[] = {{ROM, 64, VIRTQ_DESC_WRITE},
		   {ROM - 32, 64, VIRTQ_DESC_WRITE},
		   {ROM + LARGE - 32, 64, 0},
		   {2 * LARGE, ~0u, 0},
		   {~0ull - 31, 64, 0}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		memory();
		begin();
		assert_int_equal(pop(bad[i].addr, bad[i].len, bad[i].flags), ERR_FAULT);
		assert_true(queue.broken);
		ram_destroy();
	}
}

/* A head behind the ring, where a good descriptor stands. */
static void heads_outside(void **state)
{
	(void)state;
	for (u32 head = SIZE; head <= 0xffff; head = 2 * head + 1) {
		memory();
		begin();
		u16 n = queue.next_avail;
		desc_write(RAM + 16 * head, 2 * LARGE, 64, 0, 0);
		set16(driver.s.driver + 4 + 2 * (n % SIZE), (u16)head);
		set16(driver.s.driver + 2, (u16)(n + 1));
		c = (struct virtq_chain){.segments = segments, .room = ARRAY_SIZE(segments)};
		assert_int_equal(virtq_pop(&queue, &c), ERR_INVAL);
		ram_destroy();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(refused),
					   cmocka_unit_test(heads_outside)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
