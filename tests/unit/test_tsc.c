/* SPDX-License-Identifier: Apache-2.0 */
/* M36: whether the TSCs of two CPUs agree. The other CPU is a thread. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <string.h>

#include <cmocka.h>

#include "host.h"
#include "include/fake_cpu.h"
#include "shim.h"
#include "x86.h"
#include "x86_ops.h"

static __thread u64 offset; /* of this thread's TSC */
static u64 other_offset;
static unsigned nr_cpus = 2;
static pthread_t other;
static bool called;

u64 tsc_now(void)
{
	return rdtsc() + offset;
}

unsigned cpu_count(void)
{
	return nr_cpus;
}

static void *other_cpu(void *opaque)
{
	struct cpu_call *call = opaque;
	offset = other_offset;
	call->run(call->opaque);
	return NULL;
}

void cpu_call(unsigned index, struct cpu_call *call)
{
	assert_int_equal(index, 1);
	called = true;
	assert_int_equal(pthread_create(&other, NULL, other_cpu, call), 0);
}

/* IA32_TSC_ADJUST of the other CPU: what is added to it is added to its TSC (SDM volume 3, 18.17.3). */
static u64 adjust = 77;
static unsigned adjusted;

static u64 adjust_read(u32 msr)
{
	assert_int_equal(msr, MSR_TSC_ADJUST);
	return adjust;
}

static void adjust_write(u32 msr, u64 value)
{
	assert_int_equal(msr, MSR_TSC_ADJUST);
	other_offset += value - adjust;
	adjust = value;
	adjusted++;
}

void cpu_call_wait(unsigned index, void (*run)(void *opaque), void *opaque)
{
	assert_int_equal(index, 1);
	pthread_join(other, NULL); /* its part of the meeting is over */
	called = false;
	run(opaque);
}

/* Highest leaf 4: none that tells of IA32_TSC_ADJUST. */
static struct cpuid_regs old_processor(u32 leaf, u32 subleaf)
{
	(void)leaf, (void)subleaf;
	return (struct cpuid_regs){.eax = 4};
}

static struct cpuid_regs new_processor(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	return leaf ? (struct cpuid_regs){.ebx = CPUID7_EBX_TSC_ADJUST}
		    : (struct cpuid_regs){.eax = CPUID_LEAF_EXT_FEATURES};
}

static void compare(u64 difference)
{
	other_offset = difference;
	shim_log_lines = 0;
	tsc_compare();
	if (called)
		pthread_join(other, NULL);
	called = false;
}

static void alone(void **state)
{
	(void)state;
	nr_cpus = 1;
	compare(0);
	assert_true(tsc_stable());
	nr_cpus = 2;
}

static void the_same(void **state)
{
	(void)state;
	compare(0);
	assert_true(tsc_stable());
	assert_int_equal(shim_log_lines, 0);
}

/* Where the processor can, the other one's TSC is set: forward, back, and again until nobody sees a
 * difference. */
static void repaired(void **state)
{
	static const u64 differences[] = {-BIT(30), BIT(30), -BIT(40), BIT(40), -BIT(20)};
	(void)state;
	fake_cpuid = new_processor;
	fake_msr_read = adjust_read;
	fake_msr_write = adjust_write;
	for (unsigned i = 0; i < ARRAY_SIZE(differences); i++) {
		adjusted = 0;
		compare(differences[i]);
		assert_true(tsc_stable());
		assert_true(adjusted > 0 && adjusted <= 8);
		assert_int_equal(shim_log_lines, 1);
		assert_string_equal(shim_last_log, "TSC of CPU 1 set to the boot CPU's");
		assert_true(other_offset < BIT(20) || other_offset > -BIT(20));
	}
	fake_cpuid = old_processor;
}

/* Half a second each way: it stays said once it was found. */
static void behind_and_ahead(void **state)
{
	(void)state;
	compare(BIT(30));
	assert_false(tsc_stable());
	assert_int_equal(shim_log_lines, 1);
	assert_non_null(strstr(shim_last_log, "CPU 1"));
	compare(-BIT(30));
	assert_int_equal(shim_log_lines, 1);
	compare(0);
	assert_false(tsc_stable());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(alone),
	    cmocka_unit_test(the_same),
	    cmocka_unit_test(repaired),
	    cmocka_unit_test(behind_and_ahead),
	};
	fake_cpuid = old_processor;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
