/* SPDX-License-Identifier: Apache-2.0 */
/* What the 82540EM does to packets on their way out: checksums, and cutting long TCP segments (3.3.6, 3.3.7,
 * 3.5, 3.6). The checksum of TCP or UDP, and the cutting, are left to whoever receives the frame, who may
 * have no need for them; what has to be changed in the header is changed in a copy, never in the guest's
 * memory. */
#include "e1000_internal.h"

#include "checksum.h"

#define IP4_HEADER 20u
#define IP4_LENGTH 2u
#define TCP_HEADER 20u
#define TCP_OFFSET 12u
#define IP6_HEADER 40u
#define IP6_LENGTH 4u

void e1000_context_set(struct e1000_context *c, u64 low, u64 fields)
{
	*c = (struct e1000_context){
	    .ipcss = low & 0xff,
	    .ipcso = low >> 8 & 0xff,
	    .ipcse = low >> 16 & 0xffff,
	    .tucss = (u32)(low >> 32) & 0xff,
	    .tucso = (u32)(low >> 40) & 0xff,
	    .tucse = (u32)(low >> 48),
	    .header = (u32)(fields >> 40) & 0xff,
	    .mss = (u32)(fields >> 48),
	    .tcp = fields & E1000_CONTEXT_TCP,
	    .ipv4 = fields & E1000_CONTEXT_IP,
	};
}

static u16 get16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static void put16(u8 *p, u32 value)
{
	p[0] = (u8)(value >> 8);
	p[1] = (u8)value;
}

/* The first n bytes of the frame, which is at least that long, stand in our memory from now on. */
static void take_header(struct e1000 *e, struct e1000_slot *s, u32 n)
{
	struct piece *p = s->piece;

	for (u32 done = 0; done < n;) {
		u32 part = MIN(n - done, p->length);

		memcpy(s->header + done, p->base, part);
		done += part;
		p->base += part;
		p->length -= part;
		if (!p->length) {
			gmem_unpin(e->mem, p->base - 1);
			p++;
			s->frame.nr_pieces--;
		}
	}
	s->piece = --p;
	*p = (struct piece){s->header, n};
	s->frame.nr_pieces++;
	s->headed = true;
}

/* Of what lies between start and end, where the field is in our copy. UDP's 0 means that there is none. */
static void fill(struct e1000_slot *s, u32 start, u32 end, u32 field)
{
	u16 sum = (u16)~checksum(s->piece, start, end - start);

	sum = sum ? sum : 0xffff;
	__builtin_memcpy(s->header + field, &sum, sizeof(sum)); /* in the order of memory, both */
}

/* The last byte as a context names it, as an end. False: not in the frame. */
static bool end_of(const struct e1000_slot *s, u32 start, u32 last, u32 *end)
{
	*end = last ? last + 1 : s->frame.length;
	return start < *end && *end <= s->frame.length;
}

/* The switch can do it: the sum goes to the frame's end, and the field is behind its beginning. */
static bool can_leave(const struct e1000_slot *s, u32 start, u32 end, u32 field)
{
	return end == s->frame.length && field >= start && start >= NET_FRAME_MIN &&
	       field + 2 <= s->frame.length;
}

static void leave(struct e1000_slot *s, u32 start, u32 field)
{
	s->frame.offload.from = (u16)start;
	s->frame.offload.at = (u16)(field - start);
}

/* 3.5: the header in our copy, with what the guest leaves to the device: the length of the whole, in the IP
 * header and in the pseudo header's sum. */
static bool segment(struct e1000 *e, struct e1000_slot *s, const struct e1000_context *c, u64 fields)
{
	u32 length = s->frame.length, ip = c->ipv4 ? IP4_HEADER : IP6_HEADER, rest;
	u8 *field;

	if (!c->tcp || !c->mss || c->header > NET_HEADER_CUT || c->header > length ||
	    c->tucss < c->ipcss + ip || c->tucss + TCP_HEADER > c->header || c->tucso + 2 > c->header ||
	    !(fields & E1000_TX_TXSM) || !can_leave(s, c->tucss, length, c->tucso))
		return false;
	take_header(e, s, c->header);
	if (c->header != c->tucss + (s->header[c->tucss + TCP_OFFSET] >> 4) * 4u)
		return false; /* whoever cuts goes by the header itself */
	rest = length - c->ipcss;
	if (c->ipv4)
		put16(s->header + c->ipcss + IP4_LENGTH, MIN(rest, 0xffffu));
	else
		put16(s->header + c->ipcss + IP6_LENGTH, rest - IP6_HEADER);
	field = s->header + c->tucso;
	rest = length - c->tucss;
	put16(field, checksum_add(get16(field), (u16)((rest & 0xffff) + (rest >> 16))));
	leave(s, c->tucss, c->tucso);
	if (length - c->header > c->mss)
		s->frame.offload.cut = (u16)c->mss;
	return true;
}

static bool legacy(struct e1000 *e, struct e1000_slot *s, u64 fields)
{
	u32 field = (u32)(fields >> 16) & 0xff, start = (u32)(fields >> 40) & 0xff, length = s->frame.length;

	if (!(fields & E1000_TX_IC))
		return true;
	if (start >= length || field + 2 > length)
		return false;
	if (can_leave(s, start, length, field)) {
		leave(s, start, field);
	} else {
		take_header(e, s, field + 2);
		fill(s, start, length, field);
	}
	return true;
}

/* The header is in our copy. */
static bool ip_sum(struct e1000_slot *s, const struct e1000_context *c)
{
	u32 end;

	if (!end_of(s, c->ipcss, c->ipcse, &end) || c->ipcso + 2 > s->piece->length)
		return false;
	fill(s, c->ipcss, end, c->ipcso);
	return true;
}

/* The IP header's sum, and TCP's or UDP's where the switch cannot, are made here. */
static bool sums(struct e1000 *e, struct e1000_slot *s, const struct e1000_context *c, u64 fields)
{
	bool ip = fields & E1000_TX_IXSM, tu = fields & E1000_TX_TXSM;
	u32 end = 0, header = ip ? c->ipcso + 2 : 0;

	if (tu && !end_of(s, c->tucss, c->tucse, &end))
		return false;
	if (tu && can_leave(s, c->tucss, end, c->tucso)) {
		leave(s, c->tucss, c->tucso);
		tu = false;
	}
	header = tu ? MAX(header, c->tucso + 2) : header;
	if (header > s->frame.length)
		return false;
	if (header)
		take_header(e, s, header);
	if (ip && !ip_sum(s, c))
		return false;
	if (tu)
		fill(s, c->tucss, end, c->tucso);
	return true;
}

bool e1000_offload(struct e1000 *e, struct e1000_slot *s, u64 fields)
{
	const struct e1000_context *c = &e->tx.context;
	bool extended = fields & E1000_TX_DEXT;

	if (extended && fields & E1000_TX_TSE)
		return segment(e, s, c, fields) && (!(fields & E1000_TX_IXSM) || ip_sum(s, c));
	if (s->frame.length > E1000_LENGTH_MAX)
		return false;
	return extended ? sums(e, s, c, fields) : legacy(e, s, fields);
}
