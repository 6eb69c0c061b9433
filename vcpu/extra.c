/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of a vCPU that a VMCS does not hold. They stay live in the processor after an exit, the host
 * uses none of them; so they move only when another vCPU takes the CPU. And of these only what has to: a
 * guest's writes to MSRs that kernels write once exit, so that they need not be read, and are written where
 * the CPU holds another value; DR0 to DR3 are there only for a guest that has asked for them. */
#include "extra.h"

#include "exit.h"
#include "host.h"
#include "switch.h"
#include "x86.h"
#include "x86_ops.h"

#define GUEST_XCR0 (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)
#define NARROW_XCR0 (XCR0_X87 | XCR0_SSE) /* what FXSAVE knows */

static struct {
	bool xsave;
	u64 xcr0; /* states that guests may enable */
	unsigned area_order;
} fpu;

static const u32 syscall_msrs[VCPU_SYSCALL_MSRS] = {MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK, MSR_TSC_AUX};

void extra_enable(void)
{
	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (fpu.xsave ? CR4_OSXSAVE : 0));
}

void extra_init(void)
{
	fpu.xcr0 = NARROW_XCR0;
	fpu.xsave = cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_XSAVE;
	extra_enable();
	if (!fpu.xsave)
		return;
	struct cpuid_regs r = cpuid(CPUID_LEAF_XSAVE, 0);
	fpu.xcr0 = GUEST_XCR0 & ((u64)r.edx << 32 | r.eax);
	xsetbv(0, fpu.xcr0);
	u32 size = cpuid(CPUID_LEAF_XSAVE, 0).ebx;
	while ((PAGE_SIZE << fpu.area_order) < size)
		fpu.area_order++;
}

void extra_init_cpu(struct vcpu_cpu *c)
{
	c->xcr0 = XCR0_X87;
	if (fpu.xsave)
		xsetbv(0, XCR0_X87);
	for (unsigned i = 0; i < VCPU_SYSCALL_MSRS; i++)
		c->syscall[i] = rdmsr(syscall_msrs[i]);
}

u64 switch_xcr0_allowed(void)
{
	return fpu.xcr0;
}

/* ---- x87, SSE and beyond ---- */
static inline void xcr0_set(struct vcpu_cpu *c, u64 value)
{
	if (likely(c->xcr0 == value))
		return;
	c->xcr0 = value;
	xsetbv(0, value);
}

static inline void fxsave(void *area)
{
	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void xrstor_all(struct vcpu_cpu *c, const void *area)
{
	xcr0_set(c, fpu.xcr0);
	__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}

static inline void fpu_save(struct vcpu_cpu *c, struct vcpu_extra *x)
{
	if (!x->wide) {
		fxsave(x->xsave);
		return;
	}
	xcr0_set(c, fpu.xcr0);
	__asm__ volatile("xsave64 (%0)" : : "r"(x->xsave), "a"(~0u), "d"(~0u) : "memory");
}

/* What another guest has left in the states that a narrow one has never enabled it cannot read. */
static inline void fpu_load(struct vcpu_cpu *c, const struct vcpu_extra *x)
{
	if (x->wide)
		xrstor_all(c, x->xsave);
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(x->xsave) : "memory");
	xcr0_set(c, x->xcr0);
}

/* Offsets in the area (SDM volume 1, 10.5.1 and 13.4.2), values at power-up (volume 3, table 10-1). */
#define FXSAVE_FCW 0
#define FXSAVE_MXCSR 24
#define XSAVE_HEADER 512
#define XSAVE_HEADER_SIZE 64
static void fpu_reset_area(struct vcpu_extra *x)
{
	u8 *area = x->xsave;
	memset(area, 0, PAGE_SIZE << x->xsave_order);
	*(u16 *)(area + FXSAVE_FCW) = 0x37f;
	*(u32 *)(area + FXSAVE_MXCSR) = 0x1f80;
	x->xcr0 = XCR0_X87;
	x->wide = false;
}

