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
