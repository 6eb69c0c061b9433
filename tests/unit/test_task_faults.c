/* SPDX-License-Identifier: Apache-2.0 */
/* M4, M18: faults of hardware task switches, before and after the old task is left (SDM volume 3, 8.3 and
 * table 8-1). */
#include "task_board.h"

/* ---- faults before the old task is left: nothing has changed ---- */
static void early_faults(void **state)
{
	static const struct {
		u8 source, type, limit, vector;
	} rows[] = {
	    {CALL, TSS_BUSY, 0x67, VEC_GP},  {JMP, TSS16_BUSY, 0x67, VEC_GP},
	    {GATE, 0x9b, 0x67, VEC_GP},      {CALL, 0x82, 0x67, VEC_GP},
	    {IRET, TSS_AVAIL, 0x67, VEC_TS}, {IRET, 0x93, 0x67, VEC_TS},
	    {CALL, 0x09, 0x67, VEC_NP},      {IRET, 0x0b, 0x67, VEC_NP},
	    {JMP, TSS_AVAIL, 0x66, VEC_TS},  {CALL, TSS16_AVAIL, 0x2a, VEC_TS},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		put_descriptor(SEL_NEW, NEW_TSS, rows[i].limit, rows[i].type, 0);
		run(rows[i].source, 0);
		board_expect_fault(rows[i].vector, SEL_NEW);
		assert_int_equal(fake(GUEST_RIP), 0x100);
		assert_int_equal(type_of(SEL_NEW), rows[i].type);
		assert_int_equal(type_of(SEL_OLD), TSS_BUSY);
		assert_int_equal(board_get(OLD_TSS + TSS_EIP, 4), 0);
		assert_int_equal(fake(GUEST_TR_SELECTOR), SEL_OLD);
		board_teardown(state);
		setup(state);
	}
	fake(GUEST_GDTR_LIMIT) = SEL_NEW + 6;
	run(CALL, 0);
	board_expect_fault(VEC_GP, SEL_NEW);
}

static void old_tss_too_small(void **state)
{
	(void)state;
	fake(GUEST_TR_LIMIT) = 0x5e;
	run(CALL, 0);
	board_expect_fault(VEC_TS, SEL_NEW);
	assert_int_equal(board_get(OLD_TSS + TSS_EIP, 4), 0);
}

/* A fault in the delivery of a contributory exception is a double fault, and "external". */
static void fault_in_a_delivery(void **state)
{
	(void)state;
	put_descriptor(SEL_NEW, NEW_TSS, 0x67, 0x09, 0);
	run(GATE, EVENT(EVENT_EXTERNAL, 0x40));
	board_expect_fault(VEC_NP, SEL_NEW | 1);
	board_clear();
	run(GATE, EVENT(EVENT_SW_INTERRUPT, 0x40));
	board_expect_fault(VEC_NP, SEL_NEW);
	board_clear();
	run(GATE, EVENT(EVENT_HW_EXCEPTION, VEC_GP) | EVENT_HAS_CODE);
	board_expect_fault(VEC_DF, 0);
	assert_int_equal(board_vcpu.events.vectoring_info, 0);
}

/* ---- faults in the new task: it is there, the fault is its own ---- */
static void late_faults(void **state)
{
	static const struct {
		u8 at, vector;
		u16 selector, code;
		u8 changed, type; /* descriptor with another type byte */
	} rows[] = {
	    {TSS_LDT, VEC_TS, SEL_DATA, SEL_DATA, 0, 0},             /* no LDT */
	    {TSS_LDT, VEC_TS, SEL_LDT | 4, SEL_LDT | 4, 0, 0},       /* of an LDT */
	    {TSS_LDT, VEC_TS, SEL_LDT, SEL_LDT, SEL_LDT, 0x02},      /* not present */
	    {TSS_LDT, VEC_TS, SEL_BEYOND, SEL_BEYOND, 0, 0},         /* beyond the GDT */
	    {TSS_CS, VEC_TS, 0, 0, 0, 0},                            /* null */
	    {TSS_CS, VEC_TS, SEL_DATA, SEL_DATA, 0, 0},              /* no code */
	    {TSS_CS, VEC_TS, SEL_CODE3, SEL_CODE3, 0, 0},            /* RPL is not DPL */
	    {TSS_CS, VEC_TS, SEL_CODE3, SEL_CODE3, SEL_CODE3, 0xff}, /* conforming: DPL above RPL */
	    {TSS_CS, VEC_NP, SEL_CODE16, SEL_CODE16, SEL_CODE16, 0x1b},
	    {TSS_CS, VEC_TS, 0x0c, 0x0c, 0, 0}, /* there is no LDT */
	    {TSS_SS, VEC_TS, 0, 0, 0, 0},
	    {TSS_SS, VEC_TS, SEL_CODE, SEL_CODE, 0, 0},
	    {TSS_SS, VEC_TS, SEL_DATA | 1, SEL_DATA, 0, 0},
	    {TSS_SS, VEC_TS, SEL_DATA3, SEL_DATA3, 0, 0},
	    {TSS_SS, VEC_TS, SEL_DATA16, SEL_DATA16, SEL_DATA16, 0x91}, /* read-only */
	    {TSS_SS, VEC_SS, SEL_DATA16, SEL_DATA16, SEL_DATA16, 0x13},
	    {TSS_DS, VEC_TS, SEL_CODE16, SEL_CODE16, SEL_CODE16, 0x99}, /* execute-only */
	    {TSS_DS, VEC_TS, SEL_DATA | 3, SEL_DATA, 0, 0},             /* RPL above DPL */
	    {TSS_FS, VEC_NP, SEL_DATA16, SEL_DATA16, SEL_DATA16, 0x13},
	    {TSS_GS, VEC_TS, SEL_OLD, SEL_OLD, 0, 0}, /* a system segment */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].changed)
			put_descriptor(rows[i].changed, 0, 0xff, rows[i].type, 0);
		put32(NEW_TSS + rows[i].at, rows[i].selector);
		fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_MOV_SS;
		run(CALL, 0);
		board_expect_fault(rows[i].vector, rows[i].code);
		assert_int_equal(fake(GUEST_RIP), 0x5000);
		assert_int_equal(fake(GUEST_TR_SELECTOR), SEL_NEW);
		assert_int_equal(fake(GUEST_INTERRUPTIBILITY), 0); /* or VM entry could fail */
		assert_int_equal(fake(GUEST_CS_ACCESS_RIGHTS) & (SEG_UNUSABLE | 0x98), 0x98);
		board_teardown(state);
		setup(state);
	}
}

static void no_room_for_the_code(void **state)
{
	(void)state;
	put_descriptor(SEL_DATA16, 0x10000, STACK - 2, 0x93, 0x4);
	put32(NEW_TSS + TSS_SS, SEL_DATA16);
	run(GATE, EVENT(EVENT_HW_EXCEPTION, VEC_PF) | EVENT_HAS_CODE);
	board_expect_fault(VEC_DF, 0); /* #SS in the delivery of a #PF */
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(early_faults), T(old_tss_too_small),    T(fault_in_a_delivery),
	    T(late_faults),  T(no_room_for_the_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
