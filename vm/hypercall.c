/* SPDX-License-Identifier: Apache-2.0 */
/* Hypercalls: one row each. Arguments come from a guest; see include/socle/hypercall.h for the ABI. */
#include "hypercall.h"

#include "host.h"
#include "socle/clock.h"
#include "socle/event.h"
#include "socle/hypercall.h"
#include "socle/ring.h"

_Static_assert(sizeof(struct socle_multicall) == 64, "ABI: none lies across a page");

static i64 call_none(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)vm, (void)v, (void)args;
	return SOCLE_ENOSYS;
}

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

static i64 call_yield(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)vm, (void)args;
	vcpu_give_way(v);
	return 0;
}

static i64 call_multi(struct vm *vm, struct vcpu *v, const u64 *args);

static const hypercall_fn calls[] = {
    [SOCLE_CALL_EXIT_COUNT + 1 ... SOCLE_CALL_CLOCK_VCPU - 1] = call_none,
    [SOCLE_CALL_VERSION] = call_version,
    [SOCLE_CALL_CONSOLE_WRITE] = call_console_write,
    [SOCLE_CALL_EXIT_COUNT] = call_exit_count,
    [SOCLE_CALL_CLOCK_VCPU] = call_clock_vcpu,
    [SOCLE_CALL_CLOCK_VM] = call_clock_vm,
    [SOCLE_CALL_CLOCK_UPDATE] = call_clock_update,
    [SOCLE_CALL_ALARM_REAL] = call_alarm_real,
    [SOCLE_CALL_ALARM_VIRTUAL] = call_alarm_virtual,
    [SOCLE_CALL_YIELD] = call_yield,
    [SOCLE_CALL_YIELD + 1 ... SOCLE_CALL_VM_ID - 1] = call_none,
    [SOCLE_CALL_VM_ID] = call_vm_id,
    [SOCLE_CALL_EVENT_SETUP] = call_event_setup,
    [SOCLE_CALL_EVENT_ALLOC] = call_event_alloc,
    [SOCLE_CALL_EVENT_BIND] = call_event_bind,
    [SOCLE_CALL_EVENT_CLOSE] = call_event_close,
    [SOCLE_CALL_EVENT_SEND] = call_event_send,
    [SOCLE_CALL_EVENT_UNMASK] = call_event_unmask,
    [SOCLE_CALL_EVENT_VCPU] = call_event_vcpu,
    [SOCLE_CALL_DEVICE_QUERY] = call_device_query,
    [SOCLE_CALL_RING_OPEN] = call_ring_open,
    [SOCLE_CALL_RING_CLOSE] = call_ring_close,
    [SOCLE_CALL_RING_DOORBELL] = call_ring_doorbell,
    [SOCLE_CALL_MULTI] = call_multi,
};

/* One entry; its words are read once. Others may run before it. */
static void multi_entry(struct vm *vm, struct vcpu *v, gpa_t gpa)
{
	struct gmem *m = &vm->guest.mem;
	const volatile u64 *from = gmem_tlb_ptr(m, &v->tlb, gpa, sizeof(struct socle_multicall));
	struct socle_multicall *to;
	i64 result = SOCLE_ENOSYS;
	u64 number, args[5];

	if (!from)
		return; /* there is no memory to populate its page */
	number = from[0];
	for (unsigned i = 0; i < ARRAY_SIZE(args); i++)
		args[i] = from[1 + i];
	if (number == SOCLE_CALL_MULTI)
		result = SOCLE_EINVAL;
	else if (number < ARRAY_SIZE(calls))
		result = calls[number](vm, v, args);
	to = gmem_tlb_ptr(m, &v->tlb, gpa, sizeof(*to));
	if (to)
		__atomic_store_n(&to->result, result, __ATOMIC_RELAXED);
}

static i64 call_multi(struct vm *vm, struct vcpu *v, const u64 *args)
{
	gpa_t gpa = args[0];
	u64 n = args[1];

	if (n > SOCLE_MULTI_MAX || !IS_ALIGNED(gpa, sizeof(struct socle_multicall)))
		return SOCLE_EINVAL;
	for (u64 i = 0; i < n; i++)
		if (gmem_check(&vm->guest.mem, gpa + i * sizeof(struct socle_multicall),
			       sizeof(struct socle_multicall), 1))
			return SOCLE_EFAULT;
	for (u64 i = 0; i < n; i++) {
		multi_entry(vm, v, gpa + i * sizeof(struct socle_multicall));
		vcpu_between();
	}
	return (i64)n;
}

__attribute__((noinline)) static i64 call(struct vm *vm, struct vcpu *v, u64 number)
{
	const u64 *r = v->regs;
	if (unlikely(vcpu_cpl() != 0))
		return SOCLE_EPERM;
	const u64 args[] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[10], r[8]};
	return calls[number](vm, v, args);
}

/* The CPL is asked for last, where nothing has to be kept in registers across the question. */
u64 vm_hypercall(void *opaque, struct vcpu *v, u64 number)
{
	if (unlikely(number >= ARRAY_SIZE(calls)))
		return vcpu_cpl() ? (u64)SOCLE_EPERM : (u64)SOCLE_ENOSYS;
	return (u64)call(opaque, v, number);
}
