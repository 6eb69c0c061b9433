/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual CPU and what the vCPUs of one VM share (owner: vcpu/). vm/ embeds struct guest in struct
 * vm; devices/ know it by guest.h only. */
#pragma once

#include "clock.h"
#include "gmem.h"
#include "guest.h"
#include "lapic.h"
#include "memtype.h"
#include "sched.h"
#include "vmx.h"

#define GUEST_MAX_VCPUS 16
#define VCPU_STACK_PAGES 4
#define VCPU_EXIT_REASONS 80 /* basic exit reasons known to us: 0 to 79 (SDM volume 3, appendix C) */

/* ---- attention: one word that is zero when the vCPU can simply go on. Requests are set by anyone and
 * acted on by the owner before entry; the owner's own states stand in the same word. ---- */
#define VCPU_REQ_EVENT 1u /* something to inject may have appeared */
#define VCPU_REQ_NMI 2u
#define VCPU_REQ_INIT 4u
#define VCPU_REQ_SIPI 8u
#define VCPU_REQ_STOP 16u       /* guest->stop says why */
#define VCPU_REQ_APIC_MODE 32u  /* IA32_APIC_BASE changed */
#define VCPU_REQ_FLUSH 64u      /* translations that this CPU has cached are out of date */
#define VCPU_REQ_NMI_AGAIN 128u /* set by vcpu_request(): a second NMI before the first was seen */
#define VCPU_REQ_DUMP 256u      /* registers to the log, and on */
#define VCPU_REQ_TRACE 512u     /* tracing has changed */
#define VCPU_REQUESTS 0xffffu
#define VCPU_HALTED 0x10000u /* after HLT, until an event wakes it */
#define VCPU_WAIT_SIPI 0x20000u
#define VCPU_PAUSED 0x40000u /* the operator's: stays until guest_unpause() */

/* The last exits of a vCPU, where the operator asked for them (vcpu/trace.c). Written by the vCPU alone. */
#define VCPU_TRACE_ENTRIES 64
struct vcpu_trace {
	u64 count; /* exits recorded; atomic */
	struct vcpu_trace_entry {
		u64 tsc, rip, qualification;
		u32 reason;
	} entry[VCPU_TRACE_ENTRIES];
};

struct cpuid_policy;
struct io_map;
struct emulator; /* decoder cache and the state of an emulation, owned by vcpu/emulation.c */

/* Registers that a VMCS does not hold. They are live in the processor while the vCPU is the last one
 * that ran on its CPU (vcpu/extra.c); what is not, or is known anyway, is said so. */
#define VCPU_SYSCALL_MSRS 5
struct vcpu_extra {
	u64 syscall[VCPU_SYSCALL_MSRS]; /* IA32_STAR, LSTAR, CSTAR, FMASK, TSC_AUX; known */
	u64 kernel_gs_base, cr2;
	u64 dr[4], dr6;
	bool dr_live; /* else dr[] has DR0 to DR3, none of them is enabled, and MOV DR exits */
	bool wide;    /* the guest has enabled more than x87 and SSE; else FXSAVE saves it all */
	u64 xcr0;     /* known */
	void *xsave;  /* pages */
	unsigned xsave_order;
};

#define NO_PREEMPTION_TIMER 0xffu

struct vcpu {
	/* What every exit touches. */
	u32 attention; /* atomic */
	u32 id;
	u32 exit_time;       /* low half of the TSC at the last exit; an exit takes less than its period */
	u64 *regs;           /* VMX_FRAME_REGS on its stack */
	u8 preemption_shift; /* the preemption timer counts TSC >> this, or NO_PREEMPTION_TIMER */
	const u64 *cpu_deadline; /* of the CPU it was loaded on last, see timer_next_word() */
	struct guest *guest;
	const struct vmx_caps *caps;
	u64 ept_gen; /* of the EPT entries this CPU may have cached */
	struct vmx_events events;

	struct lapic lapic;
	struct vcpu_clock clock;
	struct gmem_tlb tlb;
	struct emulator *emulator;
	struct vmcs vmcs;
	u64 eoi_exit[4]; /* the EOI-exit bitmaps as the VMCS has them */
	u16 vpid;
	u32 tpr_threshold; /* as the VMCS has it; not with virtual-interrupt delivery */
	bool halted_off;   /* halted with interrupts off and no NMI to come; atomic */
	/* For those of its VM that spin, atomic (vcpu/spin.c): it is not in the guest's kernel; it spins
	 * itself; and was not chosen for that. While it waits for a CPU. */
	bool left_user, spins, passed;
	bool access_refused; /* its APIC is not where the processor virtualizes it in memory */
	struct vcpu_extra extra;
	struct cpu *loaded_on; /* CPU whose registers hold ours */
	struct cpu *last_cpu;  /* that ran it, or built it */
	struct task task;
	void *stack;

	/* MSRs with no other home. */
	u64 tsc_offset, tsc_adjust, misc_enable, mcg_status;
	u64 msr_value; /* where RDMSR's handlers put the value */

	struct vcpu_trace *trace; /* NULL: none was ever asked for; lives as long as the vCPU. Atomic */
	bool tracing;             /* its exits take the way that records them */
	u64 exits[VCPU_EXIT_REASONS];
	u64 exits_total;
};

