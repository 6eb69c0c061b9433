/* SPDX-License-Identifier: Apache-2.0 */
/* Events that a VM entry delivers: the only writer of the VM-entry interruption-information field, and
 * the one place that knows which event goes first (SDM volume 3, 25.8.3, 27.6 and table 6-2). */
#include "vmx.h"
#include "x86.h"

#define INFO(type, vector) ((u32)(EVENT_VALID | (u64)(type) << 8 | (vector)))
#define CONTRIBUTORY (BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_CP))

void event_save_vectoring(struct vmx_events *e, u32 info)
{
	/* Bit 12 is undefined in the vectoring field and must be 0 at entry. */
	e->vectoring_info = info & ~(u32)EVENT_NMI_UNBLOCKING;
	if (info & EVENT_HAS_CODE)
		e->vectoring_code = vmread(IDT_VECTORING_CODE);
	u32 type = EVENT_TYPE(info);
	if (type >= EVENT_SW_INTERRUPT)
		e->vectoring_length = vmread(EXIT_INSTRUCTION_LENGTH);
}

static bool is_nmi(u32 info)
{
	return (info & EVENT_VALID) && EVENT_TYPE(info) == EVENT_NMI;
}

static bool is_exception(u32 info)
{
	return (info & EVENT_VALID) && EVENT_TYPE(info) == EVENT_HW_EXCEPTION;
}

void event_raise(struct vmx_events *e, unsigned vector, bool has_code, u32 code)
{
	u32 first = e->exception_info ? e->exception_info : e->vectoring_info;
	e->vectoring_info = 0;
	if (is_exception(first)) {
		unsigned v = EVENT_VECTOR(first);
		bool second_bad = (CONTRIBUTORY & BIT(vector)) || vector == VEC_PF;
		if (v == VEC_DF && second_bad) {
			e->triple_fault = true;
			return;
		}
		if (((CONTRIBUTORY & BIT(v)) && (CONTRIBUTORY & BIT(vector))) ||
		    (v == VEC_PF && second_bad)) {
			vector = VEC_DF;
			has_code = true;
			code = 0;
		}
	}
	e->exception_info = INFO(EVENT_HW_EXCEPTION, vector) | (has_code ? (u32)EVENT_HAS_CODE : 0);
	e->exception_code = code;
}

/* A processor keeps one NMI while another is in service. Two that come while none is would be one in
 * service and one kept, if the vCPU had been there to take the first (SDM volume 3, 6.7.1). */
void event_raise_nmi(struct vmx_events *e)
{
	bool in_service = is_nmi(e->vectoring_info) || (vmread(GUEST_INTERRUPTIBILITY) & BLOCKED_BY_NMI);
	if (e->nmi_pending < (in_service ? 1 : 2))
		e->nmi_pending++;
}

void event_set_control(struct vmx_events *e, u32 bit, bool on)
{
	u32 proc = on ? e->proc | bit : e->proc & ~bit;
	if (proc == e->proc)
		return;
	e->proc = proc;
	vmwrite(PROC_CONTROLS, proc);
}

void event_close_interrupt_window(struct vmx_events *e)
{
	event_set_control(e, PROC_INTERRUPT_WINDOW, false);
}

void event_close_nmi_window(struct vmx_events *e)
{
	event_set_control(e, PROC_NMI_WINDOW, false);
}

static void inject(u32 info, u32 code, u32 length)
{
	if (info & EVENT_HAS_CODE)
		vmwrite(ENTRY_EXCEPTION_CODE, code);
	if (EVENT_TYPE(info) >= EVENT_SW_INTERRUPT)
		vmwrite(ENTRY_INSTRUCTION_LENGTH, length);
	vmwrite(ENTRY_INTERRUPTION_INFO, info);
}

static void inject_exception(struct vmx_events *e)
{
	u32 info = e->exception_info;
	e->exception_info = 0;
	/* A fault leaves RFLAGS.RF set in the image it pushes, so that an instruction breakpoint does
	 * not fire twice (SDM volume 3, 18.3.1.1); injection takes RFLAGS as it finds it. #DB is
	 * raised by emulation as a trap. */
	if (EVENT_VECTOR(info) != VEC_DB)
		vmwrite(GUEST_RFLAGS, vmread(GUEST_RFLAGS) | RFLAGS_RF);
	/* Real mode has no error codes, and VM entry refuses them there (SDM volume 3, 27.2.1.3). */
	if (!(vmread(GUEST_CR0) & CR0_PE))
		info &= ~(u32)EVENT_HAS_CODE;
	inject(info, e->exception_code, 0);
}

static void inject_again(struct vmx_events *e)
{
	/* The interrupted delivery of an NMI has set the blocking already; injection demands that it
	 * is clear (SDM volume 3, 27.3.1.5) and sets it anew. */
	if (is_nmi(e->vectoring_info))
		vmwrite(GUEST_INTERRUPTIBILITY, vmread(GUEST_INTERRUPTIBILITY) & ~(u32)BLOCKED_BY_NMI);
	inject(e->vectoring_info, e->vectoring_code, e->vectoring_length);
	e->vectoring_info = 0;
}

/* An exception or an interrupted delivery: these cannot wait. */
static bool inject_synchronous(struct vmx_events *e)
{
	if (e->exception_info)
		inject_exception(e);
	else if (e->vectoring_info)
		inject_again(e);
	else
		return false;
	return true;
}

/* A debug trap of the last instruction goes before NMIs and interrupts (SDM volume 3, table 6-2), and
 * an injection would lose it (27.7.3): the processor delivers it at entry, the others get a window. */
static bool debug_trap_waits(void)
{
	return vmread(GUEST_PENDING_DEBUG) & (PENDING_DEBUG_ENABLED | PENDING_DEBUG_BS);
}

/* Whether one more waits. */
static bool inject_interrupt(const struct event_source *src, u32 blocked)
{
	int vector = src->peek(src->opaque);
	if (vector < 0)
		return false;
	if (blocked || !(vmread(GUEST_RFLAGS) & RFLAGS_IF) || debug_trap_waits())
		return true;
	vector = src->accept(src->opaque, vector);
	inject(INFO(EVENT_EXTERNAL, (u32)vector), 0, 0);
	return src->peek(src->opaque) >= 0;
}

bool event_prepare(struct vmx_events *e, const struct event_source *src)
{
	if (e->triple_fault)
		return false;
	/* A timer that ran after an injection was written may have brought us here again before the entry:
	 * what was accepted must not be overwritten. VM exits clear the valid bit (SDM volume 3, 25.8.3). */
	bool busy = (vmread(ENTRY_INTERRUPTION_INFO) & EVENT_VALID) || inject_synchronous(e);
	u32 blocked = vmread(GUEST_INTERRUPTIBILITY);
	/* A processor may open the NMI window in the shadow of STI, or refuse an NMI there (SDM volume
	 * 3, 25.6.2 and 27.3.1.5); the interrupt window opens right behind it. */
	bool sti = !busy && (blocked & BLOCKED_BY_STI);
	if (e->nmi_pending && !busy && !blocked && !debug_trap_waits()) {
		inject(INFO(EVENT_NMI, VEC_NMI), 0, 0);
		e->nmi_pending--;
		busy = true;
	}
	bool waits = busy ? src->peek(src->opaque) >= 0
			  : inject_interrupt(src, blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	event_set_control(e, PROC_NMI_WINDOW, e->nmi_pending && !sti);
	event_set_control(e, PROC_INTERRUPT_WINDOW, waits || (e->nmi_pending && sti));
	return true;
}
