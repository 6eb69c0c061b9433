/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the addresses from VIRT_DYNAMIC: slots for stacks, then device memory. A freed slot is used
 * again only when every CPU has emptied its TLB since (an epoch counter; interrupts are sent only when
 * another page table would be needed else). */
#include "host.h"
#include "log.h"
#include "paging.h"
#include "spinlock.h"
#include "x86.h"
#include "x86_ops.h"

#define SLOT_PAGES 16u /* the lowest is the guard */
#define MAX_STACKS 4096u
#define SLOT_USED UINT64_MAX
#define SLOTS_OF_TABLE (unsigned)(PAGE_SIZE_2M / (SLOT_PAGES * PAGE_SIZE)) /* that one page table maps */
#define SYNC_NS 20000000u
#define DEVICES (VIRT_DYNAMIC + PAGE_SIZE_1G)
#define DEVICES_END (VIRT_DYNAMIC + (PAGE_SIZE_1G << 10))
_Static_assert(MAX_STACKS *SLOT_PAGES *PAGE_SIZE <= PAGE_SIZE_1G, "stacks end below DEVICES");

static struct {
	struct spinlock lock;
	u64 epoch;               /* one more for each stack freed */
	u64 free_at[MAX_STACKS]; /* epoch in which the slot became free, or SLOT_USED */
	unsigned reach;          /* the slots below it have page tables */
	u64 device_used;         /* bytes from DEVICES */
} vmap;

void vmap_sync(void)
{
	struct cpu *c = this_cpu();
	u64 now = __atomic_load_n(&vmap.epoch, __ATOMIC_ACQUIRE);

	if (likely(c->tlb_epoch == now))
		return;
	write_cr3(read_cr3()); /* stacks are not mapped global */
	__atomic_store_n(&c->tlb_epoch, now, __ATOMIC_RELEASE);
}

static u64 epoch_seen_by_all(void)
{
	u64 seen = vmap.epoch;

	for (unsigned i = 0; i < cpu_count(); i++)
		seen = MIN(seen, __atomic_load_n(&cpu_get(i)->tlb_epoch, __ATOMIC_ACQUIRE));
	return seen;
}

/* The lowest one below the limit. Some: there would be one, but for a CPU that has long had no interrupt. */
static int slot_search(unsigned *slot, unsigned limit, bool *some)
{
	u64 seen;
	int err = ERR_NOMEM;

	vmap_sync();
	spin_lock(&vmap.lock);
	seen = epoch_seen_by_all();
	*some = false;
	for (unsigned i = 0; i < limit && err; i++) {
		*some |= vmap.free_at[i] != SLOT_USED;
		if (vmap.free_at[i] <= seen) {
			vmap.free_at[i] = SLOT_USED;
			vmap.reach = MAX(vmap.reach, ALIGN_UP(i + 1, SLOTS_OF_TABLE));
			*slot = i;
			err = 0;
		}
	}
	spin_unlock(&vmap.lock);
	return err;
}

/* Page tables stay where they were needed once, so there are to be no more of them than what is used at once
 * needs: rather than make another one, CPUs that have long had no interrupt are sent one. The wait has an end
 * because one of them may wait for us. */
static int slot_take(unsigned *slot)
{
	bool some;
	u64 start;

	if (likely(!slot_search(slot, vmap.reach, &some)))
		return 0;
	for (unsigned i = 0; some && i < cpu_count(); i++)
		cpu_kick(i);
	for (start = rdtsc(); some && rdtsc() - start < ns_to_tsc(SYNC_NS); cpu_pause())
		if (!slot_search(slot, vmap.reach, &some))
			return 0;
	return slot_search(slot, MAX_STACKS, &some);
}

static void slot_give(unsigned slot)
{
	spin_lock(&vmap.lock);
	vmap.free_at[slot] = __atomic_add_fetch(&vmap.epoch, 1, __ATOMIC_RELEASE);
	spin_unlock(&vmap.lock);
}

static u64 slot_top(unsigned slot)
{
	return VIRT_DYNAMIC + (u64)(slot + 1) * SLOT_PAGES * PAGE_SIZE;
}

static void pages_drop(u64 top, unsigned pages)
{
	for (unsigned i = 1; i <= pages; i++)
		page_free(paging_unmap_page(top - i * PAGE_SIZE), 0);
}

void *stack_alloc(unsigned pages)
{
	unsigned slot;
	u64 top;

	ASSERT(pages && pages < SLOT_PAGES);
	if (slot_take(&slot))
		return NULL;
	top = slot_top(slot);
	for (unsigned i = 1; i <= pages; i++) {
		hpa_t pa = page_alloc(0);

		if (pa != PAGE_NONE &&
		    !paging_map(top - i * PAGE_SIZE, pa, PAGE_SIZE, PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX))
			continue;
		if (pa != PAGE_NONE)
			page_free(pa, 0);
		pages_drop(top, i - 1);
		slot_give(slot);
		return NULL;
	}
	return (void *)top;
}

void stack_free(void *top, unsigned pages)
{
	unsigned slot = (unsigned)(((u64)top - VIRT_DYNAMIC) / (SLOT_PAGES * PAGE_SIZE)) - 1;

	ASSERT(slot < MAX_STACKS && slot_top(slot) == (u64)top && vmap.free_at[slot] == SLOT_USED);
	pages_drop((u64)top, pages);
	slot_give(slot);
}

/* An address from a firmware's table may be wider than the CPU has wires: a reserved bit in a PTE. */
static bool is_physical(hpa_t pa, u64 size)
{
	u64 end = BIT(cpuid(CPUID_LEAF_ADDR_SIZE, 0).eax & 0xff);

	return size && pa < end && size <= end - pa;
}

void *vmap_device(hpa_t pa, u64 size, u64 flags)
{
	u64 first = ALIGN_DOWN(pa, PAGE_SIZE), length = ALIGN_UP(pa + size, PAGE_SIZE) - first, va;

	if (!is_physical(pa, size))
		return NULL;
	spin_lock(&vmap.lock);
	va = DEVICES + vmap.device_used;
	if (length >= PAGE_SIZE_2M) /* the same offset in a large page, so that large pages serve */
		va = ALIGN_UP(va, PAGE_SIZE_2M) + (first & (PAGE_SIZE_2M - 1));
	if (length <= DEVICES_END - va)
		vmap.device_used = va + length - DEVICES;
	else
		va = 0;
	spin_unlock(&vmap.lock);
	if (!va || paging_map(va, first, length, PTE_P | PTE_W | PTE_A | PTE_D | PTE_NX | flags))
		return NULL;
	return (void *)(va + (pa - first));
}

void *mmio_map(hpa_t pa, size_t size)
{
	return vmap_device(pa, size, PTE_PCD | PTE_PWT); /* uncacheable whatever the MTRRs say */
}
