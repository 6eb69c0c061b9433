/* SPDX-License-Identifier: Apache-2.0 */
/* Packet filters in socle.conf: filter = WORD, ..., a rule for each key; the first that matches a frame
 * decides, as in other packet filters, and a frame that none matches passes. */
#include "config_internal.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IPV6 0x86dd
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

/* What a rule has said so far: each at most once. */
enum said {
	SAID_ACTION = 1,
	SAID_WAY = 2,
	SAID_NET = 4,
	SAID_KIND = 8,
	SAID_FROM = 16,
	SAID_TO = 32,
	SAID_PORT = 64,
};

static bool take_char(struct span *v, char c)
{
	if (!v->n || *v->s != c)
		return false;
	span_take(v, 1);
	return true;
}

/* A.B.C.D or A.B.C.D/N, N from 1 to 32. */
static bool set_address(u32 *address, u32 *mask, struct span v)
{
	u64 number;

	*address = 0;
	for (unsigned i = 0; i < 4; i++) {
		if ((i && !take_char(&v, '.')) || !span_number(&v, &number) || number > 255)
			return false;
		*address = *address << 8 | (u32)number;
	}
	number = 32;
	if (take_char(&v, '/') && (!span_number(&v, &number) || number < 1 || number > 32))
		return false;
	*mask = ~0u << (32 - number);
	*address &= *mask;
	return !v.n;
}

static bool set_ports(struct config_rule *r, struct span v)
{
	u64 first, last;

	if (!span_number(&v, &first) || first > 65535)
		return false;
	last = first;
	if (take_char(&v, '-') && !span_number(&v, &last))
		return false;
	r->port_first = (u16)first;
	r->port_last = (u16)last;
	return !v.n && last >= first && last && last <= 65535;
}

/* The bit of what the word says; 0: it is none. */
static unsigned plain_word(struct config_rule *r, struct span word)
{
	static const struct {
		const char *name;
		unsigned bit;
		u16 value;
		u8 protocol;
	} words[] = {{"pass", SAID_ACTION, 0, 0},
		     {"drop", SAID_ACTION, 1, 0},
		     {"out", SAID_WAY, 0, 0},
		     {"in", SAID_WAY, 1, 0},
		     {"net1", SAID_NET, 1, 0},
		     {"net2", SAID_NET, 2, 0},
		     {"net3", SAID_NET, 4, 0},
		     {"net4", SAID_NET, 8, 0},
		     {"arp", SAID_KIND, ETHERTYPE_ARP, 0},
		     {"ip", SAID_KIND, ETHERTYPE_IPV4, 0},
		     {"ip6", SAID_KIND, ETHERTYPE_IPV6, 0},
		     {"icmp", SAID_KIND, ETHERTYPE_IPV4, PROTOCOL_ICMP},
		     {"tcp", SAID_KIND, ETHERTYPE_IPV4, PROTOCOL_TCP},
		     {"udp", SAID_KIND, ETHERTYPE_IPV4, PROTOCOL_UDP}};
	unsigned i = 0;

	while (i < ARRAY_SIZE(words) && !span_equal_nocase(word, words[i].name))
		i++;
	if (i == ARRAY_SIZE(words))
		return 0;
	if (words[i].bit == SAID_ACTION)
		r->drop = words[i].value;
	else if (words[i].bit == SAID_WAY)
		r->incoming = words[i].value;
	else if (words[i].bit == SAID_NET)
		r->nets = (u8)words[i].value;
	else
		r->ethertype = words[i].value;
	r->protocol = words[i].bit == SAID_KIND ? words[i].protocol : r->protocol;
	return words[i].bit;
}

static unsigned set_word(struct config_rule *r, struct span word)
{
	const char *equals = word.n ? memchr(word.s, '=', word.n) : NULL;
	struct span name, value = word;

	if (!equals)
		return plain_word(r, word);
	name = span_trim(span_take(&value, (size_t)(equals - word.s)));
	span_take(&value, 1);
	value = span_trim(value);
	if (span_equal_nocase(name, "from"))
		return set_address(&r->source, &r->source_mask, value) ? SAID_FROM : 0;
	if (span_equal_nocase(name, "to"))
		return set_address(&r->target, &r->target_mask, value) ? SAID_TO : 0;
	return span_equal_nocase(name, "port") && set_ports(r, value) ? SAID_PORT : 0;
}

/* Whether what it asks for can be: ports are of TCP and UDP, addresses of IPv4. */
static const char *contradiction(const struct config_rule *r, unsigned said)
{
	if (!(said & SAID_ACTION) || !(said & SAID_WAY))
		return "a rule says pass or drop, and in or out";
	if (said & SAID_PORT && r->protocol != PROTOCOL_TCP && r->protocol != PROTOCOL_UDP)
		return "port= needs tcp or udp";
	if (said & (SAID_FROM | SAID_TO) && said & SAID_KIND && r->ethertype != ETHERTYPE_IPV4)
		return "from= and to= are addresses of IPv4";
	return NULL;
}

int config_set_filter(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	struct config_vm *vm = p->vm;
	struct config_rule *r = (struct config_rule *)field + vm->nr_rules;
	struct span rest = value;
	const char *what;
	unsigned said = 0;

	if (vm->nr_rules == CONFIG_MAX_RULES)
		return config_fail(p, key->name, "more than %u rules", CONFIG_MAX_RULES);
	*r = (struct config_rule){.line = p->line};
	do {
		struct span word = span_take_part(&rest);
		unsigned bit = set_word(r, word);
		if (!bit || said & bit)
			return config_fail_value(p, key, word);
		said |= bit;
	} while (rest.n);
	what = contradiction(r, said);
	if (what)
		return config_fail(p, key->name, "%s", what);
	if (said & (SAID_FROM | SAID_TO))
		r->ethertype = ETHERTYPE_IPV4;
	vm->nr_rules++;
	return 0;
}

int config_check_filters(struct config_parser *p, const struct config_vm *vm)
{
	u8 nets = 0;

	for (unsigned i = 0; i < CONFIG_MAX_NETS; i++)
		nets |= (u8)((vm->nets[i].bridge[0] != 0) << i);
	for (unsigned i = 0; i < vm->nr_rules; i++) {
		const struct config_rule *r = &vm->rules[i];
		if (r->nets ? r->nets & nets : nets)
			continue;
		p->line = r->line;
		return r->nets
			   ? config_fail(p, "filter", "the VM has no net%u",
					 (unsigned)__builtin_ctz(r->nets) + 1)
			   : config_fail(p, "filter", "the VM has no network interface: expected net1 = ...");
	}
	return 0;
}
