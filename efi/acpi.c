/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the MADT and lists the CPUs in it. */
#include "acpi.h"
#include "lib.h"

#define RSDP_RSDT 16 /* offsets in the root pointer (5.2.5.3) */
#define RSDP_XSDT 24
#define RSDP_REVISION 15
#define HEADER_SIZE 36u /* of a system description table (5.2.6) */
#define MADT_ENTRIES 44u
#define MADT_LAPIC 0 /* types of entries (5.2.12) */
#define MADT_X2APIC 9
#define TABLE_MAX (1u << 20)

static u32 read32(const u8 *p)
{
	u32 v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 read64(const u8 *p)
{
	u64 v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static u32 table_length(const u8 *table)
{
	u32 length = read32(table + 4);
	return length >= HEADER_SIZE && length <= TABLE_MAX ? length : 0;
}

static bool checksum_ok(const u8 *p, u32 n)
{
	u8 sum = 0;
	while (n--)
		sum = (u8)(sum + *p++);
	return sum == 0;
}

static const u8 *find_table(const u8 *rsdp, const char *signature)
{
	bool wide = rsdp[RSDP_REVISION] >= 2 && read64(rsdp + RSDP_XSDT);
	const u8 *root = (const u8 *)(wide ? read64(rsdp + RSDP_XSDT) : read32(rsdp + RSDP_RSDT));
	u32 entry = wide ? 8 : 4;
	if (!root || !checksum_ok(root, table_length(root)))
		return NULL;
	for (u32 at = HEADER_SIZE; at + entry <= table_length(root); at += entry) {
		const u8 *table = (const u8 *)(wide ? read64(root + at) : read32(root + at));
		if (table && memcmp(table, signature, 4) == 0 && checksum_ok(table, table_length(table)))
			return table;
	}
	return NULL;
}

void acpi_for_each_cpu(u64 rsdp, void (*fn)(void *opaque, u32 apic_id), void *opaque)
{
	const u8 *madt = rsdp ? find_table((const u8 *)rsdp, "APIC") : NULL;
	u32 length = madt ? table_length(madt) : 0;
	for (u32 at = MADT_ENTRIES; at + 2 <= length;) {
		const u8 *e = madt + at;
		u32 n = e[1];
		if (n < 2 || n > length - at)
			break;
		/* The flags' bit 0: enabled. */
		if (e[0] == MADT_LAPIC && n >= 8 && (e[4] & 1))
			fn(opaque, e[3]);
		if (e[0] == MADT_X2APIC && n >= 16 && (e[8] & 1))
			fn(opaque, read32(e + 4));
		at += n;
	}
}
