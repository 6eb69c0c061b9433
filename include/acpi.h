/* SPDX-License-Identifier: Apache-2.0 */
/* The ACPI tables that a guest finds (owner: devices/): they describe the PC of pc.h. ACPI
 * Specification 6.4, chapter 5. */
#pragma once

#include "gmem.h"

/* Where they are: RAM below 1 MiB that the guest's memory map has to call reserved. The root pointer
 * comes first, on one of the addresses that guests search (5.2.5.1). */
#define ACPI_AREA_BASE 0x000e0000ULL
#define ACPI_AREA_SIZE 0x00010000ULL

struct acpi_config {
	unsigned vcpus; /* 1..255; their local APIC ids are 0 to vcpus - 1 */
	bool hpet;      /* as in struct pc_config */
};

/* Writes all tables; *rsdp is the address of the root pointer. ERR_INVAL; ERR_NOMEM; ERR_FAULT where
 * the area is no RAM. */
int acpi_build(struct gmem *m, const struct acpi_config *cfg, gpa_t *rsdp);
