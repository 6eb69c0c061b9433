/* SPDX-License-Identifier: Apache-2.0 */
/* Control registers. The guest owns every bit that can do no harm; the rest traps: CR0.NE, CD and NW,
 * CR4.VMXE and MCE and whatever its CPUID does not offer. SDM volume 3, 25.6.6 and 28.2.1. */
#include "cpuid.h"
#include "exit.h"
#include "extra.h"
#include "switch.h"
#include "vcpu.h"
#include "x86_ops.h"

/* ET and the reserved bits are fixed by the processor itself. */
#define CR0_HOST_OWNED (CR0_NE | CR0_CD | CR0_NW)
#define CR0_DEFINED                                                                                          \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
/* Caching is never off for real: all memory that guests share with anybody is write-back. */
#define CR0_NEVER_REAL (CR0_CD | CR0_NW)
#define CR4_ALWAYS_REAL (CR4_VMXE | CR4_MCE)

void vcpu_set_cr0(struct vcpu *v, u64 value)
{
	(void)v;
	vmwrite(CR0_MASK, CR0_HOST_OWNED | ~CR0_DEFINED);
	vmwrite(CR0_SHADOW, value | CR0_ET);
	vmwrite(GUEST_CR0, (value & ~CR0_NEVER_REAL) | CR0_NE | CR0_ET);
}

void vcpu_set_cr4(struct vcpu *v, u64 value)
{
	vmwrite(CR4_MASK, ~cpuid_cr4_allowed(v->guest->cpuid) | CR4_ALWAYS_REAL);
	vmwrite(CR4_SHADOW, value);
	vmwrite(GUEST_CR4, value | CR4_ALWAYS_REAL);
}

/* EFER.LMA and the VM-entry control go together (SDM volume 3, 27.3.1.1). */
void vcpu_set_efer(u64 value)
{
	u32 entry = vmread(ENTRY_CONTROLS);
	vmwrite(GUEST_EFER, value);
	vmwrite(ENTRY_CONTROLS, value & EFER_LMA ? entry | (u32)ENTRY_IA32E : entry & ~(u32)ENTRY_IA32E);
}

/* A trapped MOV to CR0 changes host-owned bits and maybe others with them; PG and PE have effects of
 * their own (SDM volume 3, 2.5 and 9.8.5). False: #GP. */
static bool cr0_change_paging(u64 old, u64 value)
{
	u64 efer = vmread(GUEST_EFER), cr4 = vmread(GUEST_CR4);
	bool cs_long = vmread(GUEST_CS_ACCESS_RIGHTS) & BIT(13);
	if ((value & CR0_PG) && !(old & CR0_PG) && (efer & EFER_LME)) {
		bool tss16 = (vmread(GUEST_TR_ACCESS_RIGHTS) & 0xf) == SEG_TYPE_TSS16_BUSY;
		if (!(cr4 & CR4_PAE) || cs_long || tss16)
			return false;
		vcpu_set_efer(efer | EFER_LMA);
	} else if (!(value & CR0_PG) && (old & CR0_PG)) {
		if (cs_long || (cr4 & CR4_PCIDE))
			return false;
		vcpu_set_efer(efer & ~EFER_LMA);
	}
	return true;
}

bool vcpu_load_pdptes(struct vcpu *v, u64 cr0, u64 cr3, u64 cr4)
{
	static const vmcs64 fields[] = {GUEST_PDPTE0, GUEST_PDPTE1, GUEST_PDPTE2, GUEST_PDPTE3};
	const u64 reserved = ~(BIT(v->lapic.phys_bits) - 1) | 0x1e6u;
	u64 e[4];
	if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (vmread(GUEST_EFER) & EFER_LMA))
		return true;
	if (gmem_read(&v->guest->mem, cr3 & 0xffffffe0u, e, sizeof(e)))
		return false;
	for (unsigned i = 0; i < 4; i++)
		if ((e[i] & PTE_P) && (e[i] & reserved))
			return false;
	for (unsigned i = 0; i < 4; i++)
		vmwrite(fields[i], e[i]);
	return true;
}

static bool cr0_valid(u64 value)
{
	if (value >> 32)
		return false;
	if ((value & CR0_PG) && !(value & CR0_PE))
		return false;
	return !(value & CR0_NW) || (value & CR0_CD);
}

