/* SPDX-License-Identifier: Apache-2.0 */
/* A request's way: held (behind its port's share or a barrier) -> competing (in the tree) -> at the disk, in
 * a slot, perhaps with neighbours -> done. Where something has to be on the medium, it waits for a flush
 * before it competes, or after. Everything changes under the queue's lock; the disk and complete() are called
 * without it.
 *
 * A request that would compete alone, with a slot free, goes to the disk at once: it would be the next
 * anyway. */
#include "block_port.h"
#include "block_tree.h"

#define PUMP_STEPS 64 /* a CPU does no more of them while another one is at it */

enum phase {
	PHASE_COMPETE, /* nothing more after the flush than to compete */
	PHASE_FINISH,  /* nothing more after the flush than complete() */
};

static void slot_done(struct block_request *request, enum block_status status);
static void flush_done(struct block_request *request, enum block_status status);

static bool is_volatile(const struct block_queue *q)
{
	return q->disk->flags & BLOCK_VOLATILE;
}

static void compete(struct block_queue *q, struct block_request *r)
{
	struct block_ticket *t = block_ticket(r);
	u64 mix = (q->sequence + 1) * 0x9e3779b97f4a7c15u;

	t->sequence = q->sequence++;
	t->stamp = q->dispatches;
	t->priority = (u32)((mix ^ mix >> 29) * 0xbf58476d1ce4e5b9u >> 32);
	list_insert(&q->age, &r->link);
	block_tree_insert(&q->root, r);
}

static void wait_for_flush(struct block_queue *q, struct block_request *r, enum phase then)
{
	block_ticket(r)->phase = (u8)then;
	list_insert(&q->flush_next, &r->link);
}

static void start(struct block_queue *q, struct block_request *r);

/* Lets in what the port's share and barriers allow. */
static void admit(struct block_port *p)
{
	while (!list_empty(&p->held) && !p->barrier) {
		struct block_request *r = list_entry(p->held.next, struct block_request, link);
		u32 others = p->outstanding + (__atomic_load_n(&p->gate, __ATOMIC_ACQUIRE) & ~GATE_SHUT);

		if (others >= p->share)
			return;
		if (r->flags & BLOCK_BARRIER) {
			if (others)
				return;
			p->barrier = r;
		}
		list_remove(&r->link);
		p->outstanding++;
		start(p->queue, r);
	}
}

static void hand_back(struct block_queue *q, struct block_request *r, enum block_status status)
{
	block_ticket(r)->status = (u8)status;
	list_insert(&q->done, &r->link);
}

/* The request is what it promised to be, or has failed. The port's next are for the caller to admit. */
static void finish(struct block_queue *q, struct block_request *r, enum block_status status)
{
	struct block_port *p = block_ticket(r)->port;

	p->outstanding--;
	block_count(&p->meters, r, status, tsc_now() - block_ticket(r)->begun);
	hand_back(q, r, status);
	if (p->barrier != r)
		return;
	p->barrier = NULL;
	while (status != BLOCK_OK && !list_empty(&p->held)) {
		struct block_request *behind = list_entry(p->held.next, struct block_request, link);

		list_remove(&behind->link);
		block_count(&p->meters, behind, BLOCK_IOERR, tsc_now() - block_ticket(behind)->begun);
		hand_back(q, behind, BLOCK_IOERR);
	}
}

static void start(struct block_queue *q, struct block_request *r)
{
	if (r->op == BLOCK_FLUSH && !is_volatile(q))
		finish(q, r, BLOCK_OK);
	else if (r->op == BLOCK_FLUSH)
		wait_for_flush(q, r, PHASE_FINISH);
	else if (r->flags & BLOCK_BARRIER && is_volatile(q))
		wait_for_flush(q, r, PHASE_COMPETE);
	else
		compete(q, r);
}

/* The disk has done it. */
static void served(struct block_queue *q, struct block_request *r, enum block_status status)
{
	bool lasting = r->flags & (BLOCK_FUA | BLOCK_BARRIER) && r->op != BLOCK_READ;

	if (status == BLOCK_OK && lasting && is_volatile(q)) {
		wait_for_flush(q, r, PHASE_FINISH);
		return;
	}
	finish(q, r, status);
	admit(block_ticket(r)->port);
}

static bool joins(const struct block_slot *s, struct block_request *r, u64 end)
{
	const struct block_request *d = &s->request;

	return r->op == d->op && block_place(r) == end && !block_ticket(r)->alone &&
	       (u64)d->count + r->count <= BLOCK_QUEUE_MERGE &&
	       (u64)d->nr_segments + r->nr_segments <= BLOCK_QUEUE_SEGMENTS;
}

