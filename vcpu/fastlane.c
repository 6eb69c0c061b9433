/* SPDX-License-Identifier: Apache-2.0 */
/* The short way for what device drivers do nearly always: in 64-bit mode, MOV between a register and a
 * device register, from code whose translation and decoding are known. It may only be faster than
 * the emulator, never different: whatever is not exactly this goes the long way. */
#include "emulation.h"
#include "emulator.h"
#include "exit.h"
#include "io_map.h"

/* The instruction at rip, from the caches alone; NULL: the long way. */
static inline const struct insn *fetch_again(struct vcpu *v, struct emulator *e, u64 rip)
{
	const struct insn *in;
	gpa_t gpa = gwalk_again(&e->walks, vmread(GUEST_CR3), rip);
	if (unlikely(gpa == GWALK_EMPTY || (gpa & (PAGE_SIZE - 1)) > PAGE_SIZE - FETCH_BYTES))
		return NULL;
	const u8 *bytes = gmem_tlb_ptr(&v->guest->mem, &v->tlb, gpa, FETCH_BYTES);
	if (unlikely(!bytes || insn_cache_decode(&e->cache, bytes, FETCH_BYTES, 64, &in)))
		return NULL;
	return in;
}

static inline void register_write(struct vcpu *v, const struct insn *in, u64 value)
{
	u64 *reg = &v->regs[in->reg];
	if (likely(in->reg_size >= 4))
		*reg = value; /* zero-extended: the upper half is cleared */
	else if (in->reg_size == 2)
		*(u16 *)reg = (u16)value;
	else
		*(u8 *)reg = (u8)value;
}

static inline void skip(u64 rip)
{
	u64 rflags = vmread(GUEST_RFLAGS);
	u32 blocked = vmread(GUEST_INTERRUPTIBILITY) & (u32)(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS);
	vmwrite(GUEST_RIP, rip);
	if (unlikely(blocked | (rflags & (RFLAGS_TF | RFLAGS_RF))))
		vcpu_skip_slow(rip, rflags, blocked);
}

static inline u64 effective_address(const struct vcpu *v, const struct insn *in, u64 rip)
{
	u64 ea = (u64)in->disp;
	if (in->base == INSN_BASE_RIP)
		ea += rip + in->length;
	else if (in->base < VMX_FRAME_REGS)
		ea += vcpu_reg(v, in->base);
	if (in->index < VMX_FRAME_REGS)
		ea += v->regs[in->index] << in->scale;
	return ea;
}

/* Whether the access lies in one page. For one that crosses, the EPT violation may report the second
 * page, at its offset 0: only then the operand's address has to be computed to tell. */
static inline bool one_page(const struct vcpu *v, const struct insn *in, u64 rip, gpa_t gpa)
{
	u64 offset = gpa & (PAGE_SIZE - 1);
	if (unlikely(!offset && effective_address(v, in, rip) != vmread(GUEST_LINEAR_ADDRESS)))
		return false;
	return offset + in->size <= PAGE_SIZE;
}

/* The instruction is read again here, and another vCPU may have changed it since it ran: what it does now
 * must be what the processor let it do to this page, which may be read-only. */
bool fastlane_run(struct vcpu *v, gpa_t gpa, bool write)
{
	struct emulator *e = v->emulator;
	if (unlikely(vcpu_mode_bits() != 64 || gpa - v->lapic.mmio < PAGE_SIZE))
		return false;
	u64 rip = vmread(GUEST_RIP);
	const struct insn *in = fetch_again(v, e, rip);
	if (unlikely(!in || in->op != INSN_MOV || in->reg >= VMX_FRAME_REGS || in->reg == REG_RSP ||
		     !one_page(v, in, rip, gpa)))
		return false;
	u64 ones = ~(u64)0 >> (64 - 8 * in->size);
	if (in->form == INSN_REG_MEM && !write)
		register_write(v, in, io_read(v->guest, false, gpa, in->size) & ones);
	else if (in->form == INSN_MEM_REG && write)
		io_write(v->guest, false, gpa, in->size, v->regs[in->reg] & ones);
	else
		return false;
	skip(rip + in->length);
	return true;
}
