/* SPDX-License-Identifier: Apache-2.0 */
/* Partition tables: GUID partition tables (UEFI 2.10, 5.3) and master boot records. Pure logic over a
 * function that reads one sector; false: it cannot. */
#pragma once

#include "disk.h"

struct partition_disk {
	bool (*read)(void *opaque, u64 sector, u8 *buf);
	void *opaque;
	u64 sectors;
};

/* As disk_partition(). */
int partition_find(const struct partition_disk *d, unsigned number, struct disk_extent *e);
/* Whether the disk, or a partition of it, has the volume's signature. What cannot be read has not. */
bool partition_matches(const struct partition_disk *d, const struct boot_volume *v);
