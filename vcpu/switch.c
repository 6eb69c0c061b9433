/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a vCPU onto and off a physical CPU: its VMCS, and the registers that a VMCS does not hold. Those
 * stay live in the processor after an exit, the host uses none of them; so they move only when
 * another vCPU takes the CPU. */
#include "switch.h"

#include "exit.h"
#include "host.h"
#include "log.h"
#include "x86.h"
#include "x86_ops.h"

#define GUEST_XCR0 (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)

static struct {
	bool xsave;
	u64 xcr0; /* states that guests may enable */
	unsigned area_order;
} fpu;

/* The leaves that guests choose their instructions by. */
static const u32 feature_leaves[] = {CPUID_LEAF_FEATURES, CPUID_LEAF_EXT_FEATURES, CPUID_LEAF_XSAVE,
				     CPUID_LEAF_EXT_FEATURES2, CPUID_LEAF_ADDR_SIZE};
static struct cpuid_regs features[ARRAY_SIZE(feature_leaves)];

/* Without what tells CPUs apart, or follows from their state. */
static struct cpuid_regs features_here(u32 leaf)
{
	struct cpuid_regs r = cpuid(leaf, 0);
	if (leaf == CPUID_LEAF_FEATURES) {
		r.ebx = 0;
		r.ecx &= ~(u32)CPUID1_ECX_OSXSAVE;
		r.edx &= ~(u32)CPUID1_EDX_APIC;
	}
	if (leaf == CPUID_LEAF_XSAVE)
		r.ebx = 0;
	return r;
}

static void fpu_enable(void)
{
	write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (fpu.xsave ? CR4_OSXSAVE : 0));
}

static void fpu_probe(void)
{
	fpu.xcr0 = XCR0_X87 | XCR0_SSE;
	fpu.xsave = cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_XSAVE;
	fpu_enable();
	if (!fpu.xsave)
		return;
	struct cpuid_regs r = cpuid(CPUID_LEAF_XSAVE, 0);
	fpu.xcr0 = GUEST_XCR0 & ((u64)r.edx << 32 | r.eax);
	xsetbv(0, fpu.xcr0);
	u32 size = cpuid(CPUID_LEAF_XSAVE, 0).ebx;
	while ((PAGE_SIZE << fpu.area_order) < size)
		fpu.area_order++;
	xsetbv(0, XCR0_X87);
}

/* The interrupt itself ends the guest's run or the wait; deadlines are looked at before every entry. */
static void apic_timer_fired(void *opaque)
{
	(void)opaque;
	this_cpu()->vcpu->apic_deadline = ~(u64)0; /* whatever it was armed for, it no longer is */
}

static int cpu_make(void)
{
	struct vcpu_cpu *c = heap_alloc(sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	c->apic_deadline = ~(u64)0;
	this_cpu()->vcpu = c;
	return 0;
}

int switch_init(void)
{
	int rc = cpu_make();
	if (rc)
		return rc;
	irq_register(IRQ_VECTOR_TIMER, apic_timer_fired, NULL);
	fpu_probe();
	for (unsigned i = 0; i < ARRAY_SIZE(feature_leaves); i++)
		features[i] = features_here(feature_leaves[i]);
	return 0;
}

int switch_init_cpu(void)
{
	fpu_enable();
	for (unsigned i = 0; i < ARRAY_SIZE(feature_leaves); i++) {
		struct cpuid_regs here = features_here(feature_leaves[i]);
		if (memcmp(&here, &features[i], sizeof(here)) != 0)
			return ERR_NOTSUP;
	}
	if (fpu.xsave)
		xsetbv(0, XCR0_X87);
	return cpu_make();
}

u64 switch_xcr0_allowed(void)
{
	return fpu.xcr0;
}

static void fpu_save(struct vcpu_extra *x)
{
	if (!fpu.xsave) {
		__asm__ volatile("fxsave64 (%0)" : : "r"(x->xsave) : "memory");
		return;
	}
	x->xcr0 = xgetbv(0);
	xsetbv(0, fpu.xcr0);
	__asm__ volatile("xsave64 (%0)" : : "r"(x->xsave), "a"(~0u), "d"(~0u) : "memory");
}

static void fpu_load(const struct vcpu_extra *x)
{
	if (!fpu.xsave) {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(x->xsave) : "memory");
		return;
	}
	xsetbv(0, fpu.xcr0);
	__asm__ volatile("xrstor64 (%0)" : : "r"(x->xsave), "a"(~0u), "d"(~0u) : "memory");
	xsetbv(0, x->xcr0);
}

