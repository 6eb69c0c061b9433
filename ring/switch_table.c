/* SPDX-License-Identifier: Apache-2.0 */
/* Learned addresses: each may stand in NET_WAYS places, so that a look-up costs the same however many ports
 * and addresses there are. */
#include "switch.h"

static struct net_entry *places(struct net_switch *sw, const u8 *address)
{
	u64 key = sw->secret;

	for (unsigned i = 0; i < NET_ADDRESS; i++)
		key = (key ^ address[i]) * 0x9e3779b97f4a7c15u;
	key ^= key >> 32;
	return &sw->entries[(key >> 8) % (NET_ENTRIES / NET_WAYS) * NET_WAYS];
}

static bool alive(const struct net_switch *sw, const struct net_entry *e, u64 now)
{
	return e->used && (e->fixed || now - e->seen <= sw->max_age);
}

static struct net_entry *find(struct net_switch *sw, const u8 *address)
{
	struct net_entry *e = places(sw, address);

	for (unsigned i = 0; i < NET_WAYS; i++, e++) {
		sw->steps++;
		if (e->used && memcmp(e->address, address, NET_ADDRESS) == 0)
			return e;
	}
	return NULL;
}

struct net_port *net_table_find(struct net_switch *sw, const u8 *address, u64 now)
{
	struct net_entry *e = find(sw, address);

	return e && alive(sw, e, now) ? sw->ports[e->port] : NULL;
}

static void drop(struct net_switch *sw, struct net_entry *e)
{
	if (!e->fixed)
		sw->ports[e->port]->learned--;
	e->used = false;
}

static void set(struct net_entry *e, const struct net_port *p, const u8 *address, u64 now)
{
	memcpy(e->address, address, NET_ADDRESS);
	e->port = (u8)p->index;
	e->used = true;
	e->fixed = false;
	e->seen = now;
}

/* A place that nobody's living address has; else the port's own oldest; NULL: none. Somebody else's address
 * is not driven out, or a guest could have his frames sent to everybody. */
static struct net_entry *place_for(struct net_switch *sw, const struct net_port *p, const u8 *address,
				   u64 now)
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

void net_table_learn(struct net_switch *sw, struct net_port *p, const u8 *address, u64 now)
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
	if (e->used)
		drop(sw, e);
	set(e, p, address, now);
	p->learned++;
}

int net_table_fix(struct net_switch *sw, struct net_port *p)
{
	struct net_entry *e = find(sw, p->address), *at = places(sw, p->address);

	if (e && e->fixed)
		return ERR_EXIST;
	for (unsigned i = 0; !e && i < NET_WAYS; i++)
		if (!at[i].used || !at[i].fixed)
			e = &at[i];
	if (!e)
		return ERR_NOMEM;
	if (e->used)
		drop(sw, e);
	set(e, p, p->address, 0);
	e->fixed = true;
	return 0;
}

void net_table_forget(struct net_switch *sw, const struct net_port *p)
{
	for (unsigned i = 0; i < NET_ENTRIES; i++)
		if (sw->entries[i].used && sw->entries[i].port == p->index)
			sw->entries[i].used = false;
}

int net_table_move(struct net_switch *sw, struct net_port *p, const u8 *address)
{
	u8 old[NET_ADDRESS];
	int err;

	memcpy(old, p->address, NET_ADDRESS);
	find(sw, old)->used = false;
	memcpy(p->address, address, NET_ADDRESS);
	err = net_table_fix(sw, p);
	if (!err)
		return 0;
	memcpy(p->address, old, NET_ADDRESS);
	(void)net_table_fix(sw, p); /* its old place is free */
	return err;
}
