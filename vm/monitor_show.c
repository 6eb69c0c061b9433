/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's commands that show what there is; for people, and with -j for programs. */
#include "monitor_show.h"
#include "host.h"
#include "io.h"
#include "json.h"
#include "monitor.h"

u64 vm_run_ms(const struct vm *vm)
{
	return tsc_to_ns(vm_vcpu_ticks(vm, tsc_now())) / 1000000;
}

u64 vm_used_ms(const struct vm *vm)
{
	return tsc_to_ns(vm_ticks(vm, tsc_now())) / 1000000;
}

static bool vcpu_blocked(const struct vcpu *v)
{
	return __atomic_load_n(&v->task.state, __ATOMIC_RELAXED) == TASK_BLOCKED;
}

/* xl's letters: running (or ready to), blocked, paused, shut down, crashed, dying. */
void vm_state_letters(const struct vm *vm, char letters[8])
{
	bool lives = vm->state == VM_RUNNING, runs = false;
	for (unsigned i = 0; lives && !vm->paused && i < vm->guest.nr_vcpus; i++)
		runs |= !vcpu_blocked(vm->guest.vcpus[i]);
	bool crashed = vm->state == VM_STOPPED && vm->guest.stop == GUEST_CRASHED;
	snprintf(letters, 8, "%c%c%c%c%c%c", runs ? 'r' : '-', lives && !runs && !vm->paused ? 'b' : '-',
		 vm->paused ? 'p' : '-', vm->state == VM_STOPPED && !crashed ? 's' : '-', crashed ? 'c' : '-',
		 vm_is_dying(vm) ? 'd' : '-');
}

/* ---- list ---- */

void io_json(struct json *j, const struct vm *vm)
{
	struct vm_io io;

	vm_io(vm, &io);
	json_number(j, "disk_reads", io.disk_ops[0]);
	json_number(j, "disk_writes", io.disk_ops[1]);
	json_number(j, "disk_bytes_read", io.disk_bytes[0]);
	json_number(j, "disk_bytes_written", io.disk_bytes[1]);
	json_number(j, "net_bytes_sent", io.net_bytes[0]);
	json_number(j, "net_bytes_received", io.net_bytes[1]);
	json_number(j, "net_dropped", io.net_dropped);
}

static void list_row(const struct vm *vm)
{
	char letters[8];
	u64 ms = vm_used_ms(vm);
	vm_state_letters(vm, letters);
	monitor_print("%-32s %5u %5lu %5u     %s %6lu.%lu\n", vm->name, vm->id, vm->config->memory >> 20,
		      vm->config->vcpus, letters, ms / 1000, ms % 1000 / 100);
}

static void list_json(struct json *j, const struct vm *vm)
{
	char letters[8];
	vm_state_letters(vm, letters);
	json_open(j, NULL, '{');
	json_string(j, "name", vm->name);
	json_number(j, "id", vm->id);
	json_number(j, "memory_mib", vm->config->memory >> 20);
	json_number(j, "populated_mib", vm->guest.mem.populated_pages >> 8);
	json_number(j, "vcpus", vm->config->vcpus);
	json_string(j, "tenant", vm->config->tenant);
	json_number(j, "socle_kib", vm_usage(vm) >> 10);
	json_string(j, "state", letters);
	json_string(j, "state_text", vm_state_text(vm));
	json_thousandths(j, "time_s", vm_used_ms(vm));
	io_json(j, vm);
	json_close(j, '}');
}

void command_list(struct call *c)
{
	struct json j = {monitor_write, false};
	bool as_json = call_option(c, 'j');
	if (as_json)
		json_open(&j, NULL, '[');
	else
		monitor_print("%-32s %5s %5s %5s  %9s  %7s\n", "Name", "ID", "Mem", "VCPUs", "State",
			      "Time(s)");
	list_for_each(n, &vm_host.vms)
	{
		const struct vm *vm = list_entry(n, struct vm, node);
		if (c->vm && vm != c->vm)
			continue;
		if (as_json)
			list_json(&j, vm);
		else
			list_row(vm);
	}
	if (as_json) {
		json_close(&j, ']');
		monitor_print("\n");
	}
}

