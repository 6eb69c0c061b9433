/* SPDX-License-Identifier: Apache-2.0 */
/* The transmitter of the 82540EM (3.3, 3.4): from descriptors to frames in the switch's hands, and back.
 *
 * Who writes TDT reads descriptors, each once, and queues frames that point into the guest's memory, pinned;
 * then the switch runs, which copies each to where it goes. Frames come back in the order in which they were
 * queued, and with each the descriptors that it came from. What needs more than a turn goes on from a timer
 * at the guest's expense. */
#include "e1000_internal.h"

#include "host.h"

/* ---- descriptors ---- */
u64 *e1000_desc(struct e1000 *e, struct gmem_tlb *tlb, u32 base, u32 i)
{
	gpa_t gpa = (e->reg[base] | (u64)e->reg[base + 1] << 32) + (u64)i * E1000_DESC_BYTES;

	/* They are written back. */
	if (unlikely(gmem_check(e->mem, gpa, E1000_DESC_BYTES, E1000_DESC_BYTES)))
		return NULL;
	return gmem_tlb_ptr(e->mem, tlb, gpa, E1000_DESC_BYTES);
}

/* 3.3.3.2: the status of those that asked for it, and TDH. */
static void give_back(struct e1000 *e, struct e1000_descs *d)
{
	u32 size = e1000_ring_size(e, E1000_TDLEN), at = e->reg[E1000_TDH];
	bool reported = false;

	for (u32 i = 0; i < d->count; i++) {
		if (d->report[i / 64] >> i % 64 & 1) {
			u64 *desc = e1000_desc(e, &e->tx.tlb, E1000_TDBAL, at);

			if (desc)
				__atomic_store_n((u8 *)&desc[1] + 4, E1000_TX_DD >> 32, __ATOMIC_RELEASE);
			reported = true;
		}
		at = at + 1 == size ? 0 : at + 1;
	}
	e->reg[E1000_TDH] = at;
	if (reported)
		e1000_irq_sent(e, d->delay);
	if (d->count && at == e->reg[E1000_TDT])
		e1000_irq_cause(e, E1000_INT_TXQE);
	*d = (struct e1000_descs){0};
}

static void note(struct e1000_descs *d, u64 fields)
{
	if (fields & E1000_TX_RS)
		d->report[d->count / 64] |= BIT(d->count % 64);
	d->delay = fields & E1000_TX_IDE;
	d->count++;
}

/* ---- slots ---- */
static bool slots_idle(const struct e1000_tx *t)
{
	return t->slot_head == t->slot_tail;
}

/* Descriptors that no frame needs any more are given back when those before them are. */
static void settle(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;

	if (slots_idle(t) && t->packet.descs.count && (!t->packet.open || t->packet.bad))
		give_back(e, &t->packet.descs);
}

static void slots_retire(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;

	while (!slots_idle(t) && t->slot[t->slot_head % E1000_SLOTS].done) {
		struct e1000_slot *s = &t->slot[t->slot_head++ % E1000_SLOTS];

		t->pool_head = s->pieces_end;
		if (likely(!s->stale))
			give_back(e, &s->descs);
	}
	settle(e);
}

static void unpin(struct e1000 *e, const struct piece *p, u32 n)
{
	for (u32 i = 0; i < n; i++)
		gmem_unpin(e->mem, p[i].base);
}

void e1000_transmit_complete(struct net_frame *f, bool delivered)
{
	struct e1000_slot *s = container_of(f, struct e1000_slot, frame);
	struct e1000 *e = s->e1000;

	(void)delivered; /* as on a wire, nobody knows */
	spin_lock(&e->lock);
	unpin(e, s->piece + s->headed, f->nr_pieces - s->headed);
	s->done = true;
	slots_retire(e);
	if (unlikely(e->tx.blocked)) {
		e->tx.blocked = false;
		e1000_transmit_later(e);
	}
	spin_unlock(&e->lock);
}

/* ---- gathering a packet ---- */
static struct piece *packet_pieces(struct e1000_tx *t)
{
	return &t->pool[(t->packet.start + 1) % E1000_POOL];
}

static void packet_spoil(struct e1000 *e)
{
	struct e1000_packet *p = &e->tx.packet;

	unpin(e, packet_pieces(&e->tx), p->pieces);
	p->pieces = 0;
	p->bad = true;
}

/* A slot, and room for all the pieces that a packet may have, in one, and for its descriptors. False: some
 * must come back first. */
static bool packet_open(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;
	u32 at, skip;

	if (unlikely(t->packet.descs.count > E1000_DESCS - E1000_PIECES))
		settle(e);
	if (t->packet.descs.count > E1000_DESCS - E1000_PIECES)
		return false;
	if (slots_idle(t))
		t->pool_head = t->pool_tail = 0; /* the pool's beginning is in the cache */
	at = t->pool_tail % E1000_POOL;
	skip = at + 1 + E1000_PIECES > E1000_POOL ? E1000_POOL - at : 0;
	if (t->slot_tail - t->slot_head == E1000_SLOTS ||
	    t->pool_tail - t->pool_head + skip + 1 + E1000_PIECES > E1000_POOL)
		return false;
	t->packet.open = true;
	t->packet.bad = false;
	t->packet.start = t->pool_tail + skip;
	t->packet.pieces = t->packet.length = 0;
	return true;
}

static void packet_add(struct e1000 *e, gpa_t gpa, u32 length)
{
	struct e1000_packet *p = &e->tx.packet;
	struct piece *pieces = packet_pieces(&e->tx);

	while (length && !p->bad) {
		u32 part = (u32)MIN((u64)length, PAGE_SIZE - gpa % PAGE_SIZE);
		void *host;

		if (p->pieces == E1000_PIECES || p->length + part > NET_FRAME_MAX ||
		    gmem_pin(e->mem, &e->tx.tlb, gpa, part, false, &host)) {
			packet_spoil(e);
			return;
		}
		pieces[p->pieces++] = (struct piece){host, part};
		p->length += part;
		gpa += part;
		length -= part;
	}
}

