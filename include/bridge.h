/* SPDX-License-Identifier: Apache-2.0 */
/* A switch with its clock (owner: devices/): network interfaces of PCs are ports of it, and what it could not
 * forward at one go it forwards later. Whose frames are forwarded pays, whichever CPU does it; and on a CPU
 * where others want to run he has no more than his share for it (sched_go_on()). */
#pragma once

#include "net.h"
#include "sched.h"

struct bridge_time {
	u64 since, charged; /* TSC ticks */
};

struct bridge {
	struct net_switch sw;
	struct spinlock lock; /* what follows */
	struct timer later;
	u64 at;      /* when it fires, in nanoseconds, ~0: never */
	u64 charged; /* ticks, by its ports; atomic */
	/* The CPU that runs the switch alone: whose payer pays for what it does, NULL: nobody has said, and
	 * since when. */
	struct net_port *sender;
	struct bridge_time turn;
};

/* What an interface asks of its bridge; see net_port_init() and net_port_limit(). */
struct bridge_nic {
	struct bridge *bridge; /* outlives the interface */
	u8 address[NET_ADDRESS];
	u32 flags;                    /* NET_ANTI_SPOOF */
	u64 rate;                     /* bytes per second, 0: any */
	const struct net_rule *rules; /* see net_port_filter(); they stay as long as the interface */
	unsigned nr_rules;
	struct sched_group *payer; /* for its frames, and those from outside that it receives; NULL: nobody */
};

void bridge_init(struct bridge *b, u64 secret);
/* It has no ports any more. */
void bridge_fini(struct bridge *b);

/* As net_port_init(). */
int bridge_join(const struct bridge_nic *nic, struct net_port *p, const struct net_port_ops *ops);
/* Its frames come back, delivered or not, and nobody calls its operations any more. The caller holds no lock
 * that those take, and its interface sends nothing more. */
void bridge_leave(struct bridge *b, struct net_port *p);

/* Whoever has sent, or woken a port, calls it. Holding no lock that a port's operations or a frame's
 * complete() take. */
void bridge_run(struct bridge *b);
/* See net_port_flush(); the same holds. Another CPU may be at it still. */
void bridge_flush(struct bridge *b, struct net_port *p);

/* A port's operation has cost that many ticks on behalf of its own VM, whoever the sender was. */
void bridge_charge(struct bridge *b, struct sched_group *g, u64 ticks);
/* A timer that nobody pays for has run the switch: since then, but for what bridge_charge() took, on behalf
 * of g. How many ticks that was: sched_go_on() knows the others. Before: */
struct bridge_time bridge_time(const struct bridge *b);
u64 bridge_pay(const struct bridge *b, struct sched_group *g, struct bridge_time t);
/* The same within a time for which somebody else pays: as bridge_charge(). */
void bridge_pay_part(struct bridge *b, struct sched_group *g, struct bridge_time t);
