/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device: from the switch to the receive queue (virtio 1.2, 5.1.6.3, 5.1.6.4). The switch
 * asks for room, copies, and says so; it does so for one frame after the other. */
#include "virtio_net_internal.h"

#define BROADCAST_BYTE 0xff

/* With the queue's lock held, as all that has a struct rx_chain in it. A buffer behind those that are ready,
 * from the queue; its segments have a place. NULL: there is none, or the queue is broken. */
static inline struct rx_chain *take_buffer(struct net_pair *p, struct rx_chain *r)
{
	struct virtq *vq = &p->rx->vq;
	struct virtq_chain *c = &r->chain;

	c->room = CHAIN_PIECES;
	if (virtq_pop(vq, c) <= 0)
		return NULL;
	/* 5.1.6.3.1: no buffer is too short for the header. */
	if (unlikely(c->too_long || c->write_bytes < NET_HEADER_BYTES)) {
		vq->broken = true;
		return NULL;
	}
	c->segments += c->nr_read; /* which mean nothing here */
	p->rx_pool.tail += c->nr_read + c->nr_write;
	r->pieces_end = p->rx_pool.tail;
	p->ready_tail++;
	return r;
}

/* The i-th buffer that is not in use; NULL: as above. */
static struct rx_chain *buffer(struct net_pair *p, u32 i)
{
	struct rx_chain *r = &p->ready[(p->ready_head + i) % READY_CHAINS];

	if (p->ready_head + i != p->ready_tail)
		return r;
	r->chain.segments = i == READY_CHAINS ? NULL : pool_room(&p->rx_pool);
	return r->chain.segments ? take_buffer(p, r) : NULL;
}

/* The same of the first one; as a rule none is ready, and the beginnings of all that there is are free. */
static inline struct rx_chain *first_buffer(struct net_pair *p)
{
	if (unlikely(p->ready_head != p->ready_tail))
		return buffer(p, 0);
	p->ready_head = p->ready_tail = p->rx_pool.head = p->rx_pool.tail = 0;
	p->ready->chain.segments = p->rx_pool.piece;
	return take_buffer(p, p->ready);
}

/* Bytes of a buffer, without the first skip ones, behind nr pieces; returns how many pieces there are then.
 */
static unsigned add_pieces(const struct virtq_chain *c, u32 skip, struct piece *pieces, unsigned nr)
{
	for (u32 i = 0; i < c->nr_write && nr < NET_PIECES; i++) {
		const struct piece *s = &c->segments[i];
		u32 part = MIN(skip, s->length);

		skip -= part;
		if (part < s->length)
			pieces[nr++] = (struct piece){s->base + part, s->length - part};
	}
	return nr;
}

/* A buffer that is one piece, and takes it all. */
static inline bool gather_one(struct net_pair *p, u32 length, struct piece *pieces)
{
	const struct rx_chain *r = first_buffer(p);

	if (unlikely(!r || r->chain.nr_write != 1 || r->chain.write_bytes < NET_HEADER_BYTES + length))
		return false;
	pieces->base = r->chain.segments->base + NET_HEADER_BYTES;
	pieces->length = r->chain.segments->length - NET_HEADER_BYTES;
	p->ready_used = 1;
	return true;
}

static unsigned gather(struct net_pair *p, u32 length, struct piece *pieces)
{
	bool merge = virtio_pci_features(&p->net->pci) & NET_F_MRG_RXBUF;
	u32 need = NET_HEADER_BYTES + length, skip = NET_HEADER_BYTES, used = 0;
	u64 have = 0;
	unsigned nr = 0;

	do {
		const struct rx_chain *r = buffer(p, used);
		if (!r || nr == NET_PIECES)
			return 0;
		nr = add_pieces(&r->chain, skip, pieces, nr);
		have += r->chain.write_bytes;
		skip = 0;
		used++;
	} while (merge && have < need);
	have = 0;
	for (unsigned i = 0; i < nr; i++) /* more of them than fit do not count */
		have += pieces[i].length;
	if (have < length)
		return 0;
	p->ready_used = used;
	return nr;
}

