/* SPDX-License-Identifier: Apache-2.0 */
/* The MC146818 and CMOS memory: formats, setting, the three interrupts (M66), hostile use (M67). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "devices/irq.h"
#include "devices/rtc.h"
#include "fake_timer.h"
#include "host.h"

#define SECOND 1000000000ULL
#define MS 1000000ULL

static struct rtc rtc;
static bool irq8;
static unsigned edges;

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	assert_ptr_equal(r, &rtc);
	assert_int_equal(gsi, 8);
	edges += level && !irq8;
	irq8 = level;
}

static void out(u8 index, u8 value)
{
	rtc_write(&rtc, 0, 1, index);
	rtc_write(&rtc, 1, 1, value);
}

static u8 in(u8 index)
{
	rtc_write(&rtc, 0, 1, index);
	return (u8)rtc_read(&rtc, 1, 1);
}

static int setup(void **state)
{
	(void)state;
	shim_tsc = 77 * SECOND; /* wall clock: 1700000077 = 2023-11-14 22:14:37 UTC, a Tuesday */
	irq8 = false;
	rtc_init(&rtc, (void *)&rtc, 0xc0000000, 0x140000000, 4);
	edges = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rtc_fini(&rtc);
	assert_int_equal(fake_timers_armed(), 0);
	return 0;
}

static void assert_regs(u8 century, u8 year, u8 month, u8 day, u8 weekday, u8 hour, u8 minute, u8 second)
{
	assert_int_equal(in(0x32), century);
	assert_int_equal(in(9), year);
	assert_int_equal(in(8), month);
	assert_int_equal(in(7), day);
	assert_int_equal(in(6), weekday);
	assert_int_equal(in(4), hour);
	assert_int_equal(in(2), minute);
	assert_int_equal(in(0), second);
}

static void set_time(u8 century, u8 year, u8 month, u8 day, u8 weekday, u8 hour, u8 minute, u8 second)
{
	u8 b = in(0x0b);
	out(0x0b, b | 0x80);
	out(0x32, century);
	out(9, year);
	out(8, month);
	out(7, day);
	out(6, weekday);
	out(4, hour);
	out(2, minute);
	out(0, second);
	out(0x0b, b);
}

static void test_reading(void **state)
{
	(void)state;
	assert_regs(0x20, 0x23, 0x11, 0x14, 3, 0x22, 0x14, 0x37);
	out(0x0b, 0x06); /* binary */
	assert_regs(20, 23, 11, 14, 3, 22, 14, 37);
	out(0x0b, 0x04); /* binary, 12 hours */
	assert_regs(20, 23, 11, 14, 3, 0x80 | 10, 14, 37);
	out(0x0b, 0x00);
	assert_regs(0x20, 0x23, 0x11, 0x14, 3, 0x90, 0x14, 0x37);
	shim_tsc += 2 * 3600 * SECOND;
	assert_regs(0x20, 0x23, 0x11, 0x15, 4, 0x12, 0x14, 0x37); /* 12 at night */
	shim_tsc += 12 * 3600 * SECOND;
	assert_regs(0x20, 0x23, 0x11, 0x15, 4, 0x92, 0x14, 0x37); /* 12 at noon */
	assert_int_equal(in(0x0d), 0x80);
	assert_int_equal(rtc_read(&rtc, 0, 1), 0xff);
}

/* Every day for 400 years against the C library, by setting the date and by letting it pass. */
static void test_calendar(void **state)
{
	(void)state;
	out(0x0b, 0x06);
	for (time_t t = 86399; t < 400LL * 366 * 86400; t += 86400) {
		struct tm tm;
		gmtime_r(&t, &tm);
		int year = tm.tm_year + 1900;
		set_time((u8)(year / 100), (u8)(year % 100), (u8)(tm.tm_mon + 1), (u8)tm.tm_mday,
			 (u8)(tm.tm_wday + 1), 23, 59, 59);
		shim_tsc += SECOND;
		t++;
		gmtime_r(&t, &tm);
		t--;
		year = tm.tm_year + 1900;
		assert_regs((u8)(year / 100), (u8)(year % 100), (u8)(tm.tm_mon + 1), (u8)tm.tm_mday,
			    (u8)(tm.tm_wday + 1), 0, 0, 0);
	}
}

static void test_setting(void **state)
{
	(void)state;
	out(0x0b, 0x82);
	out(0, 0x58);
	out(2, 0x59);
	shim_tsc += 10 * SECOND;
	assert_int_equal(in(0), 0x58); /* SET: the registers stand still */
	out(0x0b, 0x02);
	assert_int_equal(in(2), 0x59);
	shim_tsc += 2 * SECOND;
	assert_regs(0x20, 0x23, 0x11, 0x14, 3, 0x23, 0x00, 0x00);
	/* Without SET a single register changes the running clock. */
	out(7, 0x28);
	shim_tsc += 2 * 86400 * SECOND;
	assert_regs(0x20, 0x23, 0x11, 0x30, 5, 0x23, 0x00, 0x00); /* the weekday is only counted */
	/* Twelve-hour time is understood as it is shown. */
	out(0x0b, 0x00);
	static const u8 hours[] = {0x12, 0x01, 0x11, 0x92, 0x81, 0x91};
	static const u8 same[] = {0x00, 0x01, 0x11, 0x12, 0x13, 0x23};
	for (unsigned i = 0; i < 6; i++) {
		out(4, hours[i]);
		assert_int_equal(in(4), hours[i]);
		out(0x0b, 0x02);
		assert_int_equal(in(4), same[i]);
		out(0x0b, 0x00);
	}
	out(0x0b, 0x02);
	/* A weekday of one's own goes on from there. */
	out(6, 1);
	shim_tsc += 86400 * SECOND;
	assert_int_equal(in(6), 2);
	assert_int_equal(in(8), 0x12);
}