static struct block_slot *slot_take(struct block_queue *q)
{
	struct block_slot *s = &q->slots[__builtin_ctz(q->free_slots)];

	q->free_slots &= q->free_slots - 1;
	s->nr_members = 0;
	s->ends = 0;
	return s;
}

/* Its own segments stay where they are until a second one joins it. */
static void slot_first(struct block_slot *s, struct block_request *r)
{
	struct block_request *d = &s->request;

	list_insert(&s->members, &r->link);
	s->nr_members = 1;
	d->op = r->op;
	d->sector = block_place(r);
	d->count = r->count;
	d->nr_segments = r->nr_segments;
	d->segments = r->segments;
	d->copied = 0;
	d->payer = block_ticket(r)->port->payer;
}

/* From competing into the slot. */
static void take(struct block_queue *q, struct block_slot *s, struct block_request *r)
{
	struct block_request *d = &s->request;
	struct block_meters *m = &block_ticket(r)->port->meters;

	block_tree_remove(&q->root, r);
	list_remove(&r->link);
	m->longest_wait = MAX(m->longest_wait, q->dispatches - block_ticket(r)->stamp);
	if (s->nr_members == 0) {
		slot_first(s, r);
		return;
	}
	list_insert(&s->members, &r->link);
	block_meter(&m->merges, 1);
	for (u32 i = 0; s->nr_members == 1 && i < d->nr_segments; i++)
		s->segments[i] = d->segments[i];
	for (u32 i = 0; i < r->nr_segments; i++)
		s->segments[d->nr_segments + i] = r->segments[i];
	s->nr_members++;
	d->segments = s->segments;
	d->nr_segments += r->nr_segments;
	d->count += r->count;
}

/* Whose turn it is; somebody competes. */
static struct block_request *choose(struct block_queue *q)
{
	struct block_request *oldest = list_entry(q->age.next, struct block_request, link), *r;

	if (q->batch_left) {
		q->batch_left--;
	} else if (q->dispatches - block_ticket(oldest)->stamp >= BLOCK_QUEUE_BOUND) {
		q->batch_left = BLOCK_QUEUE_BATCH - 1;
		return oldest;
	}
	r = block_tree_from(q->root, q->head, 0);
	return r ? r : block_tree_from(q->root, 0, 0);
}

/* Fills a slot that is free. */
static struct block_slot *dispatch(struct block_queue *q)
{
	struct block_request *r = choose(q);
	struct block_slot *s = slot_take(q);
	u64 end = block_place(r);
	bool alone = block_ticket(r)->alone;

	do {
		end += r->count;
		take(q, s, r);
		r = alone ? NULL : block_tree_from(q->root, end, 0);
	} while (r && joins(s, r, end));
	q->dispatches++;
	q->head = end;
	return s;
}

static bool begin_flush(struct block_queue *q)
{
	struct list *last = q->flush_next.prev;

	if (q->flush.busy || list_empty(&q->flush_next))
		return false;
	q->flush_now.next = q->flush_next.next;
	q->flush_now.next->prev = &q->flush_now;
	q->flush_now.prev = last;
	last->next = &q->flush_now;
	list_init(&q->flush_next);
	q->flush.request.payer =
	    block_ticket(list_entry(q->flush_now.next, struct block_request, link))->port->payer;
	q->flush.busy = true;
	q->flush.ends = 0;
	q->flushes++;
	return true;
}

static void release(struct block_queue *q, struct block_slot *s)
{
	if (s == &q->flush)
		s->busy = false;
	else
		q->free_slots |= 1u << (s - q->slots);
}

/* It is completed, or submit() has returned: true for the second of both. */
static bool slot_ends(struct block_slot *s)
{
	return __atomic_add_fetch(&s->ends, 1, __ATOMIC_ACQ_REL) == 2;
}

/* Something that has to be done without the lock; the lock is held before and after. False: nothing. */
static bool step(struct block_queue *q)
{
	struct block_slot *s;

	if (!list_empty(&q->done)) {
		struct block_request *r = list_entry(q->done.next, struct block_request, link);
		enum block_status status = block_ticket(r)->status;
		struct block_port *p = block_ticket(r)->port;

		list_remove(&r->link);
		spin_unlock(&q->lock);
		r->complete(r, status);
		spin_lock(&q->lock);
		if (--p->unfinished == 0)
			__atomic_fetch_and(&p->gate, ~GATE_SHUT, __ATOMIC_RELEASE);
		return true;
	}
	if (begin_flush(q))
		s = &q->flush;
	else if (q->free_slots && q->root)
		s = dispatch(q);
	else
		return false;
	spin_unlock(&q->lock);
	/* It is valid: its parts are. */
	q->disk->submit(q->disk, &s->request);
	bool ended = slot_ends(s);
	spin_lock(&q->lock);
	if (ended)
		release(q, s);
	return true;
}

