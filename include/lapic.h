/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's local APIC (owner: vcpu/). SDM volume 3, chapter 11. The register state lives in the
 * virtual-APIC page, in the hardware's layout, whether or not the processor virtualizes it. */
#pragma once

#include "lib.h"
#include "sched.h"

struct guest;
struct vcpu;

/* Embedded in struct vcpu. "Owner" below is the CPU that runs the vCPU; only it may call what is not
 * marked otherwise. Whatever may have made an event deliverable ends in vcpu_request(VCPU_REQ_EVENT). */
struct lapic {
	/* Set by the vCPU's creator, after lapic_init(). */
	u64 tsc_offset;      /* guest TSC = host TSC + tsc_offset; see lapic_tsc_changed() */
	u8 phys_bits;        /* the guest's MAXPHYADDR: valid bits of IA32_APIC_BASE */
	bool x2apic_allowed; /* whether its CPUID shows x2APIC */

	/* To be read. */
	u8 *page;     /* virtual-APIC page, in the direct map */
	u64 base;     /* IA32_APIC_BASE */
	gpa_t mmio;   /* where the registers are in memory; ~0 while disabled or in x2APIC mode */
	u64 level[4]; /* the TMR, bit n of word n / 64: the EOI-exit bitmap */
	bool hw_vid;  /* virtual-interrupt delivery; see lapic_set_hw_vid() */
	/* With hw_vid: not the processor but software changed the ISR, so SVI is to be set from
	 * lapic_highest_isr() before entry. Whoever does that clears it. */
	bool isr_changed;
	u8 sipi_vector;

	/* Private to vcpu/lapic*.c and vcpu/apic_msg.c. */
	struct vcpu *vcpu;
	u32 id;
	bool bsp;
	bool software_enabled;
	bool eoi_offered;        /* the guest may end what is in service by KVM's word; see vcpu/pv_eoi.c */
	u64 pv_eoi;              /* as the guest wrote it to KVM's MSR */
	u8 irr_words, isr_words; /* bit n: 32-bit word n is not zero; unused with hw_vid */
	/* Written by any CPU. */
	bool extint_line;    /* INTR of the 8259 pair */
	bool extint_message; /* an ExtINT message waits for its acknowledge cycle */
	u32 pir_summary;     /* bit n: pir[n] may be non-zero */
	u32 esr_latch;       /* errors since the guest's last write to the ESR */
	u64 pir[4], pir_level[4];
	/* The timer. */
	struct timer timer; /* armed only while the countdown is not watched */
	u64 timer_due;      /* host TSC; LAPIC_TIMER_NEVER: nothing to watch for */
	bool timer_watched;
	u64 tsc_deadline;   /* guest's; 0 = disarmed */
	u64 timer_deadline; /* host TSC at which the countdown ends, while timer_on */
	u64 timer_period;   /* ticks */
	u32 timer_initial;
	u8 timer_mode;  /* bits 18:17 of the LVT */
	u8 timer_shift; /* log2 of the divide configuration */
	bool timer_on;
};

#define LAPIC_BASE_DEFAULT 0xfee00000u
#define LAPIC_TIMER_NEVER (~(u64)0)
/* The countdown timer's input clock is the guest's TSC (SDM 11.5.4 leaves the choice). A periodic
 * timer never fires more often than this, whatever the guest asks for. */
#define LAPIC_TIMER_MIN_PERIOD_NS 100000

/* ---- life ---- */
/* ERR_NOMEM. The state is that of power-up. */
int lapic_init(struct lapic *l, struct vcpu *v, u32 apic_id, bool bsp);
void lapic_destroy(struct lapic *l);
void lapic_reset(struct lapic *l);       /* power-up; the caller follows a change of mode itself */
void lapic_init_signal(struct lapic *l); /* INIT: keeps IA32_APIC_BASE and the APIC id */
/* What firmware leaves behind (MP specification 3.6.2.2): software-enabled, LINT1 = NMI and, on the
 * boot processor, LINT0 = ExtINT. For guests that are started without firmware. */
void lapic_virtual_wire(struct lapic *l);
void lapic_set_hw_vid(struct lapic *l, bool on);

/* ---- registers ---- */
/* By offset 0 to 0xff0 in xAPIC mode, from decoded MMIO or, for the write, after an APIC-write VM
 * exit (the page may hold the value already). */
u32 lapic_read(struct lapic *l, u32 offset);
void lapic_write(struct lapic *l, u32 offset, u32 value);
/* Any offset and size within the page. All-ones, and nothing, outside xAPIC mode. */
u64 lapic_mmio_read(struct lapic *l, u32 offset, unsigned size);
void lapic_mmio_write(struct lapic *l, u32 offset, unsigned size, u64 value);
/* IA32_APIC_BASE, IA32_TSC_DEADLINE, 0x800 to 0x8ff. ERR_INVAL: #GP. A new mode or base is announced
 * by vcpu_request(VCPU_REQ_APIC_MODE). */
