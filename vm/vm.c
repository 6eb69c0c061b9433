/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM: create, start, pause, stop, what follows a stop, and the end of the machine after the
 * last. */
#include "vm.h"

#include "host.h"
#include "log.h"
#include "monitor.h"
#include "policy.h"
#include "poll.h"
#include "tenant.h"

struct vm_host vm_host;

static void vm_stopped(void *opaque);
static void ends(void *opaque);

#define QUIET_NS 1000000u

void vm_init(void)
{
	list_init(&vm_host.vms);
	list_init(&vm_host.bridges);
	vm_host.next_id = 1;
}

/* ---- the list ---- */

static void list_add(struct vm *vm)
{
	spin_lock(&vm_host.lock);
	vm->id = vm_host.next_id++;
	list_insert(&vm_host.vms, &vm->node);
	spin_unlock(&vm_host.lock);
}

static void list_drop(struct vm *vm)
{
	spin_lock(&vm_host.lock);
	list_remove(&vm->node);
	spin_unlock(&vm_host.lock);
}

static bool name_is_number(const char *s, u32 *number)
{
	u64 n = 0;
	for (const char *p = s; *p; p++) {
		if (*p < '0' || *p > '9' || n > UINT32_MAX)
			return false;
		n = n * 10 + (u64)(*p - '0');
	}
	*number = (u32)n;
	return *s && n <= UINT32_MAX;
}

struct vm *vm_find(const char *name_or_id)
{
	u32 id = 0;
	bool number = name_is_number(name_or_id, &id);
	list_for_each(n, &vm_host.vms)
	{
		struct vm *vm = list_entry(n, struct vm, node);
		if (strcmp(vm->name, name_or_id) == 0 || (number && vm->id == id))
			return vm;
	}
	return NULL;
}

/* The configuration's places are its VMs', whether they run or not. */
static unsigned place_free(void)
{
	unsigned place = config_vms_total(&vm_host.config);
	for (bool taken = true; taken;) {
		place++;
		taken = false;
		list_for_each(n, &vm_host.vms) taken |= list_entry(n, struct vm, node)->place == place;
	}
	return place;
}

/* ---- memory ---- */

u64 vm_usage(const struct vm *vm)
{
	return heap_size(vm) + heap_size(vm->own_config) + vm_console_usage(vm) + vm_events_usage(vm) +
	       vm_disks_usage(vm) + guest_usage(&vm->guest) + (vm->pc ? pc_usage(vm->pc) : 0);
}

u64 vm_socle_usage(void)
{
	const struct boot_info *b = vm_host.boot;
	u64 bytes = 0, pages = page_count_free() + gmem_idle_pages();
	for (u32 i = 0; i < b->nr_mem; i++)
		if (b->mem[i].type <= BOOT_MEM_IMAGE)
			bytes += b->mem[i].length;
	list_for_each(n, &vm_host.vms) pages +=
	    __atomic_load_n(&list_entry(n, struct vm, node)->guest.mem.populated_pages, __ATOMIC_RELAXED);
	return bytes - (pages << PAGE_SHIFT);
}

/* What the VMs in the list have not taken yet and may still take. */
static u64 pages_promised(void)
{
	u64 sum = 0;
	list_for_each(n, &vm_host.vms)
	{
		const struct vm *vm = list_entry(n, struct vm, node);
		u64 has = __atomic_load_n(&vm->guest.mem.populated_pages, __ATOMIC_RELAXED);
		has += vm_usage(vm) >> PAGE_SHIFT;
		u64 may = config_vm_footprint(vm->config) >> PAGE_SHIFT;
		sum += may - MIN(may, has);
	}
	return sum;
}

u64 vm_pages_left(void)
{
	u64 free = page_count_free() + gmem_idle_pages();
	return free - MIN(free, pages_promised());
}

static int admit(const struct config_vm *c, const char *name)
{
	const struct tenant *t = tenant_find(c->tenant);
	char why[120];
	if (t && tenant_admit(t, c->memory, why, sizeof(why))) {
		log_error("%s: not created: %s", name, why);
		return ERR_NOMEM;
	}
	u64 left = vm_pages_left() << PAGE_SHIFT;
	if (config_vm_footprint(c) <= left)
		return 0;
	log_error("%s: not created: memory: %lu MiB asked for, %lu MiB left of %lu MiB: expected less", name,
		  c->memory >> 20, config_vm_room(c, left) >> 20, page_count_total() >> 8);
	return ERR_NOMEM;
}

/* ---- create ---- */

/* Gives back everything but the VM's place in the list. */
static void vm_empty(struct vm *vm)
{
	if (vm->pc)
		pc_destroy(vm->pc);
	vm->pc = NULL;
	vm_close_disks(vm);
	vm_close_nets(vm);
	vm_events_stop(vm);
	u64 ticks = vm_ticks(vm, tsc_now());
	vm_host.past_ticks += ticks;
	if (vm->tenant)
		vm->tenant->past_ticks += ticks;
	guest_destroy(&vm->guest);
	vm_events_destroy(vm);
}

