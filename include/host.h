/* SPDX-License-Identifier: Apache-2.0 */
/* Our own machine (owner: host/): memory, per-CPU data, interrupts, time, console. The hypervisor
 * runs with interrupts off except in cpu_idle_wait(). */
#pragma once

#include <this_cpu.h> /* these two by the search path: unit tests have their own */
#include <tsc.h>

#include "boot_info.h"
#include "lib.h"

/* ---- start-up, in this order, called by vm/main.c on the boot CPU ---- */
void log_console_init(const struct boot_info *bi); /* COM1 and framebuffer become log sinks */
void cpu_init_boot(const struct boot_info *bi);    /* GS, GDT, TSS, IDT with IST for #DF NMI #MC */
void page_init(const struct boot_info *bi);        /* page allocator from BOOT_MEM_USABLE */
void paging_init(const struct boot_info *bi);      /* final page tables: W^X, guards, direct map */
void heap_init(void);
void apic_init(const struct boot_info *bi); /* local APIC (x2APIC where there is) and IOAPIC */
void time_init(const struct boot_info *bi); /* calibrates the TSC */
void console_init_irq(void);                /* COM1 becomes interrupt driven */

/* ---- memory ---- */
#define phys_to_virt(pa) ((void *)((u64)(pa) + VIRT_DIRECT_MAP))
#define virt_to_phys(va) ((hpa_t)((u64)(va)-VIRT_DIRECT_MAP)) /* direct map addresses only */
hpa_t image_to_phys(const void *va);                          /* addresses inside the ELF image */

#define PAGE_NONE ((hpa_t)0)
/* 2^order contiguous pages aligned to their size, contents undefined; PAGE_NONE when there are none.
 * order 0..18 (1 GiB). Any CPU. */
hpa_t page_alloc(unsigned order);
/* A block comes back whole or in aligned pieces of smaller order. */
void page_free(hpa_t pa, unsigned order);
hpa_t page_alloc_zeroed(unsigned order);
/* Called without locks when page_alloc() finds nothing; true when it gave pages back. One for all. */
void page_on_shortage(bool (*release)(void));
u64 page_count_free(void);
/* The other one may miss, or count twice, what a CPU is just taking for itself; this one takes the lock. */
u64 page_count_free_exact(void);
u64 page_count_total(void);
/* The highest page frame number there is, and each free block that no CPU keeps for itself; fn is called
 * under the lock: it neither allocates nor frees. For checks. */
u64 page_highest(void);
void page_for_each_free(void (*fn)(void *opaque, hpa_t pa, unsigned order), void *opaque);

/* Zeroed, 16-byte aligned; sizes above 2 KiB are rounded up to a power of two pages. NULL when out
 * of memory. heap_free(NULL) does nothing. */
void *heap_alloc(size_t size);
void heap_free(void *p);
/* What the block takes in truth, in bytes; 0 for NULL. */
size_t heap_size(const void *p);

/* A stack of `pages` (1 .. 15) pages with an unmapped guard page below; returns the top, NULL when out
 * of memory. */
void *stack_alloc(unsigned pages);
void stack_free(void *top, unsigned pages);

/* Maps device memory uncached; the mapping lasts for ever. NULL when out of memory. */
void *mmio_map(hpa_t pa, size_t size);

