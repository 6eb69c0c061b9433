/* SPDX-License-Identifier: Apache-2.0 */
/* Where there is no preemption timer the APIC's ends a guest's run: it is armed anew when it must be, and
 * only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"

static struct cpu cpu;
static unsigned armed;

void apic_timer_arm(u64 deadline)
{
	armed++;
	cpu.timer_deadline = deadline;
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = &cpu;
	cpu.timer_deadline = ~(u64)0;
	armed = 0;
	return 0;
}

static void for_the_same_it_is_armed_once(void **state)
{
	(void)state;
	apic_timer_keep(100);
	apic_timer_keep(100);
	assert_int_equal(armed, 1);
	apic_timer_keep(50);
	assert_int_equal(armed, 2);
	assert_int_equal(cpu.timer_deadline, 50);
}

/* A vCPU leaves with its deadline ahead, the CPU idles, and the vCPU is back before that. */
static void what_the_idle_loop_did_is_known(void **state)
{
	(void)state;
	apic_timer_keep(100);
	apic_timer_arm(~(u64)0);
	apic_timer_keep(100);
	assert_int_equal(cpu.timer_deadline, 100);
}

/* The interrupt came: what it was armed for is over. */
static void after_it_fired_it_is_armed_again(void **state)
{
	(void)state;
	apic_timer_keep(100);
	cpu.timer_deadline = ~(u64)0; /* as apic_timer_reached() leaves it */
	apic_timer_keep(100);
	assert_int_equal(armed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(for_the_same_it_is_armed_once, setup),
	    cmocka_unit_test_setup(what_the_idle_loop_did_is_known, setup),
	    cmocka_unit_test_setup(after_it_fired_it_is_armed_again, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
