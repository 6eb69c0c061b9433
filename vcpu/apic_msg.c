/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between local APICs (advanced programmable interrupt controllers), and from devices to
 * them: who is meant, and what arrives. SDM volume 3, 11.6 (IPI), 11.11 (MSI), 11.12.10 (x2APIC). */
#include "lapic_regs.h"

#include "vcpu.h"

#define BROADCAST 0xffu
#define BROADCAST_WIDE 0xffffffffu

/* ---- one destination ---- */
/* Whether the message was accepted (11.6.1). A disabled APIC takes nothing; one that software has
 * disabled takes NMI, INIT, SMI and SIPI only (11.4.7.2). */
static bool message_accept(struct lapic *l, const struct apic_msg *msg)
{
	if (!lapic_enabled(l))
		return false;
	switch (msg->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (!__atomic_load_n(&l->software_enabled, __ATOMIC_RELAXED))
			return false;
		lapic_post(l, msg->vector, msg->level);
		return true;
	case APIC_SMI: /* the guest has no SMM: accepted without effect */
		return true;
	case APIC_NMI:
		vcpu_request(l->vcpu, VCPU_REQ_NMI);
		return true;
	case APIC_INIT:
		/* A SIPI that waits is of before the INIT. */
		__atomic_fetch_and(&l->vcpu->attention, ~VCPU_REQ_SIPI, __ATOMIC_RELAXED);
		vcpu_request(l->vcpu, VCPU_REQ_INIT);
		return true;
	case APIC_SIPI:
		/* Only who waits for it takes it (11.4.7.2), or will once an INIT before it is served. */
		if (!(__atomic_load_n(&l->vcpu->attention, __ATOMIC_RELAXED) &
		      (VCPU_WAIT_SIPI | VCPU_REQ_INIT)))
			return true;
		__atomic_store_n(&l->sipi_vector, msg->vector, __ATOMIC_RELAXED);
		vcpu_request(l->vcpu, VCPU_REQ_SIPI);
		return true;
	case APIC_EXTINT:
		if (!guest_apic_sinks(vcpu_guest(l->vcpu))->extint_ack)
			return false;
		__atomic_store_n(&l->extint_message, true, __ATOMIC_RELEASE);
		vcpu_request(l->vcpu, VCPU_REQ_EVENT);
		return true;
	}
	return false;
}

static bool message_is_broadcast(const struct apic_msg *msg)
{
	return msg->dest == (msg->wide_dest ? BROADCAST_WIDE : BROADCAST);
}

/* 11.6.2.2: flat and cluster model, chosen by the receiver's DFR; 11.12.10.2: cluster in x2APIC. */
static bool message_matches_logical(const struct lapic *l, u32 dest)
{
	u32 ldr = lapic_reg(l, LAPIC_LDR);

	if (lapic_x2apic(l))
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
	if (dest > BROADCAST)
		return false;
	ldr >>= 24;
	switch (lapic_reg(l, LAPIC_DFR) >> 28) {
	case 0xf:
		return ldr & dest;
	case 0x0:
		return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
	default:
		return false;
	}
}

static bool message_matches(const struct lapic *l, const struct apic_msg *msg)
{
	if (message_is_broadcast(msg))
		return true;
	return msg->logical ? message_matches_logical(l, msg->dest) : msg->dest == l->id;
}

/* ---- all destinations ---- */
/* 11.6.2.4: lowest priority wins; among equals the vector decides, so that interrupts spread. */
static unsigned message_arbitrate(struct guest *g, const struct apic_msg *msg, const struct lapic *except)
{
	struct lapic *best[GUEST_MAX_VCPUS];
	unsigned nr = 0;
	u32 lowest = ~0u;

	for (unsigned i = 0; i < guest_vcpu_count(g); i++) {
		struct lapic *l = vcpu_lapic(guest_vcpu(g, i));
		if (l == except || !message_matches(l, msg) || !lapic_enabled(l) ||
		    !__atomic_load_n(&l->software_enabled, __ATOMIC_RELAXED))
			continue;
		u32 priority = lapic_reg(l, LAPIC_TPR) >> 4;
		if (priority < lowest) {
			lowest = priority;
			nr = 0;
		}
		if (priority == lowest && nr < ARRAY_SIZE(best))
			best[nr++] = l;
	}
	return nr ? message_accept(best[msg->vector % nr], msg) : 0;
}

static unsigned message_send(struct guest *g, const struct apic_msg *msg, const struct lapic *except)
{
	unsigned accepted = 0;

	if (msg->delivery == APIC_LOWEST)
		return message_arbitrate(g, msg, except);
	for (unsigned i = 0; i < guest_vcpu_count(g); i++) {
		struct lapic *l = vcpu_lapic(guest_vcpu(g, i));
		if (l != except && message_matches(l, msg))
			accepted += message_accept(l, msg);
	}
	return accepted;
}

