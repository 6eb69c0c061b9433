/* SPDX-License-Identifier: Apache-2.0 */
/* M4, M18: hardware task switches as SDM volume 3, chapter 8 has them: what is saved, loaded and marked. */
#include "task_board.h"

static void expect_new_task(void)
{
	board_expect_no_fault();
	assert_int_equal(fake(GUEST_RIP), 0x5000);
	assert_int_equal(fake(GUEST_TR_SELECTOR), SEL_NEW);
	assert_int_equal(fake(GUEST_TR_BASE), NEW_TSS);
	assert_int_equal(fake(GUEST_TR_ACCESS_RIGHTS), TSS_BUSY);
	assert_int_equal(type_of(SEL_NEW), TSS_BUSY);
	for (unsigned i = 0; i < 8; i++)
		if (i != REG_RSP)
			assert_int_equal(board_regs[i], 0x20000000 + i);
	assert_int_equal(fake(GUEST_CS_SELECTOR), SEL_CODE);
	assert_int_equal(fake(GUEST_CS_ACCESS_RIGHTS), 0xc09b);
	assert_int_equal(fake(GUEST_CS_LIMIT), 0xffffffff);
	assert_int_equal(fake(GUEST_SS_ACCESS_RIGHTS), 0xc093);
	assert_int_equal(fake(GUEST_GS_SELECTOR), SEL_DATA);
	assert_true(fake(GUEST_CR0) & CR0_TS);
	assert_int_equal(fake(GUEST_DR7), 0x7ff & ~0x155);
}

static void expect_old_task_saved(u32 eip, u32 eflags)
{
	assert_int_equal(board_get(OLD_TSS + TSS_EIP, 4), eip);
	assert_int_equal(board_get(OLD_TSS + TSS_EFLAGS, 4), eflags);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(board_get(OLD_TSS + TSS_EAX + 4 * i, 4),
				 i == REG_RSP ? 0x7000 : 0x10000000 + i);
	assert_int_equal(board_get(OLD_TSS + TSS_CS, 4), SEL_CODE);
	assert_int_equal(board_get(OLD_TSS + TSS_FS, 4), 0);
	assert_int_equal(board_get(OLD_TSS + TSS_GS, 4), SEL_DATA);
}

static void call_nests(void **state)
{
	(void)state;
	run(CALL, 0);
	expect_new_task();
	expect_old_task_saved(0x102, 3);
	assert_int_equal(fake(GUEST_RSP), STACK);
	assert_int_equal(fake(GUEST_RFLAGS), 0x202 | RFLAGS_NT);
	assert_int_equal(board_get(NEW_TSS + TSS_LINK, 2), SEL_OLD);
	assert_int_equal(type_of(SEL_OLD), TSS_BUSY);
	assert_int_equal(board_invvpids, 0); /* no paging: CR3 is not loaded */
}

static void jmp_replaces(void **state)
{
	(void)state;
	put16(NEW_TSS + TSS_LINK, 0x1234);
	run(JMP, 0);
	expect_new_task();
	expect_old_task_saved(0x102, 3);
	assert_int_equal(fake(GUEST_RFLAGS), 0x202);
	assert_int_equal(board_get(NEW_TSS + TSS_LINK, 2), 0x1234);
	assert_int_equal(type_of(SEL_OLD), TSS_AVAIL);
}

static void iret_returns(void **state)
{
	(void)state;
	put_descriptor(SEL_NEW, NEW_TSS, 0x67, TSS_BUSY, 0);
	fake(GUEST_RFLAGS) |= RFLAGS_NT;
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	run(IRET, 0);
	expect_new_task();
	expect_old_task_saved(0x102, 3); /* NT is clear */
	assert_int_equal(fake(GUEST_RFLAGS), 0x202);
	assert_int_equal(type_of(SEL_OLD), TSS_AVAIL);
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), 0);
}

static void exception_pushes_its_code(void **state)
{
	(void)state;
	fake(IDT_VECTORING_CODE) = 0xabcd;
	put32(STACK - 4, 0xffffffff);
	run(GATE, EVENT(EVENT_HW_EXCEPTION, VEC_GP) | EVENT_HAS_CODE);
	expect_new_task();
	expect_old_task_saved(0x100, 3);
	assert_int_equal(fake(GUEST_RSP), STACK - 4);
	assert_int_equal(board_get(STACK - 4, 4), 0xabcd);
	assert_int_equal(fake(GUEST_RFLAGS), 0x202 | RFLAGS_NT);
	assert_int_equal(board_vcpu.events.vectoring_info, 0); /* delivered */
}

