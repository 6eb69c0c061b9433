/* SPDX-License-Identifier: Apache-2.0 */
/* Private to ring/: the parts of the switch. The lock is held for all of them. */
#pragma once

#include "net.h"

/* switch_table.c: which port has an address. */
struct net_port *net_table_find(struct net_switch *sw, const u8 *address, u64 now);
void net_table_learn(struct net_switch *sw, struct net_port *p, const u8 *address, u64 now);
/* The port's own. ERR_EXIST, ERR_NOMEM. */
int net_table_fix(struct net_switch *sw, struct net_port *p);
void net_table_forget(struct net_switch *sw, const struct net_port *p);

/* switch_filter.c: what a header says, as far as `have` bytes go. */
struct net_headline {
	u16 ethertype;
	u8 protocol;
	u32 source, target;
	u32 port; /* destination; ~0: none */
	bool ipv4;
};
struct net_headline net_parse(const u8 *header, u32 have);
/* Whether the port's rules let it pass. */
bool net_passes(const struct net_port *p, const struct net_headline *h, bool incoming);
