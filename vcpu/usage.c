/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest costs beside its own memory. */
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
