/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the disk behind a Socle ring share: the device, and a request from the ring to the block
 * device. */
#pragma once

#include "later.h"
#include "list.h"
#include "poll.h"
#include "pv_disk.h"
#include "pv_ring.h"
#include "spinlock.h"

/* Requests in the block device's hands at once; what is more waits in the ring. */
#define PV_SLOTS 64u
/* Pieces of guest memory: most requests have their few in the slot, the others take a chunk. */
#define PV_FEW 9u
#define PV_CHUNKS 6u
#define PV_RANGE_MAX 8192u /* sectors of ZERO and DISCARD */
#define PV_LENGTH_MAX ((SOCLE_RING_PAGES - 1) * 4096u)
_Static_assert(PV_LENGTH_MAX / BLOCK_SECTOR <= PV_RANGE_MAX, "one limit is told for both");

/* What is still to be done for a request, in this order. */
#define STEP_FLUSH_BEFORE 1u
#define STEP_MAIN 2u
#define STEP_FLUSH_AFTER 4u

struct pv_slot {
	struct pv_disk *disk;
	struct block_request request; /* the main step; its segments are pinned */
	struct block_request flush;   /* before and after it */
	struct list link;             /* in `again` */
	u32 id;
	u8 index;
	bool barrier;
	u8 chunk;    /* its bit, 0: none */
	u8 steps;    /* STEP_, left to do */
	u32 written; /* what the guest is told, when all went well */
	bool begun;
	struct piece few[PV_FEW];
};

struct pv_disk {
	struct pv_device device;
	struct block *disk;
	struct gmem *mem;
	char id[16];
	void (*event)(void *opaque, u32 number);
	void *opaque;
	struct spinlock lock; /* of all that follows, but for `later` */
	enum pv_state state;
	u32 event_number;
	bool serving; /* somebody is taking requests; who comes meanwhile need not */
	bool blocked; /* the next has to wait for others to come back */
	bool told;    /* that the ring is broken, or that it can be closed now */
	u32 in_flight;
	u32 canceled;                 /* so many requests that come next stood behind a barrier that failed */
	struct pv_slot *fence;        /* the barrier that waits, or is served: nothing behind it is taken */
	struct list again;            /* slots with steps left to do */
	u64 doorbells, notifications; /* read without the lock */
	u64 suppressed;               /* likewise, by rings before this one */
	u32 nr_free;                  /* slots */
	u8 free_slots[PV_SLOTS];
	u8 free_chunks;       /* bits */
	struct poller poller; /* polled where it has a CPU: then doorbells are not asked for */
	struct pv_ring ring;
	struct block_request now; /* without a slot */
	struct piece now_piece;
	struct pv_slot slot[PV_SLOTS];
	struct later later; /* goes on where serving ended */
	struct piece chunks[PV_CHUNKS][SOCLE_RING_PAGES];
};

/* pv_disk_request.c: fills the slot. There is a chunk. 0, or the status that answers it. */
int pv_disk_parse(struct pv_disk *d, struct pv_slot *s, const struct socle_request *r);
