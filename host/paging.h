/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's page tables, as the rest of host/ sees them. */
#pragma once

#include "lib.h"

/* Maps [pa, pa + size) at va with the largest pages that fit; all multiples of 4 KiB, nothing mapped
 * there yet. ERR_NOMEM leaves a part mapped. The caller keeps others away from this range of va. */
int paging_map(u64 va, hpa_t pa, u64 size, u64 flags);
/* Unmaps a 4 KiB page on this CPU and returns what was mapped. */
hpa_t paging_unmap_page(u64 va);
/* Asks the page tables in CR3. False, too, for an address that is not canonical. */
bool paging_is_mapped(u64 va);
/* True when all of it can be read through the direct map. */
bool paging_covers(hpa_t pa, u64 size);

/* Device memory with the cache attributes of flags (PTE_PCD, PTE_PWT); lasts for ever. */
void *vmap_device(hpa_t pa, u64 size, u64 flags);
/* Forgets translations of stacks that were freed elsewhere. Each CPU, now and then. */
void vmap_sync(void);
