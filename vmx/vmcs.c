/* SPDX-License-Identifier: Apache-2.0 */
/* A VMCS (virtual-machine control structure) as an object: its page, which CPU holds it, its host-state
 * area (SDM volume 3, 25.5) and the names of VM-instruction errors. */
#include "vmcs.h"

#include "host.h"
#include "log.h"
#include "vmx.h"
#include "x86.h"
#include "x86_ops.h"

static bool vmclear(hpa_t pa)
{
	bool failed;
	__asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return !failed;
}

static inline bool vmptrld(const hpa_t *pa)
{
	bool failed;
	__asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(*pa) : "memory");
	return !failed;
}

int vmcs_create(struct vmcs *vmcs, const struct vmx_caps *caps)
{
	vmcs->active_on = NULL;
	vmcs->pa = page_alloc_zeroed(0);
	if (vmcs->pa == PAGE_NONE)
		return ERR_NOMEM;
	*(u32 *)phys_to_virt(vmcs->pa) = caps->revision;
	ASSERT(vmclear(vmcs->pa));
	return 0;
}

void vmcs_destroy(struct vmcs *vmcs)
{
	if (vmcs->pa == PAGE_NONE)
		return;
	vmcs_clear(vmcs);
	page_free(vmcs->pa, 0);
	vmcs->pa = PAGE_NONE;
}

void vmcs_load(struct vmcs *vmcs)
{
	vmcs->active_on = this_cpu();
	ASSERT(vmptrld(&vmcs->pa));
}

void vmcs_clear(struct vmcs *vmcs)
{
	ASSERT(vmclear(vmcs->pa));
	vmcs->active_on = NULL;
}

void vmcs_write_host(const struct cpu *cpu, u64 stack_slot)
{
	vmwrite(HOST_ES_SELECTOR, 0);
	vmwrite(HOST_CS_SELECTOR, SEL_HOST_CODE);
	vmwrite(HOST_SS_SELECTOR, 0);
	vmwrite(HOST_DS_SELECTOR, 0);
	vmwrite(HOST_FS_SELECTOR, 0);
	vmwrite(HOST_GS_SELECTOR, 0);
	vmwrite(HOST_TR_SELECTOR, SEL_HOST_TSS);
	vmwrite(HOST_PAT, rdmsr(MSR_PAT));
	vmwrite(HOST_EFER, rdmsr(MSR_EFER));
	vmwrite(HOST_SYSENTER_CS, 0);
	vmwrite(HOST_CR0, read_cr0());
	vmwrite(HOST_CR3, read_cr3());
	vmwrite(HOST_CR4, read_cr4());
	vmwrite(HOST_FS_BASE, 0);
	vmwrite(HOST_GS_BASE, (u64)cpu);
	vmwrite(HOST_TR_BASE, cpu->tss_base);
	vmwrite(HOST_GDTR_BASE, cpu->gdt_base);
	vmwrite(HOST_IDTR_BASE, cpu->idt_base);
	vmwrite(HOST_SYSENTER_ESP, 0);
	vmwrite(HOST_SYSENTER_EIP, 0);
	vmwrite(HOST_RSP, stack_slot);
	vmwrite(HOST_RIP, (u64)vmx_exit_stub);
}

void vmcs_set_exit_stub(bool traced)
{
	vmwrite(HOST_RIP, (u64)(traced ? vmx_exit_stub_traced : vmx_exit_stub));
}

/* SDM volume 3, table 31-1. */
static const char *const error_names[] = {
    [1] = "VMCALL executed in VMX root operation",
    [2] = "VMCLEAR with invalid physical address",
    [3] = "VMCLEAR with VMXON pointer",
    [4] = "VMLAUNCH with non-clear VMCS",
    [5] = "VMRESUME with non-launched VMCS",
    [6] = "VMRESUME after VMXOFF",
    [7] = "VM entry with invalid control fields",
    [8] = "VM entry with invalid host-state fields",
    [9] = "VMPTRLD with invalid physical address",
    [10] = "VMPTRLD with VMXON pointer",
    [11] = "VMPTRLD with incorrect VMCS revision",
    [12] = "VMREAD or VMWRITE of unsupported field",
    [13] = "VMWRITE to read-only field",
    [15] = "VMXON executed in VMX root operation",
    [16] = "VM entry with invalid executive-VMCS pointer",
    [17] = "VM entry with non-launched executive VMCS",
    [18] = "VM entry with executive-VMCS pointer not VMXON pointer",
    [19] = "VMCALL with non-clear VMCS",
    [20] = "VMCALL with invalid VM-exit control fields",
    [22] = "VMCALL with incorrect MSEG revision",
    [23] = "VMXOFF under dual-monitor treatment",
    [24] = "VMCALL with invalid SMM-monitor features",
    [25] = "VM entry with invalid execution control fields in executive VMCS",
    [26] = "VM entry with events blocked by MOV SS",
    [28] = "invalid operand to INVEPT or INVVPID",
};

const char *vmx_error_name(u32 error)
{
	if (error < ARRAY_SIZE(error_names) && error_names[error])
		return error_names[error];
	return "unknown VM-instruction error";
}
