/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device: which pair of queues a flow belongs to (virtio 1.2, 5.1.6.5.5): the one that the
 * driver has last sent it from; before it has, any. A flow is known by a hash of both ends, the same in both
 * directions; frames that are neither TCP nor UDP are all one. What is hashed is the guest's and may change:
 * nothing but the pair depends on it. */
#include "virtio_net_internal.h"

#define HEADER 64u
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

static u32 words(const u8 *p, unsigned n)
{
	u32 sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum ^= (u32)p[4 * i] << 24 | (u32)p[4 * i + 1] << 16 | (u32)p[4 * i + 2] << 8 | p[4 * i + 3];
	return sum;
}

static u32 hash(const u8 *h, u32 bytes)
{
	u32 type, ip = 14, ports, mix;

	if (bytes < 38)
		return 0;
	type = (u32)h[12] << 8 | h[13];
	if (type == 0x0800 && (h[ip + 9] == PROTOCOL_TCP || h[ip + 9] == PROTOCOL_UDP) &&
	    !((h[ip + 6] & 0x3f) | h[ip + 7])) {
		ports = ip + (h[ip] & 15) * 4u;
		mix = words(h + ip + 12, 2);
	} else if (type == 0x86dd && bytes >= 58 &&
		   (h[ip + 6] == PROTOCOL_TCP || h[ip + 6] == PROTOCOL_UDP)) {
		ports = ip + 40;
		mix = words(h + ip + 8, 8);
	} else {
		return 0;
	}
	if (ports + 4 > bytes)
		return 0;
	/* Both ports, whichever comes first. */
	mix ^= ((u32)h[ports] << 8 | h[ports + 1]) ^ ((u32)h[ports + 2] << 8 | h[ports + 3]);
	mix *= 0x9e3779b1u;
	mix ^= mix >> 16;
	return mix % FLOWS;
}

void net_flow_sent(struct net_pair *p, const struct net_frame *f)
{
	u8 header[HEADER];
	u32 bytes = 0;

	for (u32 i = 0; i < f->nr_pieces && bytes < HEADER; i++) {
		u32 part = MIN(HEADER - bytes, f->pieces[i].length);

		memcpy(header + bytes, f->pieces[i].base, part);
		bytes += part;
	}
	__atomic_store_n(&p->net->flow[hash(header, bytes)], (u8)(p->index + 1), __ATOMIC_RELAXED);
}

struct net_pair *net_flow_pair(struct virtio_net *n, const u8 *header, u32 bytes)
{
	u32 pairs = net_pairs(n), h, known;

	if (pairs == 1)
		return n->pair;
	h = hash(header, bytes);
	known = __atomic_load_n(&n->flow[h], __ATOMIC_RELAXED);
	return &n->pair[known && known <= pairs ? known - 1 : h % pairs];
}
