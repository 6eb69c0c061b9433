/* SPDX-License-Identifier: Apache-2.0 */
/* What host/ wants from the firmware's ACPI tables (Advanced Configuration and Power Interface,
 * specification 6.5). */
#pragma once

#include "boot_info.h"
#include "lib.h"

#define ACPI_MAX_IOAPICS 16
#define ACPI_NR_ISA 16
#define ACPI_IOAPIC_DEFAULT 0xfec00000u

struct acpi_ioapic {
	u32 address, gsi_base;
};

struct acpi_isa { /* how an ISA interrupt is wired */
	u32 gsi;
	bool active_low, level;
};

struct acpi_reset {
	u64 address; /* 0: none */
	u8 space;    /* 0: memory, 1: I/O port */
	u8 value;
};

struct acpi_info {
	u32 nr_ioapics;
	struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
	struct acpi_isa isa[ACPI_NR_ISA];
	u16 pm_timer; /* ports, 0: none */
	u16 pm1a_control, pm1b_control;
	u16 smi_command;
	u8 acpi_enable;      /* value for smi_command */
	u8 century;          /* CMOS index of the century, 0: none */
	bool have_s5;        /* the two below are known */
	u8 s5_pm1a, s5_pm1b; /* SLP_TYP for soft-off */
	struct acpi_reset reset;
};

/* Fills *info with what a PC without tables has, then with what sound tables say. Tables that contradict
 * themselves are skipped. `map` gives access to physical memory, or NULL. */
void acpi_parse(struct acpi_info *info, hpa_t rsdp, const void *(*map)(hpa_t pa, size_t size));

/* Of this machine; after acpi_init(). */
void acpi_init(const struct boot_info *bi);
const struct acpi_info *acpi_info(void);
