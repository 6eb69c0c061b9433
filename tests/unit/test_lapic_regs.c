/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the local APIC in both modes, ESR, IA32_APIC_BASE: SDM volume 3, 11.4, 11.5 and 11.12
 * (M17, M25), and what a hostile guest may write (M67). */
#include "lapic_board.h"

#define BASE LAPIC_BASE_DEFAULT
#define X2(offset) (MSR_X2APIC_FIRST + (offset) / 16)

static u32 esr(unsigned i)
{
	lapic_write(apic(i), LAPIC_ESR, 0);
	return lapic_read(apic(i), LAPIC_ESR);
}

/* ---- xAPIC mode ---- */
static void reset_values(void **state)
{
	(void)state;
	lapic_reset(apic(1));
	for (u32 offset = 0; offset < 0x400; offset += 0x10) {
		u32 expected = 0;
		if (offset == LAPIC_ID)
			expected = 1u << 24;
		else if (offset == LAPIC_VERSION)
			expected = LAPIC_VERSION_VALUE;
		else if (offset == LAPIC_DFR)
			expected = 0xffffffff;
		else if (offset == LAPIC_SVR)
			expected = 0xff;
		else if (offset >= LAPIC_LVT_TIMER && offset <= LAPIC_LVT_ERROR)
			expected = 0x10000;
		assert_int_equal(lapic_read(apic(1), offset), expected);
	}
	assert_int_equal(msr_read(0, MSR_APIC_BASE), BASE | LAPIC_BASE_ENABLE | LAPIC_BASE_BSP);
	assert_int_equal(msr_read(1, MSR_APIC_BASE), BASE | LAPIC_BASE_ENABLE);
}

/* Writable bits of each register; what is not listed cannot be written. */
static void writable_bits_in_xapic_mode(void **state)
{
	static const struct {
		u32 offset, bits, fixed;
	} rows[] = {
	    {LAPIC_TPR, 0xff, 0},
	    {LAPIC_LDR, 0xff000000, 0},
	    {LAPIC_DFR, 0xf0000000, 0x0fffffff},
	    {LAPIC_SVR, 0x1ff, 0},
	    {LAPIC_ICR_HIGH, 0xff000000, 0},
	    {LAPIC_LVT_TIMER, 0x710ff & ~0x1000, 0},
	    {LAPIC_LVT_THERMAL, 0x107ff, 0},
	    {LAPIC_LVT_PERF, 0x107ff, 0},
	    {LAPIC_LVT_LINT0, 0x1a7ff, 0},
	    {LAPIC_LVT_LINT1, 0x1a7ff, 0},
	    {LAPIC_LVT_ERROR, 0x100ff, 0},
	    {LAPIC_TIMER_DIVIDE, 0xb, 0},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		lapic_write(apic(0), rows[i].offset, 0xffffffff);
		assert_int_equal(lapic_read(apic(0), rows[i].offset), rows[i].bits | rows[i].fixed);
		lapic_write(apic(0), LAPIC_SVR, 0x1ff);
		lapic_write(apic(0), rows[i].offset, rows[i].offset == LAPIC_SVR ? 0x100 : 0);
		assert_int_equal(lapic_read(apic(0), rows[i].offset),
				 rows[i].fixed | (rows[i].offset == LAPIC_SVR ? 0x100 : 0));
		lapic_write(apic(0), LAPIC_SVR, 0x1ff);
	}
	static const u32 read_only[] = {LAPIC_ID,         LAPIC_VERSION,    LAPIC_PPR,          LAPIC_ISR,
					LAPIC_TMR + 0x70, LAPIC_IRR + 0x30, LAPIC_TIMER_CURRENT};
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++) {
		u32 before = lapic_read(apic(1), read_only[i]);
		lapic_write(apic(1), read_only[i], ~before);
		assert_int_equal(lapic_read(apic(1), read_only[i]), before);
	}
	assert_int_equal(esr(0) | esr(1), 0);
}

