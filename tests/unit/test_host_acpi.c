/* SPDX-License-Identifier: Apache-2.0 */
/* host/acpi.c: what sound tables say, and that broken or hostile ones say nothing. Every table is a
 * block of its exact size, so AddressSanitizer sees a read beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "host/acpi.h"

#define MAX_BLOCKS 16

static struct {
	hpa_t pa;
	u8 *data;
	size_t size;
} blocks[MAX_BLOCKS];
static unsigned nr_blocks;

static const void *map(hpa_t pa, size_t size)
{
	for (unsigned i = 0; i < nr_blocks; i++)
		if (pa >= blocks[i].pa && pa - blocks[i].pa <= blocks[i].size &&
		    size <= blocks[i].size - (pa - blocks[i].pa))
			return blocks[i].data + (pa - blocks[i].pa);
	return NULL;
}

static u8 *block(hpa_t pa, size_t size)
{
	u8 *p = calloc(1, size);

	assert_true(nr_blocks < MAX_BLOCKS);
	blocks[nr_blocks].pa = pa;
	blocks[nr_blocks].data = p;
	blocks[nr_blocks++].size = size;
	return p;
}

static int cleanup(void **s)
{
	(void)s;
	while (nr_blocks)
		free(blocks[--nr_blocks].data);
	return 0;
}

static void put(u8 *p, u64 v, unsigned bytes)
{
	for (; bytes--; v >>= 8)
		*p++ = (u8)v;
}

static void seal(u8 *p, size_t n, size_t at)
{
	u8 sum = 0;

	p[at] = 0;
	for (size_t i = 0; i < n; i++)
		sum = (u8)(sum + p[i]);
	p[at] = (u8)-sum;
}

static void seal_tables(void)
{
	for (unsigned i = 0; i < nr_blocks; i++) {
		u8 *p = blocks[i].data;
		if (!memcmp(p, "RSD PTR ", 8)) {
			seal(p, 20, 8);
			if (blocks[i].size >= 36)
				seal(p, 36, 32);
		} else {
			seal(p, blocks[i].size, 9);
		}
	}
}

static u8 *table(hpa_t pa, const char *signature, size_t size)
{
	u8 *p = block(pa, size);

	memcpy(p, signature, 4);
	put(p + 4, size, 4);
	return p;
}

#define RSDP 0xe0000
#define RSDT 0x1000
#define XSDT 0x2000
#define MADT 0x3000
#define FADT 0x4000
#define DSDT 0x5000

static u8 *rsdp, *xsdt, *madt, *fadt, *dsdt;

/* A machine like QEMU's q35, with two I/O APICs. */
static void build(void)
{
	static const u8 entries[] = {
	    0, 8,  0,   0,  1,    0, 0,    0,                 /* a CPU: not our concern */
	    1, 12, 0,   0,  0x00, 0, 0xc0, 0xfe, 0,  0, 0, 0, /* I/O APIC */
	    1, 12, 1,   0,  0x00, 0, 0xc1, 0xfe, 24, 0, 0, 0, /* the second */
	    2, 10, 0,   0,  2,    0, 0,    0,    0,  0,       /* ISA 0 -> 2, as the bus */
	    2, 10, 0,   9,  20,   0, 0,    0,    15, 0,       /* ISA 9 -> 20, level, low */
	    2, 10, 1,   5,  21,   0, 0,    0,    15, 0,       /* another bus */
	    2, 10, 0,   99, 22,   0, 0,    0,    15, 0,       /* no such ISA interrupt */
	    4, 6,  255, 0,  0,    1,                          /* an NMI line */
	};
	static const u8 aml[] = {0x10, 0x20, 0x08, '_',  'S',  '5', '_', 0x12,
				 0x06, 0x04, 0x0a, 0x05, 0x01, 0,   0};

	cleanup(NULL);
	rsdp = block(RSDP, 36);
	memcpy(rsdp, "RSD PTR ", 8);
	rsdp[15] = 2;
	put(rsdp + 16, RSDT, 4);
	put(rsdp + 20, 36, 4);
	put(rsdp + 24, XSDT, 8);
	xsdt = table(XSDT, "XSDT", 36 + 3 * 8);
	put(xsdt + 36, 0xdead0000, 8); /* nothing there */
	put(xsdt + 44, FADT, 8);
	put(xsdt + 52, MADT, 8);
	madt = table(MADT, "APIC", 44 + sizeof(entries));
	memcpy(madt + 44, entries, sizeof(entries));
	fadt = table(FADT, "FACP", 244);
	put(fadt + 40, DSDT, 4);
	put(fadt + 48, 0xb2, 4);
	fadt[52] = 0xf1;
	put(fadt + 64, 0x604, 4);
	put(fadt + 76, 0x608, 4);
	fadt[91] = 4;
	fadt[108] = 0x32;
	put(fadt + 112, BIT(10), 4);
	fadt[116] = 1;
	put(fadt + 120, 0xcf9, 8);
	fadt[128] = 0x0f;
	dsdt = table(DSDT, "DSDT", 36 + sizeof(aml));
	memcpy(dsdt + 36, aml, sizeof(aml));
	seal_tables();
}

