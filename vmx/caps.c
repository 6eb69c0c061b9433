/* SPDX-License-Identifier: Apache-2.0 */
/* What a processor's VT-x can do: the capability MSRs (SDM volume 3, appendix A). Compiled into the loader,
 * too, so that a processor that cannot run Socle is refused while there is a firmware to return to. */
#include "vmx.h"

#include "x86.h"
#include "x86_ops.h"

#define VMX_BASIC_TRUE_CONTROLS BIT(55)
#define VMX_BASIC_WB(basic) ((((basic) >> 50) & 0xf) == MEMTYPE_WB)
#define EPT_CAP_WALK4 BIT(6)
#define EPT_CAP_WB BIT(14)
#define EPT_CAP_2M BIT(16)
#define EPT_CAP_1G BIT(17)
#define EPT_CAP_INVEPT BIT(20)
#define EPT_CAP_AD BIT(21)
#define EPT_CAP_INVEPT_SINGLE BIT(25)
#define VPID_CAP_INVVPID_SINGLE (BIT(32) | BIT(41))

#define PIN_MUST (PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI)
#define PROC_MUST                                                                                            \
	(PROC_TSC_OFFSET | PROC_HLT | PROC_MWAIT | PROC_RDPMC | PROC_UNCONDITIONAL_IO | PROC_MSR_BITMAPS |   \
	 PROC_MONITOR | PROC_SECONDARY)
#define PROC_MUST_NOT                                                                                        \
	(PROC_INTERRUPT_WINDOW | PROC_INVLPG | PROC_RDTSC | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_MOV_DR)
#define PROC2_MUST (PROC2_EPT | PROC2_UNRESTRICTED)
#define PROC2_APICV (PROC2_APIC_ACCESS | PROC2_APIC_REGISTER | PROC2_VID | PROC2_X2APIC)
#define EXIT_MUST                                                                                            \
	(EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_ACK_INTERRUPT | EXIT_SAVE_PAT | EXIT_LOAD_PAT |               \
	 EXIT_SAVE_EFER | EXIT_LOAD_EFER)
#define ENTRY_MUST (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

/* One control word: the low half of its MSR holds the bits that must be 1, the high half those that
 * may be. */
struct control {
	const char *name;
	u32 msr, true_msr;
	u64 must, must_not, wish;
};

static int control_resolve(const struct control *c, bool true_controls, u32 *out, char *why, size_t size)
{
	u64 cap = rdmsr(true_controls ? c->true_msr : c->msr);
	u32 must = (u32)cap, may = (u32)(cap >> 32);
	u64 missing = c->must & ~(u64)may, stuck = c->must_not & must;
	if (missing) {
		snprintf(why, size, "VT-x without %s control bit %u", c->name, bit_first(missing));
		return ERR_NOTSUP;
	}
	if (stuck) {
		snprintf(why, size, "VT-x cannot clear %s control bit %u", c->name, bit_first(stuck));
		return ERR_NOTSUP;
	}
	*out = ((u32)(c->must | c->wish) | must) & may;
	return 0;
}

static u64 may_be(u32 msr)
{
	return rdmsr(msr) >> 32;
}

static void probe_optional(struct vmx_caps *caps, const struct vmx_wishes *w)
{
	u64 proc = may_be(MSR_VMX_PROCBASED_CTLS), proc2 = may_be(MSR_VMX_PROCBASED_CTLS2);
	u64 ept = rdmsr(MSR_VMX_EPT_VPID_CAP);
	caps->tpr_shadow = w->tpr_shadow && (proc & PROC_TPR_SHADOW);
	/* Virtual-interrupt delivery needs the TPR shadow, SDM 27.2.1.1. */
	caps->vid = w->vid && caps->tpr_shadow && (!caps->vid_errata || w->vid_despite_errata) &&
		    (proc2 & PROC2_APICV) == PROC2_APICV;
	caps->vpid =
	    w->vpid && (proc2 & PROC2_VPID) && (ept & VPID_CAP_INVVPID_SINGLE) == VPID_CAP_INVVPID_SINGLE;
	caps->preemption_timer =
	    w->preemption_timer && (may_be(MSR_VMX_PINBASED_CTLS) & PIN_PREEMPTION_TIMER);
	caps->ept_1g = w->ept_1g && (ept & EPT_CAP_1G);
	caps->ept_2m = ept & EPT_CAP_2M;
	caps->ept_ad = w->ept_ad && (ept & EPT_CAP_AD);
	caps->rdtscp = proc2 & PROC2_RDTSCP;
	caps->invpcid = proc2 & PROC2_INVPCID;
	caps->wbinvd = proc2 & PROC2_WBINVD;
	caps->pause_loop = proc2 & PROC2_PAUSE_LOOP;
	caps->preemption_shift = (unsigned)(rdmsr(MSR_VMX_MISC) & 0x1f);
	caps->cr0_fixed0 = rdmsr(MSR_VMX_CR0_FIXED0);
	caps->cr0_fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
	caps->cr4_fixed0 = rdmsr(MSR_VMX_CR4_FIXED0);
	caps->cr4_fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
}