/* An APIC-write VM exit comes after the processor has put the raw value into the page. */
static void raw_values_in_the_page_are_repaired(void **state)
{
	(void)state;
	lapic_set_reg(apic(1), LAPIC_ID, 0x5a5a5a5a);
	lapic_write(apic(1), LAPIC_ID, 0x5a5a5a5a);
	assert_int_equal(lapic_read(apic(1), LAPIC_ID), 1u << 24);
	lapic_set_reg(apic(1), LAPIC_LVT_ERROR, 0xffffffff);
	lapic_write(apic(1), LAPIC_LVT_ERROR, 0xffffffff);
	assert_int_equal(lapic_read(apic(1), LAPIC_LVT_ERROR), 0x100ff);
	lapic_set_reg(apic(1), LAPIC_SVR, 0xff);
	lapic_write(apic(1), LAPIC_SVR, 0xff);
	lapic_write(apic(1), LAPIC_LVT_ERROR, 0x44);
	assert_int_equal(lapic_read(apic(1), LAPIC_LVT_ERROR), 0x10044);
	lapic_write(apic(1), LAPIC_LVT_TIMER, 2u << 17 | 0x20);
	lapic_set_reg(apic(1), LAPIC_TIMER_INITIAL, 77);
	lapic_write(apic(1), LAPIC_TIMER_INITIAL, 77);
	assert_int_equal(lapic_read(apic(1), LAPIC_TIMER_INITIAL), 0);
}

/* 11.4.7.2 */
static void software_disable_masks_and_holds(void **state)
{
	struct lapic *l = apic(0);
	(void)state;
	lapic_write(l, LAPIC_LVT_LINT1, 0x400);
	lapic_post(l, 0x66, false);
	lapic_sync(l);
	lapic_write(l, LAPIC_SVR, 0xff);
	assert_int_equal(lapic_read(l, LAPIC_LVT_LINT1), 0x10400);
	lapic_write(l, LAPIC_LVT_LINT1, 0x400); /* the mask bit cannot be cleared */
	assert_int_equal(lapic_read(l, LAPIC_LVT_LINT1), 0x10400);
	assert_int_equal(lapic_deliverable(l), 0x66); /* what was pending is still taken */
	lapic_write(l, LAPIC_SVR, 0x1ff);
	assert_int_equal(lapic_read(l, LAPIC_LVT_LINT1), 0x10400);
}

static void mmio_takes_any_size_and_offset(void **state)
{
	struct lapic *l = apic(1);
	(void)state;
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION, 4), LAPIC_VERSION_VALUE);
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION, 1), 0x14);
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION + 2, 1), 0x05);
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION, 8), LAPIC_VERSION_VALUE);
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION + 4, 4), 0);
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION + 8, 8), 0);
	lapic_mmio_write(l, LAPIC_TPR, 4, 0x30);
	assert_int_equal(lapic_mmio_read(l, LAPIC_TPR, 4), 0x30);
	lapic_mmio_write(l, LAPIC_TPR, 8, 0xffffffff00000040);
	assert_int_equal(lapic_mmio_read(l, LAPIC_TPR, 4), 0x40);
	lapic_mmio_write(l, LAPIC_TPR + 4, 4, 0x50);
	lapic_mmio_write(l, LAPIC_TPR + 1, 4, 0x50);
	lapic_mmio_write(l, LAPIC_TPR, 1, 0x50);
	assert_int_equal(lapic_mmio_read(l, LAPIC_TPR, 4), 0x40);
	enter_x2apic(1);
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION, 4), 0xffffffff);
	assert_int_equal(lapic_mmio_read(l, LAPIC_VERSION, 8), ~(u64)0);
	lapic_mmio_write(l, LAPIC_TPR, 4, 0x70);
	assert_int_equal(lapic_cr8_read(l), 4);
}

