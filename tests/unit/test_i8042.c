/* SPDX-License-Identifier: Apache-2.0 */
/* The keyboard controller with nothing plugged in: what drivers probe (M66), hostile use (M67). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/i8042.h"
#include "devices/irq.h"
#include "guest.h"
#include "shim.h"

static struct i8042 kbc;
static bool irq1;
static int stopped;

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	assert_ptr_equal(r, &irq1);
	assert_int_equal(gsi, 1);
	assert_int_not_equal(level, irq1);
	irq1 = level;
}

void guest_stop(struct guest *g, enum guest_stop why, u32 code)
{
	assert_ptr_equal(g, &kbc);
	assert_int_equal(code, 0);
	stopped = (int)why;
}

static void command(u8 v)
{
	i8042_write_command(&kbc, 0, 1, v);
}

static void data(u8 v)
{
	i8042_write_data(&kbc, 0, 1, v);
}

static u8 status(void)
{
	return (u8)i8042_read_status(&kbc, 0, 1);
}

static u8 read_data(void)
{
	return (u8)i8042_read_data(&kbc, 0, 1);
}

/* The answer to a command: must be there at once, as the keyboard's. */
static u8 ask(u8 cmd)
{
	command(cmd);
	assert_int_equal(status() & 0x21, 0x01);
	u8 v = read_data();
	assert_int_equal(status() & 0x01, 0);
	return v;
}

static int setup(void **state)
{
	(void)state;
	irq1 = false;
	stopped = GUEST_RUNNING;
	i8042_init(&kbc, (void *)&kbc, (void *)&irq1);
	return 0;
}

/* The order of Linux's driver: flush, command byte, self test, auxiliary port, keyboard. */
static void test_linux_probe(void **state)
{
	(void)state;
	assert_int_equal(status(),
			 0x14); /* self test passed, not locked; nothing to flush, ready for a command */
	u8 ctr = ask(0x20);
	assert_int_equal(ask(0x20), ctr);
	command(0x60);
	data((u8)((ctr | 0x10) & ~1));
	assert_int_equal(ask(0x20), (ctr | 0x10) & ~1);
	assert_int_equal(ask(0xaa), 0x55);
	assert_int_equal(status() & 0x04, 0x04);
	/* AUX_LOOP is answered without the AUX bit, and AUX_TEST fails: no port, no waiting. */
	command(0xd3);
	data(0x5a);
	assert_int_equal(status() & 0x21, 0x01);
	read_data();
	assert_int_equal(ask(0xa9), 0x01);
	assert_int_equal(ask(0xab), 0x00);
	/* A command for the keyboard: no acknowledge will come, and an interrupt says so. */
	command(0x60);
	data(0x45);
	data(0xf2);
	assert_true(irq1);
	assert_int_equal(status() & 0x61, 0x41); /* time-out */
	assert_int_equal(status() & 0x04, 0x04);
	assert_int_equal(read_data(), 0xfe);
	assert_false(irq1);
	assert_int_equal(status() & 0x41, 0);
	command(0xad);
	data(0xf2); /* data for the keyboard enables it, and changes nothing else */
	read_data();
	assert_int_equal(ask(0x20), 0x45);
}

static void test_command_byte(void **state)
{
	(void)state;
	command(0xad);
	assert_int_equal(ask(0x20) & 0x10, 0x10);
	command(0xae);
	assert_int_equal(ask(0x20) & 0x10, 0);
	command(0xa8);
	assert_int_equal(ask(0x20) & 0x20, 0);
	command(0xa7);
	assert_int_equal(ask(0x20) & 0x20, 0x20);
	command(0x60);
	data(0x00);
	assert_int_equal(status() & 0x04, 0); /* the system flag follows it */
	command(0x7f);                        /* the rest of its memory */
	data(0x99);
	assert_int_equal(ask(0x3f), 0x99);
	assert_int_equal(status() & 0x08, 0x08); /* the last write was a command, */
	data(0xff);
	assert_int_equal(status() & 0x08, 0); /* or data */
	assert_int_equal(ask(0xc0) & 0x80, 0x80);
}

static void test_interrupt_enable(void **state)
{
	(void)state;
	command(0xd2);
	data(0x11);
	assert_false(irq1);
	command(0x60);
	data(0x01);
	assert_true(irq1);
	assert_int_equal(read_data(), 0x11);
	assert_false(irq1);
	command(0xd4); /* for the mouse: not the keyboard's interrupt */
	data(0xf2);
	assert_int_equal(status() & 0x61, 0x61);
	assert_false(irq1);
	assert_int_equal(read_data(), 0xfe);
	command(0xd2);
	data(0x22);
	i8042_reset(&kbc);
	assert_false(irq1);
	assert_int_equal(status() & 1, 0);
}

static void test_reset_lines(void **state)
{
	(void)state;
	for (unsigned v = 0xf0; v <= 0xff; v++) {
		stopped = GUEST_RUNNING;
		command((u8)v);
		assert_int_equal(stopped, v & 1 ? GUEST_RUNNING : GUEST_RESET);
	}
	stopped = GUEST_RUNNING;
	command(0xd1);
	data(0x03);
	assert_int_equal(stopped, GUEST_RUNNING);
	command(0xd1);
	data(0x02);
	assert_int_equal(stopped, GUEST_RESET);
	stopped = GUEST_RUNNING;
	i8042_write_port92(&kbc, 0, 1, 0x02);
	assert_int_equal(stopped, GUEST_RUNNING);
	i8042_write_port92(&kbc, 0, 1, 0x03);
	assert_int_equal(stopped, GUEST_RESET);
}

/* A20 is always on, and every way to ask says so. */
static void test_a20(void **state)
{
	(void)state;
	command(0xd1);
	data(0x01);
	assert_int_equal(ask(0xd0) & 0x03, 0x03);
	i8042_write_port92(&kbc, 0, 1, 0);
	assert_int_equal(i8042_read_port92(&kbc, 0, 1), 0x02);
}

static void test_hostile(void **state)
{
	u32 seed = 2;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		seed = seed * 1664525 + 1013904223;
		switch (seed >> 30) {
		case 0:
			command((u8)(seed >> 16));
			break;
		case 1:
			data((u8)(seed >> 16));
			break;
		case 2:
			read_data();
			break;
		default:
			assert_int_equal(status() & 0x82, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_linux_probe, setup),
	    cmocka_unit_test_setup(test_command_byte, setup),
	    cmocka_unit_test_setup(test_interrupt_enable, setup),
	    cmocka_unit_test_setup(test_reset_lines, setup),
	    cmocka_unit_test_setup(test_a20, setup),
	    cmocka_unit_test_setup(test_hostile, setup),
	};
	return cmocka_run_group_tests_name("M66 i8042", tests, NULL, NULL);
}
