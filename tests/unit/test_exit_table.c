/* SPDX-License-Identifier: Apache-2.0 */
/* M4: every basic exit reason of the SDM (volume 3, appendix C) has a name and a handler; the short
 * handlers and the refusals do what they say. */
#include "vcpu_board.h"

#include "shim.h"
#include "vcpu/apicv.h"
#include "x86_ops.h"

/* The handlers with files of their own have tests of their own: never called here. */
#define ELSEWHERE(name)                                                                                      \
	void name(struct vcpu *v)                                                                            \
	{                                                                                                    \
		fail_msg("%s(%p)", __func__, (void *)v);                                                     \
	}
ELSEWHERE(exit_rdmsr)
ELSEWHERE(exit_wrmsr)
ELSEWHERE(exit_io)
ELSEWHERE(exit_ept_violation)
ELSEWHERE(exit_ept_misconfig)
ELSEWHERE(exit_apic_access)
ELSEWHERE(exit_apic_write)
ELSEWHERE(exit_virtualized_eoi)
ELSEWHERE(exit_tpr_below_threshold)
ELSEWHERE(exit_task_switch)

static bool interrupt_waits, looked_for_tasks;
static unsigned yields;

void vcpu_yield(struct vcpu *v)
{
	assert_ptr_equal(v, &board_vcpu);
	yields++;
}

static int dispatched, hypercall_opaque;
static struct sched_cpu sched;
static struct cpu cpu = {.sched = &sched};

bool apicv_interrupt_waiting(const struct vcpu *v)
{
	assert_ptr_equal(v, &board_vcpu);
	return interrupt_waits;
}

static struct sched_group own, other;
static struct sched_group *interrupt_for; /* NULL: nobody asks who pays */
static unsigned polls;

void irq_dispatch(u8 vector)
{
	dispatched = vector;
	looked_for_tasks = false;
	if (interrupt_for)
		sched_charge(interrupt_for, 70);
}

/* A timer of another VM. */
static void fire(void *opaque)
{
	(void)opaque;
	shim_tsc += 70;
}

void lapic_timer_poll(struct lapic *l, u64 now)
{
	(void)now;
	assert_ptr_equal(l, &board_vcpu.lapic);
	polls++;
}

void task_linger(void)
{
}

void sched_resched_now(void)
{
	looked_for_tasks = true;
}

static u64 hypercall(void *opaque, struct vcpu *v, u64 number)
{
	assert_ptr_equal(opaque, &hypercall_opaque);
	assert_ptr_equal(v, &board_vcpu);
	return number + 1;
}

static int setup(void **state)
{
	board_setup(state);
	fake_cpu = &cpu;
	looked_for_tasks = false;
	board_guest.config.hypercall = hypercall;
	board_guest.config.opaque = &hypercall_opaque;
	board_guest.config.hypervisor_cpuid = true;
	dispatched = -1;
	interrupt_for = NULL;
	polls = 0;
	memset(&sched, 0, sizeof(sched));
	list_init(&sched.near);
	sched.far_from = sched.slice_end = ~(u64)0;
	sched_group_init(&own);
	sched_group_init(&other);
	board_vcpu.task.group = &own;
	sched.current = &board_vcpu.task;
	interrupt_waits = false;
	return 0;
}

static void run(unsigned reason)
{
	board_clear();
	fake(GUEST_RIP) = 0x100;
	fake(EXIT_REASON) = reason;
	exit_table[reason].handler(&board_vcpu);
}

static void every_reason_has_a_row(void **state)
{
	(void)state;
	assert_int_equal(VCPU_EXIT_REASONS, 80);
	assert_int_equal(sizeof(struct exit_row), 16);
	for (unsigned i = 0; i < VCPU_EXIT_REASONS; i++) {
		assert_non_null(exit_table[i].handler);
		assert_non_null(exit_table[i].name);
		assert_true(exit_table[i].name[0]);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(exit_table[i].name, exit_table[k].name);
	}
}

/* What becomes of a guest by each reason that has no file of its own. */
enum outcome { UD, GP, FAIL, SKIP, GO_ON, STOP, OWN };
static const u8 outcomes[VCPU_EXIT_REASONS] = {
    [0] = OWN,   [1] = GO_ON, [2] = STOP,  [3] = FAIL,  [4] = FAIL,   [5] = FAIL,   [6] = FAIL,  [7] = GO_ON,
    [8] = GO_ON, [9] = OWN,   [10] = OWN,  [11] = UD,   [12] = SKIP,  [13] = SKIP,  [14] = FAIL, [15] = GP,
    [16] = FAIL, [17] = UD,   [18] = SKIP, [19] = UD,   [20] = UD,    [21] = UD,    [22] = UD,   [23] = UD,
    [24] = UD,   [25] = UD,   [26] = UD,   [27] = UD,   [28] = OWN,   [29] = GO_ON, [30] = OWN,  [31] = OWN,
    [32] = OWN,  [33] = FAIL, [34] = FAIL, [35] = FAIL, [36] = UD,    [37] = FAIL,  [38] = FAIL, [39] = UD,
    [40] = SKIP, [41] = FAIL, [42] = FAIL, [43] = OWN,  [44] = OWN,   [45] = OWN,   [46] = FAIL, [47] = FAIL,
    [48] = OWN,  [49] = OWN,  [50] = UD,   [51] = FAIL, [52] = GO_ON, [53] = UD,    [54] = SKIP, [55] = OWN,
    [56] = OWN,  [57] = FAIL, [58] = FAIL, [59] = UD,   [60] = UD,    [61] = FAIL,  [62] = FAIL, [63] = UD,
    [64] = UD,   [65] = UD,   [66] = FAIL, [67] = UD,   [68] = UD,    [69] = UD,    [70] = UD,   [71] = FAIL,
    [72] = UD,   [73] = UD,   [74] = FAIL, [75] = FAIL, [76] = UD,    [77] = UD,    [78] = UD,   [79] = UD,
};

