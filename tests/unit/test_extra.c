/* SPDX-License-Identifier: Apache-2.0 */
/* M2: the registers that a VMCS does not hold, of two vCPUs that take turns: each finds its own, and no more
 * is written than differs. The FPU is the build host's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "host.h"
#include "vcpu.h"
#include "vcpu/extra.h"
#include "vcpu/switch.h"
#include "x86.h"
#include "x86_ops.h"

static struct vcpu_cpu here;
static struct cpu cpu = {.vcpu = &here};
static struct vcpu a, b;
static u8 areas[2][4 * PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned area;
static u64 kernel_gs, msrs[5];
static unsigned written;

static int msr_number(u32 msr)
{
	return msr == MSR_TSC_AUX ? 4 : (int)(msr - MSR_STAR);
}

static u64 msr_read(u32 msr)
{
	return msr == MSR_KERNEL_GS_BASE ? kernel_gs : msrs[msr_number(msr)];
}

static void msr_write(u32 msr, u64 value)
{
	if (msr == MSR_KERNEL_GS_BASE) {
		kernel_gs = value;
		return;
	}
	assert_in_range(msr_number(msr), 0, 4);
	msrs[msr_number(msr)] = value;
	written++;
}

hpa_t page_alloc_zeroed(unsigned order)
{
	assert_in_range(order, 0, 2);
	return virt_to_phys(areas[area++ % 2]);
}

void page_free(hpa_t pa, unsigned order)
{
	(void)pa, (void)order;
}

/* As the processor has no AVX: what FXSAVE knows. */
static struct cpuid_regs no_xsave(u32 leaf, u32 subleaf)
{
	(void)leaf, (void)subleaf;
	return (struct cpuid_regs){0};
}

static void vcpu_make(struct vcpu *v)
{
	memset(v, 0, sizeof(*v));
	assert_int_equal(extra_create(&v->extra), 0);
	extra_reset(v);
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = &cpu;
	fake_msr_read = msr_read;
	fake_msr_write = msr_write;
	fake_cpuid = no_xsave;
	memset(&fake_registers, 0, sizeof(fake_registers));
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	extra_init();
	extra_init_cpu(&here);
	vcpu_make(&a);
	vcpu_make(&b);
	written = 0;
	return 0;
}

static void pass(struct vcpu *from, struct vcpu *to)
{
	extra_save(&here, from);
	extra_load(&here, to);
}

static void only_what_differs_is_written(void **state)
{
	(void)state;
	extra_load(&here, &a);
	a.extra.syscall[1] = here.syscall[1] = msrs[1] = 0x1000; /* as its WRMSR left them */
	pass(&a, &b);
	assert_int_equal(written, 1);
	assert_int_equal(msrs[1], 0);
	b.extra.syscall[1] = here.syscall[1] = msrs[1] = 0x1000;
	pass(&b, &a);
	assert_int_equal(written, 1); /* the same as its own */
	assert_int_equal(msrs[1], 0x1000);
	b.extra.syscall[4] = 7;
	pass(&a, &b);
	assert_int_equal(written, 2);
	assert_int_equal(msrs[4], 7);
}

static void each_has_its_own(void **state)
{
	(void)state;
	extra_load(&here, &a);
	kernel_gs = 5;
	fake_registers.cr2 = 0x1234;
	fake_registers.dr6 = DR6_INIT | DR6_BS;
	pass(&a, &b);
	assert_true(kernel_gs == 0 && fake_registers.cr2 == 0 && fake_registers.dr6 == DR6_INIT);
	kernel_gs = 6;
	pass(&b, &a);
	assert_true(kernel_gs == 5 && fake_registers.cr2 == 0x1234);
	assert_int_equal(fake_registers.dr6, DR6_INIT | DR6_BS);
	pass(&a, &b);
	assert_int_equal(kernel_gs, 6);
}

static bool mov_dr_exits(const struct vcpu *v)
{
	return v->events.proc & PROC_MOV_DR;
}

