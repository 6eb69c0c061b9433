/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of this vCPU's VM exits by basic reason, where the hypervisor tells them. */
#pragma once

#include "base.h"

#define COUNTERS_REASONS 75

/* Asks once; false where nobody counts. */
bool counters_available(void);
void counters_snapshot(void);
/* Ends the interval that counters_snapshot() began. */
void counters_stop(void);
/* Exits in the interval, without those of the measurement itself. */
u64 counters_difference(unsigned reason);
u64 counters_total(void);
/* "TOTAL reason=count ..." without a line end, or "-" where nobody counts. */
void counters_print_difference(void);
