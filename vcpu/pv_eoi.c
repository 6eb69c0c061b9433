/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an interrupt without an exit where the processor has no virtual-interrupt delivery: KVM's
 * paravirtual EOI, MSR 0x4b564d04 (Linux, Documentation/virt/kvm/x86/msr.rst). With an interrupt that nothing
 * waits behind, bit 0 of the vCPU's word is set; a guest that finds and clears it has ended the interrupt,
 * and need not write to its APIC. We notice when we look at the APIC next. */
#include "lapic_regs.h"

#include "vcpu.h"
#include "x86.h"

#define PV_EOI_ENABLE BIT(0)
#define PV_EOI_RESERVED BIT(1)
#define PV_EOI_OFFERED 1u

/* NULL: no memory for the page; it was RAM when the MSR was written. */
static u32 *eoi_word(struct lapic *l)
{
	return gmem_tlb_ptr(guest_mem(vcpu_guest(l->vcpu)), &l->vcpu->tlb, l->pv_eoi & ~PV_EOI_ENABLE,
			    sizeof(u32));
}

void lapic_offer_eoi(struct lapic *l, u8 vector)
{
	u32 *word;

	if (l->irr_words || __atomic_load_n(&l->pir_summary, __ATOMIC_RELAXED) ||
	    l->level[vector / 64] & BIT(vector % 64))
		return;
	word = eoi_word(l);
	if (!word)
		return;
	__atomic_store_n(word, PV_EOI_OFFERED, __ATOMIC_RELAXED);
	l->eoi_offered = true;
}

/* Only the vCPU itself writes the word beside us, and it does not run now. */
void lapic_withdraw_eoi(struct lapic *l)
{
	u32 *word = eoi_word(l);

	l->eoi_offered = false;
	if (word)
		__atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

void lapic_settle_eoi(struct lapic *l)
{
	const u32 *word = eoi_word(l);

	if (word && !(__atomic_load_n(word, __ATOMIC_RELAXED) & PV_EOI_OFFERED)) {
		l->eoi_offered = false;
		lapic_end_of_interrupt(l);
	} else if (l->irr_words) {
		lapic_withdraw_eoi(l); /* what waits is to come at its end: that must exit */
	}
}

int lapic_pv_eoi_write(struct lapic *l, u64 value)
{
	int rc = 0;

	if (value & PV_EOI_RESERVED)
		return ERR_INVAL;
	if (value & PV_EOI_ENABLE)
		rc = gmem_check(guest_mem(vcpu_guest(l->vcpu)), value & ~PV_EOI_ENABLE, sizeof(u32), 4);
	if (rc)
		return rc;
	if (l->eoi_offered)
		lapic_settle_eoi(l);
	if (l->eoi_offered)
		lapic_withdraw_eoi(l);
	l->pv_eoi = value;
	return 0;
}