/* A frame without room is dropped at the expense of who should have made it. */
static unsigned room(struct net_port *port, u32 length, struct piece *pieces)
{
	struct virtio_net *n = container_of(port, struct virtio_net, port);
	struct net_pair *p = n->to;
	struct virtio_queue *q = p->rx;
	u64 since = tsc_now();
	bool broken = false;
	unsigned nr = 0;

	spin_lock(&q->lock);
	if (likely(virtio_pci_queue_live(&n->pci, q))) {
		nr = gather_one(p, length, pieces) ? 1 : gather(p, length, pieces);
		broken = q->vq.broken;
	}
	spin_unlock(&q->lock);
	if (unlikely(broken))
		virtio_pci_fail(&n->pci);
	if (unlikely(!nr))
		bridge_charge(n->bridge, n->group, tsc_now() - since);
	return nr;
}

static void put_header(const struct virtq_chain *c, const struct virtio_net_header *h)
{
	const u8 *from = (const u8 *)h;
	u32 left = NET_HEADER_BYTES;

	if (likely(c->segments->length >= NET_HEADER_BYTES)) {
		__builtin_memcpy(c->segments->base, h, sizeof(*h));
		return;
	}
	for (const struct piece *s = c->segments; left; s++) {
		u32 part = MIN(left, s->length);

		memcpy(s->base, from, part);
		from += part;
		left -= part;
	}
}

static struct virtio_net_header header_of(const struct net_offload *o, u32 buffers)
{
	struct virtio_net_header h = {.buffers = (u16)buffers};

	if (likely(!o->from))
		return h;
	h.flags = NET_NEEDS_SUM;
	h.sum_from = o->from;
	h.sum_at = o->at;
	if (!o->cut)
		return h;
	h.gso_type = o->kind == NET_TAKES_TCP4 ? NET_GSO_TCP4 : NET_GSO_TCP6;
	h.gso_size = o->cut;
	h.header = o->header;
	return h;
}

/* With the queue's lock. */
static __attribute__((noinline)) void received_any(struct net_pair *p, u32 length,
						   const struct net_offload *o)
{
	struct virtio_net_header h = header_of(o, p->ready_used);
	struct virtq *vq = &p->rx->vq;
	u32 left = NET_HEADER_BYTES + length;

	put_header(&p->ready[p->ready_head % READY_CHAINS].chain, &h);
	for (; p->ready_used; p->ready_used--) {
		const struct rx_chain *r = &p->ready[p->ready_head++ % READY_CHAINS];
		u32 part = (u32)MIN((u64)left, r->chain.write_bytes);

		virtq_push_hidden(vq, &r->chain, part);
		left -= part;
		p->rx_pool.head = r->pieces_end;
	}
	virtq_show(vq);
}

static void received(struct net_port *port, u32 length, const struct net_offload *o)
{
	static const struct virtio_net_header plain = {.buffers = 1};
	struct virtio_net *n = container_of(port, struct virtio_net, port);
	struct net_pair *p = n->to;
	const struct rx_chain *r;

	spin_lock(&p->rx->lock);
	r = &p->ready[p->ready_head % READY_CHAINS];
	if (likely(p->ready_used == 1 && !o->from && r->chain.segments->length >= NET_HEADER_BYTES)) {
		__builtin_memcpy(r->chain.segments->base, &plain, sizeof(plain));
		virtq_push(&p->rx->vq, &r->chain, NET_HEADER_BYTES + length);
		p->ready_head++;
		p->rx_pool.head = r->pieces_end;
		p->ready_used = 0;
	} else {
		received_any(p, length, o);
	}
	spin_unlock(&p->rx->lock);
}

