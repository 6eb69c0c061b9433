/* SPDX-License-Identifier: Apache-2.0 */
/* Between a bridge and the network card: a frame for outside is copied once, into the card's memory, and one
 * that comes lies there until the bridge has copied it to who it is for. */
#include "uplink.h"

#include "host.h"
#include "log.h"
#include "nic.h"

struct uplink {
	struct net_port port;
	struct bridge *bridge;
	struct piece pieces[NIC_SLOTS];
	struct net_frame frames[NIC_SLOTS]; /* from outside, by the card's slots */
};
static struct uplink *uplink;

/* ---- to the outside; one CPU runs the switch ---- */

static unsigned room(struct net_port *p, u32 length, struct piece *pieces)
{
	u8 *base = length <= NIC_FRAME_MAX + NIC_VLAN ? nic_room() : NULL;

	(void)p;
	if (!base)
		return 0;
	pieces[0] = (struct piece){base, NIC_FRAME_MAX + NIC_VLAN};
	return 1;
}

static void received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)o; /* it takes nothing that is not done */
	nic_send(length);
}

static void ready(struct net_port *p)
{
	(void)p;
	nic_flush();
}

static const struct net_port_ops ops = {.room = room, .received = received, .ready = ready};

/* ---- from outside ---- */

static void frame_done(struct net_frame *f, bool delivered)
{
	(void)delivered;
	nic_give_back((unsigned)(f - uplink->frames));
}

static void frame_came(void *opaque, unsigned slot, u8 *frame, u32 length)
{
	struct uplink *u = opaque;
	struct net_frame *f = &u->frames[slot];

	u->pieces[slot] = (struct piece){frame, length};
	*f = (struct net_frame){
	    .pieces = &u->pieces[slot], .nr_pieces = 1, .length = length, .complete = frame_done};
	list_init(&f->link);
	net_send(&u->port, f);
}

static void frames_came(void *opaque)
{
	struct uplink *u = opaque;

	bridge_run(u->bridge, NULL);
}

bool uplink_join(struct bridge *b)
{
	struct bridge_nic nic = {.bridge = b};
	int rc;

	if (uplink)
		return false;
	uplink = heap_alloc(sizeof(*uplink));
	if (!uplink) {
		log_error("no memory for the network card");
		return false;
	}
	uplink->bridge = b;
	rc = nic_open(&(struct nic_user){frame_came, frames_came, uplink}, nic.address);
	if (rc) {
		heap_free(uplink);
		uplink = NULL;
		return false;
	}
	/* From here on the card is taken, whatever comes. */
	rc = bridge_join(&nic, &uplink->port, &ops);
	if (rc)
		log_error("the network card's address is none that a bridge takes");
	return !rc && !nic_start();
}

u64 uplink_usage(void)
{
	return heap_size(uplink);
}
