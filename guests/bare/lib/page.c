/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's own page tables, and a bump allocator over the RAM behind the image. */
#include "page.h"
#include "multiboot.h"
#include "print.h"
#include "test.h"
#include "trap.h"

#define POOL_PAGES 128

extern char image_end[];

static u64 pool[POOL_PAGES][512] __attribute__((aligned(4096)));
static unsigned pool_used;
static u64 free_start;

static u64 *table_alloc(void)
{
	if (pool_used == POOL_PAGES) {
		print("page.c: out of page tables\n");
		guest_exit(EXIT_CRASHED);
	}
	return pool[pool_used++];
}

/* The table below the entry; splits a large page of the given size (bytes covered by the entry / 512). */
static u64 *table_below(u64 *entry, u64 step)
{
	u64 *t;

	if ((*entry & PTE_P) && !(*entry & PTE_PS))
		return (u64 *)(*entry & PTE_ADDR);
	t = table_alloc();
	if (*entry & PTE_P) {
		u64 keep = step == PAGE_SIZE ? *entry & ~PTE_PS : *entry;

		for (unsigned i = 0; i < 512; i++)
			t[i] = keep + i * step;
	}
	*entry = (u64)t | PTE_RAM;
	return t;
}

u64 *page_entry(u64 va)
{
	u64 *t = table_below(&boot_pml4[va >> 39 & 511], BIT(30));

	t = table_below(&t[va >> 30 & 511], BIT(21));
	t = table_below(&t[va >> 21 & 511], PAGE_SIZE);
	return &t[va >> 12 & 511];
}

void page_map(u64 va, u64 pa, u64 flags)
{
	*page_entry(va) = pa | flags;
	invlpg((void *)va);
}

void page_unmap(u64 va)
{
	*page_entry(va) = 0;
	invlpg((void *)va);
}

unsigned page_phys_bits(void)
{
	if (cpuid(0x80000000, 0).eax < 0x80000008)
		return 36;
	return cpuid(0x80000008, 0).eax & 0xff;
}

static u64 align_page(u64 n)
{
	return (n + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static void find_free(void)
{
	const struct multiboot_module *m = (const void *)(u64)multiboot_info->mods_addr;

	free_start = (u64)image_end;
	if (!(multiboot_info->flags & MULTIBOOT_HAS_MODULES))
		return;
	for (u32 i = 0; i < multiboot_info->mods_count; i++) {
		if (m[i].end > free_start)
			free_start = m[i].end;
	}
}

void mem_free_range(u64 *start, u64 *end)
{
	if (!free_start)
		find_free();
	*start = align_page(free_start);
	*end = ((u64)1024 + multiboot_info->mem_upper) * 1024 & ~(PAGE_SIZE - 1);
}

void *mem_alloc(u64 pages)
{
	u64 start, end;

	mem_free_range(&start, &end);
	if (start + pages * PAGE_SIZE > end)
		return NULL;
	free_start = start + pages * PAGE_SIZE;
	return memset((void *)start, 0, pages * PAGE_SIZE);
}
