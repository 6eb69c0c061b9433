/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's view of the clocks: the machine's, and each VM's, whose wall clock is the operator's to set.
 */
#include "date.h"
#include "host.h"
#include "json.h"
#include "monitor.h"
#include "monitor_show.h"

#define NS_PER_S 1000000000u

struct clocks {
	const char *name;
	u32 id; /* 0: the machine */
	u64 wall_ns, cpu_ms;
};

static void show(struct json *j, const struct clocks *c)
{
	char date[DATE_MAX];
	date_format(date, c->wall_ns / NS_PER_S);
	if (j) {
		json_open(j, NULL, '{');
		json_string(j, "name", c->name);
		json_number(j, "id", c->id);
		json_number(j, "wall_ns", c->wall_ns);
		json_string(j, "wall", date);
		json_thousandths(j, "virtual_s", c->cpu_ms);
		json_close(j, '}');
		return;
	}
	date[10] = ' ';
	monitor_print("%-32s %5u  %s.%03lu %7lu.%lu\n", c->name, c->id, date, c->wall_ns / 1000000 % 1000,
		      c->cpu_ms / 1000, c->cpu_ms % 1000 / 100);
}

static void date_show(struct call *c)
{
	struct json writer = {monitor_write, false}, *j = call_option(c, 'j') ? &writer : NULL;
	if (j)
		json_open(j, NULL, '[');
	else
		monitor_print("%-32s %5s  %-23s %9s\n", "Name", "ID", "Wall clock (UTC)", "Virtual(s)");
	if (!c->vm)
		show(j, &(struct clocks){.name = "Socle",
					 .wall_ns = wall_ns_at_boot() + real_ns(),
					 .cpu_ms = real_ns() / 1000000});
	list_for_each(n, &vm_host.vms)
	{
		struct vm *vm = list_entry(n, struct vm, node);
		if (!c->vm || c->vm == vm)
			show(j, &(struct clocks){vm->name, vm->id, clock_wall(&vm->guest), vm_run_ms(vm)});
	}
	if (j) {
		json_close(j, ']');
		monitor_print("\n");
	}
}

void command_date(struct call *c)
{
	u64 seconds;
	if (c->nr_words < 2)
		date_show(c);
	else if (strcmp(c->words[1], "host") == 0)
		clock_set_wall(&c->vm->guest, wall_ns_at_boot() + real_ns());
	else if (date_parse(c->words[1], &seconds) && seconds <= UINT64_MAX / NS_PER_S)
		clock_set_wall(&c->vm->guest, seconds * NS_PER_S);
	else
		monitor_error(c, "\"%.40s\": expected host, or a date of 1970 to 2554 as 2026-11-21T15:04:05",
			      c->words[1]);
}
