/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines of the guest's board; see irq.h. */
#include "irq.h"

#include "ioapic.h"
#include "lib.h"
#include "pic.h"

#define IRQ_CASCADE 2 /* no wire: the slave 8259 is there */
#define IRQ_TIMER_PIN 2
#define PCI_EVEN 0x00550000u
#define PCI_ODD 0x00aa0000u

static void tell_waiters(void *opaque)
{
	const struct irq_router *r = opaque;

	for (unsigned i = 0; i < r->nr_waiters; i++)
		r->waiters[i].fn(r->waiters[i].opaque);
}

void irq_init(struct irq_router *r, struct pic *pic, struct ioapic *ioapic)
{
	*r = (struct irq_router){.pic = pic, .ioapic = ioapic};
}

static unsigned pin_of(unsigned gsi)
{
	return gsi == IRQ_TIMER ? IRQ_TIMER_PIN : gsi;
}

/* GSIs that are asserted. */
static u32 levels(const struct irq_router *r)
{
	return (r->lines & ~r->cut) | r->hpet;
}

/* Input of the 8259 pair: its own wire or any PCI wire that shares it. */
static bool isa_level(const struct irq_router *r, unsigned irq)
{
	u32 wires = levels(r) & 1u << irq;

	if (irq == IRQ_PCI_ISA(0))
		wires |= r->lines & PCI_EVEN;
	if (irq == IRQ_PCI_ISA(1))
		wires |= r->lines & PCI_ODD;
	return wires;
}

static void drive(struct irq_router *r, unsigned gsi)
{
	unsigned isa = gsi < IRQ_PCI_FIRST ? gsi : IRQ_PCI_ISA(gsi);

	pic_set_line(r->pic, isa, isa_level(r, isa));
	ioapic_set_line(r->ioapic, pin_of(gsi), levels(r) >> gsi & 1);
}

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	if (gsi >= IOAPIC_PINS || gsi == IRQ_CASCADE)
		return;
	/* Held over both chips, so that two changes of a wire reach them in the same order. */
	spin_lock(&r->lock);
	r->lines = (r->lines & ~(1u << gsi)) | (u32)level << gsi;
	drive(r, gsi);
	spin_unlock(&r->lock);
}

static bool tick(struct irq_router *r, unsigned gsi)
{
	bool seen = pic_pulse(r->pic, gsi);

	seen |= ioapic_pulse(r->ioapic, pin_of(gsi));
	return seen && !r->rests;
}

bool irq_tick(struct irq_router *r)
{
	bool seen = false;

	spin_lock(&r->lock);
	r->lines |= 1u << IRQ_TIMER;
	if (likely(!r->cut))
		seen = tick(r, IRQ_TIMER);
	spin_unlock(&r->lock);
	return seen;
}

void irq_on_tick_wanted(struct irq_router *r, void (*fn)(void *opaque), void *opaque)
{
	r->waiters[r->nr_waiters].fn = fn;
	r->waiters[r->nr_waiters++].opaque = opaque;
	r->pic->accepted = r->ioapic->changed = tell_waiters;
	r->pic->accepted_opaque = r->ioapic->changed_opaque = r;
}

void irq_rest(struct irq_router *r, bool on)
{
	spin_lock(&r->lock);
	r->rests = on;
	spin_unlock(&r->lock);
	if (!on)
		tell_waiters(r);
}

void irq_replace(struct irq_router *r, bool on)
{
	spin_lock(&r->lock);
	r->cut = on ? IRQ_REPLACED : 0;
	r->hpet &= ~IRQ_REPLACED;
	drive(r, IRQ_TIMER);
	drive(r, IRQ_CLOCK);
	spin_unlock(&r->lock);
}

void irq_hpet_set(struct irq_router *r, unsigned gsi, bool level)
{
	spin_lock(&r->lock);
	r->hpet = (r->hpet & ~(1u << gsi)) | (u32)level << gsi;
	drive(r, gsi);
	spin_unlock(&r->lock);
}

bool irq_hpet_tick(struct irq_router *r, unsigned gsi)
{
	bool seen;

	spin_lock(&r->lock);
	if (gsi < IRQ_PCI_FIRST) {
		r->hpet |= 1u << gsi;
		seen = tick(r, gsi);
	} else {
		seen = ioapic_pulse(r->ioapic, gsi) && !r->rests;
		ioapic_set_line(r->ioapic, gsi, levels(r) >> gsi & 1);
	}
	spin_unlock(&r->lock);
	return seen;
}

void irq_tell_waiters(struct irq_router *r)
{
	tell_waiters(r);
}