static void tell(struct net_pair *p)
{
	struct virtio_queue *q = p->rx;
	bool news;

	spin_lock(&q->lock);
	news = q->enabled && virtio_queue_news(q);
	spin_unlock(&q->lock);
	if (news)
		virtio_pci_interrupt(&p->net->pci, 2 * p->index);
}

static void ready(struct net_port *port)
{
	struct virtio_net *n = container_of(port, struct virtio_net, port);

	if (likely(n->nr_pairs == 1)) {
		tell(n->pair);
		return;
	}
	for (; n->news; n->news &= n->news - 1)
		tell(&n->pair[bit_first(n->news)]);
}

/* Each of the pair's frames passes here before room() asks for it. */
static void steer(struct net_port *port, const u8 *header, u32 bytes)
{
	struct virtio_net *n = container_of(port, struct virtio_net, port);

	n->to = net_flow_pair(n, header, bytes);
	n->news |= (u32)BIT(n->to->index);
}

static u32 takes(struct net_port *port)
{
	const struct virtio_net *n = container_of(port, struct virtio_net, port);
	u64 features = virtio_pci_features(&n->pci);

	if (!(features & NET_F_GUEST_CSUM))
		return 0;
	return NET_TAKES_SUM | (features & NET_F_GUEST_TSO4 ? NET_TAKES_TCP4 : 0) |
	       (features & NET_F_GUEST_TSO6 ? NET_TAKES_TCP6 : 0);
}

/* ---- 5.1.6.5.1, 5.1.6.5.2: which frames it wants ---- */
static bool is_among(u8 (*table)[NET_ADDRESS], unsigned nr, const u8 *address)
{
	for (unsigned i = 0; i < MIN(nr, FILTER_MAX); i++)
		if (memcmp(table[i], address, NET_ADDRESS) == 0)
			return true;
	return nr > FILTER_MAX;
}

static bool is_broadcast(const u8 *address)
{
	u8 all = BROADCAST_BYTE;

	for (unsigned i = 0; i < NET_ADDRESS; i++)
		all &= address[i];
	return all == BROADCAST_BYTE;
}

static bool wants(struct net_port *port, const u8 target[NET_ADDRESS])
{
	struct virtio_net *n = container_of(port, struct virtio_net, port);
	struct net_filter *f = &n->filter;
	bool yes;

	spin_lock(&n->queue[0].lock);
	if (f->all)
		yes = true;
	else if (target[0] & 1)
		yes = f->all_groups || is_broadcast(target) || is_among(f->group, f->nr_groups, target);
	else
		yes = is_among(f->address, f->nr, target);
	spin_unlock(&n->queue[0].lock);
	return yes;
}

const struct net_port_ops net_ops = {.pull = net_tx_pull,
				     .sent = net_tx_sent,
				     .room = room,
				     .received = received,
				     .ready = ready,
				     .takes = takes,
				     .wants = wants};
const struct net_port_ops net_ops_many = {.pull = net_tx_pull,
					  .sent = net_tx_sent,
					  .room = room,
					  .received = received,
					  .ready = ready,
					  .takes = takes,
					  .wants = wants,
					  .steer = steer};

/* ---- life ---- */
/* Nobody waits for buffers, so the driver need not tell of them. */
void net_rx_begin(struct net_pair *p)
{
	struct virtio_queue *q = p->rx;

	spin_lock(&q->lock);
	if (virtio_pci_queue_live(&p->net->pci, q))
		virtq_kicks_off(&q->vq);
	spin_unlock(&q->lock);
}

bool net_rx_is_idle(struct net_pair *p)
{
	struct virtio_queue *q = p->rx;
	bool idle;

	spin_lock(&q->lock);
	idle = !p->ready_used;
	if (idle) {
		p->ready_head = p->ready_tail;
		p->rx_pool.head = p->rx_pool.tail;
		if (p->index == 0)
			p->net->filter = (struct net_filter){.all = true};
	}
	spin_unlock(&q->lock);
	return idle;
}
