/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a VM: create, start, stop, what follows a stop, and the end of the machine after the last. */
#include "vm.h"

#include "host.h"
#include "log.h"

struct vm_host vm_host;

static void vm_stopped(void *opaque);

/* Gives back everything but the VM's place in the list. */
static void vm_empty(struct vm *vm)
{
	if (vm->pc)
		pc_destroy(vm->pc);
	vm->pc = NULL;
	guest_destroy(&vm->guest);
}

static int vm_fill(struct vm *vm)
{
	const struct config_vm *c = vm->config;
	const struct guest_config g = {
	    .name = c->name,
	    .memory_limit_pages = c->memory >> PAGE_SHIFT,
	    .page_order = c->page_order,
	    .hypervisor_cpuid = c->hypervisor_cpuid,
	    .stopped = vm_stopped,
	    .opaque = vm,
	    .hypercall = vm_hypercall,
	};
	int rc = guest_create(&vm->guest, &g, &vm_host.caps);
	if (rc)
		return rc;
	rc = vm_build(vm);
	if (rc)
		vm_empty(vm);
	return rc;
}

int vm_create(const struct config_vm *config, struct vm **out)
{
	struct vm *vm = heap_alloc(sizeof(*vm));
	int rc = ERR_NOMEM;
	if (vm) {
		vm->config = config;
		rc = vm_console_open(vm);
		rc = rc ? rc : vm_fill(vm);
	}
	if (rc) {
		log_error("%s: not created (%s)", config->name, rc == ERR_NOMEM ? "no memory" : "see above");
		if (vm)
			vm_console_close(vm);
		heap_free(vm);
		return rc;
	}
	vm_host.vms[vm_host.nr_vms++] = vm;
	*out = vm;
	return 0;
}

void vm_start(struct vm *vm)
{
	log_info("%s: starts, %u vCPU%s, %lu MiB", vm->config->name, vm->config->vcpus,
		 vm->config->vcpus == 1 ? "" : "s", vm->config->memory >> 20);
	vm->state = VM_RUNNING;
	vm_host.nr_alive++;
	guest_start(&vm->guest);
}

void vm_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm_host.nr_vms; i++)
		if (vm_host.vms[i] == vm) {
			vm_host.nr_vms--;
			memmove(&vm_host.vms[i], &vm_host.vms[i + 1],
				(vm_host.nr_vms - i) * sizeof(vm_host.vms[0]));
		}
	vm_empty(vm);
	vm_console_close(vm);
	heap_free(vm);
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
	if (vm_host.config.socle.on_idle == ON_IDLE_WAIT) {
		log_info("no VM is running; Socle waits");
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

static enum on_event policy(const struct vm *vm)
{
	switch (vm->guest.stop) {
	case GUEST_RESET:
		return vm->config->on_reboot;
	case GUEST_CRASHED:
		return vm->config->on_crash;
	case GUEST_DESTROYED:
		return ON_EVENT_DESTROY;
	default:
		return vm->config->on_poweroff;
	}
}

/* On the scheduler's stack, after the VM's last vCPU has left it. */
static void vm_stopped(void *opaque)
{
	struct vm *vm = opaque;
	const struct guest *g = &vm->guest;
	bool triple = g->stop == GUEST_RESET && g->stop_code == GUEST_TRIPLE_FAULT;
	vm->state = VM_DEAD;
	vm_host.nr_alive--;
	if (g->stop == GUEST_DEBUG_EXIT)
		log_info("%s: %s, value %u", g->name, stop_name(g->stop), g->stop_code);
	else
		log_info("%s: %s", g->name, triple ? "triple fault" : stop_name(g->stop));
	if (policy(vm) == ON_EVENT_RESTART) {
		vm_empty(vm);
		if (vm_fill(vm) == 0) {
			vm_start(vm);
			return;
		}
		log_error("%s: could not be started again", vm->config->name);
	}
	vm_destroy(vm);
	vm_check_idle();
}