unsigned apic_deliver(struct guest *g, const struct apic_msg *msg)
{
	/* APIC ids are vCPU indices in all but odd configurations: the common case needs no search. */
	if (!msg->logical && msg->delivery != APIC_LOWEST && msg->dest < guest_vcpu_count(g)) {
		struct lapic *l = vcpu_lapic(guest_vcpu(g, msg->dest));
		if (likely(l->id == msg->dest))
			return message_accept(l, msg);
	}
	return message_send(g, msg, NULL);
}

/* Tables 11-15 and 11-16. A logical destination with the redirection hint is a lowest-priority one. */
unsigned apic_deliver_msi(struct guest *g, u64 address, u32 data)
{
	struct apic_msg msg = {
	    .dest = (u32)(address >> 12 & 0xff),
	    .vector = (u8)data,
	    .delivery = data >> 8 & 7,
	    .logical = address & 4,
	    .level = data & 0x8000,
	};
	bool hint = address & 8;

	if (address >> 20 != 0xfee)
		return 0;
	if (msg.delivery == APIC_SIPI || (msg.level && !(data & 0x4000)))
		return 0; /* reserved; a level that goes away */
	if (msg.delivery == APIC_FIXED && hint && msg.logical)
		msg.delivery = APIC_LOWEST;
	return apic_deliver(g, &msg);
}

/* ---- IPIs ---- */
enum shorthand { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

/* 11.6.1. Combinations that table 11-3 calls invalid without saying what they do (an NMI to oneself by
 * shorthand, for one) do what they would do by destination. IPIs are edges: the trigger mode only
 * tells INIT from its long-dead level de-assertion. */
static void send_any(struct lapic *l, u32 icr, u32 dest)
{
	struct guest *g = vcpu_guest(l->vcpu);
	struct apic_msg msg = {
	    .dest = dest,
	    .vector = (u8)(icr & ICR_VECTOR),
	    .delivery = icr >> ICR_DELIVERY_SHIFT & 7,
	    .logical = icr & ICR_LOGICAL,
	    .wide_dest = lapic_x2apic(l),
	};
	bool vectored = msg.delivery == APIC_FIXED || msg.delivery == APIC_LOWEST;
	enum shorthand shorthand = icr >> ICR_SHORTHAND_SHIFT & 3;

	if (msg.delivery == APIC_EXTINT ||
	    (msg.delivery == APIC_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT)))
		return;
	if (unlikely(vectored && msg.vector < 16))
		lapic_error(l, ESR_SEND_ILLEGAL_VECTOR);
	switch (shorthand) {
	case SHORTHAND_NONE:
		apic_deliver(g, &msg);
		break;
	case SHORTHAND_SELF:
		message_accept(l, &msg);
		break;
	case SHORTHAND_ALL:
	case SHORTHAND_OTHERS:
		msg.dest = BROADCAST_WIDE;
		msg.wide_dest = true;
		message_send(g, &msg, shorthand == SHORTHAND_OTHERS ? l : NULL);
		break;
	}
}

/* Most are fixed interrupts for one processor. */
void apic_send_icr(struct lapic *l, u32 icr, u32 dest)
{
	struct guest *g = vcpu_guest(l->vcpu);

	if (likely(!(icr & (ICR_DELIVERY | ICR_SHORTHAND | ICR_LOGICAL)) && (icr & ICR_VECTOR) >= 16 &&
		   dest < guest_vcpu_count(g))) {
		struct lapic *to = vcpu_lapic(guest_vcpu(g, dest));

		if (likely(to->id == dest && lapic_enabled(to) &&
			   __atomic_load_n(&to->software_enabled, __ATOMIC_RELAXED))) {
			lapic_post(to, (u8)icr, false);
			return;
		}
	}
	send_any(l, icr, dest);
}

void apic_send_self(struct lapic *l, u8 vector)
{
	apic_send_icr(l, (u32)SHORTHAND_SELF << ICR_SHORTHAND_SHIFT | vector, 0);
}

/* ---- the wires of the board ---- */
void apic_set_extint(struct guest *g, bool asserted)
{
	for (unsigned i = 0; i < guest_vcpu_count(g); i++) {
		struct lapic *l = vcpu_lapic(guest_vcpu(g, i));
		bool was = __atomic_exchange_n(&l->extint_line, asserted, __ATOMIC_RELEASE);
		if (!asserted || was)
			continue;
		if (lapic_enabled(l))
			lapic_lvt_raise(l, LAPIC_LVT_LINT0);
		else if (l->bsp)
			vcpu_request(l->vcpu, VCPU_REQ_EVENT);
	}
}

void apic_set_sinks(struct guest *g, const struct apic_sinks *s)
{
	*guest_apic_sinks(g) = *s;
}
