/* SPDX-License-Identifier: Apache-2.0 */
/* What a CPU has besides struct cpu: its descriptor tables. */
#pragma once

#include "host.h"

struct __attribute__((packed)) tss { /* task-state segment (SDM vol. 3, 7.7) */
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
};
_Static_assert(sizeof(struct tss) == 104, "SDM vol. 3, figure 7-11");

enum { GDT_NULL, GDT_CODE, GDT_DATA, GDT_TSS, GDT_TSS_HIGH, GDT_ENTRIES };

struct cpu_tables {
	struct cpu cpu;
	u64 gdt[GDT_ENTRIES];
	struct tss tss;
};

/* Makes c the CPU that executes this: GS, GDT, TSS, IDT, the control bits the hypervisor needs. The
 * stacks (tops) are for #DF, NMI and #MC. Every CPU once, at its start. */
void cpu_init(struct cpu_tables *t, void *df, void *nmi, void *mc);
/* From now on it counts. On the boot CPU. */
void cpu_add(struct cpu *c);
/* It counts no longer; those behind it get lower indices. On the boot CPU, while they all wait. */
void cpu_remove(unsigned index);
