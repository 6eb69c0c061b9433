/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device that does nothing but count, on a board. Defines functions, so one file of a program
 * includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "virtio_board.h"

#define QUEUES 3
#define FEATURE_OWN BIT(5)
#define FEATURE_MORE BIT(13)
#define OFFERED                                                                                              \
	(FEATURE_OWN | FEATURE_MORE | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 |     \
	 VIRTIO_F_RING_PACKED)

static struct virtio_pci dev;
static struct virtio_queue queues[QUEUES];
static unsigned kicks[QUEUES];
static bool idle;
static const u8 config[11] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb};

static inline void kicked(struct virtio_pci *v, unsigned queue)
{
	assert_ptr_equal(v, &dev);
	assert_true(queue < QUEUES);
	kicks[queue]++;
}

static inline bool is_idle(struct virtio_pci *v)
{
	assert_ptr_equal(v, &dev);
	return idle;
}

static const struct virtio_type type = {
    .id = 2, .class = 0x018000, .features = FEATURE_OWN, .kicked = kicked, .is_idle = is_idle};

static inline int setup(void **state)
{
	(void)state;
	memset(&dev, 0, sizeof(dev));
	memset(queues, 0, sizeof(queues));
	memset(kicks, 0, sizeof(kicks));
	idle = true;
	board_init();
	dev.type = &type;
	dev.more_features = FEATURE_MORE;
	dev.config = config;
	dev.config_bytes = sizeof(config);
	dev.queues = queues;
	dev.nr_queues = QUEUES;
	dev.packed = true;
	assert_int_equal(virtio_pci_add(&dev, BOARD_GUEST, &board.bus, BOARD_DEVFN), 0);
	board_start();
	memset(kicks, 0, sizeof(kicks)); /* those of becoming master of the bus */
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	idle = true;
	virtio_pci_remove(&dev);
	board_fini();
	return 0;
}

/* A queue with everything where it should be. */
static inline struct virtq_setup good(void)
{
	return (struct virtq_setup){.size = 8, .desc = 0x10000, .driver = 0x12000, .device = 0x14000};
}

static inline void enable(u16 queue, const struct virtq_setup *s)
{
	queue_place(queue, s);
	common_set(0x1c, 2, 1);
}

static inline void go(void)
{
	struct virtq_setup s = good();

	assert_true(negotiate(VIRTIO_F_VERSION_1));
	enable(0, &s);
	assert_int_equal(common(0x1c, 2), 1);
	common_set(0x14, 1, 15);
	assert_int_equal(status(), 15);
}
