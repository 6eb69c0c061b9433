/* SPDX-License-Identifier: Apache-2.0 */
/* How a virtio device over PCI is found and started (virtio 1.2, 3.1 and 4.1), and what its rings are made
 * of. */
#pragma once

#include "base.h"

#define VIRTIO_F_INDIRECT BIT(28)
#define VIRTIO_F_EVENT_IDX BIT(29)
#define VIRTIO_F_VERSION_1 BIT(32)
#define VIRTIO_F_PACKED BIT(34)
#define VIRTIO_NO_VECTOR 0xffff

#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define DESC_AVAIL 0x80u
#define DESC_USED 0x8000u
#define EVENT_DISABLE 1u /* flags of packed event suppression, 2.8.14 */
#define EVENT_DESC 2u

struct desc {
	u64 addr;
	u32 len;
	u16 third, fourth; /* split: flags, next; packed: id, flags */
};

struct virtio {
	volatile u8 *common, *config;
	u16 doorbell, multiplier; /* port of queue 0, and from one queue's to the next */
};

struct virtio_areas {
	volatile struct desc *desc;
	volatile u16 *driver, *device;
	u16 port; /* of the doorbell */
};

/* The first of these devices, with its one message, of table entry 0, as that vector, which is counted
 * (interrupts.h). False: there is none, or none with capabilities that it needs. */
bool virtio_find(struct virtio *v, u16 device, u8 vector);
/* Up to FEATURES_OK. False: it does not offer all of them. */
bool virtio_negotiate(struct virtio *v, u64 features);
/* A page for each area. entry: of the message table, or VIRTIO_NO_VECTOR. */
bool virtio_queue_open(struct virtio *v, u16 index, u16 size, u16 entry, struct virtio_areas *areas);
/* DRIVER_OK. */
bool virtio_run(struct virtio *v);

/* The wrap counter at a free-running position: 1 in the first round. */
static inline bool virtio_round(u16 position, u16 size)
{
	return !(position / size & 1);
}
