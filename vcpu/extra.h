/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a vCPU that a VMCS does not hold (private to vcpu/). */
#pragma once

#include "vcpu.h"

struct vcpu_cpu;

void extra_init(void);                   /* on the boot CPU, before it is asked for its features */
void extra_enable(void);                 /* on each other, likewise */
void extra_init_cpu(struct vcpu_cpu *c); /* on each, before it runs vCPUs */

int extra_create(struct vcpu_extra *x); /* ERR_NOMEM */
void extra_destroy(struct vcpu_extra *x);

/* All of these on the CPU where the VMCS of the vCPU is current; after extra_load(), but for that one. */
void extra_load(struct vcpu_cpu *here, struct vcpu *v);
void extra_save(struct vcpu_cpu *here, struct vcpu *v);
void extra_reset(struct vcpu *v);               /* power-up values (SDM volume 3, table 10-1) */
void extra_init_signal(struct vcpu *v);         /* what of them INIT resets */
void extra_set_xcr0(struct vcpu *v, u64 value); /* a valid one */
void exit_mov_dr(struct vcpu *v);
