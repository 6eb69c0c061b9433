/* SPDX-License-Identifier: Apache-2.0 */
/* Memory taken from the firmware, and the firmware's memory map (UEFI 7.2) turned into boot_info. */
#include "loader.h"

#define EFI_MEMORY_SPECIFIC 0x40000u /* attribute: not for general use (UEFI 2.8) */
#define MAP_SLACK 64                 /* descriptors that the map may grow by */
#define EXIT_TRIES 8
#define BELOW_1M 0xfffff
#define LOW_PAGES 2 /* code and page tables */

EFI_STATUS memory_alloc(struct loader *l, u64 bytes, enum boot_mem_type type, u64 *base)
{
	u64 pages = (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
	EFI_PHYSICAL_ADDRESS pa = 0;
	if (l->nr_regions == LOADER_MAX_REGIONS || !pages)
		return EFI_OUT_OF_RESOURCES;
	EFI_STATUS status = l->bs->AllocatePages(AllocateAnyPages, EfiLoaderData, pages, &pa);
	if (EFI_ERROR(status))
		return status;
	l->regions[l->nr_regions++] = (struct region){pa, pages, type};
	if (type == BOOT_MEM_LOADER)
		memset((void *)pa, 0, pages * PAGE_SIZE);
	*base = pa;
	return EFI_SUCCESS;
}

u64 memory_alloc_low(struct loader *l)
{
	EFI_PHYSICAL_ADDRESS pa = BELOW_1M;
	if (l->nr_regions == LOADER_MAX_REGIONS ||
	    EFI_ERROR(l->bs->AllocatePages(AllocateMaxAddress, EfiLoaderData, LOW_PAGES, &pa)))
		return 0;
	/* As the image: nobody may hand it out while CPUs are still to be started through it. */
	l->regions[l->nr_regions++] = (struct region){pa, LOW_PAGES, BOOT_MEM_IMAGE};
	return pa;
}

void memory_release_all(struct loader *l)
{
	while (l->nr_regions) {
		const struct region *r = &l->regions[--l->nr_regions];
		l->bs->FreePages(r->base, r->pages);
	}
}

EFI_STATUS memory_fetch_map(struct loader *l, UINTN *size, UINTN *key, UINTN *desc_size)
{
	u32 version;
	*size = l->map_room;
	EFI_STATUS status = l->bs->GetMemoryMap(size, l->map, key, desc_size, &version);
	if (status != EFI_BUFFER_TOO_SMALL)
		return status;
	u64 room = *size + MAP_SLACK * *desc_size, base;
	status = memory_alloc(l, room, BOOT_MEM_LOADER, &base);
	if (EFI_ERROR(status))
		return status;
	l->map = (void *)base;
	l->map_room = *size = room;
	return l->bs->GetMemoryMap(size, l->map, key, desc_size, &version);
}

static EFI_MEMORY_DESCRIPTOR *map_entry(const struct loader *l, UINTN desc_size, UINTN i)
{
	return (EFI_MEMORY_DESCRIPTOR *)((char *)l->map + i * desc_size);
}

static enum boot_mem_type type_of(const EFI_MEMORY_DESCRIPTOR *d)
{
	switch (d->Type) {
	case EfiConventionalMemory:
	case EfiBootServicesCode:
	case EfiBootServicesData:
		/* Only RAM that may be cached and has no special purpose. */
		return (d->Attribute & EFI_MEMORY_WB) && !(d->Attribute & EFI_MEMORY_SPECIFIC)
			   ? BOOT_MEM_USABLE
			   : BOOT_MEM_RESERVED;
	case EfiLoaderCode:
	case EfiLoaderData:
		return BOOT_MEM_LOADER;
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
		return BOOT_MEM_RUNTIME;
	case EfiACPIReclaimMemory:
	case EfiACPIMemoryNVS:
		return BOOT_MEM_ACPI;
	case EfiMemoryMappedIO:
	case EfiMemoryMappedIOPortSpace:
		return BOOT_MEM_MMIO;
	default: /* reserved, unusable, persistent, processor firmware, and what a later version adds */
		return BOOT_MEM_RESERVED;
	}
}

EFI_STATUS memory_count_free(struct loader *l, u64 *bytes)
{
	UINTN size, key, desc_size;
	EFI_STATUS status = memory_fetch_map(l, &size, &key, &desc_size);
	*bytes = 0;
	for (UINTN i = 0; !EFI_ERROR(status) && i < size / desc_size; i++) {
		const EFI_MEMORY_DESCRIPTOR *d = map_entry(l, desc_size, i);
		if (type_of(d) == BOOT_MEM_USABLE)
			*bytes += d->NumberOfPages * PAGE_SIZE;
	}
	return status;
}

/* The firmware need not keep its map in order. Insertion sort: it is nearly in order always. */
static void map_sort(struct loader *l, UINTN count, UINTN desc_size)
{
	char held[256];
	for (UINTN i = 1; i < count && desc_size <= sizeof(held); i++) {
		UINTN j = i;
		memcpy(held, map_entry(l, desc_size, i), desc_size);
		u64 base = ((EFI_MEMORY_DESCRIPTOR *)held)->PhysicalStart;
		for (; j && map_entry(l, desc_size, j - 1)->PhysicalStart > base; j--)
			memcpy(map_entry(l, desc_size, j), map_entry(l, desc_size, j - 1), desc_size);
		memcpy(map_entry(l, desc_size, j), held, desc_size);
	}
}

/* Appends to info->mem[], or lengthens its last entry. Where the table is full the piece is left out:
 * it will not be used, no more. */
static void map_emit(struct boot_info *info, u64 base, u64 end, enum boot_mem_type type)
{
	struct boot_mem *last = info->nr_mem ? &info->mem[info->nr_mem - 1] : NULL;
	if (last && last->base + last->length > base)
		base = last->base + last->length; /* overlapping descriptors: the first one counts */
	if (base >= end)
		return;
	if (last && last->base + last->length == base && last->type == type)
		last->length += end - base;
	else if (info->nr_mem < BOOT_MAX_MEM)
		info->mem[info->nr_mem++] = (struct boot_mem){base, end - base, type, 0};
}

/* What [base, ...) is for: a region that we took, else `type` up to the next such region. */
static u64 region_split(const struct loader *l, u64 base, u64 end, enum boot_mem_type *type)
{
	for (unsigned i = 0; i < l->nr_regions; i++) {
		const struct region *r = &l->regions[i];
		u64 r_end = r->base + r->pages * PAGE_SIZE;
		if (base >= r->base && base < r_end) {
			*type = r->type;
			return MIN(end, r_end);
		}
		if (r->base > base && r->base < end)
			end = r->base;
	}
	return end;
}

void memory_export(struct loader *l, UINTN size, UINTN desc_size)
{
	UINTN count = size / desc_size;
	l->info->nr_mem = 0;
	map_sort(l, count, desc_size);
	for (UINTN i = 0; i < count; i++) {
		const EFI_MEMORY_DESCRIPTOR *d = map_entry(l, desc_size, i);
		u64 base = d->PhysicalStart, end = base + d->NumberOfPages * PAGE_SIZE;
		if (base == 0 && end > 0) { /* address 0 means "none" all over the hypervisor */
			map_emit(l->info, 0, PAGE_SIZE, BOOT_MEM_RESERVED);
			base = PAGE_SIZE;
		}
		while (base < end) {
			enum boot_mem_type type = type_of(d);
			u64 next = region_split(l, base, end, &type);
			map_emit(l->info, base, next, type);
			base = next;
		}
	}
}

EFI_STATUS loader_exit_firmware(struct loader *l)
{
	EFI_STATUS status = EFI_ABORTED;
	volume_close(l);
	/* The map may change until the very moment (an event's handler allocates): UEFI 7.4.6 asks for a
	 * new map and another try. No memory may be allocated any more then, hence MAP_SLACK. */
	for (unsigned i = 0; i < EXIT_TRIES; i++) {
		UINTN size, key, desc_size;
		status = memory_fetch_map(l, &size, &key, &desc_size);
		if (EFI_ERROR(status))
			break;
		status = l->bs->ExitBootServices(l->image, key);
		if (!EFI_ERROR(status)) {
			memory_export(l, size, desc_size);
			return EFI_SUCCESS;
		}
	}
	return refuse(l, status, "the firmware does not let go of the machine (ExitBootServices: 0x%llx)",
		      (unsigned long long)status);
}
