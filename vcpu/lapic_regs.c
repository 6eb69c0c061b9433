/* SPDX-License-Identifier: Apache-2.0 */
/* How the guest reaches the registers of its local APIC (advanced programmable interrupt controller):
 * as memory in xAPIC mode, as MSRs in x2APIC mode, and the switch between the two, IA32_APIC_BASE.
 * SDM volume 3, 11.4 and 11.12. */
#include "lapic_regs.h"

#include "vcpu.h"
#include "x86.h"

/* ---- what one register does when it is written; value holds writable bits only ---- */
static void write_plain(struct lapic *l, u32 offset, u32 value)
{
	lapic_set_reg(l, offset, value);
}

static void write_id(struct lapic *l, u32 offset, u32 value)
{
	(void)value; /* read-only here, but an APIC-write VM exit has written the page */
	lapic_set_reg(l, offset, l->id << 24);
}

static void write_tpr(struct lapic *l, u32 offset, u32 value)
{
	lapic_set_reg(l, offset, value);
	lapic_recheck(l);
}

static void write_eoi(struct lapic *l, u32 offset, u32 value)
{
	(void)offset;
	(void)value;
	lapic_eoi(l);
}

static void write_dfr(struct lapic *l, u32 offset, u32 value)
{
	lapic_set_reg(l, offset, value | 0x0fffffff);
}

/* 11.4.7.2: a disabled APIC has all its LVT entries masked. */
static void write_svr(struct lapic *l, u32 offset, u32 value)
{
	bool enable = value & SVR_ENABLE;

	lapic_set_reg(l, offset, value);
	__atomic_store_n(&l->software_enabled, enable, __ATOMIC_RELAXED);
	if (enable)
		return;
	for (u32 lvt = LAPIC_LVT_TIMER; lvt <= LAPIC_LVT_ERROR; lvt += 0x10)
		lapic_set_reg(l, lvt, lapic_reg(l, lvt) | LVT_MASKED);
}

static void write_esr(struct lapic *l, u32 offset, u32 value)
{
	(void)value; /* any write shows what was logged since the last one (11.5.3) */
	lapic_set_reg(l, offset, __atomic_exchange_n(&l->esr_latch, 0, __ATOMIC_RELAXED));
}

static void write_icr(struct lapic *l, u32 offset, u32 value)
{
	lapic_set_reg(l, offset, value);
	apic_send_icr(l, value,
		      lapic_x2apic(l) ? lapic_reg(l, LAPIC_ICR_HIGH_X2) : lapic_reg(l, LAPIC_ICR_HIGH) >> 24);
}

static void write_lvt(struct lapic *l, u32 offset, u32 value)
{
	value &= ~LVT_READ_ONLY;
	if (!l->software_enabled)
		value |= LVT_MASKED;
	lapic_set_reg(l, offset, value);
	if (offset == LAPIC_LVT_TIMER)
		lapic_timer_lvt_written(l);
	if (offset == LAPIC_LVT_LINT0 && lapic_extint_pending(l))
		vcpu_request(l->vcpu, VCPU_REQ_EVENT);
}

static void write_initial(struct lapic *l, u32 offset, u32 value)
{
	(void)offset;
	lapic_timer_set_initial(l, value);
}

static void write_divide(struct lapic *l, u32 offset, u32 value)
{
	(void)offset;
	lapic_timer_set_divide(l, value);
}

static void write_self(struct lapic *l, u32 offset, u32 value)
{
	(void)offset;
	apic_send_self(l, (u8)value);
}

/* ---- which registers there are: tables 11-1 and 11-6 ---- */
enum {
	R = 1,  /* exists in xAPIC mode; what is not R reads as 0 */
	N = 2,  /* exists there but cannot be read */
	XR = 4, /* RDMSR in x2APIC mode */
	XW = 8, /* WRMSR in x2APIC mode */
};

#define ICR_BITS 0x000ccfffu
#define ICR_STATUS BIT(12)
/* In x2APIC mode the destination is its upper half. */
#define ICR_WRITABLE (ICR_BITS | ICR_STATUS | ~(u64)0 << 32)