void extra_set_xcr0(struct vcpu *v, u64 value)
{
	struct vcpu_cpu *c = this_cpu()->vcpu;
	struct vcpu_extra *x = &v->extra;
	if (!x->wide && (value & ~NARROW_XCR0)) {
		u8 *area = x->xsave;
		x->wide = true;
		fxsave(area);
		/* XSTATE_BV: the others get their initial values. */
		memset(area + XSAVE_HEADER, 0, XSAVE_HEADER_SIZE);
		*(u64 *)(area + XSAVE_HEADER) = NARROW_XCR0;
		xrstor_all(c, area);
	}
	x->xcr0 = value;
	xcr0_set(c, value);
}

/* ---- debug registers ---- */
/* DR6 is always there: the processor sets it. No breakpoint is enabled while DR0 to DR3 are not. */
void exit_mov_dr(struct vcpu *v)
{
	struct vcpu_extra *x = &v->extra;
	write_dr0(x->dr[0]);
	write_dr1(x->dr[1]);
	write_dr2(x->dr[2]);
	write_dr3(x->dr[3]);
	x->dr_live = true;
	event_set_control(&v->events, (u32)PROC_MOV_DR, false); /* the instruction is executed again */
}

static void dr_write_zeros(void)
{
	write_dr0(0);
	write_dr1(0);
	write_dr2(0);
	write_dr3(0);
}

/* They do not stay: a guest that has none would see in DR6 that it has met another one's. */
__attribute__((noinline)) static void dr_save(struct vcpu *v)
{
	struct vcpu_extra *x = &v->extra;
	x->dr[0] = read_dr0();
	x->dr[1] = read_dr1();
	x->dr[2] = read_dr2();
	x->dr[3] = read_dr3();
	dr_write_zeros();
	if (vmread(GUEST_DR7) & DR7_ENABLE_ALL)
		return;
	x->dr_live = false;
	event_set_control(&v->events, (u32)PROC_MOV_DR, true);
}

void extra_init_signal(struct vcpu *v)
{
	memset(v->extra.dr, 0, sizeof(v->extra.dr));
	dr_write_zeros();
	write_dr6(DR6_INIT);
	write_cr2(0);
}

/* ---- all of them; the vCPU's VMCS is current ---- */
void extra_save(struct vcpu_cpu *c, struct vcpu *v)
{
	struct vcpu_extra *x = &v->extra;
	x->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
	x->dr6 = read_dr6();
	x->cr2 = read_cr2();
	fpu_save(c, x);
	if (unlikely(x->dr_live)) /* both of these last: then no other path needs a frame */
		dr_save(v);
}

void extra_load(struct vcpu_cpu *c, struct vcpu *v)
{
	struct vcpu_extra *x = &v->extra;
#pragma GCC unroll 5
	for (unsigned i = 0; i < VCPU_SYSCALL_MSRS; i++)
		if (unlikely(c->syscall[i] != x->syscall[i])) {
			c->syscall[i] = x->syscall[i];
			wrmsr(syscall_msrs[i], x->syscall[i]);
		}
	wrmsr(MSR_KERNEL_GS_BASE, x->kernel_gs_base);
	write_dr6(x->dr6);
	write_cr2(x->cr2);
	fpu_load(c, x);
	if (unlikely(x->dr_live))
		exit_mov_dr(v);
}

/* ---- life ---- */
int extra_create(struct vcpu_extra *x)
{
	x->xsave_order = fpu.area_order;
	hpa_t pa = page_alloc_zeroed(x->xsave_order);
	if (pa == PAGE_NONE)
		return ERR_NOMEM;
	x->xsave = phys_to_virt(pa);
	x->dr6 = DR6_INIT;
	fpu_reset_area(x);
	return 0;
}

void extra_destroy(struct vcpu_extra *x)
{
	if (x->xsave)
		page_free(virt_to_phys(x->xsave), x->xsave_order);
	x->xsave = NULL;
}

void extra_reset(struct vcpu *v)
{
	struct vcpu_extra *x = &v->extra, fresh = {.xsave = x->xsave, .xsave_order = x->xsave_order};
	*x = fresh;
	x->dr6 = DR6_INIT;
	fpu_reset_area(x);
	dr_write_zeros();
	event_set_control(&v->events, (u32)PROC_MOV_DR, true);
	extra_load(this_cpu()->vcpu, v);
}
