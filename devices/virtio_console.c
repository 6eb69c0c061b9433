/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio console device; see virtio_console.h. Queue 0 is what the driver receives, queue 1 what it
 * sends.
 *
 * Output leaves without the queue's lock, for the operator's line is slow and a CPU may have to wait for it;
 * only one CPU sends at a time, and whoever is told meanwhile has nothing to do. After a turn the device
 * rests, in proportion: so a guest that floods it takes part of a CPU for that, never all of it. */
#include "virtio_console.h"

#include "guest.h"
#include "host.h"
#include "later.h"
#include "log.h"
#include "virtio_pci.h"

#define DEVICE_ID 3
#define CLASS_COMMUNICATION 0x078000 /* other */
enum { RECEIVE, TRANSMIT, QUEUES };

#define COPY_BYTES 128u /* out of the guest's memory at once */
#define TURN_BYTES 256u
/* A driver may offer and take back; so many looks at a queue find nothing, and no more. */
#define TURN_LOOKS 256u
/* Between two turns as many times the time of the last. */
#define REST 3u
/* Pieces of host memory of a buffer that is sent; one of more than these is an error of the driver. Of one
 * that is filled the first few suffice. */
#define OUT_SEGMENTS 512u
#define IN_SEGMENTS 4u

struct virtio_console {
	struct virtio_pci pci;
	struct virtio_queue queue[QUEUES];
	u8 config[12]; /* 5.3.4, of which no feature makes anything valid */
	struct virtio_console_setup setup;
	/* Under the receive queue's lock. */
	bool refused; /* input waits outside */
	struct virtq_chain in;
	struct piece in_segments[IN_SEGMENTS];
	/* Under the transmit queue's. */
	bool sending; /* somebody is */
	bool held;    /* `out` is begun; its segments and bytes are those that are left */
	struct virtq_chain out;
	struct piece out_segments[OUT_SEGMENTS];
	struct later later; /* goes on where a turn ended */
};

/* How a turn ended. */
enum console_turn { TURN_EMPTY, TURN_MORE, TURN_BROKEN };

/* ---- output ---- */
/* With the queue's lock. 1: there is a buffer; 0: there is none; an error: the driver broke the rules. */
static int next_output(struct virtio_console *c)
{
	struct virtq *vq = &c->queue[TRANSMIT].vq;
	int rc;

	if (c->held)
		return 1;
	c->out.segments = c->out_segments;
	rc = virtq_pop(vq, &c->out);
	/* 5.3.6.1: nothing that the device writes. */
	if (rc > 0 && (c->out.nr_write || c->out.too_long)) {
		vq->broken = true;
		return ERR_INVAL;
	}
	c->held = rc > 0;
	return rc;
}

/* The next bytes, copied: what is decided on is what is shown. */
static u32 take_output(struct virtio_console *c, u8 *buf)
{
	struct virtq_chain *out = &c->out;
	u32 n = 0;

	while (n < COPY_BYTES && out->nr_read) {
		struct piece *first = out->segments;
		u32 part = MIN(COPY_BYTES - n, first->length);
		memcpy(buf + n, first->base, part);
		n += part;
		first->base += part;
		first->length -= part;
		if (!first->length) {
			out->segments++;
			out->nr_read--;
		}
	}
	return n;
}

/* With the queue's lock, which it lets go while bytes leave; this CPU is the one that sends. */
static enum console_turn send_turn(struct virtio_console *c)
{
	struct virtio_queue *q = &c->queue[TRANSMIT];
	u8 buf[COPY_BYTES];

	for (u32 bytes = 0, looks = 0; bytes < TURN_BYTES && looks < TURN_LOOKS; looks++) {
		int rc = next_output(c);
		u32 n;
		if (rc < 0)
			return TURN_BROKEN;
		if (rc == 0 && !virtq_kicks_on(&q->vq))
			return TURN_EMPTY;
		if (rc == 0)
			continue;
		n = take_output(c, buf);
		spin_unlock(&q->lock);
		if (n)
			c->setup.output(c->setup.opaque, buf, n);
		spin_lock(&q->lock);
		if (!virtio_pci_queue_live(&c->pci, q))
			return TURN_EMPTY;
		if (!c->out.nr_read) {
			virtq_push(&q->vq, &c->out, 0);
			c->held = false;
		}
		bytes += n;
	}
	return TURN_MORE;
}

/* When the next turn is due; 0: when the driver says that there is something. */
static u64 send(struct virtio_console *c)
{
	struct virtio_queue *q = &c->queue[TRANSMIT];
	u64 start = tsc_now(), now;
	enum console_turn end;
	bool tell;

	spin_lock(&q->lock);
	if (c->sending || !virtio_pci_queue_live(&c->pci, q)) {
		spin_unlock(&q->lock);
		return 0;
	}
	c->sending = true;
	virtq_kicks_off(&q->vq);
	end = send_turn(c);
	c->sending = false;
	tell = virtio_queue_news(q);
	spin_unlock(&q->lock);
	if (tell)
		virtio_pci_interrupt(&c->pci, TRANSMIT);
	if (end == TURN_BROKEN)
		virtio_pci_fail(&c->pci);
	now = tsc_now();
	return end == TURN_MORE ? now + REST * (now - start) : 0;
}

static u64 go_on(void *opaque)
{
	u64 next = send(opaque);

	return next ? next : LATER_NEVER;
}