static void software_interrupt_resumes_behind_itself(void **state)
{
	(void)state;
	fake(EXIT_INSTRUCTION_LENGTH) = 3;
	run(GATE, EVENT(EVENT_SW_INTERRUPT, 0x80));
	expect_new_task();
	expect_old_task_saved(0x103, 3);
	assert_int_equal(fake(GUEST_RSP), STACK);
	assert_int_equal(board_vcpu.events.vectoring_info, 0);
}

static void interrupt_and_nmi(void **state)
{
	(void)state;
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_STI;
	run(GATE, EVENT(EVENT_EXTERNAL, 0x40));
	expect_new_task();
	expect_old_task_saved(0x100, 3);
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), 0);
	board_teardown(state);
	setup(state);
	run(GATE, EVENT(EVENT_NMI, VEC_NMI));
	expect_new_task();
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
}

static void trap_bit(void **state)
{
	(void)state;
	put16(NEW_TSS + TSS_T, 1);
	run(JMP, 0);
	board_expect_fault(VEC_DB, 0);
	assert_int_equal(EVENT_TYPE(board_vcpu.events.exception_info), EVENT_HW_EXCEPTION);
	assert_true(fake_registers.dr6 & DR6_BT);
	assert_int_equal(fake(GUEST_RIP), 0x5000);
}

static void task_of_16_bits(void **state)
{
	(void)state;
	new_task16();
	fake(IDT_VECTORING_CODE) = 0xabcd;
	put32(0x10000 + STACK - 4, 0xffffffff);
	run(GATE, EVENT(EVENT_HW_EXCEPTION, VEC_GP) | EVENT_HAS_CODE);
	board_expect_no_fault();
	expect_old_task_saved(0x100, 3);
	assert_int_equal(fake(GUEST_RIP), 0x5000);
	assert_int_equal(board_regs[REG_RDI], 0x2007);
	assert_int_equal(fake(GUEST_TR_ACCESS_RIGHTS), TSS16_BUSY);
	assert_int_equal(fake(GUEST_CS_BASE), 0x10000);
	assert_int_equal(fake(GUEST_CS_LIMIT), 0xffff);
	assert_true(fake(GUEST_FS_ACCESS_RIGHTS) & SEG_UNUSABLE);
	assert_true(fake(GUEST_GS_ACCESS_RIGHTS) & SEG_UNUSABLE);
	assert_int_equal(fake(GUEST_RSP), STACK - 2);
	assert_int_equal(board_get(0x10000 + STACK - 4, 4), 0xabcdffff);
}

static void from_a_task_of_16_bits(void **state)
{
	(void)state;
	old_task(TSS16_BUSY);
	put_descriptor(SEL_OLD, OLD_TSS, 0x2b, TSS16_BUSY, 0);
	put16(OLD_TSS + 42, 0x7777); /* the LDT selector is not saved */
	run(JMP, 0);
	expect_new_task();
	assert_int_equal(board_get(OLD_TSS + 14, 2), 0x102);
	assert_int_equal(board_get(OLD_TSS + 18, 2), 0);
	assert_int_equal(board_get(OLD_TSS + 26, 2), 0x7000);
	assert_int_equal(board_get(OLD_TSS + 32, 2), 7);
	assert_int_equal(board_get(OLD_TSS + 36, 2), SEL_CODE);
	assert_int_equal(board_get(OLD_TSS + 42, 2), 0x7777);
	assert_int_equal(type_of(SEL_OLD), TSS16_AVAIL);
}

static void to_virtual_8086_mode(void **state)
{
	(void)state;
	put32(NEW_TSS + TSS_EFLAGS, 0x202 | (u32)RFLAGS_VM);
	put32(NEW_TSS + TSS_CS, 0x1234);
	run(CALL, 0);
	board_expect_no_fault();
	assert_int_equal(fake(GUEST_CS_BASE), 0x12340);
	assert_int_equal(fake(GUEST_CS_LIMIT), 0xffff);
	assert_int_equal(fake(GUEST_CS_ACCESS_RIGHTS), 0xf3);
	assert_int_equal(fake(GUEST_SS_ACCESS_RIGHTS), 0xf3);
	assert_true(fake(GUEST_RFLAGS) & RFLAGS_VM);
}

static void segments_of_the_ldt(void **state)
{
	u64 d = descriptor(0x8000, 0xfff, 0x92, 0x4);
	(void)state;
	board_put(LDT + 8, &d, 8);
	put32(NEW_TSS + TSS_LDT, SEL_LDT);
	put32(NEW_TSS + TSS_DS, 0xc);
	run(JMP, 0);
	board_expect_no_fault();
	assert_int_equal(fake(GUEST_LDTR_SELECTOR), SEL_LDT);
	assert_int_equal(fake(GUEST_LDTR_BASE), LDT);
	assert_int_equal(fake(GUEST_LDTR_ACCESS_RIGHTS), 0x82);
	assert_int_equal(fake(GUEST_DS_BASE), 0x8000);
	assert_int_equal(fake(GUEST_DS_LIMIT), 0xfff);
	assert_int_equal(fake(GUEST_DS_ACCESS_RIGHTS), 0x4093); /* accessed, */
	assert_int_equal(board_get(LDT + 13, 1), 0x93);         /* in memory too */
}

