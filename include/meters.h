/* SPDX-License-Identifier: Apache-2.0 */
/* What a device of a guest has been asked, and has told, since power-on (owner: devices/): for the monitor,
 * for bills and benchmarks. Each figure is right by itself, at any time and on any CPU. What its disk or its
 * port of a bridge counts stands there: block_queue.h, net.h. */
#pragma once

#include "types.h"

struct device_meters {
	/* The guest told it of requests: doorbells; of an ATA disk, commands. */
	u64 doorbells;
	/* It told the guest: interrupts; of a device behind Socle rings, events. */
	u64 interrupts;
	/* It had something to tell, and the guest had asked not to be told of that: a virtqueue's event index
	 * or flags. */
	u64 suppressed;
	/* Accesses of the guest that ended in a VM exit, doorbells included; items that a string instruction
	 * moved together are one. Configuration space, which is the bus's, is left out. */
	u64 accesses;
	/* Bytes that went through its own memory (PIO), beside what its disk or its bridge copies. */
	u64 copied;
};
