/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's check: what must hold at any moment, of memory, tasks and clocks. It looks only; what
 * changes meanwhile on other CPUs is looked at again. */
#include "check.h"
#include "host.h"
#include "monitor.h"
#include "spinlock.h"

#define LOOKS 20000 /* before what is on its way is late */
#define KEPT 8      /* of what a look finds */

static struct {
	u64 *owned; /* a bit for each page of the machine: some VM's */
	u64 nr_bits;
	u64 pages;     /* of the VM being looked at */
	u64 all_pages; /* of all VMs */
	unsigned failures;
	struct {
		const struct vm *vm;
		const char *what;
		u64 a, b;
	} found[KEPT]; /* by this look */
	unsigned nr_found;
	u64 quiet; /* free pages when no VM was there; 0: not known yet */
} check;

static void complain(const struct vm *vm, const char *what, u64 a, u64 b)
{
	check.failures++;
	monitor_print("check: FAILED: %s%s%s (%lu, %lu)\n", vm ? vm->name : "", vm ? ": " : "", what, a, b);
}

/* ---- looks ---- */

void check_found(const struct vm *vm, const char *what, u64 a, u64 b)
{
	if (check.nr_found < KEPT) {
		check.found[check.nr_found].vm = vm;
		check.found[check.nr_found].what = what;
		check.found[check.nr_found].a = a;
		check.found[check.nr_found].b = b;
	}
	check.nr_found++;
}

void check_settled(void (*look)(void))
{
	for (unsigned i = 0; i < LOOKS; i++) {
		check.nr_found = 0;
		look();
		if (!check.nr_found)
			return;
		cpu_relax();
	}
	for (unsigned i = 0; i < MIN(check.nr_found, KEPT); i++)
		complain(check.found[i].vm, check.found[i].what, check.found[i].a, check.found[i].b);
}

/* ---- memory ---- */

/* A block of 2^order pages, aligned to its size. False: one of them has an owner, or is none of the
 * machine's. */
static bool block_mark(hpa_t pa, unsigned order)
{
	u64 bit = pa >> PAGE_SHIFT, left = (u64)1 << order, taken = 0;
	if (bit + left > check.nr_bits)
		return false;
	while (left) {
		u64 n = MIN(left, 64), mask = (n < 64 ? BIT(n) - 1 : ~(u64)0) << bit % 64;
		taken |= check.owned[bit / 64] & mask;
		check.owned[bit / 64] |= mask;
		bit += n;
		left -= n;
	}
	return !taken;
}

static void leaf_check(void *opaque, gpa_t gpa, const struct ept_leaf *leaf)
{
	unsigned order = (unsigned)__builtin_ctzll(leaf->size >> PAGE_SHIFT);
	if (!block_mark(leaf->hpa, order))
		complain(opaque, "a page has two owners, or is none of the machine's", leaf->hpa, gpa);
	check.pages += leaf->size >> PAGE_SHIFT;
}

static void free_check(void *opaque, hpa_t pa, unsigned order)
{
	u64 *sum = opaque;
	*sum += 1u << order;
	if (!block_mark(pa, order))
		complain(NULL, "a free page is in use, or free twice", pa, order);
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

/* In this order: a page that goes to the pool meanwhile is missed, not counted twice. */
static u64 free_now(void)
{
	u64 idle = gmem_idle_pages();
	return idle + page_count_free_exact();
}

/* With no VM there, as much is free as the last time; but for a page that an idle CPU has just taken to zero
 * it, which is missing for a few instructions. */
static void quiet_look(void)
{
	if (free_now() != check.quiet)
		check_found(NULL, "free pages without any VM, now and before", free_now(), check.quiet);
}

static void quiet_check(void)
{
	if (!list_empty(&vm_host.vms))
		return;
	if (check.quiet)
		check_settled(quiet_look);
	else
		for (unsigned i = 0; i < LOOKS; i++)
			check.quiet = MAX(check.quiet, free_now());
}

/* ---- the VMs ---- */

/* On other CPUs VMs may be exchanging pages. */
static void hold_all(bool hold)
{
	list_for_each(n, &vm_host.vms)
	{
		struct vm *vm = list_entry(n, struct vm, node);
		gmem_hold(&vm->guest.mem, hold);
	}
}

static void list_check(void)
{
	u32 last = 0;
	unsigned running = 0;
	hold_all(true);
	list_for_each(n, &vm_host.vms)
	{
		struct vm *vm = list_entry(n, struct vm, node);
		if (vm->id <= last || vm->id >= vm_host.next_id)
			complain(vm, "the numbers of the list do not rise", vm->id, last);
		last = vm->id;
		running += vm->state == VM_RUNNING;
		memory_check(vm);
		if (vm->state == VM_STOPPED && vm->guest.nr_running)
			complain(vm, "it has stopped, its vCPUs have not", vm->guest.nr_running, 0);
	}
	hold_all(false);
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
	check_settled(check_queues);
	check_settled(check_clocks);
	check_clocks_note();
	page_for_each_free(free_check, &free);
	heap_free(check.owned);
	check.owned = NULL;
	quiet_check();
	if (!check.failures)
		monitor_print("check: all is well: %lu pages are VMs', %lu free, %lu of those zeroed ahead\n",
			      check.all_pages, list_empty(&vm_host.vms) ? check.quiet : free_now(),
			      gmem_idle_pages());
	check_clocks_show();
}
