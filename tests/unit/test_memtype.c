/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's MTRRs: what reads back, what is refused (#GP), and which type follows (M66). */
#include "shim.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib.h"
#include "memtype.h"

#define DEF_TYPE 0x2ff
#define ON 0xc00 /* E and FE */

static struct mtrr_state s;

static int setup(void **state)
{
	(void)state;
	mtrr_reset(&s, 40);
	return 0;
}

static u64 value_of(u32 msr)
{
	u64 v = 0x1234;

	assert_int_equal(mtrr_read(&s, msr, &v), 0);
	return v;
}

static bool is_mtrr(u32 msr)
{
	return msr == 0xfe || (msr >= 0x200 && msr < 0x210) || msr == 0x250 || msr == 0x258 || msr == 0x259 ||
	       (msr >= 0x268 && msr < 0x270) || msr == DEF_TYPE;
}

/* Every number from 0 to 0x3ff is an MTRR or it is not; each register keeps its own value. */
static void test_numbers(void **state)
{
	u64 v;

	(void)state;
	for (u32 msr = 0; msr < 0x400; msr++) {
		assert_int_equal(mtrr_read(&s, msr, &v), is_mtrr(msr) ? 0 : ERR_NOENT);
		if (!is_mtrr(msr))
			assert_int_equal(mtrr_write(&s, msr, 0), ERR_NOENT);
	}
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(mtrr_write(&s, 0x200 + i, (u64)(i + 1) << 20), 0);
	for (u32 msr = 0x250; msr < 0x270; msr++) {
		if (is_mtrr(msr))
			assert_int_equal(mtrr_write(&s, msr, 0x0600000000000000 | (msr % 2 ? 1 : 4)), 0);
	}
	for (u32 i = 0; i < 16; i++)
		assert_int_equal(value_of(0x200 + i), (u64)(i + 1) << 20);
	for (u32 msr = 0x250; msr < 0x270; msr++) {
		if (is_mtrr(msr))
			assert_int_equal(value_of(msr), 0x0600000000000000 | (msr % 2 ? 1 : 4));
	}
	assert_int_equal(value_of(0xfe), 0x508); /* 8 pairs, fixed ranges, WC */
	assert_int_equal(mtrr_write(&s, 0xfe, 0x508), ERR_INVAL);
}

static void refused(u32 msr, u64 value)
{
	u64 before = value_of(msr);

	assert_int_equal(mtrr_write(&s, msr, value), ERR_INVAL);
	assert_int_equal(value_of(msr), before);
}

static void test_reserved(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		/* Type 6 and one more bit; which bits may be set on a CPU with 40 address bits: */
		bool base = bit >= 12 && bit < 40, mask = bit >= 11 && bit < 40, def = bit == 10 || bit == 11;
		bool type = bit < 3; /* 6 with bit 0 is 7, no type; bits 1 and 2 are in 6 already */

		assert_int_equal(mtrr_write(&s, 0x204, BIT(bit) | 6), base || (type && bit) ? 0 : ERR_INVAL);
		assert_int_equal(mtrr_write(&s, 0x205, BIT(bit)), mask ? 0 : ERR_INVAL);
		assert_int_equal(mtrr_write(&s, DEF_TYPE, BIT(bit) | 6),
				 def || (type && bit) ? 0 : ERR_INVAL);
	}
	for (u64 type = 0; type < 256; type++) {
		bool ok = type == 0 || type == 1 || type == 4 || type == 5 || type == 6;

		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(mtrr_write(&s, 0x26f, type << 8 * i), ok ? 0 : ERR_INVAL);
		assert_int_equal(mtrr_write(&s, DEF_TYPE, type), ok ? 0 : ERR_INVAL);
		assert_int_equal(mtrr_write(&s, 0x200, type), ok ? 0 : ERR_INVAL);
	}
	refused(0x200, 2);
	refused(0x201, 0x400);
	refused(DEF_TYPE, ~0ull);
	refused(0x250, 0x0606060606030606);
}

static void set(u32 msr, u64 value)
{
	assert_int_equal(mtrr_write(&s, msr, value), 0);
}

static void range(unsigned i, u64 base, u64 size, enum ept_memtype type)
{
	set(0x200 + 2 * i, base | type);
	set(0x201 + 2 * i, (~(size - 1) & (BIT(40) - 1)) | 0x800);
}

