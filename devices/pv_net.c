/* SPDX-License-Identifier: Apache-2.0 */
/* A network interface behind two Socle rings (include/socle/ring.h) in front of a port of a bridge. A frame
 * is sent by pointing the switch at its pieces when that asks for it, and answered when that has copied it;
 * one that is received is copied into the buffer that is next in the receive ring, of which one may wait
 * here.
 *
 * Locks: a ring's, then the switch's. */
#include "pv_net_internal.h"

#include "log.h"

#define TRIES 8u /* requests that are none, for one look */

/* ---- rings; the ring's lock is held ---- */
static bool is_idle(const struct pv_net *n, const struct net_ring *r)
{
	return r == &n->ring[RING_TX] ? n->nr_free == TX_SLOTS && !later_is_promised(&n->later)
				      : !n->filling && !n->nr_arrived;
}

static bool has_news(struct pv_net *n, struct net_ring *r)
{
	bool news = false;

	if (r->state == PV_OPEN) {
		news = pv_ring_publish(&r->ring);
		if (unlikely(r->ring.broken) && !r->told)
			news = r->told = true;
	} else if (r->state == PV_CLOSING && !r->told && is_idle(n, r)) {
		news = r->told = true;
	}
	news = news && r->event;
	r->events += news;
	return news;
}

void pv_net_unlock_and_tell(struct pv_net *n, struct net_ring *r)
{
	bool tell = has_news(n, r);
	u32 event = r->event;

	spin_unlock(&r->lock);
	if (tell)
		n->event(n->opaque, event);
}

void pv_net_answer(struct net_ring *r, u32 id, int status, u32 length, u32 flags)
{
	if (likely(r->state == PV_OPEN))
		(void)pv_ring_respond_flags(&r->ring, id, status, length, flags);
}

/* Whether its flags are known, and it is as they want it. */
static bool flags_ok(const struct net_ring *r, const struct socle_request *q)
{
	bool receive = q->operation == SOCLE_RING_RECEIVE;

	if (likely(!q->flags))
		return true;
	if (!r->flip || !(q->flags & SOCLE_RING_FLIP) ||
	    q->flags & ~(SOCLE_RING_FLIP | (receive ? SOCLE_RING_CLEAN : 0u)))
		return false;
	return !q->nr_segments && IS_ALIGNED(q->address, PAGE_SIZE) && (!receive || q->length == PAGE_SIZE);
}

int pv_net_pieces(struct net_ring *r, const struct socle_request *q, u8 operation, struct piece *pieces)
{
	int rc;

	if (q->operation != operation)
		return SOCLE_ENOTSUP;
	if (!flags_ok(r, q) || q->length < (operation == SOCLE_RING_SEND ? NET_FRAME_MIN : 1u))
		return SOCLE_EINVAL;
	if (q->length > FRAME_MAX && !(operation == SOCLE_RING_RECEIVE && q->flags))
		return SOCLE_E2BIG;
	rc = pv_ring_segments(&r->ring, q, operation == SOCLE_RING_RECEIVE, pieces, FRAME_PIECES);
	switch (rc) {
	case ERR_FAULT:
		return SOCLE_EFAULT;
	case ERR_TOOLONG:
		return SOCLE_E2BIG;
	case ERR_AGAIN:
		return SOCLE_EDQUOT;
	case ERR_INVAL:
		return SOCLE_EINVAL;
	default:
		return rc;
	}
}

/* ---- sending ---- */
/* The first nr of those that the switch has are back: what it has dropped is sent, for its sender. With the
 * ring's lock. True: the page of one is on its way to another VM. */
static bool answer_sent(struct pv_net *n, struct net_ring *r, unsigned nr)
{
	bool flipping = false;

	for (; n->nr_back < MIN(nr, n->nr_pulled); n->nr_back++) {
		struct pv_frame *s = &n->slot[n->pulled[n->nr_back]];

		if (unlikely(s->frame.page && s->page.state)) {
			n->flipping |= BIT(s->index);
			flipping = true;
			continue;
		}
		pv_ring_unpin(&r->ring, s->piece, s->frame.nr_pieces);
		pv_net_answer(r, s->id, 0, 0, 0);
		n->free_slots[n->nr_free++] = s->index;
	}
	return flipping;
}

