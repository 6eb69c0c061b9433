/* SPDX-License-Identifier: Apache-2.0 */
/* EPT exits: guest RAM is populated on first touch, the rest is memory-mapped I/O or nothing. */
#include "emulation.h"
#include "exit.h"
#include "io_map.h"
#include "log.h"

/* Exit qualification for EPT violations, SDM volume 3, table 28-7. */
#define EPTV_WRITE BIT(1)
#define EPTV_FETCH BIT(2)
#define EPTV_LINEAR_VALID BIT(7)
#define EPTV_FINAL BIT(8) /* the access itself, not a walk of the guest's page tables */
#define EPTV_NMI_UNBLOCKING BIT(12)

/* No RAM behind gpa, or ROM that was written to. */
static void access_device(struct vcpu *v, gpa_t gpa, u64 q)
{
	if (likely((q & EPTV_LINEAR_VALID) && !(q & EPTV_FETCH) && !v->events.vectoring_info &&
		   (q & EPTV_FINAL))) {
		if (!fastlane_run(v, gpa, q & EPTV_WRITE))
			emulation_run(v, gpa, true);
	} else if (q & EPTV_FETCH) {
		/* Nothing answers: the bus reads all-ones, and FF FF is no instruction. */
		if (guest_log_unknown(v->guest))
			log_info("%s: instruction fetch from 0x%lx, where there is no memory", v->guest->name,
				 gpa);
		vcpu_raise(v, VEC_UD);
	} else {
		guest_fail(v->guest, "descriptor or page table at 0x%lx, where there is no memory", gpa);
	}
}

void exit_ept_violation(struct vcpu *v)
{
	vcpu_save_vectoring(v);
	u64 q = vmread(EXIT_QUALIFICATION);
	gpa_t gpa = vmread(GUEST_PHYSICAL_ADDRESS);
	/* An IRET that faulted has already ended the blocking of NMIs (SDM volume 3, 28.2.3). */
	if (unlikely(q & EPTV_NMI_UNBLOCKING) && !v->events.vectoring_info)
		vmwrite(GUEST_INTERRUPTIBILITY, vmread(GUEST_INTERRUPTIBILITY) | (u32)BLOCKED_BY_NMI);
	int rc =
	    io_mem_again(v->guest->io, gpa) ? ERR_FAULT : gmem_fault(&v->guest->mem, gpa, (u32)q & EPT_RWX);
	if (rc == ERR_FAULT)
		access_device(v, gpa, q);
	else if (unlikely(rc))
		guest_fail(v->guest, "no memory left to back guest-physical address 0x%lx", gpa);
}

void exit_ept_misconfig(struct vcpu *v)
{
	vcpu_save_vectoring(v);
	guest_fail(v->guest, "EPT misconfiguration at guest-physical address 0x%lx",
		   vmread(GUEST_PHYSICAL_ADDRESS));
}
