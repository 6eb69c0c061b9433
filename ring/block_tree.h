/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting requests by sector: a treap, a search tree that random priorities keep flat. Private to ring/. */
#pragma once

#include "block_queue.h"

/* What the queue keeps in a request that it has. */
struct block_ticket {
	struct block_request *left, *right; /* smaller and greater (sector, sequence); lower priorities */
	struct block_port *port;
	u64 sequence;
	u64 stamp; /* dispatches when it began to compete */
	u64 begun; /* TSC at submit */
	u32 priority;
	u8 status; /* on the way to complete() */
	u8 phase;
	bool alone; /* not merged: it is a second try */
};
_Static_assert(sizeof(struct block_ticket) <= sizeof(((struct block_request *)0)->private), "private");

static inline struct block_ticket *block_ticket(struct block_request *r)
{
	return (struct block_ticket *)r->private;
}

/* On the disk. */
static inline u64 block_place(struct block_request *r)
{
	return block_ticket(r)->port->base + r->sector;
}

void block_tree_insert(struct block_request **root, struct block_request *r);
/* r is in the tree. */
void block_tree_remove(struct block_request **root, struct block_request *r);
/* The first with (sector, sequence) at or after these; NULL: none. */
struct block_request *block_tree_from(struct block_request *root, u64 sector, u64 sequence);