static void sent(struct net_port *p, unsigned nr)
{
	struct pv_net *n = container_of(p, struct pv_net, port);
	struct net_ring *r = &n->ring[RING_TX];
	bool flipping;

	spin_lock(&r->lock);
	flipping = answer_sent(n, r, nr);
	pv_net_unlock_and_tell(n, r);
	if (unlikely(flipping))
		pv_net_flip_soon(n);
}

static struct net_frame *frame_of(struct pv_net *n, struct pv_frame *s, const struct socle_request *q,
				  u32 nr_pieces)
{
	s->id = q->id;
	s->frame.nr_pieces = nr_pieces;
	s->frame.length = q->length;
	s->frame.page = NULL;
	/* A page that the guest may not write stays, and no buffer is cleared for it. */
	if (unlikely(q->flags && !gmem_check(n->mem, q->address, PAGE_SIZE, PAGE_SIZE))) {
		s->page =
		    (struct net_page){.page = {.mem = n->mem, .gpa = q->address, .host = s->piece->base}};
		s->frame.page = &s->page;
	}
	return &s->frame;
}

/* With the ring's lock. *again: there may be more although none was found. */
static u32 take(struct pv_net *n, struct net_ring *r, struct net_frame **frames, u32 most, u64 bytes,
		bool *again)
{
	u32 nr = 0;

	*again = false;
	n->blocked = false;
	for (u64 sum = 0, tries = 0; nr < most && sum < bytes;) {
		struct socle_request q;
		struct pv_frame *s;
		int rc;

		n->blocked = n->nr_free == 0;
		*again = tries == TRIES;
		if (n->blocked || *again)
			break;
		if (!pv_ring_next(&r->ring, &q)) {
			*again = !nr && !n->poller.cpu && pv_ring_rest(&r->ring);
			break;
		}
		s = &n->slot[n->free_slots[n->nr_free - 1]];
		rc = pv_net_pieces(r, &q, SOCLE_RING_SEND, s->piece);
		if (unlikely(rc < 0)) {
			pv_net_answer(r, q.id, rc, 0, 0);
			tries++;
			continue;
		}
		n->pulled[nr] = n->free_slots[--n->nr_free];
		frames[nr++] = frame_of(n, s, &q, (u32)rc);
		sum += MAX(q.length, NET_PRICE_MIN);
	}
	return nr;
}

static unsigned pull(struct net_port *p, struct net_frame **frames, unsigned most, u64 bytes)
{
	struct pv_net *n = container_of(p, struct pv_net, port);
	struct net_ring *r = &n->ring[RING_TX];
	bool flipping, again = false;
	u32 nr = 0;

	spin_lock(&r->lock);
	flipping = answer_sent(n, r, n->nr_pulled);
	n->nr_pulled = n->nr_back = 0;
	if (likely(r->state == PV_OPEN)) {
		if (unlikely(n->flipping))
			pv_net_flip_send(n);
		n->nr_pulled = nr = take(n, r, frames, most, bytes, &again);
	}
	if (nr)
		spin_unlock(&r->lock);
	else
		pv_net_unlock_and_tell(n, r); /* of those before, of requests that were none */
	if (unlikely(flipping))
		pv_net_flip_soon(n);
	if (unlikely(again))
		net_port_wake(p);
	return nr;
}

static const struct net_port_ops port_ops = {.pull = pull,
					     .sent = sent,
					     .room = pv_net_room,
					     .received = pv_net_received,
					     .exchange = pv_net_exchange,
					     .ready = pv_net_ready};

static void send_some(struct pv_net *n)
{
	net_port_wake(&n->port);
	bridge_run(n->bridge);
}

