/* SPDX-License-Identifier: Apache-2.0 */
/* Filter rules of a port. */
#include "switch.h"

static u16 be16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static u32 be32(const u8 *p)
{
	return (u32)be16(p) << 16 | be16(p + 2);
}

/* Behind VLAN tags (IEEE 802.1Q), however many, for receivers strip those that mean nothing to them. */
static u32 skip_tags(const u8 *header, u32 have, u16 *type)
{
	u32 at = 14;

	*type = be16(header + 12);
	while ((*type == 0x8100 || *type == 0x88a8) && have >= at + 4) {
		*type = be16(header + at + 2);
		at += 4;
	}
	return at;
}

/* RFC 791, RFC 9293 and RFC 768. */
struct net_headline net_parse(const u8 *header, u32 have)
{
	struct net_headline h = {.port = ~0u};
	u32 at = skip_tags(header, have, &h.ethertype), length;

	h.hidden = h.ethertype == 0x8100 || h.ethertype == 0x88a8;
	if (h.ethertype != 0x0800)
		return h;
	h.hidden = have < at + 20 || header[at] >> 4 != 4 || (header[at] & 15) < 5;
	if (h.hidden)
		return h;
	h.ipv4 = true;
	h.protocol = header[at + 9];
	h.source = be32(header + at + 12);
	h.target = be32(header + at + 16);
	length = (header[at] & 15) * 4u;
	if ((h.protocol != 6 && h.protocol != 17) || be16(header + at + 6) & 0x1fff)
		return h;
	h.hidden = have < at + length + 4;
	if (!h.hidden)
		h.port = be16(header + at + length + 2);
	return h;
}

static bool matches(const struct net_rule *r, const struct net_headline *h)
{
	bool wants_ip = r->protocol || r->source_mask || r->target_mask || r->port_last;

	if ((r->ethertype && r->ethertype != h->ethertype) || (wants_ip && !h->ipv4))
		return false;
	if (r->protocol && r->protocol != h->protocol)
		return false;
	if ((h->source ^ r->source) & r->source_mask || (h->target ^ r->target) & r->target_mask)
		return false;
	return !r->port_last || (h->port >= r->port_first && h->port <= r->port_last);
}

bool net_passes(const struct net_port *p, const struct net_headline *h, bool incoming)
{
	for (unsigned i = 0; i < p->nr_rules; i++)
		if (p->rules[i].incoming == incoming &&
		    (unlikely(h->hidden) ? p->rules[i].drop : matches(&p->rules[i], h)))
			return !p->rules[i].drop;
	return true;
}
