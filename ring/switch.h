/* SPDX-License-Identifier: Apache-2.0 */
/* Private to ring/: the parts of the switch. The lock is held for all of them. */
#pragma once

#include "net.h"

#define NET_SECOND_NS 1000000000u
#define NET_BEGINS 16u         /* bytes of a frame, the addresses among them */
#define NET_BUDGET_BYTES 8192u /* of a frame that count as another one */

/* switch_table.c: which port has an address; those are as of net_address(). */
void net_table_init(struct net_switch *sw);
struct net_port *net_table_find(struct net_switch *sw, u64 address, u64 now);
void net_table_learn(struct net_switch *sw, struct net_port *p, u64 address, u64 now);
/* The port's own. ERR_EXIST, ERR_NOMEM. */
int net_table_fix(struct net_switch *sw, struct net_port *p);
void net_table_forget(struct net_switch *sw, const struct net_port *p);
/* Another address for the port; errors as of net_table_fix(), then it has the old one. */
int net_table_move(struct net_switch *sw, struct net_port *p, const u8 *address);
/* What was found before may not be so any more. */
static inline void net_table_changed(struct net_switch *sw)
{
	__atomic_fetch_add(&sw->gen, 1, __ATOMIC_RELEASE);
}

/* switch_filter.c: what a header says, as far as `have` bytes go. */
struct net_headline {
	u16 ethertype;
	u8 protocol;
	u32 source, target;
	u32 port; /* destination; ~0: none */
	bool ipv4;
	bool hidden; /* the headers end beyond what there is of them */
};
struct net_headline net_parse(const u8 *header, u32 have);
/* Whether the port's rules let it pass. */
bool net_passes(const struct net_port *p, const struct net_headline *h, bool incoming);

/* switch_copy.c: bytes from one place to another, both in pieces. */
struct net_cursor {
	const struct piece *piece;
	u32 left; /* pieces */
	u32 done; /* of the first */
};
/* Of NET_HEADER bytes: moves, which are fewer than a call takes. */
static inline void net_copy_header(void *to, const void *from)
{
	__builtin_memcpy(to, from, NET_HEADER);
}
/* How many were copied: fewer where one of the places ends. */
u32 net_copy(struct net_cursor *to, struct net_cursor *from, u32 length);
void net_skip(struct net_cursor *c, u32 length);
/* The Internet checksum (RFC 1071) of the next length bytes, not inverted, in the order of memory. */
u16 net_sum(struct net_cursor from, u32 length);

/* A frame on its way through. */
struct passage {
	struct net_port *from;
	struct net_frame *frame;
	struct net_port *target; /* NULL: everybody else */
	struct piece header_piece;
	unsigned cuts; /* made so far, for all receivers */
	bool parsed, dropped, delivered, held;
	/* target is right for these, as long as the switch's generation is that. */
	bool known;
	u64 gen;
	u64 source, address;
	/* Frames that begin with these 12 bytes go to nobody but target, and nothing else is to be asked. */
	bool plain;
	u64 begins[2];
	u64 frames, bytes;        /* such ones, of this turn, that the meters do not have yet */
	struct net_headline line; /* when it is parsed */
	struct net_tcp {          /* of a frame to be cut */
		u32 kind;         /* which NET_TAKES_ */
		u32 ip, payload;  /* where they begin */
	} tcp;
	u8 header[NET_HEADER_CUT];
};

/* switch_offload.c */
/* Whether what the sender has left for later can be done; net_offload_valid() where it has left anything. */
bool net_offload_valid(struct passage *w);
static inline bool net_offload_ok(struct passage *w)
{
	const struct net_offload *o = &w->frame->offload;

	return likely(!o->from) ? !o->cut : net_offload_valid(w);
}
/* In one; sum: it takes a frame without a checksum. */
void net_deliver_whole(struct passage *w, struct net_port *to, bool sum);
/* In segments, each complete. */
void net_deliver_cut(struct passage *w, struct net_port *to);

/* ---- switch_turns.c; with the lock ---- */
static inline bool net_has_taken(const struct net_port *p)
{
	return p->taken_head != p->taken_tail;
}

/* What a frame costs its sender; one that is none, too. */
static inline u64 net_price(const struct net_frame *f)
{
	return MAX(MIN(f->length, (u32)NET_FRAME_MAX), (u32)NET_PRICE_MIN);
}
/* The next sender: of those that may send now, in turn. NULL: none; *next then says when one may, ~0: never.
 */
struct net_port *net_turn_choose(struct net_switch *sw, u64 *next);
/* Bytes that it may send now. Who is alone need not count turns. */
u64 net_turn_allowance(const struct net_switch *sw, const struct net_port *p, bool alone);
/* It has sent so many bytes; empty: and had no more. Nobody saves up for later what is not used. */
void net_turn_end(struct net_switch *sw, struct net_port *p, bool alone, u64 sent, bool empty);
