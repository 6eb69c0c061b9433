/* SPDX-License-Identifier: Apache-2.0 */
/* Faults given to the guest, exceptions and NMIs taken from it. */
#include "exit.h"
#include "vcpu.h"
#include "x86_ops.h"

/* Where the processor has delivered the event itself and cannot say which it was: an interrupt in service
 * with interrupts still enabled is one whose handler has not begun. A handler that enables interrupts
 * before its EOI, and then has another delivery interrupted, gets its interrupt twice. */
static u32 vectoring_repair(const struct vcpu *v, u32 vectoring)
{
	int isr = v->lapic.hw_vid && (vmread(GUEST_RFLAGS) & RFLAGS_IF) ? lapic_highest_isr(&v->lapic) : -1;
	return isr < 0 ? vectoring : (u32)(EVENT_VALID | (u64)EVENT_EXTERNAL << 8 | (u32)isr);
}

void vcpu_save_vectoring(struct vcpu *v)
{
	u32 vectoring = vmread(IDT_VECTORING_INFO);
	if (likely(!(vectoring & EVENT_VALID)))
		return;
	if (v->caps->vid_errata)
		vectoring = vectoring_repair(v, vectoring);
	event_save_vectoring(&v->events, vectoring);
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

void vcpu_raise(struct vcpu *v, unsigned vector)
{
	event_raise(&v->events, vector, false, 0);
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

void vcpu_raise_code(struct vcpu *v, unsigned vector, u32 code)
{
	event_raise(&v->events, vector, true, code);
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

void vcpu_raise_page_fault(struct vcpu *v, u64 address, u32 code)
{
	/* The host never takes a page fault that it survives, so CR2 is the guest's. */
	write_cr2(address);
	vcpu_raise_code(v, VEC_PF, code);
}

void vcpu_single_step(void)
{
	if (!(vmread(GUEST_DEBUGCTL) & DEBUGCTL_BTF))
		vmwrite(GUEST_PENDING_DEBUG, vmread(GUEST_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

void vcpu_skip_slow(u64 rip, u64 rflags, u32 blocked)
{
	if (blocked)
		vmwrite(GUEST_INTERRUPTIBILITY, vmread(GUEST_INTERRUPTIBILITY) & ~blocked);
	if (rip >> 32 && vcpu_mode_bits() != 64)
		vmwrite(GUEST_RIP, (u32)rip);
	if (rflags & RFLAGS_RF)
		vmwrite(GUEST_RFLAGS, rflags & ~RFLAGS_RF);
	if (rflags & RFLAGS_TF)
		vcpu_single_step();
}

/* #DB intercepted: the exit qualification has the bits that the processor did not yet put into DR6
 * (SDM volume 3, 28.1). */
static void debug_exception_state(void)
{
	u64 cause = vmread(EXIT_QUALIFICATION);
	u64 dr6 = read_dr6() & ~DR6_B_ALL;
	write_dr6(dr6 | (cause & (DR6_B_ALL | DR6_BD | DR6_BS)) | DR6_INIT);
	vmwrite(GUEST_DR7, vmread(GUEST_DR7) & ~DR7_GD);
	vmwrite(GUEST_DEBUGCTL, vmread(GUEST_DEBUGCTL) & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
}

/* An intercepted exception goes back as it was: type, code and length included. */
static void reflect(struct vcpu *v, u32 info)
{
	struct vmx_events *e = &v->events;
	u32 code = info & EVENT_HAS_CODE ? vmread(EXIT_INTERRUPTION_CODE) : 0;
	if (e->vectoring_info && EVENT_TYPE(info) == EVENT_HW_EXCEPTION) {
		event_raise(e, EVENT_VECTOR(info), info & EVENT_HAS_CODE, code);
	} else {
		e->vectoring_info = info & ~(u32)EVENT_NMI_UNBLOCKING;
		e->vectoring_code = code;
		e->vectoring_length = vmread(EXIT_INSTRUCTION_LENGTH);
	}
	/* Delivery ends the shadow of STI or MOV SS. Left standing, VM entry would want a single-step trap
	 * pending where TF is set, and after a #DB there is none (SDM volume 3, 27.3.1.5). */
	u32 blocked = vmread(GUEST_INTERRUPTIBILITY);
	if (blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
		vmwrite(GUEST_INTERRUPTIBILITY, blocked & ~(u32)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

void exit_exception(struct vcpu *v)
{
	vcpu_save_vectoring(v);
	u32 info = vmread(EXIT_INTERRUPTION_INFO);
	u32 vector = EVENT_VECTOR(info);
	/* NMIs stay blocked after this exit until an IRET: let the host's handler run to its own. */
	if (EVENT_TYPE(info) == EVENT_NMI) {
		__asm__ volatile("int $2" : : : "memory");
		return;
	}
	if (vector == VEC_MC) {
		__asm__ volatile("int $18" : : : "memory");
		return;
	}
	/* An IRET that faulted has already ended the blocking of NMIs; the bit says nothing about a double
	 * fault, nor about a fault in a delivery (SDM volume 3, 28.2.2). */
	if ((info & EVENT_NMI_UNBLOCKING) && vector != VEC_DF && !v->events.vectoring_info)
		vmwrite(GUEST_INTERRUPTIBILITY, vmread(GUEST_INTERRUPTIBILITY) | (u32)BLOCKED_BY_NMI);
	if (vector == VEC_DB && EVENT_TYPE(info) == EVENT_HW_EXCEPTION)
		debug_exception_state();
	reflect(v, info);
}
