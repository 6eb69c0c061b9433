/* SPDX-License-Identifier: Apache-2.0 */
/* M4, M24: the MSR policy: bitmap and table agree, what is not listed is #GP, reserved bits are checked. */
#include "vcpu_board.h"

#include "shim.h"
#include "vcpu/msr.h"
#include "x86_ops.h"

static u8 bitmap[PAGE_SIZE];
static unsigned log_left;

bool guest_log_unknown(struct guest *g)
{
	assert_ptr_equal(g, &board_guest);
	return log_left && log_left--;
}

static int setup(void **state)
{
	board_setup(state);
	board_deadline = 0;
	msr_init();
	msr_fill_bitmap(bitmap);
	board_vcpu.misc_enable = MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL;
	mtrr_reset(&board_guest.mtrr, 40);
	return 0;
}

static void prepare(u32 msr)
{
	board_clear();
	fake(GUEST_RIP) = 0x100;
	board_regs[REG_RCX] = 0xdead000000000000 | msr; /* the upper half does not count */
}

static bool read_msr(u32 msr, u64 *value)
{
	prepare(msr);
	board_regs[REG_RAX] = board_regs[REG_RDX] = 0xfeedfeedfeedfeed;
	exit_rdmsr(&board_vcpu);
	if (board_vcpu.events.exception_info) {
		board_expect_fault(VEC_GP, 0);
		assert_int_equal(fake(GUEST_RIP), 0x100);
		assert_true(board_regs[REG_RAX] == 0xfeedfeedfeedfeed);
		return false;
	}
	assert_int_equal(fake(GUEST_RIP), 0x102);
	assert_true(!(board_regs[REG_RAX] >> 32) && !(board_regs[REG_RDX] >> 32));
	*value = board_regs[REG_RDX] << 32 | board_regs[REG_RAX];
	return true;
}

static bool write_msr(u32 msr, u64 value)
{
	prepare(msr);
	board_regs[REG_RAX] = 0xdead000000000000 | (u32)value;
	board_regs[REG_RDX] = 0xdead000000000000 | value >> 32;
	exit_wrmsr(&board_vcpu);
	if (board_vcpu.events.exception_info) {
		board_expect_fault(VEC_GP, 0);
		assert_int_equal(fake(GUEST_RIP), 0x100);
		return false;
	}
	assert_int_equal(fake(GUEST_RIP), 0x102);
	return true;
}

static const struct msr_row *row_of(u32 msr)
{
	const struct msr_row *found = NULL;
	for (unsigned r = 0; r < msr_nr_rows; r++)
		if (msr >= msr_rows[r].first && msr <= msr_rows[r].last) {
			assert_null(found); /* one row for each MSR */
			found = &msr_rows[r];
		}
	return found;
}

/* SDM volume 3, 25.6.9: reads of 0 to 0x1fff, of 0xc0000000 to 0xc0001fff, writes of both. */
static bool exits(u32 msr, bool write)
{
	unsigned at = (write ? 2048 : 0) + (msr >= 0xc0000000 ? 1024 : 0) + (msr & 0x1fff) / 8;
	return bitmap[at] >> (msr & 7) & 1;
}

static void check_msr(u32 msr)
{
	const struct msr_row *row = row_of(msr);
	u64 value;
	assert_int_equal(exits(msr, false), !(row && (row->pass & MSR_PASS_READ)));
	assert_int_equal(exits(msr, true), !(row && (row->pass & MSR_PASS_WRITE)));
	if (!row || !row->read)
		assert_false(read_msr(msr, &value));
	if (!row || !row->write)
		assert_false(write_msr(msr, 0));
}

static void bitmap_follows_the_table(void **state)
{
	(void)state;
	for (u32 n = 0; n < 0x2000; n++) {
		check_msr(n);
		check_msr(0xc0000000 + n);
	}
	assert_int_equal(board_failed, 0);
}

static void rows_are_well_formed(void **state)
{
	(void)state;
	for (unsigned r = 0; r < msr_nr_rows; r++) {
		const struct msr_row *row = &msr_rows[r];
		assert_true(row->first <= row->last && row->name && row->name[0]);
		assert_true((row->last & 0x1fff) == (row->last & ~0xc0000000));
		assert_true(row->pass || row->read || row->write);
		assert_int_equal(row->pass & ~MSR_PASS, 0);
	}
}

/* Numbers that the bitmap does not cover always exit. */
static void numbers_out_of_range(void **state)
{
	static const u32 numbers[] = {0x2000,     0x3fff,     0x40000000, 0x4b564d00, 0x7fffffff,
				      0x80000000, 0xbfffffff, 0xc0002000, 0xc0010015, 0xffffffff};
	u64 value;
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		assert_false(read_msr(numbers[i], &value));
		assert_false(write_msr(numbers[i], 0));
	}
}

static void refusals_do_not_flood_the_log(void **state)
{
	(void)state;
	shim_log_lines = 0;
	log_left = 7;
	for (unsigned i = 0; i < 1000; i++)
		write_msr(0x1234, i);
	assert_int_equal(shim_log_lines, 7);
}

