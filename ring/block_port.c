/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of the block queue: their life, their meters, and the way past the queue to a disk that does
 * everything at once. There a port's gate counts the requests at the disk; it is shut, under the lock, while
 * any request of the port is in the queue, which is so from a barrier or from the end of the share on. Who
 * leaves a gate that is shut looks whether somebody waited for that. */
#include "block_port.h"

static bool gate_enter(struct block_port *p)
{
	u32 inside = __atomic_load_n(&p->gate, __ATOMIC_RELAXED);

	do {
		if (unlikely(inside >= p->share))
			return false;
	} while (unlikely(!__atomic_compare_exchange_n(&p->gate, &inside, inside + 1, false, __ATOMIC_ACQUIRE,
						       __ATOMIC_RELAXED)));
	return true;
}

/* The port may be gone as soon as its gate says that nobody is inside: who has others to let in keeps the
 * lock over that. */
__attribute__((noinline)) static void gate_leave_shut(struct block_port *p)
{
	struct block_queue *q = p->queue;

	spin_lock(&q->lock);
	__atomic_fetch_sub(&p->gate, 1, __ATOMIC_RELEASE);
	block_queue_go_on(p);
	spin_unlock(&q->lock);
}

static inline void gate_leave(struct block_port *p)
{
	u32 inside = __atomic_load_n(&p->gate, __ATOMIC_RELAXED);

	while (likely(!(inside & GATE_SHUT)))
		if (likely(__atomic_compare_exchange_n(&p->gate, &inside, inside - 1, false, __ATOMIC_RELEASE,
						       __ATOMIC_RELAXED)))
			return;
	gate_leave_shut(p);
}

/* Inside the gate. */
static inline enum block_status serve(struct block_port *p, const struct block_request *r)
{
	struct block *disk = p->queue->disk;
	u64 begun = tsc_now();
	enum block_status status = disk->serve(disk, r, p->base + r->sector);

	block_count_plain(&p->meters, r, status, tsc_now() - begun);
	return status;
}

static void port_serve(struct block *b, struct block_request *r)
{
	struct block_port *p = container_of(b, struct block_port, block);

	if (unlikely(r->flags & BLOCK_BARRIER) || unlikely(!gate_enter(p))) {
		block_queue_submit(b, r);
		return;
	}
	r->complete(r, serve(p, r));
	gate_leave(p);
}

static bool port_now(struct block *b, const struct block_request *r, enum block_status *status)
{
	struct block_port *p = container_of(b, struct block_port, block);

	if (unlikely(!gate_enter(p)))
		return false;
	*status = serve(p, r);
	gate_leave(p);
	return true;
}

int block_port_init(struct block_port *p, struct block_queue *q, u64 base, u64 sectors, u32 flags, u32 share)
{
	int err = 0;

	if (share == 0 || flags & ~BLOCK_READ_ONLY)
		return ERR_INVAL;
	if (base > q->disk->sectors || sectors > q->disk->sectors - base)
		return ERR_RANGE;
	memset(p, 0, sizeof(*p));
	p->block = (struct block){.submit = q->disk->serve ? port_serve : block_queue_submit,
				  .now = q->disk->serve ? port_now : NULL,
				  .sectors = sectors,
				  .flags = q->disk->flags | flags};
	p->queue = q;
	p->base = base;
	p->share = share;
	list_init(&p->held);
	spin_lock(&q->lock);
	/* Where nobody waits, nobody takes anything away. */
	if (!q->disk->serve && share > BLOCK_QUEUE_WAITING - q->reserved)
		err = ERR_NOMEM;
	else
		q->reserved += share;
	spin_unlock(&q->lock);
	return err;
}

int block_port_close(struct block_port *p)
{
	struct block_queue *q = p->queue;
	int err = ERR_AGAIN;

	spin_lock(&q->lock);
	if (p->unfinished == 0 && __atomic_load_n(&p->gate, __ATOMIC_ACQUIRE) == 0) {
		q->reserved -= p->share;
		p->share = 0;
		err = 0;
	}
	spin_unlock(&q->lock);
	return err;
}

struct block_meters block_port_meters(const struct block_port *p)
{
	struct block_meters m;

	_Static_assert(sizeof(m) % sizeof(u64) == 0, "nothing but figures");
	for (unsigned i = 0; i < sizeof(m) / sizeof(u64); i++)
		((u64 *)&m)[i] = __atomic_load_n(&((const u64 *)&p->meters)[i], __ATOMIC_RELAXED);
	if (p->queue && p->queue->disk->flags & BLOCK_COPIES)
		m.copied = m.bytes_read + m.bytes_written;
	return m;
}