/* The parser has checked the ranges; which CPUs there are only the machine tells. */
static int vm_set_scheduling(struct vm *vm)
{
	const struct config_vm *c = vm->config;
	const struct {
		const char *name;
		unsigned value;
	} settings[] = {{"weight", c->weight},
			{"cap", c->cap},
			{"warp", c->warp},
			{"warp_limit", c->warp_limit},
			{"unwarp", c->unwarp}};
	char why[80];
	if (vm->tenant)
		sched_group_share(&vm->guest.group, &vm->tenant->quota);
	for (unsigned i = 0; i < ARRAY_SIZE(settings); i++)
		if (sched_set(&vm->guest.group, settings[i].name, settings[i].value, why, sizeof(why))) {
			log_error("%s: %s: %s", vm->name, settings[i].name, why);
			return ERR_INVAL;
		}
	for (unsigned i = 0; i < vm->guest.nr_vcpus; i++)
		if (task_set_affinity(&vm->guest.vcpus[i]->task, c->pin)) {
			log_error("%s: pin: none of these CPUs runs guests; expected some of 0 to %u",
				  vm->name, sched_guest_cpus() - 1);
			return ERR_INVAL;
		}
	return 0;
}

/* past: what its last life has left, NULL: it had none. */
static int vm_fill(struct vm *vm, const struct sched_group *past)
{
	const struct config_vm *c = vm->config;
	const struct guest_config g = {
	    .name = vm->name,
	    .memory_limit_pages = c->memory >> PAGE_SHIFT,
	    .page_order = c->page_order,
	    .vcpus = c->vcpus,
	    .hypervisor_cpuid = c->hypervisor_cpuid,
	    .past = past,
	    .stopped = vm_stopped,
	    .opaque = vm,
	    .hypercall = vm_hypercall,
	    .event = vm_event_alarm,
	    .prepare = vm_copy_files,
	};
	int rc = guest_create(&vm->guest, &g, &vm_host.caps);
	if (rc)
		return rc;
	rc = vm_build(vm);
	rc = rc ? rc : vm_set_scheduling(vm);
	if (rc)
		vm_empty(vm);
	vm->state = VM_CREATED;
	vm->wish = VM_WISH_NONE;
	timer_init(&vm->ends, ends, vm, NULL);
	return rc;
}

static void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	vm_console_close(vm);
	heap_free(vm->own_config);
	heap_free(vm);
}

static struct vm *vm_alloc(const struct config_vm *config, unsigned index, const char *name, unsigned place)
{
	struct vm *vm = heap_alloc(sizeof(*vm));
	if (!vm)
		return NULL;
	list_init(&vm->node);
	str_copy(vm->name, name, sizeof(vm->name));
	vm->place = place ? place : place_free();
	vm->config = config;
	vm->tenant = tenant_find(config->tenant);
	vm->index = index;
	if (place)
		return vm;
	vm->config = vm->own_config = heap_alloc(sizeof(*config));
	if (!vm->own_config) {
		heap_free(vm);
		return NULL;
	}
	*vm->own_config = *config;
	return vm;
}

int vm_create(const struct config_vm *config, unsigned index, bool typed, struct vm **out)
{
	char name[CONFIG_NAME_MAX];
	config_vm_name(config, index, name);
	if (vm_find(name)) {
		log_error("%s: not created: there is a VM of that name: expected the name of one that is not "
			  "there",
			  name);
		return ERR_EXIST;
	}
	int rc = admit(config, name);
	if (rc)
		return rc;
	unsigned place = typed ? 0 : config_vms_before(&vm_host.config, config) + index + 1;
	struct vm *vm = vm_alloc(config, index, name, place);
	rc = vm ? vm_console_open(vm) : ERR_NOMEM;
	rc = rc ? rc : vm_fill(vm, NULL);
	if (rc) {
		log_error("%s: not created (%s)", name, rc == ERR_NOMEM ? "no memory" : "see above");
		vm_free(vm);
		return rc;
	}
	list_add(vm);
	*out = vm;
	return 0;
}

void vm_start(struct vm *vm)
{
	log_info("%s: starts, %u vCPU%s, %lu MiB", vm->name, vm->config->vcpus,
		 vm->config->vcpus == 1 ? "" : "s", vm->config->memory >> 20);
	vm->state = VM_RUNNING;
	vm_host.nr_alive++;
	guest_start(&vm->guest);
}

/* ---- while it runs ---- */

bool vm_is_dying(const struct vm *vm)
{
	return vm->state == VM_RUNNING && __atomic_load_n(&vm->guest.stop, __ATOMIC_ACQUIRE) != GUEST_RUNNING;
}

int vm_pause(struct vm *vm)
{
	if (vm->state == VM_STOPPED || vm->paused || vm_is_dying(vm))
		return ERR_INVAL;
	vm->paused = true;
	vm->pauses++;
	guest_pause(&vm->guest);
	pc_set_paused(vm->pc, true);
	return 0;
}