/* FCW and MXCSR at power-up (SDM volume 3, table 10-1); XSTATE_BV 0 makes XRSTOR initialise the rest. */
#define FXSAVE_FCW 0
#define FXSAVE_MXCSR 24
static void fpu_reset_area(struct vcpu_extra *x)
{
	u8 *area = x->xsave;
	memset(area, 0, PAGE_SIZE << x->xsave_order);
	*(u16 *)(area + FXSAVE_FCW) = 0x37f;
	*(u32 *)(area + FXSAVE_MXCSR) = 0x1f80;
	x->xcr0 = XCR0_X87;
}

int switch_create(struct vcpu_extra *x)
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

void switch_destroy(struct vcpu_extra *x)
{
	if (x->xsave)
		page_free(virt_to_phys(x->xsave), x->xsave_order);
	x->xsave = NULL;
}

static void extra_save(struct vcpu_extra *x)
{
	x->star = rdmsr(MSR_STAR);
	x->lstar = rdmsr(MSR_LSTAR);
	x->cstar = rdmsr(MSR_CSTAR);
	x->fmask = rdmsr(MSR_FMASK);
	x->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
	x->tsc_aux = rdmsr(MSR_TSC_AUX);
	x->dr0 = read_dr0();
	x->dr1 = read_dr1();
	x->dr2 = read_dr2();
	x->dr3 = read_dr3();
	x->dr6 = read_dr6();
	x->cr2 = read_cr2();
	fpu_save(x);
}

static void extra_load(const struct vcpu_extra *x)
{
	wrmsr(MSR_STAR, x->star);
	wrmsr(MSR_LSTAR, x->lstar);
	wrmsr(MSR_CSTAR, x->cstar);
	wrmsr(MSR_FMASK, x->fmask);
	wrmsr(MSR_KERNEL_GS_BASE, x->kernel_gs_base);
	wrmsr(MSR_TSC_AUX, x->tsc_aux);
	write_dr0(x->dr0);
	write_dr1(x->dr1);
	write_dr2(x->dr2);
	write_dr3(x->dr3);
	write_dr6(x->dr6);
	write_cr2(x->cr2);
	fpu_load(x);
}

void switch_reset(struct vcpu *v)
{
	struct vcpu_extra *x = &v->extra, fresh = {.xsave = x->xsave, .xsave_order = x->xsave_order};
	*x = fresh;
	x->dr6 = DR6_INIT;
	fpu_reset_area(x);
	extra_load(x);
}

void vcpu_unload(struct vcpu *v)
{
	struct vcpu_cpu *c = this_cpu()->vcpu;
	if (v->vmcs.active_on != this_cpu())
		return;
	if (c->loaded == v) {
		extra_save(&v->extra);
		c->loaded = NULL;
	}
	vmcs_clear(&v->vmcs);
	v->loaded_on = NULL;
}

/* For the first time on this CPU, or again after another one: its VMCS still sends exits to that one's
 * stacks and tables, and this one may have kept translations from an earlier stay, its own or another
 * guest's whose numbers it has now. The order is ept.h's: the generation, then the invalidation. */
static void vcpu_arrive(struct vcpu *v)
{
	u64 gen = __atomic_load_n(&v->guest->ept.flush_gen, __ATOMIC_ACQUIRE);
	vmcs_write_host(this_cpu(), (u64)v->stack - 16);
	if (v->tracing)
		vmcs_set_exit_stub(true);
	if (v->vpid)
		vmx_invvpid_single(v->vpid);
	ept_invalidate(&v->guest->ept);
	__atomic_store_n(&v->ept_gen, gen, __ATOMIC_RELEASE);
	v->last_cpu = this_cpu();
}

void vcpu_load(struct vcpu *v)
{
	struct vcpu_cpu *c = this_cpu()->vcpu;
	if (c->loaded == v)
		return;
	if (c->loaded) {
		extra_save(&c->loaded->extra);
		c->loaded->loaded_on = NULL;
	}
	vmcs_load(&v->vmcs);
	c->loaded = v;
	v->loaded_on = this_cpu();
	v->cpu_deadline = timer_next_word();
	extra_load(&v->extra);
	if (unlikely(v->last_cpu != this_cpu()))
		vcpu_arrive(v);
}

void switch_forget_apic_timer(void)
{
	this_cpu()->vcpu->apic_deadline = ~(u64)0;
}

void switch_arm_apic_timer(u64 deadline)
{
	struct vcpu_cpu *c = this_cpu()->vcpu;
	if (likely(c->apic_deadline == deadline))
		return;
	c->apic_deadline = deadline;
	apic_timer_arm(deadline);
}
