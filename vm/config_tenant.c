/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants in socle.conf: tenant = NAME of a VM, and the [tenant NAME] sections that they name. */
#include "config_internal.h"

int config_set_name(struct config_parser *p, const struct config_key *key, struct span value, void *field)
{
	if (value.n >= CONFIG_NAME_MAX)
		return config_fail_value(p, key, value);
	memcpy(field, value.s, value.n);
	((char *)field)[value.n] = '\0';
	return 0;
}

const struct config_tenant *config_find_tenant(const struct config *c, const char *name)
{
	for (; c; c = c->outer)
		for (unsigned i = 0; i < c->nr_tenants; i++)
			if (strcmp(c->tenants[i].name, name) == 0)
				return &c->tenants[i];
	return NULL;
}

static int check_vm(struct config_parser *p, const struct config_vm *vm)
{
	if (!vm->tenant[0] || config_find_tenant(p->config, vm->tenant))
		return 0;
	p->line = config_key_line(vm, "tenant");
	return config_fail(p, "tenant", "no [tenant %s] section: expected the name of one", vm->tenant);
}

/* VMs that start by themselves; the others are looked at when they are created. */
static int check_memory(struct config_parser *p, const struct config_tenant *t)
{
	u64 sum = 0;
	for (const struct config_vm *vm = p->config->vms; vm < p->config->vms + p->config->nr_vms; vm++) {
		if (strcmp(vm->tenant, t->name) != 0)
			continue;
		u64 wanted = vm->autostart ? sum + vm->count * vm->memory : vm->memory;
		if (wanted > t->memory) {
			p->line = config_key_line(vm, "memory");
			return config_fail(p, "memory",
					   "%lu MiB with what other VMs of tenant %s have: expected at most "
					   "%lu MiB (line %u)",
					   wanted >> 20, t->name, t->memory >> 20, t->line);
		}
		sum = vm->autostart ? wanted : sum;
	}
	return 0;
}

int config_check_tenants(struct config_parser *p)
{
	int err = 0;
	for (unsigned i = 0; i < p->config->nr_vms && !err; i++)
		err = check_vm(p, &p->config->vms[i]);
	for (unsigned i = 0; i < p->config->nr_tenants && !err; i++)
		if (p->config->tenants[i].memory)
			err = check_memory(p, &p->config->tenants[i]);
	return err;
}
