/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC by its data sheet, and the wires of the board to it and the 8259 pair (M17, M66). */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/ioapic.h"
#include "devices/irq.h"
#include "devices/pic.h"
#include "lapic.h"
#include "shim.h"

#define MASKED 0x10000u
#define LEVEL 0x8000u
#define REMOTE_IRR 0x4000u
#define ACTIVE_LOW 0x2000u

static struct ioapic io;
static struct pic pic;
static struct irq_router router;
static struct guest *const guest = (struct guest *)&io; /* only handed through */
static struct apic_msg sent[64];
static unsigned nr_sent, accept;
static bool intr;

unsigned apic_deliver(struct guest *g, const struct apic_msg *msg)
{
	assert_ptr_equal(g, guest);
	assert_true(nr_sent < ARRAY_SIZE(sent));
	sent[nr_sent++] = *msg;
	return accept;
}

static void set_intr(void *opaque, bool level)
{
	assert_ptr_equal(opaque, &pic);
	intr = level;
}

static int setup(void **state)
{
	(void)state;
	ioapic_init(&io, guest);
	pic_init(&pic, set_intr, &pic);
	irq_init(&router, &pic, &io);
	nr_sent = 0;
	accept = 1;
	intr = false;
	return 0;
}

static u32 reg(u8 index)
{
	ioapic_write(&io, 0x00, 4, index);
	assert_int_equal((u8)ioapic_read(&io, 0x00, 4), index);
	return (u32)ioapic_read(&io, 0x10, 4);
}

static void set_reg(u8 index, u32 value)
{
	ioapic_write(&io, 0x00, 4, index);
	ioapic_write(&io, 0x10, 4, value);
}

static void program(unsigned pin, u32 low, u8 dest)
{
	set_reg((u8)(0x11 + 2 * pin), (u32)dest << 24);
	set_reg((u8)(0x10 + 2 * pin), low);
}

static u32 low(unsigned pin)
{
	return reg((u8)(0x10 + 2 * pin));
}

static void eoi(u8 vector)
{
	ioapic_eoi(&io, vector);
}

/* Messages sent since the last call. */
static unsigned messages(void)
{
	unsigned n = nr_sent;
	nr_sent = 0;
	return n;
}

/* ---- registers ---- */
static void identification(void **state)
{
	(void)state;
	assert_int_equal(reg(1), 0x00170020);
	set_reg(1, ~0u);
	assert_int_equal(reg(1), 0x00170020);
	assert_int_equal(reg(0), IOAPIC_ID << 24);
	set_reg(0, 0xffffffff);
	assert_int_equal(reg(0), 0x0f000000);
	assert_int_equal(reg(2), 0x0f000000);
	set_reg(2, 0);
	assert_int_equal(reg(2), 0x0f000000);
}

static void table_registers(void **state)
{
	(void)state;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		assert_int_equal(low(pin), MASKED);
		assert_int_equal(reg((u8)(0x11 + 2 * pin)), 0);
		program(pin, 0xffffffff, 0xa5);
		assert_int_equal(low(pin), 0x1afff);
		assert_int_equal(reg((u8)(0x11 + 2 * pin)), 0xa5000000);
		set_reg((u8)(0x11 + 2 * pin), 0xffffffff);
		assert_int_equal(reg((u8)(0x11 + 2 * pin)), 0xff000000);
		assert_int_equal(low(pin), 0x1afff);
	}
	assert_int_equal(messages(), 0);
}

static void every_index_and_offset_is_harmless(void **state)
{
	(void)state;
	for (unsigned index = 0; index < 256; index++) {
		bool exists = index <= 2 || (index >= 0x10 && index < 0x10 + 2 * IOAPIC_PINS);
		set_reg((u8)index, MASKED);
		if (!exists)
			assert_int_equal(reg((u8)index), 0);
	}
	for (u64 offset = 0; offset < IOAPIC_LENGTH; offset++) {
		for (unsigned size = 1; size <= 4; size *= 2) {
			ioapic_write(&io, offset, size, ~(u64)0);
			ioapic_read(&io, offset, size);
		}
	}
	set_reg(0x10, 0x31);
	ioapic_write(&io, 0x00, 1, 0x10);
	ioapic_write(&io, 0x10, 1, 0x55); /* the window is 32 bits wide */
	ioapic_write(&io, 0x14, 4, 0x55);
	assert_int_equal(low(0), 0x31);
	assert_int_equal(ioapic_read(&io, 0x14, 4), 0);
	assert_int_equal(messages(), 0);
}

