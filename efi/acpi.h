/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables (Advanced Configuration and Power Interface 6.4, chapter 5), as far as the loader reads
 * them. */
#pragma once

#include "types.h"

/* Calls fn for each usable CPU that the MADT (multiple APIC description table) lists. rsdp 0: none. */
void acpi_for_each_cpu(u64 rsdp, void (*fn)(void *opaque, u32 apic_id), void *opaque);
