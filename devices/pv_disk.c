/* SPDX-License-Identifier: Apache-2.0 */
/* The disk behind a Socle ring: from the ring to the block device and back; see pv_disk.h.
 *
 * As in virtio_blk.c, one CPU at a time takes requests, one by one under the lock, and submits each without
 * it; the block device may complete within submit. A barrier is the `fence`: nothing behind it is taken
 * before it is done, and it begins when all before it have come back. A request of several steps goes into
 * `again` between them, because nothing may be submitted from complete(). */
#include "pv_disk_internal.h"

#include "guest.h"
#include "host.h"
#include "log.h"

/* At one go; the rest is put off, so that others run. */
#define TURN_REQUESTS PV_SLOTS
#define TURN_SECTORS 2048u

/* ---- slots; the lock is held ---- */
static void slot_finish(struct pv_disk *d, struct pv_slot *s, int status)
{
	pv_ring_unpin(&d->ring, s->request.segments, s->request.nr_segments);
	if (likely(d->state == PV_OPEN))
		(void)pv_ring_respond(&d->ring, s->id, status, status ? 0 : s->written);
	if (unlikely(s->barrier)) {
		if (d->fence == s)
			d->fence = NULL;
		if (status && d->state == PV_OPEN)
			d->canceled = pv_ring_waiting(&d->ring);
	}
	d->in_flight -= s->begun;
	d->free_chunks |= s->chunk;
	d->free_slots[d->nr_free++] = s->index;
}

/* What is to be submitted next. */
static struct block_request *step_begin(struct pv_slot *s)
{
	u8 step = s->steps & (u8)(0u - s->steps);

	s->steps ^= step;
	return likely(step == STEP_MAIN) ? &s->request : &s->flush;
}

static struct block_request *slot_begin(struct pv_disk *d, struct pv_slot *s)
{
	s->begun = true;
	d->in_flight++;
	return step_begin(s);
}

/* ---- telling the guest; the lock is held ---- */
static bool has_news(struct pv_disk *d)
{
	bool news = false;

	if (d->state == PV_OPEN) {
		news = pv_ring_publish(&d->ring);
		if (unlikely(d->ring.broken) && !d->told)
			news = d->told = true;
	} else if (d->state == PV_CLOSING && !d->told && !d->in_flight && !d->serving) {
		news = d->told = true;
	}
	news = news && d->event_number;
	d->notifications += news;
	return news;
}

/* ---- serving ---- */
/* How a look at the ring ended. */
enum pv_look { LOOK_SUBMIT, LOOK_AGAIN, LOOK_NOTHING };

/* Most requests are reads and writes within a page, and many disks do them at once: those need no slot. The
 * lock is held, and stays so, for as long as it takes to copy a page. False: nothing has happened. */
static bool at_once(struct pv_disk *d, const struct socle_request *request)
{
	struct block_request *r = &d->now;
	bool read = request->operation == SOCLE_RING_READ;
	enum block_status status;

	if (unlikely(request->operation - SOCLE_RING_READ > 1u || request->flags || request->nr_segments))
		return false;
	if (unlikely(gmem_pin(d->mem, &d->ring.tlb, request->address, request->length, read,
			      (void **)&d->now_piece.base)))
		return false;
	d->now_piece.length = request->length;
	r->op = read ? BLOCK_READ : BLOCK_WRITE;
	r->sector = request->sector;
	r->count = request->length / BLOCK_SECTOR;
	bool done = block_now(d->disk, r, &status);
	gmem_unpin(d->mem, d->now_piece.base);
	if (likely(done))
		(void)pv_ring_respond(&d->ring, request->id, status == BLOCK_OK ? 0 : SOCLE_EIO,
				      read && status == BLOCK_OK ? request->length : 0);
	return done;
}

/* Requests from the ring, until there is one to submit; there is a slot. *n: of this turn so far. The lock is
 * held. */
static enum pv_look take(struct pv_disk *d, struct block_request **out, u32 *n)
{
	struct pv_slot *s = &d->slot[d->free_slots[d->nr_free - 1]];
	struct socle_request request;
	int status;

	for (;; ++*n) {
		if (!pv_ring_next(&d->ring, &request))
			return !d->poller.cpu && pv_ring_rest(&d->ring) ? LOOK_AGAIN : LOOK_NOTHING;
		if (unlikely(d->canceled) || !at_once(d, &request))
			break;
		if (*n >= TURN_REQUESTS)
			return LOOK_AGAIN;
	}
	d->nr_free--;
	status = pv_disk_parse(d, s, &request);
	if (unlikely(d->canceled)) {
		d->canceled--;
		s->barrier = false;
		status = SOCLE_ECANCELED;
	}
	if (status) {
		slot_finish(d, s, status);
		return LOOK_AGAIN;
	}
	if (s->barrier) {
		d->fence = s;
		if (d->in_flight) {
			d->blocked = true;
			return LOOK_NOTHING;
		}
	}
	*out = slot_begin(d, s);
	return LOOK_SUBMIT;
}