/* Linux: SET, divider reset, write, release; the first update comes half a second later. */
static void test_divider_reset(void **state)
{
	(void)state;
	shim_tsc += 300 * MS;
	out(0x0b, 0x82);
	out(0x0a, 0x76);
	out(0, 0x30);
	out(0x0b, 0x02);
	shim_tsc += 5 * SECOND;
	assert_int_equal(in(0), 0x30); /* held */
	assert_int_equal(in(0x0a), 0x76);
	out(0x0a, 0x26);
	shim_tsc += 499 * MS;
	assert_int_equal(in(0), 0x30);
	shim_tsc += 2 * MS;
	assert_int_equal(in(0), 0x31);
}

static void test_update_in_progress(void **state)
{
	(void)state;
	unsigned seen = 0;
	for (unsigned us = 0; us < 1000000; us += 50) {
		shim_tsc = 77 * SECOND + us * 1000ULL;
		bool uip = in(0x0a) & 0x80;
		seen += uip;
		assert_int_equal(uip, us >= 1000000 - 244);
	}
	assert_int_equal(seen, 4);
	out(0x0b, 0x82); /* not while SET */
	assert_false(in(0x0a) & 0x80);
	out(0x0a, 0xff);
	assert_int_equal(in(0x0a), 0x7f); /* UIP is read only */
}

static void test_update_interrupt(void **state)
{
	(void)state;
	fake_run_until(shim_tsc + 3 * SECOND);
	assert_int_equal(edges, 0);
	assert_int_equal(in(0x0c), 0x50); /* the flags come without the enable: UF and PF, no IRQF */
	assert_int_equal(in(0x0c), 0x00);
	out(0x0b, 0x12);
	fake_run_until(shim_tsc + 999 * MS);
	assert_false(irq8);
	fake_run_until(shim_tsc + 1 * MS);
	assert_true(irq8);
	assert_int_equal(fake_timers_armed(), 0); /* pending: nothing more to tell */
	fake_run_until(shim_tsc + 10 * SECOND);
	assert_int_equal(edges, 1);
	assert_int_equal(in(0x0c) & 0x90, 0x90);
	assert_false(irq8);
	for (unsigned i = 0; i < 5; i++) {
		fake_run_until(shim_tsc + SECOND);
		assert_int_equal(in(0x0c) & 0x90, 0x90);
	}
	out(0x0b, 0x92);
	assert_int_equal(in(0x0b), 0x82); /* SET clears UIE */
}

static void test_periodic_interrupt(void **state)
{
	static const unsigned hz[] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
				      256, 128, 64,  32,   16,   8,    4,    2};

	(void)state;
	for (u8 rate = 0; rate < 16; rate++) {
		out(0x0b, 0x02);
		out(0x0a, 0x20 | rate);
		in(0x0c);
		out(0x0b, 0x42);
		unsigned n = 0;
		u64 end = shim_tsc + 4 * SECOND;
		while (fake_timer_first() && fake_timer_first()->deadline <= end) {
			fake_run_until(fake_timer_first()->deadline);
			assert_true(irq8);
			assert_int_equal(in(0x0c) & 0xc0, 0xc0);
			n++;
		}
		fake_run_until(end);
		assert_in_range(n, hz[rate] ? hz[rate] * 4 - 1 : 0, hz[rate] * 4);
	}
	/* Away for ten seconds at 8192 Hz: one interrupt. */
	out(0x0a, 0x23);
	in(0x0c);
	edges = 0;
	fake_skip_to(shim_tsc + 10 * SECOND);
	assert_int_equal(edges, 1);
	in(0x0c);
	assert_in_range(fake_timer_first()->deadline - shim_tsc, 1, SECOND / 8192 + 1);
}

static u64 seconds_to_alarm(u8 hour, u8 minute, u8 second)
{
	out(0x0b, 0x02);
	set_time(0x20, 0x24, 0x02, 0x28, 4, 0x22, 0x14, 0x37);
	out(5, hour);
	out(3, minute);
	out(1, second);
	in(0x0c);
	out(0x0b, 0x22);
	if (!fake_timer_first())
		return 0;
	u64 begun = shim_tsc;
	fake_run_until(fake_timer_first()->deadline);
	assert_true(irq8);
	assert_int_equal(in(0x0c) & 0xa0, 0xa0);
	out(0x0b, 0x02);
	return (shim_tsc - begun + SECOND / 2) / SECOND;
}

