/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts that cost as little as can be: they are counted. */
#pragma once

#include "base.h"

extern volatile u64 interrupts_seen;
/* That vector calls nothing; apic_init() has chosen x2APIC mode. */
void interrupts_on(u8 vector);