int vm_unpause(struct vm *vm)
{
	if (!vm->paused || vm_is_dying(vm))
		return ERR_INVAL;
	vm->paused = false;
	pc_set_paused(vm->pc, false);
	guest_unpause(&vm->guest);
	return 0;
}

int vm_power_button(struct vm *vm)
{
	if (vm->state != VM_RUNNING || vm_is_dying(vm))
		return ERR_INVAL;
	pc_power_button(vm->pc);
	return 0;
}

/* ---- the end ---- */

static void vm_destroy(struct vm *vm)
{
	list_drop(vm);
	vm_empty(vm);
	vm_free(vm);
	monitor_wake(); /* a command may wait for this */
}

/* A new life in the old place. The VM pays for it, and for its last one: one that does nothing but to start
 * again must not take the time of others. */
static int vm_restart(struct vm *vm)
{
	u64 start = tsc_now();
	vm_empty(vm);
	vm->paused = false;
	const struct sched_group past = vm->guest.group;
	int rc = vm_fill(vm, &past);
	if (rc) {
		log_error("%s: could not be started again", vm->name);
		vm_destroy(vm);
		vm_check_idle();
		return rc;
	}
	list_drop(vm);
	list_add(vm);
	sched_charge_beginning(&vm->guest.group, tsc_now() - start);
	vm_start(vm);
	return 0;
}

int vm_reset(struct vm *vm)
{
	if (vm_is_dying(vm))
		return ERR_INVAL;
	if (vm->state != VM_RUNNING)
		return vm_restart(vm);
	vm->wish = VM_WISH_RESET;
	guest_stop(&vm->guest, GUEST_RESET, 0);
	return 0;
}

void vm_destroy_async(struct vm *vm)
{
	vm->wish = VM_WISH_DESTROY;
	if (vm->state == VM_RUNNING) {
		guest_stop(&vm->guest, GUEST_DESTROYED, 0);
		return;
	}
	log_info("%s: destroyed", vm->name);
	vm_destroy(vm);
	vm_check_idle();
}

void vm_power_off(void)
{
	vmx_off(this_cpu());
	machine_poweroff();
}

void vm_check_idle(void)
{
	if (vm_host.nr_alive)
		return;
	if (vm_host.config.socle.on_idle == ON_IDLE_WAIT || !list_empty(&vm_host.vms)) {
		log_info("no VM is running; Socle waits");
		monitor_open();
		return;
	}
	if (monitor_is_open()) {
		log_info("no VM is running; the machine powers off when the monitor is left");
		return;
	}
	log_info("no VM is running; the machine powers off");
	vm_power_off();
}

static const char *stop_name(enum guest_stop why)
{
	static const char *const names[] = {
	    [GUEST_RUNNING] = "running",     [GUEST_POWEROFF] = "powered off",
	    [GUEST_RESET] = "reset",         [GUEST_DEBUG_EXIT] = "left through the debug exit port",
	    [GUEST_CRASHED] = "crashed",     [GUEST_HALTED] = "halted with interrupts off",
	    [GUEST_DESTROYED] = "destroyed",
	};
	return names[why];
}

const char *vm_state_text(const struct vm *vm)
{
	if (vm_is_dying(vm))
		return "dying";
	if (vm->state == VM_STOPPED)
		return stop_name(vm->guest.stop);
	return vm->paused ? "paused" : vm->state == VM_CREATED ? "not started" : "running";
}

static void say_stopped(const struct vm *vm)
{
	const struct guest *g = &vm->guest;
	bool triple = g->stop == GUEST_RESET && g->stop_code == GUEST_TRIPLE_FAULT;
	if (g->stop == GUEST_DEBUG_EXIT)
		log_info("%s: %s, value %u", g->name, stop_name(g->stop), g->stop_code);
	else
		log_info("%s: %s", g->name, triple ? "triple fault" : stop_name(g->stop));
}

/* On the boot CPU, as what it leads to. */
static void ends(void *opaque)
{
	struct vm *vm = opaque;
	work_queue(&vm->guest.stopped_work);
}

/* On the scheduler's stack, after the VM's last vCPU has left it; again, while other VMs have to run before
 * it can end. */
static void vm_stopped(void *opaque)
{
	struct vm *vm = opaque;
	if (!pc_quiet(vm->pc)) {
		timer_set(&vm->ends, tsc_now() + ns_to_tsc(QUIET_NS));
		return;
	}
	say_stopped(vm);
	guest_log_exits(&vm->guest);
	vm_host.nr_alive--;
	vm->state = VM_STOPPED;
	vm->paused = false; /* it may have been on its way when the operator paused it */
	switch (policy_after(vm->config, vm->guest.stop, vm->wish)) {
	case ON_EVENT_RESTART:
		vm_restart(vm);
		return;
	case ON_EVENT_PRESERVE:
		pc_set_paused(vm->pc, true); /* nobody would pay for its ticks */
		log_info("%s: kept for debug-dump, until it is destroyed or reset", vm->name);
		monitor_wake();
		break;
	case ON_EVENT_DESTROY:
		vm_destroy(vm);
		break;
	}
	vm_check_idle();
}