static void rdmsr_reads_each_field_once(void **state)
{
	u64 value;
	(void)state;
	assert_true(read_msr(MSR_BIOS_SIGN_ID, &value));
	board_expect_single_reads();
	assert_true(write_msr(MSR_TSC_DEADLINE, 0x123456789abc));
	board_expect_single_reads();
	assert_true(board_deadline == 0x123456789abc);
}

static void fixed_values(void **state)
{
	u64 value;
	(void)state;
	assert_true(read_msr(MSR_BIOS_SIGN_ID, &value));
	assert_true(value == BIT(32));
	assert_true(read_msr(MSR_FEATURE_CONTROL, &value));
	assert_int_equal(value, FEATURE_CONTROL_LOCK); /* locked, without VMX */
	assert_false(write_msr(MSR_FEATURE_CONTROL, 5));
	assert_false(read_msr(MSR_VMX_BASIC, &value));
	assert_true(read_msr(MSR_MTRRCAP, &value));
	assert_false(write_msr(MSR_MTRRCAP, value));
}

static void reserved_bits(void **state)
{
	u64 value;
	(void)state;
	assert_false(write_msr(MSR_XSS, 1)); /* no supervisor states */
	assert_true(write_msr(MSR_MCG_STATUS, 0));
	assert_false(write_msr(MSR_MCG_STATUS, 4));
	assert_true(write_msr(MSR_DEBUGCTL, DEBUGCTL_BTF | DEBUGCTL_LBR));
	assert_int_equal(fake(GUEST_DEBUGCTL), DEBUGCTL_BTF);
	assert_true(read_msr(MSR_DEBUGCTL, &value));
	assert_int_equal(value, DEBUGCTL_BTF);
	for (unsigned bit = 2; bit < 64; bit++)
		assert_false(write_msr(MSR_DEBUGCTL, BIT(bit)));
	assert_false(write_msr(MSR_MTRR_DEF_TYPE, BIT(12)));
	assert_false(write_msr(MSR_MTRR_DEF_TYPE, 7));
	assert_false(write_msr(MSR_MTRR_PHYSMASK(0), BIT(45)));
	assert_true(write_msr(MSR_MTRR_DEF_TYPE, MTRR_DEF_ENABLE | MEMTYPE_WB));
	assert_true(read_msr(MSR_MTRR_DEF_TYPE, &value));
	assert_int_equal(value, MTRR_DEF_ENABLE | MEMTYPE_WB);
}

static void misc_enable(void **state)
{
	u64 start = board_vcpu.misc_enable, value;
	(void)state;
	assert_true(write_msr(MSR_MISC_ENABLE, start & ~MISC_ENABLE_FAST_STRING));
	assert_true(read_msr(MSR_MISC_ENABLE, &value));
	assert_int_equal(value, start & ~MISC_ENABLE_FAST_STRING);
	assert_true(write_msr(MSR_MISC_ENABLE, start | MISC_ENABLE_MWAIT)); /* taken, without effect */
	assert_true(read_msr(MSR_MISC_ENABLE, &value));
	assert_false(value & MISC_ENABLE_MWAIT);
	assert_false(write_msr(MSR_MISC_ENABLE, start | BIT(40)));
}

/* SDM volume 3, 18.17.3: TSC and TSC_ADJUST move together. */
static void tsc_and_adjust(void **state)
{
	u64 adjust, tsc, slack = (u64)1 << 36; /* the test may be interrupted for a while */
	(void)state;
	assert_true(write_msr(MSR_TSC, 0));
	assert_true(read_msr(MSR_TSC, &tsc));
	assert_true(tsc < slack);
	assert_true(read_msr(MSR_TSC_ADJUST, &adjust));
	assert_true(adjust == board_vcpu.tsc_offset);
	u64 offset = board_vcpu.tsc_offset;
	assert_true(write_msr(MSR_TSC_ADJUST, adjust + 5 * slack));
	assert_true(board_vcpu.tsc_offset == offset + 5 * slack);
	assert_true(fake(TSC_OFFSET) == board_vcpu.tsc_offset);
	assert_true(board_vcpu.lapic.tsc_offset == board_vcpu.tsc_offset);
	assert_true(read_msr(MSR_TSC, &tsc));
	assert_true(tsc - 5 * slack < slack);
}

/* The local APIC's refusal is the guest's #GP. */
static void apic_registers(void **state)
{
	u64 value;
	(void)state;
	assert_true(write_msr(0x808, 0x20));
	assert_int_equal(board_cr8, 0x20);
	assert_true(read_msr(0x808, &value));
	assert_int_equal(value, 0x20);
	assert_false(write_msr(0x809, 0));
	assert_false(read_msr(0x83f, &value));
	assert_false(read_msr(0x840, &value));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(bitmap_follows_the_table),
	    T(rows_are_well_formed),
	    T(numbers_out_of_range),
	    T(refusals_do_not_flood_the_log),
	    T(rdmsr_reads_each_field_once),
	    T(fixed_values),
	    T(reserved_bits),
	    T(misc_enable),
	    T(tsc_and_adjust),
	    T(apic_registers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
