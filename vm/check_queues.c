/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's check of run queues, tasks, groups and timers, in one moment. */
#include "check.h"
#include "host.h"

static void found(void *opaque, const char *what, u64 a, u64 b)
{
	check_found(opaque, what, a, b);
}

/* It has something to do: somebody has asked for it, and who is paused may leave an event for later. */
static bool is_asked(const struct vcpu *v)
{
	u32 attention = __atomic_load_n(&v->attention, __ATOMIC_ACQUIRE);
	u32 later = attention & VCPU_PAUSED ? VCPU_REQ_EVENT : 0;
	return attention & VCPU_REQUESTS & ~later;
}

/* What would wake a vCPU that sleeps. */
static void check_sleeper(const struct vm *vm, const struct vcpu *v)
{
	const struct lapic *l = &v->lapic;
	if (is_asked(v))
		check_found(vm, "a vCPU sleeps although it was asked for something", v->id, v->attention);
	/* That of a paused one need not: it looks itself when it goes on. */
	bool paused = v->attention & VCPU_PAUSED;
	if (!paused && (l->timer_watched || (l->timer_on && !timer_is_waiting(&l->timer))))
		check_found(vm, "a vCPU sleeps and the timer of its APIC would not wake it", v->id,
			    l->timer_deadline);
	if (v->clock.alarms[CLOCK_REAL].at != CLOCK_OFF &&
	    !timer_is_waiting(&v->clock.alarms[CLOCK_REAL].timer))
		check_found(vm, "a vCPU's alarm on real time has no timer", v->id,
			    v->clock.alarms[CLOCK_REAL].at);
}

/* How many of its tasks are in a run queue. */
static unsigned check_vm(struct vm *vm, u64 now)
{
	const struct sched_finding f = {found, vm};
	const struct guest *g = &vm->guest;
	unsigned queued = 0, counted = 0, running = 0;
	for (unsigned i = 0; i < g->nr_vcpus; i++) {
		const struct vcpu *v = g->vcpus[i];
		sched_check_task(&v->task, now, &f);
		queued += v->task.queued;
		counted += v->task.counted;
		running += v->task.state != TASK_NEW && v->task.state != TASK_DEAD;
		if (vm->state == VM_RUNNING && v->task.state == TASK_BLOCKED)
			check_sleeper(vm, v);
	}
	sched_check_group(&g->group, counted, &f);
	if (vm->state != VM_RUNNING && running)
		check_found(vm, "it does not run, its vCPUs do", running, vm->state);
	return queued;
}

void check_queues(void)
{
	const struct sched_finding f = {found, NULL};
	unsigned waiting = 0, queued = 0;
	sched_freeze();
	u64 now = tsc_now();
	for (unsigned i = 0; i < cpu_count(); i++) {
		waiting += sched_check_cpu(i, now, &f);
		sched_check_timers(i, now, &f);
	}
	list_for_each(n, &vm_host.vms) queued += check_vm(list_entry(n, struct vm, node), now);
	sched_thaw();
	/* Each is in one tree at most, for it has one place in one. */
	if (waiting != queued)
		check_found(NULL, "tasks in run queues, and VMs' tasks that say they are", waiting, queued);
}
