/* SPDX-License-Identifier: Apache-2.0 */
/* A request's way: held (behind its port's share or a barrier) -> competing (in the tree) -> at the disk, in
 * a slot, perhaps with neighbours -> done. Where something has to be on the medium, it waits for a flush
 * before it competes, or after. Everything changes under the queue's lock; the disk and complete() are called
 * without it. */
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
	while (!list_empty(&p->held) && !p->barrier && p->outstanding < p->share) {
		struct block_request *r = list_entry(p->held.next, struct block_request, link);

		if (r->flags & BLOCK_BARRIER) {
			if (p->outstanding)
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

static void count(struct block_meters *m, const struct block_request *r, enum block_status status)
{
	if (status != BLOCK_OK) {
		m->errors++;
		return;
	}
	m->ops[r->op]++;
	m->barriers += r->flags & BLOCK_BARRIER;
	if (r->op == BLOCK_READ)
		m->bytes_read += (u64)r->count * BLOCK_SECTOR;
	if (r->op == BLOCK_WRITE)
		m->bytes_written += (u64)r->count * BLOCK_SECTOR;
}

/* The request is what it promised to be, or has failed. The port's next are for the caller to admit. */
static void finish(struct block_queue *q, struct block_request *r, enum block_status status)
{
	struct block_port *p = block_ticket(r)->port;

	p->outstanding--;
	count(&p->meters, r, status);
	hand_back(q, r, status);
	if (p->barrier != r)
		return;
	p->barrier = NULL;
	while (status != BLOCK_OK && !list_empty(&p->held)) {
		struct block_request *behind = list_entry(p->held.next, struct block_request, link);

		list_remove(&behind->link);
		p->meters.errors++;
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

/* From competing into the slot. */
static void take(struct block_queue *q, struct block_slot *s, struct block_request *r)
{
	struct block_request *d = &s->request;
	struct block_meters *m = &block_ticket(r)->port->meters;

	block_tree_remove(&q->root, r);
	list_remove(&r->link);
	list_insert(&s->members, &r->link);
	m->merges += s->nr_members++ != 0;
	m->longest_wait = MAX(m->longest_wait, q->dispatches - block_ticket(r)->stamp);
	if (d->nr_segments + r->nr_segments <= BLOCK_QUEUE_SEGMENTS) {
		for (u32 i = 0; i < r->nr_segments; i++)
			s->segments[d->nr_segments + i] = r->segments[i];
		d->segments = s->segments;
	} else {
		d->segments = r->segments; /* alone, see joins() */
	}
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
	struct block_slot *s = q->slots;
	u64 place = block_place(r), end = place;

	while (s->busy)
		s++;
	s->busy = s->submitting = true;
	q->free_slots--;
	s->nr_members = 0;
	s->request = (struct block_request){.op = r->op, .sector = place, .complete = slot_done};
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
	q->flush.busy = q->flush.submitting = true;
	q->flush.request = (struct block_request){.op = BLOCK_FLUSH, .complete = flush_done};
	q->flushes++;
	return true;
}

static void release(struct block_queue *q, struct block_slot *s)
{
	s->busy = s->over = false;
	if (s != &q->flush)
		q->free_slots++;
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
		p->unfinished--;
		return true;
	}
	if (begin_flush(q))
		s = &q->flush;
	else if (q->free_slots && q->root)
		s = dispatch(q);
	else
		return false;
	spin_unlock(&q->lock);
	block_submit(q->disk, &s->request);
	spin_lock(&q->lock);
	s->submitting = false;
	if (s->over)
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
	s->over = true;
	if (s->submitting)
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

static void port_submit(struct block *b, struct block_request *r)
{
	struct block_port *p = container_of(b, struct block_port, block);
	struct block_queue *q = p->queue;

	*block_ticket(r) = (struct block_ticket){.port = p};
	spin_lock(&q->lock);
	list_insert(&p->held, &r->link);
	p->unfinished++;
	admit(p);
	pump(q);
	spin_unlock(&q->lock);
}

void block_queue_init(struct block_queue *q, struct block *disk, unsigned depth)
{
	memset(q, 0, sizeof(*q));
	q->disk = disk;
	q->depth = q->free_slots = MAX(1u, MIN(depth, (unsigned)BLOCK_QUEUE_DEPTH));
	list_init(&q->age);
	list_init(&q->flush_next);
	list_init(&q->flush_now);
	list_init(&q->done);
	q->flush.queue = q;
	for (unsigned i = 0; i < BLOCK_QUEUE_DEPTH; i++) {
		q->slots[i].queue = q;
		list_init(&q->slots[i].members);
	}
}

int block_port_init(struct block_port *p, struct block_queue *q, u64 base, u64 sectors, u32 flags, u32 share)
{
	int err = 0;

	if (share == 0 || flags & ~BLOCK_READ_ONLY)
		return ERR_INVAL;
	if (base > q->disk->sectors || sectors > q->disk->sectors - base)
		return ERR_RANGE;
	memset(p, 0, sizeof(*p));
	p->block = (struct block){port_submit, sectors, q->disk->flags | flags};
	p->queue = q;
	p->base = base;
	p->share = share;
	list_init(&p->held);
	spin_lock(&q->lock);
	if (share > BLOCK_QUEUE_WAITING - q->reserved)
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
	if (p->unfinished == 0) {
		q->reserved -= p->share;
		p->share = 0;
		err = 0;
	}
	spin_unlock(&q->lock);
	return err;
}

struct block_meters block_port_meters(struct block_port *p)
{
	struct block_meters m;

	spin_lock(&p->queue->lock);
	m = p->meters;
	spin_unlock(&p->queue->lock);
	return m;
}