/* ---- info ---- */

void command_info(struct call *c)
{
	char features[200];
	u64 now_ms = tsc_to_ns(tsc_now()) / 1000000;
	unsigned count = 0;
	u64 socle = vm_socle_usage() >> 10, vms = 0, most = 0;
	list_for_each(n, &vm_host.vms)
	{
		u64 usage = vm_usage(list_entry(n, struct vm, node));
		vms += usage;
		most = MAX(most, usage);
		count++;
	}
	vmx_describe(&vm_host.caps, features, sizeof(features));
	if (call_option(c, 'j')) {
		struct json j = {monitor_write, false};
		json_open(&j, NULL, '{');
		json_number(&j, "nr_cpus", cpu_count());
		json_thousandths(&j, "cpu_mhz", tsc_hz() / 1000);
		json_number(&j, "total_memory_kib", page_count_total() << 2);
		json_number(&j, "free_memory_kib", (page_count_free() + gmem_idle_pages()) << 2);
		json_number(&j, "left_memory_kib", vm_pages_left() << 2);
		json_number(&j, "socle_memory_kib", socle);
		json_number(&j, "socle_vms_kib", vms >> 10);
		json_number(&j, "socle_vm_most_kib", most >> 10);
		json_number(&j, "vms", count);
		json_thousandths(&j, "uptime_s", now_ms);
		json_string(&j, "vtx", features);
		json_close(&j, '}');
		monitor_print("\n");
		return;
	}
	monitor_print("nr_cpus                : %u\n", cpu_count());
	monitor_print("cpu_mhz                : %lu.%03lu\n", tsc_hz() / 1000000, tsc_hz() / 1000 % 1000);
	monitor_print("total_memory           : %lu MiB\n", page_count_total() >> 8);
	monitor_print("free_memory            : %lu MiB, %lu MiB of it not promised to a VM\n",
		      (page_count_free() + gmem_idle_pages()) >> 8, vm_pages_left() >> 8);
	monitor_print("socle_memory           : %lu KiB, %lu KiB of it for VMs, %lu KiB for one at most\n",
		      socle, vms >> 10, most >> 10);
	monitor_print("vms                    : %u, %u running\n", count, vm_host.nr_alive);
	monitor_print("uptime                 : %lu.%03lu s\n", now_ms / 1000, now_ms % 1000);
	monitor_print("vtx                    : %s\n", features);
}

/* ---- vcpu-list ---- */

static const char *vcpu_state(const struct vm *vm, const struct vcpu *v)
{
	if (vm->state == VM_STOPPED)
		return "--s";
	if (vm->paused)
		return "--p";
	return vcpu_blocked(v) ? "-b-" : "r--";
}

/* "all", or numbers and ranges as vcpu-pin takes them. */
static void affinity_text(u64 mask, char *text, size_t size)
{
	size_t n = 0;
	u64 every = cpu_count() < 64 ? BIT(cpu_count()) - 1 : ~(u64)0;
	mask &= every;
	str_copy(text, "all", size);
	for (unsigned from = 0; mask != every && from < cpu_count() && n < size; from++) {
		unsigned to = from;
		if (!(mask & BIT(from)))
			continue;
		while (to + 1 < cpu_count() && mask & BIT(to + 1))
			to++;
		n += (size_t)snprintf(text + n, size - n, from == to ? "%s%u" : "%s%u-%u", n ? "," : "", from,
				      to);
		from = to;
	}
}

