/* SPDX-License-Identifier: Apache-2.0 */
/* M18, M19: what a VM entry injects and in which order; windows, shadows, double faults (SDM volume 3,
 * 6.9, 6.15, 25.8.3 and 27.3.1.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "vmx.h"
#include "x86.h"

static struct vmx_events events;
static int waiting; /* vector, or -1 */
static unsigned accepted;

static int peek(void *opaque)
{
	assert_ptr_equal(opaque, &waiting);
	return waiting;
}

static int accept(void *opaque, int peeked)
{
	assert_ptr_equal(opaque, &waiting);
	assert_int_equal(peeked, waiting);
	waiting = -1;
	accepted++;
	return peeked;
}

static const struct event_source source = {peek, accept, &waiting};

static int setup(void **state)
{
	(void)state;
	memset(&events, 0, sizeof(events));
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(fake_vmcs_reads, 0, sizeof(fake_vmcs_reads));
	memset(fake_vmcs_writes, 0, sizeof(fake_vmcs_writes));
	fake(GUEST_RFLAGS) = RFLAGS_FIXED1 | RFLAGS_IF;
	fake(GUEST_CR0) = CR0_PE;
	waiting = -1;
	accepted = 0;
	return 0;
}

#define ENTRY(type, vector) ((u32)(EVENT_VALID | (u64)(type) << 8 | (vector)))

/* As a VM entry does: the field is consumed, and what it held returned. */
static u32 enter(void)
{
	assert_true(event_prepare(&events, &source));
	assert_true(fake_writes(ENTRY_INTERRUPTION_INFO) <= 1);
	u32 info = (u32)fake(ENTRY_INTERRUPTION_INFO);
	fake(ENTRY_INTERRUPTION_INFO) = 0;
	fake_writes(ENTRY_INTERRUPTION_INFO) = 0;
	assert_int_equal(fake(PROC_CONTROLS), events.proc);
	return info;
}

static bool window(u64 bit)
{
	return events.proc & bit;
}

static void nothing_waits(void **state)
{
	(void)state;
	assert_false(event_pending(&events));
	assert_int_equal(enter(), 0);
	assert_int_equal(fake_writes(PROC_CONTROLS), 0);
	assert_int_equal(fake_reads(GUEST_RFLAGS), 0);
}

/* Exception, NMI, interrupt: one at a time, the rest through windows. */
static void order_of_events(void **state)
{
	(void)state;
	waiting = 0x31;
	event_raise_nmi(&events);
	event_raise(&events, VEC_GP, true, 0x18);
	assert_true(event_pending(&events));
	assert_int_equal(enter(), ENTRY(EVENT_HW_EXCEPTION, VEC_GP) | EVENT_HAS_CODE);
	assert_int_equal(fake(ENTRY_EXCEPTION_CODE), 0x18);
	assert_true(window(PROC_NMI_WINDOW) && window(PROC_INTERRUPT_WINDOW));
	event_close_nmi_window(&events);
	assert_false(window(PROC_NMI_WINDOW));
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
	assert_false(window(PROC_NMI_WINDOW));
	assert_true(window(PROC_INTERRUPT_WINDOW));
	assert_int_equal(accepted, 0);
	event_close_interrupt_window(&events);
	assert_int_equal(enter(), ENTRY(EVENT_EXTERNAL, 0x31));
	assert_int_equal(accepted, 1);
	assert_false(window(PROC_INTERRUPT_WINDOW));
	assert_int_equal(enter(), 0);
}

/* A timer that fires between the two prepares of one entry must not cost the interrupt that was accepted. */
static void nothing_overwrites_what_was_injected(void **state)
{
	(void)state;
	waiting = 0x31;
	assert_true(event_prepare(&events, &source));
	waiting = 0x41;
	event_raise_nmi(&events);
	assert_int_equal(enter(), ENTRY(EVENT_EXTERNAL, 0x31));
	assert_int_equal(accepted, 1);
	assert_true(window(PROC_NMI_WINDOW) && window(PROC_INTERRUPT_WINDOW));
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
	fake(GUEST_INTERRUPTIBILITY) = 0;
	assert_int_equal(enter(), ENTRY(EVENT_EXTERNAL, 0x41));
}

