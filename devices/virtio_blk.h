/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio block device (virtio 1.2, 5.2) in front of a block device of block.h: read, write, flush,
 * discard, write zeroes, get id; one queue. Requests go to the disk in the order in which they stand in the
 * queue, and come back as they are done. */
#pragma once

#include "block.h"
#include "pci.h"

#define VIRTIO_BLK_ID_BYTES 20

struct sched_group;
struct virtio_blk;

struct virtio_blk_setup {
	struct block *disk;        /* must outlive the device */
	const char *id;            /* its first 20 characters are what GET_ID gives */
	bool packed;               /* offer packed rings */
	struct sched_group *group; /* who pays for what is put off */
};

/* NULL, with the reason logged: no memory, no room on the bus. */
struct virtio_blk *virtio_blk_create(struct guest *g, struct pci_bus *bus, u8 devfn,
				     const struct virtio_blk_setup *setup);
/* These two wait for what the disk is doing. No vCPU of the guest may be running. */
void virtio_blk_destroy(struct virtio_blk *b);
void virtio_blk_reset(struct virtio_blk *b);
u64 virtio_blk_usage(const struct virtio_blk *b); /* bytes that it takes */
