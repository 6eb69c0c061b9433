/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID: the answers are computed once for each guest from the policy table; an exit looks one up. */
#include "cpuid.h"

#include "cpuid_table.h"
#include "exit.h"
#include "host.h"
#include "lapic_regs.h"
#include "log.h"
#include "switch.h"
#include "x86_ops.h"

#define POLICY_ENTRIES 48
#define RANGE_LEAVES 32 /* of each range */
#define NO_ENTRY 0xff
#define XSAVE_LEGACY_SIZE 576u /* x87 and SSE state, and the header */
#define XSAVE_ALIGNED 2u       /* leaf 0xd, ECX: this part starts on 64 bytes */

struct cpuid_entry {
	u32 subleaf;
	u32 flags;
	u32 reg[4];
	bool more; /* the next entry is another subleaf of this leaf */
};

enum { RANGE_BASIC, RANGE_SOCLE, RANGE_EXTENDED, RANGE_KVM, RANGES };

struct cpuid_policy {
	u8 first[RANGES][RANGE_LEAVES];
	u8 beyond; /* answer for basic leaves beyond the last: the last basic leaf (SDM) */
	unsigned nr;
	u64 cr4_allowed, efer_allowed;
	unsigned phys_bits;
	struct cpuid_entry entries[POLICY_ENTRIES];
};

static const struct cpuid_entry zero_entry;

/* 0, 0x40000000, 0x80000000, 0x40000100 and RANGE_LEAVES from there; RANGES for none. */
static inline unsigned leaf_range(u32 leaf)
{
	static const u32 bases[RANGES] = {0, CPUID_LEAF_HV_BASE, CPUID_LEAF_EXT_MAX, CPUID_LEAF_KVM_BASE};
	unsigned range = 0;
	while (range < RANGES && leaf - bases[range] >= RANGE_LEAVES)
		range++;
	return range;
}

static const struct cpuid_entry *cpuid_entry(const struct cpuid_policy *p, u8 i)
{
	return i == NO_ENTRY ? &zero_entry : &p->entries[i];
}

/* The entry of a leaf; where the leaf is indexed, its first. Beyond the highest leaf the answer is that
 * of the highest basic one (SDM volume 2A, CPUID). */
static inline const struct cpuid_entry *cpuid_leaf(const struct cpuid_policy *p, u32 leaf)
{
	if (likely(leaf <= CPUID_LEAF_FREQUENCY))
		return cpuid_entry(p, p->first[0][leaf]);
	unsigned range = leaf_range(leaf);
	if (range == RANGE_BASIC || range == RANGES)
		return cpuid_entry(p, p->beyond);
	return cpuid_entry(p, p->first[range][leaf % RANGE_LEAVES]);
}

static const struct cpuid_entry *cpuid_subleaf(const struct cpuid_entry *e, u32 subleaf)
{
	while (e->subleaf != subleaf) {
		if (!e->more)
			return &zero_entry;
		e++;
	}
	return e;
}

/* Size of the compacted XSAVE area for what XCR0 enables (SDM volume 1, 13.4.3). */
static u32 xsave_compacted_size(u64 xcr0)
{
	u32 size = XSAVE_LEGACY_SIZE;
	for (unsigned i = 2; i < 32; i++) {
		if (!(xcr0 & BIT(i)))
			continue;
		struct cpuid_regs part = cpuid(CPUID_LEAF_XSAVE, i);
		if (part.ecx & XSAVE_ALIGNED)
			size = ALIGN_UP(size, 64u);
		size += part.eax;
	}
	return size;
}

/* XCR0 holds the guest's value now, IA32_XSS is 0. */
static void dynamic_xsave(u32 subleaf, u32 *reg)
{
	struct cpuid_regs host = cpuid(CPUID_LEAF_XSAVE, 0);
	if (subleaf == 0) {
		reg[CPUID_EBX] = host.ebx;
		reg[CPUID_ECX] = host.ecx;
	} else if (reg[CPUID_EAX] & CPUIDD1_EAX_XSAVEC) {
		reg[CPUID_EBX] = xsave_compacted_size(xgetbv(0));
	}
}

