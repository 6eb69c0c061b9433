/* SPDX-License-Identifier: Apache-2.0 */
/* M20: events: binding, masks, upcalls, what is refused, the end of a VM. */
#include "events_board.h"

static void to_itself(void **state)
{
	(void)state;
	u64 n = (u64)call(0, call_event_alloc, SOCLE_SELF, 0);
	assert_int_equal(n, 1);
	assert_int_equal(call(0, call_event_alloc, vms[0].id, 0), 2);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(call(0, call_event_send, n, 0), 0);
	assert_int_equal(upcalls[0][0], 1);
	assert_int_equal(page(0)->pending[0], 2);
	socle_event_begin(page(0), 0);
	assert_int_equal(socle_event_next(page(0)), n);
	assert_int_equal(socle_event_next(page(0)), 0);
	assert_int_equal(call(0, call_event_send, n, 0), 0);
	assert_int_equal(upcalls[0][0], 2);
}

static void to_another(void **state)
{
	u64 a, b;
	(void)state;
	connect(0, 1, &a, &b);
	assert_int_equal(call(0, call_event_send, a, 0), 0);
	assert_int_equal(upcalls[1][0], 1);
	assert_int_equal(socle_event_next(page(1)), b);
	assert_int_equal(call(1, call_event_send, b, 0), 0);
	assert_int_equal(upcalls[0][0], 1);
	assert_int_equal(socle_event_next(page(0)), a);
	assert_int_equal(upcalls[2][0], 0);
}

/* Masked, they come in silence; unmasked, with one upcall for all of them. */
static void masked(void **state)
{
	enum { N = 20 };
	(void)state;
	for (unsigned i = 1; i <= N; i++) {
		assert_int_equal(call(0, call_event_alloc, SOCLE_SELF, 0), i);
		socle_event_mask(page(0), i);
	}
	for (unsigned i = 1; i <= N; i++)
		assert_int_equal(call(0, call_event_send, i, 0), 0);
	assert_int_equal(upcalls[0][0], 0);
	assert_int_equal(socle_event_next(page(0)), 0);
	assert_int_equal(call(0, call_event_unmask, SOCLE_EVENT_ALL, 0), 0);
	assert_int_equal(upcalls[0][0], 1);
	socle_event_begin(page(0), 0);
	for (unsigned i = 1; i <= N; i++)
		assert_int_equal(socle_event_next(page(0)), i);
	assert_int_equal(socle_event_next(page(0)), 0);
	assert_int_equal(call(0, call_event_unmask, SOCLE_EVENT_ALL, 0), 0);
	assert_int_equal(upcalls[0][0], 1);
	/* One by one, the same. */
	for (unsigned i = 1; i <= N; i++)
		socle_event_mask(page(0), i);
	for (unsigned i = 1; i <= N; i++)
		assert_int_equal(call(0, call_event_send, i, 0), 0);
	for (unsigned i = 1; i <= N; i++)
		assert_int_equal(call(0, call_event_unmask, i, 0), 0);
	assert_int_equal(upcalls[0][0], 2);
	/* By the guest alone: it is told that it has to look itself. */
	while (socle_event_next(page(0)))
		;
	socle_event_mask(page(0), 3);
	assert_false(socle_event_unmask(page(0), 3));
	socle_event_mask(page(0), 3);
	assert_int_equal(call(0, call_event_send, 3, 0), 0);
	assert_true(socle_event_unmask(page(0), 3));
	assert_int_equal(upcalls[0][0], 2);
}

static void another_vcpu(void **state)
{
	(void)state;
	u64 n = (u64)call(0, call_event_alloc, SOCLE_SELF, 0);
	assert_int_equal(call(0, call_event_vcpu, n, 1), 0);
	assert_int_equal(call(0, call_event_send, n, 0), 0);
	assert_int_equal(upcalls[0][0], 0);
	assert_int_equal(upcalls[0][1], 1);
	/* What is pending when it moves is not lost. */
	assert_int_equal(call(0, call_event_vcpu, n, 0), 0);
	assert_int_equal(upcalls[0][0], 1);
	assert_int_equal(call(0, call_event_vcpu, n, 2), SOCLE_EINVAL);
	assert_int_equal(call(0, call_event_vcpu, n, ~(u64)0), SOCLE_EINVAL);
	assert_int_equal(call(0, call_event_vcpu, 9, 0), SOCLE_ENOENT);
}