static void check_outcome(unsigned reason)
{
	u64 rip = outcomes[reason] == SKIP ? 0x102 : 0x100;
	run(reason);
	assert_int_equal(fake(GUEST_RIP), rip);
	assert_int_equal(board_failed, outcomes[reason] == FAIL);
	assert_int_equal(board_stop, outcomes[reason] == STOP ? GUEST_RESET : GUEST_RUNNING);
	if (outcomes[reason] == UD)
		board_expect_fault(VEC_UD, 0);
	else if (outcomes[reason] == GP)
		board_expect_fault(VEC_GP, 0);
	else
		assert_int_equal(board_vcpu.events.exception_info, 0);
	board_expect_single_reads();
}

static void every_reason_has_its_outcome(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VCPU_EXIT_REASONS; i++)
		if (outcomes[i] != OWN)
			check_outcome(i);
}

static void handlers_with_files_of_their_own(void **state)
{
	static const struct {
		unsigned reason;
		exit_handler handler;
	} rows[] = {
	    {0, exit_exception},
	    {9, exit_task_switch},
	    {10, exit_cpuid},
	    {28, exit_cr_access},
	    {30, exit_io},
	    {31, exit_rdmsr},
	    {32, exit_wrmsr},
	    {43, exit_tpr_below_threshold},
	    {44, exit_apic_access},
	    {45, exit_virtualized_eoi},
	    {48, exit_ept_violation},
	    {49, exit_ept_misconfig},
	    {55, exit_xsetbv},
	    {56, exit_apic_write},
	};
	unsigned own = 0;
	(void)state;
	for (unsigned i = 0; i < VCPU_EXIT_REASONS; i++)
		own += outcomes[i] == OWN;
	assert_int_equal(own, ARRAY_SIZE(rows));
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_ptr_equal(exit_table[rows[i].reason].handler, rows[i].handler);
}

/* A refusal names the exit: it is all that the operator sees. */
static void refusals_are_readable(void **state)
{
	(void)state;
	run(62);
	assert_non_null(strstr(board_guest.why, "62"));
	assert_non_null(strstr(board_guest.why, exit_table[62].name));
}

/* A loop of PAUSEs gives the CPU to others and goes on behind the PAUSE. */
static void pause_loops_yield(void **state)
{
	(void)state;
	yields = 0;
	run(40);
	assert_int_equal(yields, 1);
}

static void hlt_waits(void **state)
{
	(void)state;
	run(12);
	assert_int_equal(board_vcpu.attention, VCPU_HALTED | VCPU_REQ_EVENT);
	interrupt_waits = true; /* already in the virtual-APIC page */
	run(12);
	assert_int_equal(board_vcpu.attention, 0);
}

static void vmcall(void **state)
{
	(void)state;
	board_regs[REG_RAX] = 41;
	run(18);
	assert_int_equal(board_regs[REG_RAX], 42);
	assert_int_equal(fake(GUEST_RIP), 0x102);
	board_guest.config.hypervisor_cpuid = false; /* M10 */
	run(18);
	board_expect_fault(VEC_UD, 0);
	assert_int_equal(board_regs[REG_RAX], 42);
}

static void windows_close(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		u32 bit = (u32)(i ? PROC_NMI_WINDOW : PROC_INTERRUPT_WINDOW);
		board_clear();
		board_vcpu.events.proc = bit | 0x10;
		exit_table[7 + i].handler(&board_vcpu);
		assert_int_equal(fake(PROC_CONTROLS), 0x10);
		assert_int_equal(board_vcpu.events.proc, 0x10);
		assert_int_equal(board_vcpu.attention, VCPU_REQ_EVENT);
	}
}

static void external_interrupt(void **state)
{
	(void)state;
	fake(EXIT_INTERRUPTION_INFO) = EVENT_VALID | 0xf1;
	run(1);
	assert_int_equal(dispatched, 0xf1);
	assert_false(looked_for_tasks);
	sched.resched = true; /* the interrupt was another CPU's wish */
	run(1);
	assert_true(looked_for_tasks);
}

/* M31: an exit that was for another VM is charged to it whole, from the exit on; one's own is not. */
static void exits_for_others(void **state)
{
	struct timer t;
	(void)state;
	fake(EXIT_INTERRUPTION_INFO) = EVENT_VALID | 0x30;
	board_vcpu.exit_time = (u32)rdtsc() - 1000000;
	run(1);
	interrupt_for = &own;
	run(1);
	assert_int_equal(own.billed + other.billed, 0);
	interrupt_for = &other;
	run(1);
	u64 billed = other.billed;
	assert_true(billed >= 1000000 && billed < BIT(32));
	assert_int_equal(board_vcpu.task.times.ready, billed);

	board_vcpu.exit_time = (u32)rdtsc() - 1000000;
	run(52); /* its own deadline */
	assert_int_equal(polls, 1);
	assert_int_equal(other.billed, billed);
	timer_init(&t, fire, NULL, NULL);
	t.group = &other;
	timer_set(&t, 0);
	run(52);
	assert_true(other.billed >= billed + 1000000);
	assert_int_equal(own.billed, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(every_reason_has_a_row),
	    T(every_reason_has_its_outcome),
	    T(handlers_with_files_of_their_own),
	    T(refusals_are_readable),
	    T(hlt_waits),
	    T(pause_loops_yield),
	    T(vmcall),
	    T(windows_close),
	    T(external_interrupt),
	    T(exits_for_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
