/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map that a guest is told, by whichever boot protocol. */
#pragma once

#include "gmem.h"

/* Types as INT 15h, AX = E820h has them (ACPI specification, table 15-374). */
#define MEMMAP_RAM 1
#define MEMMAP_RESERVED 2

#define MEMMAP_LOW_END 0x9fc00 /* end of usable RAM below 1 MiB; the extended BIOS data area begins */
#define MEMMAP_HIGH_START 0x100000

struct memmap_entry {
	gpa_t base;
	u64 length;
	u32 type;
};

#define MEMMAP_MAX (GMEM_MAX_SLOTS + 4)
struct memmap {
	unsigned count;
	struct memmap_entry entries[MEMMAP_MAX]; /* by address, not overlapping */
};

void memmap_build(struct memmap *map, const struct gmem *mem);
/* End of the RAM that begins at 1 MiB; 0 where there is none. */
gpa_t memmap_low_top(const struct memmap *map);
/* The lowest place of size bytes in RAM at or above from, on a boundary of align (a
 * power of two), clear of used[]. False: there is none. */
struct memmap_range {
	gpa_t base;
	u64 length;
};
bool memmap_find_low(const struct memmap *map, const struct memmap_range *used, unsigned nr_used, gpa_t from,
		     u64 size, u64 align, gpa_t *found);
