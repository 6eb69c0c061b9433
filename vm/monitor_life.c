/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's commands that change what runs. */
#include "host.h"
#include "monitor.h"

/* What may be typed for create: a section with its longest command line. */
#define TEXT_MAX 4096
#define SECTIONS_MAX 16 /* of it that are read before the answer is that one was expected */

/* A configuration being typed. text NULL: none is. */
static struct {
	char *text;
	size_t n;
	bool paused;
} typed;

static int start(const struct config_vm *config, unsigned index, bool is_typed, bool paused)
{
	struct vm *vm;
	int rc = vm_create(config, index, is_typed, &vm);
	if (rc)
		return rc; /* it has said why */
	if (paused)
		vm_pause(vm);
	vm_start(vm);
	return 0;
}

/* ---- create from text ---- */

static void typed_forget(void)
{
	heap_free(typed.text);
	typed.text = NULL;
}

static void typed_create(void)
{
	char line[256];
	struct config_error err;
	struct config c = {.room = MIN(config_count_sections(typed.text, typed.n), (unsigned)SECTIONS_MAX),
			   .outer = &vm_host.config};
	c.vms = heap_alloc(c.room * sizeof(*c.vms));
	if (!c.vms) {
		monitor_print("create: no memory\n");
		return;
	}
	if (config_parse(&c, typed.text, typed.n, &err)) {
		config_format_error(line, sizeof(line), "create", &err);
		monitor_print("%s\n", line);
	} else if (c.socle_line || c.nr_tenants) {
		monitor_print("create:%u: [%s] is for the whole machine: expected one [vm NAME]\n",
			      c.socle_line ? c.socle_line : c.tenants[0].line,
			      c.socle_line ? "socle" : "tenant");
	} else if (c.nr_vms != 1) {
		monitor_print("create: %u sections: expected one [vm NAME]\n", c.nr_vms);
	} else {
		for (unsigned i = 0; i < c.vms[0].count; i++)
			if (start(&c.vms[0], i, true, typed.paused))
				break;
	}
	heap_free(c.vms);
}

/* One line of the text; a dot alone ends it. */
static bool typed_line(const char *line)
{
	size_t n = line ? strlen(line) : 0;
	bool end = line && strcmp(line, ".") == 0;
	if (end)
		typed_create();
	if (!end && line && typed.n + n + 1 <= TEXT_MAX) {
		memcpy(typed.text + typed.n, line, n);
		typed.text[typed.n + n] = '\n';
		typed.n += n + 1;
		return true;
	}
	if (!end && line)
		monitor_print("create: the text is too long: expected at most %u characters\n", TEXT_MAX);
	typed_forget();
	return false;
}

void command_create(struct call *c)
{
	bool paused = call_option(c, 'p');
	if (!c->nr_words) {
		typed.text = heap_alloc(TEXT_MAX);
		typed.n = 0;
		typed.paused = paused;
		if (!typed.text) {
			monitor_error(c, "no memory");
			return;
		}
		monitor_print(
		    "A [vm NAME] section follows; a line with a dot alone ends it, Ctrl-C drops it.\n");
		monitor_read_lines("> ", typed_line);
		return;
	}
	unsigned index, count = 0;
	const struct config_vm *section = config_find(&vm_host.config, c->words[0], &index);
	if (section) {
		start(section, index, false, paused);
		return;
	}
	monitor_print("create: no [vm %.40s] in the configuration: expected", c->words[0]);
	monitor_candidates(WORD_CONFIG, monitor_show_candidate, &count);
	monitor_print(count ? "\n" : " text (create alone): all of the configuration's are there\n");
}

/* ---- the others ---- */

/* A VM in a state that does not allow this. */
static void wrong_state(struct call *c, const char *expected)
{
	monitor_error(c, "%s is %s: expected %s", c->vm->name, vm_state_text(c->vm), expected);
}

void command_pause(struct call *c)
{
	if (vm_pause(c->vm))
		wrong_state(c, "a running VM");
}

void command_unpause(struct call *c)
{
	if (vm_unpause(c->vm))
		wrong_state(c, "a paused VM");
}

void command_reset(struct call *c)
{
	if (vm_reset(c->vm) == ERR_INVAL)
		wrong_state(c, "a VM that is not ending");
}

static bool vm_still_there(u64 id)
{
	list_for_each(n, &vm_host.vms) if (list_entry(n, struct vm, node)->id == id) return true;
	return false;
}

/* A VM that is kept has ended as well. */
static bool vm_still_runs(u64 id)
{
	list_for_each(n, &vm_host.vms) if (list_entry(n, struct vm, node)->id ==
					   id) return list_entry(n, struct vm, node)
		->state != VM_STOPPED;
	return false;
}

void command_shutdown(struct call *c)
{
	if (vm_power_button(c->vm)) {
		wrong_state(c, "a running VM");
		return;
	}
	if (c->vm->paused)
		monitor_print("%s is paused: it will see its power button after unpause\n", c->vm->name);
	else if (call_option(c, 'w'))
		monitor_wait(vm_still_runs, c->vm->id);
}

void command_destroy(struct call *c)
{
	u32 id = c->vm->id;
	vm_destroy_async(c->vm);
	if (!call_option(c, 'n'))
		monitor_wait(vm_still_there, id);
}

void command_console(struct call *c)
{
	if (!vm_console_bring(c->vm))
		monitor_error(c, "%s has none (console = none): expected a VM with a console", c->vm->name);
}

void monitor_close(void)
{
	if (vm_console_bring(NULL))
		return;
	if (vm_host.nr_alive || !list_empty(&vm_host.vms) || vm_host.config.socle.on_idle == ON_IDLE_WAIT) {
		monitor_print("there is no guest's console to go to\n");
		return;
	}
	monitor_left();
	vm_check_idle();
}

void command_quit(struct call *c)
{
	(void)c;
	monitor_close();
}
