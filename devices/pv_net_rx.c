/* SPDX-License-Identifier: Apache-2.0 */
/* The network interface behind Socle rings: what it receives. One buffer waits, of the next request in the
 * ring; the switch fills it, or exchanges it for the page that the frame is in. */
#include "pv_net_internal.h"

#define RX_TRIES 64u /* buffers that are none, for one frame */

/* With the ring's lock: looks for a buffer where none waits. True: some were refused, and answered. */
static bool find_buffer(struct pv_net *n, struct net_ring *r)
{
	struct socle_request q;
	bool refused = false;

	for (unsigned i = 0; i < RX_TRIES && !n->has_buffer && pv_ring_next(&r->ring, &q); i++) {
		int rc = pv_net_pieces(r, &q, SOCLE_RING_RECEIVE, n->buffer);

		if (rc < 0) {
			pv_net_answer(r, q.id, rc, 0, 0);
			refused = true;
			continue;
		}
		n->has_buffer = true;
		n->buffer_id = q.id;
		n->buffer_pieces = (u32)rc;
		n->buffer_length = q.length;
		n->buffer_flags = q.flags;
		n->buffer_gpa = q.address;
	}
	return refused;
}

void pv_net_drop_buffer(struct pv_net *n, struct net_ring *r)
{
	if (n->has_buffer)
		pv_ring_unpin(&r->ring, n->buffer, n->buffer_pieces);
	n->has_buffer = false;
}

/* A frame without room is dropped at the expense of who should have made it, and who posts what is no buffer
 * pays for the look at it. */
unsigned pv_net_room(struct net_port *p, u32 length, struct piece *pieces)
{
	struct pv_net *n = container_of(p, struct pv_net, port);
	struct net_ring *r = &n->ring[RING_RX];
	u64 since = tsc_now(), looked = 0;
	unsigned nr = 0;

	spin_lock(&r->lock);
	if (likely(r->state == PV_OPEN) && unlikely(find_buffer(n, r)))
		looked = tsc_now() - since;
	if (n->has_buffer && n->buffer_length >= length && r->state == PV_OPEN &&
	    n->nr_arrived < RX_ARRIVED) {
		nr = n->buffer_pieces;
		memcpy(pieces, n->buffer, nr * sizeof(*pieces));
		n->filling = true;
	}
	if (likely(nr))
		spin_unlock(&r->lock);
	else
		pv_net_unlock_and_tell(n, r); /* of buffers that were none, or that the ring is broken */
	if (unlikely(!nr || looked))
		bridge_charge(n->bridge, n->group, nr ? looked : tsc_now() - since);
	return nr;
}

void pv_net_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	struct pv_net *n = container_of(p, struct pv_net, port);
	struct net_ring *r = &n->ring[RING_RX];

	(void)o; /* nothing is left to the guest: it takes no such frames */
	spin_lock(&r->lock);
	n->filling = false;
	pv_net_drop_buffer(n, r);
	if (likely(!n->nr_arrived))
		pv_net_answer(r, n->buffer_id, 0, length, 0);
	else
		pv_net_flip_behind(n, n->buffer_id, length);
	spin_unlock(&r->lock);
}

bool pv_net_exchange(struct net_port *p, struct net_frame *f, const u8 *header, u32 header_bytes)
{
	struct pv_net *n = container_of(p, struct pv_net, port);
	struct net_ring *r = &n->ring[RING_RX];
	bool done = false;
	u64 since;

	if (!__atomic_load_n(&r->flip, __ATOMIC_RELAXED))
		return false;
	since = tsc_now();
	spin_lock(&r->lock);
	if (likely(r->state == PV_OPEN)) {
		if (unlikely(find_buffer(n, r)))
			bridge_charge(n->bridge, n->group, tsc_now() - since);
		done = n->has_buffer && n->buffer_flags & SOCLE_RING_FLIP && n->nr_arrived < RX_ARRIVED &&
		       pv_net_flip(n, f, header, header_bytes);
	}
	spin_unlock(&r->lock);
	if (done)
		pv_net_flip_soon(n);
	return done;
}

void pv_net_ready(struct net_port *p)
{
	struct pv_net *n = container_of(p, struct pv_net, port);

	spin_lock(&n->ring[RING_RX].lock);
	pv_net_unlock_and_tell(n, &n->ring[RING_RX]);
}
