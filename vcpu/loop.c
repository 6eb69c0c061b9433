/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a vCPU (virtual CPU): an exit is dispatched, requests are served, the guest goes on. */
#include "vcpu.h"

#include "apicv.h"
#include "clock.h"
#include "exit.h"
#include "host.h"
#include "lapic_regs.h"
#include "log.h"
#include "switch.h"
#include "x86_ops.h"

/* The interrupts that event_prepare() may take: the 8259 pair's, and the local APIC's where no
 * hardware delivers them. */
static int interrupt_peek(void *opaque)
{
	struct vcpu *v = opaque;
	if (lapic_extint_pending(&v->lapic))
		return 0; /* the vector is known only after the acknowledge cycle */
	return v->lapic.hw_vid ? -1 : lapic_deliverable(&v->lapic);
}

static int interrupt_accept(void *opaque, int vector)
{
	struct vcpu *v = opaque;
	if (lapic_extint_pending(&v->lapic))
		return lapic_extint_ack(&v->lapic);
	lapic_accept(&v->lapic, (u8)vector);
	return vector;
}

static bool vcpu_can_wake(struct vcpu *v)
{
	if (event_pending(&v->events))
		return true;
	u64 rflags = vmread(GUEST_RFLAGS);
	if (unlikely(rflags & RFLAGS_TF) && vmread(GUEST_PENDING_DEBUG))
		return true; /* the single-step trap of the HLT itself */
	if (!(rflags & RFLAGS_IF))
		return false;
	return lapic_extint_pending(&v->lapic) || lapic_deliverable(&v->lapic) >= 0;
}

__attribute__((noreturn)) static void vcpu_stop(struct vcpu *v)
{
	struct guest *g = v->guest;
	if (g->stop == GUEST_CRASHED)
		vcpu_dump(v);
	clock_leave(v, tsc_now());
	vcpu_unload(v);
	/* It has no pointer and no translation any more, until it is loaded again. */
	__atomic_store_n(&v->ept_gen, ~(u64)0, __ATOMIC_RELEASE);
	task_exit();
}

static void vcpu_serve_events(struct vcpu *v)
{
	const struct event_source source = {interrupt_peek, interrupt_accept, v};
	lapic_sync(&v->lapic);
	if (v->lapic.hw_vid) {
		apicv_sync(v);
		if (event_none(&v->events) && !lapic_extint_pending(&v->lapic))
			return; /* the processor does the rest */
	}
	if (!event_prepare(&v->events, &source))
		guest_stop(v->guest, GUEST_RESET, GUEST_TRIPLE_FAULT);
	if (!v->lapic.hw_vid && v->caps->tpr_shadow)
		apicv_set_tpr_threshold(v);
}

/* The order is ept.h's: the generation is read before the invalidation that it stands for. */
static void vcpu_flush(struct vcpu *v)
{
	struct guest *g = v->guest;
	u64 gen = __atomic_load_n(&g->ept.flush_gen, __ATOMIC_ACQUIRE);
	ept_invalidate(&g->ept);
	__atomic_store_n(&v->ept_gen, gen, __ATOMIC_RELEASE);
	ept_reclaim(&g->ept, guest_flush_seen(g));
}

static void halted_wake(struct vcpu *v)
{
	lapic_sync(&v->lapic);
	if (vcpu_can_wake(v))
		__atomic_fetch_and(&v->attention, ~VCPU_HALTED, __ATOMIC_RELAXED);
}

#define INIT_SIPI (VCPU_REQ_INIT | VCPU_REQ_SIPI)

