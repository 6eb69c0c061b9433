/* SPDX-License-Identifier: Apache-2.0 */
/* The page allocator, as the rest of host/ sees it. */
#pragma once

#include "boot_info.h"
#include "lib.h"

/* Gives BOOT_MEM_LOADER memory to the allocator, too. */
void page_reclaim_loader(const struct boot_info *bi);
/* Order of the allocated block that begins at pa; negative when none does. */
int page_order(hpa_t pa);
/* As page_alloc(), from what ends at limit or below; looks at all free blocks. */
hpa_t page_alloc_below(unsigned order, hpa_t limit);
