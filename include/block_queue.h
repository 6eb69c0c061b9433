/* SPDX-License-Identifier: Apache-2.0 */
/* The queue in front of a disk that several VMs share (owner: ring/). Each VM has a port, which is a block
 * device of its own: an extent of the disk. Requests of all ports are merged where they touch and served in
 * the order of their sectors, upwards and then from the start again (C-SCAN), with a bound: see
 * BLOCK_QUEUE_BOUND. Barriers and BLOCK_FUA are served here, by waiting and by BLOCK_FLUSH; the disk sees no
 * flags. One lock for each queue, held for a few dozen instructions plus the depth of a search tree. A disk
 * that does everything at once (block.serve) is served past the queue and its lock: there nobody waits for
 * anybody, and the order is that of a port's barriers alone.
 *
 * A barrier that fails fails what its port has submitted behind it, too: it could not keep its place. */
#pragma once

#include "block.h"
#include "spinlock.h"

#define BLOCK_QUEUE_DEPTH 16     /* requests at the disk at once, at most */
#define BLOCK_QUEUE_WAITING 4096 /* requests that compete, of all ports */
#define BLOCK_QUEUE_SEGMENTS 64  /* of a merged request; one that is not merged may have any number */
#define BLOCK_QUEUE_MERGE 2048   /* sectors of a merged request */
/* Fairness: a request that competes while this many dispatches went to the disk is overdue. The oldest that
 * is overdue is next, and the sweep goes on from there for at least BLOCK_QUEUE_BATCH dispatches. So a
 * request waits for at most BOUND + BATCH * (1 + requests that competed before it) dispatches, and of those
 * before it no more than each port's share can be. */
#define BLOCK_QUEUE_BOUND 64
#define BLOCK_QUEUE_BATCH 8

/* Of completed requests; each figure is right by itself at any time. */
struct block_meters {
	u64 ops[BLOCK_OPS];
	u64 bytes_read, bytes_written; /* of BLOCK_READ and BLOCK_WRITE */
	u64 merges;                    /* requests that went to the disk together with one before them */
	u64 barriers;
	u64 errors;       /* status other than BLOCK_OK; not in ops and bytes */
	u64 longest_wait; /* in dispatches, see above */
	u64 copied;       /* bytes, by the disk, for BLOCK_READ and BLOCK_WRITE */
	u64 ticks;        /* of the TSC, from submit to completion, errors included: the sum over requests */
};

struct block_queue;
struct block_port {
	struct block block; /* what the front end submits to */
	struct block_queue *queue;
	void *payer;      /* see struct block_request; the owner's to set after block_port_init() */
	u64 base;         /* sector of the disk */
	u32 share;        /* requests that may compete or be at the disk at once */
	u32 outstanding;  /* that do */
	u64 unfinished;   /* submitted, and complete() has not returned; without those past the queue */
	u32 gate;         /* atomic: requests past the queue, and whether more may (ring/block_port.c) */
	struct list held; /* in the order in which they came: beyond the share, or behind a barrier */
	struct block_request *barrier; /* the one that is being served */
	struct block_meters meters;
};

struct block_slot {
	struct block_request request; /* what the disk sees */
	struct block_queue *queue;
	struct list members; /* requests of ports, ascending and without a gap */
	u32 nr_members;
	bool busy; /* of the flush */
	u32 ends;  /* atomic: it is completed, submit() has returned; who is second goes on */
	struct piece segments[BLOCK_QUEUE_SEGMENTS];
};

struct block_queue {
	struct spinlock lock;
	struct block *disk;
	unsigned depth;
	u32 reserved;               /* sum of the ports' shares */
	struct block_request *root; /* those that compete, by sector (block_tree.h) */
	struct list age;            /* the same, the oldest first */
	u64 sequence;               /* of admissions */
	u64 dispatches;             /* to the disk so far, without flushes */
	u64 head;                   /* where the sweep is */
	unsigned batch_left;        /* dispatches until somebody overdue is looked for again */
	u32 free_slots;             /* a bit for each of slots[] */
	unsigned pumps;             /* CPUs that are in pump() */
	u64 flushes;                /* sent to the disk so far */
	struct list flush_next;     /* these wait for a flush that has not begun */
	struct list flush_now;      /* and these for the one at the disk */
	struct list done;           /* to be completed as soon as the lock is free */
	struct block_slot flush;    /* for BLOCK_FLUSH */
	struct block_slot slots[BLOCK_QUEUE_DEPTH];
};

/* depth: requests at the disk at once, 1 to BLOCK_QUEUE_DEPTH. The disk stays. */
void block_queue_init(struct block_queue *q, struct block *disk, unsigned depth);

/* share: at least 1. flags: BLOCK_READ_ONLY or 0, added to the disk's. ERR_INVAL; ERR_RANGE: not on the disk;
 * ERR_NOMEM: more than BLOCK_QUEUE_WAITING in all, where the disk has no serve. Extents of ports may overlap:
 * then the VMs share. */
int block_port_init(struct block_port *p, struct block_queue *q, u64 base, u64 sectors, u32 flags, u32 share);
/* Gives the share back. ERR_AGAIN: requests are on their way; their completions come soon. */
int block_port_close(struct block_port *p);
/* Takes no lock. */
struct block_meters block_port_meters(const struct block_port *p);
