/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI fixed hardware and reset port (M66), hostile use (M67). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/irq.h"
#include "devices/pm.h"
#include "fake_timer.h"
#include "guest.h"
#include "host.h"

#define SECOND 1000000000ULL
#define HALF_TURN_NS 599932015941ULL /* 2^31 / 3.579545 MHz, rounded up */

static struct pm pm;
static bool sci;
static int stopped;

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	assert_ptr_equal(r, &sci);
	assert_int_equal(gsi, PM_SCI_GSI);
	sci = level;
}

void guest_stop(struct guest *g, enum guest_stop why, u32 code)
{
	assert_ptr_equal(g, &pm);
	assert_int_equal(code, 0);
	stopped = (int)why;
}

const char *guest_name(const struct guest *g)
{
	assert_ptr_equal(g, &pm);
	return "test";
}

static void out(unsigned port, unsigned size, u64 value)
{
	pm_write(&pm, port - PM_BASE, size, value);
}

static u64 in(unsigned port, unsigned size)
{
	return pm_read(&pm, port - PM_BASE, size);
}

static int setup(void **state)
{
	(void)state;
	shim_tsc = 12345;
	sci = false;
	stopped = GUEST_RUNNING;
	pm_init(&pm, (void *)&pm, (void *)&sci);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pm_fini(&pm);
	assert_int_equal(fake_timers_armed(), 0);
	return 0;
}

static void test_timer(void **state)
{
	(void)state;
	assert_int_equal(in(PM_TIMER, 4), 0);
	shim_tsc += SECOND;
	assert_int_equal(in(PM_TIMER, 4), PM_TIMER_HZ);
	shim_tsc += 3600 * SECOND;
	assert_int_equal(in(PM_TIMER, 4), (u32)(3601ULL * PM_TIMER_HZ)); /* wraps at 32 bits */
	u32 v = (u32)in(PM_TIMER, 4);
	assert_int_equal(in(PM_TIMER, 2), v & 0xffff);
	assert_int_equal(in(PM_TIMER + 1, 1), v >> 8 & 0xff);
	assert_int_equal(in(PM_TIMER + 2, 2), v >> 16);
	out(PM_TIMER, 4, 0); /* read only */
	assert_int_equal(in(PM_TIMER, 4), v);
}

static void test_timer_status(void **state)
{
	(void)state;
	shim_tsc += HALF_TURN_NS - 1000;
	assert_int_equal(in(PM1_EVT, 2) & 1, 0);
	shim_tsc += 2000;
	assert_int_equal(in(PM1_EVT, 2) & 1, 1); /* bit 31 changed */
	assert_false(sci);
	out(PM1_EVT + 2, 2, 1);
	assert_true(sci);
	out(PM1_EVT, 2, 1);
	assert_false(sci);
	assert_int_equal(fake_timers_armed(), 1);
	fake_run_until(shim_tsc + HALF_TURN_NS);
	assert_true(sci);
	assert_int_equal(fake_timers_armed(), 0); /* pending: no more to say */
	out(PM1_EVT, 1, 1);
	assert_false(sci);
}

static void test_power_button(void **state)
{
	(void)state;
	assert_int_equal(in(PM1_CNT, 2) & 1, 1); /* ACPI mode from the start */
	pm_power_button(&pm);
	assert_false(sci);
	assert_int_equal(in(PM1_EVT, 2), 0x100);
	out(PM1_EVT, 4, 0x01200000); /* one dword sets both enables, */
	assert_true(sci);
	assert_int_equal(in(PM1_EVT, 4), 0x01200100);
	out(PM1_EVT + 1, 1, 0x01); /* and one byte clears one status */
	assert_false(sci);
	assert_int_equal(in(PM1_EVT + 2, 2), 0x0120);
	pm_power_button(&pm);
	assert_true(sci);
	pm_reset(&pm);
	assert_false(sci);
	assert_int_equal(in(PM1_EVT, 4), 0);
}

static void test_enable_bits(void **state)
{
	(void)state;
	out(PM1_EVT + 2, 2, 0xffff);
	assert_int_equal(in(PM1_EVT + 2, 2), 0x0521); /* timer, global lock, power button, clock */
	out(PM1_EVT + 3, 1, 0);
	assert_int_equal(in(PM1_EVT + 2, 2), 0x0021);
	out(PM1_EVT, 2, 0xffff);
	assert_int_equal(in(PM1_EVT + 2, 2), 0x0021);
}

static void test_sleep(void **state)
{
	(void)state;
	out(PM1_CNT, 2, 0x1c00);
	assert_int_equal(stopped, GUEST_RUNNING);
	assert_int_equal(in(PM1_CNT, 2), 0x1c01); /* SCI_EN stays */
	unsigned lines = shim_log_lines;
	out(PM1_CNT, 2, 0x3c00); /* a state that \_Sx does not offer */
	out(PM1_CNT, 2, 0x3400);
	assert_int_equal(stopped, GUEST_RUNNING);
	assert_int_equal(shim_log_lines, lines + 1);
	assert_int_equal(in(PM1_CNT, 2), 0x1401); /* SLP_EN is write only */
	out(PM1_CNT, 2, 0x2000);
	assert_int_equal(stopped, GUEST_POWEROFF);
	stopped = GUEST_RUNNING;
	out(PM1_CNT, 2, 0);
	out(PM1_CNT + 1, 1, 0x20); /* by the byte */
	assert_int_equal(stopped, GUEST_POWEROFF);
}

static void test_reset_port(void **state)
{
	(void)state;
	pm_reset_write(&pm, 0, 1, 0x02);
	assert_int_equal(stopped, GUEST_RUNNING);
	pm_reset_write(&pm, 0, 1, PM_RESET_VALUE);
	assert_int_equal(stopped, GUEST_RESET);
	assert_int_equal(pm_reset_read(&pm, 0, 1), 6);
	stopped = GUEST_RUNNING;
	pm_reset_write(&pm, 0, 1, 0x06); /* only the rise counts */
	assert_int_equal(stopped, GUEST_RUNNING);
	pm_reset_write(&pm, 0, 1, 0xf1);
	assert_int_equal(pm_reset_read(&pm, 0, 1), 0);
	pm_reset_write(&pm, 0, 1, 0x0e);
	assert_int_equal(stopped, GUEST_RESET);
}

static void test_hostile(void **state)
{
	u32 seed = 9;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		unsigned size = 1U << (seed >> 8 & 3) % 3,
			 port = PM_BASE + (seed >> 12) % (PM_LENGTH - size + 1);
		if (seed >> 31)
			out(port, size, seed >> 3);
		else
			assert_true(in(port, size) >> (8 * size) == 0);
		shim_tsc += (u64)seed << (seed >> 27);
		assert_true(fake_timers_armed() <= 1);
	}
	assert_int_equal(in(PM1_CNT, 2) & 1, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_timer_status, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_power_button, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_enable_bits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sleep, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reset_port, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 pm", tests, NULL, NULL);
}