struct guest_config {
	const char *name;
	u64 memory_limit_pages;
	unsigned page_order;
	unsigned vcpus; /* 1 .. GUEST_MAX_VCPUS: as many calls of vcpu_create() will follow */
	bool hypervisor_cpuid;
	const struct sched_group *past; /* of the VM's life before this one, NULL: none; for guest_create() */
	/* Called on the boot CPU's scheduler stack when the last vCPU has stopped and left its stack. */
	void (*stopped)(void *opaque);
	void *opaque;
	/* VMCALL: returns what the guest finds in RAX. */
	u64 (*hypercall)(void *opaque, struct vcpu *v, u64 number);
	/* On the first vCPU's own task, before its first instruction: what building the VM has left to be
	 * done. In pieces, with vcpu_breathe() in between. */
	void (*prepare)(void *opaque, struct vcpu *v);
	/* An alarm that was set with CLOCK_BY_EVENT goes off; on any CPU, from a timer. */
	void (*event)(void *opaque, u32 number);
};

struct guest {
	struct guest_config config;
	char name[32];
	const struct vmx_caps *caps;
	struct ept ept;
	struct gmem mem;
	struct io_map *io;
	struct cpuid_policy *cpuid;
	struct mtrr_state mtrr;
	struct apic_sinks sinks;
	struct spinlock access_lock; /* of access_refused and what follows from it */
	unsigned access_refused;     /* vCPUs for which the APIC-access page must not be mapped */
	struct guest_clock clock;
	u64 tsc_start; /* host TSC when the VM started: the guest's zero */
	struct sched_group group;
	unsigned last_helped;          /* the vCPU that one which spun gave its place to; atomic */
	unsigned nr_vcpus, nr_running; /* nr_running: tasks that have not ended; atomic */
	struct vcpu *vcpus[GUEST_MAX_VCPUS];
	enum guest_stop stop; /* atomic; first reason wins */
	u32 stop_code;
	char why[160]; /* text of guest_fail() */
	struct work stopped_work;
	unsigned unknown_logged; /* lines spent on ports, memory and MSRs that nobody claims */
};

/* Once, before any guest: the policy tables. caps stays with the caller. */
int vcpu_init(const struct vmx_caps *caps);
/* Then once on each other CPU. 0, ERR_NOMEM, or ERR_NOTSUP when its instructions are not those of the
 * boot CPU; the reason is in why. */
int vcpu_init_cpu(char *why, size_t why_size);

int guest_create(struct guest *g, const struct guest_config *config, const struct vmx_caps *caps);
/* Every vCPU must have stopped. */
void guest_destroy(struct guest *g);
int vcpu_create(struct guest *g, unsigned id);
/* Bytes that it takes beside its memory: tables, registers, stacks. Between create and destroy. */
u64 guest_usage(const struct guest *g);
/* At debug level: how many VM exits its vCPUs have had, by reason. Before guest_destroy(). */
void guest_log_exits(const struct guest *g);
void guest_start(struct guest *g); /* every vCPU becomes a task; the guest's TSC starts at 0 */

/* Every vCPU stops before its next instruction, or goes on. From any context; a guest that is to stop
 * (guest_stop()) does so while it is paused, too. Before guest_start() as well. */
void guest_pause(struct guest *g);
void guest_unpause(struct guest *g);
/* Registers of every vCPU to the log: by the vCPUs themselves as soon as they notice, or now where they
 * have stopped for good. */
void guest_dump(struct guest *g);

/* Starts or ends the recording of a vCPU's exits, from its next entry on; what was recorded stays. It
 * costs nothing while it is off. ERR_NOMEM. */
int vcpu_trace_set(struct vcpu *v, bool on);
/* SDM volume 3, appendix C, in a few words. */
const char *vcpu_exit_name(unsigned reason);

struct vcpu *guest_vcpu(struct guest *g, unsigned i);
struct lapic *vcpu_lapic(struct vcpu *v);
struct guest *vcpu_guest(struct vcpu *v);
struct apic_sinks *guest_apic_sinks(struct guest *g);
/* On the vCPU's task: lets others run first, as task_yield() and task_give_way(); what passes meanwhile is
 * neither the guest's nor the exit's. */
void vcpu_yield(struct vcpu *v);
void vcpu_give_way(struct vcpu *v);
/* On the vCPU's own task, holding nothing: serves what has come meanwhile, lets others run. Does not return
 * when the vCPU is to stop. */
void vcpu_breathe(struct vcpu *v);
/* The same in the middle of an exit: vcpu_yield(), if others want to run, and what is due. Nothing of the
 * guest is changed; it returns always. */
void vcpu_between(void);
/* From any context: sets bits and wakes or kicks the vCPU. */
void vcpu_request(struct vcpu *v, u32 bits);

/* ---- guest state ---- */
/* A segment register as the VMCS holds it (SDM volume 3, 25.4.1). */
struct segment {
	u16 selector;
	u64 base;
	u32 limit;
	u32 rights;
};
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR };
#define SEG_UNUSABLE BIT(16)
struct segment vcpu_segment(unsigned seg);
void vcpu_set_segment(unsigned seg, const struct segment *s);
/* All of these work on the current VMCS. */
void vcpu_reset_state(struct vcpu *v);        /* power-up, SDM volume 3, table 10-1 */
void vcpu_set_cr0(struct vcpu *v, u64 value); /* unchecked, for loaders and reset */
void vcpu_set_cr4(struct vcpu *v, u64 value);
void vcpu_set_efer(u64 value);
unsigned vcpu_mode_bits(void); /* 16, 32 or 64: code segment size */
/* SS.DPL is the CPL (SDM volume 3, 25.4.1). */
static inline unsigned vcpu_cpl(void)
{
	return (vmread(GUEST_SS_ACCESS_RIGHTS) >> 5) & 3;
}

/* Before guest_start(), on any CPU: makes the vCPU's VMCS current so that state can be written. */
void vcpu_load(struct vcpu *v);
