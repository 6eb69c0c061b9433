/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt acceptance, priorities, EOI and ExtINT of the local APIC, by the rows of SDM volume 3,
 * 11.8 (M17, M18, M25). */
#include "lapic_board.h"

/* ---- 11.8.4: IRR, ISR and TMR ---- */
static void post_reaches_irr_only_after_sync(void **state)
{
	(void)state;
	lapic_post(apic(0), 0x31, false);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	assert_int_equal(lapic_highest_irr(apic(0)), -1);
	lapic_sync(apic(0));
	assert_int_equal(lapic_highest_irr(apic(0)), 0x31);
	assert_true(bitmap(0, LAPIC_IRR, 0x31));
	assert_false(bitmap(0, LAPIC_TMR, 0x31));
	assert_int_equal(lapic_highest_isr(apic(0)), -1);
}

static void every_legal_vector_can_be_posted(void **state)
{
	(void)state;
	for (unsigned v = 16; v < 256; v++) {
		lapic_post(apic(0), (u8)v, v & 1);
		lapic_sync(apic(0));
		assert_int_equal(lapic_highest_irr(apic(0)), v);
		assert_int_equal(lapic_deliverable(apic(0)), v);
		assert_int_equal(bitmap(0, LAPIC_TMR, v), v & 1);
		assert_int_equal(apic(0)->level[v / 64] >> v % 64 & 1, v & 1);
		lapic_accept(apic(0), (u8)v);
		assert_int_equal(lapic_highest_isr(apic(0)), v);
		assert_int_equal(lapic_highest_irr(apic(0)), -1);
		assert_true(bitmap(0, LAPIC_ISR, v));
		lapic_eoi(apic(0));
		assert_int_equal(lapic_highest_isr(apic(0)), -1);
		board_nr_eois = 0;
	}
}

static void a_vector_is_remembered_once_and_wakes_once(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		lapic_post(apic(0), 0x40, false);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	lapic_post(apic(0), 0x40, false);
	lapic_post(apic(0), 0x41, false);
	assert_int_equal(requests(0), 0); /* the owner has been asked and has not looked yet */
	lapic_sync(apic(0));
	lapic_post(apic(0), 0xff, false);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	lapic_sync(apic(0));
	assert_int_equal(lapic_highest_irr(apic(0)), 0xff);
	assert_true(bitmap(0, LAPIC_IRR, 0x40) && bitmap(0, LAPIC_IRR, 0x41));
}

/* One vector may be in service and requested again: SDM 11.8.4. */
static void irr_and_isr_hold_two_of_one_vector(void **state)
{
	(void)state;
	lapic_post(apic(0), 0x50, false);
	lapic_sync(apic(0));
	lapic_accept(apic(0), 0x50);
	lapic_post(apic(0), 0x50, false);
	lapic_sync(apic(0));
	assert_true(bitmap(0, LAPIC_IRR, 0x50) && bitmap(0, LAPIC_ISR, 0x50));
	assert_int_equal(lapic_deliverable(apic(0)), -1);
	requests(0);
	lapic_eoi(apic(0));
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	assert_int_equal(lapic_deliverable(apic(0)), 0x50);
}

static void trigger_mode_follows_the_last_message(void **state)
{
	(void)state;
	lapic_post(apic(0), 0x61, true);
	lapic_sync(apic(0));
	assert_true(bitmap(0, LAPIC_TMR, 0x61));
	lapic_post(apic(0), 0x61, false);
	lapic_sync(apic(0));
	assert_false(bitmap(0, LAPIC_TMR, 0x61));
	lapic_accept(apic(0), 0x61);
	lapic_eoi(apic(0));
	assert_int_equal(board_nr_eois, 0);
}

/* ---- 11.8.3: priorities ---- */
static void ppr_is_the_higher_of_tpr_and_isr_class(void **state)
{
	static const struct {
		u8 tpr, isr, ppr;
	} rows[] = {{0x00, 0, 0x00},    {0x5f, 0, 0x5f},    {0x00, 0x73, 0x70}, {0x6f, 0x73, 0x70},
		    {0x7c, 0x73, 0x7c}, {0x70, 0x7f, 0x70}, {0x80, 0x7f, 0x80}, {0xff, 0xfe, 0xff}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		lapic_write(apic(0), LAPIC_TPR, rows[i].tpr);
		if (rows[i].isr)
			lapic_accept(apic(0), rows[i].isr);
		assert_int_equal(lapic_ppr(apic(0)), rows[i].ppr);
		assert_int_equal(lapic_read(apic(0), LAPIC_PPR), rows[i].ppr);
		lapic_eoi(apic(0));
	}
}

static void only_a_higher_class_than_ppr_is_deliverable(void **state)
{
	(void)state;
	lapic_post(apic(0), 0x45, false);
	lapic_sync(apic(0));
	for (u32 tpr = 0; tpr < 256; tpr++) {
		lapic_write(apic(0), LAPIC_TPR, tpr);
		assert_int_equal(lapic_deliverable(apic(0)), tpr < 0x40 ? 0x45 : -1);
	}
}

