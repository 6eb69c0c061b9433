/* SPDX-License-Identifier: Apache-2.0 */
/* What the test device tells of the VM (docs/guest-machine.md); always the same where there is none. */
#pragma once

#include "cpu.h"

#define METER_PORT 0x2020
/* Below 0x100: exits of that reason. */
#define METER_EXITS 0x100
#define METER_GUEST 0x101
#define METER_HYPERVISOR 0x102 /* for the vCPU */
#define METER_BILLED 0x103     /* beside it */
#define METER_COPIED 0x104
#define METER_NOTIFIED 0x106

static inline u64 meter(u32 which)
{
	outl(METER_PORT, which);
	return inl(METER_PORT) | (u64)inl(METER_PORT + 4) << 32;
}

/* Ticks of the hypervisor for this VM so far. */
static inline u64 meter_hypervisor(void)
{
	return meter(METER_HYPERVISOR) + meter(METER_BILLED);
}
