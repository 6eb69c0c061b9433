/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio block device: from the queue to the disk and back; see virtio_blk.h.
 *
 * Who is told of requests takes them one by one under the queue's lock and submits each without it. Only one
 * CPU does so at a time, so the disk gets them in order, and whoever is told meanwhile has nothing to do: the
 * one that serves looks at the queue once more before it ends. The disk may complete within submit. */
#include "virtio_blk_internal.h"

#include "guest.h"
#include "host.h"
#include "log.h"

#define DEVICE_ID 2
#define CLASS_STORAGE 0x018000 /* mass storage, other */

/* At one go; the rest is put off, so that others run. */
#define TURN_REQUESTS BLK_SLOTS
#define TURN_SECTORS 2048u
#define NOW_SECTORS 8u

/* ---- slots ---- */
/* Room for a whole chain in one piece, or false: those before must come back first. */
static bool slot_room(struct blk_lane *lane)
{
	u32 at = lane->segments_tail % BLK_POOL, skip = at + BLK_SEGMENTS > BLK_POOL ? BLK_POOL - at : 0;

	if (lane->slot_tail - lane->slot_head == BLK_SLOTS ||
	    lane->segments_tail - lane->segments_head + skip + BLK_SEGMENTS > BLK_POOL)
		return false;
	lane->segments_tail += skip;
	return true;
}

static void slots_retire(struct blk_lane *lane)
{
	while (lane->slot_head != lane->slot_tail && lane->slot[lane->slot_head % BLK_SLOTS].done)
		lane->segments_head = lane->slot[lane->slot_head++ % BLK_SLOTS].segments_end;
	if (lane->slot_head == lane->slot_tail)
		lane->segments_head = lane->segments_tail = 0; /* the pool's beginning is in the cache */
}

/* With the queue's lock held. */
static void slot_finish(struct blk_lane *lane, struct blk_slot *s, enum block_status status)
{
	*s->status = (u8)status;
	virtq_push(&lane->queue->vq, &s->chain, status == BLOCK_OK ? s->written : s->written == 1);
	s->done = true;
	slots_retire(lane);
}

/* ---- serving ---- */
/* How a look at the queue ended. */
enum blk_look { LOOK_SUBMIT, LOOK_AGAIN, LOOK_EMPTY, LOOK_BROKEN };

/* With the queue's lock held. */
static enum blk_look look(struct blk_lane *lane, struct blk_slot **out)
{
	struct virtq *vq = &lane->queue->vq;
	enum block_status status = BLOCK_OK;
	struct blk_slot *s;
	int rc;

	if (!virtio_pci_queue_live(&lane->blk->pci, lane->queue))
		return LOOK_EMPTY;
	if (!slot_room(lane)) {
		lane->blocked = true;
		return LOOK_EMPTY;
	}
	*out = s = &lane->slot[lane->slot_tail % BLK_SLOTS];
	s->chain.segments = &lane->pool[lane->segments_tail % BLK_POOL];
	s->chain.room = BLK_SEGMENTS;
	rc = virtq_pop(vq, &s->chain);
	if (rc == 0)
		return !lane->blk->poller.cpu && virtq_kicks_on(vq) ? LOOK_AGAIN : LOOK_EMPTY;
	if (rc < 0)
		return LOOK_BROKEN;
	lane->segments_tail += s->chain.nr_read + s->chain.nr_write;
	s->segments_end = lane->segments_tail;
	s->done = false;
	lane->slot_tail++;
	switch (blk_parse(lane->blk, s, &status)) {
	case BLK_SUBMIT:
		/* Copying a little is sooner done than giving the lock away. */
		if (s->request.count > NOW_SECTORS || !block_now(lane->blk->disk, &s->request, &status))
			return LOOK_SUBMIT;
		slot_finish(lane, s, status);
		return LOOK_AGAIN;
	case BLK_DONE:
		slot_finish(lane, s, status);
		return LOOK_AGAIN;
	case BLK_BROKEN:
		break;
	}
	s->done = true;
	vq->broken = true;
	slots_retire(lane);
	return LOOK_BROKEN;
}