/* ---- 11.5.3: errors ---- */
static void reserved_registers_are_errors(void **state)
{
	(void)state;
	for (u32 offset = 0; offset < 0x1000; offset += 0x10) {
		u32 i = offset >> 4;
		bool reserved = i <= 1 || (i >= 4 && i <= 7) || (i >= 0x29 && i <= 0x2f) ||
				(i >= 0x3a && i <= 0x3d) || i >= 0x3f;
		assert_int_equal(lapic_read(apic(0), offset) && reserved, 0);
		assert_int_equal(esr(0), reserved ? ESR_ILLEGAL_REGISTER : 0);
		if (reserved) {
			lapic_write(apic(0), offset, 0);
			assert_int_equal(esr(0), ESR_ILLEGAL_REGISTER);
		}
	}
}

static void esr_shows_what_was_logged_before_the_write(void **state)
{
	(void)state;
	lapic_write(apic(0), LAPIC_LVT_ERROR, 0xfe);
	lapic_read(apic(0), 0x40);
	assert_int_equal(lapic_read(apic(0), LAPIC_ESR), 0);
	assert_int_equal(posted(0), 0xfe);
	lapic_post(apic(0), 3, false); /* logged, but no second interrupt before the ESR is written */
	assert_int_equal(posted(0), -1);
	assert_int_equal(esr(0), ESR_ILLEGAL_REGISTER | ESR_RECEIVE_ILLEGAL_VECTOR);
	assert_int_equal(esr(0), 0);
	lapic_read(apic(0), 0x40);
	assert_int_equal(posted(0), 0xfe);
	assert_int_equal(esr(0), ESR_ILLEGAL_REGISTER);
}

static void an_illegal_error_vector_does_not_recurse(void **state)
{
	(void)state;
	lapic_write(apic(0), LAPIC_LVT_ERROR, 5);
	lapic_read(apic(0), 0x40);
	assert_int_equal(posted(0), -1);
	assert_int_equal(esr(0), ESR_ILLEGAL_REGISTER | ESR_RECEIVE_ILLEGAL_VECTOR);
}

/* ---- IA32_APIC_BASE: figure 11-27, table 11-5 ---- */
static void mode_transitions(void **state)
{
	enum { OFF, XAPIC, X2APIC, INVALID };
	static const u64 bits[] = {0, LAPIC_BASE_ENABLE, LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC,
				   LAPIC_BASE_X2APIC};
	static const bool legal[3][4] = {{1, 1, 0, 0}, {1, 1, 1, 0}, {1, 0, 1, 0}};
	(void)state;
	for (int from = OFF; from <= X2APIC; from++) {
		for (int to = OFF; to <= INVALID; to++) {
			lapic_reset(apic(1));
			if (from != XAPIC)
				assert_false(msr_faults(1, MSR_APIC_BASE, BASE | bits[from]));
			requests(1);
			assert_int_equal(msr_faults(1, MSR_APIC_BASE, BASE | bits[to]), !legal[from][to]);
			u64 now = legal[from][to] ? bits[to] : bits[from];
			assert_int_equal(msr_read(1, MSR_APIC_BASE), BASE | now);
			assert_int_equal(apic(1)->mmio, now == bits[XAPIC] ? BASE : ~(gpa_t)0);
			assert_int_equal(!!(requests(1) & VCPU_REQ_APIC_MODE), now != bits[from]);
		}
	}
}

static void reserved_bits_of_the_base_fault(void **state)
{
	u64 base = BASE | LAPIC_BASE_ENABLE;
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		bool reserved = bit < 8 || bit == 9 || bit >= 39;
		if (bit == 10 || bit == 11)
			continue;
		assert_int_equal(msr_faults(1, MSR_APIC_BASE, base ^ BIT(bit)), reserved);
		assert_false(msr_faults(1, MSR_APIC_BASE, base));
	}
	apic(1)->x2apic_allowed = false;
	assert_true(msr_faults(1, MSR_APIC_BASE, base | LAPIC_BASE_X2APIC));
}

