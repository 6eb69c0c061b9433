/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest costs: memory beside its own, exits, time. */
#include "guest.h"
#include "host.h"
#include "io_map.h"
#include "vcpu.h"

static u64 vcpu_usage(const struct vcpu *v)
{
	u64 pages = VCPU_STACK_PAGES + 1 /* VMCS */ + 1 /* virtual-APIC page */;
	pages += (u64)1 << v->extra.xsave_order;
	return heap_size(v) + heap_size(v->emulator) + heap_size(v->trace) + (pages << PAGE_SHIFT);
}

u64 guest_usage(const struct guest *g)
{
	u64 bytes = (g->ept.table_pages << PAGE_SHIFT) + io_map_size(g->io) + heap_size(g->cpuid);
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		bytes += vcpu_usage(g->vcpus[i]);
	return bytes;
}

static u64 vcpu_meter(const struct vcpu *v, u32 which)
{
	struct task_times t = task_times(&v->task);
	u64 exits = 0;
	if (which < VCPU_EXIT_REASONS)
		return v->exits[which];
	for (unsigned r = 0; r < VCPU_EXIT_REASONS; r++)
		exits += v->exits[r];
	return which == GUEST_METER_EXITS        ? exits
	       : which == GUEST_METER_RUN        ? t.run
	       : which == GUEST_METER_HYPERVISOR ? t.hypervisor
						 : 0;
}

u64 guest_meter(const struct guest *g, u32 which)
{
	u64 sum = which == GUEST_METER_BILLED ? __atomic_load_n(&g->group.billed, __ATOMIC_RELAXED) : 0;
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		sum += vcpu_meter(g->vcpus[i], which);
	return sum;
}
