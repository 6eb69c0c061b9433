/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own disks (owner: host/): those of a PCI IDE controller whose channels are in compatibility
 * mode, by bus-master DMA. One request of a channel is at the disk, further ones wait in order. */
#pragma once

#include "block.h"
#include "boot_info.h"

/* 0 and 1: the master and the slave of the first channel, 2 and 3 those of the second: hda to hdd, as Linux
 * called them. */
#define DISK_UNITS 4

/* NULL: no such disk, or none that can do DMA. The first call looks for them; on the boot CPU, which may wait
 * for seconds where one does not answer. */
struct block *disk_find(unsigned unit);

/* A partition, by the number that Linux gives it: of a GUID partition table the entry, of a master boot
 * record 1 to 4 and, in the extended one, from 5 on. Reads the disk; the boot CPU, holding no lock. */
struct disk_extent {
	u64 first, count; /* sectors */
};
/* 0, or ERR_NOENT: there is none of that number; ERR_INVAL: the table is damaged, or none; ERR_FAULT: it
 * could not be read. */
int disk_partition(struct block *disk, unsigned number, struct disk_extent *e);

/* Whether this is, or may be, the disk with the volume that Socle was started from. Reads it, as above. */
bool disk_is_boot(unsigned unit, const struct boot_volume *v);

/* What an interrupt of a disk took, in TSC ticks, and whose it was: block_request.payer of the request that
 * it was about. What follows from its end, such as the next request, is in it. On the CPU that takes the
 * interrupts of disks, in the interrupt. */
void disk_on_interrupt(void (*fn)(void *payer, u64 ticks));

/* A disk that does not answer: fn is told, on any CPU, that there are requests now where there were none;
 * from then on somebody is to call disk_check() about once a second until it returns false. Waiting loops
 * that call cpu_poll_interrupts() need not. */
void disk_on_busy(void (*fn)(void));
/* Requests whose time is over fail, and the channel is reset. True: there are requests. Any CPU; completes
 * requests, as an interrupt does. */
bool disk_check(void);
