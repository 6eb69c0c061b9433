/* SPDX-License-Identifier: Apache-2.0 */
/* As much of the Internet as a bare guest needs to reach one other machine on its network: ARP (RFC 826),
 * IPv4 without fragments (RFC 791), echo (RFC 792), and TCP (RFC 9293) as the side that calls: one connection
 * at a time, go-back-N, no options but the segment size. All checksums are made and checked here, by
 * instructions. Addresses are in the order of the host. */
#pragma once

#include "../net/net.h"

/* Asks for the other's address on the network. Interrupts are off, apic_init() has chosen x2APIC mode. */
bool ip_open(const struct net_driver *net, const u8 mac[6], u32 own, u32 other);
/* An echo of so many bytes, at most 1472, there and back as it was. False: none in the time that it may take.
 */
bool ip_echo(u32 bytes);

bool tcp_open(u16 port);
/* False: the connection has broken. */
bool tcp_send(const void *data, u32 bytes);
/* Bytes received, at least one; 0: the other side has ended, or the connection has broken. */
u32 tcp_receive(void *data, u32 most);
/* No more is sent: returns when the other side knows. */
bool tcp_end(void);

struct tcp_counts {
	u32 sent, received, again, wrong; /* segments; times gone back; frames with a wrong checksum */
	u64 asleep;                       /* ticks of the TSC */
};
extern struct tcp_counts tcp_counts;
