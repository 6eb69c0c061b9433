/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's check: what must hold at any moment, of memory, tasks and clocks. It looks only; what
 * changes meanwhile on other CPUs is looked at again. */
#include "host.h"
#include "monitor.h"
#include "spinlock.h"

#define LOOKS 1000          /* at a task that seems to have missed its wake-up */
#define PAUSED_NS 10000000u /* what a paused VM may use between two looks: its devices' timers wake it */

static struct {
	u64 *owned; /* a bit for each page of the machine: some VM's */
	u64 nr_bits;
	u64 pages;     /* of the VM being looked at */
	u64 all_pages; /* of all VMs */
	unsigned failures;
	u64 quiet; /* free pages when no VM was there; 0: not known yet */
} check;

static void complain(const struct vm *vm, const char *what, u64 a, u64 b)
{
	check.failures++;
	monitor_print("check: FAILED: %s%s%s (%lu, %lu)\n", vm ? vm->config->name : "", vm ? ": " : "", what,
		      a, b);
}

/* ---- memory ---- */

static bool page_mark(hpa_t pa)
{
	u64 bit = pa >> PAGE_SHIFT;
	if (bit >= check.nr_bits)
		return false;
	bool first = !(check.owned[bit / 64] & BIT(bit % 64));
	check.owned[bit / 64] |= BIT(bit % 64);
	return first;
}

static void leaf_check(void *opaque, gpa_t gpa, const struct ept_leaf *leaf)
{
	struct vm *vm = opaque;
	(void)gpa;
	for (u64 at = 0; at < leaf->size; at += PAGE_SIZE)
		if (!page_mark(leaf->hpa + at))
			complain(vm, "a page has two owners, or is none of the machine's", leaf->hpa + at,
				 gpa);
	check.pages += leaf->size >> PAGE_SHIFT;
}

static void free_check(void *opaque, hpa_t pa, unsigned order)
{
	u64 *sum = opaque;
	*sum += 1u << order;
	for (u64 i = 0; i < 1u << order; i++)
		if (!page_mark(pa + (i << PAGE_SHIFT)))
			complain(NULL, "a free page is in use, or free twice", pa + (i << PAGE_SHIFT), order);
}

/* Its pages only become more while it runs. */
static void memory_check(struct vm *vm)
{
	const u64 *populated = &vm->guest.mem.populated_pages;
	u64 before = __atomic_load_n(populated, __ATOMIC_ACQUIRE);
	check.pages = 0;
	ept_for_each(&vm->guest.ept, leaf_check, vm);
	u64 after = __atomic_load_n(populated, __ATOMIC_ACQUIRE);
	/* A leaf that is being made is counted before or after it is there. */
	u64 slack = vm->state == VM_RUNNING && cpu_count() > 1
			? (u64)vm->guest.nr_vcpus << vm->guest.mem.page_order
			: 0;
	if (check.pages + slack < before || check.pages > after + slack)
		complain(vm, "mapped pages are not the populated ones", check.pages, after);
	if (after > vm->guest.mem.limit_pages)
		complain(vm, "more pages than it may have", after, vm->guest.mem.limit_pages);
	check.all_pages += check.pages;
}

/* With no VM there, as much is free as the last time. */
static void quiet_check(void)
{
	u64 free = page_count_free() + gmem_idle_pages();
	if (!list_empty(&vm_host.vms))
		return;
	if (check.quiet && free != check.quiet)
		complain(NULL, "free pages without any VM, now and before", free, check.quiet);
	check.quiet = free;
}

/* ---- tasks and clocks ---- */

/* A vCPU that has something to do is not blocked; but it may be about to run, or to block. */
static bool wake_lost(const struct vcpu *v)
{
	for (unsigned look = 0; look < LOOKS; look++) {
		enum task_state state = __atomic_load_n(&v->task.state, __ATOMIC_ACQUIRE);
		u32 attention = __atomic_load_n(&v->attention, __ATOMIC_ACQUIRE);
		if (state != TASK_BLOCKED || !(attention & VCPU_REQUESTS))
			return false;
		cpu_relax();
	}
	return true;
}

static void vcpu_check(struct vm *vm, const struct vcpu *v)
{
	struct task_times t = task_times(&v->task);
	u64 run = t.run + t.hypervisor;
	if (vm->state == VM_RUNNING && !vm_is_dying(vm) && wake_lost(v))
		complain(vm, "a vCPU sleeps although it was asked for something", v->id, v->attention);
	if (v->id != 0)
		return;
	if (vm->checked.id == vm->id && run < vm->checked.run)
		complain(vm, "CPU time has run backwards", run, vm->checked.run);
	if (vm->checked.id == vm->id && vm->paused && vm->checked.pause == vm->pauses &&
	    run > vm->checked.run + ns_to_tsc(PAUSED_NS))
		complain(vm, "a paused VM has used CPU time", run, vm->checked.run);
	vm->checked.run = run;
}

static void vm_check(struct vm *vm)
{
	memory_check(vm);
	for (unsigned i = vm->guest.nr_vcpus; i-- > 0;)
		vcpu_check(vm, vm->guest.vcpus[i]);
	vm->checked.id = vm->id;
	vm->checked.pause = vm->paused ? vm->pauses : 0;
	if (vm->state == VM_STOPPED && vm->guest.nr_running)
		complain(vm, "it has stopped, its vCPUs have not", vm->guest.nr_running, 0);
}

static void list_check(void)
{
	u32 last = 0;
	unsigned running = 0;
	list_for_each(n, &vm_host.vms)
	{
		struct vm *vm = list_entry(n, struct vm, node);
		if (vm->id <= last || vm->id >= vm_host.next_id)
			complain(vm, "the numbers of the list do not rise", vm->id, last);
		last = vm->id;
		running += vm->state == VM_RUNNING;
		vm_check(vm);
	}
	if (running != vm_host.nr_alive)
		complain(NULL, "running VMs, counted and noted", running, vm_host.nr_alive);
}

void command_check(struct call *c)
{
	u64 free = 0;
	check.nr_bits = page_highest() + 1;
	check.owned = heap_alloc((check.nr_bits + 63) / 64 * sizeof(u64));
	check.failures = 0;
	check.all_pages = 0;
	if (!check.owned) {
		monitor_error(c, "no memory");
		return;
	}
	list_check();
	page_for_each_free(free_check, &free);
	heap_free(check.owned);
	check.owned = NULL;
	quiet_check();
	if (!check.failures)
		monitor_print("check: all is well: %lu pages are VMs', %lu free, %lu of those zeroed ahead\n",
			      check.all_pages, page_count_free() + gmem_idle_pages(), gmem_idle_pages());
}
