/* SPDX-License-Identifier: Apache-2.0 */
/* M20: events: binding, masks, upcalls, what is refused, the end of a VM, and a race of four threads that
 * must not lose a wake-up. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "fake_eoi.h"
#include "shim.h"
#include "socle/event.h"
#include "socle/hypercall.h"
#include "vm/hypercall.h"

#define VMS 3
#define RAM ((u64)1 << 20)
#define ROM 0x200000u
#define PAGE 0x4000u
#define VECTOR 0x50u

static struct vm vms[VMS];
static struct vcpu vcpus[VMS][2];
static unsigned upcalls[VMS][2]; /* atomic */
static sem_t interrupt;          /* of VM 1, for the threads */

struct vm_host vm_host;
int sched_yield(void); /* <sched.h> would be ours */

void lapic_post(struct lapic *l, u8 vector, bool level)
{
	assert_int_equal(vector, VECTOR);
	assert_false(level);
	for (unsigned i = 0; i < VMS; i++)
		for (unsigned c = 0; c < 2; c++)
			if (l == &vcpus[i][c].lapic)
				__atomic_fetch_add(&upcalls[i][c], 1, __ATOMIC_SEQ_CST);
	if (l == &vcpus[1][0].lapic)
		sem_post(&interrupt);
}

static i64 call(unsigned vm, hypercall_fn fn, u64 a, u64 b)
{
	const u64 args[5] = {a, b};
	return fn(&vms[vm], &vcpus[vm][0], args);
}

static struct socle_event_page *page(unsigned vm)
{
	return gmem_ptr(&vms[vm].guest.mem, PAGE, PAGE_SIZE);
}

static void power_on(unsigned i, u32 id)
{
	static const struct ept_options opt = {.pages_2m = true};
	struct vm *vm = &vms[i];
	memset(vm, 0, sizeof(*vm));
	vm->id = id;
	assert_int_equal(ept_init(&vm->guest.ept, &opt), 0);
	gmem_init(&vm->guest.mem, &vm->guest.ept, 0, 1000);
	assert_int_equal(gmem_add_slot(&vm->guest.mem, 0, RAM, 0), 0);
	assert_int_equal(gmem_add_slot(&vm->guest.mem, ROM, 0x10000, GMEM_READONLY), 0);
	vm->guest.nr_vcpus = 2;
	for (unsigned c = 0; c < 2; c++) {
		vm->guest.vcpus[c] = &vcpus[i][c];
		upcalls[i][c] = 0;
	}
	list_insert(&vm_host.vms, &vm->node);
}

static void power_off(unsigned i)
{
	struct vm *vm = &vms[i];
	list_remove(&vm->node);
	vm_events_stop(vm);
	gmem_destroy(&vm->guest.mem);
	ept_destroy(&vm->guest.ept);
	vm_events_destroy(vm);
}

static int setup(void **state)
{
	(void)state;
	list_init(&vm_host.vms);
	sem_init(&interrupt, 0, 0);
	for (unsigned i = 0; i < VMS; i++) {
		power_on(i, i + 1);
		assert_int_equal(call(i, call_event_setup, PAGE, VECTOR), 0);
		memset(page(i), 0, PAGE_SIZE);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VMS; i++)
		power_off(i);
	assert_int_equal(shim_pages_in_use, 0);
	return 0;
}

/* An event of VM a and one of VM b, bound to each other. */
static void connect(unsigned a, unsigned b, u64 *at_a, u64 *at_b)
{
	i64 n = call(a, call_event_alloc, vms[b].id, 0);
	assert_true(n > 0);
	i64 m = call(b, call_event_bind, vms[a].id, (u64)n);
	assert_true(m > 0);
	*at_a = (u64)n;
	*at_b = (u64)m;
}

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

/* ---- four CPUs at once ---- */
#define ROUNDS 2000u
#define SENDERS 3
static u64 sender_event[SENDERS];             /* at the sender */
static u64 receiver_event[SENDERS];           /* at VM 1 */
static u32 asked[SENDERS], answered[SENDERS]; /* atomic */
static bool lost;

/* Rings, and rings again only when it was heard: one lost wake-up and this waits for ever. */
static void *sender(void *opaque)
{
	unsigned i = (unsigned)(uintptr_t)opaque;
	for (u32 round = 1; round <= ROUNDS && !__atomic_load_n(&lost, __ATOMIC_RELAXED); round++) {
		__atomic_store_n(&asked[i], round, __ATOMIC_RELEASE);
		if (call(i == 0 ? 0 : i == 1 ? 2 : 1, call_event_send, sender_event[i], 0))
			abort();
		while (__atomic_load_n(&answered[i], __ATOMIC_ACQUIRE) < round &&
		       !__atomic_load_n(&lost, __ATOMIC_RELAXED))
			sched_yield();
	}
	return NULL;
}

