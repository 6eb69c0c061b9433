/* SPDX-License-Identifier: Apache-2.0 */
/* Making and unmaking a vCPU (virtual CPU), and asking it for something from outside. */
#include "vcpu.h"

#include "apicv.h"
#include "clock.h"
#include "cpuid.h"
#include "emulation.h"
#include "exit.h"
#include "extra.h"
#include "guest_internal.h"
#include "host.h"
#include "log.h"
#include "msr.h"
#include "switch.h"
#include "x86.h"
#include "x86_ops.h"

#define INTERCEPTED (BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC))

/* TSC ticks (SDM volume 3, 25.6.13): PAUSEs closer than the first belong to one loop, and one that has
 * lasted longer than the second waits for somebody who does not run. */
#define PAUSE_LOOP_GAP 128
#define PAUSE_LOOP_WINDOW 4096

int vcpu_init(const struct vmx_caps *caps)
{
	msr_init();
	gmem_on_wait(vcpu_between);
	int rc = switch_init();
	return rc ? rc : apicv_init(caps);
}

/* A guest's CPUID is made once, and its vCPUs run anywhere. */
int vcpu_init_cpu(char *why, size_t why_size)
{
	int rc = switch_init_cpu();
	if (rc)
		snprintf(why, why_size,
			 rc == ERR_NOMEM ? "no memory"
					 : "its instructions differ from those of the boot CPU");
	return rc;
}

/* #DB and #AC are taken so that a guest whose handler faults again for ever cannot keep the CPU in
 * event delivery, where no interrupt comes through; #MC because it is ours. */
