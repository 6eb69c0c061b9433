/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs among each other, as the rest of host/ sees it. */
#pragma once

#include "lib.h"

/* What a kick brought: the calls that travel with it. */
void cpu_serve_kick(void);
/* On each CPU, before it first waits: how it does. */
void idle_init_cpu(void);
/* By who is about to write another CPU's mark, or to watch its own. */
struct cpu;
void idle_before_mark(const struct cpu *c);
/* True when something had been typed. */
bool irq_poll_console(void);
/* Stops every other CPU for good: an NMI makes it leave VMX operation and halt. Takes no lock. False
 * when another CPU has begun to do that already. */
bool cpu_stop_others(void);
/* In the NMI handler: does not return when this CPU is to stop. */
void cpu_obey_stop(void);
__attribute__((noreturn)) void cpu_halt(void);
