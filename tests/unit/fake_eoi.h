/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of KVM's clocks without a local APIC; one file of a program includes it. */
#pragma once

#include "lapic.h"

int lapic_pv_eoi_write(struct lapic *l, u64 value)
{
	l->pv_eoi = value;
	return 0;
}
