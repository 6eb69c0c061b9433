/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls: one row each. Arguments come from a guest; see include/socle/hypercall.h for the ABI. */
#include "host.h"
#include "vm.h"

#include "socle/hypercall.h"

typedef i64 (*hypercall_fn)(struct vm *vm, struct vcpu *v, const u64 *args);

static i64 call_version(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)vm, (void)v, (void)args;
	return SOCLE_ABI_VERSION;
}

static i64 call_console_write(struct vm *vm, struct vcpu *v, const u64 *args)
{
	gpa_t gpa = args[0];
	u64 left = args[1];
	u8 chunk[128];
	(void)v;
	if (left > SOCLE_CONSOLE_MAX)
		return SOCLE_EINVAL;
	while (left) {
		size_t n = MIN(left, sizeof(chunk));
		if (gmem_read(&vm->guest.mem, gpa, chunk, n))
			return SOCLE_EFAULT;
		vm_console_output(vm, chunk, n);
		gpa += n;
		left -= n;
	}
	return (i64)args[1];
}

static i64 call_exit_count(struct vm *vm, struct vcpu *v, const u64 *args)
{
	u64 sum = 0;
	(void)vm;
	if (args[0] < VCPU_EXIT_REASONS)
		return (i64)v->exits[args[0]];
	if (args[0] != SOCLE_EXITS_ALL)
		return SOCLE_EINVAL;
	for (unsigned r = 0; r < VCPU_EXIT_REASONS; r++)
		sum += v->exits[r];
	return (i64)sum;
}

static const hypercall_fn calls[] = {
    [SOCLE_CALL_VERSION] = call_version,
    [SOCLE_CALL_CONSOLE_WRITE] = call_console_write,
    [SOCLE_CALL_EXIT_COUNT] = call_exit_count,
};

__attribute__((noinline)) static i64 call(struct vm *vm, struct vcpu *v, u64 number)
{
	const u64 *r = v->regs;
	const u64 args[] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[10], r[8]};
	return calls[number](vm, v, args);
}

u64 vm_hypercall(void *opaque, struct vcpu *v, u64 number)
{
	if (unlikely(vcpu_cpl() != 0))
		return (u64)SOCLE_EPERM;
	if (unlikely(number >= ARRAY_SIZE(calls)))
		return (u64)SOCLE_ENOSYS;
	return (u64)call(opaque, v, number);
}
