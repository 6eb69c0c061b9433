/* SPDX-License-Identifier: Apache-2.0 */
/* RDMSR and WRMSR: the index over the policy table, the bitmap made from it, and the exits. */
#include "msr.h"

#include "clock.h"
#include "exit.h"
#include "log.h"

#define INDEX_MSRS 0x2000u /* of each range that the bitmap covers: 0 and 0xc0000000 */
#define HIGH_BASE 0xc0000000u
#define NO_ROW 255

/* Row number for each MSR; const after msr_init(). */
static u8 msr_index[2][INDEX_MSRS];

void msr_init(void)
{
	memset(msr_index, NO_ROW, sizeof(msr_index));
	for (unsigned r = 0; r < msr_nr_rows; r++)
		for (u32 msr = msr_rows[r].first; msr <= msr_rows[r].last; msr++)
			msr_index[msr >= HIGH_BASE][msr & (INDEX_MSRS - 1)] = (u8)r;
}

static inline const struct msr_row *msr_find(u32 msr)
{
	u8 i;
	if (likely(msr < INDEX_MSRS))
		i = msr_index[0][msr];
	else if (msr - HIGH_BASE < INDEX_MSRS)
		i = msr_index[1][msr - HIGH_BASE];
	else
		i = NO_ROW;
	return unlikely(i == NO_ROW) ? kvm_msr_find(msr) : &msr_rows[i];
}

/* Layout: reads of low, reads of high, writes of low, writes of high; 1 KiB each. */
void msr_bitmap_pass(u8 *bitmap, u32 msr, u32 pass)
{
	u32 n = msr & (INDEX_MSRS - 1), high = msr >= HIGH_BASE ? 1024 : 0;
	u8 bit = (u8)(1u << (n & 7));
	if (pass & MSR_PASS_READ)
		bitmap[high + n / 8] &= (u8)~bit;
	if (pass & MSR_PASS_WRITE)
		bitmap[2048 + high + n / 8] &= (u8)~bit;
}

void msr_fill_bitmap(u8 *bitmap)
{
	memset(bitmap, 0xff, PAGE_SIZE);
	for (unsigned r = 0; r < msr_nr_rows; r++)
		for (u32 msr = msr_rows[r].first; msr_rows[r].pass && msr <= msr_rows[r].last; msr++)
			msr_bitmap_pass(bitmap, msr, msr_rows[r].pass);
}

__attribute__((noinline)) static void msr_refuse(struct vcpu *v, const char *verb, u32 msr)
{
	if (guest_log_unknown(v->guest))
		log_debug("%s: %s of MSR 0x%x refused: #GP", v->guest->name, verb, msr);
	vcpu_raise_gp(v);
}

void exit_rdmsr(struct vcpu *v)
{
	u32 msr = (u32)v->regs[REG_RCX];
	const struct msr_row *row = msr_find(msr);
	/* The value's place is not on the stack, so that no canary is checked on this path. */
	if (unlikely(!row || !row->read || row->read(v, msr, &v->msr_value))) {
		msr_refuse(v, "read", msr);
		return;
	}
	u64 *regs = v->regs, value = v->msr_value;
	regs[REG_RAX] = (u32)value;
	regs[REG_RDX] = value >> 32;
	vcpu_skip();
}

void exit_wrmsr(struct vcpu *v)
{
	u32 msr = (u32)v->regs[REG_RCX];
	const struct msr_row *row = msr_find(msr);
	u64 value = v->regs[REG_RDX] << 32 | (u32)v->regs[REG_RAX];
	if (unlikely(!row || !row->write || row->write(v, msr, value))) {
		msr_refuse(v, "write", msr);
		return;
	}
	vcpu_skip();
}