static void serve(unsigned n)
{
	for (unsigned i = 0; i < SENDERS; i++)
		if (receiver_event[i] == n)
			__atomic_store_n(&answered[i], __atomic_load_n(&asked[i], __ATOMIC_ACQUIRE),
					 __ATOMIC_RELEASE);
}

static void unmask(struct socle_event_page *p, unsigned n, unsigned way)
{
	if (way == 0)
		call(1, call_event_unmask, n, 0);
	else if (way == 1)
		call(1, call_event_unmask, SOCLE_EVENT_ALL, 0);
	else
		while (socle_event_unmask(p, n)) {
			socle_event_mask(p, n);
			__atomic_fetch_and(&p->pending[n / 64], ~BIT(n % 64), __ATOMIC_SEQ_CST);
			serve(n);
		}
}

/* The guest: sleeps until an upcall, serves what is pending with it masked, unmasks it in one of the three
 * ways as the last thing it does, and sleeps again. */
static void *receiver(void *opaque)
{
	struct socle_event_page *p = page(1);
	unsigned turn = 0;
	(void)opaque;
	while (answered[0] < ROUNDS || answered[1] < ROUNDS || answered[2] < ROUNDS) {
		unsigned served[SOCLE_EVENTS], nr = 0;
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 20;
		if (sem_timedwait(&interrupt, &until)) {
			__atomic_store_n(&lost, true, __ATOMIC_RELAXED);
			return NULL;
		}
		socle_event_begin(p, 0);
		while ((served[nr] = socle_event_next(p)) != 0) {
			socle_event_mask(p, served[nr]);
			serve(served[nr++]);
		}
		sched_yield(); /* time for the next to come while it is masked */
		while (nr)
			unmask(p, served[--nr], turn++ % 3);
	}
	return NULL;
}

static void four_threads_lose_nothing(void **state)
{
	pthread_t threads[SENDERS + 1];
	(void)state;
	lost = false;
	memset(asked, 0, sizeof(asked));
	memset(answered, 0, sizeof(answered));
	connect(0, 1, &sender_event[0], &receiver_event[0]);
	connect(1, 2, &receiver_event[1], &sender_event[1]);
	sender_event[2] = receiver_event[2] = (u64)call(1, call_event_alloc, SOCLE_SELF, 0);
	assert_int_equal(pthread_create(&threads[SENDERS], NULL, receiver, NULL), 0);
	for (uintptr_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sender, (void *)i), 0);
	for (unsigned i = 0; i <= SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(lost);
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(answered[i], ROUNDS);
}

/* Bind, send, close and the end of VMs against each other: nothing is freed too early or never. */
static bool churn_over;
static void *churner(void *opaque)
{
	unsigned i = (unsigned)(uintptr_t)opaque, seed = i + 1;
	while (!__atomic_load_n(&churn_over, __ATOMIC_RELAXED)) {
		u64 n = (u64)rand_r(&seed) % 8, other = (u64)rand_r(&seed) % VMS + 1;
		static const hypercall_fn two[] = {call_event_alloc, call_event_bind};
		static const hypercall_fn one[] = {call_event_send, call_event_send, call_event_close,
						   call_event_unmask};
		call(i, two[rand_r(&seed) % 2], other, n);
		call(i, one[rand_r(&seed) % 4], n, 0);
	}
	return NULL;
}

static void binding_races(void **state)
{
	pthread_t threads[VMS];
	struct timespec while_they_run = {.tv_sec = 1};
	(void)state;
	churn_over = false;
	for (uintptr_t i = 0; i < VMS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churner, (void *)i), 0);
	nanosleep(&while_they_run, NULL);
	__atomic_store_n(&churn_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < VMS; i++)
		pthread_join(threads[i], NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(to_itself),     T(to_another),
	    T(masked),        T(another_vcpu),
	    T(bad_numbers),   T(bad_pages),
	    T(before_setup),  T(binding),
	    T(closing),       T(end_of_a_vm),
	    T(all_in_use),    T(alarms),
	    T(hostile_page),  T(four_threads_lose_nothing),
	    T(binding_races),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
