/* SPDX-License-Identifier: Apache-2.0 */
/* VT-x itself (owner: vmx/): what the processor can do, VMX operation, VMCS pages, the entry and
 * exit stub, and the events that a VM entry injects. SDM volume 3, chapters 24 to 33, appendix A. */
#pragma once

#include "lib.h"
#include "log.h"
#include "vmcs.h"

struct cpu;

/* Pin-based controls, SDM 25.6.1. */
#define PIN_EXTERNAL_INTERRUPT BIT(0)
#define PIN_NMI BIT(3)
#define PIN_VIRTUAL_NMI BIT(5)
#define PIN_PREEMPTION_TIMER BIT(6)

/* Primary processor-based controls, SDM 25.6.2. */
#define PROC_INTERRUPT_WINDOW BIT(2)
#define PROC_TSC_OFFSET BIT(3)
#define PROC_HLT BIT(7)
#define PROC_INVLPG BIT(9)
#define PROC_MWAIT BIT(10)
#define PROC_RDPMC BIT(11)
#define PROC_RDTSC BIT(12)
#define PROC_CR3_LOAD BIT(15)
#define PROC_CR3_STORE BIT(16)
#define PROC_CR8_LOAD BIT(19)
#define PROC_CR8_STORE BIT(20)
#define PROC_TPR_SHADOW BIT(21)
#define PROC_NMI_WINDOW BIT(22)
#define PROC_MOV_DR BIT(23)
#define PROC_UNCONDITIONAL_IO BIT(24)
#define PROC_IO_BITMAPS BIT(25)
#define PROC_MONITOR_TRAP BIT(27)
#define PROC_MSR_BITMAPS BIT(28)
#define PROC_MONITOR BIT(29)
#define PROC_PAUSE BIT(30)
#define PROC_SECONDARY BIT(31)

/* Secondary processor-based controls. */
#define PROC2_APIC_ACCESS BIT(0)
#define PROC2_EPT BIT(1)
#define PROC2_DESCRIPTOR_TABLE BIT(2)
#define PROC2_RDTSCP BIT(3)
#define PROC2_X2APIC BIT(4)
#define PROC2_VPID BIT(5)
#define PROC2_WBINVD BIT(6)
#define PROC2_UNRESTRICTED BIT(7)
#define PROC2_APIC_REGISTER BIT(8)
#define PROC2_VID BIT(9)
#define PROC2_PAUSE_LOOP BIT(10)
#define PROC2_RDRAND BIT(11)
#define PROC2_INVPCID BIT(12)
#define PROC2_VMFUNC BIT(13)
#define PROC2_ENCLS BIT(15)
#define PROC2_RDSEED BIT(16)
#define PROC2_XSAVES BIT(20)
#define PROC2_ENCLV BIT(28)

/* VM-exit controls, SDM 25.7.1. */
#define EXIT_SAVE_DEBUG BIT(2)
#define EXIT_HOST_64 BIT(9)
#define EXIT_ACK_INTERRUPT BIT(15)
#define EXIT_SAVE_PAT BIT(18)
#define EXIT_LOAD_PAT BIT(19)
#define EXIT_SAVE_EFER BIT(20)
#define EXIT_LOAD_EFER BIT(21)

/* VM-entry controls, SDM 25.8.1. */
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_IA32E BIT(9)
#define ENTRY_LOAD_PAT BIT(14)
#define ENTRY_LOAD_EFER BIT(15)

/* What the operator lets us use of the optional features. */
struct vmx_wishes {
	bool vid, tpr_shadow, vpid, preemption_timer, ept_1g, ept_ad;
	bool vid_despite_errata;
};

/* What this processor gives: every control word is (wish OR must-be-1) AND may-be-1. */
struct vmx_caps {
	u32 revision;
	u32 pin, proc, proc2, exit, entry;
	bool vid; /* virtual-interrupt delivery with APIC-register, APIC-access and x2APIC virtualization */
	bool tpr_shadow, vpid, preemption_timer;
	bool ept_1g, ept_2m, ept_ad;
	bool rdtscp, invpcid, wbinvd, pause_loop;
	/* Bochs 2.7: a pending virtual interrupt is delivered where a physical one should cause an exit, even
	 * with RFLAGS.IF clear; and after an exit during the delivery of a virtual interrupt, the
	 * IDT-vectoring field has whatever was delivered before it. */
	bool vid_errata;
	unsigned preemption_shift; /* the timer counts TSC >> shift */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
};

/* Reads the capability MSRs of this CPU. 0, or ERR_NOTSUP with the missing control named in why. */
int vmx_probe(struct vmx_caps *caps, const struct vmx_wishes *wishes, char *why, size_t why_size);
/* Whether this CPU has exactly those, with the wishes that they came from; else ERR_NOTSUP and why. */
int vmx_probe_same(const struct vmx_caps *caps, const struct vmx_wishes *wishes, char *why, size_t why_size);
/* No longer wishes what that CPU does not have. */
void vmx_wishes_limit(struct vmx_wishes *w, const struct vmx_caps *caps);
/* Names what is used and what is not, for the log. */
void vmx_describe(const struct vmx_caps *caps, char *buf, size_t size);
/* Enters VMX operation on this CPU. 0, ERR_NOMEM, ERR_NOTSUP (logged). */
int vmx_on(struct cpu *cpu, const struct vmx_caps *caps);
void vmx_off(struct cpu *cpu);
/* This CPU leaves VMX operation, if it is in it, at the machine's end: nothing is freed, no lock taken. */
void vmx_abandon(void);