/* Does what there is to do. Disks that complete within submit do not get here a second time. */
static void pump(struct block_queue *q)
{
	unsigned steps = 0;

	q->pumps++;
	while (step(q))
		if (++steps >= PUMP_STEPS && q->pumps > 1)
			break;
	q->pumps--;
}

/* The disk has given the slot back. Within block_submit(), the one who called that goes on. */
static void go_on(struct block_queue *q, struct block_slot *s)
{
	if (!slot_ends(s))
		return;
	release(q, s);
	pump(q);
}

static void slot_done(struct block_request *request, enum block_status status)
{
	struct block_slot *s = container_of(request, struct block_slot, request);
	struct block_queue *q = s->queue;

	spin_lock(&q->lock);
	bool retry = status == BLOCK_IOERR && s->nr_members > 1;
	while (!list_empty(&s->members)) {
		struct block_request *r = list_entry(s->members.next, struct block_request, link);

		list_remove(&r->link);
		if (unlikely(request->copied))
			block_meter(&block_ticket(r)->port->meters.copied,
				    request->copied * r->count / request->count);
		/* One bad sector must not fail the neighbours, which may be another VM's. */
		if (retry) {
			block_ticket(r)->alone = true;
			compete(q, r);
		} else {
			served(q, r, status);
		}
	}
	go_on(q, s);
	spin_unlock(&q->lock);
}

static void flush_done(struct block_request *request, enum block_status status)
{
	struct block_slot *s = container_of(request, struct block_slot, request);
	struct block_queue *q = s->queue;

	spin_lock(&q->lock);
	while (!list_empty(&q->flush_now)) {
		struct block_request *r = list_entry(q->flush_now.next, struct block_request, link);

		list_remove(&r->link);
		if (status == BLOCK_OK && block_ticket(r)->phase == PHASE_COMPETE) {
			compete(q, r);
		} else {
			finish(q, r, status);
			admit(block_ticket(r)->port);
		}
	}
	go_on(q, s);
	spin_unlock(&q->lock);
}

/* Nobody competes with it, and there is a slot. The lock is not held after it. */
static void go_alone(struct block_queue *q, struct block_port *p, struct block_request *r)
{
	struct block_slot *s = slot_take(q);

	slot_first(s, r);
	p->outstanding++;
	q->batch_left -= q->batch_left != 0;
	q->dispatches++;
	q->head = s->request.sector + r->count;
	spin_unlock(&q->lock);
	q->disk->submit(q->disk, &s->request);
	if (!slot_ends(s))
		return;
	spin_lock(&q->lock);
	release(q, s);
	pump(q);
	spin_unlock(&q->lock);
}

void block_queue_submit(struct block *b, struct block_request *r)
{
	struct block_port *p = container_of(b, struct block_port, block);
	struct block_queue *q = p->queue;
	struct block_ticket *t = block_ticket(r);

	t->port = p;
	t->alone = false;
	t->begun = tsc_now();
	spin_lock(&q->lock);
	if (p->unfinished++ == 0 && q->disk->serve)
		__atomic_fetch_or(&p->gate, GATE_SHUT, __ATOMIC_ACQ_REL);
	if (!q->root && q->free_slots && list_empty(&p->held) && !p->barrier && p->outstanding < p->share &&
	    !(r->flags & BLOCK_BARRIER) && r->op != BLOCK_FLUSH && !q->disk->serve) {
		go_alone(q, p, r);
		return;
	}
	list_insert(&p->held, &r->link);
	admit(p);
	pump(q);
	spin_unlock(&q->lock);
}

void block_queue_go_on(struct block_port *p)
{
	admit(p);
	pump(p->queue);
}

void block_queue_init(struct block_queue *q, struct block *disk, unsigned depth)
{
	memset(q, 0, sizeof(*q));
	q->disk = disk;
	q->depth = MAX(1u, MIN(depth, (unsigned)BLOCK_QUEUE_DEPTH));
	q->free_slots = (u32)BIT(q->depth) - 1;
	list_init(&q->age);
	list_init(&q->flush_next);
	list_init(&q->flush_now);
	list_init(&q->done);
	q->flush.queue = q;
	q->flush.request.op = BLOCK_FLUSH;
	q->flush.request.complete = flush_done;
	for (unsigned i = 0; i < BLOCK_QUEUE_DEPTH; i++) {
		q->slots[i].queue = q;
		q->slots[i].request.complete = slot_done;
		list_init(&q->slots[i].members);
	}
}
