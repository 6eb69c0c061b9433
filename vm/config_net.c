/* SPDX-License-Identifier: Apache-2.0 */
/* Networks in socle.conf: netN = WORD=VALUE, ..., words as in xl's network specification. */
#include "config_internal.h"

#define DEFAULT_BRIDGE "lan"
#define RATE_MIN 1000u /* bytes per second */
#define RATE_MAX 1000000000000ull

/* Those that a device serves. */
static const char *const model_words[NET_MODELS] = {
    [NET_SPLIT] = "split",
    [NET_PACKED] = "packed",
    [NET_E1000] = "e1000",
    [NET_SOCLE] = "socle",
};

const char *config_net_word(enum net_model model)
{
	return model_words[model];
}

/* ---- values ---- */
static bool copy_bridge(char name[CONFIG_BRIDGE_MAX], struct span v)
{
	if (!v.n || v.n >= CONFIG_BRIDGE_MAX)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		char c = v.s[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (i == 0 || !strchr("-_.", c)))
			return false;
	}
	memcpy(name, v.s, v.n);
	name[v.n] = '\0';
	return true;
}

static bool set_bridge(struct config_net *n, struct span v)
{
	return copy_bridge(n->bridge, v);
}

int config_set_uplink(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	return copy_bridge(field, value) ? 0 : config_fail_value(p, key, value);
}

static bool set_model(struct config_net *n, struct span v)
{
	for (unsigned i = 0; i < NET_MODELS; i++)
		if (model_words[i] && span_equal_nocase(v, model_words[i])) {
			n->model = (enum net_model)i;
			return true;
		}
	return false;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* An address of one station: not of a group, not all zeros. */
static bool set_mac(struct config_net *n, struct span v)
{
	u8 any = 0;

	if (v.n != 17)
		return false;
	for (unsigned i = 0; i < 6; i++) {
		int high = hex_digit(v.s[3 * i]), low = hex_digit(v.s[3 * i + 1]);
		if (high < 0 || low < 0 || (i < 5 && v.s[3 * i + 2] != ':'))
			return false;
		n->mac[i] = (u8)(high << 4 | low);
		any |= n->mac[i];
	}
	n->has_mac = true;
	return any && !(n->mac[0] & 1);
}

/* As xl's: b is bits, B bytes, and both are counted in thousands. */
static bool set_rate(struct config_net *n, struct span v)
{
	static const struct {
		const char *name;
		u64 bits;
	} units[] = {{"b/s", 1}, {"Kb/s", 1000}, {"Mb/s", 1000000}, {"Gb/s", 1000000000},
		     {"B/s", 8}, {"KB/s", 8000}, {"MB/s", 8000000}, {"GB/s", 8000000000}};
	u64 number;

	if (!span_number(&v, &number))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
		if (!span_equal(v, units[i].name) || number > RATE_MAX * 8 / units[i].bits)
			continue;
		n->rate = number * units[i].bits / 8;
		return n->rate >= RATE_MIN;
	}
	return false;
}

static bool set_yes(bool *field, struct span v)
{
	*field = span_equal_nocase(v, "yes");
	return *field || span_equal_nocase(v, "no");
}

static bool set_spoof(struct config_net *n, struct span v)
{
	return set_yes(&n->spoof, v);
}

static bool set_polled(struct config_net *n, struct span v)
{
	return set_yes(&n->polled, v);
}

