/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's commands as data: a new command is a new row here. Completion and help read it. */
#include "monitor.h"
#include "tenant.h"

#define VM_FIRST                                                                                             \
	{                                                                                                    \
		WORD_VM, WORD_NUMBER                                                                         \
	}

const struct command monitor_commands[] = {
    {"check",
     "",
     0,
     0,
     {0},
     command_check,
     "",
     "look whether memory, tasks and clocks are as they must be",
     "check"},
    {"console", "", 1, 1, VM_FIRST, command_console, "VM", "bring a guest's console to the foreground",
     "console web"},
    {"create",
     "p",
     0,
     1,
     {WORD_CONFIG},
     command_create,
     "[-p] [NAME]",
     "make and start a VM: of the configuration by its NAME, or from text typed next; -p: paused",
     "create web\n  create\n  > [vm tiny]\n  > memory = 16M\n  > kernel = boot/tiny.elf\n  > ."},
    {"date", "j", 0, 2, VM_FIRST, command_date, "[-j] [VM [DATE|host]]",
     "the wall clocks, UTC, shown or a VM's set; and virtual time: how long it has run",
     "date\n  date web 2026-11-21T15:04:05\n  date web host"},
    {"debug-dump", "", 1, 1, VM_FIRST, command_debug_dump, "VM",
     "registers of its vCPUs and its memory to the log", "debug-dump web"},
    {"destroy", "n", 1, 1, VM_FIRST, command_destroy, "[-n] VM",
     "end a VM at once and free what it has; -n: do not wait until it is gone", "destroy web"},
    {"dmesg",
     "j",
     0,
     1,
     {WORD_NUMBER},
     command_dmesg,
     "[-j] [LINES]",
     "the last lines of Socle's log, 20 or LINES",
     "dmesg 100"},
    {"exit", "", 0, 0, {0}, command_quit, "", "leave the monitor, as quit and Ctrl-D", "exit"},
    {"help",
     "",
     0,
     1,
     {WORD_COMMAND},
     command_help,
     "[COMMAND]",
     "this list, or more about one command",
     "help create"},
    {"info", "j", 0, 0, {0}, command_info, "[-j]", "what the machine has, and how it is used", "info"},
    {"list", "j", 0, 1, VM_FIRST, command_list, "[-j] [VM]", "the VMs: memory, vCPUs, state, CPU time",
     "list\n  list -j web"},
    {"pause", "", 1, 1, VM_FIRST, command_pause, "VM", "stop a VM's vCPUs, until unpause", "pause web"},
    {"quit", "", 0, 0, {0}, command_quit, "", "leave the monitor; VMs go on", "quit"},
    {"reset", "", 1, 1, VM_FIRST, command_reset, "VM", "start a VM anew, as its reset button", "reset web"},
    {"sched", "j", 0, 6, VM_FIRST, command_sched, "[-j] [VM [NAME=NUMBER...]]",
     "the scheduler's parameters, shown or set: weight, cap, warp, warp_limit, unwarp",
     "sched\n  sched web weight=512 cap=50"},
    {"shutdown", "w", 1, 1, VM_FIRST, command_shutdown, "[-w] VM",
     "press a VM's power button (ACPI); -w: wait until it is gone", "shutdown -w web"},
    {"stats", "j", 1, 1, VM_FIRST, command_stats, "[-j] VM", "a VM's exits, by reason and by device",
     "stats web"},
    {"tenant",
     "j",
     0,
     3,
     {WORD_TENANT},
     command_tenant,
     "[-j] [NAME [cap=PERCENT] [memory=MIB]]",
     "tenants: what their VMs have together, and may have; shown or set",
     "tenant\n  tenant acme cap=150 memory=2048"},
    {"top",
     "djn",
     0,
     0,
     {0},
     command_top,
     "[-n] [-d] [-j]",
     "the VMs' use of the CPUs, every second until a key; -n: once, -d: disks and networks, -j: as JSON",
     "top -n"},
    {"trace", "edj", 1, 2, VM_FIRST, command_trace, "[-e|-d|-j] VM [VCPU]",
     "the last exits of a vCPU; -e, -d: record them, or no longer", "trace -e web\n  trace web 0"},
    {"unpause", "", 1, 1, VM_FIRST, command_unpause, "VM", "let a paused VM go on", "unpause web"},
    {"vcpu-list", "j", 0, 1, VM_FIRST, command_vcpu_list, "[-j] [VM]", "the vCPUs: CPU, state, time",
     "vcpu-list web"},
    {"vcpu-pin", "", 3, 3, VM_FIRST, command_vcpu_pin, "VM VCPU|all CPUS|all",
     "the CPUs that may run a vCPU: numbers, ranges, all", "vcpu-pin web 0 1\n  vcpu-pin web all 0,2-3"},
};
const unsigned monitor_nr_commands = ARRAY_SIZE(monitor_commands);