/* Where it has waited for slots. A ring that is closed waits for this. */
static u64 go_on(void *opaque)
{
	struct pv_net *n = opaque;
	struct bridge_time began = bridge_time(n->bridge);

	send_some(n);
	n->later.elsewhere = tsc_now() - began.since - bridge_pay(n->bridge, n->group, began);
	spin_lock(&n->ring[RING_TX].lock);
	pv_net_unlock_and_tell(n, &n->ring[RING_TX]);
	return LATER_NEVER;
}

/* Nobody waits for buffers: the receive ring's doorbell rings for nothing. */
static int doorbell(struct pv_device *device, unsigned ring)
{
	struct pv_net *n = container_of(device, struct pv_net, device);

	__atomic_fetch_add(&n->doorbells, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&n->ring[ring].state, __ATOMIC_RELAXED) != PV_OPEN)
		return ERR_NOENT;
	if (ring == RING_TX)
		send_some(n);
	return 0;
}

/* Who sends pays the bridge; what finds nothing costs nobody anything. */
static bool poll(void *opaque)
{
	struct pv_net *n = opaque;
	struct net_ring *r = &n->ring[RING_TX];
	bool found;

	spin_lock(&r->lock);
	found = r->state == PV_OPEN && pv_ring_waiting(&r->ring);
	if (likely(!r->ring.broken))
		spin_unlock(&r->lock);
	else
		pv_net_unlock_and_tell(n, r);
	if (found)
		send_some(n);
	return false;
}

/* ---- opening and closing ---- */
static int open_ring(struct pv_device *device, unsigned ring, gpa_t base, u64 size, u32 event)
{
	struct pv_net *n = container_of(device, struct pv_net, device);
	struct net_ring *r = &n->ring[ring];
	int rc = ERR_EXIST;

	spin_lock(&r->lock);
	if (r->state == PV_CLOSED) {
		r->suppressed += r->ring.suppressed;
		r->ring.suppressed = 0;
		rc = pv_ring_init(&r->ring, n->mem, base, size & ~SOCLE_RING_OPEN_FLIP);
		if (rc == 0) {
			r->state = PV_OPEN;
			r->event = event;
			r->told = false;
			r->flip = size & SOCLE_RING_OPEN_FLIP;
			if (ring == RING_TX && n->poller.cpu)
				pv_ring_hush(&r->ring);
		}
	}
	spin_unlock(&r->lock);
	return rc;
}

static int close_ring(struct pv_device *device, unsigned ring)
{
	struct pv_net *n = container_of(device, struct pv_net, device);
	struct net_ring *r = &n->ring[ring];
	int rc = ERR_NOENT;

	spin_lock(&r->lock);
	if (r->state == PV_OPEN) {
		r->state = PV_CLOSING;
		r->told = false;
	}
	spin_unlock(&r->lock);
	/* What waits in the switch, perhaps for its rate, comes back. */
	if (ring == RING_TX)
		bridge_flush(n->bridge, &n->port);
	spin_lock(&r->lock);
	if (r->state == PV_CLOSING) {
		if (ring == RING_TX)
			pv_net_flip_send(n);
		else
			pv_net_flip_receive(n);
		rc = is_idle(n, r) ? 0 : ERR_AGAIN;
		if (rc == 0) {
			if (ring == RING_RX)
				pv_net_drop_buffer(n, r);
			pv_ring_fini(&r->ring);
			r->state = PV_CLOSED;
		}
	}
	spin_unlock(&r->lock);
	return rc;
}

static void query(const struct pv_device *device, struct socle_device *out)
{
	const struct pv_net *n = container_of(device, struct pv_net, device);

	out->kind = SOCLE_DEVICE_NETWORK;
	out->flags = SOCLE_NET_FLIP;
	out->max_length = FRAME_MAX;
	out->max_pages = (u32)n->mem->pinned_limit;
	memcpy(out->name, n->id, sizeof(out->name));
	memcpy(out->mac, n->address, sizeof(out->mac));
}

/* ---- life ---- */
static const struct pv_device_ops net_ops = {query, open_ring, close_ring, doorbell};

