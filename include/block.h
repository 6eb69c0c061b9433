/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices: what a disk's front end (virtio-blk, ATA, the Socle ring) asks, and what a disk does (RAM,
 * null and the queue in front of a physical one in ring/, the physical one in host/). Nothing here allocates,
 * blocks or recurses. */
#pragma once

#include "list.h"
#include "piece.h"

#define BLOCK_SECTOR 512 /* bytes; sectors are counted in it everywhere */

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	/* Done when every write that was completed before this was submitted, by whomever, is on the medium.
	 */
	BLOCK_FLUSH,
	BLOCK_DISCARD, /* what the sectors hold afterwards is not defined, but is nobody else's data */
	BLOCK_WRITE_ZEROES,
	BLOCK_OPS
};

/* virtio 1.2, 5.2.6: the same numbers. */
enum block_status {
	BLOCK_OK = 0,
	BLOCK_IOERR =
	    1, /* not a request (see block_submit), or the medium failed; what was written is not known */
	BLOCK_UNSUPP = 2, /* this device does not know the operation */
};

/* With any operation: what the same front end submitted before this is done, and on the medium, before this
 * begins; this is done, and on the medium, before what it submits later begins. */
#define BLOCK_BARRIER 1u
/* With BLOCK_WRITE and BLOCK_WRITE_ZEROES: it is completed when it is on the medium. */
#define BLOCK_FUA 2u

/* The front end's memory; the device's from block_submit() to complete(), the segments and what they point
 * at included. */
struct block_request {
	enum block_op op;
	u32 flags; /* BLOCK_BARRIER, BLOCK_FUA */
	u64 sector;
	u32 count; /* sectors; 0 for BLOCK_FLUSH, at least 1 for the others */
	/* BLOCK_READ and BLOCK_WRITE: count * BLOCK_SECTOR bytes in all; 0 segments for the others. */
	u32 nr_segments;
	const struct piece *segments;
	/* Once for each submit, on any CPU, perhaps before block_submit() has returned. The request is the
	 * front end's again. It may not submit from in here: it would recurse. */
	void (*complete)(struct block_request *r, enum block_status status);
	/* For the device that has the request. */
	struct list link;
	u64 private[7];
	/* Bytes that a disk without BLOCK_COPIES had to copy all the same: it adds, who hands requests to
	 * disks sets it to 0 before. */
	u64 copied;
	/* To a disk: whom what it does for this later, in an interrupt, is done for; NULL: nobody. A
	 * block_queue says so of the first of those that it has merged. */
	void *payer;
};

#define BLOCK_READ_ONLY 1u /* writes, discards and write-zeroes are BLOCK_IOERR */
/* A completed write may still be lost in a power cut until a BLOCK_FLUSH; without it, every one is durable.
 */
#define BLOCK_VOLATILE 2u
#define BLOCK_COPIES 4u /* what is read or written is copied once, by the CPU */

struct block {
	/* The request has been checked. Any CPU, several at once. Requests that wait at the same time are
	 * done in any order, but for barriers: who wants one after the other waits for the one. A device that
	 * is not a block_queue port gets no flags. */
	void (*submit)(struct block *b, struct block_request *r);
	u64 sectors; /* size */
	u32 flags;   /* BLOCK_READ_ONLY, BLOCK_VOLATILE */
	/* Of a disk that does everything at once, and has no BLOCK_VOLATILE; NULL elsewhere. As submit, for
	 * a request that has been checked, but at `sector` instead of the request's, and the answer is
	 * returned: nothing of the request is written, complete() is not called. Flags are not looked at. */
	enum block_status (*serve)(struct block *b, const struct block_request *r, u64 sector);
	/* As submit, of a read or write without flags that has been checked, if it can be done here and now:
	 * then the answer is in *status, and complete() is not called. NULL: never. */
	bool (*now)(struct block *b, const struct block_request *r, enum block_status *status);
};

/* Most are reads and writes without flags, in one piece; and that is all there is to check of them. */
static inline bool block_is_plain(const struct block *b, const struct block_request *r)
{
	return (unsigned)r->op <= (b->flags & BLOCK_READ_ONLY ? BLOCK_READ : BLOCK_WRITE) && !r->flags &&
	       r->nr_segments == 1 && r->count && r->segments->length == (u64)r->count * BLOCK_SECTOR &&
	       r->sector < b->sectors && r->count <= b->sectors - r->sector;
}

/* The only way to a device. What is not a request by the rules above (an unknown operation or flag, beyond
 * the end, a write to a read-only device, segments that do not add up) is completed with BLOCK_IOERR at once.
 */
void block_submit(struct block *b, struct block_request *r);

/* Beside it, for who would rather wait than be called back: a read or write without flags, in one piece, that
 * the device does before this returns: *status, and complete() is not called. False: it is no such request,
 * or this is no such device, or others come first: nothing has happened, submit it. */
static inline bool block_now(struct block *b, const struct block_request *r, enum block_status *status)
{
	return b->now && block_is_plain(b, r) && b->now(b, r, status);
}

/* A disk in memory; nothing outlives a power cut, so nothing is volatile. Serves within submit. */
struct block_ram {
	struct block block;
	u8 *base;
};
/* base: length bytes that stay; what is beyond the last whole sector is not used. flags: BLOCK_READ_ONLY or
 * 0. */
void block_ram_init(struct block_ram *d, void *base, u64 length, u32 flags);

/* A disk that does nothing at once: reads give zeros, writes go nowhere. For measuring. */
void block_null_init(struct block *b, u64 sectors);
