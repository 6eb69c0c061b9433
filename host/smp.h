/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs among each other, as the rest of host/ sees it. */
#pragma once

#include "lib.h"

/* Stops every other CPU for good: an NMI makes it leave VMX operation and halt. Takes no lock. False
 * when another CPU has begun to do that already. */
bool cpu_stop_others(void);
/* In the NMI handler: does not return when this CPU is to stop. */
void cpu_obey_stop(void);
__attribute__((noreturn)) void cpu_halt(void);