/* Without IFCS the guest's last four bytes are the frame's checksum, which nothing here carries. */
static void packet_trim(struct e1000 *e, u32 n)
{
	struct e1000_packet *p = &e->tx.packet;
	struct piece *pieces = packet_pieces(&e->tx);

	if (p->bad || p->length < n) {
		packet_spoil(e);
		return;
	}
	p->length -= n;
	while (n) {
		struct piece *last = &pieces[p->pieces - 1];
		u32 part = MIN(n, last->length);

		last->length -= part;
		n -= part;
		if (!last->length) {
			gmem_unpin(e->mem, last->base);
			p->pieces--;
		}
	}
}

/* The pieces may be as short as the guest likes. */
static const u8 *target_of(const struct e1000_slot *s)
{
	static const u8 nobody[NET_ADDRESS];

	return s->piece->length < NET_ADDRESS ? nobody : s->piece->base;
}

/* The packet becomes a frame; one that is none, or asks for what cannot be done, is lost. */
static void packet_send(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;
	struct e1000_packet *p = &t->packet;
	struct e1000_slot *s = &t->slot[t->slot_tail % E1000_SLOTS];

	p->open = false;
	if (p->bad || p->length < NET_FRAME_MIN)
		goto lost;
	s->piece = packet_pieces(t);
	s->headed = s->done = s->stale = false;
	s->frame.nr_pieces = p->pieces;
	s->frame.length = p->length;
	s->frame.offload = (struct net_offload){0};
	if (!e1000_offload(e, s, p->fields)) {
		unpin(e, s->piece + s->headed, s->frame.nr_pieces - s->headed);
		p->pieces = 0;
		goto lost;
	}
	s->frame.pieces = s->piece;
	s->descs = p->descs;
	p->descs = (struct e1000_descs){0};
	t->pool_tail = s->pieces_end = p->start + 1 + p->pieces;
	t->slot_tail++;
	e1000_tally(&t->tally, p->length, target_of(s));
	net_send(&e->port, &s->frame);
	return;
lost:
	packet_spoil(e);
}

/* ---- serving ---- */
static bool is_live(const struct e1000 *e, u32 size)
{
	return e->reg[E1000_TCTL] & E1000_TCTL_EN && e1000_is_master(e) && e1000_link(e) &&
	       e->tx.next < size && e->reg[E1000_TDT] < size;
}

/* Whether another descriptor can be taken now; else it goes on when frames come back. */
static bool has_place(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;
	struct e1000_packet *p = &t->packet;

	if (unlikely(p->descs.count == E1000_DESCS)) {
		if (p->open && !p->bad)
			packet_spoil(e);
		settle(e);
	}
	t->blocked = p->descs.count == E1000_DESCS;
	return !t->blocked;
}

/* False: nothing more can be done now. */
static bool look(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;
	struct e1000_packet *p = &t->packet;
	u32 size = e1000_ring_size(e, E1000_TDLEN);
	u64 *desc, address, fields;
	bool extended;

	if (!is_live(e, size) || t->next == e->reg[E1000_TDT] || !has_place(e))
		return false;
	desc = e1000_desc(e, &t->tlb, E1000_TDBAL, t->next);
	if (!desc)
		return false;
	address = __atomic_load_n(&desc[0], __ATOMIC_RELAXED);
	fields = __atomic_load_n(&desc[1], __ATOMIC_RELAXED);
	extended = fields & E1000_TX_DEXT;
	if (!(extended && E1000_TX_TYPE(fields) == E1000_TX_CONTEXT) && !p->open) {
		if (!packet_open(e)) {
			t->blocked = true;
			return false;
		}
		p->fields = fields;
	}
	t->next = t->next + 1 == size ? 0 : t->next + 1;
	note(&p->descs, fields);
	if (extended && E1000_TX_TYPE(fields) == E1000_TX_CONTEXT) {
		e1000_context_set(&t->context, address, fields);
		return true;
	}
	if ((extended && E1000_TX_TYPE(fields) != E1000_TX_DATA) || (p->fields ^ fields) & E1000_TX_DEXT)
		packet_spoil(e);
	if (!extended)
		p->fields = fields;
	packet_add(e, address, (u32)fields & (extended ? E1000_TX_LENGTH : 0xffff));
	if (!(fields & E1000_TX_EOP))
		return true;
	if (!(fields & E1000_TX_IFCS))
		packet_trim(e, 4);
	packet_send(e);
	return true;
}

void e1000_transmit(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;
	u32 before, n = 0;
	bool sent;

	spin_lock(&e->lock);
	before = t->slot_tail;
	while (n < E1000_TURN && look(e))
		n++;
	settle(e);
	sent = t->slot_tail != before;
	if (n == E1000_TURN)
		e1000_transmit_later(e);
	spin_unlock(&e->lock);
	if (sent)
		bridge_run(e->bridge);
}

void e1000_transmit_later(struct e1000 *e)
{
	if (!e->closing && !e->later.armed)
		timer_set(&e->later, sched_rests_until(e->group, tsc_now()));
}

void e1000_transmit_reset(struct e1000 *e)
{
	struct e1000_tx *t = &e->tx;

	for (u32 i = t->slot_head; i != t->slot_tail; i++)
		t->slot[i % E1000_SLOTS].stale = true;
	if (t->packet.open)
		packet_spoil(e);
	t->packet = (struct e1000_packet){0};
	t->context = (struct e1000_context){0};
	t->blocked = false;
	t->next = e->reg[E1000_TDH];
}