static void test_alarm(void **state)
{
	(void)state;
	assert_int_equal(seconds_to_alarm(0x22, 0x14, 0x38), 1);
	assert_int_equal(seconds_to_alarm(0x22, 0x14, 0x37), 86400);
	assert_int_equal(seconds_to_alarm(0x22, 0x14, 0x36), 86399);
	assert_int_equal(seconds_to_alarm(0x00, 0x00, 0x00), 6323);
	assert_int_equal(seconds_to_alarm(0xff, 0xc0, 0xff), 1); /* every second */
	assert_int_equal(seconds_to_alarm(0xff, 0xff, 0x37), 60);
	assert_int_equal(seconds_to_alarm(0xff, 0x14, 0x00), 3600 - 37);
	assert_int_equal(seconds_to_alarm(0xff, 0x14, 0xff), 1);
	assert_int_equal(seconds_to_alarm(0x22, 0xff, 0x36), 59);
	assert_int_equal(seconds_to_alarm(0x21, 0xff, 0xff), 86400 - 4477);
	assert_int_equal(seconds_to_alarm(0x23, 0x59, 0x59), 6322);
	assert_int_equal(seconds_to_alarm(0x24, 0x00, 0x00), 0); /* never */
	assert_int_equal(seconds_to_alarm(0x00, 0x60, 0x00), 0);
	assert_int_equal(seconds_to_alarm(0x00, 0x00, 0x7f), 0);
}

/* An alarm that passed while nobody looked is a flag, and an interrupt once it is enabled. */
static void test_alarm_flag(void **state)
{
	(void)state;
	out(5, 0x22);
	out(3, 0x20);
	out(1, 0x00);
	in(0x0c);
	shim_tsc += 300 * SECOND;
	assert_int_equal(in(0x0c) & 0x20, 0);
	shim_tsc += 300 * SECOND;
	assert_false(irq8);
	out(0x0b, 0x22);
	assert_true(irq8);
	assert_int_equal(in(0x0c) & 0xa0, 0xa0);
	assert_int_equal(in(0x0c) & 0xa0, 0);
}

static void test_cmos(void **state)
{
	(void)state;
	assert_int_equal(in(0x15) | in(0x16) << 8, 640);
	assert_int_equal(in(0x17) | in(0x18) << 8, 0xffff);
	assert_int_equal(in(0x30) | in(0x31) << 8, 0xffff);
	assert_int_equal(in(0x34) | in(0x35) << 8, 0xbf00);
	assert_int_equal(in(0x5b) | in(0x5c) << 8 | in(0x5d) << 16, 0x14000);
	assert_int_equal(in(0x5f), 3);
	static const u8 beside[] = {0x10, 0x13, 0x19, 0x2d, 0x33, 0x36, 0x5a, 0x5e, 0x60};
	for (unsigned i = 0; i < sizeof(beside); i++)
		assert_int_equal(in(beside[i]), 0);
	unsigned sum = 0;
	for (u8 i = 0x10; i <= 0x2d; i++)
		sum += in(i);
	assert_int_equal(in(0x2e) << 8 | in(0x2f), sum);
	rtc_init(&rtc, (void *)&rtc, 16 << 20, 0, 1);
	assert_int_equal(in(0x17) | in(0x18) << 8, 15 * 1024);
	assert_int_equal(in(0x34) | in(0x35) << 8, 0);
	out(0x80 | 0x40, 0x5a); /* bit 7 of the index masks NMI */
	assert_int_equal(in(0x40), 0x5a);
	out(0x0d, 0);
	assert_int_equal(in(0x0d), 0x80);
}

static void test_reset(void **state)
{
	(void)state;
	out(0x0b, 0x7e);
	out(0x50, 0x11);
	fake_run_until(shim_tsc + 2 * SECOND);
	assert_true(irq8);
	rtc_reset(&rtc);
	assert_false(irq8);
	assert_int_equal(in(0x0b), 0x06);
	assert_int_equal(in(0x0c), 0);
	assert_int_equal(in(0x50), 0x11);
	assert_int_equal(in(0), 39);
}

/* M67: no register contents lead to a loop, an overflow or a timer that fires all the time. */
static void test_hostile(void **state)
{
	u32 seed = 3;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		u8 index = seed >> 31 ? (seed >> 8) % 14 : (u8)(seed >> 8);
		if (seed >> 30 & 1)
			out(index, (u8)(seed >> 16));
		else
			in(index);
		if (seed >> 27 == 5)
			fake_skip_to(shim_tsc + (1ULL << (seed >> 12 & 63) >> 22));
		else if (seed >> 27 == 6)
			fake_run_until(shim_tsc + 1 * MS);
	}
	fake_fired = 0;
	fake_run_until(shim_tsc + SECOND);
	assert_true(fake_fired <= 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_calendar, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_setting, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_divider_reset, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_update_in_progress, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_update_interrupt, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_periodic_interrupt, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_alarm, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_alarm_flag, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cmos, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 rtc", tests, NULL, NULL);
}
