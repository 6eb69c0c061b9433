/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory for tests of rings: RAM_PAGES pages from guest-physical 0 with a hole and a ROM, each page on
 * the host's heap of its own, so that ASan sees who leaves a page. Included by exactly one file of a test
 * program, whose definitions then replace ept/gmem.c and ept/gmem_copy.c. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "gmem.h"

#define RAM_PAGES 64u
#define RAM_HOLE 40u /* this page is not there */
#define RAM_ROM 41u  /* and this one not for writing */

static u8 *ram_page[RAM_PAGES];
static struct ept ram_ept;
static struct gmem ram;

static inline void ram_init(void)
{
	ram = (struct gmem){.ept = &ram_ept, .nr_slots = 3, .pinned_limit = GMEM_PINNED_MAX};
	ram.slots[0] = (struct gmem_slot){0, RAM_HOLE * PAGE_SIZE, 0};
	ram.slots[1] = (struct gmem_slot){RAM_ROM * PAGE_SIZE, PAGE_SIZE, GMEM_READONLY};
	ram.slots[2] =
	    (struct gmem_slot){(RAM_ROM + 1) * PAGE_SIZE, (RAM_PAGES - RAM_ROM - 1) * PAGE_SIZE, 0};
	for (unsigned i = 0; i < RAM_PAGES; i++) {
		free(ram_page[i]);
		ram_page[i] = i == RAM_HOLE ? NULL : aligned_alloc(PAGE_SIZE, PAGE_SIZE);
		if (ram_page[i])
			memset(ram_page[i], 0, PAGE_SIZE);
	}
}

static inline void ram_free(void)
{
	for (unsigned i = 0; i < RAM_PAGES; i++) {
		free(ram_page[i]);
		ram_page[i] = NULL;
	}
}

void *gmem_ptr(struct gmem *m, gpa_t gpa, size_t n)
{
	(void)m;
	if (gpa >= RAM_PAGES * PAGE_SIZE || n > PAGE_SIZE - gpa % PAGE_SIZE || !ram_page[gpa / PAGE_SIZE])
		return NULL;
	return ram_page[gpa / PAGE_SIZE] + gpa % PAGE_SIZE;
}

void gmem_tlb_reset(struct gmem_tlb *t)
{
	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < GMEM_TLB_ENTRIES; i++)
		t->entry[i].page = BIT(63);
	for (unsigned i = 0; i < GMEM_TLB_LARGE; i++)
		t->large[i].page = BIT(63);
}

void *gmem_tlb_fill(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n)
{
	void *p = gmem_ptr(m, gpa, n);

	if (p)
		t->entry[gpa / PAGE_SIZE % GMEM_TLB_ENTRIES] =
		    (struct gmem_tlb_entry){ALIGN_DOWN(gpa, PAGE_SIZE), ram_page[gpa / PAGE_SIZE]};
	return p;
}

int gmem_check(const struct gmem *m, gpa_t gpa, u64 n, u64 align)
{
	(void)m;
	if (gpa & (align - 1))
		return ERR_INVAL;
	if (gpa >= RAM_PAGES * PAGE_SIZE || n > PAGE_SIZE - gpa % PAGE_SIZE || gpa / PAGE_SIZE == RAM_HOLE ||
	    gpa / PAGE_SIZE == RAM_ROM)
		return ERR_FAULT;
	return 0;
}