static void init(struct pv_net *n, struct guest *g, const struct nic_setup *setup)
{
	n->device = (struct pv_device){&net_ops, RINGS};
	n->bridge = setup->port.bridge;
	n->group = setup->group;
	n->guest = g;
	n->mem = guest_mem(g);
	n->event = setup->event;
	n->opaque = setup->opaque;
	memcpy(n->address, setup->port.address, NET_ADDRESS);
	memcpy(n->id, setup->id, strnlen(setup->id, sizeof(n->id) - 1));
	for (n->nr_free = 0; n->nr_free < TX_SLOTS; n->nr_free++) {
		struct pv_frame *s = &n->slot[n->nr_free];

		s->net = n;
		s->index = n->free_slots[n->nr_free] = (u8)n->nr_free;
		s->frame.pieces = s->piece;
	}
	later_init(&n->later, go_on, n, n->group);
	n->later.timer.group = NULL; /* see bridge_pay() */
	pv_net_flip_init(n);
}

static void *create(struct guest *g, struct pci_bus *bus, u8 devfn, const struct nic_setup *setup)
{
	struct pv_net *n = heap_alloc(sizeof(*n));
	int rc;

	(void)bus, (void)devfn;
	if (!n) {
		log_error("%s: no memory for a network interface behind Socle rings", guest_name(g));
		return NULL;
	}
	init(n, g, setup);
	rc = bridge_join(&setup->port, &n->port, &port_ops);
	if (rc) {
		log_error("%s: no place on the bridge: %s", guest_name(g),
			  rc == ERR_EXIST ? "another interface has this address" : "it is full");
	} else if (pv_bus_add(setup->pv, &n->device)) {
		log_error("%s: too many devices behind Socle rings", guest_name(g));
		bridge_leave(n->bridge, &n->port);
		rc = ERR_NOMEM;
	}
	if (rc) {
		heap_free(n);
		return NULL;
	}
	n->poller = (struct poller){.poll = poll, .opaque = n};
	if (setup->polled && poller_add(&n->poller))
		log_warn("%s: no CPU polls: a network interface is served by doorbells", guest_name(g));
	return n;
}

static bool quiet(void *nic)
{
	struct pv_net *n = nic;
	bool done = true;

	__atomic_store_n(&n->stopped, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < RINGS; i++)
		done &= close_ring(&n->device, i) != ERR_AGAIN;
	return done;
}

static void reset(void *nic)
{
	struct pv_net *n = nic;

	__atomic_store_n(&n->stopped, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < RINGS; i++)
		while (close_ring(&n->device, i) == ERR_AGAIN)
			cpu_poll_interrupts();
	__atomic_store_n(&n->stopped, false, __ATOMIC_RELEASE);
}

static void destroy(void *nic)
{
	struct pv_net *n = nic;

	if (!n)
		return;
	poller_remove(&n->poller);
	reset(n); /* from here on nobody puts anything off */
	later_destroy(&n->later);
	bridge_leave(n->bridge, &n->port);
	timer_destroy(&n->settle); /* who ran the switch may have set it until now */
	heap_free(n);
}

static u64 usage(const void *nic)
{
	return heap_size(nic);
}

static struct net_port *port(void *nic)
{
	struct pv_net *n = nic;

	return &n->port;
}

static void meters(const void *nic, struct device_meters *m)
{
	const struct pv_net *n = nic;

	*m = (struct device_meters){0};
	m->doorbells = m->accesses = __atomic_load_n(&n->doorbells, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < RINGS; i++) {
		const struct net_ring *r = &n->ring[i];
		m->interrupts += __atomic_load_n(&r->events, __ATOMIC_RELAXED);
		m->suppressed += __atomic_load_n(&r->suppressed, __ATOMIC_RELAXED) +
				 __atomic_load_n(&r->ring.suppressed, __ATOMIC_RELAXED);
	}
}

const struct nic_type pv_net_nic = {create, destroy, reset, usage, port, meters, quiet};
