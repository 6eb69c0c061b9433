/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the local APIC with what guests and devices can do to it, in any order and mode, on two
 * vCPUs: nothing may break it, and after each step its summaries agree with its page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_timer.h"
#include "vcpu.h"
#include "vcpu/lapic_regs.h"
#include "x86.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}
#define REQUIRE(cond) require(cond, #cond)

static struct guest guest;
static struct vcpu vcpus[2];

struct vcpu *guest_vcpu(struct guest *g, unsigned i)
{
	REQUIRE(i < 2);
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

/* KVM's word of each vCPU, one page apart. */
static u32 words[2];

struct gmem *guest_mem(struct guest *g)
{
	return &g->mem;
}

int gmem_check(const struct gmem *m, gpa_t gpa, u64 n, u64 align)
{
	(void)m, (void)n;
	return gpa % align ? ERR_INVAL : gpa / PAGE_SIZE < 2 ? 0 : ERR_FAULT;
}

void *gmem_tlb_fill(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n)
{
	(void)m, (void)t;
	REQUIRE(n == 4 && gpa / PAGE_SIZE < 2);
	return gpa % 16 ? &words[gpa / PAGE_SIZE] : NULL; /* now and then there is no memory */
}

void vcpu_request(struct vcpu *v, u32 bits)
{
	REQUIRE(v == &vcpus[0] || v == &vcpus[1]);
	REQUIRE(bits);
}

static u8 extint_ack(void *opaque)
{
	(void)opaque;
	return 0x20;
}

static void eoi(void *opaque, u8 vector)
{
	(void)opaque;
	REQUIRE(vector >= 16);
}

static struct {
	const uint8_t *data;
	size_t left;
} input;

static u64 take(unsigned bytes)
{
	u64 value = 0;
	for (; bytes && input.left; bytes--, input.left--)
		value = value << 8 | *input.data++;
	return value;
}

static u32 word(const struct lapic *l, u32 base, unsigned i)
{
	return lapic_reg(l, base + 16 * i);
}

static void check(struct lapic *l)
{
	for (unsigned i = 0; i < 8; i++) {
		u32 irr = word(l, LAPIC_IRR, i), isr = word(l, LAPIC_ISR, i);
		if (!l->hw_vid) {
			REQUIRE((l->irr_words >> i & 1) == (irr != 0));
			REQUIRE((l->isr_words >> i & 1) == (isr != 0));
		}
		REQUIRE(word(l, LAPIC_TMR, i) == (u32)(l->level[i / 2] >> i % 2 * 32));
	}
	REQUIRE(!(word(l, LAPIC_IRR, 0) & 0xffff) && !(word(l, LAPIC_ISR, 0) & 0xffff));
	REQUIRE(l->timer_on == l->timer.armed);
	REQUIRE(lapic_deliverable(l) < 256);
	REQUIRE(lapic_deliverable(l) < 0 || lapic_deliverable(l) > (lapic_ppr(l) & 0xf0));
	REQUIRE(lapic_x2apic(l) ? lapic_enabled(l) : 1);
	REQUIRE((l->mmio != ~(gpa_t)0) == (lapic_enabled(l) && !lapic_x2apic(l)));
	REQUIRE(!l->eoi_offered || (!l->hw_vid && (l->pv_eoi & 1)));
	REQUIRE(!l->eoi_offered || __builtin_popcount(l->isr_words) == 1);
	REQUIRE(lapic_reg(l, LAPIC_VERSION) == LAPIC_VERSION_VALUE);
}

static void deliver_one(struct lapic *l)
{
	lapic_sync(l);
	if (lapic_extint_pending(l))
		REQUIRE(lapic_extint_ack(l) == 0x20);
	int vector = lapic_deliverable(l);
	if (vector >= 0)
		lapic_accept(l, (u8)vector);
}

static void step_device(struct lapic *l)
{
	u8 op = (u8)take(1);
	struct apic_msg msg;

	switch (op % 6) {
	case 0:
		lapic_post(l, (u8)take(1), op & 0x80);
		break;
	case 1:
		apic_deliver_msi(&guest, 0xfee00000 | take(3), (u32)take(2));
		break;
	case 2:
		memset(&msg, 0, sizeof(msg));
		msg.dest = (u32)take(op & 0x80 ? 4 : 1);
		msg.vector = (u8)take(1);
		msg.delivery = (u8)take(1);
		msg.logical = op & 0x40;
		msg.level = op & 0x20;
		msg.wide_dest = op & 0x80;
		apic_deliver(&guest, &msg);
		break;
	case 3:
		apic_set_extint(&guest, op & 0x80);
		break;
	case 4:
		fake_skip_to(shim_tsc + take(4));
		break;
	case 5:
		lapic_set_hw_vid(l, op & 0x80);
		break;
	}
}

/* An APIC-write VM exit: the processor has written the page (SDM volume 3, 30.4.3.2). */
static void step_apic_write(struct lapic *l, u8 op)
{
	static const u16 virtualized[] = {0x20,  0x80,  0xb0,  0xd0,  0xe0,  0xf0,  0x280, 0x300, 0x310,
					  0x320, 0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0};
	u32 offset = virtualized[op % ARRAY_SIZE(virtualized)];

	if (!lapic_enabled(l) || lapic_x2apic(l))
		return;
	lapic_set_reg(l, offset, (u32)take(4));
	lapic_write(l, offset, lapic_reg(l, offset));
}

static void step_guest(struct lapic *l, u8 op)
{
	u64 value;

	switch (op % 13) {
	case 11:
		if (!lapic_pv_eoi_write(l, take(2)))
			REQUIRE(!l->eoi_offered);
		break;
	case 12:
		words[op & 1] = (u32)take(1); /* what it likes */
		break;
	case 0:
		lapic_mmio_read(l, (u32)take(2) & 0xfff, 1u << (op >> 6));
		break;
	case 1:
		lapic_mmio_write(l, (u32)take(1) << 4, 4, take(4));
		break;
	case 2:
		lapic_mmio_write(l, (u32)take(2) & 0xfff, 1u << (op >> 6), take(8));
		break;
	case 3:
		if (!lapic_msr_read(l, MSR_X2APIC_FIRST + (u32)take(1), &value))
			REQUIRE(lapic_x2apic(l));
		break;
	case 4:
		if (!lapic_msr_write(l, MSR_X2APIC_FIRST + (u32)take(1), take(op & 0x80 ? 8 : 4)))
			REQUIRE(lapic_x2apic(l));
		break;
	case 5:
		lapic_msr_write(l, MSR_APIC_BASE, op & 0x80 ? take(8) : LAPIC_BASE_DEFAULT | take(2));
		break;
	case 6:
		lapic_msr_write(l, MSR_TSC_DEADLINE, op & 0x80 ? take(8) : shim_tsc + take(2));
		lapic_msr_read(l, MSR_TSC_DEADLINE, &value);
		break;
	case 7:
		lapic_cr8_write(l, (u8)take(1));
		break;
	case 8:
		l->tsc_offset = take(8);
		lapic_tsc_changed(l);
		break;
	case 9:
		if (op & 0x80)
			lapic_init_signal(l);
		else
			lapic_reset(l);
		break;
	case 10:
		step_apic_write(l, (u8)take(1));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	memset(&guest, 0, sizeof(guest));
	memset(vcpus, 0, sizeof(vcpus));
	memset(fake_timers, 0, sizeof(fake_timers));
	shim_tsc = 1;
	guest.nr_vcpus = 2;
	guest.sinks = (struct apic_sinks){.extint_ack = extint_ack, .eoi = eoi};
	for (unsigned i = 0; i < 2; i++) {
		guest.vcpus[i] = &vcpus[i];
		vcpus[i].guest = &guest;
		for (unsigned n = 0; n < GMEM_TLB_ENTRIES; n++)
			vcpus[i].tlb.entry[n].page = BIT(63);
		REQUIRE(lapic_init(&vcpus[i].lapic, &vcpus[i], i, i == 0) == 0);
		lapic_virtual_wire(&vcpus[i].lapic);
	}
	input.data = data;
	input.left = size;
	while (input.left) {
		u8 op = (u8)take(1);
		struct lapic *l = &vcpus[op & 1].lapic;
		op >>= 1;
		if (op < 32)
			step_device(l);
		else if (op < 48 && !l->hw_vid)
			deliver_one(l);
		else
			step_guest(l, (u8)take(1));
		for (unsigned i = 0; i < 2; i++)
			check(&vcpus[i].lapic);
	}
	for (unsigned i = 0; i < 2; i++)
		lapic_destroy(&vcpus[i].lapic);
	REQUIRE(fake_timers_armed() == 0 && shim_pages_in_use == 0);
	return 0;
}
