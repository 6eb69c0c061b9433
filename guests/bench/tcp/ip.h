/* SPDX-License-Identifier: Apache-2.0 */
/* What TCP and the rest have of each other. A frame has its headers of Ethernet and IPv4, 34 bytes, in front.
 */
#pragma once

#include "tcp.h"

#define IP_AT 14u
#define TCP_AT 34u
#define PROTOCOL_TCP 6
#define PATIENCE ((u64)50000000) /* ticks of the TSC: then it goes back, */
#define TRIES 20u                /* so often */

extern u32 ip_own, ip_other;

/* ---- bytes ---- */
static inline void put16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static inline void put32(u8 *p, u32 v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline u32 get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static inline u32 get32(const u8 *p)
{
	return get16(p) << 16 | get16(p + 2);
}

/* The ones' complement sum (RFC 1071) in the order of memory, of 16 bits, with s in it. */
u64 ip_sum(u64 s, const u8 *p, u32 bytes);
void ip_put_sum(u8 *p, u64 s);
u8 *ip_frame(void);
/* f has its data behind the header of IPv4, which is filled in. It leaves with ip_kick() at the latest. */
void ip_send(u8 *f, u8 protocol, u32 bytes);
void ip_kick(void);
/* All that has come; where that was nothing, it waits a little for more. */
void ip_serve(void);

bool tcp_begin(void);
/* A datagram for us whose header is right, and the bytes behind that. */
void tcp_take(const u8 *f, u32 bytes);
/* Nothing has come: what was not yet acknowledged is. */
void tcp_idle(void);