static void write_controls(struct vcpu *v)
{
	const struct vmx_caps *c = v->caps;
	vmwrite(PIN_CONTROLS, c->pin);
	vmwrite(PROC_CONTROLS, c->proc);
	vmwrite(PROC_CONTROLS2, c->proc2);
	if (c->pause_loop && v->guest->config.vcpus > 1) {
		/* A lone vCPU waits for nobody. */
		vmwrite(PROC_CONTROLS2, c->proc2 | (u32)PROC2_PAUSE_LOOP);
		vmwrite(PLE_GAP, PAUSE_LOOP_GAP);
		vmwrite(PLE_WINDOW, PAUSE_LOOP_WINDOW);
	}
	vmwrite(EXIT_CONTROLS, c->exit);
	vmwrite(ENTRY_CONTROLS, c->entry);
	vmwrite(EXCEPTION_BITMAP, (u32)INTERCEPTED);
	vmwrite(PF_ERROR_MASK, 0);
	vmwrite(PF_ERROR_MATCH, 0);
	vmwrite(CR3_TARGET_COUNT, 0);
	vmwrite(EXIT_MSR_STORE_COUNT, 0);
	vmwrite(EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(VMCS_LINK_POINTER, ~(u64)0);
	vmwrite(EPT_POINTER, v->guest->ept.eptp);
	if (v->vpid)
		vmwrite(VPID, v->vpid);
	/* SGX is hidden, but a processor that has it executes these all the same (SDM volume 3, 25.6.16). */
	if (c->proc2 & PROC2_ENCLS)
		vmwrite(ENCLS_EXITING_BITMAP, ~(u64)0);
	if (c->proc2 & PROC2_ENCLV)
		vmwrite(ENCLV_EXITING_BITMAP, ~(u64)0);
	v->events.proc = c->proc;
}

/* Another CPU may take the vCPU: nothing of it stays here. */
static void vcpu_leave(struct task *t)
{
	vcpu_unload(container_of(t, struct vcpu, task));
}

/* On the scheduler's stack. The boot CPU frees what all of them share, when none of them uses it. */
static void vcpu_exited(struct task *t)
{
	struct guest *g = container_of(t, struct vcpu, task)->guest;
	if (__atomic_sub_fetch(&g->nr_running, 1, __ATOMIC_ACQ_REL) == 0)
		work_queue_on(0, &g->stopped_work);
}

/* The frame lies at the top of the vCPU's stack, below the slot with its pointer; the task starts
 * below the frame, so that the first entry finds it whole. */
static int stack_setup(struct vcpu *v)
{
	v->stack = stack_alloc(VCPU_STACK_PAGES);
	if (!v->stack)
		return ERR_NOMEM;
	u64 *slot = (u64 *)v->stack - 2;
	*slot = (u64)v;
	v->regs = slot - VMX_FRAME_REGS;
	task_init(&v->task, &v->guest->group, v->regs - 2, vcpu_run, v);
	v->task.leave = vcpu_leave;
	v->task.exited = vcpu_exited;
	return 0;
}

static void vcpu_write_vmcs(struct vcpu *v)
{
	vcpu_load(v);
	write_controls(v);
	vcpu_reset_state(v);
	apicv_setup(v);
}

static int vcpu_setup(struct vcpu *v)
{
	int rc = lapic_init(&v->lapic, v, v->id, v->id == 0);
	if (rc)
		return rc;
	v->lapic.timer.group = &v->guest->group;
	v->lapic.phys_bits = (u8)cpuid_phys_bits(v->guest->cpuid);
	v->lapic.x2apic_allowed = true;
	rc = stack_setup(v);
	rc = rc ? rc : extra_create(&v->extra);
	rc = rc ? rc : emulation_create(v);
	rc = rc ? rc : vmcs_create(&v->vmcs, v->caps);
	if (!rc)
		vcpu_write_vmcs(v);
	return rc;
}

static void vcpu_destroy(struct vcpu *v)
{
	vcpu_unload(v);
	clock_destroy(v);
	task_destroy(&v->task);
	vmcs_destroy(&v->vmcs);
	emulation_destroy(v);
	extra_destroy(&v->extra);
	if (v->stack)
		stack_free(v->stack, VCPU_STACK_PAGES);
	lapic_destroy(&v->lapic);
	heap_free(v->trace);
	heap_free(v);
}

int vcpu_create(struct guest *g, unsigned id)
{
	/* Unique among the vCPUs that a CPU may have cached translations for; 0 is the host's. */
	static u16 next_vpid = 1;
	struct vcpu *v = heap_alloc(sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	ASSERT(id == g->nr_vcpus && id < GUEST_MAX_VCPUS);
	v->guest = g;
	v->caps = g->caps;
	v->id = id;
	v->attention = id == 0 ? 0 : VCPU_WAIT_SIPI;
	/* Whether string instructions are fast is the processor's to say: kernels choose by it. */
	v->misc_enable = (rdmsr(MSR_MISC_ENABLE) & MISC_ENABLE_FAST_STRING) | MISC_ENABLE_BTS_UNAVAIL |
			 MISC_ENABLE_PEBS_UNAVAIL;
	v->vmcs.pa = PAGE_NONE;
	v->preemption_shift = v->caps->preemption_timer ? (u8)v->caps->preemption_shift : NO_PREEMPTION_TIMER;
	gmem_tlb_reset(&v->tlb);
	clock_create(v);
	if (v->caps->vpid) {
		v->vpid = next_vpid;
		next_vpid = next_vpid == 0xffff ? 1 : (u16)(next_vpid + 1);
	}
	int rc = vcpu_setup(v);
	if (rc) {
		vcpu_destroy(v);
		return rc;
	}
	g->vcpus[g->nr_vcpus++] = v;
	return 0;
}

void guest_free_vcpus(struct guest *g)
{
	while (g->nr_vcpus) {
		vcpu_destroy(g->vcpus[--g->nr_vcpus]);
		g->vcpus[g->nr_vcpus] = NULL;
	}
}

void vcpu_request(struct vcpu *v, u32 bits)
{
	/* Release: what the request is about is visible before the bit. */
	u32 old = __atomic_fetch_or(&v->attention, bits, __ATOMIC_RELEASE);
	if (unlikely(old & bits & VCPU_REQ_NMI))
		__atomic_fetch_or(&v->attention, VCPU_REQ_NMI_AGAIN, __ATOMIC_RELEASE);
	/* Its devices have something to say before it is started, and after it has ended: guest_start() finds
	 * the bits, and a task that nobody started may be freed at any time. */
	if ((old & bits) != bits && likely(__atomic_load_n(&v->guest->nr_running, __ATOMIC_RELAXED)))
		task_wake(&v->task);
}

void vcpu_dump(struct vcpu *v)
{
	static const char *const names[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
					    "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
	enum log_level level = v->guest->stop == GUEST_CRASHED ? LOG_ERROR : LOG_INFO;
	u32 attention = v->attention;
	log_msg(level, "%s: vCPU %u%s%s%s: %s", v->guest->name, v->id,
		attention & VCPU_HALTED ? ", halted" : "",
		attention & VCPU_WAIT_SIPI ? ", waits for SIPI" : "",
		attention & VCPU_PAUSED ? ", paused" : "", v->guest->why[0] ? v->guest->why : "as it is now");
	for (unsigned i = 0; i < VMX_FRAME_REGS; i += 4)
		log_msg(level, "%s  %-3s %016lx %-3s %016lx %-3s %016lx %-3s %016lx", v->guest->name,
			names[i], vcpu_reg(v, i), names[i + 1], vcpu_reg(v, i + 1), names[i + 2],
			vcpu_reg(v, i + 2), names[i + 3], vcpu_reg(v, i + 3));
	vmcs_dump(level, v->guest->name);
}