static void vcpu_row(struct json *j, const struct vm *vm, const struct vcpu *v)
{
	struct task_times t = task_times(&v->task);
	u64 ms = tsc_to_ns(t.run + t.hypervisor) / 1000000, steal = tsc_to_ns(t.ready) / 1000000;
	unsigned cpu = __atomic_load_n(&v->task.cpu, __ATOMIC_RELAXED)->index;
	char where[64];
	affinity_text(v->task.affinity, where, sizeof(where));
	if (!j) {
		monitor_print("%-32s %5u %5u %5u   %s %6lu.%lu %8lu.%lu  %s\n", vm->name, vm->id, v->id, cpu,
			      vcpu_state(vm, v), ms / 1000, ms % 1000 / 100, steal / 1000, steal % 1000 / 100,
			      where);
		return;
	}
	json_open(j, NULL, '{');
	json_string(j, "name", vm->name);
	json_number(j, "id", vm->id);
	json_number(j, "vcpu", v->id);
	json_number(j, "cpu", cpu);
	json_string(j, "affinity", where);
	json_string(j, "state", vcpu_state(vm, v));
	json_thousandths(j, "time_s", ms);
	json_thousandths(j, "waited_s", steal);
	json_close(j, '}');
}

void command_vcpu_list(struct call *c)
{
	struct json writer = {monitor_write, false}, *j = call_option(c, 'j') ? &writer : NULL;
	if (j)
		json_open(j, NULL, '[');
	else
		monitor_print("%-32s %5s %5s %5s State %7s %10s  %s\n", "Name", "ID", "VCPU", "CPU",
			      "Time(s)", "Waited(s)", "Affinity");
	list_for_each(n, &vm_host.vms)
	{
		const struct vm *vm = list_entry(n, struct vm, node);
		for (unsigned i = 0; (!c->vm || c->vm == vm) && i < vm->guest.nr_vcpus; i++)
			vcpu_row(j, vm, vm->guest.vcpus[i]);
	}
	if (j) {
		json_close(j, ']');
		monitor_print("\n");
	}
}

/* ---- stats ---- */

static u64 exits_of(const struct vm *vm, unsigned reason)
{
	u64 sum = 0;
	for (unsigned i = 0; i < vm->guest.nr_vcpus; i++)
		sum += vm->guest.vcpus[i]->exits[reason];
	return sum;
}

struct region_list {
	struct json *j; /* NULL: for people */
	unsigned count;
};

static void region_row(void *opaque, bool port, const struct io_region *r)
{
	struct region_list *l = opaque;
	if (!r->accesses)
		return;
	l->count++;
	if (!l->j) {
		monitor_print("%12lu  %-16s %s 0x%lx\n", r->accesses, r->name, port ? "port" : "memory",
			      r->base);
		return;
	}
	json_open(l->j, NULL, '{');
	json_string(l->j, "device", r->name);
	json_string(l->j, "space", port ? "port" : "memory");
	json_number(l->j, "base", r->base);
	json_number(l->j, "accesses", r->accesses);
	json_close(l->j, '}');
}

static void stats_json(const struct vm *vm)
{
	struct json j = {monitor_write, false};
	struct region_list l = {.j = &j};
	json_open(&j, NULL, '{');
	json_string(&j, "name", vm->name);
	json_number(&j, "id", vm->id);
	json_open(&j, "exits", '{');
	for (unsigned r = 0; r < VCPU_EXIT_REASONS; r++)
		if (exits_of(vm, r))
			json_number(&j, vcpu_exit_name(r), exits_of(vm, r));
	json_close(&j, '}');
	json_open(&j, "devices", '[');
	io_for_each(&vm->guest, region_row, &l);
	json_close(&j, ']');
	stats_disks(&j, vm);
	stats_nets(&j, vm);
	json_close(&j, '}');
	monitor_print("\n");
}

void command_stats(struct call *c)
{
	const struct vm *vm = c->vm;
	struct region_list l = {0};
	u64 all = 0;
	if (call_option(c, 'j')) {
		stats_json(vm);
		return;
	}
	for (unsigned r = 0; r < VCPU_EXIT_REASONS; r++)
		all += exits_of(vm, r);
	monitor_print("%12lu  exits of %s, by reason:\n", all, vm->name);
	for (unsigned r = 0; r < VCPU_EXIT_REASONS; r++)
		if (exits_of(vm, r))
			monitor_print("%12lu  %s\n", exits_of(vm, r), vcpu_exit_name(r));
	monitor_print("    accesses  by device:\n");
	io_for_each(&vm->guest, region_row, &l);
	if (!l.count)
		monitor_print("           0  none\n");
	stats_disks(NULL, vm);
	stats_nets(NULL, vm);
}
