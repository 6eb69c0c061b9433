/* SPDX-License-Identifier: Apache-2.0 */
/* Power management: the ACPI fixed hardware (PM1a event and control blocks, PM timer; ACPI 6.4,
 * section 4.8.3) and the reset control register of Intel chipsets. acpi.c describes it to the guest
 * with the numbers below. */
#pragma once

#include "sched.h"
#include "spinlock.h"

struct guest;
struct irq_router;

#define PM_BASE 0x600 /* I/O ports; the addresses QEMU uses, which hobby kernels know */
#define PM_LENGTH 12
#define PM1_EVT 0x600  /* status 2 bytes, enable 2 bytes */
#define PM1_CNT 0x604  /* 2 bytes */
#define PM_TIMER 0x608 /* 4 bytes; all 32 bits count: FADT flag TMR_VAL_EXT */
#define PM_TIMER_HZ 3579545
#define PM_SCI_GSI 9 /* level triggered, active high */
/* No SMI_CMD: ACPI mode is always on. The value of SLP_TYP in \_S5; there is no other sleep state. */
#define PM_SLP_TYP_S5 0
#define PM_RESET_PORT 0xcf9 /* FADT RESET_REG, 8 bits wide, */
#define PM_RESET_VALUE 6    /* and its RESET_VALUE */

struct pm {
	struct guest *guest;
	struct irq_router *irq;
	struct spinlock lock; /* everything below; timer_base changes only while no vCPU runs */
	u16 status, enable, control;
	u8 reset_control;
	bool bad_sleep;  /* asked for a sleep state there is not; logged once */
	u64 timer_base;  /* TSC when the timer was 0 */
	u64 timer_epoch; /* half-turns of the timer (its bit 31 changes) that are acknowledged */
	struct timer timer;
};

void pm_init(struct pm *pm, struct guest *g, struct irq_router *irq);
void pm_fini(struct pm *pm);
void pm_reset(struct pm *pm);
/* The operator pressed the power button: a power-button event for the guest's ACPI driver. */
void pm_power_button(struct pm *pm);

/* PM_BASE .. PM_BASE + PM_LENGTH - 1. */
u64 pm_read(void *opaque, u64 offset, unsigned size);
void pm_write(void *opaque, u64 offset, unsigned size, u64 value);
/* PM_RESET_PORT: a byte access at offset 1 of the PCI configuration address port, so the host bridge
 * registers those ports and hands byte accesses to 0xcf9 on. opaque: struct pm. */
u64 pm_reset_read(void *opaque, u64 offset, unsigned size);
void pm_reset_write(void *opaque, u64 offset, unsigned size, u64 value);
