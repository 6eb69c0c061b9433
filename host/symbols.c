/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table of function names that the loader left (format: boot_info.h). */
#include "host.h"
#include "panic.h"

static const struct boot_symbols *table;
static u64 table_size;

void symbols_init(const struct boot_info *bi)
{
	const struct boot_symbols *t;

	if (bi->symbols_size < sizeof(*t))
		return;
	t = phys_to_virt(bi->symbols_base);
	if (t->count > (bi->symbols_size - sizeof(*t)) / sizeof(t->sym[0]))
		return;
	table = t;
	table_size = bi->symbols_size;
}

const char *symbol_find(u64 addr, u64 *distance)
{
	u64 offset = addr - VIRT_IMAGE;
	u32 low = 0, high = table ? table->count : 0;
	const struct boot_symbol *s;

	while (low < high) { /* the first entry above offset */
		u32 mid = low + (high - low) / 2;
		if (table->sym[mid].offset <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr < VIRT_IMAGE)
		return NULL;
	s = &table->sym[low - 1];
	*distance = offset - s->offset;
	return s->name < table_size ? (const char *)table + s->name : NULL;
}
