/* SPDX-License-Identifier: Apache-2.0 */
/* One vCPU of a guest with 1 MiB of RAM on the VMCS in memory, for tests of vcpu/. Defines what would
 * reach a real processor or end a guest, so one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "fake_eoi.h"
#include "vcpu.h"
#include "vcpu/exit.h"
#include "vcpu/extra.h"
#include "vcpu/switch.h"
#include "x86.h"

#define BOARD_RAM ((u64)1 << 20)

static struct guest board_guest;
static struct vcpu board_vcpu;
static struct vmx_caps board_caps;
static struct vcpu_cpu board_here;
static struct cpu board_cpu;
static u64 board_regs[VMX_FRAME_REGS];
static unsigned board_failed;      /* guest_fail() */
static enum guest_stop board_stop; /* guest_stop() */
static unsigned board_invvpids;

void guest_fail(struct guest *g, const char *fmt, ...)
{
	va_list ap;
	assert_ptr_equal(g, &board_guest);
	va_start(ap, fmt);
	vsnprintf(g->why, sizeof(g->why), fmt, ap);
	va_end(ap);
	board_failed++;
}

void guest_stop(struct guest *g, enum guest_stop why, u32 code)
{
	(void)code;
	assert_ptr_equal(g, &board_guest);
	board_stop = why;
}

void vmx_invvpid_single(u16 vpid)
{
	assert_int_equal(vpid, board_vcpu.vpid);
	board_invvpids++;
}

/* ---- the local APIC and the registers that only vcpu/extra.c knows ---- */
static u8 board_cr8;
static int board_isr = -1; /* highest vector in service */
static u64 board_deadline, board_xcr0_allowed = XCR0_X87 | XCR0_SSE | XCR0_AVX;

int lapic_highest_isr(const struct lapic *l)
{
	assert_ptr_equal(l, &board_vcpu.lapic);
	return board_isr;
}

u64 switch_xcr0_allowed(void)
{
	return board_xcr0_allowed;
}

void extra_reset(struct vcpu *v)
{
	(void)v;
}

void extra_init_signal(struct vcpu *v)
{
	(void)v;
}

void extra_set_xcr0(struct vcpu *v, u64 value)
{
	assert_ptr_equal(v, &board_vcpu);
	fake_registers.xcr0 = value;
}

void exit_mov_dr(struct vcpu *v)
{
	(void)v;
}

void lapic_init_signal(struct lapic *l)
{
	(void)l;
}

static unsigned board_posted; /* lapic_post() calls, and the last one's vector */
static u8 board_posted_vector;

void lapic_post(struct lapic *l, u8 vector, bool level)
{
	assert_ptr_equal(l, &board_vcpu.lapic);
	assert_false(level);
	board_posted++;
	board_posted_vector = vector;
}

void lapic_cr8_write(struct lapic *l, u8 value)
{
	assert_ptr_equal(l, &board_vcpu.lapic);
	board_cr8 = value;
}

u8 lapic_cr8_read(const struct lapic *l)
{
	assert_ptr_equal(l, &board_vcpu.lapic);
	return board_cr8;
}

void lapic_deadline_write(struct lapic *l, u64 value)
{
	assert_ptr_equal(l, &board_vcpu.lapic);
	board_deadline = value;
}

void lapic_tsc_changed(struct lapic *l)
{
	assert_ptr_equal(l, &board_vcpu.lapic);
}

/* A register file of which only APIC_BASE and 0x808 exist. */
int lapic_msr_read(struct lapic *l, u32 msr, u64 *value)
{
	*value = msr == MSR_APIC_BASE ? l->base : board_cr8;
	return msr == MSR_APIC_BASE || msr == 0x808 || msr == MSR_TSC_DEADLINE ? 0 : ERR_INVAL;
}

int lapic_msr_write(struct lapic *l, u32 msr, u64 value)
{
	if (msr == MSR_APIC_BASE)
		l->base = value;
	else if (msr == 0x808)
		board_cr8 = (u8)value;
	return msr == MSR_APIC_BASE || msr == 0x808 ? 0 : ERR_INVAL;
}

