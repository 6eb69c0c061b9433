/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device: from the transmit queue to the switch (virtio 1.2, 5.1.6.2), and back. */
#include "virtio_net_internal.h"

/* At one go; the rest is put off, so that others run. */
#define TURN_BATCHES 4u
#define BATCH_FRAMES 32u
#define BATCH_BYTES (128u << 10)

/* ---- slots ---- */
/* Gives back, in their order, those that the switch has done with. With the queue's lock held. */
static void slots_retire(struct virtio_net *n)
{
	struct virtq *vq = &n->queue[QUEUE_TX].vq;
	u32 head = n->slot_head;

	for (; head != n->slot_tail; head++) {
		struct tx_slot *s = &n->slot[head % TX_SLOTS];

		if (!__atomic_load_n(&s->done, __ATOMIC_ACQUIRE))
			break;
		virtq_push_hidden(vq, &s->chain, 0);
		n->tx_pool.head = s->pieces_end;
	}
	if (head == n->slot_head)
		return;
	n->slot_head = head;
	virtq_show(vq);
}

/* Nobody serves the queue who would do this soon. */
static void __attribute__((noinline)) retire_now(struct virtio_net *n)
{
	struct virtio_queue *q = &n->queue[QUEUE_TX];
	bool tell, more;

	spin_lock(&q->lock);
	slots_retire(n);
	tell = !n->serving && q->enabled && virtio_queue_news(q);
	more = n->blocked && !n->serving;
	if (more) {
		n->blocked = false;
		later_promise(&n->later);
	}
	spin_unlock(&q->lock);
	if (tell)
		virtio_pci_interrupt(&n->pci, QUEUE_TX);
	if (more)
		later_keep(&n->later, 0);
}

/* On the CPU that runs the switch; as a rule within net_tx_serve(), which then gives back all of them. The
 * barrier is the other half of the one there: either that sees that it is done, or this that nobody serves.
 */
static void complete(struct net_frame *f, bool delivered)
{
	struct tx_slot *s = container_of(f, struct tx_slot, frame);
	struct virtio_net *n = s->net;

	(void)delivered; /* a frame that is dropped is sent, for its sender */
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (unlikely(!__atomic_load_n(&n->serving, __ATOMIC_RELAXED)))
		retire_now(n);
}

/* ---- a frame ---- */
/* What the header asks for; false: what was not negotiated, or no driver may ask. */
static bool offload(const struct virtio_net *n, const struct virtio_net_header *h, struct net_offload *o)
{
	u64 features = virtio_pci_features(&n->pci), needed = NET_F_CSUM;

	*o = (struct net_offload){0};
	if (likely(!(h->flags & NET_NEEDS_SUM)))
		return h->gso_type == NET_GSO_NONE;
	if (h->gso_type == NET_GSO_TCP4)
		needed |= NET_F_HOST_TSO4;
	else if (h->gso_type == NET_GSO_TCP6)
		needed |= NET_F_HOST_TSO6;
	else if (h->gso_type != NET_GSO_NONE)
		return false;
	*o = (struct net_offload){
	    .from = h->sum_from, .at = h->sum_at, .cut = h->gso_type == NET_GSO_NONE ? 0 : h->gso_size};
	return (features & needed) == needed && h->sum_from && (h->gso_type == NET_GSO_NONE || h->gso_size);
}

/* Hands it to the switch; what is no frame goes as one of no bytes, which that counts and gives back. */
static u32 send(struct virtio_net *n, struct tx_slot *s)
{
	struct virtq_chain *c = &s->chain;
	struct net_frame *f = &s->frame;
	struct virtio_net_header h;

	f->length = f->nr_pieces = 0;
	if (!c->too_long && c->read_bytes >= NET_HEADER_BYTES) {
		h = chain_header(c);
		if (offload(n, &h, &f->offload) && c->read_bytes <= NET_FRAME_MAX) {
			f->pieces = c->segments;
			f->nr_pieces = c->nr_read;
			f->length = (u32)c->read_bytes;
		}
	}
	net_send(&n->port, f);
	return f->length;
}

