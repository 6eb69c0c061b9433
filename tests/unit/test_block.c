/* SPDX-License-Identifier: Apache-2.0 */
/* The check that every block request passes (M67), the RAM disk and the null disk (M80: no copy but the one).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block.h"

#define SECTORS 16

static struct block_ram disk;
static u8 *medium;
static unsigned completions;
static enum block_status last;

static void done(struct block_request *r, enum block_status status)
{
	(void)r;
	completions++;
	last = status;
}

static enum block_status ask(struct block *b, enum block_op op, u64 sector, u32 count,
			     const struct piece *segments, u32 nr)
{
	struct block_request r = {.op = op,
				  .sector = sector,
				  .count = count,
				  .segments = segments,
				  .nr_segments = nr,
				  .complete = done};
	unsigned before = completions;

	block_submit(b, &r);
	assert_int_equal(completions, before + 1);
	return last;
}

static int setup(void **state)
{
	(void)state;
	/* One byte short of another sector, which is not used: ASan would see it. */
	medium = malloc((SECTORS + 1) * BLOCK_SECTOR - 1);
	for (size_t i = 0; i < (SECTORS + 1) * BLOCK_SECTOR - 1; i++)
		medium[i] = (u8)(i * 31 + i / 512);
	block_ram_init(&disk, medium, (SECTORS + 1) * BLOCK_SECTOR - 1, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(medium);
	return 0;
}

static void ram_moves_bytes_by_segments(void **state)
{
	(void)state;
	u8 a[100], b[1], c[2 * 512 - 101], want[1024];
	struct piece seg[] = {{a, sizeof(a)}, {b, sizeof(b)}, {c, sizeof(c)}};

	assert_int_equal(disk.block.sectors, SECTORS);
	memcpy(want, medium + 14 * 512, 1024);
	assert_int_equal(ask(&disk.block, BLOCK_READ, 14, 2, seg, 3), BLOCK_OK);
	assert_memory_equal(a, want, 100);
	assert_memory_equal(b, want + 100, 1);
	assert_memory_equal(c, want + 101, sizeof(c));
	memset(a, 1, sizeof(a));
	memset(b, 2, sizeof(b));
	memset(c, 3, sizeof(c));
	assert_int_equal(ask(&disk.block, BLOCK_WRITE, 0, 2, seg, 3), BLOCK_OK);
	assert_int_equal(medium[99], 1);
	assert_int_equal(medium[100], 2);
	assert_int_equal(medium[101], 3);
	assert_int_equal(medium[1023], 3);
	assert_int_equal(medium[1024], (u8)(1024 * 31 + 2));
}

static void ram_zeroes_and_discards(void **state)
{
	(void)state;
	static const u8 zeros[1024];

	assert_int_equal(ask(&disk.block, BLOCK_WRITE_ZEROES, 3, 2, NULL, 0), BLOCK_OK);
	assert_memory_equal(medium + 3 * 512, zeros, 1024);
	assert_int_equal(medium[5 * 512], (u8)(5 * 512 * 31 + 5));
	assert_int_equal(ask(&disk.block, BLOCK_DISCARD, 5, 1, NULL, 0), BLOCK_OK);
	assert_memory_equal(medium + 5 * 512, zeros, 512);
	assert_int_equal(ask(&disk.block, BLOCK_FLUSH, 0, 0, NULL, 0), BLOCK_OK);
}

static void what_is_no_request_is_refused(void **state)
{
	(void)state;
	u8 data[1024];
	struct piece one = {data, 512}, two[] = {{data, 512}, {data, 0}};
	struct block *b = &disk.block;
	u8 *before = malloc(SECTORS * 512);

	memcpy(before, medium, SECTORS * 512);
	assert_int_equal(ask(b, BLOCK_WRITE, SECTORS, 1, &one, 1), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE, ~0ull, 1, &one, 1), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE_ZEROES, 1, SECTORS, NULL, 0), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE_ZEROES, 1, ~0u, NULL, 0), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE_ZEROES, 1, 1, &one, 1), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE, 1, 0, NULL, 0), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE, 1, 2, &one, 1), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE, 1, 1, NULL, 0), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_WRITE, 1, 1, two, 2), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_FLUSH, 0, 1, NULL, 0), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_OPS, 0, 1, NULL, 0), BLOCK_IOERR);
	assert_memory_equal(before, medium, SECTORS * 512);

	struct block_request r = {.op = BLOCK_READ,
				  .flags = BLOCK_FUA,
				  .count = 1,
				  .nr_segments = 1,
				  .segments = &one,
				  .complete = done};
	block_submit(b, &r);
	assert_int_equal(last, BLOCK_IOERR);
	block_ram_init(&disk, medium, SECTORS * 512, BLOCK_READ_ONLY);
	assert_int_equal(ask(b, BLOCK_WRITE, 1, 1, &one, 1), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_DISCARD, 1, 1, NULL, 0), BLOCK_IOERR);
	assert_int_equal(ask(b, BLOCK_READ, 1, 1, &one, 1), BLOCK_OK);
	assert_int_equal(ask(b, BLOCK_FLUSH, 0, 0, NULL, 0), BLOCK_OK);
	assert_memory_equal(before, medium, SECTORS * 512);
	free(before);
}

static void null_reads_zeros(void **state)
{
	(void)state;
	static const u8 zeros[512];
	u8 data[512];
	struct piece one = {data, 512};
	struct block null;

	block_null_init(&null, BIT(40));
	memset(data, 1, sizeof(data));
	assert_int_equal(ask(&null, BLOCK_WRITE, 1, 1, &one, 1), BLOCK_OK);
	assert_int_equal(data[0], 1);
	assert_int_equal(ask(&null, BLOCK_READ, BIT(40) - 1, 1, &one, 1), BLOCK_OK);
	assert_memory_equal(data, zeros, 512);
	assert_int_equal(ask(&null, BLOCK_READ, BIT(40), 1, &one, 1), BLOCK_IOERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(ram_moves_bytes_by_segments, setup, teardown),
	    cmocka_unit_test_setup_teardown(ram_zeroes_and_discards, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_no_request_is_refused, setup, teardown),
	    cmocka_unit_test(null_reads_zeros),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
