/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259A pair, row by row of its data sheet (M66), and what a hostile guest may write (M67). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/pic.h"
#include "shim.h"

static struct pic pic;
static bool intr;
static unsigned intr_calls;

static void intr_changed(void *opaque, bool level)
{
	assert_ptr_equal(opaque, &pic);
	assert_int_not_equal(level, intr); /* only changes are reported */
	intr = level;
	intr_calls++;
}

static void out(unsigned port, u8 value)
{
	if (port >= 0x4d0)
		pic_elcr_write(&pic, port - 0x4d0, 1, value);
	else
		pic_write(&pic.chip[port >= 0xa0], port & 1, 1, value);
}

static u8 in(unsigned port)
{
	if (port >= 0x4d0)
		return (u8)pic_elcr_read(&pic, port - 0x4d0, 1);
	return (u8)pic_read(&pic.chip[port >= 0xa0], port & 1, 1);
}

static u8 isr(unsigned port)
{
	out(port, 0x0b);
	return in(port);
}

static u8 irr(unsigned port)
{
	out(port, 0x0a);
	return in(port);
}

static void pic_program(u8 icw4_master, u8 icw4_slave)
{
	out(0x20, 0x11);
	out(0x21, 0x20);
	out(0x21, 0x04);
	out(0x21, icw4_master);
	out(0xa0, 0x11);
	out(0xa1, 0x28);
	out(0xa1, 0x02);
	out(0xa1, icw4_slave);
	out(0x21, 0);
	out(0xa1, 0);
}

static int setup(void **state)
{
	(void)state;
	intr = false;
	intr_calls = 0;
	pic_init(&pic, intr_changed, &pic);
	pic_program(0x01, 0x01);
	return 0;
}

static void raise(unsigned irq)
{
	pic_set_line(&pic, irq, true);
}

static void lower(unsigned irq)
{
	pic_set_line(&pic, irq, false);
}

static void assert_ack(u8 vector)
{
	assert_true(intr);
	assert_int_equal(pic_ack(&pic), vector);
}

static void test_power_on(void **state)
{
	(void)state;
	pic_init(&pic, intr_changed, &pic);
	assert_int_equal(in(0x21), 0xff);
	out(0x21, 0);
	raise(1);
	assert_false(intr); /* never initialised */
}

static void test_initialisation(void **state)
{
	(void)state;
	out(0x21, 0x5a);
	assert_int_equal(in(0x21), 0x5a);
	raise(3);
	out(0x20, 0x11);
	assert_false(intr);            /* not before the last ICW */
	assert_int_equal(in(0x21), 0); /* ICW1 clears the mask, */
	out(0x21, 0x47);
	out(0x21, 0x04);
	assert_false(intr);
	out(0x21, 0x01);
	assert_false(intr); /* and the edge of IR3 */
	lower(3);
	assert_false(intr);
	raise(3);
	assert_ack(0x43); /* bits 2:0 of ICW2 come from the input */
	/* A single chip without ICW4: the second byte is the last. */
	out(0x20, 0x12);
	out(0x21, 0x60);
	out(0x21, 0xf0);
	assert_int_equal(in(0x21), 0xf0);
	/* Cascaded without ICW4: three. */
	out(0x20, 0x10);
	out(0x21, 0x60);
	out(0x21, 0x04);
	out(0x21, 0x0f);
	assert_int_equal(in(0x21), 0x0f);
}

static void test_edge(void **state)
{
	(void)state;
	raise(4);
	assert_int_equal(irr(0x20), 0x10);
	assert_ack(0x24);
	assert_false(intr);
	assert_int_equal(irr(0x20), 0); /* the line is still high: no second request */
	assert_int_equal(isr(0x20), 0x10);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
	assert_false(intr);
	lower(4);
	raise(4);
	assert_ack(0x24);
	raise(4); /* no edge */
	assert_false(intr);
	out(0x20, 0x20);
	lower(4);
	raise(4);
	lower(4); /* a pulse is a request */
	assert_ack(0x24);
	out(0x20, 0x20);
	raise(12);
	lower(12);
	assert_ack(0x2c);
	assert_false(intr);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	raise(0);
	lower(0); /* but the timer takes its own back */
	assert_false(intr);
	assert_int_equal(irr(0x20), 0);
	raise(0);
	assert_ack(0x20);
}

