/* SPDX-License-Identifier: Apache-2.0 */
/* The MSR policy table: what a guest may read and write. What is not listed does not exist: #GP. */
#include "clock.h"
#include "exit.h"
#include "gwalk.h"
#include "host.h"
#include "msr.h"
#include "switch.h"
#include "x86_ops.h"

/* Reads as zero and takes what is written: registers that firmware and kernels touch on any PC. */
static int read_zero(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v, (void)msr;
	*value = 0;
	return 0;
}

static int write_ignored(struct vcpu *v, u32 msr, u64 value)
{
	(void)v, (void)msr, (void)value;
	return 0;
}

static int read_microcode(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v, (void)msr;
	*value = (u64)1 << 32;
	return 0;
}

/* Locked, VMX off: the guest has no VMX. */
static int read_feature_control(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v, (void)msr;
	*value = FEATURE_CONTROL_LOCK;
	return 0;
}

static int tsc_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = rdtsc() + v->tsc_offset;
	return 0;
}

static void tsc_set_offset(struct vcpu *v, u64 offset)
{
	v->tsc_offset = offset;
	v->lapic.tsc_offset = offset;
	lapic_tsc_changed(&v->lapic);
	vmwrite(TSC_OFFSET, offset);
	clock_tsc_changed(v);
}

/* A write to the TSC moves IA32_TSC_ADJUST by the same amount (SDM volume 3, 18.17.3). */
static int tsc_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	u64 offset = value - rdtsc();
	v->tsc_adjust += offset - v->tsc_offset;
	tsc_set_offset(v, offset);
	return 0;
}

static int tsc_adjust_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->tsc_adjust;
	return 0;
}

static int tsc_adjust_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	tsc_set_offset(v, v->tsc_offset + value - v->tsc_adjust);
	v->tsc_adjust = value;
	return 0;
}

/* Each guest sets these once, so its writes may exit; then they need not be read at every switch (extra.c).
 */
static u64 *syscall_place(u64 *values, u32 msr)
{
	return &values[msr == MSR_TSC_AUX ? VCPU_SYSCALL_MSRS - 1 : msr - MSR_STAR];
}

static int syscall_read(struct vcpu *v, u32 msr, u64 *value)
{
	*value = *syscall_place(v->extra.syscall, msr);
	return 0;
}

static int syscall_write(struct vcpu *v, u32 msr, u64 value)
{
	if ((msr == MSR_LSTAR || msr == MSR_CSTAR) && !is_canonical(value))
		return ERR_INVAL;
	if ((msr == MSR_FMASK || msr == MSR_TSC_AUX) && value >> 32)
		return ERR_INVAL;
	*syscall_place(v->extra.syscall, msr) = *syscall_place(this_cpu()->vcpu->syscall, msr) = value;
	wrmsr(msr, value);
	return 0;
}

static int misc_enable_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->misc_enable;
	return 0;
}

/* Only the fast-string bit may change; BTS and PEBS stay unavailable, MONITOR off. */
static int misc_enable_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	if ((value ^ v->misc_enable) & ~MISC_ENABLE_FAST_STRING)
		return value & ~(MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAIL |
				 MISC_ENABLE_PEBS_UNAVAIL | MISC_ENABLE_MWAIT | MISC_ENABLE_LIMIT_CPUID |
				 MISC_ENABLE_XD_DISABLE)
			   ? ERR_INVAL
			   : 0;
	v->misc_enable = value;
	return 0;
}

static int mcg_status_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->mcg_status;
	return 0;
}

static int mcg_status_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	if (value)
		return ERR_INVAL;
	v->mcg_status = 0;
	return 0;
}

static int msr_mtrr_read(struct vcpu *v, u32 msr, u64 *value)
{
	return mtrr_read(&v->guest->mtrr, msr, value);
}

static int msr_mtrr_write(struct vcpu *v, u32 msr, u64 value)
{
	return mtrr_write(&v->guest->mtrr, msr, value);
}

/* LBR and BTF only; the rest of the debug store is not there. */
static int debugctl_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)v, (void)msr;
	*value = vmread(GUEST_DEBUGCTL);
	return 0;
}

static int debugctl_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)v, (void)msr;
	if (value & ~(DEBUGCTL_LBR | DEBUGCTL_BTF))
		return ERR_INVAL;
	vmwrite(GUEST_DEBUGCTL, value & DEBUGCTL_BTF);
	return 0;
}

static int apic_read(struct vcpu *v, u32 msr, u64 *value)
{
	return lapic_msr_read(&v->lapic, msr, value);
}

static int apic_write(struct vcpu *v, u32 msr, u64 value)
{
	return lapic_msr_write(&v->lapic, msr, value);
}

static int deadline_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	lapic_deadline_write(&v->lapic, value);
	return 0;
}

