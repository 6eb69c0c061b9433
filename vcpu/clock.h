/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks of a vCPU as its loop knows them (private to vcpu/). */
#pragma once

#include "host.h"
#include "vcpu.h"

void clock_create(struct vcpu *v);
void clock_destroy(struct vcpu *v);
/* The vCPU's TSC offset is another one, on the CPU that runs it. */
void clock_tsc_changed(struct vcpu *v);

void clock_entered(struct vcpu *v); /* the duties */
void clock_leaves(struct vcpu *v);

/* The vCPU comes to a physical CPU, and leaves it. */
static inline void clock_enter(struct vcpu *v, u64 now)
{
	v->clock.entered = now;
	if (unlikely(__atomic_load_n(&v->clock.duties, __ATOMIC_ACQUIRE)))
		clock_entered(v);
}
static inline void clock_leave(struct vcpu *v, u64 now)
{
	v->clock.virtual_ticks += now - v->clock.entered;
	if (unlikely(__atomic_load_n(&v->clock.duties, __ATOMIC_ACQUIRE)))
		clock_leaves(v);
}

static inline void clock_duty(struct vcpu *v, u32 bit, bool on)
{
	if (on)
		__atomic_fetch_or(&v->clock.duties, bit, __ATOMIC_RELEASE);
	else
		__atomic_fetch_and(&v->clock.duties, ~bit, __ATOMIC_RELEASE);
}

/* A checked place, for use until the next entry; NULL: no memory for them. */
void *clock_place(struct vcpu *v, gpa_t gpa, u64 n);

/* ---- kvm.c ---- */
/* MSRs 0x4b564d00 and on: 0, or negative: #GP. */
struct msr_row;
const struct msr_row *kvm_msr_find(u32 msr);
/* The records, with what is now. */
void kvm_write_time(struct vcpu *v, bool was_paused);
void kvm_write_steal(struct vcpu *v, bool running);
