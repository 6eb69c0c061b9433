/* SPDX-License-Identifier: Apache-2.0 */
/* The bridges that VMs' network interfaces are on, by name: each is there while a VM has an interface on it.
 * VMs are made and freed where this runs. */
#include "host.h"
#include "log.h"
#include "uplink.h"
#include "vm.h"

_Static_assert(CONFIG_BRIDGE_PORTS == NET_PORTS, "what the parser allows fits");

struct vm_bridge {
	struct list node; /* in vm_host.bridges */
	char name[CONFIG_BRIDGE_MAX];
	unsigned users; /* interfaces */
	struct bridge bridge;
};

/* What a guest cannot know, so that it cannot make addresses which collide in the switch's table. */
static u64 secret(const struct vm_bridge *b)
{
	u64 word = 0, x = tsc_now() ^ (u64)(uintptr_t)b; /* better than nothing */

	if (!entropy_test() && entropy_get(&word) == 0)
		return word;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct vm_bridge *find(const char *name)
{
	list_for_each(n, &vm_host.bridges)
	{
		struct vm_bridge *b = list_entry(n, struct vm_bridge, node);
		if (strcmp(b->name, name) == 0)
			return b;
	}
	return NULL;
}

static struct vm_bridge *find_or_make(const char *name)
{
	struct vm_bridge *b = find(name);

	if (b)
		return b;
	b = heap_alloc(sizeof(*b));
	if (!b)
		return NULL;
	str_copy(b->name, name, sizeof(b->name));
	bridge_init(&b->bridge, secret(b));
	list_insert(&vm_host.bridges, &b->node);
	if (strcmp(name, vm_host.config.socle.uplink) == 0) {
		b->users = 1; /* it stays */
		if (!uplink_join(&b->bridge))
			log_error("bridge %s has no uplink", name);
	}
	return b;
}

static void leave(struct vm_bridge *b)
{
	if (--b->users)
		return;
	list_remove(&b->node);
	bridge_fini(&b->bridge);
	heap_free(b);
}

/* Those of an interface, in their order; NULL with *nr 0: there are none. False: no memory. */
static bool rules_of(const struct config_vm *vm, unsigned net, struct net_rule **rules, unsigned *nr)
{
	*nr = 0;
	*rules = NULL;
	for (unsigned i = 0; i < vm->nr_rules; i++)
		*nr += !vm->rules[i].nets || vm->rules[i].nets >> net & 1;
	if (!*nr)
		return true;
	*rules = heap_alloc(*nr * sizeof(**rules));
	if (!*rules)
		return false;
	for (unsigned i = 0, at = 0; i < vm->nr_rules; i++) {
		const struct config_rule *r = &vm->rules[i];
		if (!r->nets || r->nets >> net & 1)
			(*rules)[at++] = (struct net_rule){.incoming = r->incoming,
							   .drop = r->drop,
							   .ethertype = r->ethertype,
							   .protocol = r->protocol,
							   .source = r->source,
							   .source_mask = r->source_mask,
							   .target = r->target,
							   .target_mask = r->target_mask,
							   .port_first = r->port_first,
							   .port_last = r->port_last};
	}
	return true;
}

int vm_open_nets(struct vm *vm, struct pc_config *cfg)
{
	static const char *const ids[CONFIG_MAX_NETS] = {"net1", "net2", "net3", "net4"};

	for (unsigned i = 0; i < CONFIG_MAX_NETS; i++) {
		const struct config_net *n = &vm->config->nets[i];
		struct pc_nic *nic = &cfg->nics[cfg->nr_nics];
		if (!n->bridge[0])
			continue;
		unsigned nr_rules;
		if (!rules_of(vm->config, i, &vm->rules[i], &nr_rules)) {
			log_error("%s: net%u: no memory for its filter", vm->name, i + 1);
			return ERR_NOMEM;
		}
		vm->bridges[i] = find_or_make(n->bridge);
		if (!vm->bridges[i]) {
			log_error("%s: net%u: no memory for bridge %s", vm->name, i + 1, n->bridge);
			return ERR_NOMEM;
		}
		vm->bridges[i]->users++;
		nic->id = ids[i];
		nic->model = n->model;
		nic->polled = n->polled;
		nic->port = (struct bridge_nic){.bridge = &vm->bridges[i]->bridge,
						.flags = n->spoof ? 0 : NET_ANTI_SPOOF,
						.rate = n->rate,
						.rules = vm->rules[i],
						.nr_rules = nr_rules,
						.payer = &vm->guest.group};
		config_net_mac(vm->config, vm->index, i, nic->port.address);
		cfg->nr_nics++;
	}
	return 0;
}

void vm_close_nets(struct vm *vm)
{
	for (unsigned i = 0; i < CONFIG_MAX_NETS; i++) {
		if (vm->bridges[i])
			leave(vm->bridges[i]);
		vm->bridges[i] = NULL;
		heap_free(vm->rules[i]);
		vm->rules[i] = NULL;
	}
}

struct net_switch *vm_bridge_switch(struct vm_bridge *b)
{
	return &b->bridge.sw;
}
