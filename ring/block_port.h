/* SPDX-License-Identifier: Apache-2.0 */
/* What the block queue and its ports share. Private to ring/. */
#pragma once

#include "block_queue.h"
#include "tsc.h"

#define GATE_SHUT 0x80000000u /* of block_port.gate; more than any share */

static inline void block_meter(u64 *figure, u64 more)
{
	__atomic_fetch_add(figure, more, __ATOMIC_RELAXED);
}

/* With or without the lock; what has no flags. */
static inline void block_count_plain(struct block_meters *m, const struct block_request *r,
				     enum block_status status, u64 ticks)
{
	block_meter(&m->ticks, ticks);
	if (unlikely(status != BLOCK_OK)) {
		block_meter(&m->errors, 1);
		return;
	}
	block_meter(&m->ops[r->op], 1);
	if (r->op <= BLOCK_WRITE)
		block_meter(r->op == BLOCK_READ ? &m->bytes_read : &m->bytes_written,
			    (u64)r->count * BLOCK_SECTOR);
}

static inline void block_count(struct block_meters *m, const struct block_request *r,
			       enum block_status status, u64 ticks)
{
	block_count_plain(m, r, status, ticks);
	if (unlikely(r->flags & BLOCK_BARRIER && status == BLOCK_OK))
		block_meter(&m->barriers, 1);
}

/* As block.submit, of a port: through the queue. */
void block_queue_submit(struct block *b, struct block_request *r);
/* Lets in who waits at the port, and does what there is to do; with the queue's lock held. */
void block_queue_go_on(struct block_port *p);
