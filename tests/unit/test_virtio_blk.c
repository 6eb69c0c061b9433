/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio disk against a driver written from virtio 1.2, 5.2, with split and packed rings: what is written
 * is read back through whatever framing, from the guest's own memory (M69, M80); and bad requests get their
 * answer (M67). */
#include "virtio_blk_board.h"

/* ---- what it says of itself ---- */
static void configuration(void **state)
{
	(void)state;
	create(0, true);
	assert_int_equal(device_features(), layout(1));
	assert_int_equal(board_read(false, seen.config, 8), SECTORS);
	assert_int_equal(board_read(false, seen.config + 20, 4), 512);
	u32 segments = (u32)board_read(false, seen.config + 12, 4);
	assert_in_range(segments, 126, 254);
	assert_in_range(board_read(false, seen.config + 36, 4), 1, SECTORS * 2);
	assert_int_equal(board_read(false, seen.config + 40, 4), 1);
	assert_int_equal(board_read(false, seen.config + 52, 4), 1);
	assert_int_equal(cfg(2, 2), 0x1042);
	assert_true(virtio_blk_usage(blk) > 0);
	destroy();
	create(BLOCK_READ_ONLY, false);
	assert_int_equal(device_features(), RINGS | F_RO | F_SIZE_MAX | F_SEG_MAX | F_BLK_SIZE | F_FLUSH);
	assert_int_equal(board_read(false, seen.config + 36, 4), 0);
	destroy();
}

static void there_and_back(void **state)
{
	u32 len;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(0, l);
		go(16, layout(l));
		for (u32 n = 1; n <= 64; n++) {
			u64 sector = n * 37 % (SECTORS - 64);
			fill(DATA, n * 512, (u8)n);
			*(u8 *)at(DATA + n * 512 - 1, 1) = 0xa5;
			assert_int_equal(ask(OUT, sector, DATA, n * 512, &len), 0);
			assert_int_equal(len, 1);
			assert_int_equal(media[sector * 512], n * 512 == 1 ? 0xa5 : (u8)n);
			assert_int_equal(media[(sector + n) * 512 - 1], 0xa5);
			fill(DATA, n * 512, 0);
			assert_int_equal(ask(IN, sector, DATA, n * 512, &len), 0);
			assert_int_equal(len, n * 512 + 1);
			for (u32 i = 0; i < n * 512; i += 256)
				assert_int_equal(*(u8 *)at(DATA + i, 1), (u8)n);
			assert_int_equal(*(u8 *)at(DATA + n * 512 - 1, 1), 0xa5);
		}
		destroy();
	}
}

/* 2.7.4.2: header, data and status may be cut anywhere. */
static void any_framing(void **state)
{
	(void)state;
	for (u32 cut = 1; cut < 16; cut++)
		for (unsigned l = 0; l < 2; l++) {
			u16 id;
			u32 len;
			create(0, l);
			go(16, layout(l));
			/* A write: header in two, the second with the first of the data; data in two. */
			gpa_t one = DATA, two = DATA + 0x1000;
			u8 bytes[16 + 512];
			memset(bytes, 0, sizeof(bytes));
			bytes[0] = OUT;
			bytes[8] = 9;
			for (unsigned i = 0; i < 512; i++)
				bytes[16 + i] = (u8)(i ^ cut);
			assert_int_equal(gmem_write(&guest_ram, one, bytes, cut), 0);
			assert_int_equal(gmem_write(&guest_ram, two, bytes + cut, sizeof(bytes) - cut), 0);
			const struct buffer w[] = {{one, cut, false},
						   {two, 40, false},
						   {two + 40, (u32)sizeof(bytes) - cut - 40, false},
						   {META, 1, true}};
			driver_add(&driver, w, 4, false);
			ring();
			assert_true(driver_used(&driver, &id, &len));
			assert_int_equal(*(u8 *)at(META, 1), 0);
			for (unsigned i = 0; i < 512; i++)
				assert_int_equal(media[9 * 512 + i], (u8)(i ^ cut));
			/* A read: the status is the last byte of the data's buffer. */
			header(1, IN, 9);
			fill(DATA, 0x2000, 0x77);
			const struct buffer r[] = {{header_of(1), 16, false},
						   {DATA, 16 * cut, true},
						   {DATA + 0xff0, 513 - 16 * cut, true}};
			driver_add(&driver, r, 3, true);
			ring();
			assert_true(driver_used(&driver, &id, &len));
			assert_int_equal(len, 513);
			assert_int_equal(*(u8 *)at(DATA + 0xff0 + 512 - 16 * cut, 1), 0);
			assert_int_equal(*(u8 *)at(DATA + 0xff0 + 513 - 16 * cut, 1), 0x77);
			for (unsigned i = 0; i < 512; i++)
				assert_int_equal(
				    *(u8 *)at(i < 16 * cut ? DATA + i : DATA + 0xff0 + i - 16 * cut, 1),
				    (u8)(i ^ cut));
			destroy();
		}
}

