/* SPDX-License-Identifier: Apache-2.0 */
/* The page tables that the hypervisor starts on (4-level paging, SDM vol. 3, 4.5): its image with the
 * rights of each segment, all RAM writable and not executable, and the page of loader_jump(). */
#include "elf64.h"
#include "loader.h"
#include "x86.h"
#include "x86_ops.h"

#define CHUNK_PAGES 64
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_A)

struct tables {
	struct loader *l;
	u64 root;
	u64 chunk, left; /* pages for tables, taken from the firmware in growing chunks */
	u64 chunk_pages;
	bool pages_1g;
};

static u64 *table_alloc(struct tables *t)
{
	if (!t->left) {
		if (EFI_ERROR(memory_alloc(t->l, t->chunk_pages * PAGE_SIZE, BOOT_MEM_LOADER, &t->chunk)))
			return NULL;
		t->left = t->chunk_pages;
		t->chunk_pages *= 2;
	}
	u64 *table = (u64 *)t->chunk;
	t->chunk += PAGE_SIZE;
	t->left--;
	return table;
}

static u64 level_size(unsigned level)
{
	return PAGE_SIZE << (9 * level); /* level 0: 4 KiB, 1: 2 MiB, 2: 1 GiB */
}

/* The largest page that va, pa and size allow. */
static unsigned level_for(const struct tables *t, u64 va, u64 pa, u64 size)
{
	for (unsigned level = t->pages_1g ? 2 : 1; level > 0; level--)
		if (IS_ALIGNED(va | pa, level_size(level)) && size >= level_size(level))
			return level;
	return 0;
}

/* The entry of va at `level`, its tables made where they are missing; NULL when out of memory. */
static u64 *entry_of(struct tables *t, u64 va, unsigned level)
{
	u64 *table = (u64 *)t->root;
	for (unsigned at = 3;; at--) {
		u64 *entry = &table[va >> (PAGE_SHIFT + 9 * at) & 511];
		if (at == level)
			return entry;
		if (!*entry) {
			u64 *next = table_alloc(t);
			if (!next)
				return NULL;
			*entry = (u64)next | TABLE_FLAGS;
		}
		table = (u64 *)(*entry & PTE_ADDR);
	}
}

static bool map(struct tables *t, u64 va, u64 pa, u64 size, u64 flags)
{
	while (size) {
		unsigned level = level_for(t, va, pa, size);
		u64 *entry = entry_of(t, va, level);
		if (!entry)
			return false;
		*entry = pa | flags | (level ? PTE_PS : 0);
		va += level_size(level);
		pa += level_size(level);
		size -= level_size(level);
	}
	return true;
}

static bool map_image(struct tables *t)
{
	const struct elf64_segment *s;
	for (unsigned i = 0; (s = payload_segment(i)); i++) {
		u64 pa = t->l->info->image_base + s->vaddr - VIRT_IMAGE;
		u64 flags =
		    PTE_P | PTE_A | (s->flags & ELF_W ? PTE_W | PTE_D : 0) | (s->flags & ELF_X ? 0 : PTE_NX);
		if (segment_is_loaded(s) && !map(t, s->vaddr, pa, ALIGN_UP(s->memsz, PAGE_SIZE), flags))
			return false;
	}
	return true;
}

/* RAM is what it is whoever owns it, so the map of this moment serves: only the types of its pieces
 * change until the firmware is left. Neighbours that differ in owner only are mapped as one. */
static bool map_ram(struct tables *t)
{
	const struct boot_info *info = t->l->info;
	for (unsigned i = 0; i < info->nr_mem;) {
		u64 base = info->mem[i].base, end = base;
		for (; i < info->nr_mem && info->mem[i].type <= BOOT_MEM_ACPI && info->mem[i].base == end;
		     i++)
			end += info->mem[i].length;
		if (base == end)
			i++;
		else if (!map(t, base + VIRT_DIRECT_MAP, base, end - base,
			      PTE_P | PTE_A | PTE_D | PTE_W | PTE_NX))
			return false;
	}
	return true;
}

EFI_STATUS loader_build_tables(struct loader *l)
{
	UINTN size, key, desc_size;
	struct tables t = {.l = l,
			   .chunk_pages = CHUNK_PAGES,
			   .pages_1g = cpuid(CPUID_LEAF_EXT_FEATURES2, 0).edx & CPUID80_1_EDX_PAGE1GB};
	t.root = (u64)table_alloc(&t);
	EFI_STATUS status = memory_fetch_map(l, &size, &key, &desc_size);
	if (!EFI_ERROR(status))
		memory_export(l, size, desc_size);
	u64 jump = ALIGN_DOWN((u64)loader_jump, PAGE_SIZE);
	if (EFI_ERROR(status) || !t.root || !map_image(&t) || !map_ram(&t) ||
	    !map(&t, jump, jump, PAGE_SIZE, PTE_P | PTE_A))
		return refuse(l, EFI_OUT_OF_RESOURCES, "out of memory: no room for page tables");
	l->cr3 = t.root;
	return EFI_SUCCESS;
}
