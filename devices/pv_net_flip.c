/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving by page flip (include/socle/ring.h): the frame of the sender's page and that of the receiver's
 * buffer change places. At once in the tables of both VMs; but a vCPU that has not entered its guest since
 * may still have the old frame, by a cached translation or by a pointer. So neither guest is told before all
 * vCPUs of both VMs have noticed:
 *
 *   sender    FLIP_LEFT when its own have: the frame that it gave does not change any more
 *   receiver  when that is so and its own have, too: writes the header that was checked over what may have
 *             become of it, answers, FLIP_DONE
 *   sender    then answers: nobody else reaches the frame that it got
 *
 * Both frames stay pinned until then, so that neither goes further. Neither side looks at the other's vCPUs
 * or memory: only at the net_page, which the sender keeps until FLIP_DONE. A timer looks.
 * vCPUs notice because the change has asked for a flush and kicked them, halted and paused ones as well; one
 * that has stopped has noticed everything. */
#include "pv_net_internal.h"

static u64 seen(const struct pv_net *n)
{
	return __atomic_load_n(&n->stopped, __ATOMIC_ACQUIRE) ? ~(u64)0 : guest_flush_seen(n->guest);
}

static u64 gen_of(const struct gmem *m)
{
	return __atomic_load_n(&m->ept->flush_gen, __ATOMIC_SEQ_CST);
}

static struct arrived *arrived_put(struct pv_net *n)
{
	return &n->arrived[(n->first_arrived + n->nr_arrived++) % RX_ARRIVED];
}

/* Nobody but us uses it, as far as that is seen without a lock. */
static bool may_move(const struct gmem_page *p)
{
	return !__atomic_load_n(&p->mem->lent, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&p->mem->held, __ATOMIC_RELAXED) &&
	       __atomic_load_n(gmem_pin_count(p->mem, p->host), __ATOMIC_RELAXED) == 1;
}

/* The sender pays for what is done here. The clearing is the receiver's affair: not begun where it would be
 * for nothing, and paid by the receiver where it was, unless it is the sender's page that could not go. */
static bool exchange(struct pv_net *n, struct gmem_page *theirs, struct gmem_page *own)
{
	u64 since;
	int rc;

	if (unlikely(!may_move(theirs) || !may_move(own)))
		return false;
	if (n->buffer_flags & SOCLE_RING_CLEAN)
		return gmem_exchange(theirs, own) == 0;
	since = tsc_now();
	/* Before the sender can see it. */
	memset(own->host, 0, PAGE_SIZE);
	rc = gmem_exchange(theirs, own);
	if (unlikely(rc && !theirs->stays))
		bridge_charge(n->bridge, n->group, tsc_now() - since);
	return rc == 0;
}

bool pv_net_flip(struct pv_net *n, struct net_frame *f, const u8 *header, u32 header_bytes)
{
	struct gmem_page own = {.mem = n->mem, .gpa = n->buffer_gpa, .host = n->buffer->base};
	struct net_page *page = f->page;
	struct arrived *a;

	if (!exchange(n, &page->page, &own))
		return false;
	page->gen = gen_of(page->page.mem);
	page->state = FLIP_TAKEN;
	a = arrived_put(n);
	*a = (struct arrived){.page = page,
			      .own = own,
			      .gen = gen_of(n->mem),
			      .id = n->buffer_id,
			      .length = f->length,
			      .header_bytes = header_bytes};
	memcpy(a->header, header, header_bytes);
	n->has_buffer = false;
	n->flips++;
	return true;
}

void pv_net_flip_behind(struct pv_net *n, u32 id, u32 length)
{
	struct arrived *a = arrived_put(n);

	a->page = NULL;
	a->id = id;
	a->length = length;
}

void pv_net_flip_receive(struct pv_net *n)
{
	struct net_ring *r = &n->ring[RING_RX];
	u64 own = seen(n);

	for (; n->nr_arrived; n->nr_arrived--) {
		struct arrived *a = &n->arrived[n->first_arrived];
		struct net_page *page = a->page;

		if (page && (own < a->gen || !(__atomic_load_n(&page->state, __ATOMIC_ACQUIRE) & FLIP_LEFT)))
			return;
		if (page) {
			memcpy(a->own.host, a->header, a->header_bytes);
			gmem_unpin(n->mem, a->own.host);
		}
		pv_net_answer(r, a->id, 0, a->length, page ? SOCLE_RING_FLIPPED : 0);
		/* Release: the sender's page may be anything after it. */
		if (page)
			__atomic_fetch_or(&page->state, FLIP_DONE, __ATOMIC_RELEASE);
		n->first_arrived = (n->first_arrived + 1) % RX_ARRIVED;
	}
}

void pv_net_flip_send(struct pv_net *n)
{
	u64 own = n->flipping ? seen(n) : 0;

	for (u64 left = n->flipping; left; left &= left - 1) {
		unsigned i = bit_first(left);
		struct pv_frame *s = &n->slot[i];

		if (own >= s->page.gen)
			__atomic_fetch_or(&s->page.state, FLIP_LEFT, __ATOMIC_RELEASE);
		if (!(__atomic_load_n(&s->page.state, __ATOMIC_ACQUIRE) & FLIP_DONE))
			continue;
		gmem_unpin(n->mem, s->page.page.host);
		pv_net_answer(&n->ring[RING_TX], s->id, 0, 0, SOCLE_RING_FLIPPED);
		n->free_slots[n->nr_free++] = s->index;
		n->flipping ^= BIT(i);
	}
}

/* ---- the timer ---- */
static void settle(void *opaque)
{
	struct pv_net *n = opaque;
	bool more, again, news;
	u64 flipping;
	u32 arrived;

	spin_lock(&n->ring[RING_TX].lock);
	flipping = n->flipping;
	pv_net_flip_send(n);
	again = n->flipping;
	news = flipping != n->flipping;
	more = n->blocked && n->nr_free && n->ring[RING_TX].state == PV_OPEN;
	if (more)
		later_promise(&n->later);
	pv_net_unlock_and_tell(n, &n->ring[RING_TX]);
	spin_lock(&n->ring[RING_RX].lock);
	arrived = n->nr_arrived;
	pv_net_flip_receive(n);
	again = again || n->nr_arrived;
	news = news || arrived != n->nr_arrived;
	pv_net_unlock_and_tell(n, &n->ring[RING_RX]);
	n->wait_ns = news || !again ? FLIP_WAIT_NS : MIN(2 * n->wait_ns, (u64)FLIP_WAIT_MOST_NS);
	if (again)
		timer_set(&n->settle, tsc_now() + ns_to_tsc(n->wait_ns));
	if (!more)
		return;
	/* What goes on may call pv_net_flip_soon(). The promise keeps the interface. */
	spin_unlock(&n->settle_lock);
	later_keep(&n->later, 0);
	spin_lock(&n->settle_lock);
}

void pv_net_flip_soon(struct pv_net *n)
{
	spin_lock(&n->settle_lock);
	if (!n->settle.armed)
		timer_set(&n->settle, tsc_now() + ns_to_tsc(FLIP_WAIT_NS));
	spin_unlock(&n->settle_lock);
}

void pv_net_flip_init(struct pv_net *n)
{
	timer_init(&n->settle, settle, n, &n->settle_lock);
	n->settle.group = n->group;
	n->wait_ns = FLIP_WAIT_NS;
}