/* In one step from "INIT requested" to "waits for SIPI": whoever sends a SIPI looks for one of the two. */
static void vcpu_serve_init_sipi(struct vcpu *v)
{
	u32 old = __atomic_load_n(&v->attention, __ATOMIC_RELAXED), new;
	do {
		new = old & ~INIT_SIPI;
		if ((old & VCPU_REQ_INIT) && !v->lapic.bsp) /* that one starts again */
			new |= VCPU_WAIT_SIPI;
	} while (!__atomic_compare_exchange_n(&v->attention, &old, new, false, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	if (old & VCPU_REQ_INIT)
		vcpu_accept_init(v);
	if (old & VCPU_REQ_SIPI)
		vcpu_accept_sipi(v);
}

static void vcpu_serve(struct vcpu *v)
{
	/* Acquire: what the requester wrote before it set the bit is visible now. */
	u32 bits = __atomic_fetch_and(&v->attention, ~(VCPU_REQUESTS & ~INIT_SIPI), __ATOMIC_ACQUIRE);
	if (bits & VCPU_REQ_STOP)
		vcpu_stop(v);
	if (unlikely(bits & VCPU_REQ_DUMP))
		vcpu_dump(v);
	if (unlikely(bits & VCPU_REQ_TRACE))
		vmcs_set_exit_stub(v->tracing);
	if (bits & VCPU_REQ_FLUSH)
		vcpu_flush(v);
	if (bits & VCPU_REQ_APIC_MODE)
		apicv_update_mode(v);
	if (unlikely(bits & INIT_SIPI))
		vcpu_serve_init_sipi(v);
	if (unlikely(v->attention & VCPU_WAIT_SIPI)) /* takes no NMI, and INIT makes older ones void */
		bits &= ~(VCPU_REQ_NMI | VCPU_REQ_NMI_AGAIN);
	if (bits & VCPU_REQ_NMI)
		event_raise_nmi(&v->events);
	if (bits & VCPU_REQ_NMI_AGAIN)
		event_raise_nmi(&v->events);
	if (v->attention & VCPU_HALTED)
		halted_wake(v);
	if (!(v->attention & (VCPU_HALTED | VCPU_WAIT_SIPI)))
		vcpu_serve_events(v);
}

/* Whether the 8259 pair or the IOAPIC may send what does not need interrupts enabled. */
static bool nmi_may_come(const struct vcpu *v)
{
	const struct apic_sinks *sinks = &v->guest->sinks;
	u32 lint0 = *(const u32 *)(v->lapic.page + LAPIC_LVT_LINT0);
	bool lint0_nmi = !(lint0 & LVT_MASKED) && (lint0 & LVT_DELIVERY) >> LVT_DELIVERY_SHIFT == APIC_NMI;
	return lint0_nmi || (sinks->nmi_source && sinks->nmi_source(sinks->eoi_opaque));
}

/* Whether this vCPU, which is another one, may do something ever again. */
static bool vcpu_is_alive(const struct vcpu *v)
{
	u32 attention = __atomic_load_n(&v->attention, __ATOMIC_SEQ_CST);
	if (attention & VCPU_REQUESTS)
		return true;
	return !(attention & VCPU_WAIT_SIPI) && !__atomic_load_n(&v->halted_off, __ATOMIC_SEQ_CST);
}

/* A vCPU that halted with interrupts off and has no NMI to come will never run again, when the others are
 * so, too, or were never started. Sequentially consistent: of two that halt at once, the later one
 * sees the other. */
static bool vcpu_halted_for_ever(struct vcpu *v)
{
	const struct guest *g = v->guest;
	if ((v->attention & (VCPU_HALTED | VCPU_PAUSED)) != VCPU_HALTED ||
	    (vmread(GUEST_RFLAGS) & RFLAGS_IF) || nmi_may_come(v))
		return false;
	__atomic_store_n(&v->halted_off, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		if (g->vcpus[i] != v && vcpu_is_alive(g->vcpus[i]))
			return false;
	return true;
}

/* Before the task gives up its CPU: the exit up to now. */
static inline void vcpu_charge_exit(struct vcpu *v, u64 now)
{
	v->task.hypervisor += (u32)now - v->exit_time;
	v->exit_time = (u32)now;
}

/* Paused: its virtual time stands still whatever it is asked for, and an event waits until it goes on. */
__attribute__((noinline)) static void vcpu_wait_paused(struct vcpu *v)
{
	lapic_timer_watch(&v->lapic); /* its timer does not go off before it goes on */
	while (__atomic_load_n(&v->attention, __ATOMIC_ACQUIRE) & VCPU_PAUSED) {
		if (v->attention & VCPU_REQUESTS & ~VCPU_REQ_EVENT) {
			vcpu_load(v);
			v->clock.entered = tsc_now(); /* for vcpu_stop() */
			vcpu_serve(v);
			continue;
		}
		vcpu_charge_exit(v, tsc_now());
		task_block();
		v->exit_time = (u32)rdtsc();
	}
}

static void vcpu_wait(struct vcpu *v)
{
	if (vcpu_halted_for_ever(v)) {
		guest_stop(v->guest, GUEST_HALTED, 0);
		return;
	}
	u64 now = tsc_now();
	clock_leave(v, now);
	lapic_timer_unwatch(&v->lapic);
	vcpu_charge_exit(v, now);
	task_linger();
	v->exit_time = (u32)rdtsc();
	if (unlikely(v->attention & VCPU_PAUSED))
		vcpu_wait_paused(v);
	__atomic_store_n(&v->halted_off, false, __ATOMIC_SEQ_CST);
	if (unlikely(v->loaded_on != this_cpu())) /* while it lingered nobody took its place */
		vcpu_load(v);
	lapic_timer_watch(&v->lapic);
	clock_enter(v, tsc_now());
}

/* Makes the next deadline of this CPU or of the vCPU end the guest's run; false when it has passed already.
 * Only the low 32 bits count down: a deadline further away costs an exit in between. */
static inline bool vcpu_arm_deadline(struct vcpu *v)
{
	u64 due = v->lapic.timer_due, now = rdtsc();
	u64 next = __atomic_load_n(v->cpu_deadline, __ATOMIC_RELAXED);
	next = due < next ? due : next;
	if (unlikely(next <= now))
		return false;
	v->task.hypervisor += (u32)now - v->exit_time;
	if (likely(v->preemption_shift != NO_PREEMPTION_TIMER))
		vmcs_write_raw(PREEMPTION_TIMER.encoding, (next - now) >> v->preemption_shift);
	else
		apic_timer_keep(next);
	return true;
}

static inline void vcpu_leave_cpu(struct vcpu *v, void (*leave)(void))
{
	u64 now = tsc_now();
	clock_leave(v, now);
	if (v->guest->nr_vcpus > 1)
		__atomic_store_n(&v->left_user, vcpu_cpl() != 0, __ATOMIC_RELAXED);
	vcpu_charge_exit(v, now);
	leave();
	now = tsc_now();
	v->exit_time = (u32)now;
	vcpu_load(v);
	clock_enter(v, now);
}

void vcpu_yield(struct vcpu *v)
{
	vcpu_leave_cpu(v, task_yield);
}

void vcpu_give_way(struct vcpu *v)
{
	vcpu_leave_cpu(v, task_give_way);
}

/* Everything but going straight on. */
__attribute__((noinline)) static void vcpu_prepare_entry(struct vcpu *v)
{
	for (;;) {
		if (v->attention & VCPU_REQUESTS)
			vcpu_serve(v);
		else if (v->attention)
			vcpu_wait(v);
		else if (task_should_yield()) {
			vcpu_yield(v);
		} else if (!vcpu_arm_deadline(v)) {
			lapic_timer_poll(&v->lapic, rdtsc());
			timer_run(rdtsc());
		} else
			return;
	}
}

__attribute__((noinline)) static void entry_invalid(struct vcpu *v, u64 reason)
{
	guest_fail(v->guest, "VM entry failed: exit reason 0x%lx (%s), qualification 0x%lx", reason,
		   vcpu_exit_name(reason & 0xffff), vmread(EXIT_QUALIFICATION));
	vcpu_prepare_entry(v);
}

/* Of the exit that vcpu_exit() handles: what the stub has left above its frame, once more. A register that
 * keeps it over the handler's call would have to be saved, and the stack aligned. */
static inline __attribute__((always_inline)) struct vcpu *vcpu_of_exit(void)
{
	struct vcpu **frame = __builtin_frame_address(0);
	return frame[2 + VMX_FRAME_REGS];
}

void vcpu_exit(void *slot)
{
	struct vcpu *v = slot;
	v->exit_time = (u32)rdtsc();
	u64 reason = vmcs_read_raw(EXIT_REASON.encoding); /* 64 bits: an index that needs no extension */
	if (unlikely(reason >= VCPU_EXIT_REASONS)) {
		entry_invalid(v, reason);
		return;
	}
	v->exits[reason]++;
	exit_table[reason].handler(v);
	v = vcpu_of_exit();
	/* A slice that ends is a deadline; so the scheduler need not be asked here. */
	if (unlikely(v->attention || !vcpu_arm_deadline(v)))
		vcpu_prepare_entry(v);
}

void vcpu_entry_failed(void *slot)
{
	struct vcpu *v = slot;
	u32 error = vmread(INSTRUCTION_ERROR);
	/* 5: the VMCS has not been launched since it was loaded here; the stub's VMLAUNCH follows. */
	if (error == 5)
		return;
	guest_fail(v->guest, "VM entry failed: error %u, %s", error, vmx_error_name(error));
	vcpu_prepare_entry(v);
}

void vcpu_breathe(struct vcpu *v)
{
	cpu_poll_interrupts();
	vcpu_prepare_entry(v);
	v->exit_time = (u32)rdtsc();
}

void vcpu_between(void)
{
	struct vcpu *v = this_cpu()->vcpu->loaded;
	cpu_poll_interrupts();
	if (task_should_yield())
		vcpu_yield(v);
	else if (timer_next() <= rdtsc())
		timer_run(rdtsc());
}

/* The vCPU's task begins here. */
void vcpu_run(void *opaque)
{
	struct vcpu *v = opaque;
	v->exit_time = (u32)rdtsc();
	vcpu_load(v);
	lapic_timer_watch(&v->lapic);
	clock_enter(v, tsc_now());
	if (v->id == 0 && v->guest->config.prepare)
		v->guest->config.prepare(v->guest->config.opaque, v);
	vcpu_prepare_entry(v);
	vmx_enter(v->regs);
}
