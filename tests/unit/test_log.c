/* SPDX-License-Identifier: Apache-2.0 */
/* lib/log.c: levels, sinks, cutting, and what the ring keeps when it wraps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.c"

static unsigned sunk;
static char last[LOG_LINE_MAX];

static void sink(enum log_level level, const char *line)
{
	(void)level;
	sunk++;
	str_copy(last, line, sizeof(last));
}

static u64 clock_at(void)
{
	return 12345678901;
}

static int reset(void **state)
{
	(void)state;
	memset(&log, 0, sizeof(log));
	max_level = LOG_INFO;
	sunk = 0;
	return 0;
}

static void test_line(void **state)
{
	(void)state;
	assert_int_equal(log_add_sink(sink), 0);
	log_info("value %d", 7);
	assert_string_equal(last, "[socle    0.000000] value 7");
	log_set_clock(clock_at);
	log_error("it %s", "broke");
	assert_string_equal(last, "[socle   12.345678] error: it broke");
	log_warn("a\nb\x1b[2J");
	assert_string_equal(last, "[socle   12.345678] warning: a?b?[2J");
	assert_int_equal(sunk, 3);
}

static void test_cut(void **state)
{
	char big[1000];
	(void)state;

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_add_sink(sink);
	log_info("%s", big);
	assert_int_equal(strlen(last), LOG_LINE_MAX - 1);
}

static void test_sinks_full(void **state)
{
	(void)state;
	for (int i = 0; i < MAX_SINKS; i++)
		assert_int_equal(log_add_sink(sink), 0);
	assert_int_equal(log_add_sink(sink), ERR_NOMEM);
	log_info("x");
	assert_int_equal(sunk, MAX_SINKS);
}

struct seen {
	unsigned count, debug;
	int first, last;
	int log_inside;
};

static void collect(void *opaque, enum log_level level, const char *line)
{
	struct seen *s = opaque;
	int n;

	assert_int_equal(
	    sscanf(line, "[socle %*f] %*[debug:]%d", &n) == 1 || sscanf(line, "[socle %*f] %d", &n) == 1, 1);
	if (s->count++ == 0)
		s->first = n;
	else
		assert_int_equal(n, s->last + 1);
	s->last = n;
	s->debug += level == LOG_DEBUG;
	if (s->log_inside)
		log_info("%d", 100000 + n);
}

static void test_level(void **state)
{
	struct seen s = {0};
	(void)state;

	log_add_sink(sink);
	log_debug(" %d", 0);
	assert_int_equal(sunk, 0);
	log_set_level(LOG_DEBUG);
	log_debug(" %d", 1);
	assert_int_equal(sunk, 1);
	log_for_each(collect, &s);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.debug, 2);
}

static void test_wrap(void **state)
{
	struct seen s = {0};
	(void)state;

	for (int i = 0; i < 10000; i++)
		log_info("%d %.*s", i, i % 90,
			 "......................................................................"
			 "....................");
	log_for_each(collect, &s);
	assert_int_equal(s.last, 9999);
	assert_int_equal(s.first, 9999 - (int)s.count + 1);
	assert_in_range(s.count, RING_SIZE / 160, RING_SIZE / 30);
}

/* The reader may log: it must not deadlock, nor follow its own lines for ever. */
static void test_log_while_reading(void **state)
{
	struct seen s = {.log_inside = 1};
	(void)state;

	for (int i = 0; i < 50; i++)
		log_info("%d", i);
	log_for_each(collect, &s);
	assert_int_equal(s.count, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_line, reset),
	    cmocka_unit_test_setup(test_cut, reset),
	    cmocka_unit_test_setup(test_sinks_full, reset),
	    cmocka_unit_test_setup(test_level, reset),
	    cmocka_unit_test_setup(test_wrap, reset),
	    cmocka_unit_test_setup(test_log_while_reading, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