static enum pv_look look(struct pv_disk *d, struct block_request **out, u32 *n)
{
	if (unlikely(d->state != PV_OPEN))
		return LOOK_NOTHING;
	if (unlikely(!list_empty(&d->again))) {
		struct pv_slot *s = list_entry(d->again.next, struct pv_slot, link);

		list_remove(&s->link);
		*out = step_begin(s);
		return LOOK_SUBMIT;
	}
	if (unlikely(d->fence && !d->fence->begun && !d->in_flight)) {
		*out = slot_begin(d, d->fence);
		return LOOK_SUBMIT;
	}
	if (unlikely(d->fence || !d->nr_free || !d->free_chunks)) {
		d->blocked = true;
		return LOOK_NOTHING;
	}
	return take(d, out, n);
}

/* Until there is nothing to do, or a turn is over: true. */
static bool serve_turn(struct pv_disk *d)
{
	u32 sectors = 0;

	for (u32 n = 0; n < TURN_REQUESTS && sectors < TURN_SECTORS; n++) {
		struct block_request *r;
		enum pv_look l = look(d, &r, &n);

		if (l == LOOK_AGAIN)
			continue;
		if (l == LOOK_NOTHING)
			return false;
		sectors += r->count;
		spin_unlock(&d->lock);
		block_submit(d->disk, r);
		spin_lock(&d->lock);
	}
	return true;
}

/* *more: there may be more, for later, which is promised to who rang doorbells. ERR_NOENT: the ring is not
 * open. */
static int serve(struct pv_disk *d, u64 doorbells, bool *more)
{
	bool tell;

	*more = false;
	spin_lock(&d->lock);
	d->doorbells += doorbells;
	if (d->serving || d->state != PV_OPEN) {
		int rc = d->state == PV_OPEN ? 0 : ERR_NOENT;
		spin_unlock(&d->lock);
		return rc;
	}
	d->serving = true;
	d->blocked = false;
	*more = serve_turn(d);
	d->serving = false;
	if (unlikely(*more) && doorbells)
		later_promise(&d->later);
	tell = has_news(d);
	spin_unlock(&d->lock);
	if (tell)
		d->event(d->opaque, d->event_number);
	return 0;
}

static int doorbell(struct pv_device *device, unsigned ring)
{
	struct pv_disk *d = container_of(device, struct pv_disk, device);
	bool more;
	int rc = serve(d, 1, &more);

	(void)ring;
	if (unlikely(more))
		later_keep(&d->later, 0);
	return rc;
}

static u64 go_on(void *opaque)
{
	bool more;

	(void)serve(opaque, 0, &more);
	return more ? 0 : LATER_NEVER;
}

/* What is left when a turn is over, the next round finds. */
static bool poll(void *opaque)
{
	struct pv_disk *d = opaque;
	u64 before = d->ring.requests;
	bool more;

	(void)serve(d, 0, &more);
	return d->ring.requests != before;
}

static int status_of(enum block_status status)
{
	return status == BLOCK_OK ? 0 : status == BLOCK_UNSUPP ? SOCLE_ENOTSUP : SOCLE_EIO;
}

/* Any CPU; perhaps within serve_turn(), which then looks again, and tells the guest of all at once. */
static void step_end(struct pv_slot *s, enum block_status status)
{
	struct pv_disk *d = s->disk;
	bool tell = false, more = false;

	spin_lock(&d->lock);
	if (unlikely(s->steps && status == BLOCK_OK && d->state == PV_OPEN))
		list_insert(&d->again, &s->link);
	else
		slot_finish(d, s, status_of(status));
	if (!d->serving) {
		tell = has_news(d);
		more = d->state == PV_OPEN && (d->blocked || !list_empty(&d->again));
		d->blocked = false;
		if (unlikely(more))
			later_promise(&d->later);
	}
	spin_unlock(&d->lock);
	if (tell)
		d->event(d->opaque, d->event_number);
	if (unlikely(more))
		later_keep(&d->later, 0);
}

static void complete(struct block_request *r, enum block_status status)
{
	step_end(container_of(r, struct pv_slot, request), status);
}

static void flushed(struct block_request *r, enum block_status status)
{
	step_end(container_of(r, struct pv_slot, flush), status);
}

/* ---- opening and closing ---- */
static int open_ring(struct pv_device *device, unsigned ring, gpa_t base, u64 size, u32 event)
{
	struct pv_disk *d = container_of(device, struct pv_disk, device);
	int rc = ERR_EXIST;

	(void)ring;
	spin_lock(&d->lock);
	if (d->state == PV_CLOSED) {
		d->suppressed += d->ring.suppressed;
		d->ring.suppressed = 0;
		rc = pv_ring_init(&d->ring, d->mem, base, size);
		if (rc == 0) {
			if (d->poller.cpu)
				pv_ring_hush(&d->ring);
			d->state = PV_OPEN;
			d->event_number = event;
			d->told = d->blocked = false;
			d->canceled = 0;
		}
	}
	spin_unlock(&d->lock);
	return rc;
}

