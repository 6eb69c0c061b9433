/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's top: how much of the CPUs each VM used since the last look; and what went through its disks
 * and network interfaces since it started, as xentop shows it. */
#include "host.h"
#include "json.h"
#include "monitor.h"
#include "monitor_show.h"

#define PERIOD_NS 1000000000u
#define KEY_DEVICES 'd'
#define CLEAR_LINE "\x1b[K\n" /* what stood there before (ECMA-48 8.3.41) */

static struct {
	struct timer timer;
	bool ready; /* the timer is set up */
	bool due;
	bool devices;        /* disks and networks are shown, not memory and exits */
	u64 last_ms, now_ms; /* of this machine: the last look, and this one */
} top;

static u64 exits_of(const struct vm *vm)
{
	u64 sum = 0;
	for (unsigned i = 0; i < vm->guest.nr_vcpus; i++)
		for (unsigned r = 0; r < VCPU_EXIT_REASONS; r++)
			sum += vm->guest.vcpus[i]->exits[r];
	return sum;
}

/* In tenths of a percent of one CPU. */
static u64 share(u64 ms, u64 period_ms)
{
	return period_ms ? ms * 1000 / period_ms : 0;
}

static void row_cpu(const struct vm *vm, const char *letters, u64 run, u64 used, u64 rate)
{
	monitor_print("%-20s %5u %s %8lu.%lu %5lu.%lu %7lu %7lu %5u %9lu" CLEAR_LINE, vm->name, vm->id,
		      letters, run / 1000, run % 1000 / 100, used / 10, used % 10, vm->config->memory >> 20,
		      vm->guest.mem.populated_pages >> 8, vm->config->vcpus, rate);
}

static void row_devices(const struct vm *vm, const char *letters, u64 used)
{
	struct vm_io io;

	vm_io(vm, &io);
	monitor_print("%-20s %5u %s %5lu.%lu %9lu %9lu %9lu %9lu" CLEAR_LINE, vm->name, vm->id, letters,
		      used / 10, used % 10, io.disk_ops[0], io.disk_ops[1], io.net_bytes[0] >> 10,
		      io.net_bytes[1] >> 10);
}

static void head(void)
{
	if (top.devices)
		monitor_print("%-20s %5s %6s %7s %9s %9s %9s %9s" CLEAR_LINE, "NAME", "ID", "STATE", "CPU(%)",
			      "VBD_RD", "VBD_WR", "NETTX(k)", "NETRX(k)");
	else
		monitor_print("%-20s %5s %6s %10s %7s %7s %7s %5s %9s" CLEAR_LINE, "NAME", "ID", "STATE",
			      "CPU(sec)", "CPU(%)", "MEM(M)", "USED(M)", "VCPUS", "EXITS/s");
}

static void row(struct json *j, struct vm *vm)
{
	char letters[8];
	u64 run = vm_used_ms(vm), exits = exits_of(vm), period = top.now_ms - top.last_ms;
	u64 used = share(run - MIN(run, vm->top.used_ms), period);
	u64 rate = period ? (exits - MIN(exits, vm->top.exits)) * 1000 / period : 0;
	vm->top.used_ms = run;
	vm->top.exits = exits;
	vm_state_letters(vm, letters);
	if (!j) {
		if (top.devices)
			row_devices(vm, letters, used);
		else
			row_cpu(vm, letters, run, used, rate);
		return;
	}
	json_open(j, NULL, '{');
	json_string(j, "name", vm->name);
	json_number(j, "id", vm->id);
	json_string(j, "state", letters);
	json_thousandths(j, "time_s", run);
	json_thousandths(j, "cpu", used);
	json_number(j, "memory_mib", vm->config->memory >> 20);
	json_number(j, "populated_mib", vm->guest.mem.populated_pages >> 8);
	json_number(j, "exits_per_s", rate);
	io_json(j, vm);
	json_close(j, '}');
}

static void show(bool as_json)
{
	struct json writer = {monitor_write, false}, *j = as_json ? &writer : NULL;
	top.now_ms = tsc_to_ns(tsc_now()) / 1000000;
	if (j) {
		json_open(j, NULL, '[');
	} else {
		monitor_print(
		    "top - up %lu.%lu s, %u running, %u CPU%s, memory: %lu MiB, %lu MiB free" CLEAR_LINE,
		    top.now_ms / 1000, top.now_ms % 1000 / 100, vm_host.nr_alive, cpu_count(),
		    cpu_count() == 1 ? "" : "s", page_count_total() >> 8,
		    (page_count_free() + gmem_idle_pages()) >> 8);
		head();
	}
	list_for_each(n, &vm_host.vms) row(j, list_entry(n, struct vm, node));
	if (j) {
		json_close(j, ']');
		monitor_print("\n");
	}
	top.last_ms = top.now_ms;
}

static void tick(void *opaque)
{
	(void)opaque;
	top.due = true;
	monitor_wake();
}

/* The timer is the boot CPU's, and only armed while top runs. */
static bool refresh(u64 arg)
{
	(void)arg;
	int key = monitor_key();
	if (key == KEY_DEVICES) {
		top.devices = !top.devices;
	} else if (key >= 0 || !monitor_is_open()) {
		timer_cancel(&top.timer);
		monitor_write("\n", 1);
		return false;
	}
	if (top.due) {
		top.due = false;
		monitor_print("\x1b[H");
		show(false);
		monitor_print("any key ends top; d: %s\x1b[K\x1b[J",
			      top.devices ? "memory and exits" : "disks and networks");
		timer_set(&top.timer, tsc_now() + ns_to_tsc(PERIOD_NS));
	}
	return true;
}

/* What top -n compares with: the last look, if it is not too near. */
static bool second_look(u64 as_json)
{
	if (!top.due)
		return monitor_is_open();
	show(as_json);
	return false;
}

/* The first look only notes where the VMs stand. */
static void first_look(void)
{
	top.last_ms = tsc_to_ns(tsc_now()) / 1000000;
	list_for_each(n, &vm_host.vms)
	{
		struct vm *vm = list_entry(n, struct vm, node);
		vm->top.used_ms = vm_used_ms(vm);
		vm->top.exits = exits_of(vm);
	}
}

void command_top(struct call *c)
{
	bool once = call_option(c, 'n') || call_option(c, 'j');
	if (!top.ready)
		timer_init(&top.timer, tick, NULL, NULL);
	top.ready = true;
	top.devices = call_option(c, 'd');
	top.due = !once;
	first_look();
	if (once)
		timer_set(&top.timer, tsc_now() + ns_to_tsc(PERIOD_NS));
	else
		monitor_print("\x1b[H\x1b[J");
	monitor_wait(once ? second_look : refresh, call_option(c, 'j'));
}