/* ---- CPUs ---- */
#define MAX_CPUS BOOT_MAX_CPUS
struct sched_cpu;
struct vcpu_cpu;
struct cpu {
	struct cpu *self; /* at GS:0 */
	u32 index;        /* 0 .. cpu_count() - 1 */
	u32 apic_id;
	struct sched_cpu *sched;          /* owned by sched/ */
	struct vcpu_cpu *vcpu;            /* owned by vcpu/ */
	u64 vmxon_region;                 /* owned by vmx/ */
	u64 gdt_base, idt_base, tss_base; /* virtual addresses, for the VMCS host state */
	volatile u64 nmi_pending;         /* NMIs seen */
	u64 nmi_reported;                 /* how many of them irq_report_nmi() has told of */
	bool kicked;                      /* a kick is on its way to it; atomic */
	bool dozes;                       /* it waits by MWAIT for that; atomic */
	bool mwait;                       /* it can */
	struct cpu_call *calls;           /* newest first */
	u64 timer_deadline;               /* owned by host/apic.c */
	u64 tlb_epoch;                    /* owned by host/vmap.c */
	hpa_t pages_next;                 /* owned by host/page.c, as is pages_left */
	u32 pages_left;
};
/* Index 0 is the boot CPU. Only CPUs that came up and can run guests are counted. */
struct cpu *cpu_get(unsigned index);
unsigned cpu_count(void);

/* A function that another CPU is to run soon: in its kick handler, interrupts off, before it enters a
 * guest again or halts. All zeros but run and opaque when it is first sent; the sender's again when run
 * begins. */
struct cpu_call {
	struct cpu_call *next;
	void (*run)(void *opaque);
	void *opaque;
	bool pending; /* sent, and not begun */
};
/* Any CPU, any context but an NMI's; index may be one's own. Does nothing while it is pending. */
void cpu_call(unsigned index, struct cpu_call *call);
/* The same at once, and waits for its end. Only while the other CPUs wait for their start, or from code
 * that others never wait for. */
void cpu_call_wait(unsigned index, void (*run)(void *opaque), void *opaque);
/* Ends the HLT or the guest's run of a CPU; nothing when it is the calling one. Any CPU, any context but
 * an NMI's. A full barrier: what the caller wrote before is visible to that CPU when it goes on. */
void cpu_kick(unsigned index);

/* The machine's other CPUs, on the boot CPU: starts them, one after the other; those that do not come are
 * reported and left out. The others wait for calls, each on a stack of its own. */
void cpu_start_others(const struct boot_info *bi);
/* One that is no use after all: it halts for good, and the indices above it move down. */
void cpu_leave_out(unsigned index);
/* Each of them calls run(), which does not return. */
void cpu_run_others(void (*run)(void));
/* Called by each CPU that is stopped for the machine's end, perhaps in an NMI handler: takes no locks. */
void cpu_on_stop(void (*leave)(void));
/* Segment selectors of the host, for the VMCS. */
#define SEL_HOST_CODE 0x08
#define SEL_HOST_DATA 0x10
#define SEL_HOST_TSS 0x18

/* From here on the calling CPU is idle: a kick is a mark only, which cpu_kicked() shows, until it wakes up or
 * halts without a processor's means to watch the mark. */
void cpu_doze(void);
static inline bool cpu_kicked(void)
{
	return __atomic_load_n(&this_cpu()->kicked, __ATOMIC_SEQ_CST);
}
/* Serves a kick that came meanwhile. */
void cpu_wake_up(void);
/* While it dozes: returns after at least one interrupt was handled through the IDT, after a kick, or after
 * input that had come without an interrupt. */
void cpu_idle_wait(void);
/* Lets interrupts that wait be handled, and returns. */
void cpu_poll_interrupts(void);
/* Ends the machine: ACPI/known power-off ports, then halts. Flushes the console and stops the other CPUs
 * first. Any CPU. */
__attribute__((noreturn)) void machine_poweroff(void);
__attribute__((noreturn)) void machine_reset(void);

