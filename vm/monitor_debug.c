/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's commands that look into Socle and into a guest. */
#include "host.h"
#include "json.h"
#include "log.h"
#include "monitor.h"

/* ---- dmesg ---- */

#define DMESG_LINES 20

struct line_count {
	u64 seen, skip;
	struct json *j; /* NULL: for people */
};

static void line_counted(void *opaque, enum log_level level, const char *line)
{
	struct line_count *c = opaque;
	(void)level, (void)line;
	c->seen++;
}

static void line_shown(void *opaque, enum log_level level, const char *line)
{
	static const char *const levels[] = {
	    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
	struct line_count *c = opaque;
	if (c->seen++ < c->skip)
		return;
	if (!c->j) {
		monitor_print("%s\n", line);
		return;
	}
	json_open(c->j, NULL, '{');
	json_string(c->j, "level", levels[level]);
	json_string(c->j, "line", line);
	json_close(c->j, '}');
}

void command_dmesg(struct call *c)
{
	u64 wanted = DMESG_LINES;
	struct json writer = {monitor_write, false};
	struct line_count count = {.j = call_option(c, 'j') ? &writer : NULL};
	if (c->nr_words && (!word_number(c->words[0], &wanted) || !wanted)) {
		monitor_error(c, "\"%.40s\": expected a number of lines", c->words[0]);
		return;
	}
	log_for_each(line_counted, &count);
	count.skip = count.seen - MIN(count.seen, wanted);
	count.seen = 0;
	if (count.j)
		json_open(count.j, NULL, '[');
	log_for_each(line_shown, &count);
	if (count.j) {
		json_close(count.j, ']');
		monitor_print("\n");
	}
}

/* ---- trace ---- */

static void trace_row(const struct vcpu_trace_entry *t, u64 before)
{
	u64 ns = tsc_to_ns(t->tsc - MIN(t->tsc, before));
	monitor_print("%8lu.%03lu us  rip %016lx  %-20s qualification %lx\n", ns / 1000, ns % 1000, t->rip,
		      vcpu_exit_name(t->reason), t->qualification);
}

/* Addresses as text: a number in JSON has 53 bits. */
static void json_hex(struct json *j, const char *key, u64 value)
{
	char text[24];
	snprintf(text, sizeof(text), "0x%lx", value);
	json_string(j, key, text);
}

static void trace_json(const struct call *c, const struct vcpu *v, const struct vcpu_trace *t)
{
	struct json j = {monitor_write, false};
	u64 count = t ? __atomic_load_n(&t->count, __ATOMIC_ACQUIRE) : 0;
	json_open(&j, NULL, '{');
	json_string(&j, "name", c->vm->name);
	json_number(&j, "id", c->vm->id);
	json_number(&j, "vcpu", v->id);
	json_number(&j, "recorded", count);
	json_open(&j, "exits", '[');
	for (u64 i = count - MIN(count, (u64)VCPU_TRACE_ENTRIES); i < count; i++) {
		struct vcpu_trace_entry e = t->entry[i % VCPU_TRACE_ENTRIES];
		json_open(&j, NULL, '{');
		json_number(&j, "at_ns", tsc_to_ns(e.tsc));
		json_hex(&j, "rip", e.rip);
		json_string(&j, "reason", vcpu_exit_name(e.reason));
		json_hex(&j, "qualification", e.qualification);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	monitor_print("\n");
}

static void trace_show(struct call *c, const struct vcpu *v)
{
	const struct vcpu_trace *t = __atomic_load_n(&v->trace, __ATOMIC_ACQUIRE);
	if (call_option(c, 'j')) {
		trace_json(c, v, t);
		return;
	}
	if (!t) {
		monitor_error(c, "nothing is recorded of %s: expected trace -e %s first", c->vm->name,
			      c->vm->name);
		return;
	}
	u64 count = __atomic_load_n(&t->count, __ATOMIC_ACQUIRE), n = MIN(count, (u64)VCPU_TRACE_ENTRIES),
	    before = 0;
	monitor_print("%s vCPU %u: %lu exits recorded, the last %lu:\n", c->vm->name, v->id, count, n);
	for (u64 i = count - n; i < count; i++) {
		struct vcpu_trace_entry e = t->entry[i % VCPU_TRACE_ENTRIES];
		trace_row(&e, before ? before : e.tsc);
		before = e.tsc;
	}
}

void command_trace(struct call *c)
{
	u64 id = 0;
	bool on = call_option(c, 'e'), off = call_option(c, 'd');
	struct guest *g = &c->vm->guest;
	if (on + off + call_option(c, 'j') > 1) {
		monitor_error(c, "expected one of -e, -d and -j");
		return;
	}
	if (c->nr_words > 1 && (!word_number(c->words[1], &id) || id >= g->nr_vcpus)) {
		monitor_error(c, "\"%.40s\": expected a vCPU from 0 to %u", c->words[1], g->nr_vcpus - 1);
		return;
	}
	for (unsigned i = 0; (on || off) && i < g->nr_vcpus; i++)
		if ((c->nr_words < 2 || i == id) && vcpu_trace_set(g->vcpus[i], on))
			monitor_error(c, "no memory");
	if (!on && !off)
		trace_show(c, g->vcpus[id]);
}

/* ---- debug-dump ---- */

void command_debug_dump(struct call *c)
{
	const struct vm *vm = c->vm;
	const struct gmem *m = &vm->guest.mem;
	log_info("%s: id %u, %s, %lu KiB of %lu KiB populated, %lu KiB of EPT tables", vm->name, vm->id,
		 vm_state_text(vm), m->populated_pages << 2, m->limit_pages << 2,
		 vm->guest.ept.table_pages << 2);
	for (unsigned i = 0; i < m->nr_slots; i++)
		log_info("%s  memory 0x%lx to 0x%lx%s", vm->name, m->slots[i].base,
			 m->slots[i].base + m->slots[i].length - 1,
			 m->slots[i].flags & GMEM_READONLY ? ", read-only" : "");
	guest_dump(&c->vm->guest);
}
