/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's own page tables (SDM vol. 3, 4.5) and the memory behind its image. */
#pragma once

#include "cpu.h"

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_NX BIT(63)
#define PTE_RAM (PTE_P | PTE_W | PTE_U)
#define PTE_UC (PTE_RAM | PTE_PCD | PTE_PWT)
#define PTE_ADDR 0x000ffffffffff000ULL

/* The entry that maps the 4 KiB page at va; a large page on the way is split, missing tables are made. */
u64 *page_entry(u64 va);
/* Writes the entry and invalidates the page. */
void page_map(u64 va, u64 pa, u64 flags);
void page_unmap(u64 va);
/* Bits of a guest-physical address the processor claims. */
unsigned page_phys_bits(void);

/* Zeroed pages from behind the image, never given back; NULL where RAM ends. One to one mapped. */
void *mem_alloc(u64 pages);
/* The free RAM behind the image: [*start, *end), page-aligned. */
void mem_free_range(u64 *start, u64 *end);
