/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's commands about the CPUs: what VMs get of them, and which ones. */
#include "host.h"
#include "json.h"
#include "monitor.h"
#include "poll.h"

static const char *const parameters[] = {"weight", "cap", "warp", "warp_limit", "unwarp"};

/* ---- sched ---- */

static void sched_row(struct json *j, const struct vm *vm)
{
	u64 value;
	if (j) {
		json_open(j, NULL, '{');
		json_string(j, "name", vm->name);
		json_number(j, "id", vm->id);
	} else {
		monitor_print("%-32s %5u", vm->name, vm->id);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++) {
		if (sched_get(&vm->guest.group, parameters[i], &value))
			continue;
		if (j)
			json_number(j, parameters[i], value);
		else
			monitor_print(" %10lu", value);
	}
	if (j)
		json_close(j, '}');
	else
		monitor_print("\n");
}

static void sched_show(struct call *c)
{
	struct json writer = {monitor_write, false}, *j = call_option(c, 'j') ? &writer : NULL;
	if (j) {
		json_open(j, NULL, '{');
		json_string(j, "policy", sched_policy_name());
		json_open(j, "vms", '[');
	} else {
		monitor_print("Policy: %s\n%-32s %5s", sched_policy_name(), "Name", "ID");
		for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++)
			monitor_print(" %10s", parameters[i]);
		monitor_print("\n");
	}
	list_for_each(n, &vm_host.vms) if (!c->vm || c->vm == list_entry(n, struct vm, node))
	    sched_row(j, list_entry(n, struct vm, node));
	if (j) {
		json_close(j, ']');
		json_close(j, '}');
		monitor_print("\n");
	}
}

/* One NAME=VALUE. False, and said why, when it is none. */
static bool sched_change(struct call *c, struct sched_group *g, const char *word)
{
	char why[160], name[16];
	u64 value;
	const char *equals = strchr(word, '=');
	if (!equals || !word_number(equals + 1, &value)) {
		monitor_error(
		    c, "\"%.40s\": expected NAME=NUMBER, NAME one of weight, cap, warp, warp_limit, unwarp",
		    word);
		return false;
	}
	str_copy(name, word, MIN(sizeof(name), (size_t)(equals - word) + 1));
	if (sched_set(g, name, value, why, sizeof(why)) == 0)
		return true;
	monitor_error(c, "\"%.40s\": %s", word, why);
	return false;
}

/* All of them, or none: on a group that nobody runs in they are tried first. */
void command_sched(struct call *c)
{
	struct sched_group trial;
	if (c->nr_words < 2) {
		sched_show(c);
		return;
	}
	sched_group_init(&trial);
	for (unsigned i = 1; i < c->nr_words; i++)
		if (!sched_change(c, &trial, c->words[i]))
			return;
	for (unsigned i = 1; i < c->nr_words; i++)
		sched_change(c, &c->vm->guest.group, c->words[i]);
}

/* ---- vcpu-pin ---- */

/* "all", or numbers and ranges with commas between. */
static bool cpus_parse(const char *text, u64 *mask)
{
	*mask = 0;
	if (strcmp(text, "all") == 0)
		*mask = ~(u64)0;
	while (strcmp(text, "all") != 0) {
		u64 number[2] = {0, 0};
		for (unsigned i = 0; i < 2; i++) {
			if (*text < '0' || *text > '9')
				return false;
			for (; *text >= '0' && *text <= '9' && number[i] < 64; text++)
				number[i] = number[i] * 10 + (u64)(*text - '0');
			if (i == 0 && *text != '-')
				number[++i] = number[0];
			else if (i == 0)
				text++;
		}
		if (number[0] > number[1] || number[1] >= cpu_count())
			return false;
		for (u64 n = number[0]; n <= number[1]; n++)
			*mask |= BIT(n);
		if (!*text)
			return true;
		if (*text++ != ',')
			return false;
	}
	return true;
}

void command_vcpu_pin(struct call *c)
{
	struct guest *g = &c->vm->guest;
	u64 id = 0, mask;
	bool every = strcmp(c->words[1], "all") == 0;
	if (!every && (!word_number(c->words[1], &id) || id >= g->nr_vcpus)) {
		monitor_error(c, "\"%.40s\": expected all, or a vCPU from 0 to %u", c->words[1],
			      g->nr_vcpus - 1);
		return;
	}
	if (!cpus_parse(c->words[2], &mask)) {
		monitor_error(c, "\"%.40s\": expected all, or CPUs from 0 to %u, as in 0,2-3", c->words[2],
			      sched_guest_cpus() - 1);
		return;
	}
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		if ((every || i == id) && task_set_affinity(&g->vcpus[i]->task, mask))
			monitor_error(c, "\"%.40s\": expected CPUs that run guests", c->words[2]);
}