static void cpuid_dynamic(struct vcpu *v, u32 leaf, u32 subleaf, u32 *reg)
{
	switch (leaf) {
	case CPUID_LEAF_FEATURES:
		reg[CPUID_EBX] |= v->id << 24;
		if (vmread(GUEST_CR4) & CR4_OSXSAVE)
			reg[CPUID_ECX] |= (u32)CPUID1_ECX_OSXSAVE;
		if (v->lapic.base & LAPIC_BASE_ENABLE)
			reg[CPUID_EDX] |= (u32)CPUID1_EDX_APIC;
		break;
	case CPUID_LEAF_TOPOLOGY:
		reg[CPUID_EDX] = v->id;
		break;
	case CPUID_LEAF_XSAVE:
		dynamic_xsave(subleaf, reg);
		break;
	case CPUID_LEAF_EXT_FEATURES2:
		/* Intel: SYSCALL is reported in 64-bit mode only. */
		if (vcpu_mode_bits() != 64)
			reg[CPUID_EDX] &= ~(u32)CPUID80_1_EDX_SYSCALL;
		break;
	default:
		break;
	}
}

__attribute__((noinline)) static void cpuid_slow(struct vcpu *v, const struct cpuid_entry *e, u32 leaf,
						 u32 subleaf)
{
	u32 reg[4];
	if (e->flags & CPUID_INDEXED)
		e = cpuid_subleaf(e, subleaf);
	memcpy(reg, e->reg, sizeof(reg));
	if (e->flags & CPUID_DYNAMIC)
		cpuid_dynamic(v, leaf, subleaf, reg);
	/* Leaf 0xb: ECX echoes the subleaf and EDX the APIC ID for every subleaf. */
	if (leaf == CPUID_LEAF_TOPOLOGY && e == &zero_entry) {
		reg[CPUID_ECX] = subleaf & 0xff;
		reg[CPUID_EDX] = v->id;
	}
	v->regs[REG_RAX] = reg[CPUID_EAX];
	v->regs[REG_RBX] = reg[CPUID_EBX];
	v->regs[REG_RCX] = reg[CPUID_ECX];
	v->regs[REG_RDX] = reg[CPUID_EDX];
}

void exit_cpuid(struct vcpu *v)
{
	u64 *regs = v->regs;
	u32 leaf = (u32)regs[REG_RAX];
	const struct cpuid_entry *e = cpuid_leaf(v->guest->cpuid, leaf);
	if (unlikely(e->flags & (CPUID_DYNAMIC | CPUID_INDEXED))) {
		cpuid_slow(v, e, leaf, (u32)regs[REG_RCX]);
	} else {
		u32 a = e->reg[CPUID_EAX], b = e->reg[CPUID_EBX], c = e->reg[CPUID_ECX];
		regs[REG_RDX] = e->reg[CPUID_EDX];
		regs[REG_RAX] = a;
		regs[REG_RBX] = b;
		regs[REG_RCX] = c;
	}
	vcpu_skip();
}

/* ---- making the policy ---- */
/* Leaves 0x15 and 0x16: the crystal, which is also the clock of the guest's APIC timer, is the TSC itself.
 * The rate is the measured one: the host's own leaves may be wrong under emulation. A rate that does
 * not fit leaves the leaf empty, which means "not enumerated". */
static void cpuid_calculate(struct cpuid_policy *p, struct cpuid_entry *e, u32 leaf)
{
	u64 hz = tsc_hz();
	switch (leaf) {
	case CPUID_LEAF_TSC:
		e->reg[CPUID_EAX] = e->reg[CPUID_EBX] = hz >> 32 ? 0 : 1;
		e->reg[CPUID_ECX] = hz >> 32 ? 0 : (u32)hz;
		break;
	case CPUID_LEAF_FREQUENCY:
		e->reg[CPUID_EAX] = e->reg[CPUID_EBX] = (u32)(hz / 1000000);
		e->reg[CPUID_ECX] = 100;
		break;
	case CPUID_LEAF_ADDR_SIZE:
		/* 4-level EPT translates 48 bits (SDM volume 3, 29.3.2). */
		p->phys_bits = MIN(e->reg[CPUID_EAX] & 0xff, 48u);
		e->reg[CPUID_EAX] = (e->reg[CPUID_EAX] & 0xff00) | p->phys_bits;
		break;
	default:
		break;
	}
}

/* A processor that contradicts itself about the compacted format gets it wrong: an emulated one does, and
 * its XSAVEC loses registers. XCR0 may be whatever some guest left there; IA32_XSS is 0. */
static bool xsavec_trusted(void)
{
	if (!(read_cr4() & CR4_OSXSAVE))
		return false;
	u64 xcr0 = xgetbv(0);
	xsetbv(0, switch_xcr0_allowed());
	bool same = cpuid(CPUID_LEAF_XSAVE, 1).ebx == xsave_compacted_size(switch_xcr0_allowed());
	xsetbv(0, xcr0);
	return same;
}

