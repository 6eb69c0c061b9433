/* SPDX-License-Identifier: Apache-2.0 */
/* M18: exceptions taken from the guest and given back, debug traps, the blocking of NMIs (SDM volume 3,
 * 28.1, 28.2.2, 28.2.4). */
#include "vcpu_board.h"

#define INFO(type, vector) ((u32)(EVENT_VALID | (u64)(type) << 8 | (vector)))
#define FAULT(vector) INFO(EVENT_HW_EXCEPTION, vector)

static void take(u32 info, u32 code)
{
	fake(EXIT_INTERRUPTION_INFO) = info;
	fake(EXIT_INTERRUPTION_CODE) = code;
	exit_exception(&board_vcpu);
	assert_true(board_vcpu.attention & VCPU_REQ_EVENT);
}

static const struct vmx_events *events = &board_vcpu.events;

static void goes_back_as_it_was(void **state)
{
	(void)state;
	take(FAULT(VEC_AC) | EVENT_HAS_CODE, 0);
	assert_int_equal(events->vectoring_info, FAULT(VEC_AC) | EVENT_HAS_CODE);
	assert_int_equal(events->vectoring_code, 0);
	assert_int_equal(fake(GUEST_RIP), 0x100);
	board_clear();
	fake(EXIT_INSTRUCTION_LENGTH) = 1;
	take(INFO(EVENT_PRIV_EXCEPTION, VEC_DB), 0); /* INT1 */
	assert_int_equal(events->vectoring_info, INFO(EVENT_PRIV_EXCEPTION, VEC_DB));
	assert_int_equal(events->vectoring_length, 1);
	assert_int_equal(fake_registers.dr6, 0); /* has no cause */
}

/* During the delivery of another: SDM volume 3, 6.15. */
static void double_fault(void **state)
{
	(void)state;
	event_save_vectoring(&board_vcpu.events, FAULT(VEC_GP));
	take(FAULT(VEC_AC) | EVENT_HAS_CODE, 0); /* benign: it replaces the first */
	board_expect_fault(VEC_AC, 0);
	assert_int_equal(events->vectoring_info, 0);
	board_clear();
	event_save_vectoring(&board_vcpu.events, FAULT(VEC_GP));
	take(FAULT(VEC_NP) | EVENT_HAS_CODE, 0x10);
	board_expect_fault(VEC_DF, 0);
}

/* An exit in the middle of a delivery: the handler itself keeps the event (SDM volume 3, 28.2.4). */
static void interrupted_delivery_is_kept(void **state)
{
	(void)state;
	fake(IDT_VECTORING_INFO) = INFO(EVENT_EXTERNAL, 0x30);
	vcpu_save_vectoring(&board_vcpu);
	assert_int_equal(events->vectoring_info, INFO(EVENT_EXTERNAL, 0x30));
	assert_true(board_vcpu.attention & VCPU_REQ_EVENT);
	board_clear();
	fake(IDT_VECTORING_INFO) = FAULT(VEC_GP) | EVENT_HAS_CODE;
	take(FAULT(VEC_NP) | EVENT_HAS_CODE, 0x10);
	board_expect_fault(VEC_DF, 0);
}

static u32 saved_vectoring(void)
{
	u32 info;
	vcpu_save_vectoring(&board_vcpu);
	info = events->vectoring_info;
	board_vcpu.events.vectoring_info = 0;
	return info;
}

/* Bochs reports the delivery before this one, where it delivered a virtual interrupt itself. */
static void stale_vectoring_is_repaired(void **state)
{
	(void)state;
	fake(IDT_VECTORING_INFO) = FAULT(VEC_PF);
	fake(GUEST_RFLAGS) |= RFLAGS_IF;
	board_isr = 0xec;
	board_vcpu.lapic.hw_vid = true;
	assert_int_equal(saved_vectoring(), FAULT(VEC_PF)); /* a processor is believed */
	board_caps.vid_errata = true;
	assert_int_equal(saved_vectoring(), INFO(EVENT_EXTERNAL, 0xec));
	fake(GUEST_RFLAGS) &= ~(u64)RFLAGS_IF; /* the handler runs, this is an exception of its own */
	assert_int_equal(saved_vectoring(), FAULT(VEC_PF));
	fake(GUEST_RFLAGS) |= RFLAGS_IF;
	board_isr = -1;
	assert_int_equal(saved_vectoring(), FAULT(VEC_PF));
	board_isr = 0xec;
	board_vcpu.lapic.hw_vid = false;
	assert_int_equal(saved_vectoring(), FAULT(VEC_PF));
	fake(IDT_VECTORING_INFO) = 0;
	board_vcpu.lapic.hw_vid = true;
	assert_int_equal(saved_vectoring(), 0);
}

