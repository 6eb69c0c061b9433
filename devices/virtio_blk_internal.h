/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the virtio block device share: the device, and a request from the queue to the disk. */
#pragma once

#include "later.h"
#include "poll.h"
#include "virtio_blk.h"
#include "virtio_pci.h"

/* Of a queue: requests in the disk's hands at once; what is more waits in the queue. */
#define BLK_SLOTS 64u
/* Of a queue: pieces of host memory of all of them. A request has at most BLK_SEGMENTS of them: the driver's
 * own, which the device limits to BLK_SEG_MAX of BLK_SIZE_MAX bytes each, may begin anywhere in a page, and
 * there are header and status. */
#define BLK_POOL 1536u
#define BLK_SEGMENTS 850u
#define BLK_SIZE_MAX 16384u
#define BLK_SEG_MAX 168u
_Static_assert((BLK_SEG_MAX + 2) * (BLK_SIZE_MAX / 4096 + 1) <= BLK_SEGMENTS + 4, "what is promised fits");
#define BLK_RANGE_MAX 8192u /* sectors of a discard or of write zeroes */

/* Feature bits, 5.2.3. */
#define BLK_F_SIZE_MAX BIT(1)
#define BLK_F_SEG_MAX BIT(2)
#define BLK_F_RO BIT(5)
#define BLK_F_BLK_SIZE BIT(6)
#define BLK_F_FLUSH BIT(9)
#define BLK_F_MQ BIT(12)
#define BLK_F_DISCARD BIT(13)
#define BLK_F_WRITE_ZEROES BIT(14)

/* In the order in which they were taken; a slot is free again when those before it are, too. */
struct blk_slot {
	struct blk_lane *lane;
	struct block_request request;
	struct virtq_chain chain;
	u8 *status;       /* in guest memory */
	u32 written;      /* what the driver is told, when all went well */
	u32 segments_end; /* of the pool, free-running */
	bool done;
};

/* What belongs to one queue; nothing of it is another queue's. */
struct blk_lane {
	struct virtio_blk *blk;
	struct virtio_queue *queue; /* and its lock, for what follows */
	unsigned index;
	struct blk_slot slot[BLK_SLOTS];
	u32 slot_head, slot_tail; /* free-running; head: the oldest */
	u32 segments_head, segments_tail;
	bool serving;       /* somebody is taking requests; who comes meanwhile need not */
	bool blocked;       /* there was no slot for the next */
	struct later later; /* goes on where serving ended */
	struct piece pool[BLK_POOL];
};

struct virtio_blk {
	struct virtio_pci pci;
	struct virtio_queue queues[VIRTIO_BLK_QUEUES_MAX];
	struct poller poller; /* polled where it has a CPU: then doorbells are not asked for */
	struct block *disk;
	char id[VIRTIO_BLK_ID_BYTES];
	u8 config[60];
	struct blk_lane lane[]; /* pci.nr_queues of them */
};

/* What parsing a request comes to. */
enum blk_next {
	BLK_SUBMIT, /* slot->request is complete */
	BLK_DONE,   /* answered with *status */
	BLK_BROKEN  /* no request at all: there is no place for an answer */
};

/* virtio_blk_request.c: from a chain to a request. */
enum blk_next blk_parse(struct virtio_blk *b, struct blk_slot *s, enum block_status *status);