/* ---- edges ---- */
static void an_edge_is_one_message(void **state)
{
	(void)state;
	program(4, 0x35, 3);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(messages(), 1);
	assert_int_equal(sent[0].vector, 0x35);
	assert_int_equal(sent[0].dest, 3);
	assert_int_equal(sent[0].delivery, APIC_FIXED);
	assert_false(sent[0].logical || sent[0].level || sent[0].wide_dest);
	ioapic_set_line(&io, 4, true);
	ioapic_set_line(&io, 4, false);
	assert_int_equal(messages(), 0);
	assert_int_equal(low(4), 0x35);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(messages(), 1);
}

static void fields_of_the_message(void **state)
{
	(void)state;
	for (u32 delivery = 0; delivery < 8; delivery++) {
		program(7, 0x800 | delivery << 8 | 0x44, 0xc3);
		ioapic_set_line(&io, 7, true);
		ioapic_set_line(&io, 7, false);
		assert_int_equal(messages(), delivery != APIC_SIPI);
		if (delivery == APIC_SIPI)
			continue;
		assert_int_equal(sent[0].delivery, delivery);
		assert_int_equal(sent[0].dest, 0xc3);
		assert_true(sent[0].logical);
	}
}

static void a_masked_edge_is_lost(void **state)
{
	(void)state;
	program(4, MASKED | 0x35, 0);
	ioapic_set_line(&io, 4, true);
	program(4, 0x35, 0);
	assert_int_equal(messages(), 0);
	ioapic_set_line(&io, 4, false);
	ioapic_set_line(&io, 4, true);
	assert_int_equal(messages(), 1);
}

/* ---- levels ---- */
static void a_level_asks_again_after_eoi(void **state)
{
	(void)state;
	program(9, LEVEL | 0x61, 1);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(messages(), 1);
	assert_true(sent[0].level);
	assert_int_equal(low(9), LEVEL | REMOTE_IRR | 0x61);
	eoi(0x62); /* another's */
	assert_int_equal(messages(), 0);
	eoi(0x61);
	assert_int_equal(messages(), 1);
	ioapic_set_line(&io, 9, false);
	assert_int_equal(low(9), LEVEL | REMOTE_IRR | 0x61); /* until the EOI */
	ioapic_set_line(&io, 9, true);
	assert_int_equal(messages(), 0);
	ioapic_set_line(&io, 9, false);
	eoi(0x61);
	assert_int_equal(messages(), 0);
	assert_int_equal(low(9), LEVEL | 0x61);
	eoi(0x61);
	assert_int_equal(messages(), 0);
}

static void the_eoi_register_is_an_eoi(void **state)
{
	(void)state;
	program(16, LEVEL | 0x71, 0);
	ioapic_set_line(&io, 16, true);
	ioapic_set_line(&io, 16, false);
	ioapic_write(&io, 0x40, 4, 0x71);
	assert_int_equal(low(16), LEVEL | 0x71);
}

static void pins_that_share_a_vector_end_together(void **state)
{
	(void)state;
	program(17, LEVEL | 0x81, 0);
	program(18, LEVEL | 0x81, 0);
	ioapic_set_line(&io, 17, true);
	ioapic_set_line(&io, 18, true);
	assert_int_equal(messages(), 2);
	ioapic_set_line(&io, 17, false);
	eoi(0x81);
	assert_int_equal(messages(), 1);
	assert_int_equal(low(17), LEVEL | 0x81);
	assert_int_equal(low(18), LEVEL | REMOTE_IRR | 0x81);
}

