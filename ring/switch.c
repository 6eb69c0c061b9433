/* SPDX-License-Identifier: Apache-2.0 */
/* The switch: its ports, and what senders do. The CPU that has set `running` is alone (switch_run.c); the
 * lock guards what senders and those who come and go change. */
#include "switch.h"

void net_switch_init(struct net_switch *sw, u64 secret, u64 max_age)
{
	memset(sw, 0, sizeof(*sw));
	sw->secret = (secret + 1) * 0x9e3779b97f4a7c15u | 1; /* as random as it was */
	sw->max_age = max_age;
	list_init(&sw->senders);
	sw->gen = 1;
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
	if (!err) {
		net_table_changed(sw);
		__atomic_store_n(&sw->ports[p->index], p, __ATOMIC_RELEASE);
	}
	spin_unlock(&sw->lock);
	return err;
}

int net_port_close(struct net_port *p)
{
	struct net_switch *sw = p->sw;
	int err = ERR_AGAIN;

	spin_lock(&sw->lock);
	/* Its last frame, and who pays for it, are the switch's until another one's turn. */
	if (list_empty(&p->queue) && sw->at != p && p->taken_head == p->taken_tail) {
		if (!p->closing) { /* from here on nobody finds it */
			list_remove(&p->turn);
			sw->rules -= p->nr_rules;
			sw->flushes -= p->flushes;
			p->flushes = false;
			net_table_forget(sw, p);
			net_table_changed(sw);
			__atomic_store_n(&sw->ports[p->index], NULL, __ATOMIC_RELAXED);
			p->closing = true;
			p->last_passage = sw->passages;
		}
		/* The frame that was under way then may be for it. */
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
	net_table_changed(p->sw);
	spin_unlock(&p->sw->lock);
	return err;
}

int net_port_filter(struct net_port *p, const struct net_rule *rules, unsigned nr)
{
	int err = ERR_AGAIN;

	spin_lock(&p->sw->lock);
	if (!p->sw->running) {
		p->sw->rules += nr - p->nr_rules;
		p->rules = rules;
		p->nr_rules = nr;
		net_table_changed(p->sw);
		err = 0;
	}
	spin_unlock(&p->sw->lock);
	return err;
}

void net_port_limit(struct net_port *p, u64 rate, u64 burst)
{
	spin_lock(&p->sw->lock);
	p->rate = rate;
	p->burst = rate ? mul_div(burst, NET_SECOND_NS, rate) : 0;
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

/* With the lock. */
static void has_frames(struct net_switch *sw, struct net_port *p)
{
	p->woken = true;
	if (list_empty(&p->turn) && !p->closing)
		list_insert(&sw->senders, &p->turn);
}

void net_send(struct net_port *p, struct net_frame *f)
{
	spin_lock(&p->sw->lock);
	list_insert(&p->queue, &f->link);
	has_frames(p->sw, p);
	spin_unlock(&p->sw->lock);
}

void net_port_wake(struct net_port *p)
{
	spin_lock(&p->sw->lock);
	has_frames(p->sw, p);
	spin_unlock(&p->sw->lock);
}

void net_port_flush(struct net_port *p)
{
	spin_lock(&p->sw->lock);
	if (!p->closing) { /* else it has nothing any more, and nobody would look */
		p->sw->flushes += !p->flushes;
		p->flushes = true;
	}
	spin_unlock(&p->sw->lock);
}
