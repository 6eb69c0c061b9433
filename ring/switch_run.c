/* SPDX-License-Identifier: Apache-2.0 */
/* The switch: whose turn it is, where the frame goes, and the copy. All of it on the CPU that has set
 * `running`, and without the lock but where senders, or those who come and go, change the same. */
#include "switch.h"

static const struct net_headline *headline(struct passage *w)
{
	if (!w->parsed)
		w->line = net_parse(w->header, w->header_piece.length);
	w->parsed = true;
	return &w->line;
}

/* Whether it is the port's to have. */
static inline bool may_have(struct passage *w, struct net_port *to)
{
	if (to->ops->wants && net_address(w->header) != to->number && !to->ops->wants(to, w->header))
		return false;
	if (to->nr_rules && !net_passes(to, headline(w), true)) {
		to->meters.rx_filtered++;
		return false;
	}
	return true;
}

static inline void deliver(struct passage *w, struct net_port *to)
{
	const struct net_offload *o = &w->frame->offload;
	u32 takes = 0;

	if (!may_have(w, to))
		return;
	if (unlikely(o->from) && to->ops->takes)
		takes = to->ops->takes(to);
	if (unlikely(o->cut && !(takes & w->tcp.kind)))
		net_deliver_cut(w, to);
	else
		net_deliver_whole(w, to, takes & NET_TAKES_SUM);
}

static bool pieces_ok(const struct net_frame *f)
{
	u64 sum = 0;

	for (u32 i = 0; i < f->nr_pieces; i++)
		sum += f->pieces[i].length;
	return sum == f->length;
}

/* Reads the header, once; false: the frame is none. */
static bool read_header(const struct net_switch *sw, struct passage *w)
{
	struct net_frame *f = w->frame;
	u32 most = unlikely(f->offload.cut || sw->rules) ? NET_HEADER_CUT : NET_HEADER,
	    n = MIN(f->length, most);

	if (f->length < NET_FRAME_MIN || f->length > NET_FRAME_MAX || f->nr_pieces > NET_PIECES ||
	    !pieces_ok(f))
		return false;
	w->header_piece = (struct piece){w->header, n};
	if (likely(n == NET_HEADER && f->pieces->length >= NET_HEADER)) {
		net_copy_header(w->header, f->pieces->base);
	} else {
		struct net_cursor header = {&w->header_piece, 1, 0}, from = {f->pieces, f->nr_pieces, 0};
		net_copy(&header, &from, n);
	}
	return net_offload_ok(w);
}

static void begin(struct passage *w, struct net_frame *f)
{
	w->frame = f;
	w->cuts = 0;
	w->parsed = w->dropped = w->delivered = w->held = false;
}

/* ---- frames like the one before: most of a burst ---- */
/* What was counted of them. */
static void plain_end(struct passage *w)
{
	struct net_port *p = w->from, *to = w->target;
	u64 copied = w->bytes + w->frames * NET_BEGINS;

	w->plain = false;
	if (!w->frames)
		return;
	p->meters.tx_frames += w->frames;
	p->meters.tx_bytes += w->bytes;
	p->meters.tx_copied += copied;
	to->meters.rx_frames += w->frames;
	to->meters.rx_bytes += w->bytes;
	to->meters.rx_copied += w->bytes;
	if (to->ops->ready)
		to->sw->received[to->index / 64] |= BIT(to->index % 64);
	w->frames = w->bytes = 0;
}

/* The frame's addresses are known now. What both ports own stays so: it is kept for the next turns. */
static void plain_begin(struct passage *w)
{
	struct net_port *p = w->from, *to = w->target;

	w->plain = to && to != p && w->address == to->number && !p->nr_rules && !to->nr_rules &&
		   !to->ops->steer && !to->ops->full;
	w->begins[0] = w->address | w->source << 48;
	w->begins[1] = w->source >> 16;
	if (!w->plain || w->source != p->number)
		return;
	p->way.begins[0] = w->begins[0];
	p->way.begins[1] = w->begins[1];
	p->way.target = to;
	p->way.gen = w->gen;
}

/* As the port's last turn has ended. Acquire: a port that has left is found by nobody who sees what it has
 * changed, and one that is leaving waits until this passage is over. */