static void test_types(void **state)
{
	(void)state;
	set(DEF_TYPE, 6);
	assert_int_equal(mtrr_type(&s, 0x100000), EPT_UC); /* disabled: all uncached */
	set(DEF_TYPE, ON | 6);
	assert_int_equal(mtrr_type(&s, 0), EPT_UC);
	assert_int_equal(mtrr_type(&s, 0x100000), EPT_WB);
	/* Fixed ranges: first and last byte of some, in each of the three sizes. */
	set(0x250, 0x0600000000000004);
	assert_int_equal(mtrr_type(&s, 0xffff), EPT_WT);
	assert_int_equal(mtrr_type(&s, 0x10000), EPT_UC);
	assert_int_equal(mtrr_type(&s, 0x7ffff), EPT_WB);
	set(0x259, 0x01ull << 56);
	assert_int_equal(mtrr_type(&s, 0xbbfff), EPT_UC);
	assert_int_equal(mtrr_type(&s, 0xbc000), EPT_WC);
	set(0x26f, 0x05ull << 56);
	assert_int_equal(mtrr_type(&s, 0xfffff), EPT_WP);
	assert_int_equal(mtrr_type(&s, 0xfefff), EPT_UC);
	set(DEF_TYPE, 0x800 | 6); /* fixed ranges off */
	assert_int_equal(mtrr_type(&s, 0xbc000), EPT_WB);
}

static void test_overlap(void **state)
{
	static const struct {
		enum ept_memtype a, b, result;
	} rules[] = {
	    {EPT_WB, EPT_WB, EPT_WB}, {EPT_WT, EPT_WB, EPT_WT}, {EPT_WB, EPT_WT, EPT_WT},
	    {EPT_UC, EPT_WB, EPT_UC}, {EPT_WC, EPT_UC, EPT_UC}, {EPT_WC, EPT_WB, EPT_UC},
	    {EPT_WC, EPT_WC, EPT_WC},
	};

	(void)state;
	set(DEF_TYPE, ON | 6);
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
		range(0, 0x40000000, 0x40000000, rules[i].a);
		range(7, 0x50000000, 0x01000000, rules[i].b);
		assert_int_equal(mtrr_type(&s, 0x50ffffff), rules[i].result);
		assert_int_equal(mtrr_type(&s, 0x51000000), rules[i].a);
		assert_int_equal(mtrr_type(&s, 0x3fffffff), EPT_WB);
	}
	set(0x20f, 0); /* not valid any more */
	assert_int_equal(mtrr_type(&s, 0x50ffffff), EPT_WC);
}

static void test_pc(void **state)
{
	(void)state;
	for (u64 hole = 2ull << 30; hole < 4ull << 30; hole += 64 << 20) {
		mtrr_reset(&s, 40);
		mtrr_setup_pc(&s, hole);
		assert_int_equal(value_of(DEF_TYPE), ON | 6);
		assert_int_equal(mtrr_type(&s, 0), EPT_WB);
		assert_int_equal(mtrr_type(&s, 0x9ffff), EPT_WB);
		assert_int_equal(mtrr_type(&s, 0xa0000), EPT_UC);
		assert_int_equal(mtrr_type(&s, 0xbffff), EPT_UC);
		assert_int_equal(mtrr_type(&s, 0xc0000), EPT_WB);
		assert_int_equal(mtrr_type(&s, hole - 1), EPT_WB);
		assert_int_equal(mtrr_type(&s, hole), EPT_UC);
		assert_int_equal(mtrr_type(&s, 0xffffffff), EPT_UC);
		assert_int_equal(mtrr_type(&s, 1ull << 32), EPT_WB);
		/* All of it a guest could have written itself. */
		for (u32 msr = 0x200; msr < 0x300; msr++) {
			if (is_mtrr(msr))
				set(msr, value_of(msr));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_numbers, setup), cmocka_unit_test_setup(test_reserved, setup),
	    cmocka_unit_test_setup(test_types, setup),   cmocka_unit_test_setup(test_overlap, setup),
	    cmocka_unit_test_setup(test_pc, setup),
	};

	return cmocka_run_group_tests_name("memtype", tests, NULL, NULL);
}