/* Entered since: nothing is pending, no access counted. */
static inline void board_clear(void)
{
	memset(&board_vcpu.events, 0, sizeof(board_vcpu.events));
	memset(fake_vmcs_reads, 0, sizeof(fake_vmcs_reads));
	memset(fake_vmcs_writes, 0, sizeof(fake_vmcs_writes));
	board_vcpu.attention = 0;
	board_failed = 0;
	board_stop = GUEST_RUNNING;
	board_invvpids = 0;
	board_isr = -1;
	board_posted = 0;
}

static inline int board_setup(void **state)
{
	static const struct ept_options opt = {.pages_2m = true};
	(void)state;
	memset(&board_guest, 0, sizeof(board_guest));
	memset(&board_vcpu, 0, sizeof(board_vcpu));
	memset(&board_caps, 0, sizeof(board_caps));
	memset(board_regs, 0, sizeof(board_regs));
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(&fake_registers, 0, sizeof(fake_registers));
	snprintf(board_guest.name, sizeof(board_guest.name), "board");
	assert_int_equal(ept_init(&board_guest.ept, &opt), 0);
	gmem_init(&board_guest.mem, &board_guest.ept, 0, 1000);
	assert_int_equal(gmem_add_slot(&board_guest.mem, 0, BOARD_RAM, 0), 0);
	if (!fake_cpu)
		fake_cpu = &board_cpu;
	fake_cpu->vcpu = &board_here;
	board_vcpu.guest = &board_guest;
	board_vcpu.caps = &board_caps;
	board_vcpu.regs = board_regs;
	board_vcpu.vpid = 1;
	board_vcpu.lapic.phys_bits = 40;
	board_guest.vcpus[0] = &board_vcpu;
	board_guest.nr_vcpus = 1;
	gmem_tlb_reset(&board_vcpu.tlb);
	board_vcpu.clock.record = board_guest.clock.record = CLOCK_NOWHERE;
	fake(GUEST_CR0) = CR0_PE | CR0_ET | CR0_NE;
	fake(GUEST_RFLAGS) = RFLAGS_FIXED1;
	fake(GUEST_CS_ACCESS_RIGHTS) = 0xc09b;
	fake(GUEST_SS_ACCESS_RIGHTS) = 0xc093;
	fake(GUEST_RIP) = 0x100;
	fake(EXIT_INSTRUCTION_LENGTH) = 2;
	board_clear();
	return 0;
}

static inline int board_teardown(void **state)
{
	(void)state;
	gmem_destroy(&board_guest.mem);
	ept_destroy(&board_guest.ept);
	return 0;
}

static inline void board_put(gpa_t gpa, const void *src, size_t n)
{
	assert_int_equal(gmem_write(&board_guest.mem, gpa, src, n), 0);
}

static inline u64 board_get(gpa_t gpa, size_t n)
{
	u64 value = 0;
	assert_int_equal(gmem_read(&board_guest.mem, gpa, &value, n), 0);
	return value;
}

/* The exception that waits for the next entry. */
static inline void board_expect_fault(unsigned vector, u32 code)
{
	u32 info = board_vcpu.events.exception_info;
	assert_true(info & EVENT_VALID);
	assert_int_equal(EVENT_VECTOR(info), vector);
	assert_true(board_vcpu.attention & VCPU_REQ_EVENT);
	if (info & EVENT_HAS_CODE)
		assert_int_equal(board_vcpu.events.exception_code, code);
}

static inline void board_expect_no_fault(void)
{
	assert_int_equal(board_vcpu.events.exception_info, 0);
	assert_int_equal(board_failed, 0);
}

/* An exit handler reads what it wants to know once (a VMREAD may cost a trap under nesting). */
static inline void board_expect_single_reads(void)
{
	for (unsigned i = 0; i < FAKE_VMCS_FIELDS; i++)
		if (fake_vmcs_reads[i] > 1)
			fail_msg("VMCS field 0x%x was read %u times", i, fake_vmcs_reads[i]);
}
