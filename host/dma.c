/* SPDX-License-Identifier: Apache-2.0 */
#include "dma.h"

#include "host.h"
#include "page.h"

#define LIMIT BIT(32)

bool dma_address(const void *base, u64 length, u32 *address)
{
	u64 va = (u64)base, pa = va - VIRT_DIRECT_MAP;

	if (va < VIRT_DIRECT_MAP || va >= VIRT_DYNAMIC || pa >= LIMIT || length > LIMIT - pa)
		return false;
	*address = (u32)pa;
	return true;
}

void *dma_alloc(unsigned order, u32 *address)
{
	hpa_t pa = page_alloc_below(order, LIMIT);

	if (pa == PAGE_NONE)
		return NULL;
	*address = (u32)pa;
	return memset(phys_to_virt(pa), 0, PAGE_SIZE << order);
}

void dma_free(void *base, unsigned order)
{
	page_free(virt_to_phys(base), order);
}
