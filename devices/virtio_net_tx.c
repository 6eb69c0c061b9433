/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device: from the transmit queue to the switch (virtio 1.2, 5.1.6.2), and back. */
#include "virtio_net_internal.h"

/* At one go; the rest is put off, so that others run. */
#define TURN_BATCHES 4u
#define BATCH_FRAMES 32u
#define BATCH_BYTES (128u << 10)

/* ---- slots ---- */
/* Gives back, in their order, those that the switch has done with. With the queue's lock held. */
static void slots_retire(struct net_pair *p)
{
	struct virtq *vq = &p->tx->vq;
	u32 head = p->slot_head;

	for (; head != p->slot_tail; head++) {
		struct tx_slot *s = &p->slot[head % TX_SLOTS];

		if (!__atomic_load_n(&s->done, __ATOMIC_ACQUIRE))
			break;
		virtq_push_hidden(vq, &s->chain, 0);
		p->tx_pool.head = s->pieces_end;
	}
	if (head == p->slot_head)
		return;
	p->slot_head = head;
	virtq_show(vq);
}

/* Nobody serves the queue who would do this soon. */
static void __attribute__((noinline)) retire_now(struct net_pair *p)
{
	struct virtio_queue *q = p->tx;
	bool tell, more;

	spin_lock(&q->lock);
	slots_retire(p);
	tell = !p->serving && q->enabled && virtio_queue_news(q);
	more = p->blocked && !p->serving;
	if (more) {
		p->blocked = false;
		/* It may be this CPU that goes on, with another pair: it looks before it ends. */
		p->owes = __atomic_load_n(&p->net->going, __ATOMIC_RELAXED);
		more = !p->owes;
	}
	if (more)
		later_promise(&p->net->later);
	spin_unlock(&q->lock);
	if (tell)
		virtio_pci_interrupt(&p->net->pci, 2 * p->index + 1);
	if (more)
		later_keep(&p->net->later, 0);
}

/* On the CPU that runs the switch; as a rule within net_tx_serve(), which then gives back all of them. The
 * barrier is the other half of the one there: either that sees that it is done, or this that nobody serves.
 */
static void complete(struct net_frame *f, bool delivered)
{
	struct tx_slot *s = container_of(f, struct tx_slot, frame);
	struct net_pair *p = s->pair;

	(void)delivered; /* a frame that is dropped is sent, for its sender */
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (unlikely(!__atomic_load_n(&p->serving, __ATOMIC_RELAXED)))
		retire_now(p);
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
static u32 send(struct net_pair *p, struct tx_slot *s)
{
	struct virtio_net *n = p->net;
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
			if (unlikely(net_pairs(n) > 1))
				net_flow_sent(p, f);
		}
	}
	net_send(&n->port, f);
	return f->length;
}

/* ---- serving ---- */
/* How a look at the queue ended. */
enum tx_look { TX_TAKEN, TX_AGAIN, TX_EMPTY, TX_BROKEN };

/* With the queue's lock held, as all that follows. */
static enum tx_look look(struct net_pair *p, struct tx_slot **out)
{
	struct virtio_queue *q = p->tx;
	struct tx_slot *s = *out = &p->slot[p->slot_tail % TX_SLOTS];
	int rc;

	s->chain.segments = p->slot_tail - p->slot_head == TX_SLOTS ? NULL : pool_room(&p->tx_pool);
	if (!s->chain.segments) {
		p->blocked = true;
		return TX_EMPTY;
	}
	s->chain.room = CHAIN_PIECES;
	rc = virtq_pop(&q->vq, &s->chain);
	if (rc == 0)
		return virtq_kicks_on(&q->vq) ? TX_AGAIN : TX_EMPTY;
	if (rc < 0)
		return TX_BROKEN;
	/* At least one, so that the pool is empty only when no slot is in use. */
	p->tx_pool.tail += MAX(1u, s->chain.nr_read + s->chain.nr_write);
	s->pieces_end = p->tx_pool.tail;
	s->done = false;
	p->slot_tail++;
	return TX_TAKEN;
}

static enum tx_look take_batch(struct net_pair *p)
{
	u32 bytes = 0;

	if (!virtio_pci_queue_live(&p->net->pci, p->tx))
		return TX_EMPTY;
	for (u32 frames = 0; frames < BATCH_FRAMES && bytes < BATCH_BYTES; frames++) {
		struct tx_slot *s;
		enum tx_look l = look(p, &s);
		if (l == TX_TAKEN)
			bytes += send(p, s);
		else if (l != TX_AGAIN)
			return l;
	}
	return TX_AGAIN;
}

bool net_tx_serve(struct net_pair *p, bool promise)
{
	struct virtio_queue *q = p->tx;
	enum tx_look l = TX_AGAIN;
	bool tell;

	spin_lock(&q->lock);
	if (p->serving || !virtio_pci_queue_live(&p->net->pci, q)) {
		p->missed = true;
		spin_unlock(&q->lock);
		return false;
	}
	__atomic_store_n(&p->serving, true, __ATOMIC_RELAXED);
	p->blocked = p->missed = false;
	virtq_kicks_off(&q->vq);
	for (unsigned i = 0; i < TURN_BATCHES && l == TX_AGAIN; i++) {
		l = take_batch(p);
		spin_unlock(&q->lock);
		bridge_run(p->net->bridge, p->net->group);
		spin_lock(&q->lock);
		slots_retire(p);
	}
	__atomic_store_n(&p->serving, false, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* see complete() */
	slots_retire(p);
	/* Blocked, and all came back meanwhile; or a doorbell came behind the last look: nobody else goes on.
	 */
	if (l == TX_EMPTY && ((p->blocked && p->slot_head == p->slot_tail) || p->missed))
		l = TX_AGAIN;
	tell = q->enabled && virtio_queue_news(q);
	if (unlikely(l == TX_AGAIN) && promise)
		later_promise(&p->net->later);
	spin_unlock(&q->lock);
	if (tell)
		virtio_pci_interrupt(&p->net->pci, 2 * p->index + 1);
	if (l == TX_BROKEN)
		virtio_pci_fail(&p->net->pci);
	return l == TX_AGAIN;
}

/* After `going` has been taken away: who has the lock later sees that. */
bool net_tx_owes(struct net_pair *p)
{
	bool owes;

	spin_lock(&p->tx->lock);
	owes = p->owes;
	p->owes = false;
	spin_unlock(&p->tx->lock);
	return owes;
}

/* ---- life ---- */
void net_tx_init(struct net_pair *p)
{
	for (unsigned i = 0; i < TX_SLOTS; i++) {
		p->slot[i].pair = p;
		p->slot[i].frame.complete = complete;
	}
}

bool net_tx_is_idle(struct net_pair *p)
{
	struct virtio_queue *q = p->tx;
	bool idle;

	spin_lock(&q->lock);
	idle = !p->serving && p->slot_head == p->slot_tail && !later_is_promised(&p->net->later);
	spin_unlock(&q->lock);
	return idle;
}
