/* SPDX-License-Identifier: Apache-2.0 */
/* What VMs of one tenant have together; see tenant.h. */
#include "tenant.h"

#include "vm.h"

static struct tenant tenants[CONFIG_MAX_TENANTS];

void tenants_init(void)
{
	const struct config *c = &vm_host.config;
	for (unsigned i = 0; i < c->nr_tenants; i++) {
		tenants[i] = (struct tenant){.config = &c->tenants[i], .memory = c->tenants[i].memory};
		sched_quota_init(&tenants[i].quota);
		sched_quota_set(&tenants[i].quota, c->tenants[i].cap); /* the parser knows the range */
	}
}

unsigned tenants_count(void)
{
	return vm_host.config.nr_tenants;
}

struct tenant *tenant_at(unsigned index)
{
	return &tenants[index];
}

struct tenant *tenant_find(const char *name)
{
	for (unsigned i = 0; i < tenants_count(); i++)
		if (strcmp(tenants[i].config->name, name) == 0)
			return &tenants[i];
	return NULL;
}

unsigned tenant_vms(const struct tenant *t, u64 *memory)
{
	unsigned count = 0;
	*memory = 0;
	list_for_each(n, &vm_host.vms)
	{
		const struct vm *vm = list_entry(n, struct vm, node);
		if (!vm->tenant || vm->tenant->config != t->config)
			continue;
		count++;
		*memory += vm->config->memory;
	}
	return count;
}

u64 tenant_ticks(const struct tenant *t, u64 now)
{
	u64 ticks = t->past_ticks;
	list_for_each(n, &vm_host.vms) if (list_entry(n, struct vm, node)->tenant == t) ticks +=
	    vm_ticks(list_entry(n, struct vm, node), now);
	return ticks;
}

int tenant_admit(const struct tenant *t, u64 bytes, char *why, size_t why_size)
{
	u64 has;
	tenant_vms(t, &has);
	if (!t->memory || has + bytes <= t->memory)
		return 0;
	snprintf(why, why_size,
		 "memory: %lu MiB asked for, %lu MiB left of tenant %s's %lu MiB: expected less", bytes >> 20,
		 (t->memory - MIN(has, t->memory)) >> 20, t->config->name, t->memory >> 20);
	return ERR_NOMEM;
}

int tenant_set_memory(struct tenant *t, u64 bytes, char *why, size_t why_size)
{
	u64 has;
	tenant_vms(t, &has);
	if (bytes && bytes < has) {
		snprintf(why, why_size, "its VMs have %lu MiB: expected that at least, or 0 for no limit",
			 ALIGN_UP(has, (u64)1 << 20) >> 20);
		return ERR_INVAL;
	}
	t->memory = bytes;
	return 0;
}

int tenant_set_cap(struct tenant *t, u64 cap, char *why, size_t why_size)
{
	int rc = sched_quota_set(&t->quota, cap);
	if (rc)
		snprintf(why, why_size, "expected percent of one CPU, 0 for no cap, up to %u", SCHED_CAP_MAX);
	return rc;
}