/* ---- serving ---- */
/* How a look at the queue ended. */
enum tx_look { TX_TAKEN, TX_AGAIN, TX_EMPTY, TX_BROKEN };

/* With the queue's lock held, as all that follows. */
static enum tx_look look(struct virtio_net *n, struct tx_slot **out)
{
	struct virtio_queue *q = &n->queue[QUEUE_TX];
	struct tx_slot *s = *out = &n->slot[n->slot_tail % TX_SLOTS];
	int rc;

	s->chain.segments = n->slot_tail - n->slot_head == TX_SLOTS ? NULL : pool_room(&n->tx_pool);
	if (!s->chain.segments) {
		n->blocked = true;
		return TX_EMPTY;
	}
	s->chain.room = CHAIN_PIECES;
	rc = virtq_pop(&q->vq, &s->chain);
	if (rc == 0)
		return virtq_kicks_on(&q->vq) ? TX_AGAIN : TX_EMPTY;
	if (rc < 0)
		return TX_BROKEN;
	n->tx_pool.tail += s->chain.nr_read + s->chain.nr_write;
	s->pieces_end = n->tx_pool.tail;
	s->done = false;
	n->slot_tail++;
	return TX_TAKEN;
}

static enum tx_look take_batch(struct virtio_net *n)
{
	u32 bytes = 0;

	if (!virtio_pci_queue_live(&n->pci, &n->queue[QUEUE_TX]))
		return TX_EMPTY;
	for (u32 frames = 0; frames < BATCH_FRAMES && bytes < BATCH_BYTES; frames++) {
		struct tx_slot *s;
		enum tx_look l = look(n, &s);
		if (l == TX_TAKEN)
			bytes += send(n, s);
		else if (l != TX_AGAIN)
			return l;
	}
	return TX_AGAIN;
}

bool net_tx_serve(struct virtio_net *n, bool promise)
{
	struct virtio_queue *q = &n->queue[QUEUE_TX];
	enum tx_look l = TX_AGAIN;
	bool tell;

	spin_lock(&q->lock);
	if (n->serving || !virtio_pci_queue_live(&n->pci, q)) {
		spin_unlock(&q->lock);
		return false;
	}
	__atomic_store_n(&n->serving, true, __ATOMIC_RELAXED);
	n->blocked = false;
	virtq_kicks_off(&q->vq);
	for (unsigned i = 0; i < TURN_BATCHES && l == TX_AGAIN; i++) {
		l = take_batch(n);
		spin_unlock(&q->lock);
		bridge_run(n->bridge, n->group);
		spin_lock(&q->lock);
		slots_retire(n);
	}
	__atomic_store_n(&n->serving, false, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* see complete() */
	slots_retire(n);
	/* Blocked, and all came back meanwhile: nobody else goes on. */
	if (n->blocked && n->slot_head == n->slot_tail)
		l = TX_AGAIN;
	tell = q->enabled && virtio_queue_news(q);
	if (unlikely(l == TX_AGAIN) && promise)
		later_promise(&n->later);
	spin_unlock(&q->lock);
	if (tell)
		virtio_pci_interrupt(&n->pci, QUEUE_TX);
	if (l == TX_BROKEN)
		virtio_pci_fail(&n->pci);
	return l == TX_AGAIN;
}

/* ---- life ---- */
void net_tx_init(struct virtio_net *n)
{
	for (unsigned i = 0; i < TX_SLOTS; i++) {
		n->slot[i].net = n;
		n->slot[i].frame.complete = complete;
	}
}

bool net_tx_is_idle(struct virtio_net *n)
{
	struct virtio_queue *q = &n->queue[QUEUE_TX];
	bool idle;

	spin_lock(&q->lock);
	idle = !n->serving && n->slot_head == n->slot_tail && !later_is_promised(&n->later);
	spin_unlock(&q->lock);
	return idle;
}
