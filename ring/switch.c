/* SPDX-License-Identifier: Apache-2.0 */
/* The switch: whose turn it is, where the frame goes, and the copy. The CPU that has set `running` is alone;
 * the lock guards what senders and those who come and go change, and is not held while frames are copied
 * or anybody is called. */
#include "switch.h"

#define SECOND_NS 1000000000u

void net_switch_init(struct net_switch *sw, u64 secret, u64 max_age)
{
	memset(sw, 0, sizeof(*sw));
	sw->secret = (secret + 1) * 0x9e3779b97f4a7c15u | 1; /* as random as it was */
	sw->max_age = max_age;
	list_init(&sw->turns);
	net_table_init(sw);
}

int net_port_init(struct net_port *p, struct net_switch *sw, const struct net_port_ops *ops,
		  const u8 address[NET_ADDRESS], u32 flags)
{
	int err = ERR_NOMEM;

	if (address[0] & 1 || flags & ~NET_ANTI_SPOOF)
		return ERR_INVAL;
	memset(p, 0, sizeof(*p));
	p->ops = ops;
	p->sw = sw;
	p->flags = flags;
	memcpy(p->address, address, NET_ADDRESS);
	p->number = net_address(address);
	list_init(&p->queue);
	list_init(&p->turn);
	spin_lock(&sw->lock);
	while (p->index < NET_PORTS && sw->ports[p->index])
		p->index++;
	if (p->index < NET_PORTS)
		err = net_table_fix(sw, p);
	if (!err)
		__atomic_store_n(&sw->ports[p->index], p, __ATOMIC_RELEASE);
	spin_unlock(&sw->lock);
	return err;
}

int net_port_close(struct net_port *p)
{
	struct net_switch *sw = p->sw;
	int err = ERR_AGAIN;

	spin_lock(&sw->lock);
	if (list_empty(&p->queue)) {
		if (!p->closing) { /* from here on nobody finds it */
			net_table_forget(sw, p);
			__atomic_store_n(&sw->ports[p->index], NULL, __ATOMIC_RELAXED);
			p->closing = true;
			p->last_passage = sw->passages;
		}
		/* The frame that was under way then may be for it, or its own. */
		err = sw->running && sw->passages == p->last_passage ? ERR_AGAIN : 0;
	}
	spin_unlock(&sw->lock);
	return err;
}

int net_port_readdress(struct net_port *p, const u8 address[NET_ADDRESS])
{
	int err;

	if (address[0] & 1)
		return ERR_INVAL;
	spin_lock(&p->sw->lock);
	err = net_table_move(p->sw, p, address);
	spin_unlock(&p->sw->lock);
	return err;
}

int net_port_filter(struct net_port *p, const struct net_rule *rules, unsigned nr)
{
	int err = ERR_AGAIN;

	spin_lock(&p->sw->lock);
	if (!p->sw->running) {
		p->rules = rules;
		p->nr_rules = nr;
		err = 0;
	}
	spin_unlock(&p->sw->lock);
	return err;
}

void net_port_limit(struct net_port *p, u64 rate, u64 burst)
{
	spin_lock(&p->sw->lock);
	p->rate = rate;
	p->burst = rate ? mul_div(burst, SECOND_NS, rate) : 0;
	spin_unlock(&p->sw->lock);
}

struct net_meters net_port_meters(struct net_port *p)
{
	struct net_meters m;

	spin_lock(&p->sw->lock);
	m = p->meters;
	spin_unlock(&p->sw->lock);
	return m;
}

