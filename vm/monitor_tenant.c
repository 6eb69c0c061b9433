/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's command about tenants: what they have, and what they may. */
#include "host.h"
#include "json.h"
#include "monitor.h"
#include "tenant.h"

#define MIB_MAX ((u64)16 << 20)

static void tenant_row(struct json *j, const struct tenant *t)
{
	u64 memory, ms = tsc_to_ns(tenant_ticks(t, tsc_now())) / 1000000;
	unsigned vms = tenant_vms(t, &memory);
	if (!j) {
		monitor_print("%-32s %5u %8lu %10lu %5u %7lu.%lu\n", t->config->name, vms, memory >> 20,
			      t->memory >> 20, t->quota.cap, ms / 1000, ms % 1000 / 100);
		return;
	}
	json_open(j, NULL, '{');
	json_string(j, "name", t->config->name);
	json_number(j, "vms", vms);
	json_number(j, "memory_mib", memory >> 20);
	json_number(j, "memory_limit_mib", t->memory >> 20);
	json_number(j, "cap", t->quota.cap);
	json_thousandths(j, "time_s", ms);
	json_close(j, '}');
}

static void tenants_show(const struct call *c, const struct tenant *only)
{
	struct json writer = {monitor_write, false}, *j = call_option(c, 'j') ? &writer : NULL;
	if (j)
		json_open(j, NULL, '[');
	else
		monitor_print("%-32s %5s %8s %10s %5s %9s\n", "Name", "VMs", "Mem(MiB)", "Limit(MiB)", "Cap",
			      "Time(s)");
	for (unsigned i = 0; i < tenants_count(); i++)
		if (!only || only == tenant_at(i))
			tenant_row(j, tenant_at(i));
	if (j) {
		json_close(j, ']');
		monitor_print("\n");
	}
}

/* One NAME=NUMBER, tried or done. False, and said why, when it is none. */
static bool tenant_change(struct call *c, struct tenant *t, const char *word)
{
	char why[120];
	u64 value;
	const char *equals = strchr(word, '=');
	bool cap = strncmp(word, "cap=", 4) == 0, memory = strncmp(word, "memory=", 7) == 0;
	if ((!cap && !memory) || !word_number(equals + 1, &value)) {
		monitor_error(c, "\"%.40s\": expected cap=PERCENT or memory=MIB", word);
		return false;
	}
	if (memory && value > MIB_MAX) {
		monitor_error(c, "\"%.40s\": expected MiB, 0 for no limit, up to %lu", word, MIB_MAX);
		return false;
	}
	if ((cap ? tenant_set_cap(t, value, why, sizeof(why))
		 : tenant_set_memory(t, value << 20, why, sizeof(why))) == 0)
		return true;
	monitor_error(c, "\"%.40s\": %s", word, why);
	return false;
}

void command_tenant(struct call *c)
{
	struct tenant *t = c->nr_words ? tenant_find(c->words[0]) : NULL;
	unsigned count = 0;
	if (c->nr_words && !t) {
		monitor_print("tenant: no [tenant %.40s] in the configuration: expected", c->words[0]);
		monitor_candidates(WORD_TENANT, monitor_show_candidate, &count);
		monitor_print(count ? "\n" : " no name: it has none\n");
		return;
	}
	if (c->nr_words < 2) {
		tenants_show(c, t);
		return;
	}
	/* All of them, or none: on one that nobody runs in they are tried first. */
	struct tenant trial = {.config = t->config};
	sched_quota_init(&trial.quota);
	for (unsigned i = 1; i < c->nr_words; i++)
		if (!tenant_change(c, &trial, c->words[i]))
			return;
	for (unsigned i = 1; i < c->nr_words; i++)
		tenant_change(c, t, c->words[i]);
}