/* The lock is held. 0, or ERR_AGAIN: the block device has requests. */
static int close_locked(struct pv_disk *d)
{
	if (d->state == PV_OPEN) {
		d->state = PV_CLOSING;
		d->told = false;
		while (!list_empty(&d->again)) {
			struct pv_slot *s = list_entry(d->again.next, struct pv_slot, link);

			list_remove(&s->link);
			slot_finish(d, s, SOCLE_ECANCELED);
		}
		if (d->fence && !d->fence->begun)
			slot_finish(d, d->fence, SOCLE_ECANCELED);
	}
	if (d->in_flight || d->serving || later_is_promised(&d->later))
		return ERR_AGAIN;
	if (d->state == PV_CLOSING)
		pv_ring_fini(&d->ring);
	d->state = PV_CLOSED;
	return 0;
}

static int close_ring(struct pv_device *device, unsigned ring)
{
	struct pv_disk *d = container_of(device, struct pv_disk, device);
	int rc = ERR_NOENT;

	(void)ring;
	spin_lock(&d->lock);
	if (d->state != PV_CLOSED)
		rc = close_locked(d);
	spin_unlock(&d->lock);
	return rc;
}

static void query(const struct pv_device *device, struct socle_device *out)
{
	const struct pv_disk *d = container_of(device, struct pv_disk, device);

	out->kind = SOCLE_DEVICE_DISK;
	out->flags = (d->disk->flags & BLOCK_READ_ONLY ? SOCLE_DISK_READ_ONLY : 0) |
		     (d->disk->flags & BLOCK_VOLATILE ? SOCLE_DISK_VOLATILE : 0);
	out->sectors = d->disk->sectors;
	out->max_length = PV_LENGTH_MAX;
	out->max_pages = (u32)d->mem->pinned_limit;
	memcpy(out->name, d->id, sizeof(out->name));
}

/* ---- life ---- */
static const struct pv_device_ops disk_ops = {query, open_ring, close_ring, doorbell};

struct pv_disk *pv_disk_create(struct guest *g, struct pv_bus *bus, const struct pv_disk_setup *setup)
{
	struct pv_disk *d = heap_alloc(sizeof(*d));

	if (!d) {
		log_error("%s: no memory for a disk behind a Socle ring", guest_name(g));
		return NULL;
	}
	d->device = (struct pv_device){&disk_ops, 1};
	d->disk = setup->disk;
	d->mem = guest_mem(g);
	d->event = setup->event;
	d->opaque = setup->opaque;
	memcpy(d->id, setup->id, strnlen(setup->id, sizeof(d->id) - 1));
	list_init(&d->again);
	d->now.nr_segments = 1;
	d->now.segments = &d->now_piece;
	d->free_chunks = (u8)(BIT(PV_CHUNKS) - 1);
	for (d->nr_free = 0; d->nr_free < PV_SLOTS; d->nr_free++) {
		struct pv_slot *s = &d->slot[d->nr_free];

		s->disk = d;
		s->index = d->free_slots[d->nr_free] = (u8)d->nr_free;
		s->request.complete = complete;
		s->flush.op = BLOCK_FLUSH;
		s->flush.complete = flushed;
	}
	later_init(&d->later, go_on, d, setup->group);
	if (pv_bus_add(bus, &d->device) == 0) {
		d->poller = (struct poller){.poll = poll, .opaque = d, .group = setup->group};
		if (setup->polled && poller_add(&d->poller))
			log_warn("%s: no CPU polls: a ring is served by doorbells", guest_name(g));
		return d;
	}
	log_error("%s: too many devices behind Socle rings", guest_name(g));
	heap_free(d);
	return NULL;
}

void pv_disk_reset(struct pv_disk *d)
{
	int rc;

	do {
		spin_lock(&d->lock);
		rc = close_locked(d);
		spin_unlock(&d->lock);
		if (rc)
			cpu_poll_interrupts();
	} while (rc);
}

void pv_disk_destroy(struct pv_disk *d)
{
	if (!d)
		return;
	poller_remove(&d->poller);
	pv_disk_reset(d);
	later_destroy(&d->later);
	heap_free(d);
}

u64 pv_disk_usage(const struct pv_disk *d)
{
	return heap_size(d);
}

void pv_disk_meters(const struct pv_disk *d, struct device_meters *m)
{
	*m = (struct device_meters){0};
	m->doorbells = m->accesses = __atomic_load_n(&d->doorbells, __ATOMIC_RELAXED);
	m->interrupts = __atomic_load_n(&d->notifications, __ATOMIC_RELAXED);
	m->suppressed = __atomic_load_n(&d->suppressed, __ATOMIC_RELAXED) +
			__atomic_load_n(&d->ring.suppressed, __ATOMIC_RELAXED);
}
