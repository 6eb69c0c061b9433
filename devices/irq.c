/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt lines of the guest's board; see irq.h. */
#include "irq.h"

#include "ioapic.h"
#include "pic.h"

#define IRQ_TIMER 0
#define IRQ_CASCADE 2 /* no wire: the slave 8259 is there */
#define IRQ_TIMER_PIN 2
#define PCI_EVEN 0x00550000u
#define PCI_ODD 0x00aa0000u

void irq_init(struct irq_router *r, struct pic *pic, struct ioapic *ioapic)
{
	*r = (struct irq_router){.pic = pic, .ioapic = ioapic};
}

/* Input of the 8259 pair: its own wire or any PCI wire that shares it. */
static bool isa_level(const struct irq_router *r, unsigned irq)
{
	u32 wires = 1u << irq;

	if (irq == IRQ_PCI_ISA(0))
		wires |= PCI_EVEN;
	if (irq == IRQ_PCI_ISA(1))
		wires |= PCI_ODD;
	return r->lines & wires;
}

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	unsigned isa = gsi < IRQ_PCI_FIRST ? gsi : IRQ_PCI_ISA(gsi);

	if (gsi >= IOAPIC_PINS || gsi == IRQ_CASCADE)
		return;
	/* Held over both chips, so that two changes of a wire reach them in the same order. */
	spin_lock(&r->lock);
	r->lines = (r->lines & ~(1u << gsi)) | (u32)level << gsi;
	pic_set_line(r->pic, isa, isa_level(r, isa));
	ioapic_set_line(r->ioapic, gsi == IRQ_TIMER ? IRQ_TIMER_PIN : gsi, level);
	spin_unlock(&r->lock);
}

bool irq_tick(struct irq_router *r)
{
	spin_lock(&r->lock);
	r->lines |= 1u << IRQ_TIMER;
	bool seen = pic_pulse(r->pic, IRQ_TIMER);
	seen |= ioapic_pulse(r->ioapic, IRQ_TIMER_PIN);
	spin_unlock(&r->lock);
	return seen;
}

void irq_on_tick_wanted(struct irq_router *r, void (*fn)(void *opaque), void *opaque)
{
	r->pic->accepted = r->ioapic->changed = fn;
	r->pic->accepted_opaque = r->ioapic->changed_opaque = opaque;
}
