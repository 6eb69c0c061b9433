/* SPDX-License-Identifier: Apache-2.0 */
/* Kicks of CPUs that run and of CPUs that doze: whichever way it comes, calls are made and the TLB is emptied
 * that others wait for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"
#include "host/smp.h"
#include "shim.h"
#include "x86.h"
#include "x86_ops.h"

static struct cpu cpus[2];
static unsigned ipis, syncs, calls;

/* ---- what starts CPUs is not used here ---- */
const char ap_low[1], ap_low_64[1], ap_low_end[1], ap_low_far[1], ap_low_gdt[1], ap_low_gdtr[1],
    ap_low_root[1];
#define UNUSED(name)                                                                                         \
	void name(void);                                                                                     \
	void name(void)                                                                                      \
	{                                                                                                    \
		fail_msg("%s", __func__);                                                                    \
	}
UNUSED(apic_init_cpu)
UNUSED(apic_send_init)
UNUSED(apic_send_nmi)
UNUSED(apic_send_startup)
UNUSED(cpu_add)
UNUSED(cpu_init)
UNUSED(cpu_remove)

void *stack_alloc(unsigned pages)
{
	(void)pages;
	return NULL;
}

void stack_free(void *top, unsigned pages)
{
	(void)top, (void)pages;
}

void irq_register(u8 vector, irq_fn fn, void *opaque)
{
	(void)vector, (void)fn, (void)opaque;
}

/* ---- fakes ---- */
unsigned cpu_count(void)
{
	return ARRAY_SIZE(cpus);
}

struct cpu *cpu_get(unsigned index)
{
	return &cpus[index];
}

void apic_send_ipi(u32 apic_id, u8 vector)
{
	assert_int_equal(apic_id, 1);
	assert_int_equal(vector, IRQ_VECTOR_KICK);
	ipis++;
}

void vmap_sync(void)
{
	syncs++;
}

void irq_report_nmi(void)
{
}

bool irq_poll_console(void)
{
	return false;
}

static void called(void *opaque)
{
	assert_ptr_equal(opaque, &calls);
	calls++;
}

static struct cpu_call call;

static int setup(void **state)
{
	(void)state;
	memset(cpus, 0, sizeof(cpus));
	cpus[1].index = cpus[1].apic_id = 1;
	fake_cpu = &cpus[0];
	ipis = syncs = calls = fake_halts = 0;
	call = (struct cpu_call){.run = called, .opaque = &calls};
	idle_init_cpu(); /* links idle.c in place of the fakes */
	return 0;
}

static void one_that_runs(void **state)
{
	(void)state;
	cpu_kick(1);
	cpu_kick(1); /* one is on its way */
	cpu_call(1, &call);
	assert_int_equal(ipis, 1);
	fake_cpu = &cpus[1];
	cpu_serve_kick(); /* the interrupt's handler */
	assert_int_equal(calls, 1);
	assert_int_equal(syncs, 1);
	assert_false(cpu_kicked());
	fake_cpu = &cpus[0];
	cpu_kick(1);
	assert_int_equal(ipis, 2);
}

static void one_that_dozes(void **state)
{
	(void)state;
	fake_cpu = &cpus[1];
	cpu_doze();
	fake_cpu = &cpus[0];
	cpu_kick(1);
	cpu_call(1, &call);
	assert_int_equal(ipis, 0);
	fake_cpu = &cpus[1];
	assert_true(cpu_kicked());
	cpu_wake_up();
	assert_false(cpu_kicked());
	assert_int_equal(calls, 1);
	assert_int_equal(syncs, 1); /* whoever freed a stack may wait for this alone */
	fake_cpu = &cpus[0];
	cpu_kick(1);
	assert_int_equal(ipis, 1); /* it is awake */
}

/* A processor that cannot watch the mark: a kick between the last look for something to do and the HLT. */
static void one_that_is_about_to_halt(void **state)
{
	(void)state;
	fake_cpu = &cpus[1];
	cpu_doze();
	cpus[1].mwait = false;
	fake_cpu = &cpus[0];
	cpu_kick(1);
	assert_int_equal(ipis, 0); /* nothing would end the HLT */
	fake_cpu = &cpus[1];
	cpu_idle_wait();
	assert_int_equal(fake_halts, 0);
	assert_int_equal(syncs, 1);
	cpu_doze();
	cpu_idle_wait();
	assert_int_equal(fake_halts, 1);
	fake_cpu = &cpus[0];
	cpu_kick(1);
	assert_int_equal(ipis, 1);
}

static u64 bochs(u32 msr)
{
	return msr == MSR_VMX_BASIC ? VMX_REVISION_BOCHS : 0;
}

static struct cpuid_regs with_vmx(u32 leaf, u32 subleaf)
{
	(void)subleaf;
	return (struct cpuid_regs){.eax = leaf ? 0 : CPUID_LEAF_MWAIT, .ecx = leaf == 1 ? CPUID1_ECX_VMX : 3};
}

/* Bochs wakes who watches a word only if the writer's TLB does not have it, and watches the right one only if
 * the watcher's TLB has it not, either. */
static void one_that_bochs_lets_sleep(void **state)
{
	(void)state;
	fake_forgotten = 0;
	cpu_kick(1);
	assert_int_equal(fake_forgotten, 0);
	cpus[1].kicked = false;
	fake_cpuid = with_vmx;
	fake_msr_read = bochs;
	idle_init_cpu();
	cpu_kick(1);
	assert_int_equal(fake_forgotten, (u64)&cpus[1].kicked);
	fake_forgotten = fake_watched = 0;
	cpus[0].mwait = true;
	cpu_doze();
	cpu_idle_wait();
	assert_int_equal(fake_forgotten, (u64)&cpus[0].kicked);
	assert_int_equal(fake_watched, (u64)&cpus[0].kicked);
	fake_msr_read = NULL;
	idle_init_cpu();
	fake_cpuid = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(one_that_runs, setup),
	    cmocka_unit_test_setup(one_that_dozes, setup),
	    cmocka_unit_test_setup(one_that_is_about_to_halt, setup),
	    cmocka_unit_test_setup(one_that_bochs_lets_sleep, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
