/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what is known of this machine from its ACPI tables, read once at boot. */
#include "acpi.h"
#include "host.h"
#include "log.h"
#include "paging.h"

static struct acpi_info info;

static const void *map_table(hpa_t pa, size_t size)
{
	if (size > UINT64_MAX - pa)
		return NULL;
	/* Some firmware keeps tables in memory of other types, which the direct map does not show. */
	return paging_covers(pa, size) ? phys_to_virt(pa) : mmio_map(pa, size);
}

void acpi_init(const struct boot_info *bi)
{
	acpi_parse(&info, bi->rsdp, map_table);
	if (!bi->rsdp)
		log_info("no ACPI tables: using the addresses that every PC has");
}

const struct acpi_info *acpi_info(void)
{
	return &info;
}
