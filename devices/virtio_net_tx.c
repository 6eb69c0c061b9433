/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device: from the transmit queues to the switch (virtio 1.2, 5.1.6.2), and back. The
 * switch takes frames when it is the interface's turn, from one pair after the other; what it took before
 * goes back into its queue then, or when the switch has no more to do. */
#include "virtio_net_internal.h"

/* ---- back ---- */
/* Gives the first nr chains of those that the switch has back. With the queue's lock. */
static void retire(struct net_tx *t, struct virtq *vq, u32 nr)
{
	if (t->retired >= nr)
		return;
	virtq_push_read(vq, &t->slot[t->retired].chain, sizeof(*t->slot), nr - t->retired);
	t->retired = nr;
	/* Release: who sees that none is out may take the queue away. */
	__atomic_store_n(&t->out, t->taken - nr, __ATOMIC_RELEASE);
}

/* The rest of what another pair has given. */
static void retire_all(struct virtio_net *n)
{
	struct net_tx *t = &n->tx;
	struct virtio_queue *q = t->from->tx;

	if (t->retired == t->taken)
		return;
	spin_lock(&q->lock);
	retire(t, &q->vq, t->taken);
	spin_unlock(&q->lock);
	t->news |= (u32)BIT(t->from->index);
}

static void tell(struct net_pair *p, bool news)
{
	if (news)
		virtio_pci_interrupt(&p->net->pci, 2 * p->index + 1);
}

void net_tx_sent(struct net_port *port, unsigned nr)
{
	struct virtio_net *n = container_of(port, struct virtio_net, port);
	struct net_tx *t = &n->tx;
	struct virtio_queue *q = t->from->tx;
	bool news;

	spin_lock(&q->lock);
	retire(t, &q->vq, MIN(nr, t->taken));
	news = q->enabled && virtio_queue_news(q);
	spin_unlock(&q->lock);
	tell(t->from, news);
	for (t->news &= ~(u32)BIT(t->from->index); unlikely(t->news); t->news &= t->news - 1) {
		struct net_pair *p = &n->pair[bit_first(t->news)];

		spin_lock(&p->tx->lock);
		news = p->tx->enabled && virtio_queue_news(p->tx);
		spin_unlock(&p->tx->lock);
		tell(p, news);
	}
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

/* What is no frame goes as one of no bytes, which the switch counts and gives back. */
static struct net_frame *frame_of(struct net_pair *p, struct tx_slot *s)
{
	struct virtq_chain *c = &s->chain;
	struct net_frame *f = &s->frame;
	struct virtio_net_header h;

	f->length = f->nr_pieces = 0;
	if (unlikely(c->too_long || c->read_bytes < NET_HEADER_BYTES))
		return f;
	h = chain_header(c);
	if (unlikely(!offload(p->net, &h, &f->offload) || c->read_bytes > NET_FRAME_MAX))
		return f;
	f->pieces = c->segments;
	f->nr_pieces = c->nr_read;
	f->length = (u32)c->read_bytes;
	if (unlikely(net_pairs(p->net) > 1))
		net_flow_sent(p, f);
	return f;
}

/* ---- to the switch ---- */
/* Chains of the queue, which is live and locked, until one of the bounds is reached; *broken: it is. */
static u32 take(struct net_pair *p, struct net_frame **frames, u32 most, u64 bytes, bool *broken)
{
	struct net_tx *t = &p->net->tx;
	struct virtq *vq = &p->tx->vq;
	u32 used = 0, nr = 0;

	for (u64 sum = 0; nr < most && sum < bytes && used + CHAIN_PIECES <= POOL_PIECES; nr++) {
		struct tx_slot *s = &t->slot[nr];
		int rc;

		s->chain.segments = &t->piece[used];
		s->chain.room = CHAIN_PIECES;
		rc = virtq_pop(vq, &s->chain);
		*broken = rc < 0;
		if (rc <= 0)
			break;
		used += s->chain.nr_read + s->chain.nr_write;
		frames[nr] = frame_of(p, s);
		sum += MAX(frames[nr]->length, (u32)NET_PRICE_MIN);
	}
	return nr;
}

static u32 pull_pair(struct net_pair *p, struct net_frame **frames, u32 most, u64 bytes)
{
	struct virtio_net *n = p->net;
	struct virtio_queue *q = p->tx;
	bool broken = false;
	u32 nr = 0;

	spin_lock(&q->lock);
	if (likely(virtio_pci_queue_live(&n->pci, q))) {
		if (!p->hushed)
			virtq_kicks_off(&q->vq);
		p->hushed = true;
		nr = take(p, frames, most, bytes, &broken);
		if (!nr && !broken && !net_is_polled(n)) {
			p->hushed = false;
			/* One of which the driver may not tell: it waits for the next look. */
			if (virtq_kicks_on(&q->vq))
				net_tx_ring(p);
		}
		n->tx.from = p;
		n->tx.taken = nr;
		n->tx.retired = 0;
		__atomic_store_n(&n->tx.out, nr, __ATOMIC_RELAXED);
	}
	spin_unlock(&q->lock);
	if (unlikely(broken))
		virtio_pci_fail(&n->pci);
	return nr;
}

void net_tx_ring(struct net_pair *p)
{
	__atomic_fetch_or(&p->net->tx.ringing, (u32)BIT(p->index), __ATOMIC_RELAXED);
	net_port_wake(&p->net->port);
}

/* The pair behind the last one that has something to send, perhaps; NULL: none has. */
static struct net_pair *next_pair(struct virtio_net *n)
{
	u32 ringing = __atomic_load_n(&n->tx.ringing, __ATOMIC_RELAXED), behind;

	if (!ringing)
		return NULL;
	behind = ringing & ~((2u << n->tx.from->index) - 1);
	return &n->pair[bit_first(behind ? behind : ringing)];
}

unsigned net_tx_pull(struct net_port *port, struct net_frame **frames, unsigned most, u64 bytes)
{
	struct virtio_net *n = container_of(port, struct virtio_net, port);
	struct net_pair *p;
	u32 nr = 0;

	retire_all(n);
	for (unsigned i = 0; !nr && i < n->nr_pairs && (p = next_pair(n)); i++) {
		/* Before the look, so that no doorbell is lost. */
		__atomic_fetch_and(&n->tx.ringing, ~(u32)BIT(p->index), __ATOMIC_SEQ_CST);
		nr = pull_pair(p, frames, most, bytes);
		if (nr)
			__atomic_fetch_or(&n->tx.ringing, (u32)BIT(p->index), __ATOMIC_RELAXED);
	}
	return nr;
}

bool net_tx_poll(struct net_pair *p)
{
	struct virtio_queue *q = p->tx;
	bool found;

	spin_lock(&q->lock);
	found = virtio_pci_queue_live(&p->net->pci, q) && virtq_waiting(&q->vq);
	spin_unlock(&q->lock);
	if (found)
		net_tx_ring(p);
	return found;
}

bool net_tx_is_idle(struct net_pair *p)
{
	bool idle;

	spin_lock(&p->tx->lock);
	idle = !__atomic_load_n(&p->net->tx.out, __ATOMIC_ACQUIRE);
	if (idle)
		p->hushed = false;
	spin_unlock(&p->tx->lock);
	return idle;
}