static void interrupted_delivery_comes_before_nmi(void **state)
{
	(void)state;
	waiting = 0x31;
	event_raise_nmi(&events);
	event_save_vectoring(&events, ENTRY(EVENT_EXTERNAL, 0x44) | EVENT_NMI_UNBLOCKING);
	assert_true(event_pending(&events));
	assert_int_equal(enter(), ENTRY(EVENT_EXTERNAL, 0x44)); /* bit 12 must be 0 at entry */
	assert_int_equal(accepted, 0);
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
}

static void vectoring_keeps_code_and_length(void **state)
{
	static const u8 software[] = {EVENT_SW_INTERRUPT, EVENT_PRIV_EXCEPTION, EVENT_SW_EXCEPTION};
	(void)state;
	fake(IDT_VECTORING_CODE) = 6;
	event_save_vectoring(&events, ENTRY(EVENT_HW_EXCEPTION, VEC_PF) | EVENT_HAS_CODE);
	assert_int_equal(enter(), ENTRY(EVENT_HW_EXCEPTION, VEC_PF) | EVENT_HAS_CODE);
	assert_int_equal(fake(ENTRY_EXCEPTION_CODE), 6);
	assert_int_equal(fake_writes(ENTRY_INSTRUCTION_LENGTH), 0);
	for (unsigned i = 0; i < 3; i++) {
		fake(EXIT_INSTRUCTION_LENGTH) = i + 1;
		event_save_vectoring(&events, ENTRY(software[i], 3));
		fake(EXIT_INSTRUCTION_LENGTH) = 0;
		assert_int_equal(enter(), ENTRY(software[i], 3));
		assert_int_equal(fake(ENTRY_INSTRUCTION_LENGTH), i + 1);
	}
	assert_int_equal(fake_writes(ENTRY_EXCEPTION_CODE), 1);
}

/* The delivery that was interrupted has blocked NMIs: injecting it again demands that it has not. */
static void nmi_again_clears_blocking(void **state)
{
	(void)state;
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	event_save_vectoring(&events, ENTRY(EVENT_NMI, VEC_NMI));
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), 0);
	/* Another event leaves it alone. */
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	event_save_vectoring(&events, ENTRY(EVENT_EXTERNAL, 0x40));
	assert_int_equal(enter(), ENTRY(EVENT_EXTERNAL, 0x40));
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
}

static void nmi_whose_delivery_faults_stays_blocked(void **state)
{
	(void)state;
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	event_save_vectoring(&events, ENTRY(EVENT_NMI, VEC_NMI));
	event_raise(&events, VEC_PF, true, 0);
	assert_int_equal(enter(), ENTRY(EVENT_HW_EXCEPTION, VEC_PF) | EVENT_HAS_CODE);
	assert_int_equal(fake(GUEST_INTERRUPTIBILITY), BLOCKED_BY_NMI);
	assert_int_equal(enter(), 0);
}

static void two_nmis_back_to_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		event_raise_nmi(&events);
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
	assert_true(window(PROC_NMI_WINDOW));
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI; /* delivered: in service */
	assert_false(event_pending(&events));
	assert_int_equal(enter(), 0);
	event_raise_nmi(&events); /* one waits already */
	fake(GUEST_INTERRUPTIBILITY) = 0;
	assert_true(event_pending(&events));
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
	assert_false(window(PROC_NMI_WINDOW));
	assert_int_equal(enter(), 0);
}

static void one_nmi_waits_while_one_is_in_service(void **state)
{
	(void)state;
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI;
	event_raise_nmi(&events);
	event_raise_nmi(&events);
	assert_int_equal(enter(), 0);
	fake(GUEST_INTERRUPTIBILITY) = 0;
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
	assert_int_equal(enter(), 0);
}