/* ---- interrupts ---- */
typedef void (*irq_fn)(void *opaque);
#define IRQ_VECTOR_FIRST 0x30
#define IRQ_VECTOR_TIMER 0xf0
#define IRQ_VECTOR_KICK 0xf1
#define IRQ_VECTOR_SPURIOUS 0xff
/* Handlers run with interrupts off; the EOI is sent by irq_dispatch. Registered once, at boot. */
void irq_register(u8 vector, irq_fn fn, void *opaque);
/* Runs the handler of a vector; from the IDT stubs and from the external-interrupt exit. */
void irq_dispatch(u8 vector);
/* NMIs are counted by their handler and told of here, where locks may be taken. */
void irq_report_nmi(void);
int irq_route_isa(unsigned isa_irq, u8 vector); /* IOAPIC pin of an ISA interrupt -> boot CPU */
/* The same for a PCI function's interrupt line register, where it is the number of an ISA interrupt, as the
 * PIIX has it; level-triggered: the handler leaves the line without a cause. */
int irq_route_pci(unsigned line, u8 vector);
void apic_send_ipi(u32 apic_id, u8 vector);
/* Arms this CPU's timer interrupt (IRQ_VECTOR_TIMER) for an absolute TSC value; ~0 disarms. */
void apic_timer_arm(u64 tsc_deadline);
/* The same, unless it is armed for that already. */
static inline void apic_timer_keep(u64 tsc_deadline)
{
	if (unlikely(this_cpu()->timer_deadline != tsc_deadline))
		apic_timer_arm(tsc_deadline);
}

/* ---- time ---- */
u64 tsc_hz(void);
u64 tsc_to_ns(u64 ticks);
u64 ns_to_tsc(u64 ns);
/* What tsc_to_ns() computes: ticks * factor >> shift, the product with 128 bits; shift 0 .. 63. */
struct tsc_scale {
	u64 factor;
	unsigned shift;
};
struct tsc_scale tsc_scale(void);
/* Compares the TSCs of all CPUs and sets those right that can be; the boot CPU, while the others wait for
 * calls. Afterwards: whether a TSC read on one CPU is never less than one read before on another. */
void tsc_compare(void);
bool tsc_stable(void);
/* Real time: nanoseconds since the machine's boot, which was at tsc_at_boot(). */
u64 tsc_at_boot(void);
u64 real_ns(void);
/* Nanoseconds from 1970-01-01 UTC to the machine's boot, by its CMOS clock (whole seconds). */
u64 wall_ns_at_boot(void);
/* Seconds since 1970-01-01 UTC: that, plus real time. */
u64 wall_seconds(void);
/* The same as the CMOS clock says it now; takes up to two milliseconds. The boot CPU, for checks. */
u64 wall_seconds_by_cmos(void);

/* ---- random bytes from the processor: RDSEED, else RDRAND (SDM vol. 1, 7.3.17) ---- */
/* What keeps them from being used, NULL: nothing does. Takes some and looks at them, 100,000 cycles at most;
 * before entropy_get(), at any time, on any CPU. */
const char *entropy_test(void);
/* A word, as the processor gives it. ERR_AGAIN: none after a bounded number of attempts, a few thousand
 * cycles; ERR_NOTSUP: the source is broken, for good. Any CPU. */
int entropy_get(u64 *word);

/* ---- the operator's console ---- */
/* Output streams. A stream's bytes are shown as they come while it is the foreground; otherwise a
 * line at a time behind "name| ". Lines of different streams and of the log never mix. The payer, until the
 * stream is closed, is whom the interrupts are for in which its output leaves; NULL: nobody. */
struct console_stream;
struct console_stream *console_open(const char *name, void *payer);
void console_close(struct console_stream *s);
void console_write(struct console_stream *s, const char *buf, size_t n);
void console_set_foreground(struct console_stream *s); /* NULL: nobody */
/* Bytes typed by the operator, in order; called with interrupts off from the interrupt handler. */
void console_set_input(void (*fn)(void *opaque, const u8 *buf, size_t n), void *opaque);
/* Called from the interrupt handler with the time that each round of it took, and for whom. */
void console_set_bill(void (*fn)(void *payer, u64 ticks));
/* Drops output that waits, but for its last lines: the end need not wait for a flood. */
void console_shorten(void);
/* Waits until all output has left the machine. */
void console_flush(void);