static const struct lapic_register {
	u8 access;
	u32 writable; /* others are reserved: dropped in xAPIC mode, #GP in x2APIC mode */
	void (*write)(struct lapic *l, u32 offset, u32 value); /* NULL: read-only in xAPIC mode */
} registers[64] = {
    [LAPIC_ID >> 4] = {R | XR, ~0u, write_id},
    [LAPIC_VERSION >> 4] = {R | XR, 0, NULL},
    [LAPIC_TPR >> 4] = {R | XR | XW, 0xff, write_tpr},
    [LAPIC_APR >> 4] = {N, 0, NULL},
    [LAPIC_PPR >> 4] = {R | XR, 0, NULL},
    [LAPIC_EOI >> 4] = {N | XW, 0, write_eoi},
    [LAPIC_RRD >> 4] = {N, 0, NULL},
    [LAPIC_LDR >> 4] = {R | XR, 0xff000000, write_plain},
    [LAPIC_DFR >> 4] = {R, 0xf0000000, write_dfr},
    [LAPIC_SVR >> 4] = {R | XR | XW, 0x1ff, write_svr},
    [LAPIC_ISR >> 4 ...(LAPIC_ISR >> 4) + 7] = {R | XR, 0, NULL},
    [LAPIC_TMR >> 4 ...(LAPIC_TMR >> 4) + 7] = {R | XR, 0, NULL},
    [LAPIC_IRR >> 4 ...(LAPIC_IRR >> 4) + 7] = {R | XR, 0, NULL},
    [LAPIC_ESR >> 4] = {R | XR | XW, 0, write_esr},
    /* Bit 12, delivery status, may be written in x2APIC mode as well: processors ignore it. */
    [LAPIC_ICR >> 4] = {R | XR | XW, ICR_BITS, write_icr},
    [LAPIC_ICR_HIGH >> 4] = {R, 0xff000000, write_plain},
    [LAPIC_LVT_TIMER >> 4] = {R | XR | XW, 0x000710ff, write_lvt},
    [LAPIC_LVT_THERMAL >> 4] = {R | XR | XW, 0x000117ff, write_lvt},
    [LAPIC_LVT_PERF >> 4] = {R | XR | XW, 0x000117ff, write_lvt},
    [LAPIC_LVT_LINT0 >> 4] = {R | XR | XW, 0x0001f7ff, write_lvt},
    [LAPIC_LVT_LINT1 >> 4] = {R | XR | XW, 0x0001f7ff, write_lvt},
    [LAPIC_LVT_ERROR >> 4] = {R | XR | XW, 0x000110ff, write_lvt},
    [LAPIC_TIMER_INITIAL >> 4] = {R | XR | XW, ~0u, write_initial},
    [LAPIC_TIMER_CURRENT >> 4] = {R | XR, 0, NULL},
    [LAPIC_TIMER_DIVIDE >> 4] = {R | XR | XW, 0xb, write_divide},
    [LAPIC_SELF_IPI >> 4] = {XW, 0xff, write_self},
};

/* ---- xAPIC mode ---- */
static u32 register_read(struct lapic *l, u32 offset)
{
	if (unlikely(l->eoi_offered))
		lapic_settle_eoi(l);
	if (unlikely(offset == LAPIC_TIMER_CURRENT))
		return lapic_timer_current(l);
	if (unlikely(offset == LAPIC_PPR))
		return lapic_ppr(l);
	return lapic_reg(l, offset);
}

u32 lapic_read(struct lapic *l, u32 offset)
{
	u8 access = offset < 0x400 ? registers[offset >> 4].access : 0;

	if (likely(access & R))
		return register_read(l, offset & ~0xfu);
	if (!(access & N))
		lapic_error(l, ESR_ILLEGAL_REGISTER);
	return 0;
}

/* A SELF IPI that the processor leaves to us comes here as an APIC-write VM exit of x2APIC mode. */
void lapic_write(struct lapic *l, u32 offset, u32 value)
{
	const struct lapic_register *reg = &registers[(offset >> 4) & 63];
	u8 known = R | N | (lapic_x2apic(l) ? XW : 0);

	if (unlikely(offset >= 0x400 || !(reg->access & known)))
		lapic_error(l, ESR_ILLEGAL_REGISTER);
	else if (likely(reg->write))
		reg->write(l, offset & ~0xfu, value & reg->writable);
}

/* 11.4.1.2: registers are 32 bits at the start of 16-byte blocks; all else is undefined there. */
u64 lapic_mmio_read(struct lapic *l, u32 offset, unsigned size)
{
	u32 byte = offset % 16;
	u64 value = ~(u64)0;

	if (likely(lapic_enabled(l) && !lapic_x2apic(l)))
		value = byte < 4 ? lapic_read(l, offset & 0xff0) >> (8 * byte) : 0;
	return size >= 8 ? value : value & (BIT(8 * size) - 1);
}

void lapic_mmio_write(struct lapic *l, u32 offset, unsigned size, u64 value)
{
	if (lapic_enabled(l) && !lapic_x2apic(l) && offset % 16 == 0 && size >= 4)
		lapic_write(l, offset & 0xff0, (u32)value);
}

