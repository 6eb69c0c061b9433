/* SPDX-License-Identifier: Apache-2.0 */
/* A disk behind a Socle ring (include/socle/ring.h) in front of a block device of block.h. Requests go to it
 * in the order of the ring and come back as they are done. Barriers and FUA are kept here, by waiting and by
 * BLOCK_FLUSH: the block device sees no flags. */
#pragma once

#include "block.h"
#include "meters.h"
#include "pv_bus.h"

struct guest;
struct sched_group;
struct pv_disk;

struct pv_disk_setup {
	struct block *disk; /* must outlive the device */
	const char *id;     /* its first 15 characters are the device's name */
	/* The guest is to be notified. Any CPU. */
	void (*event)(void *opaque, u32 number);
	void *opaque;
	struct sched_group *group; /* who pays for what is put off, or polled */
	bool polled;               /* by a CPU of poll.h, where there is one */
};

/* NULL, with the reason logged: no memory, no room on the bus. */
struct pv_disk *pv_disk_create(struct guest *g, struct pv_bus *bus, const struct pv_disk_setup *setup);
/* These two wait for what the block device is doing, and leave the ring closed. No vCPU of the guest may be
 * running. */
void pv_disk_destroy(struct pv_disk *d);
void pv_disk_reset(struct pv_disk *d);
u64 pv_disk_usage(const struct pv_disk *d); /* bytes that it takes */
void pv_disk_meters(const struct pv_disk *d, struct device_meters *m);