static void cpuid_without(struct cpuid_entry *e, u32 leaf, const struct vmx_caps *caps)
{
	if (leaf == CPUID_LEAF_EXT_FEATURES && !caps->invpcid)
		e->reg[CPUID_EBX] &= ~(u32)CPUID7_EBX_INVPCID;
	if (leaf == CPUID_LEAF_EXT_FEATURES && !caps->rdtscp)
		e->reg[CPUID_ECX] &= ~(u32)CPUID7_ECX_RDPID;
	if (leaf == CPUID_LEAF_EXT_FEATURES2 && !caps->rdtscp)
		e->reg[CPUID_EDX] &= ~(u32)CPUID80_1_EDX_RDTSCP;
	if (leaf == CPUID_LEAF_KVM_FEATURES && !tsc_stable())
		e->reg[CPUID_EAX] &= ~(u32)CPUIDKVM_EAX_STABLE;
	if (leaf == CPUID_LEAF_XSAVE && e->subleaf == 1 && !xsavec_trusted())
		e->reg[CPUID_EAX] &= ~(u32)CPUIDD1_EAX_XSAVEC;
}

/* One package with a core for each vCPU. The width of a package's ids is a power of two, from 0 on as in
 * the MADT; leaves 1, 4 and 0xb say the same in their three ways. Caches of level 3 are shared. */
static void cpuid_topology(struct cpuid_entry *e, u32 leaf, unsigned vcpus)
{
	u32 shift = vcpus > 1 ? bit_last(vcpus - 1) + 1 : 0, ids = 1u << shift;
	u32 *eax = &e->reg[CPUID_EAX], *ebx = &e->reg[CPUID_EBX];
	switch (leaf) {
	case CPUID_LEAF_FEATURES:
		*ebx |= ids << 16;
		if (vcpus > 1)
			e->reg[CPUID_EDX] |= (u32)CPUID1_EDX_HTT;
		break;
	case CPUID_LEAF_CACHE:
		if (*eax & 0x1f)
			*eax |= (ids - 1) << 26 | ((*eax >> 5 & 7) >= 3 ? (ids - 1) << 14 : 0);
		break;
	case CPUID_LEAF_TOPOLOGY:
		if (e->subleaf == 1) {
			*eax = shift;
			*ebx = vcpus;
		}
		break;
	default:
		break;
	}
}

static void cpuid_add(struct cpuid_policy *p, const struct cpuid_row *row, const struct vmx_caps *caps,
		      const struct guest_config *config)
{
	struct cpuid_regs host = cpuid(row->leaf, row->subleaf);
	const u32 answer[] = {host.eax, host.ebx, host.ecx, host.edx};
	struct cpuid_entry *e = &p->entries[p->nr];
	u8 *first = &p->first[leaf_range(row->leaf)][row->leaf % RANGE_LEAVES];
	for (unsigned r = 0; r < 4; r++)
		e->reg[r] = (answer[r] & row->mask[r]) | row->set[r];
	e->subleaf = row->subleaf;
	e->flags = row->flags;
	if (row->leaf == CPUID_LEAF_VENDOR)
		e->reg[CPUID_EAX] = MIN(host.eax, row->set[CPUID_EAX]);
	if (row->leaf == CPUID_LEAF_FEATURES && config->hypervisor_cpuid)
		e->reg[CPUID_ECX] |= (u32)CPUID1_ECX_HYPERVISOR;
	if (row->flags & CPUID_CALCULATED) {
		e->reg[CPUID_EAX] = host.eax;
		cpuid_calculate(p, e, row->leaf);
	}
	cpuid_topology(e, row->leaf, config->vcpus);
	cpuid_without(e, row->leaf, caps);
	if (*first == NO_ENTRY)
		*first = (u8)p->nr;
	else
		p->entries[p->nr - 1].more = true;
	if (row->leaf < CPUID_LEAF_HV_BASE && row->leaf <= 0x16)
		p->beyond = (u8)p->nr;
	p->nr++;
}

static bool has(const struct cpuid_policy *p, u32 leaf, unsigned reg, u64 bit)
{
	return cpuid_leaf(p, leaf)->reg[reg] & bit;
}

