/* SPDX-License-Identifier: Apache-2.0 */
/* Memory as devices see it that know 32 address bits. */
#pragma once

#include "lib.h"

/* False: the bytes are not in the direct map, or not all below 4 GiB. */
bool dma_address(const void *base, u64 length, u32 *address);
/* 2^order pages below 4 GiB, aligned to their size, zeroed. NULL: there are none. When a driver starts: it
 * looks at all free blocks. */
void *dma_alloc(unsigned order, u32 *address);
void dma_free(void *base, unsigned order);
