/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this processor can run the hypervisor: checked while the firmware can still be returned to. */
#include "loader.h"
#include "vmx.h"
#include "x86.h"
#include "x86_ops.h"

/* SDM vol. 3, appendix A.3: the high half of a control MSR says which bits may be 1. */
#define ALLOWED1(msr, bit) (rdmsr(msr) >> 32 & (bit))
/* Appendix A.10 */
#define EPT_CAP_WALK4 BIT(6)
#define EPT_CAP_WB BIT(14)
#define EPT_CAP_2M BIT(16)
#define EPT_CAP_INVEPT BIT(20)
#define EPT_CAP_NEEDED (EPT_CAP_WALK4 | EPT_CAP_WB | EPT_CAP_2M | EPT_CAP_INVEPT)

static EFI_STATUS check_basics(struct loader *l)
{
	struct cpuid_regs ext = cpuid(CPUID_LEAF_EXT_MAX, 0);
	if (ext.eax < CPUID_LEAF_EXT_FEATURES2 ||
	    !(cpuid(CPUID_LEAF_EXT_FEATURES2, 0).edx & CPUID80_1_EDX_NX))
		return refuse(l, EFI_UNSUPPORTED, "this processor has no execute-disable bit (NX)");
	if (read_cr4() & CR4_LA57)
		return refuse(l, EFI_UNSUPPORTED,
			      "the firmware runs with 5-level paging: turn it off in its setup");
	return EFI_SUCCESS;
}

static EFI_STATUS check_ept(struct loader *l)
{
	if (!ALLOWED1(MSR_VMX_PROCBASED_CTLS, PROC_SECONDARY) ||
	    !ALLOWED1(MSR_VMX_PROCBASED_CTLS2, PROC2_EPT))
		return refuse(
		    l, EFI_UNSUPPORTED,
		    "this processor's VT-x has no second-level paging (EPT): one from 2010 or later "
		    "is needed");
	if (!ALLOWED1(MSR_VMX_PROCBASED_CTLS2, PROC2_UNRESTRICTED))
		return refuse(
		    l, EFI_UNSUPPORTED,
		    "this processor's VT-x has no unrestricted guest mode: one from 2010 or later is "
		    "needed");
	u64 missing = EPT_CAP_NEEDED & ~rdmsr(MSR_VMX_EPT_VPID_CAP);
	if (missing)
		return refuse(l, EFI_UNSUPPORTED, "this processor's EPT lacks what Socle needs (bits 0x%llx)",
			      (unsigned long long)missing);
	return EFI_SUCCESS;
}

EFI_STATUS loader_check_cpu(struct loader *l)
{
	EFI_STATUS status = check_basics(l);
	if (EFI_ERROR(status))
		return status;
	if (!(cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_VMX))
		return refuse(l, EFI_UNSUPPORTED, "this processor has no VT-x (CPUID reports no VMX)");
	if (!cpu_unlock_vmxon(false))
		return refuse(l, EFI_UNSUPPORTED,
			      "VT-x is locked off by the firmware (IA32_FEATURE_CONTROL): turn it on in its "
			      "setup");
	return check_ept(l);
}
