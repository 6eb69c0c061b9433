/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map that a guest is told: its RAM slots, less what a PC keeps below 1 MiB for its BIOS. */
#include "memmap.h"

#include "pc.h"

static void add(struct memmap *map, gpa_t base, gpa_t end, u32 type)
{
	if (base >= end || map->count == MEMMAP_MAX)
		return;
	unsigned i = map->count++;
	while (i && map->entries[i - 1].base > base) {
		map->entries[i] = map->entries[i - 1];
		i--;
	}
	map->entries[i] = (struct memmap_entry){base, end - base, type};
}

/* RAM of the slot between from and to. */
static void add_ram(struct memmap *map, const struct gmem_slot *slot, gpa_t from, gpa_t to)
{
	add(map, MAX(slot->base, from), MIN(slot->base + slot->length, to), MEMMAP_RAM);
}

void memmap_build(struct memmap *map, const struct gmem *mem)
{
	map->count = 0;
	for (unsigned i = 0; i < mem->nr_slots; i++) {
		const struct gmem_slot *slot = &mem->slots[i];
		if (slot->flags & GMEM_READONLY)
			continue;
		add_ram(map, slot, 0, MEMMAP_LOW_END);
		add_ram(map, slot, MEMMAP_HIGH_START, UINT64_MAX);
	}
	add(map, MEMMAP_LOW_END, PC_HOLE_BASE, MEMMAP_RESERVED); /* extended BIOS data area */
	add(map, 0xe0000, MEMMAP_HIGH_START, MEMMAP_RESERVED);   /* ACPI tables, BIOS */
	/* Linux trusts the configuration space of MCFG only where the map reserves it. */
	add(map, PC_ECAM_BASE, PC_ECAM_BASE + PC_ECAM_SIZE, MEMMAP_RESERVED);
}

gpa_t memmap_low_top(const struct memmap *map)
{
	for (unsigned i = 0; i < map->count; i++)
		if (map->entries[i].type == MEMMAP_RAM && map->entries[i].base == MEMMAP_HIGH_START)
			return map->entries[i].base + map->entries[i].length;
	return 0;
}

/* The lowest base at or above from that is clear of used[]. */
static gpa_t skip_used(const struct memmap_range *used, unsigned nr_used, gpa_t base, u64 size, u64 align)
{
	for (unsigned i = 0; i < nr_used; i++) {
		if (base < used[i].base + used[i].length && used[i].base < base + size) {
			base = ALIGN_UP(used[i].base + used[i].length, align);
			i = UINT32_MAX; /* once more from the start: base only grows, so this ends */
		}
	}
	return base;
}

bool memmap_find_low(const struct memmap *map, const struct memmap_range *used, unsigned nr_used, gpa_t from,
		     u64 size, u64 align, gpa_t *found)
{
	for (unsigned i = 0; i < map->count; i++) {
		const struct memmap_entry *e = &map->entries[i];
		gpa_t base = ALIGN_UP(MAX(e->base, from), align);
		if (e->type != MEMMAP_RAM)
			continue;
		base = skip_used(used, nr_used, base, size, align);
		if (base < e->base + e->length && size <= e->base + e->length - base) {
			*found = base;
			return true;
		}
	}
	return false;
}
