/* SPDX-License-Identifier: Apache-2.0 */
/* host/partition.c: partitions by number, the boot disk's signature, and tables that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/partition.h"

#define SECTORS 4096
static u8 disk[SECTORS][512];
static unsigned reads, broken_sector;

static bool read_sector(void *opaque, u64 sector, u8 *buf)
{
	(void)opaque;
	reads++;
	assert_true(sector < SECTORS);
	memcpy(buf, disk[sector], 512);
	return sector != broken_sector;
}

static const struct partition_disk d = {read_sector, NULL, SECTORS};

static void put(u8 *p, u64 v, unsigned n)
{
	while (n--) {
		*p++ = (u8)v;
		v >>= 8;
	}
}

static void clear(void)
{
	memset(disk, 0, sizeof(disk));
	broken_sector = SECTORS;
	reads = 0;
}

static void mbr(u64 sector, unsigned n, u8 type, u32 first, u32 count)
{
	u8 *e = disk[sector] + 446 + 16 * n;

	e[4] = type;
	put(e + 8, first, 4);
	put(e + 12, count, 4);
	disk[sector][510] = 0x55;
	disk[sector][511] = 0xaa;
}

static u32 crc(const u8 *p, unsigned n)
{
	u32 c = ~0u;
	while (n--)
		for (unsigned i = 0, x = *p++; i < 8; i++, x >>= 1)
			c = (c >> 1) ^ (((c ^ x) & 1) * 0xedb88320u);
	return ~c;
}

static void gpt_seal(void)
{
	put(disk[1] + 16, 0, 4);
	put(disk[1] + 16, crc(disk[1], 92), 4);
}

static void gpt(u64 entries, u32 count, u32 bytes)
{
	clear();
	mbr(0, 0, 0xee, 1, SECTORS - 1);
	memcpy(disk[1], "EFI PART\0\0\1", 12);
	put(disk[1] + 12, 92, 4);
	put(disk[1] + 72, entries, 8);
	put(disk[1] + 80, count, 4);
	put(disk[1] + 84, bytes, 4);
	gpt_seal();
}

static void gpt_add(unsigned n, u64 first, u64 last, u8 guid)
{
	u8 *e = disk[2] + (size_t)n * 128;

	memset(e, 0x28, 16);
	memset(e + 16, guid, 16);
	put(e + 32, first, 8);
	put(e + 40, last, 8);
}

static int find(unsigned n, u64 *first, u64 *count)
{
	struct disk_extent e = {0, 0};
	int rc = partition_find(&d, n, &e);

	*first = e.first;
	*count = e.count;
	return rc;
}

#define expect(n, f, c)                                                                                      \
	do {                                                                                                 \
		u64 first_, count_;                                                                          \
		assert_int_equal(find(n, &first_, &count_), 0);                                              \
		assert_int_equal(first_, f);                                                                 \
		assert_int_equal(count_, c);                                                                 \
	} while (0)
#define expect_error(n, rc)                                                                                  \
	do {                                                                                                 \
		u64 first_, count_;                                                                          \
		assert_int_equal(find(n, &first_, &count_), rc);                                             \
	} while (0)

static void guid_table(void **state)
{
	struct boot_volume v = {.signature_type = BOOT_SIGNATURE_GUID};
	(void)state;

	gpt(2, 128, 128);
	gpt_add(0, 40, 99, 1);
	gpt_add(2, 100, 100, 3);
	gpt_add(127, 200, SECTORS - 1, 0x7f);
	expect(1, 40, 60);
	expect_error(2, ERR_NOENT);
	expect(3, 100, 1);
	expect(128, 200, SECTORS - 200);
	expect_error(129, ERR_NOENT);
	expect_error(0, ERR_NOENT);
	memset(v.signature, 0x7f, 16);
	reads = 0;
	assert_true(partition_matches(&d, &v));
	assert_int_equal(reads, 1 + 32);
	v.signature[15]++;
	assert_false(partition_matches(&d, &v));
	v.signature_type = BOOT_SIGNATURE_NONE;
	assert_false(partition_matches(&d, &v));
}

static void guid_table_lies(void **state)
{
	(void)state;
	gpt(2, 128, 128);
	gpt_add(0, 100, 99, 1);
	expect_error(1, ERR_INVAL);
	gpt_add(0, 100, SECTORS, 1);
	expect_error(1, ERR_INVAL);
	gpt_add(0, ~0ull - 1, ~0ull, 1);
	expect_error(1, ERR_INVAL);
	gpt_add(0, 0, ~0ull, 1);
	expect_error(1, ERR_INVAL);
	gpt_add(0, 50, 60, 1);
	expect(1, 50, 11);
	disk[1][40] ^= 1; /* what the sum covers */
	expect_error(1, ERR_INVAL);
	static const u64 bad[][3] = {{SECTORS, 128, 128}, {~0ull, 128, 128}, {0, 128, 128},  {1, 128, 128},
				     {2, 128, 64},        {2, 128, 192},     {2, 128, 1024}, {2, ~0u, 128},
				     {2, 128, 0},         {2, 2048, 128}};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		gpt(bad[i][0], (u32)bad[i][1], (u32)bad[i][2]);
		expect_error(1, ERR_INVAL);
	}
	gpt(SECTORS - 1, 128, 128);
	expect_error(5, ERR_INVAL); /* beyond the end of the disk */
	gpt(2, 128, 128);
	put(disk[1] + 12, 1 << 20, 4);
	expect_error(1, ERR_INVAL);
	gpt(2, 128, 128);
	disk[1][0] = 'e';
	gpt_seal();
	expect_error(1, ERR_INVAL);
	gpt(2, 128, 128);
	for (broken_sector = 0; broken_sector < 3; broken_sector++)
		expect_error(1, ERR_FAULT);
}