static void breakpoints_come_when_they_are_asked_for(void **state)
{
	(void)state;
	extra_load(&here, &a);
	assert_true(mov_dr_exits(&a) && (fake(PROC_CONTROLS) & PROC_MOV_DR));
	exit_mov_dr(&a);
	assert_true(!mov_dr_exits(&a) && !(fake(PROC_CONTROLS) & PROC_MOV_DR));
	fake_registers.dr0 = 0x1000;
	fake_registers.dr3 = 0x3000;
	fake(GUEST_DR7) = DR7_INIT | 1; /* L0 */
	pass(&a, &b);
	assert_true(!mov_dr_exits(&a)); /* the CPU looks at them as it runs */
	assert_true(mov_dr_exits(&b) && !fake_registers.dr0 && !fake_registers.dr3);
	fake(GUEST_DR7) = DR7_INIT;
	pass(&b, &a);
	assert_true(fake_registers.dr0 == 0x1000 && fake_registers.dr3 == 0x3000);
	pass(&a, &b); /* none is enabled any more */
	assert_true(mov_dr_exits(&a));
	pass(&b, &a);
	assert_int_equal(fake_registers.dr0, 0);
	exit_mov_dr(&a);
	assert_true(fake_registers.dr0 == 0x1000 && fake_registers.dr3 == 0x3000);
	extra_init_signal(&a);
	assert_true(!fake_registers.dr0 && !fake_registers.dr3 && fake_registers.dr6 == DR6_INIT);
	pass(&a, &b);
	pass(&b, &a);
	exit_mov_dr(&a);
	assert_int_equal(fake_registers.dr3, 0);
}

static u64 xmm_get(void)
{
	u64 value;
	__asm__ volatile("movq %%xmm7, %0" : "=r"(value));
	return value;
}

static void xmm_set(u64 value)
{
	__asm__ volatile("movq %0, %%xmm7" : : "r"(value) : "xmm7");
}

/* Nothing between may use the register. */
static void sse_goes_with_the_vcpu(void **state)
{
	(void)state;
	extra_load(&here, &a);
	xmm_set(11);
	extra_save(&here, &a);
	extra_load(&here, &b);
	u64 fresh = xmm_get();
	xmm_set(22);
	extra_save(&here, &b);
	extra_load(&here, &a);
	u64 first = xmm_get();
	extra_save(&here, &a);
	extra_load(&here, &b);
	u64 second = xmm_get();
	assert_int_equal(fresh, 0);
	assert_int_equal(first, 11);
	assert_int_equal(second, 22);
}

static u64 ymm_upper_get(void)
{
	u64 value;
	__asm__ volatile("vextractf128 $1, %%ymm7, %%xmm6\n\tmovq %%xmm6, %0" : "=r"(value) : : "xmm6");
	return value;
}

static void ymm_upper_set(u64 value)
{
	__asm__ volatile("movq %0, %%xmm6\n\tvinsertf128 $1, %%xmm6, %%ymm7, %%ymm7"
			 :
			 : "r"(value)
			 : "xmm6", "xmm7");
}

/* What another guest has left there is not what a guest finds that enables AVX. */
static void avx_comes_when_it_is_enabled(void **state)
{
	(void)state;
	if (!__builtin_cpu_supports("avx"))
		skip();
	fake_cpuid = NULL;
	extra_init();
	extra_init_cpu(&here);
	vcpu_make(&a);
	vcpu_make(&b);
	extra_load(&here, &a);
	xmm_set(11);
	ymm_upper_set(99);
	extra_set_xcr0(&a, XCR0_X87 | XCR0_SSE | XCR0_AVX);
	u64 lower = xmm_get(), fresh = ymm_upper_get();
	ymm_upper_set(33);
	extra_save(&here, &a);
	extra_load(&here, &b);
	u64 other = xmm_get();
	ymm_upper_set(44);
	extra_save(&here, &b);
	extra_load(&here, &a);
	u64 lower_again = xmm_get(), upper_again = ymm_upper_get();
	assert_true(a.extra.wide && !b.extra.wide);
	assert_int_equal(lower, 11);
	assert_int_equal(fresh, 0);
	assert_int_equal(other, 0);
	assert_int_equal(lower_again, 11);
	assert_int_equal(upper_again, 33);
	assert_int_equal(fake_registers.xcr0, XCR0_X87 | XCR0_SSE | XCR0_AVX);
}

static void xcr0_is_written_when_it_differs(void **state)
{
	(void)state;
	extra_load(&here, &a);
	extra_set_xcr0(&a, XCR0_X87 | XCR0_SSE);
	assert_int_equal(fake_registers.xcr0, XCR0_X87 | XCR0_SSE);
	assert_false(a.extra.wide);
	pass(&a, &b);
	assert_int_equal(fake_registers.xcr0, XCR0_X87);
	fake_registers.xcr0 = 0x5a; /* nobody writes what is there already */
	extra_set_xcr0(&b, XCR0_X87);
	assert_int_equal(fake_registers.xcr0, 0x5a);
	pass(&b, &a);
	assert_int_equal(fake_registers.xcr0, XCR0_X87 | XCR0_SSE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    T(only_what_differs_is_written),
	    T(each_has_its_own),
	    T(breakpoints_come_when_they_are_asked_for),
	    T(sse_goes_with_the_vcpu),
	    T(avx_comes_when_it_is_enabled),
	    T(xcr0_is_written_when_it_differs),
	};
	return cmocka_run_group_tests_name("registers beside the VMCS (M2)", tests, NULL, NULL);
}