#define ONE(msr) msr, msr
const struct msr_row msr_rows[] = {
    {ONE(MSR_P5_MC_ADDR), 0, read_zero, write_ignored, "IA32_P5_MC_ADDR"},
    {ONE(MSR_P5_MC_TYPE), 0, read_zero, write_ignored, "IA32_P5_MC_TYPE"},
    {ONE(MSR_TSC), MSR_PASS_READ, tsc_read, tsc_write, "IA32_TIME_STAMP_COUNTER"},
    {ONE(MSR_PLATFORM_ID), 0, read_zero, NULL, "IA32_PLATFORM_ID"},
    {ONE(MSR_APIC_BASE), 0, apic_read, apic_write, "IA32_APIC_BASE"},
    {ONE(MSR_FEATURE_CONTROL), 0, read_feature_control, NULL, "IA32_FEATURE_CONTROL"},
    {ONE(MSR_TSC_ADJUST), 0, tsc_adjust_read, tsc_adjust_write, "IA32_TSC_ADJUST"},
    {ONE(MSR_BIOS_UPDT_TRIG), 0, NULL, write_ignored, "IA32_BIOS_UPDT_TRIG"},
    {ONE(MSR_BIOS_SIGN_ID), 0, read_microcode, write_ignored, "IA32_BIOS_SIGN_ID"},
    {ONE(MSR_MTRRCAP), 0, msr_mtrr_read, NULL, "IA32_MTRRCAP"},
    {ONE(MSR_SYSENTER_CS), MSR_PASS, NULL, NULL, "IA32_SYSENTER_CS"},
    {ONE(MSR_SYSENTER_ESP), MSR_PASS, NULL, NULL, "IA32_SYSENTER_ESP"},
    {ONE(MSR_SYSENTER_EIP), MSR_PASS, NULL, NULL, "IA32_SYSENTER_EIP"},
    {ONE(MSR_MCG_CAP), 0, read_zero, NULL, "IA32_MCG_CAP"},
    {ONE(MSR_MCG_STATUS), 0, mcg_status_read, mcg_status_write, "IA32_MCG_STATUS"},
    {ONE(MSR_PERF_STATUS), 0, read_zero, NULL, "IA32_PERF_STATUS"},
    {ONE(MSR_MISC_ENABLE), 0, misc_enable_read, misc_enable_write, "IA32_MISC_ENABLE"},
    {ONE(MSR_DEBUGCTL), 0, debugctl_read, debugctl_write, "IA32_DEBUGCTL"},
    {MSR_LASTBRANCHFROMIP, MSR_LASTINTTOIP, 0, read_zero, NULL, "MSR_LASTBRANCH"},
    {MSR_MTRR_PHYSBASE(0), MSR_MTRR_PHYSMASK(MTRR_VARIABLE - 1), 0, msr_mtrr_read, msr_mtrr_write,
     "IA32_MTRR_PHYS"},
    {ONE(MSR_MTRR_FIX64K_00000), 0, msr_mtrr_read, msr_mtrr_write, "IA32_MTRR_FIX64K"},
    {MSR_MTRR_FIX16K_80000, MSR_MTRR_FIX16K_A0000, 0, msr_mtrr_read, msr_mtrr_write, "IA32_MTRR_FIX16K"},
    {MSR_MTRR_FIX4K_C0000, MSR_MTRR_FIX4K_C0000 + 7, 0, msr_mtrr_read, msr_mtrr_write, "IA32_MTRR_FIX4K"},
    {ONE(MSR_PAT), MSR_PASS, NULL, NULL, "IA32_PAT"},
    {ONE(MSR_MTRR_DEF_TYPE), 0, msr_mtrr_read, msr_mtrr_write, "IA32_MTRR_DEF_TYPE"},
    {ONE(MSR_TSC_DEADLINE), 0, apic_read, deadline_write, "IA32_TSC_DEADLINE"},
    {MSR_X2APIC_FIRST, MSR_X2APIC_FIRST + 0x3f, 0, apic_read, apic_write, "IA32_X2APIC"},
    {ONE(MSR_EFER), MSR_PASS, NULL, NULL, "IA32_EFER"},
    {ONE(MSR_STAR), MSR_PASS_READ, syscall_read, syscall_write, "IA32_STAR"},
    {ONE(MSR_LSTAR), MSR_PASS_READ, syscall_read, syscall_write, "IA32_LSTAR"},
    {ONE(MSR_CSTAR), MSR_PASS_READ, syscall_read, syscall_write, "IA32_CSTAR"},
    {ONE(MSR_FMASK), MSR_PASS_READ, syscall_read, syscall_write, "IA32_FMASK"},
    {ONE(MSR_FS_BASE), MSR_PASS, NULL, NULL, "IA32_FS_BASE"},
    {ONE(MSR_GS_BASE), MSR_PASS, NULL, NULL, "IA32_GS_BASE"},
    {ONE(MSR_KERNEL_GS_BASE), MSR_PASS, NULL, NULL, "IA32_KERNEL_GS_BASE"},
    {ONE(MSR_TSC_AUX), MSR_PASS_READ, syscall_read, syscall_write, "IA32_TSC_AUX"},
};
const unsigned msr_nr_rows = ARRAY_SIZE(msr_rows);