int lapic_msr_read(struct lapic *l, u32 msr, u64 *value);
int lapic_msr_write(struct lapic *l, u32 msr, u64 value);
/* CR8; it works in every mode of the APIC. */
u8 lapic_cr8_read(const struct lapic *l);
void lapic_cr8_write(struct lapic *l, u8 value);

/* ---- interrupts ---- */
/* Any CPU, any context. */
void lapic_post(struct lapic *l, u8 vector, bool level);
void lapic_sync_posted(struct lapic *l);
/* Whether the guest has ended the interrupt that it was offered to end by KVM's word. */
void lapic_settle_eoi(struct lapic *l);
/* Moves what was posted into IRR and TMR, and takes out of the ISR what the guest has ended. */
static inline void lapic_sync(struct lapic *l)
{
	if (unlikely(__atomic_load_n(&l->pir_summary, __ATOMIC_RELAXED)))
		lapic_sync_posted(l);
	if (unlikely(l->eoi_offered))
		lapic_settle_eoi(l);
}
/* KVM's MSR. ERR_INVAL, ERR_FAULT: #GP. */
int lapic_pv_eoi_write(struct lapic *l, u64 value);
int lapic_highest_irr(const struct lapic *l); /* -1: none */
int lapic_highest_isr(const struct lapic *l);
u8 lapic_ppr(const struct lapic *l);
/* The vector in IRR that the processor would take if it had interrupts enabled, or -1. */
int lapic_deliverable(const struct lapic *l);
void lapic_accept(struct lapic *l, u8 vector); /* IRR to ISR; not with hw_vid */
void lapic_eoi(struct lapic *l);
/* The EOI-induced VM exit: the processor has cleared the ISR bit. */
void lapic_eoi_broadcast(struct lapic *l, u8 vector);
/* An interrupt of the 8259 pair waits for its acknowledge cycle; and that cycle. */
bool lapic_extint_pending(const struct lapic *l);
u8 lapic_extint_ack(struct lapic *l);

/* ---- timer ---- */
/* WRMSR IA32_TSC_DEADLINE, the short way. */
void lapic_deadline_write(struct lapic *l, u64 guest_tsc);
/* After tsc_offset changed. */
void lapic_tsc_changed(struct lapic *l);
/* While its vCPU is not blocked the countdown is only a word, timer_due: who enters the guest sees to it
 * that the run ends then, and polls. That spares two operations on the timer queue with every
 * WRMSR. */
void lapic_timer_watch(struct lapic *l);
/* The vCPU blocks: from now on a timer of this CPU wakes it. */
void lapic_timer_unwatch(struct lapic *l);
/* Ends the countdown when it is due. */
void lapic_timer_poll(struct lapic *l, u64 now);

/* SDM 11.11 (MSI) and ICR: a message to local APICs. */
enum apic_delivery {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_SIPI = 6,
	APIC_EXTINT = 7,
};

struct apic_msg {
	u32 dest; /* physical or logical destination; 0xff (with wide_dest 0xffffffff) = all */
	u8 vector;
	u8 delivery;    /* enum apic_delivery */
	bool logical;   /* destination mode */
	bool level;     /* trigger mode: EOI of this vector must reach the IOAPIC */
	bool wide_dest; /* dest has 32 bits (x2APIC ICR) */
};

/* Delivers to every matching vCPU; from any CPU. Returns how many accepted it. */
unsigned apic_deliver(struct guest *g, const struct apic_msg *msg);
/* Delivers a message-signalled interrupt (address 0xfeexxxxx). Ill-formed ones are dropped. */
unsigned apic_deliver_msi(struct guest *g, u64 address, u32 data);

/* The INTR output of the 8259 pair changed. The vCPU whose LVT0 is ExtINT (or whose APIC is
 * disabled) sees it; the vector is taken later by the acknowledge callback. */
void apic_set_extint(struct guest *g, bool asserted);

/* Registered by devices/ when the VM is built. */
struct apic_sinks {
	/* INTA cycle to the 8259 pair: returns the vector (spurious included). */
	u8 (*extint_ack)(void *opaque);
	void *extint_opaque;
	/* A level-triggered vector was EOI'd. */
	void (*eoi)(void *opaque, u8 vector);
	/* Whether a pin of the IOAPIC is set up to wake a processor that has interrupts disabled (NMI,
	 * INIT). NULL: none ever is. */
	bool (*nmi_source)(void *opaque);
	void *eoi_opaque; /* of eoi and nmi_source */
};
void apic_set_sinks(struct guest *g, const struct apic_sinks *s);