static inline void passage_begin(const struct net_switch *sw, struct passage *w, struct net_port *p)
{
	w->from = p;
	w->gen = p->way.gen;
	w->known = w->plain = w->gen == __atomic_load_n(&sw->gen, __ATOMIC_ACQUIRE);
	w->target = p->way.target;
	w->begins[0] = p->way.begins[0];
	w->begins[1] = p->way.begins[1];
	w->address = w->begins[0] << 16 >> 16;
	w->source = w->begins[0] >> 48 | w->begins[1] << 16;
	w->frames = w->bytes = 0;
}

/* Into the receiver's room: 16 bytes that were checked, and the rest. */
static inline void copy_plain(const struct net_frame *f, u64 head[2], const struct piece *pieces, unsigned nr)
{
	u32 more = f->length - NET_BEGINS;

	if (likely(pieces->length >= f->length)) {
		__builtin_memcpy(pieces->base, head, NET_BEGINS);
		memcpy(pieces->base + NET_BEGINS, f->pieces->base + NET_BEGINS, more);
	} else {
		struct piece own = {(u8 *)head, NET_BEGINS};
		struct net_cursor room = {pieces, nr, 0}, first = {&own, 1, 0}, rest = {f->pieces, 1, 0};

		net_skip(&rest, NET_BEGINS);
		net_copy(&room, &first, NET_BEGINS);
		net_copy(&room, &rest, more);
	}
}

/* A frame that is one piece, with nothing left to do, from and to the same as before. Its beginning is read
 * once. False: it is none such. */
static inline bool forward_plain(const struct net_switch *sw, struct passage *w, const struct net_frame *f)
{
	const struct piece *from = f->pieces;
	struct net_port *to = w->target;
	struct piece pieces[NET_PIECES];
	unsigned nr;
	u64 head[2];

	if (unlikely(!w->plain || f->nr_pieces != 1 || from->length != f->length || f->length < NET_HEADER ||
		     f->length > NET_FRAME_MAX || f->offload.from || f->offload.cut || f->page))
		return false;
	head[0] = __atomic_load_n((const u64 *)from->base, __ATOMIC_RELAXED);
	head[1] = __atomic_load_n((const u64 *)from->base + 1, __ATOMIC_RELAXED);
	if (unlikely(head[0] != w->begins[0] || (u32)head[1] != (u32)w->begins[1] ||
		     w->gen != __atomic_load_n(&sw->gen, __ATOMIC_ACQUIRE)))
		return false;
	nr = to->ops->room(to, f->length, pieces);
	w->delivered = nr;
	if (unlikely(!nr)) {
		to->meters.rx_dropped++;
		w->from->meters.tx_frames++;
		w->from->meters.tx_bytes += f->length;
		return true;
	}
	copy_plain(f, head, pieces, nr);
	to->ops->received(to, f->length, &f->offload);
	w->frames++;
	w->bytes += f->length;
	return true;
}

/* The addresses are not those of the frame before. False: it may not send from there. */
static __attribute__((noinline)) bool look_up(struct net_switch *sw, struct passage *w, u64 source,
					      u64 address)
{
	struct net_port *p = w->from;

	plain_end(w);
	w->known = false;
	if (p->flags & NET_ANTI_SPOOF && source != p->number)
		return false;
	spin_lock(&sw->lock);
	if (source != p->number)
		net_table_learn(sw, p, source, sw->now);
	w->target = net_table_find(sw, address, sw->now); /* never has an address of a group */
	w->gen = sw->gen;
	spin_unlock(&sw->lock);
	w->source = source;
	w->address = address;
	w->known = true;
	plain_begin(w);
	return true;
}

static inline bool is_known(const struct net_switch *sw, const struct passage *w, u64 source, u64 address)
{
	return w->known && w->source == source && w->address == address &&
	       w->gen == __atomic_load_n(&sw->gen, __ATOMIC_ACQUIRE);
}

/* Whether it waits for its receiver's room, as long as there is hope. */
static inline bool holds(const struct net_switch *sw, struct passage *w)
{
	struct net_port *p = w->from, *to = w->target;

	if (likely(!to || !to->ops->full) || to == p || !to->ops->full(to))
		return false;
	if (!p->held_since)
		p->held_since = MAX(sw->now, 1u);
	w->held = sw->now - p->held_since < NET_HOLD_MOST_NS;
	p->held_until = w->held ? sw->now + NET_HOLD_NS : 0;
	return w->held;
}

