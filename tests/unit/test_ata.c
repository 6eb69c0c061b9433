/* SPDX-License-Identifier: Apache-2.0 */
/* The ATA disk against a driver written from ATA/ATAPI-6: what it says of itself, registers, PIO in sectors
 * and in blocks, commands without data, resets, errors (M66, M67). */
#include "ata_driver.h"

/* 8.15, and what libata looks at. */
static void test_identify(void **state)
{
	u8 sum = 0;

	(void)state;
	create(2, 0, 2);
	identify(0);
	for (unsigned i = 0; i < 512; i++)
		sum = (u8)(sum + buf[i]);
	assert_true(sum == 0 && buf[510] == 0xa5);
	assert_int_equal(word(0) & 0x8000, 0); /* ATA */
	assert_int_equal(word(1) * word(3) * word(6), 4 * 16 * 63);
	assert_memory_equal(buf + 20, "idks 1", 6); /* the serial number, swapped */
	assert_memory_equal(buf + 54, "oSlc eidks", 10);
	assert_int_equal(word(47), 0x8010);
	assert_int_equal(word(49) & 0x0f00, 0x0f00); /* DMA, LBA, IORDY */
	assert_int_equal(word(59), 0x0110);
	assert_int_equal(word(60) | word(61) << 16, SECTORS);
	assert_int_equal(word(63), 7);
	assert_int_equal(word(88), 7);
	assert_int_equal(word(80) & 0x40, 0x40);
	assert_int_equal(word(83) & 0xc000, 0x4000);
	assert_int_equal(word(83) & 0x3400, 0x3400); /* FLUSH CACHE EXT, FLUSH CACHE, LBA48 */
	assert_int_equal(word(85) & 0x20, 0x20);
	assert_int_equal(word(86) & 0x3400, 0x3400);
	assert_int_equal(word(100) | word(101) << 16, SECTORS);
	identify(0x10);
	assert_int_equal(word(49) & 0x0f00, 0x0e00); /* pio: no word of DMA */
	assert_int_equal(word(63) | word(88), 0);
	assert_int_equal(word(64), 3);
	destroy();
}

/* Each drive has its modes; DMA modes are for those that have DMA. */
static void test_features(void **state)
{
	(void)state;
	create(2, 0, 2);
	assert_int_equal(set_features(3, 0x22), IDLE);
	identify(0);
	assert_int_equal(word(63), 0x0407);
	assert_int_equal(word(88), 7);
	assert_int_equal(set_features(3, 0x41), IDLE);
	identify(0);
	assert_int_equal(word(63), 7);
	assert_int_equal(word(88), 0x0207);
	assert_int_equal(set_features(3, 0x0c), IDLE);
	static const u8 wrong[][2] = {{3, 0x0d}, {3, 0x02}, {3, 0x23}, {3, 0x43},
				      {3, 0x10}, {3, 0x80}, {0x99, 0}};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(set_features(wrong[i][0], wrong[i][1]), IDLE | ERR);
		expect_error(ABRT);
	}
	outb(CMD + 6, 0x10);
	outb(CMD + 1, 3);
	outb(CMD + 2, 0x22);
	outb(CMD + 7, 0xef);
	expect_error(ABRT);
	assert_int_equal(set_features(0x82, 0), IDLE);
	assert_int_equal(set_features(0x55, 0), IDLE);
	identify(0);
	assert_int_equal(word(85) & 0x60, 0);
	assert_int_equal(set_features(0x02, 0), IDLE);
	assert_int_equal(set_features(0xaa, 0), IDLE);
	identify(0);
	assert_int_equal(word(85) & 0x60, 0x60);
	destroy();
}

static void test_read(void **state)
{
	(void)state;
	create(1, 0, 0);
	static const unsigned sizes[] = {1, 2, 4};
	for (unsigned i = 0; i < 3; i++) {
		ask(0x20, 7 + i, 3);
		read_pio(7 + i, 3, 1, sizes[i]);
	}
	submits = 0;
	ask(0xc4, 100, 40);
	read_pio(100, 40, 16, 4);
	assert_int_equal(submits, 3);
	ask(0x20, 100, 40); /* sector by sector for the driver, not for the disk */
	read_pio(100, 40, 1, 2);
	assert_int_equal(submits, 6);
	registers48(0, 3000, 256);
	outb(CMD + 7, 0x24);
	read_pio(3000, 256, 1, 4);
	registers48(0, 4080, 16);
	outb(CMD + 7, 0x29);
	read_pio(4080, 16, 16, 4);
	ask(0x21, 0, 256 & 0xff); /* 0: 256 */
	read_pio(0, 256, 1, 4);
	/* Smaller blocks. */
	ask(0xc6, 0, 2);
	assert_int_equal(status_of(), IDLE);
	ask(0xc4, 5, 5);
	read_pio(5, 5, 2, 2);
	destroy();
}