static struct acpi_info parse(void)
{
	struct acpi_info info;

	memset(&info, 0xee, sizeof(info));
	acpi_parse(&info, RSDP, map);
	return info;
}

static void test_none(void **s)
{
	struct acpi_info info;
	(void)s;

	acpi_parse(&info, 0, map);
	assert_int_equal(info.nr_ioapics, 1);
	assert_int_equal(info.ioapics[0].address, 0xfec00000);
	assert_int_equal(info.isa[0].gsi, 2);
	assert_int_equal(info.isa[4].gsi, 4);
	assert_false(info.isa[4].active_low || info.isa[4].level || info.have_s5);
	assert_int_equal(info.pm_timer, 0);
	assert_int_equal(info.reset.address, 0);
}

static void test_sound(void **s)
{
	struct acpi_info info;
	(void)s;

	build();
	info = parse();
	assert_int_equal(info.nr_ioapics, 2);
	assert_int_equal(info.ioapics[1].address, 0xfec10000);
	assert_int_equal(info.ioapics[1].gsi_base, 24);
	assert_int_equal(info.isa[0].gsi, 2);
	assert_false(info.isa[0].level || info.isa[0].active_low);
	assert_int_equal(info.isa[9].gsi, 20);
	assert_true(info.isa[9].level && info.isa[9].active_low);
	assert_int_equal(info.isa[5].gsi, 5);
	assert_int_equal(info.pm_timer, 0x608);
	assert_int_equal(info.pm1a_control, 0x604);
	assert_int_equal(info.pm1b_control, 0);
	assert_int_equal(info.smi_command, 0xb2);
	assert_int_equal(info.acpi_enable, 0xf1);
	assert_int_equal(info.century, 0x32);
	assert_true(info.have_s5);
	assert_int_equal(info.s5_pm1a, 5);
	assert_int_equal(info.s5_pm1b, 1);
	assert_int_equal(info.reset.address, 0xcf9);
	assert_int_equal(info.reset.space, 1);
	assert_int_equal(info.reset.value, 0x0f);
}

static void test_extended_blocks(void **s)
{
	struct acpi_info info;
	(void)s;

	build();
	fadt[208] = 1;
	put(fadt + 212, 0x1808, 8);
	fadt[172] = 0; /* in memory: the old port stays */
	put(fadt + 176, 0xfed80000, 8);
	put(fadt + 140, DSDT, 8);
	put(fadt + 40, 0, 4);
	seal_tables();
	info = parse();
	assert_int_equal(info.pm_timer, 0x1808);
	assert_int_equal(info.pm1a_control, 0x604);
	assert_true(info.have_s5);
	fadt[91] = 0; /* no timer */
	seal_tables();
	assert_int_equal(parse().pm_timer, 0);
}

static void test_old_root(void **s)
{
	u8 *rsdt;
	(void)s;

	build();
	rsdp[15] = 0;
	rsdt = table(RSDT, "RSDT", 36 + 2 * 4);
	put(rsdt + 36, MADT, 4);
	put(rsdt + 40, FADT, 4);
	seal_tables();
	assert_int_equal(parse().nr_ioapics, 2);
	assert_int_equal(parse().pm_timer, 0x608);
	rsdp[15] = 2;
	xsdt[0] = 'Y'; /* the new one is broken: the old one serves */
	seal_tables();
	assert_int_equal(parse().nr_ioapics, 2);
}

static void assert_nothing(const struct acpi_info *info)
{
	assert_int_equal(info->nr_ioapics, 1);
	assert_int_equal(info->pm_timer, 0);
	assert_int_equal(info->pm1a_control, 0);
}

