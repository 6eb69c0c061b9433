/* SPDX-License-Identifier: Apache-2.0 */
/* Three VMs of two vCPUs with events (vm/events.c), whose upcalls are counted. Defines functions: one file of
 * a program includes it. */
#pragma once

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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
