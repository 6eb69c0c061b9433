/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the local APIC (advanced programmable interrupt controller) in the virtual-APIC page,
 * and what lapic*.c and apic_msg.c share. SDM volume 3, table 11-1. */
#pragma once

#include "lapic.h"

#define LAPIC_ID 0x020
#define LAPIC_VERSION 0x030
#define LAPIC_TPR 0x080
#define LAPIC_APR 0x090
#define LAPIC_PPR 0x0a0
#define LAPIC_EOI 0x0b0
#define LAPIC_RRD 0x0c0
#define LAPIC_LDR 0x0d0
#define LAPIC_DFR 0x0e0
#define LAPIC_SVR 0x0f0
#define LAPIC_ISR 0x100
#define LAPIC_TMR 0x180
#define LAPIC_IRR 0x200
#define LAPIC_ESR 0x280
#define LAPIC_ICR 0x300
#define LAPIC_ICR_HIGH_X2 0x304 /* in x2APIC mode the ICR is one register of 64 bits */
#define LAPIC_ICR_HIGH 0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_THERMAL 0x330
#define LAPIC_LVT_PERF 0x340
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_LVT_ERROR 0x370
#define LAPIC_TIMER_INITIAL 0x380
#define LAPIC_TIMER_CURRENT 0x390
#define LAPIC_TIMER_DIVIDE 0x3e0
#define LAPIC_SELF_IPI 0x3f0 /* x2APIC mode only */

/* Integrated APIC; 6 LVT entries; no suppression of EOI broadcasts (11.4.8). */
#define LAPIC_VERSION_VALUE 0x00050014u

#define LAPIC_BASE_BSP BIT(8)
#define LAPIC_BASE_X2APIC BIT(10)
#define LAPIC_BASE_ENABLE BIT(11)

#define SVR_ENABLE 0x100u

#define LVT_VECTOR 0xffu
#define LVT_DELIVERY_SHIFT 8
#define LVT_DELIVERY 0x700u
#define LVT_MASKED 0x10000u
#define LVT_READ_ONLY 0x5000u /* delivery status, remote IRR */
#define LVT_TIMER_MODE_SHIFT 17

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE, TIMER_RESERVED };

#define ESR_SEND_ILLEGAL_VECTOR 0x20u
#define ESR_RECEIVE_ILLEGAL_VECTOR 0x40u
#define ESR_ILLEGAL_REGISTER 0x80u

#define ICR_VECTOR 0xffu
#define ICR_DELIVERY 0x700u
#define ICR_DELIVERY_SHIFT 8
#define ICR_LOGICAL 0x800u
#define ICR_ASSERT 0x4000u
#define ICR_LEVEL 0x8000u
#define ICR_SHORTHAND 0xc0000u
#define ICR_SHORTHAND_SHIFT 18

/* Relaxed atomics: other CPUs read id, destination and LVT registers while the owner writes them. */
static inline u32 lapic_reg(const struct lapic *l, u32 offset)
{
	return __atomic_load_n((const u32 *)(const void *)(l->page + offset), __ATOMIC_RELAXED);
}

static inline void lapic_set_reg(struct lapic *l, u32 offset, u32 value)
{
	__atomic_store_n((u32 *)(void *)(l->page + offset), value, __ATOMIC_RELAXED);
}

static inline u64 lapic_base(const struct lapic *l)
{
	return __atomic_load_n(&l->base, __ATOMIC_RELAXED);
}

static inline bool lapic_enabled(const struct lapic *l)
{
	return lapic_base(l) & LAPIC_BASE_ENABLE;
}

static inline bool lapic_x2apic(const struct lapic *l)
{
	return lapic_base(l) & LAPIC_BASE_X2APIC;
}

/* lapic.c */
void lapic_reset_registers(struct lapic *l);
void lapic_error(struct lapic *l, u32 esr_bit);        /* any CPU */
void lapic_lvt_raise(struct lapic *l, u32 lvt_offset); /* any CPU */
void lapic_recheck(struct lapic *l);                   /* priorities fell: is something deliverable now? */

/* The interrupt of highest priority leaves the ISR; nothing is looked at again. False: there is none. */
bool lapic_end_of_interrupt(struct lapic *l);

/* pv_eoi.c */
void lapic_offer_eoi(struct lapic *l, u8 vector); /* alone in the ISR; not with hw_vid */
void lapic_withdraw_eoi(struct lapic *l);

/* lapic_regs.c */
void lapic_mode_registers(struct lapic *l); /* what follows from IA32_APIC_BASE and the APIC id */

/* lapic_timer.c */
void lapic_timer_init(struct lapic *l);
void lapic_timer_reset(struct lapic *l);
void lapic_timer_lvt_written(struct lapic *l);
void lapic_timer_set_initial(struct lapic *l, u32 count);
void lapic_timer_set_divide(struct lapic *l, u32 value);
u32 lapic_timer_current(const struct lapic *l);
u64 lapic_deadline_read(const struct lapic *l);

/* apic_msg.c */
void apic_send_icr(struct lapic *l, u32 icr, u32 dest);
void apic_send_self(struct lapic *l, u8 vector);
