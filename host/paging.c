/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the hypervisor's page tables (4-level paging, SDM vol. 3, 4.5). No page is both writable and
 * executable, also not by two addresses: the direct map shows the image read-only. */
#include "paging.h"

#include "console.h"
#include "host.h"
#include "log.h"
#include "page.h"
#include "spinlock.h"
#include "start.h"
#include "x86.h"
#include "x86_ops.h"

#define TOP_LEVEL 3 /* level 0 maps 4 KiB pages, 1: 2 MiB, 2: 1 GiB */
#define INDEX_BITS 9
#define TABLE_FLAGS (PTE_P | PTE_W | PTE_A)
#define FLAGS_CODE (PTE_P | PTE_A | PTE_G)
#define FLAGS_READ (FLAGS_CODE | PTE_NX)
#define FLAGS_DATA (FLAGS_READ | PTE_W | PTE_D)

static struct {
	struct spinlock lock; /* of the tables above the last level */
	u64 *root;
	bool pages_1g;
	const struct boot_info *bi;
} paging;

static u64 level_size(unsigned level)
{
	return PAGE_SIZE << (INDEX_BITS * level);
}

static u64 *slot(u64 *table, u64 va, unsigned level)
{
	return &table[va >> (PAGE_SHIFT + INDEX_BITS * level) & (BIT(INDEX_BITS) - 1)];
}

/* The entry for va at `level`, with the tables above it made where they are missing. */
static u64 *entry_make(u64 va, unsigned level)
{
	u64 *table = paging.root;
	unsigned at = TOP_LEVEL;

	while (at > level) {
		u64 *e = slot(table, va, at--);

		if (!(*e & PTE_P)) {
			hpa_t next = page_alloc_zeroed(0);

			if (next == PAGE_NONE)
				return NULL;
			*e = next | TABLE_FLAGS;
		}
		ASSERT(!(*e & PTE_PS));
		table = phys_to_virt(*e & PTE_ADDR);
	}
	return slot(table, va, level);
}

/* The entry that maps va, NULL when none does. */
static u64 *entry_find(u64 *table, u64 va)
{
	for (unsigned level = TOP_LEVEL;; level--) {
		u64 *e = slot(table, va, level);

		if (!(*e & PTE_P))
			return NULL;
		if (!level || *e & PTE_PS)
			return e;
		table = phys_to_virt(*e & PTE_ADDR);
	}
}

int paging_map(u64 va, hpa_t pa, u64 size, u64 flags)
{
	unsigned largest = paging.pages_1g ? 2 : 1;

	while (size) {
		unsigned level = largest;
		u64 *e;

		while (level && (!IS_ALIGNED(va | pa, level_size(level)) || size < level_size(level)))
			level--;
		spin_lock(&paging.lock);
		e = entry_make(va, level);
		spin_unlock(&paging.lock);
		if (!e)
			return ERR_NOMEM;
		ASSERT(!*e);
		*e = pa | flags | (level ? PTE_PS : 0);
		va += level_size(level);
		pa += level_size(level);
		size -= level_size(level);
	}
	return 0;
}

hpa_t paging_unmap_page(u64 va)
{
	u64 *e = entry_find(paging.root, va);
	hpa_t pa;

	ASSERT(e && !(*e & PTE_PS));
	pa = *e & PTE_ADDR;
	*e = 0;
	invlpg(va);
	return pa;
}

bool paging_is_mapped(u64 va)
{
	i64 top = (i64)va >> 47;

	return (top == 0 || top == -1) && entry_find(phys_to_virt(read_cr3() & PTE_ADDR), va);
}

static bool is_ram(const struct boot_mem *m)
{
	return m->type <= BOOT_MEM_ACPI;
}

bool paging_covers(hpa_t pa, u64 size)
{
	for (u32 i = 0; i < paging.bi->nr_mem && size; i++) { /* sorted */
		const struct boot_mem *m = &paging.bi->mem[i];

		if (is_ram(m) && pa >= m->base && pa - m->base < m->length) {
			u64 here = MIN(size, m->length - (pa - m->base));
			pa += here;
			size -= here;
		}
	}
	return !size;
}

/* ---- the first map ---- */

static void must(int err)
{
	if (err)
		panic("no memory for page tables");
}

static u64 direct_flags(const struct boot_info *bi, const struct boot_mem *m)
{
	bool image = m->type == BOOT_MEM_IMAGE && m->base != bi->low_page; /* start code of CPUs is written */

	return image ? FLAGS_READ : FLAGS_DATA;
}

static void map_direct(const struct boot_info *bi)
{
	const struct boot_mem *m = bi->mem, *end = m + bi->nr_mem;

	while (m < end) {
		u64 base = m->base, length = 0, flags = direct_flags(bi, m);

		if (!is_ram(m)) {
			m++;
			continue;
		}
		/* Neighbours with the same rights as one, for larger pages. */
		for (; m < end && is_ram(m) && m->base == base + length && direct_flags(bi, m) == flags; m++)
			length += m->length;
		must(paging_map(base + VIRT_DIRECT_MAP, base, length, flags));
	}
}

static bool is_guard(const char *page)
{
	for (char *const *g = stack_guards; *g; g++)
		if (*g == page)
			return true;
	return false;
}

static void map_image(void)
{
	for (char *p = image_start; p < image_end; p += PAGE_SIZE) {
		u64 flags = p < image_rodata ? FLAGS_CODE : p < image_data ? FLAGS_READ : FLAGS_DATA;

		if (!is_guard(p))
			must(paging_map((u64)p, image_to_phys(p), PAGE_SIZE, flags));
	}
}

hpa_t image_to_phys(const void *va)
{
	return paging.bi->image_base + ((u64)va - VIRT_IMAGE);
}

void paging_init(const struct boot_info *bi)
{
	hpa_t root = page_alloc_zeroed(0);

	if (root == PAGE_NONE)
		must(ERR_NOMEM);
	paging.bi = bi;
	paging.root = phys_to_virt(root);
	paging.pages_1g = cpuid(CPUID_LEAF_EXT_FEATURES2, 0).edx & CPUID80_1_EDX_PAGE1GB;
	map_direct(bi);
	map_image();
	write_cr3(root);
	page_reclaim_loader(bi); /* the loader's tables among it */
	console_start_screen(&bi->fb);
}
