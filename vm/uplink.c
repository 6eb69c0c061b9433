/* SPDX-License-Identifier: Apache-2.0 */
/* Between a bridge and the network card: a frame for outside is copied once, into the card's memory, and one
 * that comes lies there until the bridge has copied it to who it is for, at his expense: whichever CPU does
 * so. */
#include "uplink.h"

#include "host.h"
#include "log.h"
#include "nic.h"

struct uplink {
	struct net_port port;
	struct bridge *bridge;
	bool came;                    /* frames that the bridge has not been told of */
	struct bridge_time interrupt; /* when the first of them came */
	struct bridge_time turn;      /* when the bridge began with the one that it is at */
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

static bool full(struct net_port *p)
{
	(void)p;
	return nic_is_full();
}

static void forwards(struct net_port *p)
{
	struct uplink *u = container_of(p, struct uplink, port);

	u->turn = bridge_time(u->bridge);
}

static const struct net_port_ops ops = {
    .room = room, .received = received, .ready = ready, .full = full, .forwards = forwards};

/* ---- from outside ---- */

static void frame_done(struct net_frame *f, bool delivered)
{
	struct uplink *u = uplink;

	(void)delivered;
	nic_give_back((unsigned)(f - u->frames));
	bridge_pay_part(u->bridge, f->receiver ? f->receiver->payer : NULL, u->turn);
}

static void frame_came(void *opaque, unsigned slot, u8 *frame, u32 length)
{
	struct uplink *u = opaque;
	struct net_frame *f = &u->frames[slot];

	if (!u->came)
		u->interrupt = bridge_time(u->bridge);
	u->came = true;
	u->pieces[slot] = (struct piece){frame, length};
	*f = (struct net_frame){
	    .pieces = &u->pieces[slot], .nr_pieces = 1, .length = length, .complete = frame_done};
	list_init(&f->link);
	net_send(&u->port, f);
}

static void frames_came(void *opaque)
{
	struct uplink *u = opaque;

	u->came = false;
	bridge_run(u->bridge);
	/* What was no frame's: the hypervisor's, and not the interrupted VM's. */
	bridge_pay(u->bridge, NULL, u->interrupt);
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