/* One item at a time is the same. What is read or written without DRQ goes nowhere. */
static void test_items(void **state)
{
	(void)state;
	create(1, 0, 0);
	assert_int_equal(board_read(true, CMD, 2), 0xffff);
	board_write(true, CMD, 4, 0x12345678);
	ask(0x20, 9, 1);
	inb(CMD + 7);
	for (unsigned i = 0; i < 512; i += 4) {
		u32 v = (u32)board_read(true, CMD, 4);
		memcpy(buf + i, &v, 4);
	}
	assert_memory_equal(buf, disks[0].media + 9 * 512, 512);
	assert_int_equal(board_read(true, CMD, 4), ~0u);
	/* An odd byte first: whole items only in a run, the last one is what there is. */
	ask(0x20, 9, 1);
	assert_int_equal(board_read(true, CMD, 1), disks[0].media[9 * 512]);
	string_io(2, true, buf, 256);
	assert_memory_equal(buf, disks[0].media + 9 * 512 + 1, 511);
	assert_int_equal(buf[511], 0);
	assert_int_equal(status_of(), IDLE);
	/* A run of another direction or at another register moves nothing. */
	const struct io_region *r = board_find(true, CMD);
	ask(0x20, 9, 1);
	assert_int_equal(board.string[r - board_io.port](r->opaque, 0, 2, false, buf, 4), 0);
	assert_int_equal(board.string[r - board_io.port](r->opaque, 2, 1, true, buf, 4), 0);
	destroy();
}

static void write_pio(u64 lba, u32 count, u32 block)
{
	for (u32 i = 0; i < count * 512; i++)
		buf[i] = (u8)(i * 3 + i / 512 + lba);
	for (u32 i = 0; i < count; i += block) {
		u32 n = MIN(block, count - i);
		if (i == 0)
			assert_false(irq()); /* the first block comes without */
		else
			expect_irq(IDLE | DRQ);
		assert_int_equal(status_of(), IDLE | DRQ);
		string_io(4, false, buf + i * 512, n * 128);
	}
	expect_irq(IDLE);
	assert_memory_equal(buf, disks[0].media + lba * 512, count * 512);
}

static u8 other[64 * 512];

static void test_write(void **state)
{
	(void)state;
	create(1, 0, 0);
	memcpy(other, disks[0].media, 64 * 512);
	ask(0x30, 3, 5);
	write_pio(3, 5, 1);
	assert_memory_equal(disks[0].media, other, 3 * 512);
	assert_memory_equal(disks[0].media + 8 * 512, other + 8 * 512, 512);
	ask(0xc5, 100, 40);
	write_pio(100, 40, 16);
	registers48(0, 4095, 1);
	outb(CMD + 7, 0x34);
	write_pio(4095, 1, 1);
	registers48(0, 1000, 256);
	outb(CMD + 7, 0x39);
	write_pio(1000, 256, 16);
	assert_int_equal(flushes, 0);
	ask(0xe7, 0, 0);
	expect_irq(IDLE);
	ask(0xea, 0, 0);
	expect_irq(IDLE);
	assert_int_equal(flushes, 2);
	destroy();
	/* A disk with a cache, and the driver does not want it. */
	create(1, BLOCK_VOLATILE, 0);
	ask(0x30, 3, 1);
	write_pio(3, 1, 1);
	assert_int_equal(seen_flags, 0);
	set_features(0x82, 0);
	ask(0x30, 3, 1);
	write_pio(3, 1, 1);
	assert_int_equal(seen_flags, BLOCK_FUA);
	destroy();
}

/* Nobody writes to it, and it says so of every way. */
static void test_read_only(void **state)
{
	static const u8 writes[] = {0x30, 0x31, 0x34, 0x35, 0x39, 0xc5, 0xca, 0xcb};

	(void)state;
	create(1, BLOCK_READ_ONLY, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		ask(writes[i], 1, 1);
		expect_error(ABRT);
	}
	ask(0xe7, 0, 0);
	expect_irq(IDLE);
	assert_int_equal(submits, 0);
	ask(0x20, 3, 1);
	read_pio(3, 1, 1, 4);
	destroy();
}

