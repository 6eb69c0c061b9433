/* SPDX-License-Identifier: Apache-2.0 */
/* What a VM has used. */
#include "vm.h"

u64 vm_vcpu_ticks(const struct vm *vm, u64 now)
{
	u64 ticks = 0;
	for (unsigned i = 0; i < vm->guest.nr_vcpus; i++) {
		struct task_times t = task_times_at(&vm->guest.vcpus[i]->task, now);
		ticks += t.run + t.hypervisor;
	}
	return ticks;
}

u64 vm_ticks(const struct vm *vm, u64 now)
{
	return vm_vcpu_ticks(vm, now) + __atomic_load_n(&vm->guest.group.billed, __ATOMIC_RELAXED);
}

/* The PC has only those that are configured, in their order. */
void vm_disk_meters(const struct vm *vm, unsigned i, struct disk_meters *m)
{
	unsigned number = 0;

	memset(m, 0, sizeof(*m));
	if (i >= CONFIG_MAX_DISKS || !vm->disks[i].medium)
		return;
	m->block = block_port_meters(&vm->disks[i].port);
	for (unsigned before = 0; before < i; before++)
		number += vm->config->disks[before].path[0] != 0;
	if (vm->pc)
		pc_disk_meters(vm->pc, number, &m->doorbells, &m->interrupts);
}