/* ---- one VMCS ---- */
struct vmcs {
	hpa_t pa;
	struct cpu *active_on; /* the CPU that may hold it in its cache; NULL after vmcs_clear() */
};
int vmcs_create(struct vmcs *vmcs, const struct vmx_caps *caps);
void vmcs_destroy(struct vmcs *vmcs);
/* Makes it current on this CPU; it must not be active on another. */
void vmcs_load(struct vmcs *vmcs);
/* Writes it back to memory, so that another CPU may load it (SDM 25.11.1). Run on active_on. */
void vmcs_clear(struct vmcs *vmcs);
/* Host-state area for this CPU; stack_slot is the address of the vCPU pointer above the frame. */
void vmcs_write_host(const struct cpu *cpu, u64 stack_slot);
/* Prints the guest state and controls of the current VMCS through the log. */
void vmcs_dump(enum log_level level, const char *prefix);
/* Exits of the current VMCS go to vmx_exit_stub_traced(), which records them, or to vmx_exit_stub() again. */
void vmcs_set_exit_stub(bool traced);
/* SDM 31.4: the name of a VM-instruction error. */
const char *vmx_error_name(u32 error);

/* ---- entry.asm ---- */
/* The guest's registers as the exit stub leaves them below the slot with the vCPU pointer; indexed
 * by their encoding. Index 4 is not the guest's RSP, which is in the VMCS. */
enum { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8 };
#define VMX_FRAME_REGS 16
void vmx_exit_stub(void);
void vmx_exit_stub_traced(void);
/* Enters the guest whose frame starts at `frame`; does not return. */
__attribute__((noreturn)) void vmx_enter(u64 *frame);
/* Called by the stub, with the pointer from the slot above the frame. */
void vcpu_exit(void *slot);
void vcpu_trace_exit(void *slot); /* before it, of a vCPU whose exits are recorded */
/* Called by the stub after VMRESUME or VMLAUNCH failed; returns to try VMLAUNCH. */
void vcpu_entry_failed(void *slot);

/* ---- invalidation, SDM 31.3 ---- */
void vmx_invvpid_single(u16 vpid);

/* ---- event.c: the only writer of the VM-entry interruption-information field ---- */
/* SDM 25.8.3 and 25.9.2: interruption types. */
enum event_type {
	EVENT_EXTERNAL = 0,
	EVENT_NMI = 2,
	EVENT_HW_EXCEPTION = 3,
	EVENT_SW_INTERRUPT = 4,
	EVENT_PRIV_EXCEPTION = 5, /* INT1 */
	EVENT_SW_EXCEPTION = 6,   /* INT3, INTO */
};
#define EVENT_VALID BIT(31)
#define EVENT_HAS_CODE BIT(11)
#define EVENT_NMI_UNBLOCKING BIT(12)
#define EVENT_VECTOR(info) ((info)&0xff)
#define EVENT_TYPE(info) (((info) >> 8) & 7)

/* SDM 25.4.2: guest interruptibility state. */
#define BLOCKED_BY_STI BIT(0)
#define BLOCKED_BY_MOV_SS BIT(1)
#define BLOCKED_BY_NMI BIT(3)

/* "Pending debug exceptions". */
#define PENDING_DEBUG_ENABLED BIT(12)
#define PENDING_DEBUG_BS BIT(14)

/* Events waiting for one vCPU's next entry. Only its owner touches it. */
struct vmx_events {
	u32 vectoring_info; /* delivery that an exit interrupted; 0: none */
	u32 vectoring_code, vectoring_length;
	u32 exception_info; /* exception that emulation raised; 0: none */
	u32 exception_code;
	u8 nmi_pending; /* NMIs not delivered yet: at most 2 */
	bool triple_fault;
	u32 proc; /* shadow of PROC_CONTROLS, so that windows cost no VMREAD */
};

/* Keeps the event of the IDT-vectoring fields for re-injection (SDM 28.2.4). */
void event_save_vectoring(struct vmx_events *e, u32 vectoring_info);
/* An exception found by emulation; merges with what is pending by the double-fault rules (SDM 6.15). */
void event_raise(struct vmx_events *e, unsigned vector, bool has_code, u32 code);
void event_raise_nmi(struct vmx_events *e);

/* What event_prepare() may take an interrupt from. */
struct event_source {
	int (*peek)(void *opaque);               /* >= 0: one is waiting; -1: none; no side effect */
	int (*accept)(void *opaque, int peeked); /* takes it; returns the vector */
	void *opaque;
};
/* Before entry: chooses exception, NMI, re-injection, interrupt in the architecture's order, writes
 * the field, opens windows for what has to wait. Returns false on a triple fault. */
bool event_prepare(struct vmx_events *e, const struct event_source *interrupts);
/* Whether the next entry delivers one of them: that ends a HLT. */
static inline bool event_pending(const struct vmx_events *e)
{
	if (e->vectoring_info | e->exception_info | e->triple_fault)
		return true;
	return unlikely(e->nmi_pending) && !(vmread(GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI);
}
/* Nothing waits or is being waited for: event_prepare() would have interrupts only to think of. */
static inline bool event_none(const struct vmx_events *e)
{
	return !(e->vectoring_info | e->exception_info | e->nmi_pending | e->triple_fault |
		 (e->proc & (u32)(PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW)));
}
/* A bit of the primary processor-based controls; all changes go this way. */
void event_set_control(struct vmx_events *e, u32 bit, bool on);
/* The window exits close their window again. */
void event_close_interrupt_window(struct vmx_events *e);
void event_close_nmi_window(struct vmx_events *e);
