/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this processor can run the hypervisor: checked while the firmware can still be returned to. */
#include "loader.h"
#include "vmx.h"
#include "x86.h"
#include "x86_ops.h"

/* SDM vol. 3, appendix A.3: the high half of a control MSR says which bits may be 1. */
#define ALLOWED1(msr, bit) (rdmsr(msr) >> 32 & (bit))

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
	return EFI_SUCCESS;
}

/* Everything else that the hypervisor cannot do without, asked by its own code. */
static EFI_STATUS check_controls(struct loader *l)
{
	const struct vmx_wishes none = {0};
	struct vmx_caps caps;
	char why[160];
	if (vmx_probe(&caps, &none, why, sizeof(why)))
		return refuse(l, EFI_UNSUPPORTED, "this processor cannot run Socle: %s", why);
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
	status = check_ept(l);
	return EFI_ERROR(status) ? status : check_controls(l);
}