u8 lapic_cr8_read(const struct lapic *l)
{
	return (u8)(lapic_reg(l, LAPIC_TPR) >> 4 & 0xf);
}

void lapic_cr8_write(struct lapic *l, u8 value)
{
	write_tpr(l, LAPIC_TPR, (value & 0xfu) << 4);
}

/* ---- IA32_APIC_BASE: 11.4.4 and figure 11-27 ---- */
void lapic_mode_registers(struct lapic *l)
{
	bool x2apic = lapic_x2apic(l);

	l->mmio = lapic_enabled(l) && !x2apic ? ALIGN_DOWN(l->base, PAGE_SIZE) : ~(gpa_t)0;
	lapic_set_reg(l, LAPIC_ID, x2apic ? l->id : l->id << 24);
	/* 11.12.10.2: the logical id follows from the x2APIC id. */
	if (x2apic)
		lapic_set_reg(l, LAPIC_LDR, (l->id & 0xffff0) << 12 | 1u << (l->id & 0xf));
}

static int base_write(struct lapic *l, u64 value)
{
	u64 old = l->base;
	u64 valid = LAPIC_BASE_BSP | LAPIC_BASE_ENABLE | ALIGN_DOWN(BIT(l->phys_bits) - 1, PAGE_SIZE);
	bool enable = value & LAPIC_BASE_ENABLE, x2apic = value & LAPIC_BASE_X2APIC;

	if (l->x2apic_allowed)
		valid |= LAPIC_BASE_X2APIC;
	if ((value & ~valid) || (x2apic && !enable))
		return ERR_INVAL;
	/* To x2APIC mode only from xAPIC mode, and back only by way of "disabled". */
	if (x2apic ? !(old & LAPIC_BASE_ENABLE) : enable && (old & LAPIC_BASE_X2APIC))
		return ERR_INVAL;
	if (value == old)
		return 0;
	__atomic_store_n(&l->base, value, __ATOMIC_RELAXED);
	if (!enable && (old & LAPIC_BASE_ENABLE)) {
		lapic_reset_registers(l); /* 11.4.3: "may lose" its state */
	} else if (x2apic && !(old & LAPIC_BASE_X2APIC)) {
		lapic_set_reg(l, LAPIC_ICR_HIGH, 0);
		lapic_set_reg(l, LAPIC_DFR, 0);
	}
	lapic_mode_registers(l);
	vcpu_request(l->vcpu, VCPU_REQ_APIC_MODE | VCPU_REQ_EVENT);
	return 0;
}

/* ---- MSRs ---- */
int lapic_msr_read(struct lapic *l, u32 msr, u64 *value)
{
	u32 index = msr - MSR_X2APIC_FIRST, offset = index << 4;

	if (msr == MSR_TSC_DEADLINE) {
		*value = lapic_deadline_read(l);
		return 0;
	}
	if (msr == MSR_APIC_BASE) {
		*value = l->base;
		return 0;
	}
	if (!lapic_x2apic(l) || index >= ARRAY_SIZE(registers) || !(registers[index].access & XR))
		return ERR_INVAL;
	*value = register_read(l, offset);
	if (offset == LAPIC_ICR)
		*value |= (u64)lapic_reg(l, LAPIC_ICR_HIGH_X2) << 32;
	return 0;
}

int lapic_msr_write(struct lapic *l, u32 msr, u64 value)
{
	u32 index = msr - MSR_X2APIC_FIRST, offset = index << 4;

	if (likely(offset == LAPIC_EOI && !value && lapic_x2apic(l))) { /* the most frequent one */
		lapic_eoi(l);
		return 0;
	}
	if (likely(offset == LAPIC_ICR && !(value & ~ICR_WRITABLE) && lapic_x2apic(l))) {
		lapic_set_reg(l, LAPIC_ICR, (u32)value & ICR_BITS);
		lapic_set_reg(l, LAPIC_ICR_HIGH_X2, (u32)(value >> 32));
		apic_send_icr(l, (u32)value & ICR_BITS, (u32)(value >> 32));
		return 0;
	}
	if (msr == MSR_TSC_DEADLINE) {
		lapic_deadline_write(l, value);
		return 0;
	}
	if (msr == MSR_APIC_BASE)
		return base_write(l, value);
	if (!lapic_x2apic(l) || index >= ARRAY_SIZE(registers))
		return ERR_INVAL;

	const struct lapic_register *reg = &registers[index];
	if (!(reg->access & XW) || (value & ~(u64)reg->writable))
		return ERR_INVAL;
	reg->write(l, offset, (u32)value & reg->writable);
	return 0;
}
