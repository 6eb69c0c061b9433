/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the state of a CPU that does not change while it runs: GS, global descriptor table, task-state
 * segment, interrupt descriptor table, control bits. */
#include "cpu.h"

#include "log.h"
#include "panic.h"
#include "smp.h"
#include "start.h"
#include "trap.h"
#include "x86.h"
#include "x86_ops.h"

#define IST_DF 1u
#define IST_NMI 2u
#define IST_MC 3u
#define NR_VECTORS 256

struct __attribute__((packed)) idt_gate { /* SDM vol. 3, 6.14.1 */
	u16 offset_low, selector;
	u8 ist, type; /* type: present, DPL 0, gate type */
	u16 offset_mid;
	u32 offset_high, reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "SDM vol. 3, figure 6-8");

static struct idt_gate idt[NR_VECTORS]; /* the same for all CPUs */
static struct cpu_tables boot_cpu;
static struct cpu *cpus[MAX_CPUS];
static unsigned nr_cpus;
char this_cpu_changes;

struct cpu *cpu_get(unsigned index)
{
	ASSERT(index < nr_cpus);
	return cpus[index];
}

unsigned cpu_count(void)
{
	return __atomic_load_n(&nr_cpus, __ATOMIC_ACQUIRE);
}

void cpu_add(struct cpu *c)
{
	c->index = nr_cpus;
	cpus[nr_cpus] = c;
	/* Release: who sees the count sees the pointer. */
	__atomic_store_n(&nr_cpus, nr_cpus + 1, __ATOMIC_RELEASE);
}

void cpu_remove(unsigned index)
{
	__atomic_store_n(&nr_cpus, nr_cpus - 1, __ATOMIC_RELEASE);
	for (unsigned i = index; i < nr_cpus; i++) {
		cpus[i] = cpus[i + 1];
		cpus[i]->index = i;
	}
}

static void idt_build(void)
{
	for (unsigned v = 0; v < NR_VECTORS; v++) {
		u64 stub = (u64)(trap_stubs + v * TRAP_STUB_SIZE);
		struct idt_gate *g = &idt[v];

		g->offset_low = (u16)stub;
		g->offset_mid = (u16)(stub >> 16);
		g->offset_high = (u32)(stub >> 32);
		g->selector = SEL_HOST_CODE;
		g->type = 0x80 | SEG_TYPE_INTR_GATE;
		g->ist = v == VEC_DF ? IST_DF : v == VEC_NMI ? IST_NMI : v == VEC_MC ? IST_MC : 0;
	}
}

static void gdt_build(struct cpu_tables *t)
{
	u64 base = (u64)&t->tss;

	t->gdt[GDT_CODE] = 0x00209b0000000000; /* present, code, readable, accessed, L (SDM vol. 3, 5.2.1) */
	t->gdt[GDT_DATA] = 0x0000930000000000; /* present, data, writable, accessed */
	t->gdt[GDT_TSS] = (sizeof(t->tss) - 1) | (base & 0xffffff) << 16 |
			  (u64)(0x80 | SEG_TYPE_TSS_AVAIL) << 40 | (base >> 24 & 0xff) << 56;
	t->gdt[GDT_TSS_HIGH] = base >> 32;
	t->tss.iomap_base = sizeof(t->tss);
}

static void segments_load(struct cpu_tables *t)
{
	struct desc_ptr gdtr = {sizeof(t->gdt) - 1, (u64)t->gdt};
	struct desc_ptr idtr = {sizeof(idt) - 1, (u64)idt};

	lgdt(&gdtr);
	__asm__ volatile("pushq %0\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %1, %%ds\n\t"
			 "movl %1, %%es\n\t"
			 "movl %1, %%ss\n\t"
			 "movl %2, %%fs\n\t"
			 "movl %2, %%gs" ::"i"(SEL_HOST_CODE),
			 "r"(SEL_HOST_DATA), "r"(0)
			 : "rax", "memory");
	lldt(0);
	ltr(SEL_HOST_TSS);
	lidt(&idtr);
}

void cpu_init(struct cpu_tables *t, void *df, void *nmi, void *mc)
{
	struct cpu *c = &t->cpu;

	c->self = c;
	c->gdt_base = (u64)t->gdt;
	c->idt_base = (u64)idt;
	c->tss_base = (u64)&t->tss;
	t->tss.ist[IST_DF - 1] = (u64)df;
	t->tss.ist[IST_NMI - 1] = (u64)nmi;
	t->tss.ist[IST_MC - 1] = (u64)mc;
	gdt_build(t);
	segments_load(t);
	wrmsr(MSR_GS_BASE, (u64)c);
	wrmsr(MSR_FS_BASE, 0);
	/* WP: the hypervisor, too, must not write its read-only pages. */
	write_cr0((read_cr0() | CR0_WP | CR0_NE | CR0_MP) & ~(CR0_EM | CR0_TS | CR0_AM));
	write_cr4(read_cr4() | CR4_MCE | CR4_PGE);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	idle_init_cpu();
}

void cpu_init_boot(const struct boot_info *bi)
{
	idt_build();
	symbols_init(bi);
	for (u32 i = 0; i < bi->nr_cpus; i++)
		if (bi->cpus[i].is_bsp)
			boot_cpu.cpu.apic_id = bi->cpus[i].apic_id;
	cpu_init(&boot_cpu, ist_df_top, ist_nmi_top, ist_mc_top);
	cpu_add(&boot_cpu.cpu);
}