/* May it leave, and where to? */
static void decide(struct net_switch *sw, struct passage *w)
{
	struct net_port *p = w->from;
	u64 source, address;

	w->dropped = true;
	if (!read_header(sw, w) || w->header[NET_ADDRESS] & 1) {
		p->meters.tx_bad++;
		return;
	}
	source = net_address(w->header + NET_ADDRESS);
	address = net_address(w->header);
	if (unlikely(!is_known(sw, w, source, address)) && !look_up(sw, w, source, address)) {
		p->meters.tx_spoofed++;
	} else if (p->nr_rules && !net_passes(p, headline(w), false)) {
		p->meters.tx_filtered++;
	} else if (!holds(sw, w)) {
		p->held_since = 0;
		w->dropped = false;
		p->meters.tx_frames++;
		p->meters.tx_bytes += w->frame->length;
		p->meters.tx_copied += w->header_piece.length;
	}
}

static __attribute__((noinline)) unsigned deliver_all(struct net_switch *sw, struct passage *w)
{
	unsigned ports = 0;

	for (unsigned i = 0; i < NET_PORTS; i++) {
		struct net_port *to = __atomic_load_n(&sw->ports[i], __ATOMIC_ACQUIRE);

		if (to && to != w->from) {
			deliver(w, to);
			ports++;
		}
	}
	return ports;
}

/* To how many ports it went or would have gone, and more for a long one; 0: it did not go yet. */
static unsigned forward(struct net_switch *sw, struct passage *w, struct net_frame *f)
{
	unsigned ports = 1 + f->length / NET_BUDGET_BYTES;

	if (likely(forward_plain(sw, w, f))) {
		f->receiver = w->target;
		if (f->complete)
			f->complete(f, w->delivered);
		return ports;
	}
	begin(w, f);
	decide(sw, w);
	if (unlikely(w->held))
		return 0;
	f->receiver = w->dropped ? NULL : w->target;
	if (likely(!w->dropped && w->target)) {
		if (w->target != w->from)
			deliver(w, w->target);
	} else if (!w->dropped) {
		ports += deliver_all(sw, w);
	}
	if (f->complete)
		f->complete(f, w->delivered);
	return ports + w->cuts;
}

/* ---- turns ---- */
/* Frames of net_send(), as if by pull(). */
static unsigned dequeue(struct net_port *p, struct net_frame **frames, unsigned most, u64 bytes)
{
	unsigned nr = 0;

	spin_lock(&p->sw->lock);
	for (u64 sum = 0; nr < most && sum < bytes && !list_empty(&p->queue); nr++) {
		frames[nr] = list_entry(p->queue.next, struct net_frame, link);
		sum += net_price(frames[nr]);
		list_remove(&frames[nr]->link);
	}
	spin_unlock(&p->sw->lock);
	return nr;
}

/* A sender's turn. */
struct turn {
	unsigned budget; /* as of net_switch_run() */
	u64 bytes;       /* to ask for at once */
	bool alone;      /* nobody else has frames: it may go on */
	unsigned spent;
	u64 sent;   /* bytes */
	bool empty; /* it had no more */
};

/* How many frames it has, or gives now. */
static inline unsigned has_some(struct net_port *p, unsigned most, u64 bytes)
{
	if (!net_has_taken(p)) {
		p->taken_head = 0;
		p->taken_tail = (p->ops->pull ? p->ops->pull : dequeue)(p, p->taken, most, bytes);
	}
	return p->taken_tail - p->taken_head;
}

static void forward_some(struct net_switch *sw, struct net_port *p, struct turn *t)
{
	struct passage w; /* larger than what of it most frames need */
	unsigned spent = 0, frames = 0, nr, ports = 1;
	u64 sent = 0;

	passage_begin(sw, &w, p);
	do {
		nr = has_some(p, MIN(t->budget - spent, NET_BATCH - frames), t->bytes - sent);
		frames += nr;
		while (spent < t->budget && net_has_taken(p)) {
			struct net_frame *f = p->taken[p->taken_head];

			if (unlikely(p->ops->forwards))
				p->ops->forwards(p);
			ports = forward(sw, &w, f);
			if (unlikely(!ports))
				break;
			sent += net_price(f);
			spent += ports;
			p->taken_head++;
		}
		/* No longer than for a batch: who leaves, or comes, waits for the end of a turn. */
	} while (t->alone && nr && ports && sent < t->bytes && spent < t->budget && frames < NET_BATCH);
	plain_end(&w);
	if (p->ops->sent && spent)
		sw->has_sent[p->index / 64] |= BIT(p->index % 64);
	t->spent = spent;
	t->sent = sent;
	t->empty = !nr;
}

