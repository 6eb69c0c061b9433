/* SPDX-License-Identifier: Apache-2.0 */
/* The operator at the monitor, on real VMs whose vCPUs never run. Defines functions: one file of a program
 * includes it. */
#pragma once

#include "vm/tenant.h"
#include "vm_board.h"

#define PROMPT "socle> "
#define SECOND ((u64)1000000000)

/* ---- what else the monitor asks the machine ---- */
void log_msg(enum log_level level, const char *fmt, ...)
{
	va_list ap;
	(void)level;
	va_start(ap, fmt);
	nr_said += (size_t)snprintf(said + nr_said, sizeof(said) - nr_said, "[socle] ");
	nr_said += (size_t)vsnprintf(said + nr_said, sizeof(said) - nr_said, fmt, ap);
	nr_said += (size_t)snprintf(said + nr_said, sizeof(said) - nr_said, "\n");
	va_end(ap);
}

void log_for_each(void (*fn)(void *opaque, enum log_level level, const char *line), void *opaque)
{
	fn(opaque, LOG_INFO, "a line of the log");
}

const char *vcpu_exit_name(unsigned reason)
{
	return reason == 12 ? "HLT" : "another";
}

int vcpu_trace_set(struct vcpu *v, bool on)
{
	if (on && !v->trace)
		v->trace = heap_alloc(sizeof(*v->trace));
	v->tracing = on;
	return v->trace || !on ? 0 : ERR_NOMEM;
}

u64 page_count_free_exact(void)
{
	return pages_left;
}

u64 page_highest(void)
{
	return 0;
}

void page_for_each_free(void (*fn)(void *opaque, hpa_t pa, unsigned order), void *opaque)
{
	(void)fn, (void)opaque;
}

u64 wall_seconds_by_cmos(void)
{
	return wall_seconds();
}

/* ---- the operator ---- */
/* The vCPUs of VMs that are to stop do so, as if they had run. */
static void stop_dying(void)
{
	list_for_each(n, &vm_host.vms)
	{
		struct guest *g = &list_entry(n, struct vm, node)->guest;
		if (g->stop == GUEST_RUNNING || !g->nr_running)
			continue;
		for (unsigned i = 0; i < g->nr_vcpus; i++) {
			struct task *t = &g->vcpus[i]->task;
			if (t->queued)
				queue_remove(sched, t);
			group_count(t, false, shim_tsc);
			t->state = TASK_DEAD;
		}
		g->nr_running = 0;
		work_queue(&g->stopped_work);
	}
}

/* What comes until all is done, or two seconds have passed. */
static const char *typed(const char *bytes)
{
	nr_said = 0;
	said[0] = '\0';
	monitor_input((const u8 *)bytes, strlen(bytes));
	for (unsigned i = 0; i < 8; i++) {
		work_run(sched);
		stop_dying();
		work_run(sched);
		shim_tsc += SECOND / 4;
		timer_run(shim_tsc);
	}
	work_run(sched);
	return said;
}

/* The command's own output: without the echo of the line, and the prompt behind it. */
static const char *ask(const char *line)
{
	char text[512];
	snprintf(text, sizeof(text), "%s\r", line);
	char *start = strchr(typed(text), '\n'), *end = NULL;
	assert_non_null(start);
	for (char *p = start; (p = strstr(p, PROMPT)); p++)
		end = p;
	if (!end)
		fail_msg("\"%s\" did not come to an end: %s", line, said);
	while (end > start + 1 && end[-1] == '\r')
		end--;
	*end = '\0';
	return start + 1;
}

static const char config_text[] = "[vm a]\nmemory = 8\nkernel = k.elf\nvcpus = 2\n"
				  "[vm 2b.c-d_e]\nmemory = 4\nkernel = k.elf\nconsole = none\n"
				  "[vm abcdefghijklmnopqrstuvwxyz01234]\nmemory = 4\nkernel = k.elf\n"
				  "[vm kept]\nmemory = 4\nkernel = k.elf\non_crash = preserve\n"
				  "[vm back]\nmemory = 4\nkernel = k.elf\non_crash = restart\n"
				  "[vm w]\nmemory = 4\nkernel = k.elf\ncount = 3\n"
				  "[vm huge]\nmemory = 6G\nkernel = k.elf\n";

static const char *config_used = config_text;

static int monitor_on(void **state)
{
	struct config_error err;
	machine(state);
	vm_host.config.room = config_count_sections(config_used, strlen(config_used));
	vm_host.config.vms = calloc(vm_host.config.room, sizeof(struct config_vm));
	if (config_parse(&vm_host.config, config_used, strlen(config_used), &err))
		fail_msg("line %u: %s: %s", err.line, err.key, err.text);
	tenants_init();
	vm_host.config.socle.on_idle = ON_IDLE_WAIT;
	monitor_open();
	typed("");
	return 0;
}

static int monitor_off(void **state)
{
	monitor_left();
	work_run(sched);
	free(vm_host.config.vms);
	return machine_off(state);
}

static inline void crash(const char *name)
{
	guest_fail(&vm_find(name)->guest, "a crash");
	typed("");
}

static inline void everybody(void)
{
	ask("create a; create 2b.c-d_e; create -p abcdefghijklmnopqrstuvwxyz01234; create kept; create w-2");
	crash("kept");
}

static void assert_held(struct holdings before)
{
	assert_int_equal(pages, before.pages);
	assert_int_equal(blocks, before.blocks);
	assert_int_equal(stacks, before.stacks);
	assert_int_equal(streams, before.streams);
}

static void nobody_left(struct holdings before)
{
	while (!list_empty(&vm_host.vms)) {
		char line[64];
		snprintf(line, sizeof(line), "destroy %s",
			 list_entry(vm_host.vms.next, struct vm, node)->name);
		ask(line);
	}
	assert_int_equal(vm_host.nr_alive, 0);
	assert_null(sched->ready.first);
	assert_held(before);
}

/* Before the first test. */
static int once(void **state)
{
	(void)state;
	fail_after = -1;
	vm_console_init();
	return 0;
}

#define T(name) cmocka_unit_test_setup_teardown(name, monitor_on, monitor_off)
