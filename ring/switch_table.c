/* SPDX-License-Identifier: Apache-2.0 */
/* Learned addresses: each may stand in NET_WAYS places, so that a look-up costs the same however many ports
 * and addresses there are. */
#include "switch.h"

#define BUCKETS (NET_ENTRIES / NET_WAYS)
#define BUCKET_BITS (unsigned)__builtin_ctz(BUCKETS)

/* Multiplication by a random odd number: the upper bits of the product are alike for two addresses as seldom
 * as for two random numbers, nearly, whoever has chosen them. */
static struct net_entry *places(struct net_switch *sw, u64 address)
{
	return &sw->entries[(address * sw->secret) >> (64 - BUCKET_BITS) << __builtin_ctz(NET_WAYS)];
}

static bool alive(const struct net_switch *sw, const struct net_entry *e, u64 now)
{
	return e->address != NET_UNUSED && (e->fixed || now - e->seen <= sw->max_age);
}

static struct net_entry *find(struct net_switch *sw, u64 address)
{
	struct net_entry *e = places(sw, address);

	for (unsigned i = 0; i < NET_WAYS; i++, e++) {
		sw->steps++;
		if (e->address == address)
			return e;
	}
	return NULL;
}

void net_table_init(struct net_switch *sw)
{
	for (unsigned i = 0; i < NET_ENTRIES; i++)
		sw->entries[i].address = NET_UNUSED;
}

struct net_port *net_table_find(struct net_switch *sw, u64 address, u64 now)
{
	struct net_entry *e = find(sw, address);

	return e && alive(sw, e, now) ? sw->ports[e->port] : NULL;
}

static void drop(struct net_switch *sw, struct net_entry *e)
{
	if (!e->fixed)
		sw->ports[e->port]->learned--;
	e->address = NET_UNUSED;
}

static void set(struct net_entry *e, const struct net_port *p, u64 address, u64 now)
{
	e->address = address;
	e->port = (u8)p->index;
	e->fixed = false;
	e->seen = now;
}

/* A place that nobody's living address has; else the port's own oldest; NULL: none. Somebody else's address
 * is not driven out, or a guest could have his frames sent to everybody. */
static struct net_entry *place_for(struct net_switch *sw, const struct net_port *p, u64 address, u64 now)
{
	struct net_entry *e = places(sw, address), *own = NULL;

	for (unsigned i = 0; i < NET_WAYS; i++, e++) {
		if (!alive(sw, e, now))
			return e;
		if (!e->fixed && e->port == p->index && (!own || e->seen < own->seen))
			own = e;
	}
	return own;
}

void net_table_learn(struct net_switch *sw, struct net_port *p, u64 address, u64 now)
{
	struct net_entry *e = find(sw, address);

	if (e && e->fixed)
		return;
	if (e && e->port == p->index) {
		e->seen = now;
		return;
	}
	if (p->learned >= NET_LEARN_MAX)
		return;
	if (!e)
		e = place_for(sw, p, address, now);
	if (!e)
		return;
	if (e->address != NET_UNUSED)
		drop(sw, e);
	set(e, p, address, now);
	p->learned++;
}

int net_table_fix(struct net_switch *sw, struct net_port *p)
{
	struct net_entry *e = find(sw, p->number), *at = places(sw, p->number);

	if (e && e->fixed)
		return ERR_EXIST;
	for (unsigned i = 0; !e && i < NET_WAYS; i++)
		if (at[i].address == NET_UNUSED || !at[i].fixed)
			e = &at[i];
	if (!e)
		return ERR_NOMEM;
	if (e->address != NET_UNUSED)
		drop(sw, e);
	set(e, p, p->number, 0);
	e->fixed = true;
	return 0;
}

void net_table_forget(struct net_switch *sw, const struct net_port *p)
{
	for (unsigned i = 0; i < NET_ENTRIES; i++)
		if (sw->entries[i].port == p->index)
			sw->entries[i].address = NET_UNUSED;
}

int net_table_move(struct net_switch *sw, struct net_port *p, const u8 *address)
{
	u64 old = p->number;
	int err;

	find(sw, old)->address = NET_UNUSED;
	p->number = net_address(address);
	err = net_table_fix(sw, p);
	if (err) {
		p->number = old;
		(void)net_table_fix(sw, p); /* its old place is free */
		return err;
	}
	memcpy(p->address, address, NET_ADDRESS);
	return 0;
}