/* ---- input ---- */
/* With the queue's lock. The driver's next buffer gets what it has room for. 0: there is none, or it is none.
 */
static u32 put_input(struct virtio_console *c, const u8 *buf, size_t n)
{
	struct virtq *vq = &c->queue[RECEIVE].vq;
	int rc = virtq_pop(vq, &c->in);
	u32 done = 0;

	if (rc <= 0)
		return 0;
	/* 5.3.6: nothing that the device reads; and an empty one would come back for ever. */
	if (c->in.nr_read || !c->in.nr_write) {
		vq->broken = true;
		return 0;
	}
	for (u32 s = 0; s < c->in.nr_write && done < n; s++) {
		u32 part = (u32)MIN(n - done, (size_t)c->in.segments[s].length);
		memcpy(c->in.segments[s].base, buf + done, part);
		done += part;
	}
	virtq_push(vq, &c->in, done);
	return done;
}

size_t virtio_console_input(struct virtio_console *c, const u8 *buf, size_t n)
{
	struct virtio_queue *q = &c->queue[RECEIVE];
	size_t taken = 0;
	bool tell = false, broken = false;

	spin_lock(&q->lock);
	if (virtio_pci_queue_live(&c->pci, q)) {
		u32 part;
		virtq_kicks_off(&q->vq);
		/* Once more after it was asked to tell of the next. */
		for (u32 again = 0; again < 2 && taken < n && !q->vq.broken; again++) {
			while (taken < n && (part = put_input(c, buf + taken, n - taken)))
				taken += part;
			if (taken < n && !virtq_kicks_on(&q->vq))
				break;
		}
		tell = virtio_queue_news(q);
		broken = q->vq.broken;
	}
	c->refused = taken < n;
	spin_unlock(&q->lock);
	if (tell)
		virtio_pci_interrupt(&c->pci, RECEIVE);
	if (broken)
		virtio_pci_fail(&c->pci);
	return taken;
}

/* There may be buffers: whoever was refused may come back at once. */
static void tell_room(struct virtio_console *c)
{
	bool tell;

	spin_lock(&c->queue[RECEIVE].lock);
	tell = c->refused && virtio_pci_queue_live(&c->pci, &c->queue[RECEIVE]);
	c->refused &= !tell;
	spin_unlock(&c->queue[RECEIVE].lock);
	if (tell)
		c->setup.room(c->setup.opaque);
}

/* ---- the transport's ---- */
/* Also while a turn was put off: then this one is the driver's own time. */
static void kicked(struct virtio_pci *v, unsigned queue)
{
	struct virtio_console *c = container_of(v, struct virtio_console, pci);
	u64 next = 0;

	if (queue == RECEIVE)
		tell_room(c);
	else
		next = send(c);
	if (!next)
		return;
	later_promise(&c->later); /* nobody ends it while its driver calls */
	later_keep(&c->later, next);
}

/* With the queue goes the buffer that was taken from it. */
static bool is_idle(struct virtio_pci *v)
{
	struct virtio_console *c = container_of(v, struct virtio_console, pci);
	struct virtio_queue *q = &c->queue[TRANSMIT];
	bool idle;

	spin_lock(&q->lock);
	idle = !c->sending;
	c->held &= q->enabled || !idle;
	spin_unlock(&q->lock);
	return idle;
}

static const struct virtio_type console_type = {
    .id = DEVICE_ID,
    .class = CLASS_COMMUNICATION,
    .kicked = kicked,
    .is_idle = is_idle,
};

/* ---- life ---- */
struct virtio_console *virtio_console_create(struct guest *g, struct pci_bus *bus, u8 devfn,
					     const struct virtio_console_setup *setup)
{
	struct virtio_console *c = heap_alloc(sizeof(*c));

	if (!c) {
		log_error("%s: no memory for a virtio console", guest_name(g));
		return NULL;
	}
	c->setup = *setup;
	pci_set32(c->config, 4, 1); /* max_nr_ports */
	c->in.segments = c->in_segments;
	c->in.room = IN_SEGMENTS;
	c->out.room = OUT_SEGMENTS;
	later_init(&c->later, go_on, c, setup->group);
	c->pci.type = &console_type;
	c->pci.config = c->config;
	c->pci.config_bytes = sizeof(c->config);
	c->pci.queues = c->queue;
	c->pci.nr_queues = QUEUES;
	c->pci.packed = true;
	if (virtio_pci_add(&c->pci, g, bus, devfn) == 0)
		return c;
	log_error("%s: no place for a virtio console on the PCI bus", guest_name(g));
	heap_free(c);
	return NULL;
}

void virtio_console_reset(struct virtio_console *c)
{
	struct virtio_queue *q = &c->queue[TRANSMIT];

	/* No vCPU runs: with the queue off nothing new begins. */
	spin_lock(&q->lock);
	q->enabled = false;
	spin_unlock(&q->lock);
	while (!is_idle(&c->pci))
		cpu_poll_interrupts();
	later_destroy(&c->later);
	virtio_pci_reset(&c->pci);
}

void virtio_console_destroy(struct virtio_console *c)
{
	if (!c)
		return;
	virtio_console_reset(c);
	virtio_pci_remove(&c->pci);
	heap_free(c);
}

u64 virtio_console_usage(const struct virtio_console *c)
{
	return heap_size(c);
}
