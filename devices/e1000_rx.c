/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver of the 82540EM (3.2): the switch asks for room, which is the guest's own buffers, pinned,
 * copies the frame there, and says so; then the descriptors are written back. The guest may do anything in
 * between: when the ring has become another, what was copied is nowhere. */
#include "e1000_internal.h"

#include "checksum.h"

#define FRAME_LEAST 60u /* bytes without checksum: a line carries nothing shorter */
#define CHECKSUM_BYTES 4u
#define LENGTH_MAX 1518u       /* without LPE, without checksum */
#define LONG_LENGTH_MAX 16380u /* 13.4.22, LPE */
#define NULLS_MOST 8u          /* null descriptors in a row that one frame steps over */

static struct e1000 *of(struct net_port *p)
{
	return container_of(p, struct e1000, port);
}

/* ---- addresses: 13.5 ---- */
/* 13.5.1: twelve bits of the address' last two bytes choose a bit of MTA. */
static bool in_multicast_table(const struct e1000 *e, const u8 *target)
{
	static const u8 shifts[] = {4, 3, 2, 0};
	u32 bits =
	    (u32)(target[5] << 8 | target[4]) >> shifts[e->reg[E1000_RCTL] >> E1000_RCTL_MO_SHIFT & 3] &
	    0xfff;

	return e->reg[E1000_MTA + (bits >> 5)] >> (bits & 31) & 1;
}

static bool in_addresses(const struct e1000 *e, const u8 *target)
{
	u32 low = (u32)(target[0] | target[1] << 8 | target[2] << 16) | (u32)target[3] << 24;
	u32 high = (u32)(target[4] | target[5] << 8) | E1000_RAH_AV;

	for (u32 i = 0; i < E1000_RA_N; i += 2)
		/* 13.5.3: address select 0 is the destination; the rest is reserved here. */
		if (e->reg[E1000_RA + i] == low && e->reg[E1000_RA + i + 1] == high)
			return true;
	return false;
}

static bool is_broadcast(const u8 *target)
{
	return (target[0] & target[1] & target[2] & target[3] & target[4] & target[5]) == 0xff;
}

static bool wants(struct net_port *p, const u8 target[NET_ADDRESS])
{
	struct e1000 *e = of(p);
	u32 rctl;
	bool yes;

	spin_lock(&e->lock);
	rctl = e->reg[E1000_RCTL];
	if (target[0] & 1)
		yes = rctl & E1000_RCTL_MPE || in_multicast_table(e, target) || in_addresses(e, target);
	else
		yes = rctl & E1000_RCTL_UPE || in_addresses(e, target);
	if (rctl & E1000_RCTL_BAM && is_broadcast(target))
		yes = true;
	spin_unlock(&e->lock);
	return yes;
}

/* ---- room ---- */
/* 13.4.22, table 13-66... BSIZE: 2048 >> n, or with BSEX 16 times that. */
static u32 buffer_size(u32 rctl)
{
	u32 n = rctl >> E1000_RCTL_BSIZE_SHIFT & 3;

	return rctl & E1000_RCTL_BSEX && n ? 32768u >> n : 2048u >> n;
}

static void unpin(struct e1000 *e)
{
	for (u32 i = 0; i < e->rx.pieces; i++)
		gmem_unpin(e->mem, e->rx.piece[i].base);
	e->rx.pieces = 0;
}

/* Of one buffer. */
static bool pin(struct e1000 *e, gpa_t gpa, u32 length)
{
	struct e1000_rx *r = &e->rx;

	while (length) {
		u32 part = (u32)MIN((u64)length, PAGE_SIZE - gpa % PAGE_SIZE);
		void *host;

		if (r->pieces == NET_PIECES || gmem_pin(e->mem, &r->tlb, gpa, part, true, &host))
			return false;
		r->piece[r->pieces++] = (struct piece){host, part};
		gpa += part;
		length -= part;
	}
	return true;
}

static u32 after(u32 at, u32 n, u32 size)
{
	return at + n < size ? at + n : at + n - size;
}

/* Descriptors that the guest has given, 0: none, or the ring is none. */
static u32 given(const struct e1000 *e, u32 size)
{
	u32 head = e->reg[E1000_RDH], tail = e->reg[E1000_RDT];

	if (head >= size || tail >= size)
		return 0;
	return tail >= head ? tail - head : tail + size - head;
}

/* 3.2.6... null descriptor padding: a descriptor without an address takes nothing and is given back. */
static u32 skip_nulls(struct e1000 *e, u32 size, u32 have)
{
	for (u32 i = 0; i < NULLS_MOST && have; i++, have--) {
		u64 *desc = e1000_desc(e, &e->rx.tlb, E1000_RDBAL, e->reg[E1000_RDH]);

		if (!desc || __atomic_load_n(&desc[0], __ATOMIC_RELAXED))
			break;
		__atomic_store_n((u8 *)&desc[1] + 4, E1000_RX_DD >> 32, __ATOMIC_RELEASE);
		e->reg[E1000_RDH] = after(e->reg[E1000_RDH], 1, size);
	}
	return have;
}

