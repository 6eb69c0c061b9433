/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls of include/socle/clock.h. */
#include "hypercall.h"

#include "socle/clock.h"
#include "socle/event.h"
#include "socle/hypercall.h"

i64 hypercall_error(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case ERR_FAULT:
		return SOCLE_EFAULT;
	case ERR_NOENT:
		return SOCLE_ENOENT;
	default:
		return SOCLE_EINVAL;
	}
}

i64 call_clock_vcpu(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)vm;
	return hypercall_error(clock_set_vcpu_record(v, args[0]));
}

i64 call_clock_vm(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)vm;
	return hypercall_error(clock_set_vm_record(v, args[0]));
}

i64 call_clock_update(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)vm, (void)args;
	return hypercall_error(clock_update(v));
}

static i64 alarm(struct vm *vm, struct vcpu *v, enum clock_alarm which, const u64 *args)
{
	u64 how = args[1], event = how - SOCLE_ALARM_EVENT(0);
	if (event < SOCLE_EVENTS && vm_event_is_own(vm, event))
		how = CLOCK_BY_EVENT + event;
	else if (args[0] != CLOCK_OFF && (how < HYPERCALL_VECTOR_FIRST || how > HYPERCALL_VECTOR_LAST))
		return SOCLE_EINVAL;
	clock_set_alarm(v, which, args[0], (u32)how);
	return 0;
}

i64 call_alarm_real(struct vm *vm, struct vcpu *v, const u64 *args)
{
	return alarm(vm, v, CLOCK_REAL, args);
}

i64 call_alarm_virtual(struct vm *vm, struct vcpu *v, const u64 *args)
{
	return alarm(vm, v, CLOCK_VIRTUAL, args);
}
