/* SPDX-License-Identifier: Apache-2.0 */
/* As what a guest finds one of its disks (owner: devices/): the word behind diskN in socle.conf. */
#pragma once

enum disk_model {
	DISK_SPLIT,  /* virtio, split virtqueues */
	DISK_PACKED, /* virtio, packed virtqueues offered too */
	DISK_IDE,    /* ATA behind a PIIX3: bus-master DMA */
	DISK_PIO,    /* the same without DMA */
	DISK_SOCLE,  /* behind a Socle ring: not on the PCI bus */
	DISK_MODELS
};
