/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's check of clocks: all time is somebody's (M40), a vCPU's states fill its life, virtual time
 * stands still in a pause (M37), TSCs are offset by what the guest wrote, wall clocks are right (M38). */
#include "check.h"
#include "host.h"
#include "monitor.h"

#define PER_MILLE 1000
#define SLACK_NS 1000000u  /* start and end of a life are not one instruction */
#define CMOS_SECONDS 2     /* it counts whole ones, and so does what it is compared with */
#define CMOS_PER_PART 5000 /* crystals differ: one part in this */

static struct {
	u64 all, vms, hypervisor, idle; /* ticks, of all CPUs together */
} sum;

static u64 differ(u64 a, u64 b)
{
	return a > b ? a - b : b - a;
}

/* ---- all time is somebody's ---- */

static void add_vm(const struct vm *vm, u64 now)
{
	sum.vms += vm_ticks(vm, now);
}

/* Frozen. */
static void check_sum(u64 now)
{
	memset(&sum, 0, sizeof(sum));
	for (unsigned i = 0; i < cpu_count(); i++) {
		struct sched_cpu_times t = sched_cpu_times_at(i, now);
		sum.all += now - MIN(now, sched_cpu_started(i));
		sum.hypervisor += t.hypervisor;
		sum.idle += t.idle;
	}
	sum.vms = vm_host.past_ticks;
	list_for_each(n, &vm_host.vms) add_vm(list_entry(n, struct vm, node), now);
	u64 somebodys = sum.vms + sum.hypervisor + sum.idle;
	if (differ(sum.all, somebodys) > sum.all / PER_MILLE)
		check_found(NULL, "the machine's time, and whose it was", sum.all, somebodys);
}

/* ---- one vCPU ---- */

static void check_times(const struct vm *vm, const struct vcpu *v, u64 now)
{
	struct task_times t = task_times_at(&v->task, now);
	u64 life = now - MIN(now, vm->guest.tsc_start),
	    sum_of_states = t.run + t.ready + t.blocked + t.hypervisor;
	if (differ(life, sum_of_states) > life / PER_MILLE + ns_to_tsc(SLACK_NS))
		check_found(vm, "a vCPU's life, and its run, steal, hypervisor and idle time", life,
			    sum_of_states);
}

/* As the guest has set it by the MSRs; the VM's zero is the same for all. */
static void check_tsc(const struct vm *vm, const struct vcpu *v)
{
	u64 zero = v->tsc_adjust - v->tsc_offset;
	if (v->tsc_offset != v->lapic.tsc_offset)
		check_found(vm, "TSC offsets of a vCPU and of its APIC", v->tsc_offset, v->lapic.tsc_offset);
	if (zero != vm->guest.tsc_start)
		check_found(vm, "a vCPU's TSC began at another moment than its VM", zero,
			    vm->guest.tsc_start);
}

/* With what the last check has seen. */
static void check_progress(const struct vm *vm, const struct vcpu *v, u64 now)
{
	struct task_times t = task_times_at(&v->task, now);
	u64 run = t.run + t.hypervisor, before = vm->checked.run[v->id];
	u64 virtual = v->clock.virtual_ticks, virtual_before = vm->checked.virtual_ticks[v->id];
	if (run < before)
		check_found(vm, "CPU time has run backwards", run, before);
	if (virtual < virtual_before)
		check_found(vm, "virtual time has run backwards", virtual, virtual_before);
	if (vm->paused && vm->checked.pause == vm->pauses && virtual != virtual_before)
		check_found(vm, "virtual time of a paused VM has gone on", virtual, virtual_before);
}

/* ---- one VM ---- */

static void check_wall(struct vm *vm)
{
	struct guest_clock *c = &vm->guest.clock;
	u64 before = wall_ns_at_boot() + real_ns(), wall = clock_wall(&vm->guest);
	u64 after = wall_ns_at_boot() + real_ns();
	if (!c->wall_set && (wall < before || wall > after))
		check_found(vm, "wall clocks of a VM and of the machine", wall, before);
	if (c->pause_ns > real_ns() || c->paused_at > real_ns())
		check_found(vm, "it was paused for longer than the machine runs", c->pause_ns, c->paused_at);
}

static void check_vm(struct vm *vm, u64 now)
{
	for (unsigned i = 0; i < vm->guest.nr_vcpus; i++) {
		const struct vcpu *v = vm->guest.vcpus[i];
		if (vm->state != VM_RUNNING || vm_is_dying(vm))
			continue;
		check_times(vm, v, now);
		check_tsc(vm, v);
		if (vm->checked.id == vm->id)
			check_progress(vm, v, now);
	}
}

void check_clocks(void)
{
	sched_freeze();
	u64 now = tsc_now();
	check_sum(now);
	list_for_each(n, &vm_host.vms) check_vm(list_entry(n, struct vm, node), now);
	sched_thaw();
	/* Not frozen: who holds a clock's lock may be about to wake somebody. */
	list_for_each(n, &vm_host.vms) check_wall(list_entry(n, struct vm, node));
	u64 wall = wall_seconds(), cmos = wall_seconds_by_cmos();
	if (differ(wall, cmos) > CMOS_SECONDS + real_ns() / 1000000000 / CMOS_PER_PART)
		check_found(NULL, "the wall clock, and the machine's CMOS clock", wall, cmos);
}

/* ---- for the next check ---- */

/* A vCPU that has not noticed the pause yet still ages. */
static bool stands_still(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->guest.nr_vcpus; i++)
		if (__atomic_load_n(&vm->guest.vcpus[i]->task.state, __ATOMIC_ACQUIRE) != TASK_BLOCKED)
			return false;
	return vm->paused;
}

static void note(struct vm *vm)
{
	vm->checked.id = vm->id;
	vm->checked.pause = stands_still(vm) ? vm->pauses : 0;
	for (unsigned i = 0; i < vm->guest.nr_vcpus; i++) {
		const struct vcpu *v = vm->guest.vcpus[i];
		struct task_times t = task_times(&v->task);
		vm->checked.run[i] = t.run + t.hypervisor;
		vm->checked.virtual_ticks[i] = v->clock.virtual_ticks;
	}
}

void check_clocks_note(void)
{
	list_for_each(n, &vm_host.vms) note(list_entry(n, struct vm, node));
}

static void show(const char *before, u64 ticks, const char *after)
{
	u64 us = tsc_to_ns(ticks) / 1000;
	monitor_print("%s%lu.%06lu%s", before, us / 1000000, us % 1000000, after);
}

void check_clocks_show(void)
{
	show("check: time of ", sum.all, "");
	monitor_print(" s on %u CPU%s", cpu_count(), cpu_count() == 1 ? "" : "s");
	show(": VMs ", sum.vms, " s");
	show(", hypervisor ", sum.hypervisor, " s");
	show(", idle ", sum.idle, " s");
	show(", nobody's or counted twice ", differ(sum.all, sum.vms + sum.hypervisor + sum.idle), " s\n");
}
