/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC from software's side, by memory (xAPIC) or by MSR (x2APIC). SDM vol. 3, chapter 11. */
#pragma once

#include "cpu.h"

/* Register offsets, 11.4.1; in x2APIC mode the MSR is 0x800 + offset / 16. */
enum apic_reg {
	APIC_ID = 0x20,
	APIC_VERSION = 0x30,
	APIC_TPR = 0x80,
	APIC_PPR = 0xa0,
	APIC_EOI = 0xb0,
	APIC_LDR = 0xd0,
	APIC_DFR = 0xe0,
	APIC_SVR = 0xf0,
	APIC_ISR = 0x100,
	APIC_TMR = 0x180,
	APIC_IRR = 0x200,
	APIC_ESR = 0x280,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_THERMAL = 0x330,
	APIC_LVT_PMC = 0x340,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
	APIC_SELF_IPI = 0x3f0, /* x2APIC only */
};

#define APIC_MMIO 0xfee00000ULL
#define APIC_BASE_BSP BIT(8)
#define APIC_BASE_X2 BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define APIC_SVR_ENABLE 0x100U
#define APIC_LVT_MASKED 0x10000U
#define APIC_LVT_EXTINT 0x700U
#define APIC_LVT_NMI 0x400U
#define APIC_TIMER_PERIODIC 0x20000U
#define APIC_TIMER_DEADLINE 0x40000U
#define APIC_DIVIDE_BY_1 0xbU
#define APIC_ICR_NMI 0x400U
#define APIC_ICR_ASSERT 0x4000U
#define APIC_ICR_SELF 0x40000U
#define APIC_ICR_PENDING 0x1000U
#define APIC_VEC_SPURIOUS 0xff

bool apic_has_x2(void);
bool apic_has_deadline(void);
/* Enables the APIC in the given mode by way of the disabled state, as SDM 11.12.5 wants; TPR 0, everything in
 * the local vector table masked. */
void apic_init(bool x2);
bool apic_is_x2(void);
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 v);
u32 apic_id(void);
void apic_eoi(void);
/* Physical destination. */
void apic_send(u32 dest, u32 command);
void apic_self_ipi(u8 vector);
/* Is the vector's bit set in APIC_ISR, APIC_TMR or APIC_IRR? */
bool apic_bit(u32 reg, u8 vector);
