/* SPDX-License-Identifier: Apache-2.0 */
/* The test device of bare test guests: ports and memory of QEMU's pc-testdev, so that a test written
 * for one runs on the other. Only in VMs with `testdev = yes`. Its byte-wide copy of the latch at
 * 0xe8 is left out: the debug port 0xe9 is there. */
#pragma once

#include "types.h"

struct guest;
struct irq_router;
struct pc_config;

#define TESTDEV_LATCH_PORT 0xe0 /* 4 ports that keep what is written, in any size */
#define TESTDEV_LATCH_PORTS 4
#define TESTDEV_HIDE_PORT 0xe4 /* dword: the page of this guest-physical address leaves the EPT */
#define TESTDEV_HIDE_PORTS 4
/* Two dwords: a write selects a meter of guest.h and takes its value, reads give its halves. Not in QEMU. */
#define TESTDEV_METER_PORT 0x2020
#define TESTDEV_METER_PORTS 8
#define TESTDEV_IRQ_PORT 0x2000 /* byte to port 0x2000 + n: level of interrupt line n */
#define TESTDEV_IRQ_PORTS 24

struct testdev {
	struct guest *guest;
	struct irq_router *irq;
	const struct pc_config *config;
	u8 latch[TESTDEV_LATCH_PORTS];
	u64 meter;  /* as it was taken */
	u32 raised; /* bit n: line n is held high from here */
	u8 *memory; /* PC_TEST_MMIO_SIZE bytes */
};

/* ERR_NOMEM. What config points to stays. */
int testdev_init(struct testdev *t, struct guest *g, struct irq_router *irq, const struct pc_config *config);
void testdev_fini(struct testdev *t);
void testdev_reset(struct testdev *t);
u64 testdev_latch_read(void *opaque, u64 offset, unsigned size);
void testdev_latch_write(void *opaque, u64 offset, unsigned size, u64 value);
u64 testdev_hide_read(void *opaque, u64 offset, unsigned size);
void testdev_hide_write(void *opaque, u64 offset, unsigned size, u64 value);
u64 testdev_meter_read(void *opaque, u64 offset, unsigned size);
void testdev_meter_write(void *opaque, u64 offset, unsigned size, u64 value);
u64 testdev_irq_read(void *opaque, u64 offset, unsigned size);
void testdev_irq_write(void *opaque, u64 offset, unsigned size, u64 value);
u64 testdev_memory_read(void *opaque, u64 offset, unsigned size);
void testdev_memory_write(void *opaque, u64 offset, unsigned size, u64 value);
