/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of zeroed pages, as ept/ sees it; the part for others is in gmem.h. */
#pragma once

#include "types.h"

/* One zeroed page, from the pool where it has one; PAGE_NONE when there is no memory. It goes back by
 * page_free(). */
hpa_t zero_page_get(void);
/* The same for a block of 2^order pages, order 4 and above, always fresh from the allocator. Interrupts
 * are handled in between; patient: others may run in between, see gmem_on_wait(). */
hpa_t zero_block_get(unsigned order, bool patient);
