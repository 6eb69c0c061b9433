/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC meets VT-x: virtual-interrupt delivery where the processor has it (SDM volume 3, chapter
 * 30), the TPR shadow, and the switch between xAPIC, x2APIC and disabled. */
#include "apicv.h"

#include "emulation.h"
#include "exit.h"
#include "host.h"
#include "lapic_regs.h"
#include "log.h"
#include "msr.h"

/* Policy shared by all guests, const after apicv_init(). */
static struct {
	hpa_t bitmap;        /* MSR bitmap: every x2APIC register traps */
	hpa_t bitmap_x2apic; /* the processor virtualizes what it can */
	hpa_t access_page;   /* never read or written: accesses become APIC accesses */
} apicv;

#define X2APIC_TPR 0x808
#define X2APIC_EOI 0x80b
#define X2APIC_SELF_IPI 0x83f

/* Registers that read straight from the virtual-APIC page in x2APIC mode. The current count changes by
 * itself and the ICR spans two registers of the page: both trap. */
static void bitmap_pass_x2apic(u8 *bitmap)
{
	static const struct {
		u16 first, last;
	} readable[] = {{0x802, 0x803}, {0x808, 0x808}, {0x80a, 0x80a}, {0x80d, 0x80d},
			{0x80f, 0x828}, {0x832, 0x838}, {0x83e, 0x83e}};
	for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
		for (u32 msr = readable[i].first; msr <= readable[i].last; msr++)
			msr_bitmap_pass(bitmap, msr, MSR_PASS_READ);
	msr_bitmap_pass(bitmap, X2APIC_TPR, MSR_PASS_WRITE);
	msr_bitmap_pass(bitmap, X2APIC_EOI, MSR_PASS_WRITE);
	msr_bitmap_pass(bitmap, X2APIC_SELF_IPI, MSR_PASS_WRITE);
}

int apicv_init(const struct vmx_caps *caps)
{
	apicv.bitmap = page_alloc(0);
	if (apicv.bitmap == PAGE_NONE)
		return ERR_NOMEM;
	msr_fill_bitmap(phys_to_virt(apicv.bitmap));
	if (!caps->vid)
		return 0;
	apicv.bitmap_x2apic = page_alloc(0);
	apicv.access_page = page_alloc_zeroed(0);
	if (apicv.bitmap_x2apic == PAGE_NONE || apicv.access_page == PAGE_NONE)
		return ERR_NOMEM;
	msr_fill_bitmap(phys_to_virt(apicv.bitmap_x2apic));
	bitmap_pass_x2apic(phys_to_virt(apicv.bitmap_x2apic));
	return 0;
}

void apicv_setup(struct vcpu *v)
{
	vmwrite(MSR_BITMAP, apicv.bitmap);
	if (v->caps->tpr_shadow) {
		vmwrite(VIRTUAL_APIC_PAGE, virt_to_phys(v->lapic.page));
		vmwrite(TPR_THRESHOLD, 0);
	}
	if (v->caps->vid)
		vmwrite(APIC_ACCESS_PAGE, apicv.access_page);
	apicv_update_mode(v);
}

/* RVI and SVI from the page, after anything but the processor changed it. */
static void interrupt_status_write(struct vcpu *v)
{
	int irr = lapic_highest_irr(&v->lapic), isr = lapic_highest_isr(&v->lapic);
	vmwrite(GUEST_INTERRUPT_STATUS, (u16)((isr < 0 ? 0 : isr) << 8 | (irr < 0 ? 0 : irr)));
}

/* The page is mapped for all vCPUs or for none: one whose accesses are not virtualized would reach the page
 * itself, which is all guests'. The others' accesses are emulated meanwhile. */
static void access_page_map(struct vcpu *v, bool wanted)
{
	struct guest *g = v->guest;
	int rc;
	spin_lock(&g->access_lock);
	g->access_refused -= v->access_refused;
	g->access_refused += !wanted;
	v->access_refused = !wanted;
	rc = g->access_refused
		 ? ept_unmap(&g->ept, LAPIC_BASE_DEFAULT, PAGE_SIZE)
		 : ept_map(&g->ept, LAPIC_BASE_DEFAULT, apicv.access_page, PAGE_SIZE, EPT_R | EPT_W, EPT_WB);
	spin_unlock(&g->access_lock);
	if (rc)
		guest_fail(g, "no memory to map the APIC-access page");
}