/* Buffers for n bytes, from RDH on; false: something is not in RAM. */
static bool take(struct e1000 *e, u32 n, u32 size)
{
	struct e1000_rx *r = &e->rx;
	u32 count = (n + r->buffer - 1) / r->buffer;

	for (u32 i = 0; i < count; i++) {
		u64 *desc = e1000_desc(e, &r->tlb, E1000_RDBAL, after(e->reg[E1000_RDH], i, size));

		if (!desc || !pin(e, __atomic_load_n(&desc[0], __ATOMIC_RELAXED), MIN(n, r->buffer)))
			return false;
		n -= MIN(n, r->buffer);
	}
	r->descs = count;
	return true;
}

/* With the lock: room for a frame in the ring. */
static bool make_room(struct e1000 *e, u32 length)
{
	struct e1000_rx *r = &e->rx;
	u32 rctl = e->reg[E1000_RCTL], size = e1000_ring_size(e, E1000_RDLEN), have;

	if (!(rctl & E1000_RCTL_EN) || !e1000_is_master(e) || !e1000_link(e) || r->descs)
		return false;
	if (length > (rctl & E1000_RCTL_LPE ? LONG_LENGTH_MAX : LENGTH_MAX)) {
		e1000_count(e, E1000_ROC, 1);
		return false;
	}
	length = MAX(length, FRAME_LEAST) + (rctl & E1000_RCTL_SECRC ? 0 : CHECKSUM_BYTES);
	r->buffer = buffer_size(rctl);
	have = skip_nulls(e, size, given(e, size));
	if (have * r->buffer < length) {
		e1000_count(e, E1000_MPC, 1);
		e1000_count(e, E1000_RNBC, 1);
		e1000_irq_cause(e, E1000_INT_RXO);
		return false;
	}
	if (take(e, length, size))
		return true;
	unpin(e);
	return false;
}

/* A frame without room is dropped at the expense of who should have made it. */
static unsigned room(struct net_port *p, u32 length, struct piece *pieces)
{
	struct e1000 *e = of(p);
	u64 since = tsc_now();
	unsigned nr = 0;

	spin_lock(&e->lock);
	if (make_room(e, length)) {
		e->rx.stale = false;
		nr = e->rx.pieces;
		for (unsigned i = 0; i < nr; i++)
			pieces[i] = e->rx.piece[i];
	}
	spin_unlock(&e->lock);
	if (unlikely(!nr))
		bridge_charge(e->bridge, e->group, tsc_now() - since);
	return nr;
}

/* ---- what a received frame says ---- */
#define ETHERNET 14u
#define IP4_LEAST 20u
#define TCP 6
#define UDP 17
#define HEADER (ETHERNET + IP4_LEAST)

static u32 get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static void copy_out(const struct piece *p, u32 at, void *to, u32 n)
{
	for (u8 *byte = to; n; at++) {
		while (at >= p->length)
			at -= p++->length;
		if (likely(n <= p->length - at)) {
			memcpy(byte, p->base + at, n);
			return;
		}
		*byte++ = p->base[at];
		n--;
	}
}

static void copy_in(const struct piece *p, u32 at, const void *from, u32 n)
{
	for (const u8 *byte = from; n; at++) {
		while (at >= p->length)
			at -= p++->length;
		p->base[at] = *byte++;
		n--;
	}
}

/* 3.2.9: TCP's or UDP's of a packet whose IP header is h, and which ends at `end`. */
static u64 check_transport(const struct e1000 *e, const u8 *ip, u32 at, u32 end)
{
	struct piece addresses = {(u8 *)ip + 12, 8};
	u8 pseudo[4] = {0, ip[9], (u8)((end - at) >> 8), (u8)(end - at)};
	struct piece rest = {pseudo, sizeof(pseudo)};
	u16 sum;

	if (ip[9] == UDP) {
		u16 none;

		copy_out(e->rx.piece, at + 6, &none, 2);
		if (!none)
			return 0;
	}
	sum = checksum_add(checksum(e->rx.piece, at, end - at), checksum(&addresses, 0, 8));
	sum = checksum_add(sum, checksum(&rest, 0, 4));
	return E1000_RX_TCPCS | (sum == 0xffff ? 0 : E1000_RX_TCPE);
}

/* Status and errors of the checksums that RXCSUM (13.5.1...) asks for. made: TCP's or UDP's has just been
 * made. */
