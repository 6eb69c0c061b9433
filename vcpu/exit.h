/* SPDX-License-Identifier: Apache-2.0 */
/* What exit handlers share: skipping the instruction that was emulated, raising faults, registers. */
#pragma once

#include "vcpu.h"
#include "x86.h"

/* Basic exit reasons, SDM volume 3, appendix C. */
enum exit_reason {
	EXIT_EXCEPTION_NMI = 0,
	EXIT_EXTERNAL_INTERRUPT = 1,
	EXIT_TRIPLE_FAULT = 2,
	EXIT_INTERRUPT_WINDOW = 7,
	EXIT_NMI_WINDOW = 8,
	EXIT_HLT = 12,
	EXIT_EPT_VIOLATION = 48,
	EXIT_PREEMPTION_TIMER = 52,
};
#define EXIT_REASON_ENTRY_FAILURE BIT(31)

typedef void (*exit_handler)(struct vcpu *v);

/* 16 bytes, so that a row is found by a shift. */
struct exit_row {
	const char *name;
	exit_handler handler;
};
extern const struct exit_row exit_table[VCPU_EXIT_REASONS];

static inline void vcpu_set_request(struct vcpu *v, u32 bits)
{
	__atomic_fetch_or(&v->attention, bits, __ATOMIC_RELEASE);
}

/* An instruction with TF set was emulated: its trap is due. */
void vcpu_single_step(void);
void vcpu_skip_slow(u64 rip, u64 rflags, u32 blocked);

/* The instruction was emulated: go on behind it. Ends the shadow of STI or MOV SS (SDM volume 3,
 * 25.4.2), clears RF, gives TF its single-step trap, and lets EIP wrap at 4 GiB. */
static inline void vcpu_skip(void)
{
	u64 old = vmread(GUEST_RIP), rip = old + vmread(EXIT_INSTRUCTION_LENGTH);
	u64 rflags = vmread(GUEST_RFLAGS);
	u32 blocked = vmread(GUEST_INTERRUPTIBILITY) & (u32)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	vmwrite(GUEST_RIP, rip);
	if (unlikely(blocked | (rflags & (RFLAGS_TF | RFLAGS_RF)) | (old ^ rip) >> 32))
		vcpu_skip_slow(rip, rflags, blocked);
}

/* First thing in the handlers of exits that may have interrupted the delivery of an event (SDM volume 3,
 * 28.2.4): keeps it for re-injection. Not in the dispatcher, for most exits cannot. */
void vcpu_save_vectoring(struct vcpu *v);

/* Faults: RIP stays where it is. */
void vcpu_raise(struct vcpu *v, unsigned vector);
void vcpu_raise_code(struct vcpu *v, unsigned vector, u32 code);
void vcpu_raise_page_fault(struct vcpu *v, u64 address, u32 code);
static inline void vcpu_raise_gp(struct vcpu *v)
{
	vcpu_raise_code(v, VEC_GP, 0);
}

/* General registers by their encoding; RSP is in the VMCS. */
static inline u64 vcpu_reg(const struct vcpu *v, unsigned n)
{
	return n == REG_RSP ? vmread(GUEST_RSP) : v->regs[n];
}
static inline void vcpu_set_reg(struct vcpu *v, unsigned n, u64 value)
{
	if (n == REG_RSP)
		vmwrite(GUEST_RSP, value);
	else
		v->regs[n] = value;
}

/* PAE paging keeps its four entries in registers: loads them where these control registers ask for it.
 * False: reserved bits, #GP (SDM volume 3, 4.4.1). */
bool vcpu_load_pdptes(struct vcpu *v, u64 cr0, u64 cr3, u64 cr4);

/* Whether a log line about something that nobody claims may still be spent on this guest. */
bool guest_log_unknown(struct guest *g);

/* ---- handlers, by file ---- */
void exit_cpuid(struct vcpu *v); /* cpuid.c */
void exit_rdmsr(struct vcpu *v); /* msr.c */
void exit_wrmsr(struct vcpu *v);
void exit_cr_access(struct vcpu *v); /* cr.c */
void exit_xsetbv(struct vcpu *v);
void exit_io(struct vcpu *v);            /* io.c */
void exit_ept_violation(struct vcpu *v); /* memory.c */
void exit_ept_misconfig(struct vcpu *v);
void exit_exception(struct vcpu *v);   /* exception.c */
void exit_apic_access(struct vcpu *v); /* apicv.c */
void exit_apic_write(struct vcpu *v);
void exit_virtualized_eoi(struct vcpu *v);
void exit_tpr_below_threshold(struct vcpu *v);
void exit_task_switch(struct vcpu *v); /* task_switch.c */
void exit_pause(struct vcpu *v);       /* spin.c */
