/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio entropy device; see virtio_rng.h. A word may cost a thousand cycles, so a buffer gets part of
 * what it has room for (5.4.6.2), and what is in the queue beyond a turn waits for a timer. */
#include "virtio_rng.h"

#include "guest.h"
#include "host.h"
#include "later.h"
#include "log.h"
#include "virtio_pci.h"

#define DEVICE_ID 4
#define CLASS_OTHER 0xff0000

#define BUFFER_BYTES 256u /* of one buffer; what a driver asks for at once */
#define TURN_BYTES 512u
#define SEGMENTS 8u
/* Between two turns as many times the time of the last: the device takes a quarter of a CPU at most. */
#define REST 3u
/* The processor has no word: how much later the next attempt is, and how many there are before the device
 * gives up. */
#define DRY_NS 1000000u
#define DRY_MOST 1000u

struct virtio_rng {
	struct virtio_pci pci;
	struct virtio_queue queue;
	/* Under the queue's lock. */
	struct virtq_chain chain;
	struct piece segments[SEGMENTS];
	bool held; /* the chain waits for a word */
	u64 word;  /* of which `have` bytes were given to nobody yet */
	u32 have;
	u32 dry;            /* attempts in a row that found no word */
	bool told;          /* the operator, that there will be none any more */
	struct later later; /* goes on where a turn ended */
};

/* How a turn ended. */
enum rng_turn { TURN_EMPTY, TURN_MORE, TURN_DRY, TURN_BROKEN };

/* Once, for a driver may ask again and again. */
static enum rng_turn give_up(struct virtio_rng *r)
{
	if (!r->told)
		log_error("%s: rng: the processor gives no random numbers any more",
			  guest_name(r->pci.guest));
	r->told = true;
	return TURN_BROKEN;
}

/* ---- words: with the queue's lock held ---- */
static int refill(struct virtio_rng *r)
{
	int rc = r->have ? 0 : entropy_get(&r->word);

	if (!rc && !r->have) {
		r->have = sizeof(r->word);
		r->dry = 0;
	}
	return rc;
}

/* No byte is given twice, nor kept. */
static u8 take_byte(struct virtio_rng *r)
{
	u8 byte = (u8)r->word;

	r->word >>= 8;
	r->have--;
	return byte;
}

/* As many bytes as the buffer is to get, or as there are: at least one, for there is a word. */
static u32 fill(struct virtio_rng *r)
{
	const struct virtq_chain *c = &r->chain;
	u32 written = 0;

	for (u32 s = 0; s < c->nr_write; s++)
		for (u32 i = 0; i < c->segments[s].length; i++) {
			if (written == BUFFER_BYTES || refill(r))
				return written;
			c->segments[s].base[i] = take_byte(r);
			written++;
		}
	return written;
}

/* ---- serving ---- */
/* With the queue's lock held. 1: there is a buffer; 0: there is none; an error: the driver broke the rules.
 */
static int next_buffer(struct virtio_rng *r)
{
	int rc = r->held ? 1 : virtq_pop(&r->queue.vq, &r->chain);

	/* 5.4.6.1: nothing that the device reads; and there is no answer without a byte. */
	if (rc > 0 && (r->chain.nr_read || !r->chain.nr_write)) {
		r->queue.vq.broken = true;
		return ERR_INVAL;
	}
	r->held = rc > 0;
	return rc;
}

/* With the queue's lock held. */
static enum rng_turn turn(struct virtio_rng *r)
{
	struct virtq *vq = &r->queue.vq;

	for (u32 bytes = 0; bytes < TURN_BYTES;) {
		int rc = next_buffer(r);
		u32 written;
		if (rc < 0)
			return TURN_BROKEN;
		if (rc == 0 && !virtq_kicks_on(vq))
			return TURN_EMPTY;
		if (rc == 0) {
			bytes++; /* a driver may take it back each time */
			continue;
		}
		rc = refill(r);
		if (rc)
			return rc == ERR_AGAIN && ++r->dry < DRY_MOST ? TURN_DRY : give_up(r);
		written = fill(r);
		virtq_push(vq, &r->chain, written);
		r->held = false;
		bytes += written;
	}
	return TURN_MORE;
}

/* When the next turn is due; 0: when the driver says that there is something. */
static u64 serve(struct virtio_rng *r)
{
	u64 start = tsc_now(), now;
	enum rng_turn end;
	bool tell;

	spin_lock(&r->queue.lock);
	if (!virtio_pci_queue_live(&r->pci, &r->queue)) {
		spin_unlock(&r->queue.lock);
		return 0;
	}
	virtq_kicks_off(&r->queue.vq);
	end = turn(r);
	tell = virtio_queue_news(&r->queue);
	spin_unlock(&r->queue.lock);
	if (tell)
		virtio_pci_interrupt(&r->pci, 0);
	if (end == TURN_BROKEN)
		virtio_pci_fail(&r->pci);
	now = tsc_now();
	if (end == TURN_DRY)
		return now + ns_to_tsc(DRY_NS);
	return end == TURN_MORE ? now + REST * (now - start) : 0;
}

/* Also while a turn was put off: then this one is the driver's own time. */
static void kicked(struct virtio_pci *v, unsigned queue)
{
	struct virtio_rng *r = container_of(v, struct virtio_rng, pci);
	u64 next = serve(r);

	(void)queue;
	if (!next)
		return;
	later_promise(&r->later); /* nobody ends it while its driver calls */
	later_keep(&r->later, next);
}

static u64 go_on(void *opaque)
{
	u64 next = serve(opaque);

	return next ? next : LATER_NEVER;
}

/* Whatever is done is done within the queue's lock. With the queue goes the buffer that was taken from it. */
static bool is_idle(struct virtio_pci *v)
{
	struct virtio_rng *r = container_of(v, struct virtio_rng, pci);

	spin_lock(&r->queue.lock);
	r->held &= r->queue.enabled;
	spin_unlock(&r->queue.lock);
	return true;
}

/* ---- life ---- */
static const struct virtio_type rng_type = {
    .id = DEVICE_ID,
    .class = CLASS_OTHER,
    .kicked = kicked,
    .is_idle = is_idle,
};

struct virtio_rng *virtio_rng_create(struct guest *g, struct pci_bus *bus, u8 devfn,
				     struct sched_group *group)
{
	const char *why = entropy_test();
	struct virtio_rng *r = why ? NULL : heap_alloc(sizeof(*r));

	if (!r) {
		log_error("%s: rng: %s", guest_name(g), why ? why : "no memory");
		return NULL;
	}
	r->chain.segments = r->segments;
	r->chain.room = SEGMENTS;
	later_init(&r->later, go_on, r, group);
	r->pci.type = &rng_type;
	r->pci.queues = &r->queue;
	r->pci.nr_queues = 1;
	r->pci.packed = true;
	if (virtio_pci_add(&r->pci, g, bus, devfn) == 0)
		return r;
	log_error("%s: rng: no place on the PCI bus", guest_name(g));
	heap_free(r);
	return NULL;
}

void virtio_rng_reset(struct virtio_rng *r)
{
	virtio_pci_reset(&r->pci);
	later_destroy(&r->later);
	is_idle(&r->pci);
	r->dry = 0;
}

void virtio_rng_destroy(struct virtio_rng *r)
{
	if (!r)
		return;
	virtio_rng_reset(r);
	virtio_pci_remove(&r->pci);
	r->word = 0;
	heap_free(r);
}

u64 virtio_rng_usage(const struct virtio_rng *r)
{
	return heap_size(r);
}