static void other_requests(void **state)
{
	u32 len;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(0, l);
		go(16, layout(l));
		assert_int_equal(ask(FLUSH, 0, 0, 0, &len), 0);
		assert_int_equal(len, 1);
		fill(DATA, 64, 0x77);
		assert_int_equal(ask(GET_ID, 0, DATA, 20, &len), 0);
		assert_int_equal(len, 21);
		assert_memory_equal(at(DATA, 21), "disk1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x77", 21);
		assert_int_equal(ask(GET_ID, 0, DATA, 40, &len), 0);
		assert_int_equal(len, 0);
		assert_int_equal(ask(GET_ID, 0, DATA, 19, NULL), 1);
		for (unsigned i = 0; i < 2; i++) {
			u32 type = i ? ZEROES : DISCARD;
			assert_int_not_equal(media[i * 5120 + 512 + 5], 0);
			assert_int_equal(range(type, i * 10 + 1, 2, 0, 16), 0);
			assert_int_equal(media[i * 5120 + 512 + 5], 0);
			assert_int_equal(media[i * 5120 + 1535], 0);
			assert_int_equal(media[i * 5120 + 1536], (u8)((i * 10 + 3) * 7));
			assert_int_equal(media[i * 5120 + 511], (u8)(i * 70 + 511));
			assert_int_equal(range(type, SECTORS - 1, 2, 0, 16), 1);
			assert_int_equal(range(type, ~0ull, 2, 0, 16), 1);
			assert_int_equal(range(type, 0, 0, 0, 16), 1);
			assert_int_equal(range(type, 0, ~0u, 0, 16), 1);
			assert_int_equal(range(type, 0, 1, 0, 15), 1);
			assert_int_equal(range(type, 0, 1, 0, 32), 1);
			assert_int_equal(range(type, 0, 1, 0, 0), 1);
			assert_int_equal(range(type, 0, 1, 2, 16), 2);
			assert_int_equal(range(type, 0, 1, 1u << 31, 16), 2);
			assert_int_equal(range(type, 50, 1, 1, 16), i ? 0 : 2);
		}
		assert_int_equal(status(), 15);
		destroy();
	}
}

static void answers_to_bad_requests(void **state)
{
	u32 len;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(0, l);
		go(16, layout(l));
		for (u32 type = 0; type < 300; type++)
			if (type != IN && type != OUT && type != FLUSH && type != GET_ID && type != DISCARD &&
			    type != ZEROES)
				assert_int_equal(ask(type, 0, DATA, 512, NULL), 2);
		assert_int_equal(ask(~0u, 0, DATA, 512, NULL), 2);
		for (u32 type = IN; type <= OUT; type++) {
			assert_int_equal(ask(type, SECTORS, DATA, 512, &len), 1);
			assert_int_equal(len, type == OUT);
			assert_int_equal(ask(type, SECTORS - 1, DATA, 1024, NULL), 1);
			assert_int_equal(ask(type, ~0ull, DATA, 1024, NULL), 1);
			assert_int_equal(ask(type, ~0ull >> 9, DATA, 512, NULL), 1);
			for (u32 bytes = 0; bytes < 1100; bytes += 73)
				assert_int_equal(ask(type, 0, DATA, bytes, NULL), 1);
			/* Data the other way as well. */
			header(0, type, 0);
			const struct buffer b[] = {{header_of(0), 16, false},
						   {DATA, 512, false},
						   {DATA + 512, 512, true},
						   {header_of(0) + 16, 1, true}};
			driver_add(&driver, b, 4, true);
			ring();
			u16 id;
			assert_true(driver_used(&driver, &id, &len));
			assert_int_equal(answer(0), 1);
			/* A header that is too short. */
			for (u32 n = 1; n < 16; n++) {
				header(0, type, 0);
				const struct buffer s[] = {{header_of(0), n, false},
							   {header_of(0) + 16, 1, true}};
				driver_add(&driver, s, 2, true);
				ring();
				assert_true(driver_used(&driver, &id, &len));
				assert_int_equal(answer(0), 1);
			}
		}
		assert_int_equal(status(), 15);
		assert_int_equal(ask(IN, 0, DATA, 512, NULL), 0);
		/* Not negotiated. */
		go(16, layout(l) & ~(F_DISCARD | F_ZEROES));
		assert_int_equal(range(DISCARD, 0, 1, 0, 16), 2);
		assert_int_equal(range(ZEROES, 0, 1, 0, 16), 2);
		destroy();
	}
	create(BLOCK_READ_ONLY, false);
	go(16, RINGS | F_RO);
	fill(DATA, 512, 0x33);
	assert_int_equal(ask(OUT, 0, DATA, 512, NULL), 1);
	assert_int_equal(ask(IN, 0, DATA, 512, NULL), 0);
	assert_int_equal(*(u8 *)at(DATA + 1, 1), 1);
	destroy();
}