static void test_broken(void **s)
{
	struct acpi_info info;
	(void)s;

	build();
	rsdp[8]++;
	info = parse();
	assert_nothing(&info);
	build();
	xsdt[9]++;
	info = parse();
	assert_nothing(&info);
	build();
	madt[9]++; /* one bad table does not hide the others */
	info = parse();
	assert_int_equal(info.nr_ioapics, 1);
	assert_int_equal(info.pm_timer, 0x608);
	build();
	put(xsdt + 4, 0xffffffff, 4);
	info = parse();
	assert_nothing(&info);
	build();
	put(fadt + 4, 35, 4);
	info = parse();
	assert_int_equal(info.pm_timer, 0);
	build();
	put(fadt + 4, 100, 4); /* an old, short one: fields beyond it do not exist */
	seal(fadt, 100, 9);
	info = parse();
	assert_int_equal(info.pm_timer, 0x608);
	assert_int_equal(info.reset.address, 0);
	assert_int_equal(info.century, 0);
}

static void test_bad_entries(void **s)
{
	(void)s;
	build();
	madt[44 + 1] = 0; /* an entry without length: must end */
	seal_tables();
	assert_int_equal(parse().nr_ioapics, 1);
	build();
	madt[44 + 1] = 1;
	seal_tables();
	assert_int_equal(parse().nr_ioapics, 1);
	build();
	madt[44 + 8 + 1] = 4; /* an I/O APIC entry too short for one */
	seal_tables();
	parse();
	build();
	madt[blocks[2].size - 6 + 1] = 7; /* the last one ends behind the table */
	seal_tables();
	assert_int_equal(parse().nr_ioapics, 2);
}

static void test_s5_forms(void **s)
{
	static const struct {
		u8 aml[16];
		size_t n;
		int a; /* -1: not found */
	} cases[] = {
	    {{0x08, '_', 'S', '5', '_', 0x12, 0x04, 0x02, 0x01, 0x00}, 10, 1},
	    {{0x08, '\\', '_', 'S', '5', '_', 0x12, 0x07, 0x04, 0x0a, 0x07, 0x0a, 0x07}, 13, 7},
	    {{0x08, '_', 'S', '5', '_', 0x12, 0x46, 0x00, 0x04, 0x00, 0x00}, 11, 0},
	    {{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x08}, 10, -1}, /* 3 bits only */
	    {{0x10, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05}, 10, -1}, /* no Name */
	    {{'_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05}, 9, -1},
	    {{0x08, '_', 'S', '5', '_', 0x0a, 0x06, 0x04, 0x0a, 0x05}, 10, -1}, /* no Package */
	    {{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x01, 0x0a, 0x05}, 10, -1}, /* one element */
	    {{0x08, '_', 'S', '5', '_', 0x12, 0xff, 0x04, 0x0a, 0x05}, 10, -1}, /* beyond the end */
	    {{0x08, '_', 'S', '5', '_'}, 5, -1},
	    {{0x08, '_', 'S', '5', '_', 0x12}, 6, -1},
	    {{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a}, 9, -1},
	};
	(void)s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		build();
		put(fadt + 40, 0x9000, 4);
		dsdt = table(0x9000, "DSDT", 36 + cases[i].n);
		memcpy(dsdt + 36, cases[i].aml, cases[i].n);
		seal_tables();
		assert_int_equal(parse().have_s5, cases[i].a >= 0);
		if (cases[i].a >= 0)
			assert_int_equal(parse().s5_pm1a, cases[i].a);
	}
}

/* Any byte may be anything, under correct checksums: no read outside, always an end, sane numbers. */
static void test_hostile(void **s)
{
	struct acpi_info info;
	(void)s;

	srand(5);
	for (int round = 0; round < 20000; round++) {
		build();
		for (int n = 1 + rand() % 12; n; n--) {
			unsigned i = (unsigned)rand() % nr_blocks;
			blocks[i].data[(size_t)rand() % blocks[i].size] = (u8)rand();
		}
		if (rand() % 4)
			seal_tables();
		info = parse();
		assert_in_range(info.nr_ioapics, 1, ACPI_MAX_IOAPICS);
		assert_in_range(info.s5_pm1a, 0, 7);
		assert_in_range(info.s5_pm1b, 0, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_none, cleanup),
	    cmocka_unit_test_teardown(test_sound, cleanup),
	    cmocka_unit_test_teardown(test_extended_blocks, cleanup),
	    cmocka_unit_test_teardown(test_old_root, cleanup),
	    cmocka_unit_test_teardown(test_broken, cleanup),
	    cmocka_unit_test_teardown(test_bad_entries, cleanup),
	    cmocka_unit_test_teardown(test_s5_forms, cleanup),
	    cmocka_unit_test_teardown(test_hostile, cleanup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
