/* SPDX-License-Identifier: Apache-2.0 */
/* The table of exits: every basic exit reason of the SDM (volume 3, appendix C) with its handler, or
 * with the refusal chosen for it; and the handlers that are a line or two. */
#include "exit.h"
#include "extra.h"

#include "apicv.h"
#include "host.h"
#include "log.h"
#include "vcpu.h"
#include "x86_ops.h"

static void exit_external_interrupt(struct vcpu *v)
{
	sched_before((u32)rdtsc() - v->exit_time); /* if it is for another VM, that pays from the exit on */
	irq_dispatch((u8)vmread(EXIT_INTERRUPTION_INFO));
	sched_before(0);
	sched_interrupted();
}

static void exit_triple_fault(struct vcpu *v)
{
	guest_stop(v->guest, GUEST_RESET, GUEST_TRIPLE_FAULT);
}

static void exit_interrupt_window(struct vcpu *v)
{
	event_close_interrupt_window(&v->events);
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

static void exit_nmi_window(struct vcpu *v)
{
	event_close_nmi_window(&v->events);
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

static void exit_hlt(struct vcpu *v)
{
	vcpu_skip();
	if (!apicv_interrupt_waiting(v))
		vcpu_set_request(v, VCPU_HALTED | VCPU_REQ_EVENT); /* another event may wait already */
}

/* INVD would lose what others wrote; both leave the caches coherent here, so nothing is to be done. */
static void exit_cache_flush(struct vcpu *v)
{
	(void)v;
	vcpu_skip();
}

static void exit_vmcall(struct vcpu *v)
{
	const struct guest_config *c = &v->guest->config;
	/* As a processor without VMX: the instruction does not exist (SDM volume 3, 31.3, VMCALL). */
	if (!c->hypervisor_cpuid) {
		vcpu_raise(v, VEC_UD);
		return;
	}
	vcpu_skip();
	v->regs[REG_RAX] = c->hypercall(c->opaque, v, v->regs[REG_RAX]);
}

/* Instructions of features that the guest's CPUID does not have. */
static void exit_undefined(struct vcpu *v)
{
	vcpu_raise(v, VEC_UD);
}

/* Performance counters and the like: the guest has none. */
static void exit_protected(struct vcpu *v)
{
	vcpu_raise_gp(v);
}

/* A deadline of this vCPU, or another one of its CPU: then the exit was for who armed it. */
static void exit_preemption_timer(struct vcpu *v)
{
	u64 now = rdtsc();
	if (v->lapic.timer_due <= now) {
		lapic_timer_poll(&v->lapic, now);
		now = rdtsc();
	} else {
		sched_before((u32)now - v->exit_time);
	}
	timer_run(now);
	sched_before(0);
}

/* Reasons that our control settings rule out. */
static void exit_unexpected(struct vcpu *v)
{
	u32 reason = vmread(EXIT_REASON);
	guest_fail(v->guest, "unexpected VM exit %u (%s), qualification 0x%lx", reason,
		   exit_table[reason].name, vmread(EXIT_QUALIFICATION));
}

static void exit_entry_failure(struct vcpu *v)
{
	guest_fail(v->guest, "VM entry failed, exit reason %u", vmread(EXIT_REASON));
}

const struct exit_row exit_table[VCPU_EXIT_REASONS] = {
    [0] = {"exception or NMI", exit_exception},
    [1] = {"external interrupt", exit_external_interrupt},
    [2] = {"triple fault", exit_triple_fault},
    [3] = {"INIT signal", exit_unexpected},
    [4] = {"SIPI", exit_unexpected},
    [5] = {"I/O SMI", exit_unexpected},
    [6] = {"other SMI", exit_unexpected},
    [7] = {"interrupt window", exit_interrupt_window},
    [8] = {"NMI window", exit_nmi_window},
    [9] = {"task switch", exit_task_switch},
    [10] = {"CPUID", exit_cpuid},
    [11] = {"GETSEC", exit_undefined},
    [12] = {"HLT", exit_hlt},
    [13] = {"INVD", exit_cache_flush},
    [14] = {"INVLPG", exit_unexpected},
    [15] = {"RDPMC", exit_protected},
    [16] = {"RDTSC", exit_unexpected},
    [17] = {"RSM", exit_undefined},
    [18] = {"VMCALL", exit_vmcall},
    [19] = {"VMCLEAR", exit_undefined},
    [20] = {"VMLAUNCH", exit_undefined},
    [21] = {"VMPTRLD", exit_undefined},
    [22] = {"VMPTRST", exit_undefined},
    [23] = {"VMREAD", exit_undefined},
    [24] = {"VMRESUME", exit_undefined},
    [25] = {"VMWRITE", exit_undefined},
    [26] = {"VMXOFF", exit_undefined},
    [27] = {"VMXON", exit_undefined},
    [28] = {"control register", exit_cr_access},
    [29] = {"MOV DR", exit_mov_dr},
    [30] = {"I/O instruction", exit_io},
    [31] = {"RDMSR", exit_rdmsr},
    [32] = {"WRMSR", exit_wrmsr},
    [33] = {"entry failure: guest state", exit_entry_failure},
    [34] = {"entry failure: MSR loading", exit_entry_failure},
    [35] = {"reserved 35", exit_unexpected},
    [36] = {"MWAIT", exit_undefined},
    [37] = {"monitor trap flag", exit_unexpected},
    [38] = {"reserved 38", exit_unexpected},
    [39] = {"MONITOR", exit_undefined},
    [40] = {"PAUSE", exit_pause},
    [41] = {"entry failure: machine check", exit_entry_failure},
    [42] = {"reserved 42", exit_unexpected},
    [43] = {"TPR below threshold", exit_tpr_below_threshold},
    [44] = {"APIC access", exit_apic_access},
    [45] = {"virtualized EOI", exit_virtualized_eoi},
    [46] = {"GDTR or IDTR", exit_unexpected},
    [47] = {"LDTR or TR", exit_unexpected},
    [48] = {"EPT violation", exit_ept_violation},
    [49] = {"EPT misconfiguration", exit_ept_misconfig},
    [50] = {"INVEPT", exit_undefined},
    [51] = {"RDTSCP", exit_unexpected},
    [52] = {"preemption timer", exit_preemption_timer},
    [53] = {"INVVPID", exit_undefined},
    [54] = {"WBINVD", exit_cache_flush},
    [55] = {"XSETBV", exit_xsetbv},
    [56] = {"APIC write", exit_apic_write},
    [57] = {"RDRAND", exit_unexpected},
    [58] = {"INVPCID", exit_unexpected},
    [59] = {"VMFUNC", exit_undefined},
    [60] = {"ENCLS", exit_undefined},
    [61] = {"RDSEED", exit_unexpected},
    [62] = {"page-modification log full", exit_unexpected},
    [63] = {"XSAVES", exit_undefined},
    [64] = {"XRSTORS", exit_undefined},
    [65] = {"PCONFIG", exit_undefined},
    [66] = {"SPP", exit_unexpected},
    [67] = {"UMWAIT", exit_undefined},
    [68] = {"TPAUSE", exit_undefined},
    [69] = {"LOADIWKEY", exit_undefined},
    [70] = {"ENCLV", exit_undefined},
    [71] = {"reserved 71", exit_unexpected},
    [72] = {"ENQCMD PASID", exit_undefined},
    [73] = {"ENQCMDS PASID", exit_undefined},
    [74] = {"bus lock", exit_unexpected},
    [75] = {"notify window", exit_unexpected},
    [76] = {"SEAMCALL", exit_undefined},
    [77] = {"TDCALL", exit_undefined},
    [78] = {"RDMSRLIST", exit_undefined},
    [79] = {"WRMSRLIST", exit_undefined},
};

/* One line with the total and the reasons by their frequency, as many as fit. */
void guest_log_exits(const struct guest *g)
{
	u64 count[VCPU_EXIT_REASONS] = {0}, total = 0;
	char line[160] = "";
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		for (unsigned r = 0; r < VCPU_EXIT_REASONS; r++) {
			count[r] += g->vcpus[i]->exits[r];
			total += g->vcpus[i]->exits[r];
		}
	for (size_t used = 0; used < sizeof(line) - 40;) {
		unsigned most = 0;
		for (unsigned r = 1; r < VCPU_EXIT_REASONS; r++)
			if (count[r] > count[most])
				most = r;
		if (!count[most])
			break;
		snprintf(line + used, sizeof(line) - used, "%s%s %lu", used ? ", " : ": ",
			 exit_table[most].name, count[most]);
		used = strlen(line);
		count[most] = 0;
	}
	log_debug("%s: %lu VM exits%s", g->name, total, line);
}
