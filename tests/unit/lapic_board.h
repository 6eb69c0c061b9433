/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of a few vCPUs that are nothing but local APICs, for the tests of vcpu/lapic*.c: defines
 * what those files call, so one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_timer.h"
#include "vcpu.h"
#include "vcpu/lapic_regs.h"
#include "x86.h"

#define BOARD_VCPUS 4

static struct guest board;
static struct vcpu *board_vcpus;
static u32 board_requests[BOARD_VCPUS];
static int board_eois[8]; /* vectors whose EOI reached the sinks */
static unsigned board_nr_eois;
static u8 board_pic_vector;

struct vcpu *guest_vcpu(struct guest *g, unsigned i)
{
	assert_true(i < g->nr_vcpus);
	return g->vcpus[i];
}

unsigned guest_vcpu_count(const struct guest *g)
{
	return g->nr_vcpus;
}

struct lapic *vcpu_lapic(struct vcpu *v)
{
	return &v->lapic;
}

struct guest *vcpu_guest(struct vcpu *v)
{
	return v->guest;
}

struct apic_sinks *guest_apic_sinks(struct guest *g)
{
	return &g->sinks;
}

void vcpu_request(struct vcpu *v, u32 bits)
{
	assert_in_range(v - board_vcpus, 0, BOARD_VCPUS - 1);
	board_requests[v - board_vcpus] |= bits;
}

/* The one word of guest memory that there is: KVM's for the end of interrupts. */
#define BOARD_WORD ((gpa_t)0x3000)
static u32 board_word;
static bool board_word_gone;

struct gmem *guest_mem(struct guest *g)
{
	return &g->mem;
}

int gmem_check(const struct gmem *m, gpa_t gpa, u64 n, u64 align)
{
	(void)m;
	assert_int_equal(n, 4);
	return gpa % align ? ERR_INVAL : gpa == BOARD_WORD ? 0 : ERR_FAULT;
}

void *gmem_tlb_fill(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n)
{
	(void)m, (void)t;
	assert_true(gpa == BOARD_WORD && n == 4);
	return board_word_gone ? NULL : &board_word;
}

static u8 board_extint_ack(void *opaque)
{
	assert_ptr_equal(opaque, &board_pic_vector);
	return board_pic_vector;
}

static void board_eoi(void *opaque, u8 vector)
{
	assert_ptr_equal(opaque, board_eois);
	assert_true(board_nr_eois < 8);
	board_eois[board_nr_eois++] = vector;
}

static int board_setup(void **state)
{
	const struct apic_sinks sinks = {board_extint_ack, &board_pic_vector, board_eoi, NULL, board_eois};

	(void)state;
	memset(&board, 0, sizeof(board));
	memset(fake_timers, 0, sizeof(fake_timers));
	board_nr_eois = fake_fired = 0;
	shim_tsc = 1000000;
	board_vcpus = calloc(BOARD_VCPUS, sizeof(*board_vcpus));
	board.nr_vcpus = BOARD_VCPUS;
	for (unsigned i = 0; i < BOARD_VCPUS; i++) {
		struct vcpu *v = board.vcpus[i] = &board_vcpus[i];
		v->guest = &board;
		if (lapic_init(&v->lapic, v, i, i == 0))
			return -1;
		v->lapic.phys_bits = 39;
		lapic_write(&v->lapic, LAPIC_SVR, SVR_ENABLE | 0xff);
		board_requests[i] = 0;
	}
	apic_set_sinks(&board, &sinks);
	return 0;
}

static int board_teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < BOARD_VCPUS; i++)
		lapic_destroy(&board_vcpus[i].lapic);
	free(board_vcpus);
	return shim_pages_in_use || fake_timers_armed() ? -1 : 0;
}

static inline struct lapic *apic(unsigned i)
{
	return &board_vcpus[i].lapic;
}

/* The requests since the last call. */
static inline u32 requests(unsigned i)
{
	u32 bits = board_requests[i];
	board_requests[i] = 0;
	return bits;
}

/* Bit v of the ISR, TMR or IRR as the guest reads it. */
static inline bool bitmap(unsigned i, u32 base, unsigned v)
{
	return lapic_read(apic(i), base + v / 32 * 0x10) >> v % 32 & 1;
}

/* The vector that was posted to vCPU i since the last call; -1: none. More than one is an error. */
static inline int posted(unsigned i)
{
	struct lapic *l = apic(i);
	lapic_sync(l);
	int vector = lapic_highest_irr(l);
	if (vector >= 0) {
		lapic_accept(l, (u8)vector);
		lapic_eoi(l);
	}
	assert_int_equal(lapic_highest_irr(l), -1);
	return vector;
}

static inline u64 msr_read(unsigned i, u32 msr)
{
	u64 value = 0;
	assert_int_equal(lapic_msr_read(apic(i), msr, &value), 0);
	return value;
}

static inline bool msr_faults(unsigned i, u32 msr, u64 value)
{
	int e = lapic_msr_write(apic(i), msr, value);
	assert_true(e == 0 || e == ERR_INVAL);
	return e != 0;
}

static inline bool msr_read_faults(unsigned i, u32 msr)
{
	u64 value;
	return lapic_msr_read(apic(i), msr, &value) != 0;
}

static inline void enter_x2apic(unsigned i)
{
	assert_int_equal(lapic_msr_write(apic(i), MSR_APIC_BASE, apic(i)->base | LAPIC_BASE_X2APIC), 0);
}

#define BOARD_TEST(f) cmocka_unit_test_setup_teardown(f, board_setup, board_teardown)