static void a_masked_level_waits(void **state)
{
	(void)state;
	program(9, MASKED | LEVEL | 0x61, 1);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(messages(), 0);
	program(9, LEVEL | 0x61, 1);
	assert_int_equal(messages(), 1);
	program(9, MASKED | LEVEL | 0x61, 1); /* remote IRR is not touched by the mask */
	assert_int_equal(low(9), MASKED | LEVEL | REMOTE_IRR | 0x61);
	eoi(0x61);
	assert_int_equal(messages(), 0);
	program(9, LEVEL | 0x61, 1);
	assert_int_equal(messages(), 1);
}

/* How Linux clears a remote IRR that got stuck: to edge and back. */
static void edge_mode_forgets_remote_irr(void **state)
{
	(void)state;
	program(9, LEVEL | 0x61, 1);
	ioapic_set_line(&io, 9, true);
	program(9, MASKED | 0x61, 1);
	assert_int_equal(low(9), MASKED | 0x61);
	program(9, LEVEL | 0x61, 1);
	assert_int_equal(messages(), 2);
	/* The destination half keeps it. */
	set_reg(0x11 + 18, 0x05000000);
	assert_int_equal(low(9), LEVEL | REMOTE_IRR | 0x61);
}

static void nobody_accepts(void **state)
{
	(void)state;
	accept = 0;
	program(9, LEVEL | 0x61, 77);
	ioapic_set_line(&io, 9, true);
	assert_int_equal(low(9), LEVEL | 0x61);
	assert_int_equal(messages(), 1);
	accept = 1;
	program(9, LEVEL | 0x61, 1); /* the rewritten entry is tried again (two writes) */
	assert_int_equal(messages(), 1);
	assert_int_equal(low(9), LEVEL | REMOTE_IRR | 0x61);
}

static void modes_without_eoi_set_no_remote_irr(void **state)
{
	(void)state;
	program(5, LEVEL | APIC_NMI << 8, 0);
	ioapic_set_line(&io, 5, true);
	assert_int_equal(messages(), 1);
	assert_int_equal(low(5), LEVEL | APIC_NMI << 8);
}

static void polarity_is_stored_and_matches(void **state)
{
	(void)state;
	program(20, ACTIVE_LOW | LEVEL | 0x91, 0);
	assert_int_equal(messages(), 0);
	ioapic_set_line(&io, 20, true);
	assert_int_equal(messages(), 1);
	assert_int_equal(low(20), ACTIVE_LOW | LEVEL | REMOTE_IRR | 0x91);
}

static void reset_masks_and_keeps_the_wires(void **state)
{
	(void)state;
	program(9, LEVEL | 0x61, 1);
	ioapic_set_line(&io, 9, true);
	ioapic_reset(&io);
	assert_int_equal(low(9), MASKED);
	messages();
	program(9, LEVEL | 0x61, 1);
	assert_int_equal(messages(), 1);
}

/* ---- the board ---- */
static void pic_program(void)
{
	static const u8 icw[2][4] = {{0x11, 0x20, 0x04, 0x01}, {0x11, 0x28, 0x02, 0x01}};
	for (unsigned chip = 0; chip < 2; chip++) {
		for (unsigned i = 0; i < 4; i++)
			pic_write(&pic.chip[chip], i > 0, 1, icw[chip][i]);
		pic_write(&pic.chip[chip], 1, 1, 0);
	}
	pic_elcr_write(&pic, 1, 1, 0x0c); /* 10 and 11: level */
}

static void isa_lines_reach_both_controllers(void **state)
{
	(void)state;
	pic_program();
	for (unsigned irq = 0; irq < 16; irq++) {
		unsigned pin = irq == 0 ? 2 : irq;
		program(pin, 0x30 + irq, 0);
		irq_set(&router, irq, true);
		if (irq == 2) { /* no wire there */
			assert_false(intr);
			assert_int_equal(messages(), 0);
			continue;
		}
		assert_true(intr);
		assert_int_equal(pic_ack(&pic), 0x20 + irq);
		assert_int_equal(messages(), 1);
		assert_int_equal(sent[0].vector, 0x30 + irq);
		irq_set(&router, irq, false);
		pic_write(&pic.chip[1], 0, 1, 0x20);
		pic_write(&pic.chip[0], 0, 1, 0x20);
		assert_false(intr);
	}
}