/* Nothing to answer with: DEVICE_NEEDS_RESET, and a reset helps. */
static void no_request_at_all(void **state)
{
	static const struct buffer bad[][2] = {
	    {{META, 16, false}, {META + 16, 0, true}}, /* no status */
	    {{META, 16, false}, {ROM_BASE, 1, true}},  /* a status that cannot be written */
	    {{META, 16, false}, {HOLE, 1, true}},
	    {{HOLE, 16, false}, {META + 16, 1, true}},
	    {{META, 16, true}, {META + 16, 1, false}}, /* the wrong way round */
	    {{META, 0xffffffff, false}, {META + 16, 1, true}},
	};

	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
			create(0, l);
			go(16, layout(l));
			driver_add(&driver, bad[i], 2, true);
			ring();
			assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
			assert_int_equal(board.messages, 1);
			assert_int_equal(board_read(false, seen.isr, 1), 2);
			/* It does nothing any more. */
			add(1, IN, 0, DATA, 512);
			doorbell(0);
			assert_int_equal(submits, 0);
			assert_int_equal(board.messages, 1);
			cfg_set(seen.msix + 2, 2, 0);
			go(16, layout(l));
			assert_int_equal(ask(IN, 3, DATA, 512, NULL), 0);
			destroy();
		}
}

/* More segments than were promised: the largest that is promised goes, whatever the frames behind it. */
static void as_large_as_promised(void **state)
{
	(void)state;
	create(0, false);
	u32 most = (u32)board_read(false, seen.config + 12, 4),
	    size = (u32)board_read(false, seen.config + 8, 4);
	for (u32 over = 0; over < 2; over++) {
		u32 n = over ? 254 : most;
		const gpa_t table = META + 0x1000;
		go(256, layout(0));
		header(0, OUT, 0);
		desc_write(table, header_of(0), 16, VIRTQ_DESC_NEXT, 1);
		for (u32 i = 1; i <= n; i++)
			desc_write(table + 16 * i, HIGH_BASE + 512 + i * 0x200, over ? 0x10000 : size,
				   VIRTQ_DESC_NEXT, (u16)(i + 1));
		desc_write(table + 16 * (n + 1), header_of(0) + 16, 1, VIRTQ_DESC_WRITE, 0);
		desc_write(driver.s.desc, table, 16 * (n + 2), VIRTQ_DESC_INDIRECT, 0);
		driver.descs_of[0] = 1;
		split_publish(&driver, 0);
		doorbell(0);
		if (over) {
			assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
		} else {
			assert_int_equal(status(), 15);
			assert_int_equal(answer(0), 0);
			assert_int_equal(submits, 1);
		}
		cfg_set(seen.msix + 2, 2, 0);
	}
	destroy();
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(configuration),
	    cmocka_unit_test(there_and_back),
	    cmocka_unit_test(any_framing),
	    cmocka_unit_test(other_requests),
	    cmocka_unit_test(answers_to_bad_requests),
	    cmocka_unit_test(no_request_at_all),
	    cmocka_unit_test(as_large_as_promised),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
