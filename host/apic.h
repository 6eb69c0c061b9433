/* SPDX-License-Identifier: Apache-2.0 */
/* The interrupt controllers, as the rest of host/ sees them. */
#pragma once

#include "lib.h"

/* The part of apic_init() that every CPU does for itself. */
void apic_init_cpu(void);
void apic_send_nmi(u32 apic_id);
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u8 page); /* it begins in real mode at page << 12 */
void apic_eoi(void);
/* True when an armed deadline has been reached; otherwise the one-shot timer is started for the rest. */
bool apic_timer_reached(void);

/* Finds and masks all inputs. */
void ioapic_find(void);
