/* SPDX-License-Identifier: Apache-2.0 */
/* Capability logic: every control word is (wish OR must-be-1) AND may-be-1, optional features follow the
 * processor and the operator, and what is missing is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lib.h"
#include "x86.h"
#include "x86_ops.h"

static u64 msrs[0x20]; /* from MSR_VMX_BASIC on */

static u64 fake_rdmsr(u32 msr)
{
	assert_in_range(msr, MSR_VMX_BASIC, MSR_VMX_BASIC + ARRAY_SIZE(msrs) - 1);
	return msrs[msr - MSR_VMX_BASIC];
}

#define rdmsr fake_rdmsr
#include "vmx/caps.c"

#define ALLOW_ALL ((u64)0xffffffff << 32)
#define VMX_MSR(msr) msrs[(msr)-MSR_VMX_BASIC]

static const struct vmx_wishes all = {
    .vid = true, .tpr_shadow = true, .vpid = true, .preemption_timer = true, .ept_1g = true, .ept_ad = true};
static struct vmx_caps caps;
static char why[120];

/* A processor that can do everything and insists on nothing. */
static int setup(void **state)
{
	static const u32 controls[] = {
	    MSR_VMX_PINBASED_CTLS,       MSR_VMX_PROCBASED_CTLS,  MSR_VMX_EXIT_CTLS,
	    MSR_VMX_ENTRY_CTLS,          MSR_VMX_PROCBASED_CTLS2, MSR_VMX_TRUE_PINBASED_CTLS,
	    MSR_VMX_TRUE_PROCBASED_CTLS, MSR_VMX_TRUE_EXIT_CTLS,  MSR_VMX_TRUE_ENTRY_CTLS,
	};
	(void)state;
	memset(msrs, 0, sizeof(msrs));
	for (unsigned i = 0; i < ARRAY_SIZE(controls); i++)
		VMX_MSR(controls[i]) = ALLOW_ALL;
	VMX_MSR(MSR_VMX_BASIC) = 0x1234 | (u64)6 << 50 | VMX_BASIC_TRUE_CONTROLS;
	VMX_MSR(MSR_VMX_EPT_VPID_CAP) = ~(u64)0;
	VMX_MSR(MSR_VMX_MISC) = 5;
	return 0;
}

static int probe(const struct vmx_wishes *w)
{
	why[0] = '\0';
	return vmx_probe(&caps, w, why, sizeof(why));
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(probe(&all), 0);
	assert_int_equal(caps.revision, 0x1234);
	assert_true(caps.vid && caps.tpr_shadow && caps.vpid && caps.preemption_timer);
	assert_true(caps.ept_1g && caps.ept_2m && caps.ept_ad);
	assert_int_equal(caps.preemption_shift, 5);
	/* What a guest must not execute because its CPUID hides it is intercepted where it exists. */
	assert_true(caps.proc2 & PROC2_ENCLS);
	assert_true(caps.proc2 & PROC2_ENCLV);
	assert_false(caps.proc2 & (PROC2_XSAVES | PROC2_VMFUNC));
	assert_false(caps.proc & PROC_CR8_LOAD);
	assert_false(caps.entry & ENTRY_IA32E);
}

static void test_off(void **state)
{
	const struct vmx_wishes none = {0};

	(void)state;
	assert_int_equal(probe(&none), 0);
	assert_false(caps.vid || caps.tpr_shadow || caps.vpid || caps.preemption_timer);
	assert_false(caps.ept_1g || caps.ept_ad);
	assert_false(caps.pin & PIN_PREEMPTION_TIMER);
	assert_false(caps.proc & PROC_TPR_SHADOW);
	assert_int_equal(caps.proc & (PROC_CR8_LOAD | PROC_CR8_STORE), PROC_CR8_LOAD | PROC_CR8_STORE);
	assert_false(caps.proc2 & (PROC2_VID | PROC2_APIC_REGISTER | PROC2_VPID));
	/* Delivery without a TPR shadow there cannot be. */
	struct vmx_wishes w = all;
	w.tpr_shadow = false;
	assert_int_equal(probe(&w), 0);
	assert_false(caps.vid);
}

/* Bochs is known by its revision, and believed only when the operator insists. */
static void test_bochs(void **state)
{
	struct vmx_wishes insist = all;
	(void)state;
	VMX_MSR(MSR_VMX_BASIC) = VMX_REVISION_BOCHS | (u64)6 << 50 | VMX_BASIC_TRUE_CONTROLS;
	assert_int_equal(probe(&all), 0);
	assert_true(caps.vid_errata && !caps.vid && caps.tpr_shadow);
	assert_int_equal(caps.proc2 & (PROC2_VID | PROC2_APIC_REGISTER), 0);
	insist.vid_despite_errata = true;
	assert_int_equal(probe(&insist), 0);
	assert_true(caps.vid_errata && caps.vid);
}

