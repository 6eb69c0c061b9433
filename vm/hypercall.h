/* SPDX-License-Identifier: Apache-2.0 */
/* What the files with hypercalls share (private to vm/). Arguments come from a guest; the contracts are in
 * include/socle/. */
#pragma once

#include "vm.h"

typedef i64 (*hypercall_fn)(struct vm *vm, struct vcpu *v, const u64 *args);

/* The guest's name for an ERR_ of ours. */
i64 hypercall_error(int rc);

/* Vectors that a guest may ask for: those below are exceptions. */
#define HYPERCALL_VECTOR_FIRST 32
#define HYPERCALL_VECTOR_LAST 255

/* ---- clock.c ---- */
i64 call_clock_vcpu(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_clock_vm(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_clock_update(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_alarm_real(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_alarm_virtual(struct vm *vm, struct vcpu *v, const u64 *args);

/* ---- events.c ---- */
i64 call_vm_id(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_event_setup(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_event_alloc(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_event_bind(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_event_close(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_event_send(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_event_unmask(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_event_vcpu(struct vm *vm, struct vcpu *v, const u64 *args);
/* Whether the VM allocated it for itself, so that an alarm may set it. */
bool vm_event_is_own(struct vm *vm, u64 number);

/* ---- rings.c ---- */
i64 call_device_query(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_ring_open(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_ring_close(struct vm *vm, struct vcpu *v, const u64 *args);
i64 call_ring_doorbell(struct vm *vm, struct vcpu *v, const u64 *args);