static void test_level(void **state)
{
	(void)state;
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	assert_int_equal(in(0x4d0), 0xf8); /* 0, 1, 2, 8 and 13 stay edge triggered */
	assert_int_equal(in(0x4d1), 0xde);
	raise(5);
	assert_ack(0x25);
	assert_false(intr); /* in service */
	out(0x20, 0x65);
	assert_ack(0x25); /* the line is still high */
	lower(5);
	out(0x20, 0x65);
	assert_false(intr);
	raise(11);
	assert_ack(0x2b);
	lower(11);
	out(0xa0, 0x63);
	out(0x20, 0x62);
	assert_false(intr);
	/* A line that is high when it becomes edge triggered is no edge. */
	raise(5);
	assert_true(intr);
	out(0x4d0, 0);
	assert_false(intr);
}

static void test_spurious(void **state)
{
	(void)state;
	out(0x4d0, 0x08);
	raise(3);
	assert_true(intr);
	lower(3);
	assert_false(intr);
	assert_int_equal(pic_ack(&pic), 0x27); /* the CPU had begun already */
	assert_int_equal(isr(0x20), 0);
	raise(9);
	assert_true(intr);
	out(0xa1, 0xff); /* masked between INTR and INTA */
	assert_int_equal(pic_ack(&pic), 0x27);
	assert_int_equal(isr(0xa0), 0);
}

static void test_priority(void **state)
{
	(void)state;
	raise(6);
	raise(3);
	raise(15);
	raise(8);
	assert_ack(0x28); /* the slave's inputs stand where IR2 stands */
	assert_false(intr);
	raise(1);
	assert_ack(0x21); /* nests over the slave's */
	out(0x20, 0x20);
	assert_false(intr);
	out(0xa0, 0x20);
	assert_int_equal(isr(0x20), 0x04);
	assert_false(intr); /* IR2 is in service until its EOI */
	out(0x20, 0x20);
	assert_ack(0x2f);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_ack(0x23);
	out(0x20, 0x20);
	assert_ack(0x26);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
}

/* EOI of the master before the slave's: the slave's INT must make a new edge. */
static void test_cascade_order(void **state)
{
	(void)state;
	raise(12);
	assert_ack(0x2c);
	raise(14);
	out(0x20, 0x20);
	assert_false(intr); /* the slave holds 14 back */
	raise(10);
	assert_ack(0x2a); /* nests in the slave */
	out(0xa0, 0x62);
	out(0x20, 0x62);
	out(0xa0, 0x64);
	assert_ack(0x2e);
}

static void test_mask(void **state)
{
	(void)state;
	out(0x21, 0x10);
	raise(4);
	assert_false(intr);
	assert_int_equal(irr(0x20), 0x10); /* the IRR shows it all the same */
	out(0x21, 0);
	assert_ack(0x24);
	out(0x21, 0x04);
	raise(8);
	assert_false(intr); /* the cascade masked */
	out(0x21, 0);
	assert_ack(0x28);
}

static void test_rotation(void **state)
{
	(void)state;
	raise(4);
	assert_ack(0x24);
	out(0x20, 0xa0); /* rotate on non-specific EOI: 4 becomes the lowest, 5 the highest */
	raise(0);
	raise(5);
	assert_ack(0x25);
	assert_false(intr); /* 0 comes after 5 now */
	out(0x20, 0xe5);    /* rotate on specific EOI: 6 the highest */
	raise(7);
	assert_ack(0x27);
	out(0x20, 0x20);
	assert_ack(0x20);
	out(0x20, 0x20);
	out(0x20, 0xc2); /* set priority: 3 the highest */
	raise(1);
	raise(3);
	assert_ack(0x23);
	raise(2); /* the cascade is no input of the board */
	assert_int_equal(irr(0x20), 0x02);
	out(0x20, 0x40); /* no operation */
	assert_int_equal(isr(0x20), 0x08);
	out(0x20, 0x63);
	assert_ack(0x21);
}

static void test_special_mask(void **state)
{
	(void)state;
	raise(3);
	assert_ack(0x23);
	raise(5);
	assert_false(intr);
	out(0x21, 0x08);
	assert_false(intr);
	out(0x20, 0x68); /* now IR3 in service and masked blocks nobody */
	assert_ack(0x25);
	assert_int_equal(isr(0x20), 0x28);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x08); /* and non-specific EOI does not see it */
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0x08);
	out(0x20, 0x48);
	out(0x20, 0x20);
	assert_int_equal(isr(0x20), 0);
}