void apicv_update_mode(struct vcpu *v)
{
	const u32 all = PROC2_APIC_ACCESS | PROC2_APIC_REGISTER | PROC2_VID | PROC2_X2APIC;
	bool enabled = v->lapic.base & LAPIC_BASE_ENABLE, x2 = enabled && (v->lapic.base & LAPIC_BASE_X2APIC);
	bool access_page = enabled && !x2 && v->lapic.mmio == LAPIC_BASE_DEFAULT;
	u32 proc2 = vmread(PROC_CONTROLS2) & ~all;
	if (!v->caps->vid)
		return;
	if (enabled)
		proc2 |= (u32)PROC2_VID;
	if (x2 || access_page)
		proc2 |= (u32)(PROC2_APIC_REGISTER | (x2 ? PROC2_X2APIC : PROC2_APIC_ACCESS));
	vmwrite(PROC_CONTROLS2, proc2);
	vmwrite(MSR_BITMAP, x2 ? apicv.bitmap_x2apic : apicv.bitmap);
	access_page_map(v, access_page);
	lapic_set_hw_vid(&v->lapic, enabled);
	if (enabled)
		interrupt_status_write(v);
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

static void eoi_exit_update(struct vcpu *v)
{
	static const vmcs64 fields[] = {EOI_EXIT_BITMAP_0, EOI_EXIT_BITMAP_1, EOI_EXIT_BITMAP_2,
					EOI_EXIT_BITMAP_3};
	for (unsigned i = 0; i < 4; i++) {
		if (likely(v->eoi_exit[i] == v->lapic.level[i]))
			continue;
		v->eoi_exit[i] = v->lapic.level[i];
		vmwrite(fields[i], v->eoi_exit[i]);
	}
}

void apicv_sync(struct vcpu *v)
{
	if (unlikely(v->lapic.isr_changed)) {
		v->lapic.isr_changed = false;
		interrupt_status_write(v);
	}
	u16 status = vmread(GUEST_INTERRUPT_STATUS);
	int irr = lapic_highest_irr(&v->lapic);
	u16 wanted = (u16)((status & 0xff00) | (irr < 0 ? 0 : irr));
	if (wanted != status)
		vmwrite(GUEST_INTERRUPT_STATUS, wanted);
	eoi_exit_update(v);
}

/* SDM volume 3, 30.2.1: RVI's class above that of the processor priority. */
bool apicv_interrupt_waiting(const struct vcpu *v)
{
	if (!v->lapic.hw_vid || !(vmread(GUEST_RFLAGS) & RFLAGS_IF))
		return false;
	u32 ppr = *(volatile const u32 *)(v->lapic.page + LAPIC_PPR);
	return (vmread(GUEST_INTERRUPT_STATUS) & 0xf0) > (ppr & 0xf0);
}

/* An exit when the guest lowers its TPR below the class of what waits (SDM volume 3, 30.1.2). */
void apicv_set_tpr_threshold(struct vcpu *v)
{
	if (likely(!v->lapic.irr_words && !v->tpr_threshold))
		return;
	int irr = lapic_highest_irr(&v->lapic);
	unsigned tpr = lapic_cr8_read(&v->lapic), class = irr < 0 ? 0 : (unsigned)irr >> 4;
	/* Never above the TPR: VM entry refuses it (SDM volume 3, 27.2.1.1). */
	v->tpr_threshold = class <= tpr ? class : 0;
	vmwrite(TPR_THRESHOLD, v->tpr_threshold);
}

void exit_tpr_below_threshold(struct vcpu *v)
{
	vcpu_set_request(v, VCPU_REQ_EVENT);
}

void exit_virtualized_eoi(struct vcpu *v)
{
	lapic_eoi_broadcast(&v->lapic, (u8)vmread(EXIT_QUALIFICATION));
}

/* Trap-like: the value is in the page and RIP is past the instruction already. */
void exit_apic_write(struct vcpu *v)
{
	u32 offset = (u32)vmread(EXIT_QUALIFICATION) & 0xff0;
	lapic_write(&v->lapic, offset, *(volatile u32 *)(v->lapic.page + offset));
}

/* A register that the processor does not virtualize, or a form of access that it does not. */
void exit_apic_access(struct vcpu *v)
{
	vcpu_save_vectoring(v);
	u64 q = vmread(EXIT_QUALIFICATION);
	enum { READ = 0, WRITE = 1, FETCH = 2, DURING_EVENT = 3 };
	switch ((q >> 12) & 0xf) {
	case READ:
	case WRITE:
		emulation_run(v, LAPIC_BASE_DEFAULT + (q & 0xfff), true);
		break;
	case FETCH:
		vcpu_raise(v, VEC_UD); /* registers hold no code */
		break;
	default:
		guest_fail(v->guest, "the guest delivers events through its APIC's registers");
	}
}