static void to_ring_3(void **state)
{
	(void)state;
	put32(NEW_TSS + TSS_CS, SEL_CODE3 | 3);
	put32(NEW_TSS + TSS_SS, SEL_DATA3 | 3);
	for (u32 at = TSS_DS; at <= TSS_GS; at += 4)
		put32(NEW_TSS + at, SEL_DATA3 | 3);
	put32(NEW_TSS + TSS_ES, 3); /* null */
	run(JMP, 0);
	board_expect_no_fault();
	assert_int_equal(vcpu_cpl(), 3);
	assert_true(fake(GUEST_ES_ACCESS_RIGHTS) & SEG_UNUSABLE);
}

/* ---- paging ---- */
#define TABLES 0x8000u /* a directory, and a table behind it that maps the first 256 KiB onto itself */

static void paging_on(u32 directory)
{
	put32(directory, (directory + 0x1000) | 3);
	for (u32 i = 0; i < 64; i++)
		put32(directory + 0x1000 + 4 * i, i << 12 | 3);
	fake(GUEST_CR0) |= CR0_PG | CR0_WP;
	fake(GUEST_CR3) = directory;
}

static void cr3_is_loaded(void **state)
{
	(void)state;
	paging_on(0xa000);
	paging_on(TABLES);
	put32(NEW_TSS + TSS_CR3, 0xa000);
	run(CALL, 0);
	expect_new_task();
	assert_int_equal(fake(GUEST_CR3), 0xa000);
	assert_int_equal(board_invvpids, 1);
	assert_true(board_get(0xb000 + 4, 1) & 0x20); /* the GDT was read through the new tables */
}

static void page_fault_leaves_the_old_task_whole(void **state)
{
	(void)state;
	paging_on(TABLES);
	put32(TABLES + 0x1000 + 4 * (NEW_TSS >> 12), NEW_TSS); /* not present */
	run(CALL, 0);
	board_expect_fault(VEC_PF, 0);
	assert_int_equal(fake_registers.cr2, NEW_TSS);
	assert_int_equal(fake(GUEST_RIP), 0x100);
	assert_int_equal(board_get(OLD_TSS + TSS_EIP, 4), 0);
	assert_int_equal(type_of(SEL_NEW), TSS_AVAIL);
	/* Readable is not enough where the back link is written. */
	put32(TABLES + 0x1000 + 4 * (NEW_TSS >> 12), NEW_TSS | 1);
	board_clear();
	run(CALL, 0);
	board_expect_fault(VEC_PF, PF_P | PF_W);
	assert_int_equal(board_get(OLD_TSS + TSS_EIP, 4), 0);
	board_clear();
	put32(NEW_TSS + TSS_CR3, TABLES);
	run(JMP, 0);
	expect_new_task();
}

/* A TSS across two pages that are not neighbours in physical memory. */
static void tss_across_pages(void **state)
{
	(void)state;
	paging_on(TABLES);
	put_descriptor(SEL_NEW, 0x20fd8, 0x67, TSS_AVAIL, 0);
	put32(TABLES + 0x1000 + 4 * 0x20, 0x30000 | 3);
	put32(TABLES + 0x1000 + 4 * 0x21, 0x2f000 | 3);
	u8 tss[104];
	assert_int_equal(gmem_read(&board_guest.mem, NEW_TSS, tss, sizeof(tss)), 0);
	memcpy(tss + TSS_CR3, &(u32){TABLES}, 4);
	board_put(0x30fd8, tss, 0x28);
	board_put(0x2f000, tss + 0x28, sizeof(tss) - 0x28);
	run(CALL, 0);
	board_expect_no_fault();
	assert_int_equal(fake(GUEST_RIP), 0x5000);
	assert_int_equal(board_regs[REG_RDI], 0x20000007);
	assert_int_equal(board_get(0x30fd8, 2), SEL_OLD);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(call_nests),
	    T(jmp_replaces),
	    T(iret_returns),
	    T(exception_pushes_its_code),
	    T(software_interrupt_resumes_behind_itself),
	    T(interrupt_and_nmi),
	    T(trap_bit),
	    T(task_of_16_bits),
	    T(from_a_task_of_16_bits),
	    T(to_virtual_8086_mode),
	    T(segments_of_the_ldt),
	    T(to_ring_3),
	    T(cr3_is_loaded),
	    T(page_fault_leaves_the_old_task_whole),
	    T(tss_across_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