static void test_special_fully_nested(void **state)
{
	(void)state;
	pic_program(0x11, 0x01);
	raise(12);
	assert_ack(0x2c);
	raise(14);
	assert_false(intr); /* lower within the slave */
	raise(9);
	assert_ack(0x29); /* higher within the slave, although IR2 is in service */
	raise(3);
	assert_false(intr); /* lower than IR2 */
	out(0xa0, 0x20);
	assert_int_equal(isr(0xa0), 0x10); /* not the last one: no EOI to the master yet */
	out(0xa0, 0x20);
	assert_ack(0x2e);
	out(0xa0, 0x20);
	assert_int_equal(isr(0xa0), 0);
	out(0x20, 0x20);
	assert_ack(0x23);
}

static void test_auto_eoi(void **state)
{
	(void)state;
	pic_program(0x03, 0x03);
	raise(4);
	raise(5);
	assert_ack(0x24);
	assert_int_equal(isr(0x20), 0);
	assert_ack(0x25);
	raise(8);
	raise(15);
	assert_ack(0x28);
	assert_ack(0x2f); /* the slave's INT stayed wanted: a new edge without its line falling */
	assert_false(intr);
	out(0x20, 0x80); /* rotate at each automatic EOI */
	lower(4);
	raise(4);
	assert_ack(0x24);
	raise(3);
	lower(5);
	raise(5);
	assert_ack(0x25);
	out(0x20, 0x00);
	assert_ack(0x23);
}

static void test_poll(void **state)
{
	(void)state;
	out(0x20, 0x0c);
	assert_int_equal(in(0x20) & 0x80, 0);
	out(0xa1, 0);
	raise(10);
	raise(6);
	out(0x20, 0x0c);
	assert_int_equal(in(0x21), 0x82); /* a read of either port acknowledges */
	assert_int_equal(in(0x21), 0);    /* only the first one */
	assert_int_equal(isr(0x20), 0x04);
	out(0xa0, 0x0c);
	assert_int_equal(in(0xa0), 0x82);
	assert_int_equal(isr(0xa0), 0x04);
	assert_false(intr);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	assert_ack(0x26);
	/* Input 0; and a slave that asks again after its poll makes a new edge. */
	raise(0);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x80);
	pic_program(0x03, 0x03);
	raise(8);
	raise(9);
	out(0x20, 0x0c);
	assert_int_equal(in(0x20), 0x82);
	assert_false(intr);
	out(0xa0, 0x0c);
	assert_int_equal(in(0xa0), 0x80);
	assert_ack(0x29);
}

static void test_reset_keeps_lines(void **state)
{
	(void)state;
	raise(4);
	out(0x4d0, 0x10);
	pic_reset(&pic);
	assert_false(intr);
	assert_int_equal(in(0x4d0), 0);
	pic_program(0x01, 0x01);
	out(0x4d0, 0x10);
	assert_ack(0x24); /* the device still holds it */
}

/* M67: whatever is written, vectors stay within the two bases and INTR agrees with the registers. */
static void test_hostile(void **state)
{
	static const unsigned ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
	u32 seed = 1;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		seed = seed * 1664525 + 1013904223;
		unsigned port = ports[(seed >> 8) % 6];
		if (seed >> 31)
			out(port, (u8)(seed >> 16));
		else if (seed >> 30)
			in(port);
		else
			pic_set_line(&pic, (seed >> 16) & 31, seed >> 24 & 1);
		if ((seed >> 24) % 3 == 0) {
			u8 v = pic_ack(&pic);
			assert_true((v & 0xf8) == pic.chip[0].base || (v & 0xf8) == pic.chip[1].base);
		}
	}
	pic_program(0x01, 0x01);
	for (unsigned i = 0; i < 16; i++)
		lower(i);
	assert_false(intr);
	raise(1);
	assert_ack(0x21);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_power_on, setup),
	    cmocka_unit_test_setup(test_initialisation, setup),
	    cmocka_unit_test_setup(test_edge, setup),
	    cmocka_unit_test_setup(test_level, setup),
	    cmocka_unit_test_setup(test_spurious, setup),
	    cmocka_unit_test_setup(test_priority, setup),
	    cmocka_unit_test_setup(test_cascade_order, setup),
	    cmocka_unit_test_setup(test_mask, setup),
	    cmocka_unit_test_setup(test_rotation, setup),
	    cmocka_unit_test_setup(test_special_mask, setup),
	    cmocka_unit_test_setup(test_special_fully_nested, setup),
	    cmocka_unit_test_setup(test_auto_eoi, setup),
	    cmocka_unit_test_setup(test_poll, setup),
	    cmocka_unit_test_setup(test_reset_keeps_lines, setup),
	    cmocka_unit_test_setup(test_hostile, setup),
	};
	return cmocka_run_group_tests_name("M66 pic", tests, NULL, NULL);
}
