/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers that are given back together: the driver sees none of them, or all, in their order, at every place
 * of the ring (virtio 1.2, 2.7.8, 2.8.8, 5.1.6.4). And what a chain may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "virtq_driver.h"

#define FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

/* Pages side by side, for as long as nobody gives one back. */
static u8 arena[1024 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u32 arena_used;

hpa_t page_alloc(unsigned order)
{
	MUST(order == 0 && arena_used < 1024);
	return virt_to_phys(arena + PAGE_SIZE * arena_used++);
}

void page_free(hpa_t pa, unsigned order)
{
	(void)pa, (void)order;
}

static struct virtq q;
static struct driver d;
static struct piece pieces[300];

static void all_or_none(void **state)
{
	(void)state;
	for (unsigned packed = 0; packed < 2; packed++)
		for (u16 size = 1; size <= 16; size = (u16)(packed ? size + 3 : size * 2)) {
			u64 features = FEATURES | (packed ? VIRTIO_F_RING_PACKED : 0);
			arena_used = 0;
			ram_create();
			driver_init(&d, size, features, 0x8000);
			assert_int_equal(virtq_start(&q, &guest_ram, &d.s), 0);
			for (unsigned round = 0; round < 100; round++) {
				struct virtq_chain c[16];
				unsigned n = 1 + round % size, got = 0;
				u16 ids[16], id;
				u32 len;
				for (unsigned i = 0; i < n; i++) {
					const struct buffer b = {0x20000 + 0x100 * i, 0x100, true};
					ids[i] = driver_add(&d, &b, 1, round & 1);
				}
				for (unsigned i = 0; i < n; i++) {
					c[i].segments = pieces;
					c[i].room = 1;
					assert_int_equal(virtq_pop(&q, &c[i]), 1);
				}
				for (unsigned i = 0; i < n; i++) {
					virtq_push_hidden(&q, &c[i], 10 * round + i);
					assert_false(driver_used(&d, &id, &len));
				}
				driver_want_event(&d, (u16)(n - 1));
				virtq_show(&q);
				assert_true(virtq_interrupt(&q));
				virtq_show(&q); /* there is nothing */
				for (; driver_used(&d, &id, &len); got++) {
					assert_int_equal(id, ids[got]);
					assert_int_equal(len, 10 * round + got);
				}
				assert_int_equal(got, n);
				assert_int_equal(d.room, size);
			}
			ram_destroy();
		}
}

/* Pages side by side take no room, but time: there is an end to how many are looked up. */
static void bytes_have_an_end(void **state)
{
	const u32 part = 0x40000;

	(void)state;
	for (unsigned packed = 0; packed < 2; packed++)
		for (u32 n = 16; n <= 18; n++) {
			u64 features = FEATURES | (packed ? VIRTIO_F_RING_PACKED : 0);
			struct virtq_chain c = {.segments = pieces, .room = ARRAY_SIZE(pieces)};
			arena_used = 0;
			ram_create();
			driver_init(&d, 16, features, 0x8000);
			at(HIGH_BASE + part, 1); /* the tables have their pages */
			for (gpa_t gpa = HIGH_BASE; gpa < HIGH_BASE + part; gpa += PAGE_SIZE)
				at(gpa, 1);
			assert_int_equal(virtq_start(&q, &guest_ram, &d.s), 0);
			for (u32 i = 0; i < n; i++)
				desc_write(0x20000 + 16 * i, HIGH_BASE, part,
					   packed      ? 0
					   : i + 1 < n ? VIRTQ_DESC_NEXT
						       : 0,
					   packed ? 0 : (u16)(i + 1));
			desc_write(d.s.desc, 0x20000, 16 * n, packed ? 0 : VIRTQ_DESC_INDIRECT,
				   packed ? VIRTQ_DESC_INDIRECT | VIRTQ_DESC_AVAIL : 0);
			if (!packed)
				split_publish(&d, 0);
			assert_int_equal(virtq_pop(&q, &c), 1);
			assert_int_equal(c.read_bytes, (u64)part * n);
			assert_int_equal(c.nr_read, 16); /* 4 MiB of them */
			assert_int_equal(c.too_long, n > 16);
			ram_destroy();
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_or_none),
	    cmocka_unit_test(bytes_have_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
