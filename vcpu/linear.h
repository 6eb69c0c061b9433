/* SPDX-License-Identifier: Apache-2.0 */
/* Guest-linear memory (private to vcpu/): what the processor itself reads and writes through the guest's
 * paging. */
#pragma once

#include "exit.h"
#include "gwalk.h"
#include "vcpu.h"

/* The state of the current VMCS that a walk depends on. */
static inline void paging_read(struct vcpu *v, u64 rflags, struct gwalk_in *p)
{
	static const vmcs64 pdptes[] = {GUEST_PDPTE0, GUEST_PDPTE1, GUEST_PDPTE2, GUEST_PDPTE3};
	p->cr0 = vmread(GUEST_CR0);
	p->cr3 = vmread(GUEST_CR3);
	p->cr4 = vmread(GUEST_CR4);
	p->efer = vmread(GUEST_EFER);
	p->ac = rflags & RFLAGS_AC;
	p->cpl = (u8)vcpu_cpl();
	p->pages_1g = true;
	p->phys_bits = v->lapic.phys_bits;
	if ((p->cr4 & CR4_PAE) && !(p->efer & EFER_LMA))
		for (unsigned i = 0; i < 4; i++)
			p->pdpte[i] = vmread(pdptes[i]);
}

/* Up to a page of linear memory, translated: nothing can fault any more. */
struct linear_span {
	gpa_t gpa[2];
	u32 n[2]; /* bytes in the first and the second page */
};

/* Addresses have 32 bits and wrap: not for 64-bit mode. access: GWALK_*. 0; ERR_FAULT: #PF was raised;
 * ERR_AGAIN: another vCPU keeps changing the tables. n is 1 to 4096. */
int linear_find(struct vcpu *v, const struct gwalk_in *in, u32 linear, u32 n, u32 access,
		struct linear_span *span);
/* Outside RAM reads give all-ones and writes go nowhere. */
void linear_read(struct vcpu *v, const struct linear_span *span, void *dst);
void linear_write(struct vcpu *v, const struct linear_span *span, const void *src);
