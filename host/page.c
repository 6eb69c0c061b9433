/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the machine's free RAM. Each CPU keeps a few single pages for itself: most requests are for one,
 * and an EPT violation should not wait for the lock. */
#include "page.h"

#include "buddy.h"
#include "host.h"
#include "log.h"
#include "spinlock.h"

#define BATCH_ORDER 4u /* pages that a CPU takes at a time */

static struct {
	struct spinlock lock;
	struct buddy buddy;
	u64 nr_total;
	bool (*on_shortage)(void);
} pages;

static bool is_ours(const struct boot_mem *m)
{
	return m->type == BOOT_MEM_USABLE || m->type == BOOT_MEM_LOADER;
}

static void region_add(const struct boot_mem *m, u64 skip)
{
	u64 before = pages.buddy.nr_free;

	buddy_add(&pages.buddy, m->base + skip, m->length - skip);
	pages.nr_total += pages.buddy.nr_free - before;
}

void page_init(const struct boot_info *bi)
{
	const struct boot_mem *home = NULL;
	u64 low = UINT64_MAX, high = 0, count, skip;

	for (u32 i = 0; i < bi->nr_mem; i++)
		if (is_ours(&bi->mem[i])) {
			low = MIN(low, bi->mem[i].base);
			high = MAX(high, bi->mem[i].base + bi->mem[i].length);
		}
	count = high > low ? (high - low) >> PAGE_SHIFT : 0;
	skip = ALIGN_UP(count, PAGE_SIZE);
	for (u32 i = 0; i < bi->nr_mem && !home; i++) /* a place for the state bytes */
		if (bi->mem[i].type == BOOT_MEM_USABLE && bi->mem[i].length >= skip)
			home = &bi->mem[i];
	if (!home || !count)
		panic("no memory for the page allocator: %lu pages", count);
	buddy_init(&pages.buddy, low >> PAGE_SHIFT, count, phys_to_virt(home->base));
	for (u32 i = 0; i < bi->nr_mem; i++)
		if (bi->mem[i].type == BOOT_MEM_USABLE)
			region_add(&bi->mem[i], &bi->mem[i] == home ? skip : 0);
}

void page_reclaim_loader(const struct boot_info *bi)
{
	spin_lock(&pages.lock);
	for (u32 i = 0; i < bi->nr_mem; i++)
		if (bi->mem[i].type == BOOT_MEM_LOADER)
			region_add(&bi->mem[i], 0);
	spin_unlock(&pages.lock);
}

static hpa_t block_alloc(unsigned order)
{
	hpa_t pa;

	spin_lock(&pages.lock);
	pa = buddy_alloc(&pages.buddy, order);
	spin_unlock(&pages.lock);
	return pa;
}

static hpa_t single_alloc(void)
{
	struct cpu *c = this_cpu();
	hpa_t pa;

	if (unlikely(!c->pages_left)) {
		spin_lock(&pages.lock);
		pa = buddy_alloc_pages(&pages.buddy, BATCH_ORDER);
		if (pa == PAGE_NONE)
			pa = buddy_alloc(&pages.buddy, 0);
		else
			__atomic_store_n(&c->pages_left, 1u << BATCH_ORDER, __ATOMIC_RELAXED);
		c->pages_next = pa;
		spin_unlock(&pages.lock);
		if (!c->pages_left)
			return pa;
	}
	pa = c->pages_next;
	c->pages_next += PAGE_SIZE;
	__atomic_store_n(&c->pages_left, c->pages_left - 1, __ATOMIC_RELAXED);
	return pa;
}

/* This CPU gives back what it keeps: joined with others, it may be the block that is wanted. */
static bool singles_release(void)
{
	struct cpu *c = this_cpu();

	if (!c->pages_left)
		return false;
	while (c->pages_left) {
		page_free(c->pages_next, 0);
		c->pages_next += PAGE_SIZE;
		__atomic_store_n(&c->pages_left, c->pages_left - 1, __ATOMIC_RELAXED);
	}
	return true;
}

hpa_t page_alloc(unsigned order)
{
	hpa_t pa;

	ASSERT(order < BUDDY_ORDERS);
	pa = order ? block_alloc(order) : single_alloc();
	if (unlikely(pa == PAGE_NONE) && singles_release())
		pa = block_alloc(order);
	if (unlikely(pa == PAGE_NONE) && pages.on_shortage && pages.on_shortage())
		pa = block_alloc(order);
	return pa;
}

hpa_t page_alloc_below(unsigned order, hpa_t limit)
{
	hpa_t pa;

	ASSERT(order < BUDDY_ORDERS);
	spin_lock(&pages.lock);
	pa = buddy_alloc_below(&pages.buddy, order, limit);
	spin_unlock(&pages.lock);
	return pa;
}

void page_on_shortage(bool (*release)(void))
{
	pages.on_shortage = release;
}

hpa_t page_alloc_zeroed(unsigned order)
{
	hpa_t pa = page_alloc(order);

	if (pa != PAGE_NONE)
		memset(phys_to_virt(pa), 0, PAGE_SIZE << order);
	return pa;
}

void page_free(hpa_t pa, unsigned order)
{
	spin_lock(&pages.lock);
	buddy_free(&pages.buddy, pa, order);
	spin_unlock(&pages.lock);
}

int page_order(hpa_t pa)
{
	int order;

	spin_lock(&pages.lock);
	order = buddy_order(&pages.buddy, pa);
	spin_unlock(&pages.lock);
	return order;
}

u64 page_count_free(void)
{
	u64 n = __atomic_load_n(&pages.buddy.nr_free, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < cpu_count(); i++)
		n += __atomic_load_n(&cpu_get(i)->pages_left, __ATOMIC_RELAXED);
	return n;
}

u64 page_count_free_exact(void)
{
	u64 n;

	spin_lock(&pages.lock);
	n = page_count_free();
	spin_unlock(&pages.lock);
	return n;
}

u64 page_count_total(void)
{
	return pages.nr_total;
}

u64 page_highest(void)
{
	return pages.buddy.first + pages.buddy.count - 1;
}

void page_for_each_free(void (*fn)(void *opaque, hpa_t pa, unsigned order), void *opaque)
{
	spin_lock(&pages.lock);
	for (unsigned order = 0; order < BUDDY_ORDERS; order++)
		list_for_each(n, &pages.buddy.free[order]) fn(opaque, virt_to_phys(n), order);
	spin_unlock(&pages.lock);
}