static void pci_lines_share_10_and_11_of_the_pic(void **state)
{
	(void)state;
	pic_program();
	for (unsigned gsi = 16; gsi < 24; gsi++) {
		irq_set(&router, gsi, true);
		assert_int_equal(io.lines, 1u << gsi);
		assert_int_equal(pic_ack(&pic), 0x28 + 2 + gsi % 2);
		pic_write(&pic.chip[1], 0, 1, 0x20);
		pic_write(&pic.chip[0], 0, 1, 0x20);
		assert_true(intr); /* a level */
		irq_set(&router, gsi, false);
		assert_false(intr);
	}
	irq_set(&router, 16, true);
	irq_set(&router, 18, true);
	irq_set(&router, 16, false);
	assert_true(intr);
	irq_set(&router, 18, false);
	assert_false(intr);
}

static void there_are_no_more_wires(void **state)
{
	(void)state;
	irq_set(&router, 24, true);
	irq_set(&router, ~0u, true);
	ioapic_set_line(&io, 24, true);
	assert_int_equal(io.lines, 0);
	assert_int_equal(router.lines, 0);
}

static unsigned wanted;

static void tick_wanted(void *opaque)
{
	assert_ptr_equal(opaque, &wanted);
	wanted++;
}

static void the_timers_ticks(void **state)
{
	(void)state;
	irq_on_tick_wanted(&router, tick_wanted, &wanted);
	wanted = 0;
	pic_program();
	wanted = 0;
	irq_set(&router, 0, true);
	irq_set(&router, 0, false); /* OUT falls: the request goes with it */
	assert_false(intr);
	assert_true(irq_tick(&router));
	assert_true(intr);
	for (unsigned i = 0; i < 3; i++) /* it has that one before it */
		assert_false(irq_tick(&router));
	assert_int_equal(wanted, 0);
	assert_int_equal(pic_ack(&pic), 0x20);
	assert_int_equal(wanted, 1);
	pic_write(&pic.chip[0], 0, 1, 0x20);
	assert_int_equal(wanted, 1); /* told once */
	assert_true(irq_tick(&router));
	assert_false(irq_tick(&router));
	pic_write(&pic.chip[0], 0, 1, 0x11); /* ICW1: the edge detectors forget */
	assert_int_equal(wanted, 2);
	assert_true(irq_tick(&router));
	/* Latched behind a mask, and taken by a poll. */
	pic_program();
	pic_write(&pic.chip[0], 1, 1, 1);
	assert_true(irq_tick(&router));
	assert_false(irq_tick(&router));
	assert_false(intr);
	pic_write(&pic.chip[0], 1, 1, 0);
	assert_true(intr);
	irq_tick(&router);
	wanted = 0;
	pic_write(&pic.chip[0], 0, 1, 0x0c);
	assert_int_equal(pic_read(&pic.chip[0], 0, 1), 0x80);
	assert_int_equal(wanted, 1);
	/* At the IOAPIC each edge is a message. */
	irq_tick(&router);
	assert_false(irq_tick(&router));
	wanted = 0;
	program(2, 0x30, 0);
	assert_true(wanted > 0);
	messages();
	assert_true(irq_tick(&router));
	assert_true(irq_tick(&router));
	assert_int_equal(messages(), 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
	    TEST(identification),
	    TEST(table_registers),
	    TEST(every_index_and_offset_is_harmless),
	    TEST(an_edge_is_one_message),
	    TEST(fields_of_the_message),
	    TEST(a_masked_edge_is_lost),
	    TEST(a_level_asks_again_after_eoi),
	    TEST(the_eoi_register_is_an_eoi),
	    TEST(pins_that_share_a_vector_end_together),
	    TEST(a_masked_level_waits),
	    TEST(edge_mode_forgets_remote_irr),
	    TEST(nobody_accepts),
	    TEST(modes_without_eoi_set_no_remote_irr),
	    TEST(polarity_is_stored_and_matches),
	    TEST(reset_masks_and_keeps_the_wires),
	    TEST(isa_lines_reach_both_controllers),
	    TEST(pci_lines_share_10_and_11_of_the_pic),
	    TEST(there_are_no_more_wires),
	    TEST(the_timers_ticks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
