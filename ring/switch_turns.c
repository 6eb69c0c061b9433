/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn it is: deficit round robin over the senders, in which one may go on a little too long and pays
 * for that with its next turns; rates; and those that have to rest. */
#include "switch.h"

/* For its rate, for a receiver, or for what its owner says; 0: it does not. */
static inline u64 waits_until(struct net_switch *sw, const struct net_port *p)
{
	u64 until = p->rate && p->free_at > sw->now + p->burst ? p->free_at - p->burst : 0;

	if (unlikely(p->held_until > sw->now))
		until = MAX(until, p->held_until);
	return unlikely(p->may_rest) ? MAX(until, sw->rests(sw, p)) : until;
}

struct net_port *net_turn_choose(struct net_switch *sw, u64 *next)
{
	struct net_port *first = NULL; /* since it, all have to wait */
	u64 waits = ~(u64)0, until;

	while (!list_empty(&sw->senders)) {
		struct net_port *p = list_entry(sw->senders.next, struct net_port, turn);

		sw->steps++;
		if (p == first)
			break;
		until = waits_until(sw, p);
		if (until) {
			waits = MIN(waits, until);
			first = first ? first : p;
			p->deficit = p->at_turn ? MIN(p->deficit, 0) : p->deficit;
		} else {
			if (!p->at_turn)
				p->deficit += NET_QUANTUM;
			p->at_turn = true;
			if (p->deficit > 0)
				return p;
			first = NULL;
		}
		p->at_turn = false;
		list_remove(&p->turn);
		list_insert(&sw->senders, &p->turn);
	}
	*next = waits;
	return NULL;
}

u64 net_turn_allowance(const struct net_switch *sw, const struct net_port *p, bool alone)
{
	u64 bytes = alone ? (u64)NET_BATCH * NET_QUANTUM : (u64)p->deficit, free;

	if (likely(!p->rate))
		return bytes;
	free = sw->now + p->burst - MIN(p->free_at, sw->now + p->burst);
	return MIN(bytes, MAX(mul_div(free, p->rate, NET_SECOND_NS), 1u));
}

void net_turn_end(struct net_switch *sw, struct net_port *p, bool alone, u64 sent, bool empty)
{
	p->deficit = alone ? 0 : p->deficit - (i64)sent;
	if (p->rate)
		p->free_at = MAX(p->free_at, sw->now) + mul_div(sent, NET_SECOND_NS, p->rate);
	if (net_has_taken(p) || (p->deficit > 0 && !empty))
		return;
	p->at_turn = false;
	list_remove(&p->turn);
	if (!empty || p->woken || !list_empty(&p->queue))
		list_insert(&sw->senders, &p->turn);
	else
		p->deficit = MIN(p->deficit, 0);
}