/* ---- shadows and windows ---- */
static void interrupt_waits_for_if_and_shadows(void **state)
{
	static const u32 shadows[] = {BLOCKED_BY_STI, BLOCKED_BY_MOV_SS};
	(void)state;
	waiting = 0x50;
	fake(GUEST_RFLAGS) = RFLAGS_FIXED1;
	assert_int_equal(enter(), 0);
	assert_true(window(PROC_INTERRUPT_WINDOW));
	fake(GUEST_RFLAGS) |= RFLAGS_IF;
	for (unsigned i = 0; i < 2; i++) {
		fake(GUEST_INTERRUPTIBILITY) = shadows[i];
		assert_int_equal(enter(), 0);
		assert_true(window(PROC_INTERRUPT_WINDOW));
	}
	assert_int_equal(accepted, 0);
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_NMI; /* does not concern interrupts */
	assert_int_equal(enter(), ENTRY(EVENT_EXTERNAL, 0x50));
	assert_false(window(PROC_INTERRUPT_WINDOW));
}

/* A processor may open the NMI window in the shadow of STI, where it does not take an NMI: that would
 * never end. */
static void nmi_in_the_shadow_of_sti(void **state)
{
	(void)state;
	event_raise_nmi(&events);
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_STI;
	assert_int_equal(enter(), 0);
	assert_true(window(PROC_INTERRUPT_WINDOW));
	assert_false(window(PROC_NMI_WINDOW));
	fake(GUEST_INTERRUPTIBILITY) = 0;
	assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
	assert_false(window(PROC_INTERRUPT_WINDOW));
}

static void nmi_in_the_shadow_of_mov_ss(void **state)
{
	(void)state;
	event_raise_nmi(&events);
	fake(GUEST_INTERRUPTIBILITY) = BLOCKED_BY_MOV_SS;
	assert_int_equal(enter(), 0);
	assert_true(window(PROC_NMI_WINDOW));
}

/* Injecting anything else at this entry would lose the trap (SDM volume 3, 27.7.3). */
static void debug_trap_goes_first(void **state)
{
	static const u64 pending[] = {PENDING_DEBUG_BS, PENDING_DEBUG_ENABLED | 1};
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		setup(NULL);
		waiting = 0x50;
		event_raise_nmi(&events);
		fake(GUEST_PENDING_DEBUG) = pending[i];
		assert_int_equal(enter(), 0);
		assert_true(window(PROC_NMI_WINDOW) && window(PROC_INTERRUPT_WINDOW));
		assert_int_equal(fake(GUEST_PENDING_DEBUG), pending[i]);
		fake(GUEST_PENDING_DEBUG) = 1; /* a breakpoint that is not enabled traps nothing */
		assert_int_equal(enter(), ENTRY(EVENT_NMI, VEC_NMI));
		fake(GUEST_PENDING_DEBUG) = pending[i];
		assert_int_equal(enter(), 0);
		fake(GUEST_PENDING_DEBUG) = 0;
		assert_int_equal(enter(), ENTRY(EVENT_EXTERNAL, 0x50));
	}
}

/* ---- exceptions ---- */
static void faults_set_rf_and_traps_do_not(void **state)
{
	(void)state;
	event_raise(&events, VEC_DB, false, 0);
	assert_int_equal(enter(), ENTRY(EVENT_HW_EXCEPTION, VEC_DB));
	assert_false(fake(GUEST_RFLAGS) & RFLAGS_RF);
	event_raise(&events, VEC_UD, false, 0);
	assert_int_equal(enter(), ENTRY(EVENT_HW_EXCEPTION, VEC_UD));
	assert_true(fake(GUEST_RFLAGS) & RFLAGS_RF);
}

/* VM entry fails with an error code in real mode (SDM volume 3, 27.2.1.3). */
static void real_mode_has_no_error_codes(void **state)
{
	(void)state;
	fake(GUEST_CR0) = CR0_ET;
	event_raise(&events, VEC_GP, true, 0);
	assert_int_equal(enter(), ENTRY(EVENT_HW_EXCEPTION, VEC_GP));
	assert_int_equal(fake_writes(ENTRY_EXCEPTION_CODE), 0);
}

