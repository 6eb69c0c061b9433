/* SPDX-License-Identifier: BSD-2-Clause */
/* Clocks and alarms for guests of Socle; discovery and how to call: hypercall.h. All times are unsigned
 * nanoseconds.
 *
 *   real time     since the machine was switched on; the same for all vCPUs and VMs, never stops
 *   virtual time  of one vCPU: advances only while that vCPU is on a physical CPU
 *   wall clock    real time + an offset: time since 1970-01-01 00:00 UTC
 *
 * Socle writes two records into the guest's RAM, where the guest asked for them; the guest only reads
 * them. A record is written like this: sequence becomes odd, the fields change, sequence becomes even; in
 * this order for any other processor (x86 keeps the order of stores). Who reads it: read sequence, and
 * start again while it is odd; read the fields; read sequence again, and start again if it changed. The
 * compiler has to keep that order too: socle_clock_read() shows it. Fields that are not named are zero. */
#ifndef SOCLE_CLOCK_H
#define SOCLE_CLOCK_H

#include <stdint.h>

/* Where no record is wanted (any more). */
#define SOCLE_NOWHERE (~(uint64_t)0)

/* The record of a vCPU is at the guest-physical address RDI from now on; SOCLE_NOWHERE ends that. Socle
 * writes it at once, each time it puts the vCPU onto a physical CPU, when the guest writes its TSC, and at
 * SOCLE_CALL_CLOCK_UPDATE. 0; SOCLE_EINVAL: not a multiple of 128; SOCLE_EFAULT: not in RAM that the guest
 * may write. Of the calling vCPU; each vCPU has its own. INIT does not end it. */
#define SOCLE_CALL_CLOCK_VCPU 16
/* The same for the record of the VM: multiple of 64. Written at once, when the wall clock is set, and when
 * the VM goes on after a pause. */
#define SOCLE_CALL_CLOCK_VM 17
/* Brings the times of the calling vCPU's record up to now. 0; SOCLE_ENOENT: it has none. */
#define SOCLE_CALL_CLOCK_UPDATE 18

struct socle_vcpu_clock {
	uint32_t sequence;
	uint32_t flags; /* SOCLE_CLOCK_ */
	/* Time of T ticks of the TSC: T * factor >> shift, the product with 128 bits; shift 0 to 63. */
	uint64_t factor;
	uint32_t shift;
	uint32_t vcpu; /* number of the vCPU */
	/* Real time now: real_ns + time of (TSC - real_tsc), in 64 bits without regard to a carry. */
	uint64_t real_tsc, real_ns;
	/* Virtual time now, for the vCPU itself: virtual_ns + time of (TSC - virtual_tsc). Others see
	 * no more than what was when the record was written. */
	uint64_t virtual_tsc, virtual_ns;
	/* What the vCPU's time since its VM started went into, when the record was written: running the
	 * guest, waiting for a physical CPU (stolen), Socle's work on its behalf, and halted. */
	uint64_t run_ns, steal_ns, hypervisor_ns, idle_ns;
	uint64_t reserved[5];
};

/* Real time computed by two vCPUs never goes backwards from one to the other. */
#define SOCLE_CLOCK_STABLE 1u

struct socle_vm_clock {
	uint32_t sequence;
	uint32_t flags;    /* 0 */
	uint64_t wall_ns;  /* wall clock = wall_ns + real time */
	uint64_t pause_ns; /* for how long the VM was paused, all pauses together */
	uint64_t reserved[5];
};

/* One alarm on real and one on virtual time for each vCPU. RDI: the time when it goes off, in ns of that
 * clock, not before; a time that has passed goes off at once; SOCLE_ALARM_OFF cancels. RSI: how. The
 * calling vCPU's; a new time replaces the old one. An alarm goes off once; what comes while the VM
 * is paused is delivered when it goes on. 0; SOCLE_EINVAL: no such way. */
#define SOCLE_CALL_ALARM_REAL 19
#define SOCLE_CALL_ALARM_VIRTUAL 20
#define SOCLE_ALARM_OFF (~(uint64_t)0)
/* How: an interrupt of the calling vCPU's local APIC, edge-triggered, vector 32 to 255; or
 * SOCLE_ALARM_EVENT() of event.h. */
#define SOCLE_ALARM_VECTOR(v) ((uint64_t)(v))

#ifdef __SIZEOF_INT128__
/* ns of one of the clocks; which is &c->real_tsc or &c->virtual_tsc. read_tsc() returns the TSC, read after
 * all loads before it (LFENCE; RDTSC). */
static inline uint64_t socle_clock_read(const struct socle_vcpu_clock *c, const uint64_t *which,
					uint64_t (*read_tsc)(void))
{
	uint32_t sequence;
	uint64_t ns;

	do {
		sequence = __atomic_load_n(&c->sequence, __ATOMIC_ACQUIRE);
		uint64_t tsc = *(const volatile uint64_t *)which;
		uint64_t base = *(const volatile uint64_t *)(which + 1);
		uint64_t factor = *(const volatile uint64_t *)&c->factor;
		uint32_t shift = *(const volatile uint32_t *)&c->shift;
		ns = base + (uint64_t)((unsigned __int128)(read_tsc() - tsc) * factor >> shift);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (sequence & 1 || sequence != __atomic_load_n(&c->sequence, __ATOMIC_RELAXED));
	return ns;
}
#endif

#endif