static void master_boot_record(void **state)
{
	struct boot_volume v = {.signature_type = BOOT_SIGNATURE_MBR, .signature = {1, 2, 3, 4}};
	(void)state;

	clear();
	expect_error(1, ERR_INVAL);
	mbr(0, 0, 0x83, 63, 100);
	mbr(0, 2, 0x0f, 1000, 1000);
	mbr(0, 3, 0xef, SECTORS - 1, 1);
	expect(1, 63, 100);
	expect_error(2, ERR_NOENT);
	expect(3, 1000, 1000);
	expect(4, SECTORS - 1, 1);
	/* Three logical ones: at 1000, 1100 and 1200, from the extended partition's sector on. */
	mbr(1000, 0, 0x83, 63, 30);
	mbr(1000, 1, 0x05, 100, 100);
	mbr(1100, 0, 0x82, 1, 99);
	mbr(1100, 1, 0x05, 200, 100);
	mbr(1200, 0, 0x83, 2, 3);
	expect(5, 1063, 30);
	expect(6, 1101, 99);
	expect(7, 1202, 3);
	expect_error(8, ERR_NOENT);
	/* They go round. */
	mbr(1200, 1, 0x05, 0, 100);
	expect(8, 1063, 30);
	expect_error(100, ERR_INVAL);
	mbr(1200, 1, 0x05, 0xffffffff, 100);
	expect_error(8, ERR_INVAL);
	mbr(1100, 0, 0x83, 0xffffffff, 0xffffffff);
	expect_error(6, ERR_INVAL);
	mbr(0, 0, 0x83, SECTORS - 1, 2);
	expect_error(1, ERR_INVAL);
	mbr(0, 0, 0x83, 5, 0);
	expect_error(1, ERR_INVAL);
	broken_sector = 1000;
	expect_error(5, ERR_FAULT);
	assert_false(partition_matches(&d, &v));
	memcpy(disk[0] + 440, v.signature, 4);
	assert_true(partition_matches(&d, &v));
	broken_sector = 0;
	assert_false(partition_matches(&d, &v));
}

static void noise(void **state)
{
	struct boot_volume v = {.signature_type = BOOT_SIGNATURE_GUID};
	u64 seed = 1, first, count;
	(void)state;

	for (unsigned round = 0; round < 20000; round++) {
		gpt(2, 128, 128);
		if (round & 1)
			mbr(0, round / 2 % 4, 0x05, 3, SECTORS - 3);
		for (unsigned i = 0; i < 8; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			disk[seed >> 60][seed >> 40 & 511] = (u8)(seed >> 32);
		}
		if (round & 2)
			gpt_seal();
		disk[0][510] = 0x55, disk[0][511] = 0xaa;
		if (find(1 + (unsigned)(seed >> 20) % 9, &first, &count) == 0)
			assert_true(count && first < SECTORS && count <= SECTORS - first);
		(void)partition_matches(&d, &v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(guid_table),
	    cmocka_unit_test(guid_table_lies),
	    cmocka_unit_test(master_boot_record),
	    cmocka_unit_test(noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