static u64 check(const struct e1000 *e, u32 length, const u8 *h, bool made)
{
	u32 rxcsum = e->reg[E1000_RXCSUM], header, end;
	const u8 *ip = h + ETHERNET;
	u64 status = 0;

	if (!(rxcsum & (E1000_RXCSUM_IPOFL | E1000_RXCSUM_TUOFL)) || length < ETHERNET + IP4_LEAST + 8 ||
	    get16(h + 12) != 0x0800 || ip[0] >> 4 != 4)
		return E1000_RX_IXSM;
	header = (ip[0] & 15) * 4u;
	end = ETHERNET + get16(ip + 2);
	if (header < IP4_LEAST || end > length || ETHERNET + header + 8 > end)
		return E1000_RX_IXSM;
	if (rxcsum & E1000_RXCSUM_IPOFL) {
		status = E1000_RX_IPCS;
		if (checksum(e->rx.piece, ETHERNET, header) != 0xffff)
			return status | E1000_RX_IPE;
	}
	/* No part of a larger packet. */
	if (!(rxcsum & E1000_RXCSUM_TUOFL) || get16(ip + 6) & 0x3fff || (ip[9] != TCP && ip[9] != UDP))
		return status ? status : E1000_RX_IXSM;
	return status | (made ? E1000_RX_TCPCS : check_transport(e, ip, ETHERNET + header, end));
}

static void make_sum(const struct e1000 *e, u32 length, const struct net_offload *o)
{
	u16 sum = (u16)~checksum(e->rx.piece, o->from, length - o->from);

	sum = sum ? sum : 0xffff;
	copy_in(e->rx.piece, (u32)o->from + o->at, &sum, 2);
}

/* ---- received ---- */
/* 3.2.3. */
static void write_back(struct e1000 *e, u32 length, u64 status)
{
	struct e1000_rx *r = &e->rx;
	u32 size = e1000_ring_size(e, E1000_RDLEN), at = e->reg[E1000_RDH];

	for (; r->descs; r->descs--, at = after(at, 1, size)) {
		u64 *desc = e1000_desc(e, &r->tlb, E1000_RDBAL, at);
		u32 part = MIN(length, r->buffer);
		u64 fields = part | E1000_RX_DD | (r->descs == 1 ? status | E1000_RX_EOP : 0);

		length -= part;
		if (desc)
			__atomic_store_n(&desc[1], fields, __ATOMIC_RELEASE);
	}
	e->reg[E1000_RDH] = at;
}

/* 13.4.22, RDMTS: so few are left that the guest should hear of it. */
static void watch_threshold(struct e1000 *e, u32 before)
{
	u32 size = e1000_ring_size(e, E1000_RDLEN);
	u32 least = size >> (1 + (e->reg[E1000_RCTL] >> E1000_RCTL_RDMTS_SHIFT & 3));

	if (before > least && given(e, size) <= least)
		e1000_irq_cause(e, E1000_INT_RXDMT0);
}

static void received(struct net_port *p, u32 length, const struct net_offload *o)
{
	static const u8 zeros[FRAME_LEAST];
	struct e1000 *e = of(p);
	struct e1000_rx *r = &e->rx;
	u8 h[HEADER] = {0};
	u64 status;
	u32 before;

	spin_lock(&e->lock);
	if (unlikely(r->stale))
		goto out;
	copy_out(r->piece, 0, h, MIN(length, HEADER));
	if (length < FRAME_LEAST)
		copy_in(r->piece, length, zeros, FRAME_LEAST - length);
	if (o->from)
		make_sum(e, length, o);
	status = check(e, length, h, o->from);
	if (h[0] & 1 && !is_broadcast(h) && !in_addresses(e, h))
		status |= E1000_RX_PIF;
	length = MAX(length, FRAME_LEAST);
	e1000_tally(&r->tally, length, h);
	before = given(e, e1000_ring_size(e, E1000_RDLEN));
	write_back(e, length + (e->reg[E1000_RCTL] & E1000_RCTL_SECRC ? 0 : CHECKSUM_BYTES), status);
	watch_threshold(e, before);
	r->news = true;
out:
	r->descs = 0;
	unpin(e);
	spin_unlock(&e->lock);
}

static void ready(struct net_port *p)
{
	struct e1000 *e = of(p);

	spin_lock(&e->lock);
	if (e->rx.news)
		e1000_irq_received(e);
	e->rx.news = false;
	spin_unlock(&e->lock);
}

static u32 takes(struct net_port *p)
{
	(void)p;
	return NET_TAKES_SUM;
}

const struct net_port_ops e1000_port_ops = {
    .room = room,
    .received = received,
    .ready = ready,
    .takes = takes,
    .wants = wants,
};

void e1000_receive_reset(struct e1000 *e)
{
	e->rx.stale = true;
	e->rx.news = false;
}