static void bad_numbers(void **state)
{
	static const hypercall_fn by_event[] = {call_event_close, call_event_send, call_event_unmask,
						call_event_vcpu};
	static const u64 bad[] = {0, SOCLE_EVENTS, SOCLE_EVENTS + 1, BIT(32), BIT(32) + 1, BIT(63), ~(u64)1};
	(void)state;
	for (unsigned f = 0; f < ARRAY_SIZE(by_event); f++) {
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
			assert_int_equal(call(0, by_event[f], bad[i], 0), SOCLE_EINVAL);
		assert_int_equal(call(0, by_event[f], SOCLE_EVENTS - 1, 0), SOCLE_ENOENT);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(call(0, call_event_bind, 2, bad[i]), SOCLE_EINVAL);
		assert_false(vm_event_is_own(&vms[0], bad[i]));
		vm_event_alarm(&vms[0], (u32)bad[i]);
	}
	assert_int_equal(upcalls[0][0], 0);
}

static void bad_pages(void **state)
{
	(void)state;
	assert_int_equal(call(0, call_event_setup, PAGE + 64, VECTOR), SOCLE_EINVAL);
	assert_int_equal(call(0, call_event_setup, RAM, VECTOR), SOCLE_EFAULT);
	assert_int_equal(call(0, call_event_setup, ROM, VECTOR), SOCLE_EFAULT);
	assert_int_equal(call(0, call_event_setup, ~(u64)0xfff, VECTOR), SOCLE_EFAULT);
	assert_int_equal(call(0, call_event_setup, PAGE, 31), SOCLE_EINVAL);
	assert_int_equal(call(0, call_event_setup, PAGE, BIT(32) + VECTOR), SOCLE_EINVAL);
	/* The old page is still in use; without one, what is sent is lost, and nothing else happens. */
	u64 n = (u64)call(0, call_event_alloc, SOCLE_SELF, 0);
	assert_int_equal(call(0, call_event_send, n, 0), 0);
	assert_int_equal(upcalls[0][0], 1);
	assert_int_equal(call(0, call_event_setup, CLOCK_NOWHERE, VECTOR), 0);
	assert_int_equal(call(0, call_event_send, n, 0), 0);
	assert_int_equal(call(0, call_event_unmask, SOCLE_EVENT_ALL, 0), 0);
	assert_int_equal(call(0, call_event_vcpu, n, 1), 0);
	assert_int_equal(upcalls[0][0] + upcalls[0][1], 1);
}

static void before_setup(void **state)
{
	static const hypercall_fn all[] = {call_event_alloc, call_event_bind,   call_event_close,
					   call_event_send,  call_event_unmask, call_event_vcpu};
	(void)state;
	power_off(2);
	power_on(2, 7);
	for (unsigned f = 0; f < ARRAY_SIZE(all); f++)
		assert_int_equal(call(2, all[f], 1, 1), SOCLE_ENXIO);
	assert_int_equal(call(2, call_vm_id, 0, 0), 7);
	assert_int_equal(call(2, call_event_setup, PAGE, 31), SOCLE_EINVAL);
	/* It may be named, but has nothing to bind to. */
	assert_true(call(0, call_event_alloc, 7, 0) > 0);
	assert_int_equal(call(0, call_event_bind, 7, 1), SOCLE_ENOENT);
}

/* Both have to want it: nobody else gets in, and nobody gets in twice. */
static void binding(void **state)
{
	(void)state;
	u64 n = (u64)call(0, call_event_alloc, vms[1].id, 0), own = (u64)call(0, call_event_alloc, 0, 0);
	assert_int_equal(call(0, call_event_send, n, 0), SOCLE_ENOTCONN);
	assert_int_equal(call(2, call_event_bind, vms[0].id, n), SOCLE_ENOENT);
	assert_int_equal(call(1, call_event_bind, vms[0].id, own), SOCLE_ENOENT);
	assert_int_equal(call(1, call_event_bind, vms[0].id, n + 2), SOCLE_ENOENT);
	assert_int_equal(call(1, call_event_bind, 99, n), SOCLE_ENOENT);
	assert_int_equal(call(1, call_event_bind, BIT(32) + 1, n), SOCLE_ENOENT);
	assert_int_equal(call(0, call_event_bind, vms[0].id, n), SOCLE_ENOENT);
	assert_int_equal(call(0, call_event_alloc, 99, 0), SOCLE_ENOENT);
	assert_int_equal(call(0, call_event_alloc, BIT(32), 0), SOCLE_ENOENT);
	assert_int_equal(call(1, call_event_bind, vms[0].id, n), 1);
	assert_int_equal(call(1, call_event_bind, vms[0].id, n), SOCLE_ENOENT);
}