static bool set_word(struct config_net *n, struct span word)
{
	static const struct {
		const char *name;
		bool (*set)(struct config_net *n, struct span value);
	} words[] = {{"bridge", set_bridge}, {"model", set_model}, {"mac", set_mac},
		     {"rate", set_rate},     {"spoof", set_spoof}, {"polled", set_polled}};
	const char *equals = word.n ? memchr(word.s, '=', word.n) : NULL;
	struct span name, value = word;

	if (!equals)
		return false;
	name = span_trim(span_take(&value, (size_t)(equals - word.s)));
	span_take(&value, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (span_equal_nocase(name, words[i].name))
			return words[i].set(n, span_trim(value));
	return false;
}

int config_set_net(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	struct config_net *n = field;
	struct span rest = value;

	str_copy(n->bridge, DEFAULT_BRIDGE, sizeof(n->bridge));
	do {
		struct span word = span_take_part(&rest);
		if (!set_word(n, word))
			return config_fail_value(p, key, word);
	} while (rest.n);
	return 0;
}

/* ---- addresses ---- */
/* FNV-1a, 64 bits: the same for the same name on every machine. */
void config_net_mac(const struct config_vm *vm, unsigned index, unsigned net, u8 mac[6])
{
	char name[CONFIG_NAME_MAX];
	u64 hash = 0xcbf29ce484222325u;

	if (vm->nets[net].has_mac) {
		memcpy(mac, vm->nets[net].mac, 6);
		return;
	}
	config_vm_name(vm, index, name);
	for (const char *c = name; *c; c++)
		hash = (hash ^ (u8)*c) * 0x100000001b3u;
	hash = (hash ^ (0x100 + net)) * 0x100000001b3u;
	hash ^= hash >> 32;
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (u8)(hash >> (8 * i));
	mac[0] = (mac[0] & 0xfc) | 2; /* one station's, locally administered */
}

/* ---- the whole file ---- */
static int fail_at(struct config_parser *p, const struct config_vm *vm, unsigned net, const char *what,
		   const struct config_vm *other)
{
	const char key[] = {'n', 'e', 't', (char)('1' + net), 0};

	p->line = config_key_line(vm, key);
	return config_fail(p, key, "%s [vm %s]: expected another bridge or address", what, other->name);
}

/* Written addresses only: made ones that happen to be equal are found when the VM is made. */
static int check_mac(struct config_parser *p, const struct config_vm *vm, unsigned net)
{
	const struct config_net *n = &vm->nets[net];
	const struct config *c = p->config;

	for (const struct config_vm *other = c->vms; n->has_mac && other <= vm; other++)
		for (unsigned i = 0; i < (other == vm ? net : CONFIG_MAX_NETS); i++) {
			const struct config_net *o = &other->nets[i];
			if (o->has_mac && strcmp(o->bridge, n->bridge) == 0 && memcmp(o->mac, n->mac, 6) == 0)
				return fail_at(p, vm, net, "the address is on this bridge already, in",
					       other);
		}
	return n->has_mac && vm->count > 1 ? fail_at(p, vm, net, "one address for several VMs of", vm) : 0;
}

static int check_room(struct config_parser *p, const struct config_vm *vm, unsigned net)
{
	const struct config *c = p->config;
	u64 ports = 0;

	for (const struct config_vm *other = c->vms; other <= vm; other++)
		for (unsigned i = 0; i < (other == vm ? net + 1 : CONFIG_MAX_NETS); i++)
			if (strcmp(other->nets[i].bridge, vm->nets[net].bridge) == 0)
				ports += other->count;
	return ports > CONFIG_BRIDGE_PORTS
		   ? fail_at(p, vm, net, "more than 128 interfaces on this bridge, with those of", vm)
		   : 0;
}

static int check_model(struct config_parser *p, const struct config_vm *vm, unsigned i)
{
	const char key[] = {'n', 'e', 't', (char)('1' + i), 0};
	const struct config *c = p->config->outer ? p->config->outer : p->config;
	const struct config_net *n = &vm->nets[i];

	p->line = config_key_line(vm, key);
	if (n->model == NET_SOCLE && !vm->hypervisor_cpuid)
		return config_fail(p, key, "model=socle needs hypervisor = on: it is reached by VMCALL");
	if (n->polled && n->model == NET_E1000)
		return config_fail(p, key,
				   "e1000 is not polled: polled=yes expected model=split, packed or socle");
	if (n->polled && !c->socle.poll)
		return config_fail(p, key, "no CPU polls: polled=yes needs poll = 1, or more, in [socle]");
	return 0;
}

int config_check_nets(struct config_parser *p)
{
	int err = 0;

	for (unsigned v = 0; v < p->config->nr_vms && !err; v++) {
		const struct config_vm *vm = &p->config->vms[v];

		for (unsigned i = 0; i < CONFIG_MAX_NETS && !err; i++) {
			if (!vm->nets[i].bridge[0])
				continue;
			err = check_model(p, vm, i);
			err = err ? err : check_mac(p, vm, i);
			err = err ? err : check_room(p, vm, i);
		}
		err = err ? err : config_check_filters(p, vm);
	}
	return err;
}
