/* SPDX-License-Identifier: Apache-2.0 */
/* ATA disks behind an IDE controller, as in a PC of 1996: an Intel 82371SB (PIIX3), function 0 an ISA bridge,
 * function 1 two channels at the ports and interrupts of an AT, with bus-master DMA. Sources: ATA/ATAPI-6
 * (T13/1410D); 82371FB and 82371SB data sheet, 2.3 and 2.7; Programming Interface for Bus Master IDE
 * Controller 1.0. What is emulated and what is not: docs/guest-machine.md. */
#pragma once

#include "meters.h"

struct block;
struct guest;
struct ata;
struct irq_router;
struct pci_bus;
struct sched_group;

#define ATA_DISKS 4 /* primary master, primary slave, secondary master, secondary slave */
#define ATA_SLOT 1  /* of the PCI bus */

struct ata_disk {
	struct block *disk; /* outlives the controller */
	const char *id;     /* its serial number, at most 20 characters; outlives the controller */
	bool dma;           /* offers DMA, else PIO alone */
};

struct ata_setup {
	struct ata_disk disks[ATA_DISKS];
	unsigned nr_disks;         /* at least 1; in the order of the places */
	struct sched_group *group; /* who pays for what is put off; NULL: whoever runs */
};

/* NULL, with the reason logged, when there is no memory or no place for it. */
struct ata *ata_create(struct guest *g, struct pci_bus *bus, struct irq_router *irq,
		       const struct ata_setup *setup);
/* No vCPU may be running; waits until the disks have answered. */
void ata_destroy(struct ata *ata);
/* As after power-on: the channels decode nothing. The same conditions. */
void ata_reset(struct ata *ata);
/* As a BIOS leaves it: channels that have a disk are decoded. */
void ata_bios_state(struct ata *ata);
u64 ata_usage(const struct ata *ata);
/* Of disk i. */
void ata_meters(const struct ata *ata, unsigned i, struct device_meters *m);