static void cpuid_derive(struct cpuid_policy *p)
{
	const struct {
		u32 leaf;
		unsigned reg;
		u64 bit, cr4;
	} cr4_rows[] = {
	    {1, CPUID_EDX, CPUID1_EDX_VME, CR4_VME | CR4_PVI},
	    {1, CPUID_EDX, CPUID1_EDX_TSC, CR4_TSD},
	    {1, CPUID_EDX, CPUID1_EDX_DE, CR4_DE},
	    {1, CPUID_EDX, CPUID1_EDX_PSE, CR4_PSE},
	    {1, CPUID_EDX, CPUID1_EDX_PAE, CR4_PAE},
	    {1, CPUID_EDX, CPUID1_EDX_MCE, CR4_MCE},
	    {1, CPUID_EDX, CPUID1_EDX_PGE, CR4_PGE},
	    {1, CPUID_EDX, CPUID1_EDX_FXSR, CR4_OSFXSR},
	    {1, CPUID_EDX, CPUID1_EDX_SSE, CR4_OSXMMEXCPT},
	    {7, CPUID_ECX, CPUID7_ECX_UMIP, CR4_UMIP},
	    {7, CPUID_EBX, CPUID7_EBX_FSGSBASE, CR4_FSGSBASE},
	    {1, CPUID_ECX, CPUID1_ECX_PCID, CR4_PCIDE},
	    {1, CPUID_ECX, CPUID1_ECX_XSAVE, CR4_OSXSAVE},
	    {7, CPUID_EBX, CPUID7_EBX_SMEP, CR4_SMEP},
	    {7, CPUID_EBX, CPUID7_EBX_SMAP, CR4_SMAP},
	};
	p->cr4_allowed = CR4_PCE; /* RDPMC faults anyway; every processor since the P6 has the bit */
	for (size_t i = 0; i < ARRAY_SIZE(cr4_rows); i++)
		if (has(p, cr4_rows[i].leaf, cr4_rows[i].reg, cr4_rows[i].bit))
			p->cr4_allowed |= cr4_rows[i].cr4;
	p->efer_allowed = EFER_SCE | EFER_LME | EFER_LMA;
	if (has(p, CPUID_LEAF_EXT_FEATURES2, CPUID_EDX, CPUID80_1_EDX_NX))
		p->efer_allowed |= EFER_NXE;
}

/* Leaves above the highest of a range, and the hypervisor's range where there is none for the guest: as the
 * processor answers them. */
static void cpuid_fill_beyond(struct cpuid_policy *p, bool hypervisor)
{
	const u32 from[] = {
	    cpuid_leaf(p, CPUID_LEAF_VENDOR)->reg[CPUID_EAX] + 1,
	    hypervisor ? RANGE_LEAVES : 0,
	    (cpuid_leaf(p, CPUID_LEAF_EXT_MAX)->reg[CPUID_EAX] & 0x0fffffff) + 1,
	    hypervisor ? RANGE_LEAVES : 0,
	};
	for (unsigned range = 0; range < ARRAY_SIZE(from); range++)
		for (u32 i = from[range]; i < RANGE_LEAVES; i++)
			p->first[range][i] = p->beyond;
}

struct cpuid_policy *cpuid_create(const struct guest_config *config, const struct vmx_caps *caps)
{
	struct cpuid_policy *p = heap_alloc(sizeof(*p));
	u32 max = cpuid(0, 0).eax;
	if (!p)
		return NULL;
	memset(p->first, NO_ENTRY, sizeof(p->first));
	p->beyond = NO_ENTRY;
	for (unsigned i = 0; i < cpuid_nr_rows; i++) {
		const struct cpuid_row *row = &cpuid_rows[i];
		if (!config->hypervisor_cpuid && (row->flags & CPUID_HYPERVISOR))
			continue;
		if (row->leaf < CPUID_LEAF_HV_BASE && row->leaf > max)
			continue;
		ASSERT(p->nr < POLICY_ENTRIES);
		cpuid_add(p, row, caps, config);
	}
	cpuid_derive(p);
	cpuid_fill_beyond(p, config->hypervisor_cpuid);
	return p;
}

void cpuid_destroy(struct cpuid_policy *p)
{
	heap_free(p);
}

u64 cpuid_cr4_allowed(const struct cpuid_policy *p)
{
	return p->cr4_allowed;
}

u64 cpuid_efer_allowed(const struct cpuid_policy *p)
{
	return p->efer_allowed;
}

unsigned cpuid_phys_bits(const struct cpuid_policy *p)
{
	return p->phys_bits;
}