static bool cr0_write(struct vcpu *v, u64 value)
{
	u64 old = vmread(GUEST_CR0);
	value = (value & CR0_DEFINED) | CR0_ET | (value >> 32 << 32);
	if (!cr0_valid(value))
		return false;
	if (((value ^ old) & CR0_PG) && !cr0_change_paging(old, value))
		return false;
	if (((value ^ old) & (CR0_PG | CR0_CD | CR0_NW)) &&
	    !vcpu_load_pdptes(v, value, vmread(GUEST_CR3), vmread(GUEST_CR4)))
		return false;
	if (((value ^ old) & CR0_PG) && v->vpid)
		vmx_invvpid_single(v->vpid);
	vcpu_set_cr0(v, value);
	return true;
}

static bool cr4_write(struct vcpu *v, u64 value)
{
	u64 old = vmread(GUEST_CR4), efer = vmread(GUEST_EFER);
	if (value & ~cpuid_cr4_allowed(v->guest->cpuid))
		return false;
	if ((efer & EFER_LMA) && !(value & CR4_PAE))
		return false;
	if ((value & CR4_PCIDE) && !(old & CR4_PCIDE) && (!(efer & EFER_LMA) || (vmread(GUEST_CR3) & 0xfff)))
		return false;
	if (((value ^ old) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
	    !vcpu_load_pdptes(v, vmread(GUEST_CR0), vmread(GUEST_CR3), value))
		return false;
	if (v->vpid)
		vmx_invvpid_single(v->vpid);
	vcpu_set_cr4(v, value);
	return true;
}

static bool cr8_write(struct vcpu *v, u64 value)
{
	if (value & ~(u64)CR8_TPR)
		return false;
	lapic_cr8_write(&v->lapic, (u8)value);
	return true;
}

static bool mov_to_cr(struct vcpu *v, unsigned cr, u64 value)
{
	if (vcpu_mode_bits() != 64)
		value = (u32)value;
	switch (cr) {
	case 0:
		return cr0_write(v, value);
	case 4:
		return cr4_write(v, value);
	case 8:
		return cr8_write(v, value);
	default:
		guest_fail(v->guest, "unexpected exit for CR%u", cr);
		return true;
	}
}

/* Exit qualification for control-register accesses, SDM volume 3, table 28-3. */
void exit_cr_access(struct vcpu *v)
{
	u64 q = vmread(EXIT_QUALIFICATION);
	unsigned cr = q & 0xf, kind = (q >> 4) & 3, reg = (q >> 8) & 0xf;
	u64 cr0 = (vmread(GUEST_CR0) & ~CR0_HOST_OWNED) | (vmread(CR0_SHADOW) & CR0_HOST_OWNED);
	bool ok = true;
	switch (kind) {
	case 0:
		ok = mov_to_cr(v, cr, vcpu_reg(v, reg));
		break;
	case 1: /* from CR8; no other store traps */
		vcpu_set_reg(v, reg, lapic_cr8_read(&v->lapic));
		break;
	case 2: /* CLTS */
		ok = cr0_write(v, cr0 & ~CR0_TS);
		break;
	case 3: /* LMSW loads bits 0 to 3 and cannot clear PE */
		ok = cr0_write(v, (cr0 & ~(u64)0xe) | ((q >> 16) & 0xf));
		break;
	}
	if (ok)
		vcpu_skip();
	else
		vcpu_raise_gp(v);
}

/* SDM volume 1, 13.3: what goes together in XCR0. */
static bool xcr0_valid(u64 value)
{
	const u64 avx512 = XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM;
	if (!(value & XCR0_X87) || (value & ~switch_xcr0_allowed()))
		return false;
	if ((value & XCR0_AVX) && !(value & XCR0_SSE))
		return false;
	if ((value & avx512) && ((value & avx512) != avx512 || !(value & XCR0_AVX)))
		return false;
	return true;
}

void exit_xsetbv(struct vcpu *v)
{
	u64 value = (u64)(u32)v->regs[REG_RDX] << 32 | (u32)v->regs[REG_RAX];
	/* The privilege is checked before the exit (SDM volume 3, 26.1.1); Bochs 2.7 forgets it. */
	if (vcpu_cpl() != 0 || (u32)v->regs[REG_RCX] != 0 || !xcr0_valid(value)) {
		vcpu_raise_gp(v);
		return;
	}
	extra_set_xcr0(v, value);
	vcpu_skip();
}