static void the_registers_move_with_the_base(void **state)
{
	(void)state;
	lapic_write(apic(0), LAPIC_TPR, 0x20);
	assert_false(msr_faults(0, MSR_APIC_BASE, 0xfed40000 | LAPIC_BASE_ENABLE));
	assert_int_equal(apic(0)->mmio, 0xfed40000);
	assert_int_equal(requests(0), VCPU_REQ_APIC_MODE | VCPU_REQ_EVENT);
	assert_int_equal(lapic_read(apic(0), LAPIC_TPR), 0x20);
}

static void disabling_loses_the_state_but_not_cr8(void **state)
{
	(void)state;
	lapic_write(apic(0), LAPIC_LVT_LINT1, 0x400);
	lapic_post(apic(0), 0x70, false);
	assert_false(msr_faults(0, MSR_APIC_BASE, BASE));
	lapic_cr8_write(apic(0), 7);
	assert_int_equal(lapic_cr8_read(apic(0)), 7);
	lapic_post(apic(0), 0x71, false); /* no APIC there to take it */
	lapic_sync(apic(0));
	assert_false(msr_faults(0, MSR_APIC_BASE, BASE | LAPIC_BASE_ENABLE));
	lapic_sync(apic(0));
	assert_int_equal(lapic_highest_irr(apic(0)), -1);
	assert_int_equal(lapic_read(apic(0), LAPIC_LVT_LINT1), 0x10000);
	assert_int_equal(lapic_read(apic(0), LAPIC_SVR), 0xff);
	assert_int_equal(lapic_read(apic(0), LAPIC_TPR), 0x70);
}

/* ---- x2APIC mode: table 11-6 ---- */
static const struct {
	u32 first, last; /* offsets */
	u8 read, write;
	u64 valid; /* bits that may be written */
} x2apic_rows[] = {
    {LAPIC_ID, LAPIC_ID, 1, 0, 0},
    {LAPIC_VERSION, LAPIC_VERSION, 1, 0, 0},
    {LAPIC_TPR, LAPIC_TPR, 1, 1, 0xff},
    {LAPIC_PPR, LAPIC_PPR, 1, 0, 0},
    {LAPIC_EOI, LAPIC_EOI, 0, 1, 0},
    {LAPIC_LDR, LAPIC_LDR, 1, 0, 0},
    {LAPIC_SVR, LAPIC_SVR, 1, 1, 0x1ff},
    {LAPIC_ISR, LAPIC_IRR + 0x70, 1, 0, 0},
    {LAPIC_ESR, LAPIC_ESR, 1, 1, 0},
    {LAPIC_ICR, LAPIC_ICR, 1, 1, 0xffffffff000cdfff},
    {LAPIC_LVT_TIMER, LAPIC_LVT_TIMER, 1, 1, 0x710ff},
    {LAPIC_LVT_THERMAL, LAPIC_LVT_PERF, 1, 1, 0x117ff},
    {LAPIC_LVT_LINT0, LAPIC_LVT_LINT1, 1, 1, 0x1f7ff},
    {LAPIC_LVT_ERROR, LAPIC_LVT_ERROR, 1, 1, 0x110ff},
    {LAPIC_TIMER_INITIAL, LAPIC_TIMER_INITIAL, 1, 1, 0xffffffff},
    {LAPIC_TIMER_CURRENT, LAPIC_TIMER_CURRENT, 1, 0, 0},
    {LAPIC_TIMER_DIVIDE, LAPIC_TIMER_DIVIDE, 1, 1, 0xb},
    {LAPIC_SELF_IPI, LAPIC_SELF_IPI, 0, 1, 0xff},
};