void command_help(struct call *c)
{
	if (!c->nr_words) {
		for (unsigned i = 0; i < monitor_nr_commands; i++)
			monitor_print("%-11s %-18s %s\n", monitor_commands[i].name, monitor_commands[i].usage,
				      monitor_commands[i].help);
		monitor_print(
		    "VM is a name or a number of list; Tab completes, arrows move and bring back lines,\n"
		    "; separates commands, Ctrl-C ends one that waits, Ctrl-D leaves.\n"
		    "Ctrl-] 1 to 9 is a guest's console, Ctrl-] ? shows all keys.\n");
		return;
	}
	const struct command *row = command_find(monitor_commands, monitor_nr_commands, c->words[0]);
	if (!row) {
		monitor_error(c, "no command \"%.40s\": \"help\" shows what there is", c->words[0]);
		return;
	}
	monitor_print("%s %s\n  %s\nExample:\n  %s\n", row->name, row->usage, row->help, row->example);
}

/* ---- completion ---- */

/* Those of its VMs that are not there. */
static void candidates_of_section(const struct config_vm *section, void (*fn)(void *opaque, const char *word),
				  void *opaque)
{
	char name[CONFIG_NAME_MAX];
	for (unsigned i = 0; i < section->count; i++) {
		config_vm_name(section, i, name);
		if (!vm_find(name))
			fn(opaque, name);
	}
}

void monitor_candidates(enum word_kind kind, void (*fn)(void *opaque, const char *word), void *opaque)
{
	switch (kind) {
	case WORD_COMMAND:
		for (unsigned i = 0; i < monitor_nr_commands; i++)
			fn(opaque, monitor_commands[i].name);
		break;
	case WORD_VM:
		list_for_each(n, &vm_host.vms) fn(opaque, list_entry(n, struct vm, node)->name);
		break;
	case WORD_CONFIG:
		for (unsigned i = 0; i < vm_host.config.nr_vms; i++)
			candidates_of_section(&vm_host.config.vms[i], fn, opaque);
		break;
	case WORD_TENANT:
		for (unsigned i = 0; i < tenants_count(); i++)
			fn(opaque, tenant_at(i)->config->name);
		break;
	case WORD_TEXT:
	case WORD_NUMBER:
		break;
	}
}

#define CANDIDATES_SHOWN 8

void monitor_show_candidate(void *opaque, const char *word)
{
	unsigned *count = opaque;
	if (++*count <= CANDIDATES_SHOWN)
		monitor_print("%s%s", *count > 1 ? ", " : " ", word);
	else if (*count == CANDIDATES_SHOWN + 1)
		monitor_print(", ...");
}

struct matches {
	const char *prefix;
	size_t length; /* of the prefix */
	unsigned count;
	char common[64]; /* what all have */
	bool show;
};

static void match(void *opaque, const char *word)
{
	struct matches *m = opaque;
	size_t n = 0;
	if (strncmp(word, m->prefix, m->length) != 0)
		return;
	if (m->show)
		monitor_print("%s%s", m->count ? "  " : "\n", word);
	if (!m->count++) {
		str_copy(m->common, word, sizeof(m->common));
		return;
	}
	while (m->common[n] && m->common[n] == word[n])
		n++;
	m->common[n] = '\0';
}

/* What the word is that begins at text + at. */
static enum word_kind kind_at(const char *text, size_t at)
{
	unsigned word = 0;
	size_t end = 0;
	while (text[end] == ' ')
		end++;
	if (end == at)
		return WORD_COMMAND;
	char name[16];
	size_t n = 0, start = end;
	while (text[end] && text[end] != ' ')
		end++;
	n = MIN(end - start, sizeof(name) - 1);
	memcpy(name, text + start, n);
	name[n] = '\0';
	const struct command *row = command_find(monitor_commands, monitor_nr_commands, name);
	for (size_t i = end; i < at; i++) /* words between, options apart */
		word += text[i] != ' ' && text[i - 1] == ' ' && text[i] != '-';
	return row && word < row->max && word < ARRAY_SIZE(row->kinds) ? row->kinds[word] : WORD_TEXT;
}

bool monitor_complete(const char *text, char *add, size_t size)
{
	size_t at = strlen(text);
	while (at && text[at - 1] != ' ')
		at--;
	struct matches m = {.prefix = text + at, .length = strlen(text + at)};
	enum word_kind kind = kind_at(text, at);
	add[0] = '\0';
	monitor_candidates(kind, match, &m);
	if (!m.count)
		return false;
	if (strlen(m.common) > m.length || m.count == 1) {
		snprintf(add, size, "%s%s", m.common + m.length, m.count == 1 ? " " : "");
		return false;
	}
	m.count = 0;
	m.show = true;
	monitor_candidates(kind, match, &m);
	monitor_print("\n");
	return true;
}