static void test_addresses(void **state)
{
	(void)state;
	create(1, 0, 0);
	ask(0x20, 4095, 2); /* one of them is there */
	expect_error(IDNF);
	assert_int_equal(inb(CMD + 3) | inb(CMD + 4) << 8, 4096);
	ask(0x20, 0x0fffffff, 1);
	expect_error(IDNF);
	registers48(0, BIT(40), 1);
	outb(CMD + 7, 0x24);
	expect_error(IDNF);
	outb(CTL, 0x80); /* the bytes that were written before: 9.16.1, HOB */
	assert_int_equal(inb(CMD + 5), 1);
	outb(CMD + 3, 0); /* takes HOB back */
	assert_int_equal(inb(CMD + 5), 0);
	outb(CMD + 6, 0); /* 48 bits without LBA */
	outb(CMD + 7, 0x24);
	expect_error(ABRT);
	/* CHS: cylinder 1, head 2, sector 3. */
	outb(CMD + 6, 2);
	outb(CMD + 2, 1);
	outb(CMD + 3, 3);
	outb(CMD + 4, 1);
	outb(CMD + 5, 0);
	outb(CMD + 7, 0x20);
	read_pio((16 + 2) * 63 + 2, 1, 1, 4);
	outb(CMD + 3, 0);
	outb(CMD + 7, 0x20);
	expect_error(IDNF);
	/* Another translation: 4 heads of 10 sectors. */
	outb(CMD + 6, 3);
	outb(CMD + 2, 10);
	outb(CMD + 7, 0x91);
	expect_irq(IDLE);
	identify(0);
	assert_true(word(54) == 102 && word(55) == 4 && word(56) == 10 && word(57) == 4080);
	assert_int_equal(word(3), 16);
	outb(CMD + 6, 3);
	outb(CMD + 2, 1);
	outb(CMD + 3, 10);
	outb(CMD + 4, 101);
	outb(CMD + 7, 0x20);
	read_pio(4079, 1, 1, 4);
	for (unsigned i = 3; i <= 6; i++) { /* sector 11, cylinder 102, head 4: none is there */
		static const u8 last[] = {10, 101, 0, 3};
		for (unsigned k = 3; k <= 6; k++)
			outb(CMD + k, last[k - 3]);
		outb(CMD + i, i == 5 ? 1 : (u8)(last[i - 3] + 1));
		outb(CMD + 7, 0x20);
		expect_error(IDNF);
	}
	outb(CMD + 2, 0);
	outb(CMD + 7, 0x91);
	expect_error(ABRT);
	destroy();
}

static void test_other_commands(void **state)
{
	static const u8 aborted[] = {0x00, 0x08, 0xa0, 0xa1, 0xb0, 0xf8, 0x27, 0x3d, 0x60, 0xff};

	(void)state;
	create(1, 0, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(aborted); i++) {
		ask(aborted[i], 0, 1);
		expect_error(ABRT);
	}
	ask(0x10, 0, 1);
	expect_irq(IDLE);
	ask(0x70, 4095, 1);
	expect_irq(IDLE);
	ask(0x70, 4096, 1);
	expect_error(IDNF);
	ask(0xc6, 0, 3);
	expect_error(ABRT);
	ask(0xc6, 0, 32);
	expect_error(ABRT);
	ask(0xc6, 0, 0);
	expect_irq(IDLE);
	ask(0xc4, 0, 1); /* it is off */
	expect_error(ABRT);
	identify(0);
	assert_int_equal(word(59), 0);
	/* Verification reads, all of it. */
	submits = 0;
	ask(0x40, 50, 100);
	expect_irq(IDLE);
	assert_int_equal(submits, 7);
	disks[0].bad = 140;
	ask(0x40, 50, 100);
	expect_error(UNC);
	assert_true(inb(CMD + 3) >= 130 && inb(CMD + 3) <= 140);
	/* Power. */
	ask(0xe5, 0, 0);
	assert_int_equal(inb(CMD + 2), 0xff);
	ask(0xe0, 0, 0);
	ask(0xe5, 0, 0);
	assert_int_equal(inb(CMD + 2), 0);
	ask(0x20, 5, 1);
	read_pio(5, 1, 1, 4);
	ask(0xe5, 0, 0);
	assert_int_equal(inb(CMD + 2), 0xff);
	ask(0xe6, 0, 0);
	expect_irq(IDLE);
	ask(0x20, 5, 1); /* asleep */
	assert_false(irq());
	assert_int_equal(status_of(), IDLE);
	outb(CTL, 4);
	outb(CTL, 0);
	ask(0x20, 5, 1);
	read_pio(5, 1, 1, 4);
	destroy();
}

static void test_errors_of_the_disk(void **state)
{
	(void)state;
	create(1, 0, 0);
	disks[0].bad = 22;
	ask(0x20, 20, 4);
	expect_error(UNC);
	assert_int_equal(inb(CMD + 3), 20);
	ask(0x30, 22, 1);
	string_io(4, false, buf, 128);
	expect_error(ABRT);
	assert_int_equal(inb(CMD + 3), 22);
	ask(0x20, 23, 1);
	read_pio(23, 1, 1, 4);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_identify),
	    cmocka_unit_test(test_features),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_items),
	    cmocka_unit_test(test_write),
	    cmocka_unit_test(test_read_only),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_other_commands),
	    cmocka_unit_test(test_errors_of_the_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