/* Until the queue is empty, or a turn is over: true. Sets *broken. */
static bool serve_turn(struct blk_lane *lane, bool *broken)
{
	u32 sectors = 0;

	for (u32 n = 0; n < TURN_REQUESTS && sectors < TURN_SECTORS; n++) {
		struct blk_slot *s;
		enum blk_look l = look(lane, &s);
		if (l == LOOK_AGAIN)
			continue;
		*broken = l == LOOK_BROKEN;
		if (l != LOOK_SUBMIT)
			return false;
		sectors += s->request.count;
		spin_unlock(&lane->queue->lock);
		block_submit(lane->blk->disk, &s->request);
		spin_lock(&lane->queue->lock);
	}
	return true;
}

/* True: there may be more, for later, which is promised if the caller wants to. */
static bool serve(struct blk_lane *lane, bool promise)
{
	bool broken = false, more, tell;

	spin_lock(&lane->queue->lock);
	if (lane->serving || !virtio_pci_queue_live(&lane->blk->pci, lane->queue)) {
		spin_unlock(&lane->queue->lock);
		return false;
	}
	lane->serving = true;
	lane->blocked = false;
	virtq_kicks_off(&lane->queue->vq);
	more = serve_turn(lane, &broken);
	lane->serving = false;
	if (unlikely(more) && promise)
		later_promise(&lane->later);
	tell = virtio_queue_news(lane->queue);
	spin_unlock(&lane->queue->lock);
	if (tell)
		virtio_pci_interrupt(&lane->blk->pci, lane->index);
	if (broken)
		virtio_pci_fail(&lane->blk->pci);
	return more;
}

static void kicked(struct virtio_pci *v, unsigned queue)
{
	struct blk_lane *lane = &container_of(v, struct virtio_blk, pci)->lane[queue];

	if (serve(lane, true))
		later_keep(&lane->later, 0);
}

static u64 go_on(void *opaque)
{
	return serve(opaque, false) ? 0 : LATER_NEVER;
}

/* What is left when a turn is over, the next round finds. */
static bool poll(void *opaque)
{
	struct virtio_blk *b = opaque;
	bool found = false;

	for (unsigned i = 0; i < b->pci.nr_queues; i++) {
		struct blk_lane *lane = &b->lane[i];
		u16 before = lane->queue->vq.next_avail;

		(void)serve(lane, false);
		found |= lane->queue->vq.next_avail != before;
	}
	return found;
}

/* Any CPU; perhaps within serve_turn(), which then tells the driver of all at once. */
static void complete(struct block_request *r, enum block_status status)
{
	struct blk_slot *s = container_of(r, struct blk_slot, request);
	struct blk_lane *lane = s->lane;
	bool tell, more;

	spin_lock(&lane->queue->lock);
	slot_finish(lane, s, status);
	tell = !lane->serving && virtio_queue_news(lane->queue);
	more = lane->blocked;
	lane->blocked = false;
	if (unlikely(more))
		later_promise(&lane->later);
	spin_unlock(&lane->queue->lock);
	if (tell)
		virtio_pci_interrupt(&lane->blk->pci, lane->index);
	if (unlikely(more))
		later_keep(&lane->later, 0);
}

static bool is_idle(struct virtio_pci *v)
{
	struct virtio_blk *b = container_of(v, struct virtio_blk, pci);
	bool idle = true;

	for (unsigned i = 0; i < v->nr_queues && idle; i++) {
		struct blk_lane *lane = &b->lane[i];
		spin_lock(&lane->queue->lock);
		idle =
		    !lane->serving && lane->slot_head == lane->slot_tail && !later_is_promised(&lane->later);
		spin_unlock(&lane->queue->lock);
	}
	return idle;
}

/* ---- life ---- */
static const struct virtio_type blk_type = {
    .id = DEVICE_ID,
    .class = CLASS_STORAGE,
    .features = BLK_F_SIZE_MAX | BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH,
    .kicked = kicked,
    .is_idle = is_idle,
};

