/* SPDX-License-Identifier: BSD-2-Clause */
/* Events between guests of Socle, in place of interrupts; discovery and how to call: hypercall.h.
 *
 * A VM has events 1 to SOCLE_EVENTS - 1. Each is allocated, and has two ends: both are the VM itself (the
 * alarms of clock.h, and what the VM sends itself), or the other is an event of another VM. That takes both
 * VMs: one allocates an event for a VM that it names, the other binds an event of its own to it.
 *
 * Sending sets the pending bit of the event at the other end, in a page of the receiving guest's RAM. If that
 * bit was clear, the mask bit is clear and the upcall word of the event's vCPU was 0, then that word
 * becomes 1 and the vCPU's local APIC gets the upcall vector (edge-triggered). So however many events come
 * before the guest has looked, there is one upcall for them.
 *
 * The upcall's handler sets its upcall word to 0 FIRST (an exchange, which is a full barrier), then looks for
 * bits that are pending and not masked, and clears each pending bit (atomically) BEFORE it does what the
 * event stands for. Whatever comes later gives another upcall. To unmask: clear the mask bit, then (full
 * barrier) look at the pending bit, and handle the event if it is set; or let SOCLE_CALL_EVENT_UNMASK do
 * both. The functions at the end do these steps in the right order. */
#ifndef SOCLE_EVENT_H
#define SOCLE_EVENT_H

#include <stdint.h>

#define SOCLE_EVENTS 256
#define SOCLE_EVENT_WORDS (SOCLE_EVENTS / 64)
#define SOCLE_EVENT_VCPUS 48

/* Event n is bit n % 64 of word n / 64. */
struct socle_event_page {
	/* Set by Socle, cleared by the guest; both by locked operations. */
	uint64_t pending[SOCLE_EVENT_WORDS];
	uint64_t reserved0[4];
	/* The guest's; Socle only reads it, but for SOCLE_CALL_EVENT_UNMASK. */
	uint64_t mask[SOCLE_EVENT_WORDS];
	uint64_t reserved1[116];
	struct {
		uint32_t upcall; /* 1 by Socle, 0 by the guest */
		uint32_t reserved[15];
	} vcpu[SOCLE_EVENT_VCPUS];
};

/* All but the first two calls of the group fail with SOCLE_ENXIO before the first SOCLE_CALL_EVENT_SETUP;
 * those that are given an event, with SOCLE_EINVAL for a number that is none's. "In use" means allocated or
 * bound, and not closed. */

/* The number of the calling VM, positive. It gets another one when it starts again. Always works. */
#define SOCLE_CALL_VM_ID 24
/* RDI: guest-physical address of the page, which the guest has filled with zeros; ~0: none any more, what
 * is sent is lost then. RSI: the upcall vector, 32 to 255. 0; SOCLE_EINVAL: not a multiple of 4096, no such
 * vector; SOCLE_EFAULT: not in RAM that the guest may write; SOCLE_ENOMEM; SOCLE_EDQUOT: too many pages in
 * flight, of which the page is one (ring.h). */
#define SOCLE_CALL_EVENT_SETUP 25
/* A new event; its pending bit is cleared, its vCPU is 0. RDI: the number of the VM that may bind to it, or
 * SOCLE_SELF: the VM sends to itself. The event, positive; SOCLE_ENOENT: no such VM; SOCLE_ENOMEM: all are
 * in use. */
#define SOCLE_CALL_EVENT_ALLOC 26
#define SOCLE_SELF 0
/* A new event, bound to event RSI of VM RDI. The event, positive; SOCLE_ENOENT: there is no such event, or it
 * is not for the caller, or it is bound already; SOCLE_ENOMEM. */
#define SOCLE_CALL_EVENT_BIND 27
/* RDI: the event. It is free then; sending from its other end fails. SOCLE_ENOENT: not in use. */
#define SOCLE_CALL_EVENT_CLOSE 28
/* RDI: the sender's event. 0, also when it was pending already; SOCLE_ENOENT: not in use; SOCLE_ENOTCONN:
 * nothing is bound to it, or no longer. */
#define SOCLE_CALL_EVENT_SEND 29
/* RDI: an event in use, or SOCLE_EVENT_ALL. Clears its mask bit; an upcall follows if it is pending.
 * SOCLE_ENOENT. */
#define SOCLE_CALL_EVENT_UNMASK 30
#define SOCLE_EVENT_ALL (~(uint64_t)0)
/* RDI: the event, RSI: the vCPU that gets its upcalls from now on. SOCLE_ENOENT: not in use; SOCLE_EINVAL: no
 * such vCPU. */
#define SOCLE_CALL_EVENT_VCPU 31

/* For SOCLE_CALL_ALARM_REAL and _VIRTUAL: an event of the VM that it allocated for itself. */
#define SOCLE_ALARM_EVENT(n) ((uint64_t)(n) + 0x10000)

/* First thing in the upcall's handler, on vCPU n. */
static inline void socle_event_begin(struct socle_event_page *p, unsigned n)
{
	(void)__atomic_exchange_n(&p->vcpu[n].upcall, 0, __ATOMIC_SEQ_CST);
}

/* Takes an event that is pending and not masked: its number, its pending bit is clear now; 0: there is none.
 */
static inline unsigned socle_event_next(struct socle_event_page *p)
{
	for (unsigned w = 0; w < SOCLE_EVENT_WORDS; w++) {
		uint64_t bits = __atomic_load_n(&p->pending[w], __ATOMIC_ACQUIRE);

		for (bits &= ~__atomic_load_n(&p->mask[w], __ATOMIC_ACQUIRE); bits; bits &= bits - 1) {
			unsigned n = (unsigned)__builtin_ctzll(bits);
			uint64_t bit = (uint64_t)1 << n;

			if (__atomic_fetch_and(&p->pending[w], ~bit, __ATOMIC_SEQ_CST) & bit)
				return w * 64 + n;
		}
	}
	return 0;
}

static inline void socle_event_mask(struct socle_event_page *p, unsigned n)
{
	__atomic_fetch_or(&p->mask[n / 64], (uint64_t)1 << n % 64, __ATOMIC_SEQ_CST);
}

/* Not 0: the event is pending, and no upcall will come for it. */
static inline int socle_event_unmask(struct socle_event_page *p, unsigned n)
{
	uint64_t bit = (uint64_t)1 << n % 64;

	__atomic_fetch_and(&p->mask[n / 64], ~bit, __ATOMIC_SEQ_CST);
	return (__atomic_load_n(&p->pending[n / 64], __ATOMIC_SEQ_CST) & bit) != 0;
}

#endif
