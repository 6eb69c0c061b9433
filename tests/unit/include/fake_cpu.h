/* SPDX-License-Identifier: Apache-2.0 */
/* What unit tests have in place of a processor in ring 0: a VMCS in an array that counts accesses, the
 * registers of x86_ops.h that a process may not touch, a CPU of its own. Defined in shim.c. */
#pragma once

#include "types.h"

/* Indexed by encoding; the highest that vmcs.h knows is 0x6c16. */
#define FAKE_VMCS_FIELDS 0x6c18
extern u64 fake_vmcs[FAKE_VMCS_FIELDS];
extern u32 fake_vmcs_reads[FAKE_VMCS_FIELDS];
extern u32 fake_vmcs_writes[FAKE_VMCS_FIELDS];

/* A field of vmcs.h without a trace in the counters: fake(GUEST_RIP) = 5. */
#define fake(field) fake_vmcs[(field).encoding]
#define fake_reads(field) fake_vmcs_reads[(field).encoding]
#define fake_writes(field) fake_vmcs_writes[(field).encoding]

struct cpu;
extern struct cpu *fake_cpu; /* what this_cpu() returns */

struct fake_registers {
	u64 cr0, cr2, cr3, cr4, dr0, dr1, dr2, dr3, dr6, xcr0;
};
extern struct fake_registers fake_registers;

/* CPUID of the build host's processor where it is NULL. */
struct cpuid_regs;
extern struct cpuid_regs (*fake_cpuid)(u32 leaf, u32 subleaf);

/* Model-specific registers: read 0 and forget what is written, unless the test has its own. */
extern u64 (*fake_msr_read)(u32 msr);
extern void (*fake_msr_write)(u32 msr, u64 value);

/* I/O ports: read all-ones and forget what is written, unless the test has its own. size: 1, 2 or 4. */
extern u32 (*fake_in)(u16 port, unsigned size);
extern void (*fake_out)(u16 port, unsigned size, u32 value);

/* RDSEED and RDRAND: the same words in each run, unless the test has its own. */
extern bool (*fake_random)(bool seed, u64 *word);

extern unsigned fake_halts; /* by sti_hlt_cli() */
extern u64 fake_forgotten;  /* by invlpg(), the last one */
extern u64 fake_watched;    /* by monitor() */
