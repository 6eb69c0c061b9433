/* SPDX-License-Identifier: Apache-2.0 */
/* Dates as text: every day of four centuries against the C library, and what is no date. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "date.h"
#include "lib.h"

#define DAY 86400

static void every_day(void **state)
{
	char text[DATE_MAX], wanted[DATE_MAX];
	(void)state;
	for (time_t t = 0; t < (time_t)146097 * DAY * 2; t += DAY - 7) {
		struct tm tm;
		u64 back;
		gmtime_r(&t, &tm);
		strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%S", &tm);
		date_format(text, (u64)t);
		assert_string_equal(text, wanted);
		assert_true(date_parse(text, &back));
		assert_int_equal(back, t);
	}
}

static void ends(void **state)
{
	char text[DATE_MAX];
	u64 t;
	(void)state;
	date_format(text, 0);
	assert_string_equal(text, "1970-01-01T00:00:00");
	assert_true(date_parse("9999-12-31T23:59:59", &t));
	date_format(text, t);
	assert_string_equal(text, "9999-12-31T23:59:59");
	date_format(text, ~(u64)0);
	assert_string_equal(text, "9999-12-31T23:59:59");
	assert_true(date_parse("2024-02-29 12:00:00", &t));
	assert_int_equal(t, 1709208000);
}

static void no_dates(void **state)
{
	static const char *const bad[] = {
	    "",
	    "2026",
	    "2026-11-21",
	    "2026-11-21T15:04",
	    "2026-11-21T15:04:05Z",
	    "2026-11-21T15:04:60",
	    "2026-11-21T24:00:00",
	    "2026-11-31T00:00:00",
	    "2026-02-29T00:00:00",
	    "2100-02-29T00:00:00",
	    "2026-13-01T00:00:00",
	    "2026-00-01T00:00:00",
	    "2026-01-00T00:00:00",
	    "1969-12-31T23:59:59",
	    "10000-01-01T00:00:0",
	    "2026/11/21T15:04:05",
	    "2026-11-21t15:04:05",
	    "-026-11-21T15:04:05",
	    " 2026-11-21T15:04:0",
	    "2026-11-21T 5:04:05",
	};
	u64 t;
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		if (date_parse(bad[i], &t))
			fail_msg("\"%s\" was taken for a date", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_day),
	    cmocka_unit_test(ends),
	    cmocka_unit_test(no_dates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
