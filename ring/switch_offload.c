/* SPDX-License-Identifier: Apache-2.0 */
/* What senders leave for later, done where the receiver wants it done: checksums, and cutting long TCP
 * segments (RFC 9293; RFC 791 and 8200 for what is in front). Decided upon is only the switch's own copy of
 * the header; sums are made of what the receiver has got. */
#include "switch.h"

#define TCP_AT_SUM 16
#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_CWR 0x80u
#define PROTOCOL_TCP 6

static u32 get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static void put16(u8 *p, u32 value)
{
	p[0] = (u8)(value >> 8);
	p[1] = (u8)value;
}

static u32 get32(const u8 *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put32(u8 *p, u32 value)
{
	put16(p, value >> 16);
	put16(p + 2, value);
}

/* ---- may it be done? ---- */
/* The frame is TCP, and its TCP header, which begins where the sender says, is in our copy. */
static bool find_tcp(struct passage *w)
{
	const u8 *h = w->header;
	u32 have = w->header_piece.length, tcp = w->frame->offload.from,
	    ip = get16(h + 12) == 0x8100 ? 18 : 14;
	u32 type;

	if (have < ip + 20 || tcp + 20 > have || w->frame->offload.at != TCP_AT_SUM)
		return false;
	type = get16(h + ip - 2);
	if (type == 0x0800 && h[ip] >> 4 == 4 && h[ip + 9] == PROTOCOL_TCP && (h[ip] & 15) >= 5 &&
	    tcp == ip + (h[ip] & 15) * 4u)
		w->tcp.kind = NET_TAKES_TCP4;
	else if (type == 0x86dd && h[ip] >> 4 == 6 && tcp >= ip + 40)
		w->tcp.kind = NET_TAKES_TCP6;
	else
		return false;
	w->tcp.ip = ip;
	w->tcp.payload = tcp + (h[tcp + 12] >> 4) * 4u;
	return w->tcp.payload >= tcp + 20 && w->tcp.payload <= have;
}

bool net_offload_valid(struct passage *w)
{
	const struct net_offload *o = &w->frame->offload;

	if (o->from < NET_FRAME_MIN || (u32)o->from + o->at + 2 > w->frame->length)
		return false;
	/* A long segment for a group would be cut for each of its members. */
	return !o->cut || (o->cut >= NET_CUT_MIN && !(w->header[0] & 1) && find_tcp(w));
}

/* ---- checksums ---- */
static void put_byte(const struct piece *pieces, u32 nr, u32 at, u8 value)
{
	struct piece one = {&value, 1};
	struct net_cursor to = {pieces, nr, 0}, from = {&one, 1, 0};

	net_skip(&to, at);
	net_copy(&to, &from, 1);
}

/* Of a frame that stands in pieces; a sum of 0 is written as its other form, since UDP means "none" by 0. */
static void fill_sum(const struct piece *pieces, u32 nr, u32 length, u32 from, u32 at)
{
	struct net_cursor c = {pieces, nr, 0};
	u16 sum;

	net_skip(&c, from);
	sum = (u16)~net_sum(c, length - from);
	sum = sum ? sum : 0xffff;
	put_byte(pieces, nr, from + at, (u8)sum);
	put_byte(pieces, nr, from + at + 1, (u8)(sum >> 8));
}

/* ---- delivery ---- */
static inline unsigned ask_room(struct net_port *to, u32 length, struct piece *pieces)
{
	unsigned nr = to->ops->room(to, length, pieces);

	if (!nr)
		to->meters.rx_dropped++;
	return nr;
}

static inline void arrived(struct passage *w, struct net_port *to, u32 length)
{
	to->meters.rx_frames++;
	to->meters.rx_bytes += length;
	w->delivered = true;
	if (to->ops->ready)
		to->sw->received[to->index / 64] |= (u64)1 << to->index % 64;
}

static inline void done(struct passage *w, struct net_port *to, u32 length, const struct net_offload *o)
{
	to->meters.rx_copied += length;
	w->from->meters.tx_copied += length;
	to->ops->received(to, length, o);
	arrived(w, to, length);
}

/* What is copied of a frame that changes its page is only what was checked. */
__attribute__((noinline)) static bool exchanged(struct passage *w, struct net_port *to)
{
	struct net_frame *f = w->frame;

	if (!w->target || f->offload.from || !to->ops->exchange ||
	    !to->ops->exchange(to, f, w->header, w->header_piece.length))
		return false;
	to->meters.rx_flipped++;
	to->meters.rx_copied += w->header_piece.length;
	arrived(w, to, f->length);
	return true;
}

/* Into pieces that have room for all of it; most frames are one piece, and go into one. */
static inline void copy_whole(struct passage *w, struct piece *pieces, unsigned nr)
{
	const struct net_frame *f = w->frame;
	u32 header = w->header_piece.length, more = f->length - header;

	if (likely(header == NET_HEADER && f->nr_pieces == 1 && pieces->length >= f->length)) {
		net_copy_header(pieces->base, w->header);
		memcpy(pieces->base + NET_HEADER, f->pieces->base + NET_HEADER, more);
	} else {
		struct net_cursor room = {pieces, nr, 0}, own = {&w->header_piece, 1, 0},
				  rest = {f->pieces, f->nr_pieces, 0};
		net_skip(&rest, header);
		net_copy(&room, &own, header);
		net_copy(&room, &rest, more);
	}
}

/* Of which something was left for later; sum: the receiver does it. */
static void deliver_offload(struct passage *w, struct net_port *to, bool sum, struct piece *pieces,
			    unsigned nr)
{
	struct net_offload o = w->frame->offload;

	if (!sum) {
		fill_sum(pieces, nr, w->frame->length, o.from, o.at);
		o.from = o.at = 0;
	}
	o.header = (u16)(o.cut ? w->tcp.payload : 0);
	o.kind = o.cut ? w->tcp.kind : 0;
	done(w, to, w->frame->length, &o);
}

void net_deliver_whole(struct passage *w, struct net_port *to, bool sum)
{
	struct piece pieces[NET_PIECES];
	u32 length = w->frame->length;
	unsigned nr;

	if (unlikely(w->frame->page) && exchanged(w, to))
		return;
	if (unlikely(to->ops->steer))
		to->ops->steer(to, w->header, w->header_piece.length);
	nr = ask_room(to, length, pieces);
	if (!nr)
		return;
	copy_whole(w, pieces, nr);
	if (likely(!w->frame->offload.from))
		done(w, to, length, &w->frame->offload); /* which says nothing */
	else
		deliver_offload(w, to, sum, pieces, nr);
}

/* The header of the segment whose payload of n bytes begins `at` bytes into the frame's. */
static void make_header(const struct passage *w, u8 *h, u32 index, u32 at, u32 n)
{
	u32 tcp = w->frame->offload.from, ip = w->tcp.ip, length = w->tcp.payload - tcp + n;
	bool last = w->tcp.payload + at + n == w->frame->length;
	struct piece own = {h, w->tcp.payload};
	u32 sum;

	memcpy(h, w->header, w->tcp.payload);
	put32(h + tcp + 4, get32(h + tcp + 4) + at);
	h[tcp + 13] &= (u8) ~((last ? 0 : TCP_FIN | TCP_PSH) | (index ? TCP_CWR : 0));
	if (w->tcp.kind == NET_TAKES_TCP4) {
		put16(h + ip + 2, tcp - ip + length);
		put16(h + ip + 4, get16(h + ip + 4) + index);
		put16(h + ip + 10, 0);
		fill_sum(&own, 1, tcp, ip, 10);
	} else {
		put16(h + ip + 4, tcp - ip - 40 + length);
	}
	/* The pseudo header: addresses, protocol, length. */
	struct net_cursor c = {&own, 1, 0};
	bool v4 = w->tcp.kind == NET_TAKES_TCP4;
	net_skip(&c, ip + (v4 ? 12 : 8));
	u16 part = net_sum(c, v4 ? 8 : 32);
	sum = (u32)(u16)(part >> 8 | part << 8) + PROTOCOL_TCP + (length >> 16) + (length & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(h + tcp + TCP_AT_SUM, (sum & 0xffff) + (sum >> 16));
}

/* False: there was no room for it. */
static bool deliver_part(struct passage *w, struct net_port *to, u8 *h, u32 n, struct net_cursor *payload)
{
	static const struct net_offload nothing;
	struct piece pieces[NET_PIECES], own = {h, w->tcp.payload};
	struct net_cursor header = {&own, 1, 0}, room = {pieces, 0, 0};
	u32 length = w->tcp.payload + n;
	unsigned nr = ask_room(to, length, pieces);

	if (!nr)
		return false;
	room.left = nr;
	net_copy(&room, &header, w->tcp.payload);
	net_copy(&room, payload, n);
	fill_sum(pieces, nr, length, w->frame->offload.from, TCP_AT_SUM);
	done(w, to, length, &nothing);
	return true;
}

void net_deliver_cut(struct passage *w, struct net_port *to)
{
	const struct net_frame *f = w->frame;
	struct net_cursor payload = {f->pieces, f->nr_pieces, 0};
	u32 all = f->length - w->tcp.payload, index = 0, at = 0;
	u8 h[NET_HEADER_CUT];

	if (to->ops->steer)
		to->ops->steer(to, w->header, w->header_piece.length);
	net_skip(&payload, w->tcp.payload);
	do {
		u32 n = MIN(all - at, (u32)f->offload.cut);

		if (w->cuts == NET_CUTS_MAX) {
			to->meters.rx_dropped++;
			return;
		}
		w->cuts++;
		make_header(w, h, index++, at, n);
		/* What follows a lost segment would only have to be kept by the receiver. */
		if (!deliver_part(w, to, h, n, &payload))
			return;
		at += n;
	} while (at < all);
}
