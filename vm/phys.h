/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own disks, for VMs (private to vm/). On the boot CPU's scheduler stack only, as VMs are. */
#pragma once

#include "disk.h"
#include "vm.h"

struct phys_part {
	struct block *disk;
	struct disk_extent extent;
};

/* What phys:... of disk i of the VM means on this machine. 0, or negative with the reason logged: there is no
 * such disk or partition, it cannot be read, or Socle was started from it and the VM could write to it. */
int vm_find_phys(const struct vm *vm, unsigned i, struct phys_part *part);