static void debug_exception(void **state)
{
	(void)state;
	fake_registers.dr6 = DR6_INIT | DR6_B3 | DR6_BT;
	fake(EXIT_QUALIFICATION) = DR6_B0 | DR6_BS | BIT(12);
	fake(GUEST_DR7) = DR7_INIT | DR7_GD | 2;
	fake(GUEST_DEBUGCTL) = DEBUGCTL_BTF | DEBUGCTL_LBR | BIT(6);
	take(FAULT(VEC_DB), 0);
	/* B0 to B3 anew, the others stay until software clears them. */
	assert_int_equal(fake_registers.dr6, DR6_INIT | DR6_B0 | DR6_BS | DR6_BT);
	assert_int_equal(fake(GUEST_DR7), DR7_INIT | 2);
	assert_int_equal(fake(GUEST_DEBUGCTL), BIT(6));
	assert_int_equal(events->vectoring_info, FAULT(VEC_DB));
}

/* With TF set and a shadow, VM entry wants a pending single-step trap, which a #DB does not leave. */
static void shadows_end(void **state)
{
	(void)state;
	fake(GUEST_RFLAGS) |= RFLAGS_TF;
	for (u32 shadow = 1; shadow <= 3; shadow++) {
		fake(GUEST_INTERRUPTIBILITY) = shadow | BLOCKED_BY_NMI;
		take(FAULT(VEC_DB), 0);
		assert_int_equal(fake(GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	}
}

static void iret_that_faults_blocks_nmis_again(void **state)
{
	(void)state;
	take(FAULT(VEC_AC) | EVENT_HAS_CODE | EVENT_NMI_UNBLOCKING, 0);
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	assert_int_equal(events->vectoring_info, FAULT(VEC_AC) | EVENT_HAS_CODE); /* without bit 12 */
	/* The bit means nothing in a delivery, nor with a double fault. */
	board_clear();
	fake(GUEST_INTERRUPTIBILITY) = 0;
	event_save_vectoring(&board_vcpu.events, FAULT(VEC_UD));
	take(FAULT(VEC_AC) | EVENT_HAS_CODE | EVENT_NMI_UNBLOCKING, 0);
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), 0);
	board_clear();
	take(FAULT(VEC_DF) | EVENT_HAS_CODE | EVENT_NMI_UNBLOCKING, 0);
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), 0);
}

static void page_fault_sets_cr2(void **state)
{
	(void)state;
	vcpu_raise_page_fault(&board_vcpu, 0xffff800012345678, PF_W | PF_P);
	assert_true(fake_registers.cr2 == 0xffff800012345678);
	board_expect_fault(VEC_PF, PF_W | PF_P);
}

/* ---- vcpu_skip() ---- */
static void skip_reads_each_field_once(void **state)
{
	(void)state;
	vcpu_skip();
	board_expect_single_reads();
	assert_int_equal(fake(GUEST_RIP), 0x102);
	assert_int_equal(fake_writes(GUEST_RFLAGS) + fake_writes(GUEST_INTERRUPTIBILITY), 0);
}

static void eip_wraps_except_in_64_bit_mode(void **state)
{
	(void)state;
	fake(GUEST_RIP) = 0xffffffff;
	vcpu_skip();
	assert_int_equal(fake(GUEST_RIP), 1);
	fake(GUEST_EFER) = EFER_LMA | EFER_LME;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xa09b;
	fake(GUEST_RIP) = 0xffffffff;
	vcpu_skip();
	assert_int_equal(fake(GUEST_RIP), 0x100000001);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(goes_back_as_it_was),
	    T(double_fault),
	    T(interrupted_delivery_is_kept),
	    T(stale_vectoring_is_repaired),
	    T(debug_exception),
	    T(shadows_end),
	    T(iret_that_faults_blocks_nmis_again),
	    T(page_fault_sets_cr2),
	    T(skip_reads_each_field_once),
	    T(eip_wraps_except_in_64_bit_mode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
