/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio block device (virtio 1.2, 5.2) in front of a block device of block.h: read, write, flush,
 * discard, write zeroes, get id; a queue for each vCPU, up to VIRTIO_BLK_QUEUES_MAX. Requests of a queue go
 * to the disk in the order in which they stand there, and come back as they are done; queues do not wait for
 * each other. */
#pragma once

#include "block.h"
#include "meters.h"
#include "pci.h"

#define VIRTIO_BLK_ID_BYTES 20
#define VIRTIO_BLK_QUEUES_MAX 8u

struct sched_group;
struct virtio_blk;

struct virtio_blk_setup {
	struct block *disk;        /* must outlive the device */
	const char *id;            /* its first 20 characters are what GET_ID gives */
	bool packed;               /* offer packed rings */
	unsigned queues;           /* at least 1; what is more than VIRTIO_BLK_QUEUES_MAX does not count */
	struct sched_group *group; /* who pays for what is put off, or polled */
	bool polled;               /* by a CPU of poll.h, where there is one */
};

/* NULL, with the reason logged: no memory, no room on the bus. */
struct virtio_blk *virtio_blk_create(struct guest *g, struct pci_bus *bus, u8 devfn,
				     const struct virtio_blk_setup *setup);
/* These two wait for what the disk is doing. No vCPU of the guest may be running. */
void virtio_blk_destroy(struct virtio_blk *b);
void virtio_blk_reset(struct virtio_blk *b);
u64 virtio_blk_usage(const struct virtio_blk *b); /* bytes that it takes */
void virtio_blk_meters(const struct virtio_blk *b, struct device_meters *m);