static void closing(void **state)
{
	u64 a, b, c;
	(void)state;
	connect(0, 1, &a, &b);
	assert_int_equal(call(0, call_event_close, a, 0), 0);
	assert_int_equal(call(0, call_event_close, a, 0), SOCLE_ENOENT);
	assert_int_equal(call(1, call_event_send, b, 0), SOCLE_ENOTCONN);
	/* The number is used again, for another VM: the old end does not reach it. */
	connect(0, 2, &a, &c);
	assert_int_equal(call(1, call_event_send, b, 0), SOCLE_ENOTCONN);
	assert_int_equal(call(1, call_event_close, b, 0), 0);
	assert_int_equal(call(2, call_event_send, c, 0), 0);
	assert_int_equal(upcalls[0][0], 1);
	/* A bit that was left behind does not silence a new event. */
	assert_int_equal(call(0, call_event_close, a, 0), 0);
	socle_event_begin(page(0), 0);
	assert_int_equal(call(0, call_event_alloc, SOCLE_SELF, 0), a);
	assert_int_equal(call(0, call_event_send, a, 0), 0);
	assert_int_equal(upcalls[0][0], 2);
}

static void end_of_a_vm(void **state)
{
	u64 a, b, c, d;
	(void)state;
	connect(0, 1, &a, &b);
	connect(2, 1, &c, &d);
	power_off(1);
	assert_int_equal(call(0, call_event_send, a, 0), SOCLE_ENOTCONN);
	assert_int_equal(call(2, call_event_send, c, 0), SOCLE_ENOTCONN);
	power_on(1, 8);
	assert_int_equal(call(1, call_event_setup, PAGE, VECTOR), 0);
	assert_int_equal(call(0, call_event_send, a, 0), SOCLE_ENOTCONN);
	assert_int_equal(call(0, call_event_close, a, 0), 0);
}

static void all_in_use(void **state)
{
	(void)state;
	for (unsigned n = 1; n < SOCLE_EVENTS; n++)
		assert_int_equal(call(0, call_event_alloc, vms[1].id, 0), n);
	assert_int_equal(call(0, call_event_alloc, SOCLE_SELF, 0), SOCLE_ENOMEM);
	for (unsigned n = 1; n < SOCLE_EVENTS; n++)
		assert_int_equal(call(1, call_event_bind, vms[0].id, n), n);
	assert_int_equal(call(0, call_event_send, SOCLE_EVENTS - 1, 0), 0);
	assert_int_equal(socle_event_next(page(1)), SOCLE_EVENTS - 1);
	assert_int_equal(call(2, call_event_alloc, vms[1].id, 0), 1);
	assert_int_equal(call(1, call_event_bind, vms[2].id, 1), SOCLE_ENOMEM);
	assert_int_equal(call(2, call_event_send, 1, 0), SOCLE_ENOTCONN);
}

static void alarms(void **state)
{
	u64 a, b;
	(void)state;
	u64 n = (u64)call(0, call_event_alloc, SOCLE_SELF, 0);
	connect(0, 1, &a, &b);
	assert_true(vm_event_is_own(&vms[0], n));
	assert_false(vm_event_is_own(&vms[0], a));
	vm_event_alarm(&vms[0], (u32)n);
	assert_int_equal(upcalls[0][0], 1);
	assert_int_equal(page(0)->pending[0], BIT(n));
	/* The event was closed after the alarm was set. */
	assert_int_equal(call(0, call_event_close, n, 0), 0);
	socle_event_begin(page(0), 0);
	vm_event_alarm(&vms[0], (u32)n);
	vm_event_alarm(&vms[0], (u32)a);
	assert_int_equal(upcalls[0][0] + upcalls[1][0], 1);
}

/* What the guest writes into its page does nothing but to itself. */
static void hostile_page(void **state)
{
	u64 a, b;
	(void)state;
	connect(0, 1, &a, &b);
	memset(page(1), 0xff, PAGE_SIZE);
	assert_int_equal(call(0, call_event_send, a, 0), 0);
	assert_int_equal(call(1, call_event_unmask, SOCLE_EVENT_ALL, 0), 0);
	assert_int_equal(upcalls[1][0], 0);
	memset(page(1), 0, PAGE_SIZE);
	assert_int_equal(call(0, call_event_send, a, 0), 0);
	assert_int_equal(upcalls[1][0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(to_itself),  T(to_another),   T(masked),       T(another_vcpu), T(bad_numbers),
	    T(bad_pages),  T(before_setup), T(binding),      T(closing),      T(end_of_a_vm),
	    T(all_in_use), T(alarms),       T(hostile_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
