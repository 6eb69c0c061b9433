/* SPDX-License-Identifier: Apache-2.0 */
/* Four processors: the boot processor runs the tests and gives the others work. */
#pragma once

#include "apic.h"
#include "cpu.h"
#include "page.h"
#include "test.h"
#include "trap.h"

#define CPUS 4U
#define OTHERS (CPUS - 1)
#define PATIENCE 100000000ULL /* ticks; nothing that works takes that long */

enum {
	VEC_WAKE = 0x50, /* ends a HLT, no more */
	VEC_COUNT = 0x51,
	VEC_SHOOT = 0x52,
	VEC_LOW = 0x53,
};

struct cpu_state {
	void (*volatile job)(u32 me); /* what it is to do; NULL when it has done it */
	volatile u32 alive;           /* how often it came to start_main() */
	volatile u64 counted[256];    /* interrupts by vector */
	volatile u64 nmis;
};
extern struct cpu_state cpus[CPUS];

/* Before the first start, in the mode of the boot processor's APIC, which is then that of all. */
void cpus_prepare(void);
/* INIT, two start-up IPIs, and the processor is in its loop. */
bool cpu_start(u32 id);
bool cpus_start(void); /* prepares, and starts them all */
/* The job runs on the processor; cpu_wait() waits for its end. */
void cpu_give(u32 id, void (*job)(u32 me));
bool cpu_wait(u32 id);
void cpus_give(void (*job)(u32 me)); /* all but the boot processor */
bool cpus_wait(void);
bool wait_until(bool (*fn)(void));
bool wait_count(u32 id, u8 vector, u64 count);
void counts_clear(void);
u32 me_id(void);

void start_test(void);
void topology_test(void);
void init_test(void);
void sipi_test(void);
void restart_test(void);
void tsc_test(void);
void destinations_test(void);
void nobody_test(void);
void lowest_test(void);
void nmi_test(void);
void hammer_test(void);
void shoot_test(void);
void locks_test(void);
void holders_test(void);
void emulation_test(void);
void clocks_test(void);
void monotonic_test(void);
void alarms_test(void);
void events_test(void);
void event_target_test(void);
void masked_test(void);
void tokens_test(void);