static int probe_ept(char *why, size_t size)
{
	const u64 need = EPT_CAP_WALK4 | EPT_CAP_WB | EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE;
	if ((rdmsr(MSR_VMX_EPT_VPID_CAP) & need) == need)
		return 0;
	snprintf(why, size, "EPT without 4-level walk, write-back tables or single-context INVEPT");
	return ERR_NOTSUP;
}

int vmx_probe(struct vmx_caps *caps, const struct vmx_wishes *wishes, char *why, size_t why_size)
{
	u64 basic = rdmsr(MSR_VMX_BASIC);
	bool true_controls = basic & VMX_BASIC_TRUE_CONTROLS;
	memset(caps, 0, sizeof(*caps));
	caps->revision = (u32)basic & 0x7fffffff;
	caps->vid_errata = caps->revision == VMX_REVISION_BOCHS;
	if (!VMX_BASIC_WB(basic)) {
		snprintf(why, why_size, "VT-x wants VMCS pages that are not write-back");
		return ERR_NOTSUP;
	}
	probe_optional(caps, wishes);
	const struct {
		struct control c;
		u32 *out;
	} words[] = {
	    {{"pin-based", MSR_VMX_PINBASED_CTLS, MSR_VMX_TRUE_PINBASED_CTLS, PIN_MUST, 0,
	      caps->preemption_timer ? PIN_PREEMPTION_TIMER : 0},
	     &caps->pin},
	    {{"primary processor-based", MSR_VMX_PROCBASED_CTLS, MSR_VMX_TRUE_PROCBASED_CTLS, PROC_MUST,
	      PROC_MUST_NOT, caps->tpr_shadow ? PROC_TPR_SHADOW : PROC_CR8_LOAD | PROC_CR8_STORE},
	     &caps->proc},
	    {{"secondary processor-based", MSR_VMX_PROCBASED_CTLS2, MSR_VMX_PROCBASED_CTLS2, PROC2_MUST, 0,
	      (caps->vid ? PROC2_VID | PROC2_APIC_REGISTER : 0) | (caps->vpid ? PROC2_VPID : 0) |
		  PROC2_RDTSCP | PROC2_INVPCID | PROC2_WBINVD | PROC2_ENCLS | PROC2_ENCLV},
	     &caps->proc2},
	    {{"VM-exit", MSR_VMX_EXIT_CTLS, MSR_VMX_TRUE_EXIT_CTLS, EXIT_MUST, 0, 0}, &caps->exit},
	    {{"VM-entry", MSR_VMX_ENTRY_CTLS, MSR_VMX_TRUE_ENTRY_CTLS, ENTRY_MUST, ENTRY_IA32E, 0},
	     &caps->entry},
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		int rc = control_resolve(&words[i].c, true_controls, words[i].out, why, why_size);
		if (rc)
			return rc;
	}
	return probe_ept(why, why_size);
}

void vmx_describe(const struct vmx_caps *c, char *buf, size_t size)
{
	snprintf(buf, size,
		 "virtual-interrupt delivery %s, TPR shadow %s, VPID %s, preemption timer %s, "
		 "1 GiB EPT pages %s, EPT accessed/dirty %s",
		 c->vid ? "on" : "off", c->tpr_shadow ? "on" : "off", c->vpid ? "on" : "off",
		 c->preemption_timer ? "on" : "off", c->ept_1g ? "on" : "off", c->ept_ad ? "on" : "off");
}