/* With the lock. */
static void says_turn(struct net_switch *sw, struct net_port *p)
{
	if (sw->at == p)
		return;
	sw->at = p;
	if (sw->turns)
		sw->turns(sw, p);
}

/* Begins and ends with the lock. A look that finds nothing is work as well. */
static unsigned serve(struct net_switch *sw, struct net_port *p, unsigned budget)
{
	bool alone = sw->senders.next == sw->senders.prev;
	struct turn t = {.budget = budget, .alone = alone && !p->rate && !p->may_rest};

	t.bytes = net_turn_allowance(sw, p, alone);
	p->woken = false;
	says_turn(sw, p);
	spin_unlock(&sw->lock);
	forward_some(sw, p, &t);
	spin_lock(&sw->lock);
	net_turn_end(sw, p, alone, t.sent, t.empty);
	return MAX(t.spent, 1u);
}

/* ---- what is told after some frames ---- */
/* One that has left, and even been followed by another one, counts for nothing. */
static inline bool next_of(struct net_switch *sw, u64 *ports, struct net_port **p)
{
	for (unsigned i = 0; i < NET_PORTS / 64; i++)
		if (ports[i]) {
			*p = __atomic_load_n(&sw->ports[i * 64 + bit_first(ports[i])], __ATOMIC_ACQUIRE);
			ports[i] &= ports[i] - 1;
			return true;
		}
	return false;
}

static bool has_news(const struct net_switch *sw)
{
	u64 any = 0;

	for (unsigned i = 0; i < NET_PORTS / 64; i++)
		any |= sw->has_sent[i] | sw->received[i];
	return any;
}

/* Those that have received, or whose frames are forwarded, each once. */
static void tell(struct net_switch *sw)
{
	struct net_port *p;

	while (next_of(sw, sw->has_sent, &p)) {
		if (!p || !p->ops->sent)
			continue;
		if (unlikely(sw->at != p)) {
			spin_lock(&sw->lock);
			says_turn(sw, p);
			spin_unlock(&sw->lock);
		}
		p->ops->sent(p, p->taken_head);
	}
	while (next_of(sw, sw->received, &p))
		if (p && p->ops->ready)
			p->ops->ready(p);
}

static void flush(struct net_port *p)
{
	do {
		for (; net_has_taken(p); p->taken_head++) {
			struct net_frame *f = p->taken[p->taken_head];

			f->receiver = NULL;
			if (f->complete)
				f->complete(f, false);
		}
		if (p->ops->sent)
			p->ops->sent(p, p->taken_tail);
		p->taken_head = 0;
		p->taken_tail = dequeue(p, p->taken, NET_BATCH, ~(u64)0);
	} while (net_has_taken(p));
}

/* Begins and ends with the lock. */
static void flush_those(struct net_switch *sw)
{
	for (unsigned i = 0; sw->flushes && i < NET_PORTS; i++) {
		struct net_port *p = sw->ports[i];

		if (!p || !p->flushes)
			continue;
		p->flushes = false;
		sw->flushes--;
		spin_unlock(&sw->lock);
		flush(p);
		spin_lock(&sw->lock);
	}
}

bool net_switch_run(struct net_switch *sw, u64 now, unsigned budget, u64 *next)
{
	bool more = false;

	*next = ~(u64)0;
	spin_lock(&sw->lock);
	if (sw->running) {
		spin_unlock(&sw->lock);
		return false;
	}
	sw->running = true;
	sw->now = MAX(now, sw->now);
	for (;;) {
		struct net_port *p;

		sw->passages++;
		if (unlikely(sw->flushes))
			flush_those(sw);
		p = net_turn_choose(sw, next);
		more = p && budget == 0;
		if (p && !more) {
			budget -= MIN(budget, serve(sw, p, budget));
			continue;
		}
		if (unlikely(sw->flushes))
			continue; /* of a port that was passed already */
		if (!has_news(sw))
			break;
		spin_unlock(&sw->lock);
		tell(sw);
		spin_lock(&sw->lock);
		/* Somebody may have sent meanwhile. */
	}
	says_turn(sw, NULL);
	sw->running = false;
	spin_unlock(&sw->lock);
	return more;
}
