/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a vCPU onto and off a physical CPU (private to vcpu/). */
#pragma once

#include "vcpu.h"

/* What vcpu/ keeps for each CPU; struct cpu points to it. */
struct vcpu_cpu {
	struct vcpu *loaded; /* whose VMCS is current and whose registers are live; NULL: nobody's */
	u64 xcr0, syscall[VCPU_SYSCALL_MSRS]; /* as the processor has them */
};

int switch_init(void);     /* on the boot CPU */
int switch_init_cpu(void); /* on each other; ERR_NOTSUP: it has other registers or instructions */
/* The vCPU leaves this CPU: its live registers are saved, its VMCS is cleared. */
void vcpu_unload(struct vcpu *v);
/* The size and the bits of XSAVE state that guests may enable. */
u64 switch_xcr0_allowed(void);

void vcpu_dump(struct vcpu *v);
void vcpu_accept_init(struct vcpu *v);
void vcpu_accept_sipi(struct vcpu *v);
void vcpu_run(void *opaque);