/* 5.2.4. */
static void config_init(struct virtio_blk *b)
{
	u8 *c = b->config;

	pci_set32(c, 0, (u32)b->disk->sectors);
	pci_set32(c, 4, (u32)(b->disk->sectors >> 32));
	pci_set32(c, 8, BLK_SIZE_MAX);
	pci_set32(c, 12, BLK_SEG_MAX);
	pci_set32(c, 20, BLOCK_SECTOR); /* blk_size */
	pci_set16(c, 34, (u16)b->pci.nr_queues);
	if (b->disk->flags & BLOCK_READ_ONLY)
		return;
	pci_set32(c, 36, BLK_RANGE_MAX); /* discard: sectors, ranges, alignment */
	pci_set32(c, 40, 1);
	pci_set32(c, 44, 1);
	pci_set32(c, 48, BLK_RANGE_MAX); /* write zeroes: sectors, ranges */
	pci_set32(c, 52, 1);
}

static void lane_init(struct virtio_blk *b, unsigned index, struct sched_group *group)
{
	struct blk_lane *lane = &b->lane[index];

	lane->blk = b;
	lane->queue = &b->queues[index];
	lane->index = index;
	for (unsigned i = 0; i < BLK_SLOTS; i++) {
		lane->slot[i].lane = lane;
		lane->slot[i].request.complete = complete;
	}
	later_init(&lane->later, go_on, lane, group);
}

struct virtio_blk *virtio_blk_create(struct guest *g, struct pci_bus *bus, u8 devfn,
				     const struct virtio_blk_setup *setup)
{
	unsigned queues = MIN(setup->queues, VIRTIO_BLK_QUEUES_MAX);
	struct virtio_blk *b = heap_alloc(sizeof(*b) + queues * sizeof(b->lane[0]));

	if (!b) {
		log_error("%s: no memory for a virtio disk", guest_name(g));
		return NULL;
	}
	b->disk = setup->disk;
	memcpy(b->id, setup->id, strnlen(setup->id, sizeof(b->id)));
	for (unsigned i = 0; i < queues; i++)
		lane_init(b, i, setup->group);
	b->pci.type = &blk_type;
	b->pci.more_features =
	    (b->disk->flags & BLOCK_READ_ONLY ? BLK_F_RO : BLK_F_DISCARD | BLK_F_WRITE_ZEROES) |
	    (queues > 1 ? BLK_F_MQ : 0);
	b->pci.config = b->config;
	b->pci.config_bytes = sizeof(b->config);
	b->pci.queues = b->queues;
	b->pci.nr_queues = queues;
	b->pci.packed = setup->packed;
	config_init(b);
	if (virtio_pci_add(&b->pci, g, bus, devfn) == 0) {
		b->poller = (struct poller){.poll = poll, .opaque = b, .group = setup->group};
		if (setup->polled && poller_add(&b->poller))
			log_warn("%s: no CPU polls: a virtio disk is served by doorbells", guest_name(g));
		return b;
	}
	log_error("%s: no place for a virtio disk on the PCI bus", guest_name(g));
	heap_free(b);
	return NULL;
}

/* No vCPU runs: with the queues off nothing new begins. */
static void wait_idle(struct virtio_blk *b)
{
	for (unsigned i = 0; i < b->pci.nr_queues; i++) {
		spin_lock(&b->queues[i].lock);
		b->queues[i].enabled = false;
		spin_unlock(&b->queues[i].lock);
	}
	while (!is_idle(&b->pci))
		cpu_poll_interrupts();
	for (unsigned i = 0; i < b->pci.nr_queues; i++)
		later_destroy(&b->lane[i].later);
}

void virtio_blk_destroy(struct virtio_blk *b)
{
	if (!b)
		return;
	poller_remove(&b->poller);
	wait_idle(b);
	virtio_pci_remove(&b->pci);
	heap_free(b);
}

void virtio_blk_reset(struct virtio_blk *b)
{
	wait_idle(b);
	virtio_pci_reset(&b->pci);
}

u64 virtio_blk_usage(const struct virtio_blk *b)
{
	return heap_size(b);
}

void virtio_blk_meters(const struct virtio_blk *b, struct device_meters *m)
{
	virtio_pci_meters(&b->pci, m);
}
