/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a vCPU onto and off a physical CPU: its VMCS, and the registers that a VMCS does not hold
 * (extra.c). */
#include "switch.h"

#include "exit.h"
#include "extra.h"
#include "host.h"
#include "log.h"
#include "x86.h"
#include "x86_ops.h"

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

/* The interrupt itself ends the guest's run or the wait; deadlines are looked at before every entry. */
static void apic_timer_fired(void *opaque)
{
	(void)opaque;
}

static int cpu_make(void)
{
	struct vcpu_cpu *c = heap_alloc(sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	extra_init_cpu(c);
	this_cpu()->vcpu = c;
	return 0;
}

int switch_init(void)
{
	extra_init();
	int rc = cpu_make();
	if (rc)
		return rc;
	irq_register(IRQ_VECTOR_TIMER, apic_timer_fired, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(feature_leaves); i++)
		features[i] = features_here(feature_leaves[i]);
	return 0;
}

int switch_init_cpu(void)
{
	extra_enable(); /* some of the leaves tell of it */
	for (unsigned i = 0; i < ARRAY_SIZE(feature_leaves); i++) {
		struct cpuid_regs here = features_here(feature_leaves[i]);
		if (memcmp(&here, &features[i], sizeof(here)) != 0)
			return ERR_NOTSUP;
	}
	return cpu_make();
}

void vcpu_unload(struct vcpu *v)
{
	struct vcpu_cpu *c = this_cpu()->vcpu;
	if (v->vmcs.active_on != this_cpu())
		return;
	if (c->loaded == v) {
		extra_save(c, v);
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
		extra_save(c, c->loaded);
		c->loaded->loaded_on = NULL;
	}
	vmcs_load(&v->vmcs);
	c->loaded = v;
	v->loaded_on = this_cpu();
	v->cpu_deadline = timer_next_word();
	extra_load(c, v);
	if (unlikely(v->last_cpu != this_cpu()))
		vcpu_arrive(v);
}