static void x2apic_rights_and_reserved_bits(void **state)
{
	(void)state;
	assert_true(msr_read_faults(1, X2(LAPIC_ID))); /* not in xAPIC mode */
	assert_true(msr_faults(1, X2(LAPIC_TPR), 0));
	enter_x2apic(1);
	for (u32 msr = MSR_X2APIC_FIRST; msr <= MSR_X2APIC_LAST; msr++) {
		u32 offset = (msr - MSR_X2APIC_FIRST) * 16;
		bool rd = false, wr = false;
		u64 valid = 0;
		for (size_t i = 0; i < ARRAY_SIZE(x2apic_rows); i++) {
			if (offset < x2apic_rows[i].first || offset > x2apic_rows[i].last)
				continue;
			rd = x2apic_rows[i].read;
			wr = x2apic_rows[i].write;
			valid = x2apic_rows[i].valid;
		}
		assert_int_equal(msr_read_faults(1, msr), !rd);
		assert_int_equal(msr_faults(1, msr, 0), !wr);
		for (unsigned bit = 0; bit < 64; bit++)
			assert_int_equal(msr_faults(1, msr, BIT(bit)), !wr || !(valid & BIT(bit)));
	}
	/* Numbers whose offset would wrap around. */
	assert_true(msr_read_faults(1, 0x10000802));
	assert_true(msr_faults(1, 0xf0000808, 0));
	assert_true(msr_read_faults(1, 0x7ff));
}

static void entering_x2apic_derives_the_ids(void **state)
{
	(void)state;
	apic(1)->id = 0x123;
	lapic_write(apic(1), LAPIC_TPR, 0x40);
	lapic_write(apic(1), LAPIC_LVT_LINT1, 0x400);
	enter_x2apic(1);
	assert_int_equal(msr_read(1, X2(LAPIC_ID)), 0x123);
	assert_int_equal(msr_read(1, X2(LAPIC_LDR)), 0x00120008);
	assert_int_equal(msr_read(1, X2(LAPIC_TPR)), 0x40);
	assert_int_equal(msr_read(1, X2(LAPIC_LVT_LINT1)), 0x400);
	lapic_init_signal(apic(1)); /* INIT keeps the mode and the ids */
	assert_int_equal(msr_read(1, X2(LAPIC_ID)), 0x123);
	assert_int_equal(msr_read(1, X2(LAPIC_LDR)), 0x00120008);
	assert_int_equal(msr_read(1, X2(LAPIC_TPR)), 0);
}

static void x2apic_icr_is_one_register(void **state)
{
	(void)state;
	enter_x2apic(1);
	assert_false(msr_faults(1, X2(LAPIC_ICR), (u64)0x12345678 << 32 | 0x4031));
	assert_int_equal(msr_read(1, X2(LAPIC_ICR)), (u64)0x12345678 << 32 | 0x4031);
	assert_false(msr_faults(1, X2(LAPIC_SELF_IPI), 0x99));
	assert_int_equal(posted(1), 0x99);
	lapic_write(apic(1), LAPIC_SELF_IPI, 3); /* the processor virtualizes the legal ones only */
	assert_int_equal(esr(1), ESR_SEND_ILLEGAL_VECTOR | ESR_RECEIVE_ILLEGAL_VECTOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BOARD_TEST(reset_values),
	    BOARD_TEST(writable_bits_in_xapic_mode),
	    BOARD_TEST(raw_values_in_the_page_are_repaired),
	    BOARD_TEST(software_disable_masks_and_holds),
	    BOARD_TEST(mmio_takes_any_size_and_offset),
	    BOARD_TEST(reserved_registers_are_errors),
	    BOARD_TEST(esr_shows_what_was_logged_before_the_write),
	    BOARD_TEST(an_illegal_error_vector_does_not_recurse),
	    BOARD_TEST(mode_transitions),
	    BOARD_TEST(reserved_bits_of_the_base_fault),
	    BOARD_TEST(the_registers_move_with_the_base),
	    BOARD_TEST(disabling_loses_the_state_but_not_cr8),
	    BOARD_TEST(x2apic_rights_and_reserved_bits),
	    BOARD_TEST(entering_x2apic_derives_the_ids),
	    BOARD_TEST(x2apic_icr_is_one_register),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