/* SDM volume 3, tables 6-4 and 6-5, in words: what becomes of `second` while `first` is delivered. */
enum class { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum class class_of(unsigned vector) {
	switch (vector){
		case 0 : case 10 : case 11 : case 12 : case 13 : case 21 : return CONTRIBUTORY;
		case 14 : return PAGE_FAULT;
		case 8 : return DOUBLE_FAULT;
		default : return BENIGN;
	}
}

enum outcome { SERIAL, DOUBLE, SHUTDOWN };
static const enum outcome table_6_5[4][3] = {
    [BENIGN] = {SERIAL, SERIAL, SERIAL},
    [CONTRIBUTORY] = {SERIAL, DOUBLE, SERIAL},
    [PAGE_FAULT] = {SERIAL, DOUBLE, DOUBLE},
    [DOUBLE_FAULT] = {SERIAL, SHUTDOWN, SHUTDOWN},
};

static void check_pair(unsigned first, unsigned second, bool vectoring)
{
	bool code = VEC_HAS_ERROR_CODE & BIT(second);
	setup(NULL);
	if (vectoring)
		event_save_vectoring(&events, ENTRY(EVENT_HW_EXCEPTION, first));
	else
		event_raise(&events, first, false, 0);
	event_raise(&events, second, code, 0x77);
	enum outcome want = table_6_5[class_of(first)][class_of(second)];
	if (want == SHUTDOWN) {
		assert_true(event_pending(&events));
		assert_false(event_prepare(&events, &source));
		return;
	}
	u32 info = enter();
	if (want == DOUBLE) {
		assert_int_equal(info, ENTRY(EVENT_HW_EXCEPTION, VEC_DF) | EVENT_HAS_CODE);
		assert_int_equal(fake(ENTRY_EXCEPTION_CODE), 0);
	} else {
		assert_int_equal(info, ENTRY(EVENT_HW_EXCEPTION, second) | (code ? EVENT_HAS_CODE : 0));
		if (code)
			assert_int_equal(fake(ENTRY_EXCEPTION_CODE), 0x77);
	}
	assert_int_equal(enter(), 0);
}

static void double_fault_matrix(void **state)
{
	(void)state;
	for (unsigned first = 0; first <= VEC_CP; first++)
		for (unsigned second = 0; second <= VEC_CP; second++)
			if (first != VEC_NMI && second != VEC_NMI && second != VEC_DF) {
				check_pair(first, second, false);
				check_pair(first, second, true);
			}
}

/* INT n and interrupts are benign, whatever their vector. */
static void other_deliveries_make_no_double_fault(void **state)
{
	static const u8 types[] = {EVENT_EXTERNAL, EVENT_NMI, EVENT_SW_INTERRUPT, EVENT_PRIV_EXCEPTION,
				   EVENT_SW_EXCEPTION};
	(void)state;
	for (unsigned i = 0; i < sizeof(types); i++) {
		setup(NULL);
		event_save_vectoring(&events, ENTRY(types[i], VEC_GP));
		event_raise(&events, VEC_PF, true, 2);
		assert_int_equal(enter(), ENTRY(EVENT_HW_EXCEPTION, VEC_PF) | EVENT_HAS_CODE);
		assert_int_equal(enter(), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(nothing_waits, setup),
	    cmocka_unit_test_setup(order_of_events, setup),
	    cmocka_unit_test_setup(nothing_overwrites_what_was_injected, setup),
	    cmocka_unit_test_setup(interrupted_delivery_comes_before_nmi, setup),
	    cmocka_unit_test_setup(vectoring_keeps_code_and_length, setup),
	    cmocka_unit_test_setup(nmi_again_clears_blocking, setup),
	    cmocka_unit_test_setup(nmi_whose_delivery_faults_stays_blocked, setup),
	    cmocka_unit_test_setup(two_nmis_back_to_back, setup),
	    cmocka_unit_test_setup(one_nmi_waits_while_one_is_in_service, setup),
	    cmocka_unit_test_setup(interrupt_waits_for_if_and_shadows, setup),
	    cmocka_unit_test_setup(nmi_in_the_shadow_of_sti, setup),
	    cmocka_unit_test_setup(nmi_in_the_shadow_of_mov_ss, setup),
	    cmocka_unit_test_setup(debug_trap_goes_first, setup),
	    cmocka_unit_test_setup(faults_set_rf_and_traps_do_not, setup),
	    cmocka_unit_test_setup(real_mode_has_no_error_codes, setup),
	    cmocka_unit_test_setup(double_fault_matrix, setup),
	    cmocka_unit_test_setup(other_deliveries_make_no_double_fault, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
