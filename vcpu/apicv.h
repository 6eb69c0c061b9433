/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC meets VT-x (private to vcpu/): virtual-interrupt delivery, TPR shadow, and the modes. */
#pragma once

#include "vcpu.h"

int apicv_init(const struct vmx_caps *caps); /* MSR bitmaps and the APIC-access page, once */
void apicv_setup(struct vcpu *v);            /* VMCS fields of a new vCPU */
void apicv_update_mode(struct vcpu *v);      /* after IA32_APIC_BASE changed */
void apicv_sync(struct vcpu *v);             /* RVI, SVI and EOI-exit bitmaps after lapic_sync() */
void apicv_set_tpr_threshold(struct vcpu *v);
/* Whether the processor itself will deliver an interrupt at the next instruction boundary; false
 * where it does not deliver any. */
bool apicv_interrupt_waiting(const struct vcpu *v);