void net_send(struct net_port *p, struct net_frame *f)
{
	struct net_switch *sw = p->sw;

	spin_lock(&sw->lock);
	list_insert(&p->queue, &f->link);
	if (list_empty(&p->turn))
		list_insert(&sw->turns, &p->turn);
	spin_unlock(&sw->lock);
}

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
static bool read_header(struct passage *w)
{
	struct net_frame *f = w->frame;
	u32 most = unlikely(f->offload.cut) ? NET_HEADER_CUT : NET_HEADER, n = MIN(f->length, most);

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

static void begin(struct passage *w, struct net_port *from, struct net_frame *f)
{
	w->from = from;
	w->frame = f;
	w->target = NULL;
	w->cuts = 0;
	w->parsed = w->dropped = w->delivered = false;
}

/* May it leave, and where to? The lock is held. */
static void decide(struct net_switch *sw, struct passage *w, u64 now)
{
	struct net_port *p = w->from;
	u64 source;

	w->dropped = true;
	if (!read_header(w) || w->header[NET_ADDRESS] & 1) {
		p->meters.tx_bad++;
		return;
	}
	source = net_address(w->header + NET_ADDRESS);
	if (p->flags & NET_ANTI_SPOOF && source != p->number) {
		p->meters.tx_spoofed++;
	} else if (p->nr_rules && !net_passes(p, headline(w), false)) {
		p->meters.tx_filtered++;
	} else {
		w->dropped = false;
		p->meters.tx_frames++;
		p->meters.tx_bytes += w->frame->length;
		p->meters.tx_copied += w->header_piece.length;
		if (source != p->number)
			net_table_learn(sw, p, source, now);
		w->target =
		    net_table_find(sw, net_address(w->header), now); /* never has an address of a group */
	}
}

/* What a frame costs its sender; one that is none, too. */
static u64 price(const struct net_frame *f)
{
	return MAX(MIN(f->length, (u32)NET_FRAME_MAX), (u32)NET_PRICE_MIN);
}

/* Who is alone need not count turns; when somebody comes, it has had its own. */
static struct net_port *alone(struct net_switch *sw, struct net_port *p)
{
	u64 needed = price(list_entry(p->queue.next, struct net_frame, link));

	sw->steps++;
	p->at_turn = true;
	p->deficit = MAX(p->deficit, needed);
	return p;
}

/* The next sender: of those that may send now, in turn. NULL: none; *next then says when one may. */
static struct net_port *choose(struct net_switch *sw, u64 now, u64 *next)
{
	struct net_port *first = NULL; /* since it, all have to wait for their rate */
	u64 waits = ~(u64)0;

	if (likely(sw->turns.next == sw->turns.prev && !list_empty(&sw->turns))) {
		struct net_port *p = list_entry(sw->turns.next, struct net_port, turn);
		if (likely(!p->rate))
			return alone(sw, p);
	}
	while (!list_empty(&sw->turns)) {
		struct net_port *p = list_entry(sw->turns.next, struct net_port, turn);
		struct net_frame *f = list_entry(p->queue.next, struct net_frame, link);

		sw->steps++;
		if (p == first)
			break;
		if (p->rate && p->free_at > now + p->burst) {
			waits = MIN(waits, p->free_at - p->burst);
			first = first ? first : p;
			p->deficit = p->at_turn ? 0 : p->deficit;
		} else {
			if (!p->at_turn)
				p->deficit += NET_QUANTUM;
			p->at_turn = true;
			if (p->deficit >= price(f))
				return p;
			first = NULL;
		}
		p->at_turn = false;
		list_remove(&p->turn);
		list_insert(&sw->turns, &p->turn);
	}
	*next = waits;
	return NULL;
}

/* The first of a port's queue. */
static struct net_frame *unqueue(struct net_port *p)
{
	struct net_frame *f = list_entry(p->queue.next, struct net_frame, link);

	list_remove(&f->link);
	if (list_empty(&p->queue)) {
		/* What is not used is lost: nobody saves up for later. */
		p->deficit = 0;
		p->at_turn = false;
		list_remove(&p->turn);
	}
	return f;
}

static struct net_frame *take(struct net_port *p, u64 now)
{
	struct net_frame *f = list_entry(p->queue.next, struct net_frame, link);

	p->deficit -= price(f);
	if (p->rate)
		p->free_at = MAX(p->free_at, now) + mul_div(f->length, SECOND_NS, p->rate);
	return unqueue(p);
}

void net_port_flush(struct net_port *p)
{
	struct net_frame *f;

	do {
		spin_lock(&p->sw->lock);
		f = list_empty(&p->queue) ? NULL : unqueue(p);
		spin_unlock(&p->sw->lock);
		if (f) {
			f->receiver = NULL;
			f->complete(f, false);
		}
	} while (f);
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

/* To how many ports it went or would have gone. */
static unsigned forward(struct net_switch *sw, struct passage *w)
{
	unsigned ports = 1;

	if (likely(!w->dropped && w->target)) {
		if (w->target != w->from)
			deliver(w, w->target);
	} else if (!w->dropped) {
		ports += deliver_all(sw, w);
	}
	w->frame->receiver = w->target;
	w->frame->complete(w->frame, w->delivered);
	return ports + w->cuts;
}

/* Those that have received, each once. */
static void tell(struct net_switch *sw)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sw->received); i++)
		while (sw->received[i]) {
			unsigned at = i * 64 + (unsigned)__builtin_ctzll(sw->received[i]);
			struct net_port *p = __atomic_load_n(&sw->ports[at], __ATOMIC_ACQUIRE);

			sw->received[i] &= sw->received[i] - 1;
			if (p && p->ops->ready) /* it may have left, and another one have come */
				p->ops->ready(p);
		}
}

static bool has_received(const struct net_switch *sw)
{
	u64 any = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(sw->received); i++)
		any |= sw->received[i];
	return any;
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
	sw->now = now = MAX(now, sw->now);
	for (;;) {
		sw->passages++;
		struct net_port *p = choose(sw, now, next);

		more = p && budget == 0;
		if (!p || more) {
			if (!has_received(sw))
				break;
			spin_unlock(&sw->lock);
			tell(sw);
			spin_lock(&sw->lock);
			continue; /* somebody may have sent meanwhile */
		}
		if (unlikely(p->ops->forwards))
			p->ops->forwards(p);
		struct passage w; /* larger than what of it most frames need */
		begin(&w, p, take(p, now));
		decide(sw, &w, now);
		spin_unlock(&sw->lock);
		budget -= MIN(budget, forward(sw, &w));
		spin_lock(&sw->lock);
	}
	sw->running = false;
	spin_unlock(&sw->lock);
	return more;
}
