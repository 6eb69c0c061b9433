/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants (private to vm/): groups of VMs, and what all VMs of one may have together. They are those of the
 * configuration, for as long as the machine runs; VMs come to one and go. */
#pragma once

#include "config.h"
#include "sched.h"

struct vm;

struct tenant {
	const struct config_tenant *config; /* name, and what it was given at first */
	struct sched_quota quota;
	u64 memory;     /* bytes that its VMs may have, 0: no limit */
	u64 past_ticks; /* of its VMs' lives that have ended: TSC ticks of all CPUs */
};

/* Once the configuration is there, before the first VM. */
void tenants_init(void);
unsigned tenants_count(void);
struct tenant *tenant_at(unsigned index);
/* NULL: there is none of that name, or the name is "". */
struct tenant *tenant_find(const char *name);
/* Of the VMs that it has now: how many, and their memory in bytes. */
unsigned tenant_vms(const struct tenant *t, u64 *memory);
/* Of all CPUs for its VMs so far: TSC ticks. */
u64 tenant_ticks(const struct tenant *t, u64 now);
/* A VM of so much memory may come to it; else ERR_NOMEM, and the reason is in why. */
int tenant_admit(const struct tenant *t, u64 bytes, char *why, size_t why_size);
/* ERR_INVAL, with what was expected in why: its VMs have more already, or it is no quota. */
int tenant_set_memory(struct tenant *t, u64 bytes, char *why, size_t why_size);
int tenant_set_cap(struct tenant *t, u64 cap, char *why, size_t why_size);
