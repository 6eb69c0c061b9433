/* SPDX-License-Identifier: Apache-2.0 */
/* VMX operation of one CPU, on and off; what the processor can do is in caps.c. */
#include "vmx.h"

#include "host.h"
#include "log.h"
#include "x86.h"
#include "x86_ops.h"

/* VMXON and VMCLEAR and VMPTRLD take the address of a 64-bit physical address in memory; CF or ZF
 * reports failure (SDM volume 3, 31.2). */
static bool vmxon(hpa_t pa)
{
	bool failed;
	__asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return !failed;
}

/* The loader did this where the firmware let it reach the CPU. */
static bool unlock(void)
{
	u64 control = rdmsr(MSR_FEATURE_CONTROL);
	if (!(control & FEATURE_CONTROL_LOCK)) {
		control |= FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX;
		wrmsr(MSR_FEATURE_CONTROL, control);
	}
	return control & FEATURE_CONTROL_VMX;
}

int vmx_on(struct cpu *cpu, const struct vmx_caps *caps)
{
	if (!unlock()) {
		log_error("CPU %u: VT-x is locked off by the firmware", cpu->index);
		return ERR_NOTSUP;
	}
	hpa_t region = page_alloc_zeroed(0);
	if (region == PAGE_NONE)
		return ERR_NOMEM;
	*(u32 *)phys_to_virt(region) = caps->revision;
	write_cr0((read_cr0() | caps->cr0_fixed0) & caps->cr0_fixed1);
	write_cr4((read_cr4() | CR4_VMXE | caps->cr4_fixed0) & caps->cr4_fixed1);
	if (!vmxon(region)) {
		page_free(region, 0);
		log_error("CPU %u: VMXON failed", cpu->index);
		return ERR_NOTSUP;
	}
	cpu->vmxon_region = region;
	return 0;
}

void vmx_off(struct cpu *cpu)
{
	if (!cpu->vmxon_region)
		return;
	__asm__ volatile("vmxoff" : : : "cc", "memory");
	write_cr4(read_cr4() & ~CR4_VMXE);
	page_free(cpu->vmxon_region, 0);
	cpu->vmxon_region = 0;
}

void vmx_abandon(void)
{
	if (this_cpu()->vmxon_region)
		__asm__ volatile("vmxoff" : : : "cc", "memory");
}

int vmx_probe_same(const struct vmx_caps *caps, const struct vmx_wishes *wishes, char *why, size_t why_size)
{
	struct vmx_caps here;
	int rc = vmx_probe(&here, wishes, why, why_size);
	if (!rc && memcmp(&here, caps, sizeof(here)) != 0) {
		snprintf(why, why_size, "its VT-x differs from that of the boot CPU");
		rc = ERR_NOTSUP;
	}
	return rc;
}

void vmx_wishes_limit(struct vmx_wishes *w, const struct vmx_caps *caps)
{
	w->vid &= caps->vid;
	w->tpr_shadow &= caps->tpr_shadow;
	w->vpid &= caps->vpid;
	w->preemption_timer &= caps->preemption_timer;
	w->ept_1g &= caps->ept_1g;
	w->ept_ad &= caps->ept_ad;
}

void vmx_invvpid_single(u16 vpid)
{
	struct {
		u64 vpid, linear;
	} d = {vpid, 0};
	__asm__ volatile("invvpid %0, %1" : : "m"(d), "r"((u64)1) : "cc", "memory");
}