static void nesting_is_by_class_and_eoi_pops_the_highest(void **state)
{
	struct lapic *l = apic(0);
	(void)state;
	lapic_post(l, 0x31, false);
	lapic_sync(l);
	lapic_accept(l, 0x31);
	lapic_post(l, 0x3f, false); /* same class: waits */
	lapic_sync(l);
	assert_int_equal(lapic_deliverable(l), -1);
	lapic_post(l, 0x81, false); /* higher: nests */
	lapic_sync(l);
	assert_int_equal(lapic_deliverable(l), 0x81);
	lapic_accept(l, 0x81);
	lapic_eoi(l);
	assert_true(bitmap(0, LAPIC_ISR, 0x31));
	assert_int_equal(lapic_deliverable(l), -1);
	lapic_eoi(l);
	assert_int_equal(lapic_deliverable(l), 0x3f);
	lapic_eoi(l); /* nothing in service: nothing happens */
	assert_int_equal(lapic_deliverable(l), 0x3f);
}

static void cr8_is_the_upper_half_of_the_tpr(void **state)
{
	(void)state;
	lapic_post(apic(0), 0x92, false);
	lapic_sync(apic(0));
	lapic_cr8_write(apic(0), 9);
	assert_int_equal(lapic_read(apic(0), LAPIC_TPR), 0x90);
	assert_int_equal(lapic_cr8_read(apic(0)), 9);
	assert_int_equal(lapic_deliverable(apic(0)), -1);
	requests(0);
	lapic_cr8_write(apic(0), 8);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	assert_int_equal(lapic_deliverable(apic(0)), 0x92);
	lapic_write(apic(0), LAPIC_TPR, 0x3f);
	assert_int_equal(lapic_cr8_read(apic(0)), 3);
}

/* With virtual-interrupt delivery the processor moves bits itself; nothing cached may be believed. */
static void hardware_may_change_the_page(void **state)
{
	struct lapic *l = apic(0);
	(void)state;
	lapic_set_hw_vid(l, true);
	lapic_post(l, 0x55, true);
	lapic_sync(l);
	assert_int_equal(lapic_deliverable(l), 0x55);
	lapic_set_reg(l, LAPIC_IRR + 0x20, 0); /* as the processor delivers it */
	lapic_set_reg(l, LAPIC_ISR + 0x20, 1u << 0x15);
	assert_int_equal(lapic_highest_irr(l), -1);
	assert_int_equal(lapic_highest_isr(l), 0x55);
	assert_int_equal(lapic_ppr(l), 0x50);
	lapic_set_reg(l, LAPIC_ISR + 0x20, 0); /* as it performs the EOI, and exits for it */
	lapic_eoi_broadcast(l, 0x55);
	assert_int_equal(board_nr_eois, 1);
	assert_int_equal(board_eois[0], 0x55);
	l->isr_changed = false;
	lapic_set_reg(l, LAPIC_ISR + 0x20, 1u << 0x15);
	requests(0);
	lapic_eoi(l); /* an EOI that the processor did not virtualize: SVI has to follow */
	assert_int_equal(lapic_highest_isr(l), -1);
	assert_true(l->isr_changed);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);

	lapic_set_reg(l, LAPIC_IRR + 0x70, 2);
	lapic_set_reg(l, LAPIC_ISR + 0x10, 4);
	lapic_set_hw_vid(l, false);
	assert_int_equal(lapic_highest_irr(l), 0xe1);
	assert_int_equal(lapic_highest_isr(l), 0x22);
	lapic_accept(l, 0xe1);
	assert_int_equal(lapic_highest_isr(l), 0xe1);
}

/* ---- 11.8.5: EOI ---- */
static void eoi_of_a_level_vector_reaches_the_ioapic(void **state)
{
	(void)state;
	lapic_post(apic(0), 0x33, true);
	lapic_post(apic(0), 0x44, false);
	lapic_sync(apic(0));
	lapic_accept(apic(0), 0x44);
	lapic_write(apic(0), LAPIC_EOI, 0);
	assert_int_equal(board_nr_eois, 0);
	lapic_accept(apic(0), 0x33);
	lapic_write(apic(0), LAPIC_EOI, 0xffffffff);
	assert_int_equal(board_nr_eois, 1);
	assert_int_equal(board_eois[0], 0x33);
	lapic_write(apic(0), LAPIC_EOI, 0);
	assert_int_equal(board_nr_eois, 1);
}

/* ---- the 8259 pair ---- */
static void extint_needs_lint0_in_extint_mode(void **state)
{
	(void)state;
	apic_set_extint(&board, true);
	assert_false(lapic_extint_pending(apic(0))); /* masked since reset */
	assert_int_equal(requests(0), 0);
	lapic_write(apic(0), LAPIC_LVT_LINT0, APIC_EXTINT << 8);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	assert_true(lapic_extint_pending(apic(0)));
	assert_false(lapic_extint_pending(apic(1)));
	board_pic_vector = 0x08;
	assert_int_equal(lapic_extint_ack(apic(0)), 0x08);
	apic_set_extint(&board, false);
	assert_false(lapic_extint_pending(apic(0)));
	apic_set_extint(&board, true);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	assert_int_equal(requests(1), 0);
	/* ExtINT ignores the priorities: 11.8.2. */
	lapic_write(apic(0), LAPIC_TPR, 0xff);
	assert_true(lapic_extint_pending(apic(0)));
	apic_set_extint(&board, false);
}

