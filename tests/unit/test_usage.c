/* SPDX-License-Identifier: Apache-2.0 */
/* The meters of a VM, for benchmarks inside it (M26): sums over its vCPUs, what goes on included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "guest.h"
#include "shim.h"
#include "vcpu.h"

static struct guest g;
static struct vcpu vcpus[2];

static void sums(void **state)
{
	(void)state;
	g.nr_vcpus = 2;
	for (unsigned i = 0; i < 2; i++)
		g.vcpus[i] = &vcpus[i];
	vcpus[0].exits[1] = 3;
	vcpus[0].exits[30] = 4;
	vcpus[1].exits[30] = 5;
	vcpus[0].task.times =
	    (struct task_times){.run = 100, .ready = 1000, .blocked = 10000, .hypervisor = 20};
	vcpus[1].task.times = (struct task_times){.run = 200, .hypervisor = 30};
	vcpus[0].task.state = TASK_BLOCKED;
	vcpus[1].task.state = TASK_RUNNING;
	vcpus[0].task.since = vcpus[1].task.since = 5000;
	vcpus[1].task.hypervisor = 7;
	g.group.billed = 11;
	shim_tsc = 5060;
	assert_int_equal(guest_meter(&g, 1), 3);
	assert_int_equal(guest_meter(&g, 30), 9);
	assert_int_equal(guest_meter(&g, 12), 0);
	assert_int_equal(guest_meter(&g, GUEST_METER_EXITS), 12);
	assert_int_equal(guest_meter(&g, GUEST_METER_RUN), 100 + 200 + 53);
	assert_int_equal(guest_meter(&g, GUEST_METER_HYPERVISOR), 20 + 30 + 7);
	assert_int_equal(guest_meter(&g, GUEST_METER_BILLED), 11);
	assert_int_equal(guest_meter(&g, GUEST_METER_BILLED + 1), 0);
	assert_int_equal(guest_meter(&g, 0xff), 0);
	assert_int_equal(guest_meter(&g, ~0u), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sums)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