/* The processor's word counts: what it does not have is left out, what it insists on is in. */
static void test_processor(void **state)
{
	(void)state;
	VMX_MSR(MSR_VMX_PROCBASED_CTLS2) &=
	    ~(u64)((PROC2_VID | PROC2_ENCLS | PROC2_ENCLV | PROC2_VPID) << 32);
	VMX_MSR(MSR_VMX_TRUE_PROCBASED_CTLS) |= BIT(1);
	VMX_MSR(MSR_VMX_EPT_VPID_CAP) &= ~EPT_CAP_1G;
	assert_int_equal(probe(&all), 0);
	assert_false(caps.vid || caps.vpid || caps.ept_1g);
	assert_false(caps.proc2 & (PROC2_VID | PROC2_ENCLS | PROC2_ENCLV | PROC2_VPID));
	assert_true(caps.proc & BIT(1));
	/* Without TRUE controls the older words count. */
	VMX_MSR(MSR_VMX_BASIC) &= ~VMX_BASIC_TRUE_CONTROLS;
	VMX_MSR(MSR_VMX_PROCBASED_CTLS) |= BIT(4);
	assert_int_equal(probe(&all), 0);
	assert_int_equal(caps.proc & (BIT(1) | BIT(4)), BIT(4));
}

/* Of a machine whose second CPU can do less: what both can is used, and on each the same. */
static void test_intersection(void **state)
{
	struct vmx_wishes both = all;
	struct vmx_caps mine;
	(void)state;
	assert_int_equal(probe(&both), 0);
	mine = caps;
	assert_int_equal(vmx_probe_same(&mine, &both, why, sizeof(why)), 0);
	/* The second. */
	VMX_MSR(MSR_VMX_PROCBASED_CTLS2) &= ~(u64)((PROC2_VID | PROC2_VPID) << 32);
	VMX_MSR(MSR_VMX_EPT_VPID_CAP) &= ~(EPT_CAP_1G | EPT_CAP_AD);
	VMX_MSR(MSR_VMX_PINBASED_CTLS) &= ~(u64)(PIN_PREEMPTION_TIMER << 32);
	assert_int_equal(vmx_probe_same(&mine, &both, why, sizeof(why)), ERR_NOTSUP);
	assert_string_equal(why, "its VT-x differs from that of the boot CPU");
	assert_int_equal(probe(&both), 0);
	vmx_wishes_limit(&both, &caps);
	assert_false(both.vid || both.vpid || both.ept_1g || both.ept_ad || both.preemption_timer);
	assert_true(both.tpr_shadow);
	/* The first once more, with what is left, and then the second. */
	setup(NULL);
	assert_int_equal(probe(&both), 0);
	mine = caps;
	VMX_MSR(MSR_VMX_PROCBASED_CTLS2) &= ~(u64)((PROC2_VID | PROC2_VPID) << 32);
	VMX_MSR(MSR_VMX_EPT_VPID_CAP) &= ~(EPT_CAP_1G | EPT_CAP_AD);
	VMX_MSR(MSR_VMX_PINBASED_CTLS) &= ~(u64)(PIN_PREEMPTION_TIMER << 32);
	assert_int_equal(vmx_probe_same(&mine, &both, why, sizeof(why)), 0);
	/* What no wish covers makes a difference: such a CPU is left out. */
	VMX_MSR(MSR_VMX_TRUE_PROCBASED_CTLS) |= BIT(1);
	assert_int_equal(vmx_probe_same(&mine, &both, why, sizeof(why)), ERR_NOTSUP);
	VMX_MSR(MSR_VMX_TRUE_PROCBASED_CTLS) &= ~BIT(1);
	VMX_MSR(MSR_VMX_PROCBASED_CTLS2) &= ~(u64)(PROC2_EPT << 32);
	assert_int_equal(vmx_probe_same(&mine, &both, why, sizeof(why)), ERR_NOTSUP);
	assert_non_null(strstr(why, "without secondary processor-based control bit 1"));
}

static void refused(const char *text)
{
	assert_int_equal(probe(&all), ERR_NOTSUP);
	if (!strstr(why, text))
		fail_msg("expected \"%s\" in \"%s\"", text, why);
	setup(NULL);
}

static void test_refusals(void **state)
{
	(void)state;
	VMX_MSR(MSR_VMX_PROCBASED_CTLS2) &= ~(u64)(PROC2_EPT << 32);
	refused("without secondary processor-based control bit 1");
	VMX_MSR(MSR_VMX_PROCBASED_CTLS2) &= ~(u64)(PROC2_UNRESTRICTED << 32);
	refused("without secondary processor-based control bit 7");
	VMX_MSR(MSR_VMX_TRUE_PINBASED_CTLS) &= ~(u64)(PIN_VIRTUAL_NMI << 32);
	refused("without pin-based control bit 5");
	VMX_MSR(MSR_VMX_TRUE_PROCBASED_CTLS) |= PROC_CR3_LOAD;
	refused("cannot clear primary processor-based control bit 15");
	VMX_MSR(MSR_VMX_TRUE_EXIT_CTLS) &= ~(u64)(EXIT_LOAD_EFER << 32);
	refused("without VM-exit control bit 21");
	VMX_MSR(MSR_VMX_TRUE_ENTRY_CTLS) |= ENTRY_IA32E;
	refused("cannot clear VM-entry control bit 9");
	VMX_MSR(MSR_VMX_EPT_VPID_CAP) &= ~EPT_CAP_INVEPT_SINGLE;
	refused("single-context INVEPT");
	VMX_MSR(MSR_VMX_BASIC) &= ~((u64)0xf << 50);
	refused("not write-back");
	assert_int_equal(probe(&all), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_all, setup),      cmocka_unit_test_setup(test_off, setup),
	    cmocka_unit_test_setup(test_bochs, setup),    cmocka_unit_test_setup(test_processor, setup),
	    cmocka_unit_test_setup(test_refusals, setup), cmocka_unit_test_setup(test_intersection, setup),
	};
	return cmocka_run_group_tests_name("VT-x capabilities", tests, NULL, NULL);
}