static void a_disabled_apic_is_a_bare_intr_pin_on_the_boot_cpu(void **state)
{
	(void)state;
	assert_false(msr_faults(0, MSR_APIC_BASE, LAPIC_BASE_DEFAULT | LAPIC_BASE_BSP));
	assert_false(msr_faults(1, MSR_APIC_BASE, LAPIC_BASE_DEFAULT));
	requests(0);
	requests(1);
	apic_set_extint(&board, true);
	assert_int_equal(requests(0), VCPU_REQ_EVENT);
	assert_true(lapic_extint_pending(apic(0)));
	assert_int_equal(requests(1), 0);
	assert_false(lapic_extint_pending(apic(1)));
	apic_set_extint(&board, false);
}

static void lint0_delivers_as_its_mode_says(void **state)
{
	(void)state;
	lapic_write(apic(0), LAPIC_LVT_LINT0, 0x41); /* fixed: one interrupt per rising edge */
	apic_set_extint(&board, true);
	apic_set_extint(&board, true);
	assert_false(lapic_extint_pending(apic(0)));
	assert_int_equal(posted(0), 0x41);
	assert_int_equal(posted(0), -1);
	apic_set_extint(&board, false);
	lapic_write(apic(0), LAPIC_LVT_LINT0, APIC_NMI << 8);
	requests(0);
	apic_set_extint(&board, true);
	assert_int_equal(requests(0), VCPU_REQ_NMI);
	apic_set_extint(&board, false);
}

static void virtual_wire_is_what_a_bios_leaves(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		lapic_reset(apic(i));
		lapic_virtual_wire(apic(i));
		assert_int_equal(lapic_read(apic(i), LAPIC_SVR), 0x1ff);
		assert_int_equal(lapic_read(apic(i), LAPIC_LVT_LINT1), 0x400);
	}
	assert_int_equal(lapic_read(apic(0), LAPIC_LVT_LINT0), 0x700);
	assert_int_equal(lapic_read(apic(1), LAPIC_LVT_LINT0), 0x10000);
}

/* ---- life ---- */
static void init_signal_clears_what_is_pending(void **state)
{
	(void)state;
	lapic_post(apic(1), 0x77, true);
	lapic_sync(apic(1));
	lapic_accept(apic(1), 0x77);
	lapic_post(apic(1), 0x78, false);
	lapic_write(apic(1), LAPIC_LDR, 0x02000000);
	lapic_init_signal(apic(1));
	lapic_sync(apic(1));
	assert_int_equal(lapic_highest_irr(apic(1)), -1);
	assert_int_equal(lapic_highest_isr(apic(1)), -1);
	assert_int_equal(lapic_read(apic(1), LAPIC_LDR), 0);
	assert_int_equal(lapic_read(apic(1), LAPIC_SVR), 0xff);
	assert_int_equal(lapic_read(apic(1), LAPIC_ID), 1u << 24);
	assert_int_equal(apic(1)->level[1], 0);
}

static void no_page_is_an_error(void **state)
{
	struct lapic l;
	(void)state;
	shim_fail_after = 0;
	assert_int_equal(lapic_init(&l, &board_vcpus[0], 0, true), ERR_NOMEM);
	shim_fail_after = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOARD_TEST(post_reaches_irr_only_after_sync),
	    BOARD_TEST(every_legal_vector_can_be_posted),
	    BOARD_TEST(a_vector_is_remembered_once_and_wakes_once),
	    BOARD_TEST(irr_and_isr_hold_two_of_one_vector),
	    BOARD_TEST(trigger_mode_follows_the_last_message),
	    BOARD_TEST(ppr_is_the_higher_of_tpr_and_isr_class),
	    BOARD_TEST(only_a_higher_class_than_ppr_is_deliverable),
	    BOARD_TEST(nesting_is_by_class_and_eoi_pops_the_highest),
	    BOARD_TEST(cr8_is_the_upper_half_of_the_tpr),
	    BOARD_TEST(hardware_may_change_the_page),
	    BOARD_TEST(eoi_of_a_level_vector_reaches_the_ioapic),
	    BOARD_TEST(extint_needs_lint0_in_extint_mode),
	    BOARD_TEST(a_disabled_apic_is_a_bare_intr_pin_on_the_boot_cpu),
	    BOARD_TEST(lint0_delivers_as_its_mode_says),
	    BOARD_TEST(virtual_wire_is_what_a_bios_leaves),
	    BOARD_TEST(init_signal_clears_what_is_pending),
	    BOARD_TEST(no_page_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
