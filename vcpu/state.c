/* SPDX-License-Identifier: Apache-2.0 */
/* Guest state in the VMCS: segments, mode, power-up values (SDM volume 3, 25.4 and table 10-1). */
#include "exit.h"
#include "extra.h"
#include "switch.h"
#include "vcpu.h"
#include "x86.h"
#include "x86_ops.h"

/* The eight segment registers lie two encodings apart in each group (SDM appendix B). */
static u32 seg_field(u32 first, unsigned seg)
{
	return first + 2 * seg;
}

struct segment vcpu_segment(unsigned seg)
{
	return (struct segment){
	    .selector = (u16)vmcs_read_raw(seg_field(GUEST_ES_SELECTOR.encoding, seg)),
	    .base = vmcs_read_raw(seg_field(GUEST_ES_BASE.encoding, seg)),
	    .limit = (u32)vmcs_read_raw(seg_field(GUEST_ES_LIMIT.encoding, seg)),
	    .rights = (u32)vmcs_read_raw(seg_field(GUEST_ES_ACCESS_RIGHTS.encoding, seg)),
	};
}

void vcpu_set_segment(unsigned seg, const struct segment *s)
{
	vmcs_write_raw(seg_field(GUEST_ES_SELECTOR.encoding, seg), s->selector);
	vmcs_write_raw(seg_field(GUEST_ES_BASE.encoding, seg), s->base);
	vmcs_write_raw(seg_field(GUEST_ES_LIMIT.encoding, seg), s->limit);
	vmcs_write_raw(seg_field(GUEST_ES_ACCESS_RIGHTS.encoding, seg), s->rights);
}

unsigned vcpu_mode_bits(void)
{
	u32 rights = vmread(GUEST_CS_ACCESS_RIGHTS);
	if ((rights & BIT(13)) && (vmread(GUEST_EFER) & EFER_LMA))
		return 64;
	return rights & BIT(14) ? 32 : 16; /* real mode keeps the descriptor's D bit, "unreal" or not */
}

#define RIGHTS_DATA 0x93u /* present, read/write, accessed */
#define RIGHTS_CODE 0x9bu
#define RIGHTS_LDT 0x82u
#define RIGHTS_TSS_BUSY 0x8bu

static void reset_segments(u16 cs_selector, u64 cs_base)
{
	const struct segment data = {0, 0, 0xffff, RIGHTS_DATA};
	const struct segment code = {cs_selector, cs_base, 0xffff, RIGHTS_CODE};
	const struct segment ldt = {0, 0, 0xffff, RIGHTS_LDT};
	const struct segment tss = {0, 0, 0xffff, RIGHTS_TSS_BUSY};
	for (unsigned s = SEG_ES; s <= SEG_GS; s++)
		vcpu_set_segment(s, s == SEG_CS ? &code : &data);
	vcpu_set_segment(SEG_LDTR, &ldt);
	vcpu_set_segment(SEG_TR, &tss);
	vmwrite(GUEST_GDTR_BASE, 0);
	vmwrite(GUEST_GDTR_LIMIT, 0xffff);
	vmwrite(GUEST_IDTR_BASE, 0);
	vmwrite(GUEST_IDTR_LIMIT, 0xffff);
}

static void reset_common(struct vcpu *v, u16 cs_selector, u64 cs_base, u64 rip)
{
	reset_segments(cs_selector, cs_base);
	vmwrite(GUEST_RIP, rip);
	vmwrite(GUEST_RSP, 0);
	vmwrite(GUEST_RFLAGS, RFLAGS_FIXED1);
	vmwrite(GUEST_CR3, 0);
	vmwrite(GUEST_DR7, DR7_INIT);
	vmwrite(GUEST_INTERRUPTIBILITY, 0);
	vmwrite(GUEST_ACTIVITY, 0);
	vmwrite(GUEST_PENDING_DEBUG, 0);
	vmwrite(ENTRY_INTERRUPTION_INFO, 0);
	vcpu_set_efer(0);
	vcpu_set_cr0(v, CR0_CD | CR0_NW | CR0_ET);
	vcpu_set_cr4(v, 0);
	memset(v->regs, 0, VMX_FRAME_REGS * sizeof(u64));
	/* Family, model, stepping, as RESET and INIT leave them in EDX. */
	v->regs[REG_RDX] = cpuid(1, 0).eax;
}

void vcpu_reset_state(struct vcpu *v)
{
	reset_common(v, 0xf000, 0xffff0000, 0xfff0);
	vmwrite(GUEST_SYSENTER_CS, 0);
	vmwrite(GUEST_SYSENTER_ESP, 0);
	vmwrite(GUEST_SYSENTER_EIP, 0);
	vmwrite(GUEST_DEBUGCTL, 0);
	vmwrite(GUEST_PAT, PAT_RESET);
	extra_reset(v);
}

/* INIT: as power-up, but the FPU, MTRRs, SYSENTER MSRs and the TSC stay (SDM volume 3, table 10-1). */
void vcpu_accept_init(struct vcpu *v)
{
	lapic_init_signal(&v->lapic);
	reset_common(v, 0xf000, 0xffff0000, 0xfff0);
	extra_init_signal(v);
	vmwrite(GUEST_DEBUGCTL, 0);
	__atomic_fetch_and(&v->attention, ~VCPU_HALTED, __ATOMIC_RELAXED);
	v->events.vectoring_info = v->events.exception_info = 0;
	v->events.nmi_pending = 0;
	vcpu_set_request(v, VCPU_REQ_APIC_MODE);
}

void vcpu_accept_sipi(struct vcpu *v)
{
	if (!(v->attention & VCPU_WAIT_SIPI))
		return;
	reset_common(v, (u16)(v->lapic.sipi_vector << 8), (u64)v->lapic.sipi_vector << 12, 0);
	__atomic_fetch_and(&v->attention, ~VCPU_WAIT_SIPI, __ATOMIC_RELAXED);
}
