/* SPDX-License-Identifier: Apache-2.0 */
/* host/clock.c: conversion against 128-bit arithmetic, the CMOS date against the C library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "host/clock.h"

static void test_convert(void **s)
{
	static const u64 rates[] = {1,        3,         1000,       3579545,    49999871,
				    50000000, 999999999, 1000000000, 2596142000, 5800000000};
	static const u64 ticks[] = {0,          1,         2, 999, 1000000, 4294967296, 123456789012345,
				    1ull << 50, 1ull << 57};
	(void)s;

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
		for (size_t j = 0; j < ARRAY_SIZE(rates); j++) {
			struct clock_scale c = clock_scale_make(rates[i], rates[j]);
			for (size_t k = 0; k < ARRAY_SIZE(ticks); k++) {
				unsigned __int128 exact = (unsigned __int128)ticks[k] * rates[j] / rates[i];
				u64 got = clock_convert(c, ticks[k]);
				if (exact > UINT64_MAX)
					assert_int_equal(got, UINT64_MAX);
				else /* the factor is rounded down: never late, at most 2^-57 early */
					assert_in_range((u64)exact - got, 0, 1 + (u64)(exact >> 57));
			}
		}
}

static void test_saturation(void **s)
{
	struct clock_scale c = clock_scale_make(50000000, 1000000000);
	(void)s;

	assert_int_equal(clock_convert(c, UINT64_MAX), UINT64_MAX);
	assert_int_equal(clock_convert(clock_scale_make(7, 7), UINT64_MAX), UINT64_MAX);
}

static u8 bcd(int v)
{
	return (u8)(v / 10 << 4 | v % 10);
}

/* Noon and a second of every day of 1970 to 2199, in all four formats of the chip. */
static void test_every_day(void **s)
{
	(void)s;
	for (time_t day = 0; day < 84006; day++) {
		time_t t = day * 86400 + (day * 7919) % 86400;
		struct tm tm;
		gmtime_r(&t, &tm);
		int year = tm.tm_year + 1900, hour12 = tm.tm_hour % 12 ? tm.tm_hour % 12 : 12;
		u8 pm = tm.tm_hour >= 12 ? 0x80 : 0;
		struct cmos_time c = {bcd(tm.tm_sec),     bcd(tm.tm_min),  bcd(tm.tm_hour), bcd(tm.tm_mday),
				      bcd(tm.tm_mon + 1), bcd(year % 100), bcd(year / 100), 0x02};
		assert_int_equal(cmos_to_seconds(&c), t);
		c.status_b = 0;
		c.hour = bcd(hour12) | pm;
		assert_int_equal(cmos_to_seconds(&c), t);
		c = (struct cmos_time){
		    (u8)tm.tm_sec,       (u8)tm.tm_min,    (u8)tm.tm_hour,   (u8)tm.tm_mday,
		    (u8)(tm.tm_mon + 1), (u8)(year % 100), (u8)(year / 100), 0x06};
		assert_int_equal(cmos_to_seconds(&c), t);
		c.status_b = 0x04;
		c.hour = (u8)(hour12 | pm);
		assert_int_equal(cmos_to_seconds(&c), t);
		c.century = 0;
		if (year < 2070)
			assert_int_equal(cmos_to_seconds(&c), t);
	}
}

/* A dead battery or a missing chip gives no date, and no undefined behaviour. */
static void test_garbage(void **s)
{
	struct cmos_time c = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	(void)s;

	assert_int_equal(cmos_to_seconds(&c), 0);
	c = (struct cmos_time){0};
	assert_int_equal(cmos_to_seconds(&c), 0);
	srand(4);
	for (int i = 0; i < 100000; i++) {
		u8 *p = (u8 *)&c;
		for (size_t k = 0; k < sizeof(c); k++)
			p[k] = (u8)rand();
		assert_true(cmos_to_seconds(&c) < 86400ull * 366 * 30000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_convert),
	    cmocka_unit_test(test_saturation),
	    cmocka_unit_test(test_every_day),
	    cmocka_unit_test(test_garbage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
