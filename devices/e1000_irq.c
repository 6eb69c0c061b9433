/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts of the 82540EM: causes, mask, and moderation. ITR (13.4.18) keeps interrupts an interval apart,
 * whatever their causes; RDTR, RADV, TIDV and TADV (13.4.30, 13.4.31, 13.4.44, 13.4.45) make single causes
 * come late, so that one interrupt tells of many frames. One timer does for all of them: it fires when the
 * first of them may be due, and finds out. */
#include "e1000_internal.h"

#include "host.h"

void e1000_link_changed(struct e1000 *e)
{
	e->tx.rung = true;
	e1000_irq_cause(e, E1000_INT_LSC);
}

static void wake_at(struct e1000 *e, u64 at)
{
	if (at < e->irq.wakes_at) {
		e->irq.wakes_at = at;
		timer_set(&e->irq.timer, at);
	}
}

void e1000_irq_update(struct e1000 *e)
{
	struct e1000_irq *q = &e->irq;
	bool wanted = e->reg[E1000_ICR] & e->reg[E1000_IMS];

	if (wanted == q->asserted)
		return;
	if (wanted && q->interval) {
		u64 now = tsc_now();

		if (now < q->quiet_until) {
			wake_at(e, q->quiet_until);
			return;
		}
		q->quiet_until = now + q->interval;
	}
	q->asserted = wanted;
	e->interrupts += wanted;
	pci_set_intx(&e->function, wanted);
}

void e1000_irq_cause(struct e1000 *e, u32 causes)
{
	e->reg[E1000_ICR] |= causes;
	e1000_irq_update(e);
}

static u64 delay_of(const struct e1000 *e, u32 reg)
{
	return ns_to_tsc((u64)(e->reg[reg] & 0xffff) * E1000_DELAY_NS);
}

/* An event now. each: since the last one; most: since the first that nobody was told of; 0: no limit. */
static void put_off(struct e1000 *e, struct e1000_delay *d, u64 each, u64 most)
{
	u64 now = tsc_now();

	d->due = now + each;
	if (most && d->latest == E1000_NEVER)
		d->latest = now + most;
	wake_at(e, MIN(d->due, d->latest));
}

static bool is_due(struct e1000_delay *d, u64 now)
{
	if (MIN(d->due, d->latest) > now)
		return false;
	d->due = d->latest = E1000_NEVER;
	return true;
}

/* 3.2.7.1. */
void e1000_irq_received(struct e1000 *e)
{
	if (e->reg[E1000_RDTR])
		put_off(e, &e->irq.rx, delay_of(e, E1000_RDTR), delay_of(e, E1000_RADV));
	else
		e1000_irq_cause(e, E1000_INT_RXT0);
}

/* 3.4.4.1... of the transmitter: only descriptors that ask for it wait. */
void e1000_irq_sent(struct e1000 *e, bool delay)
{
	if (delay && e->reg[E1000_TIDV])
		put_off(e, &e->irq.tx, delay_of(e, E1000_TIDV), delay_of(e, E1000_TADV));
	else
		e1000_irq_cause(e, E1000_INT_TXDW);
}

void e1000_irq_flush(struct e1000 *e)
{
	if (is_due(&e->irq.rx, E1000_NEVER - 1))
		e1000_irq_cause(e, E1000_INT_RXT0);
}

/* With the device's lock. */
static void fire(void *opaque)
{
	struct e1000 *e = opaque;
	struct e1000_irq *q = &e->irq;
	u64 now = tsc_now(), next;

	q->wakes_at = E1000_NEVER;
	if (is_due(&q->rx, now))
		e->reg[E1000_ICR] |= E1000_INT_RXT0;
	if (is_due(&q->tx, now))
		e->reg[E1000_ICR] |= E1000_INT_TXDW;
	e1000_irq_update(e);
	next = MIN(MIN(q->rx.due, q->rx.latest), MIN(q->tx.due, q->tx.latest));
	if (next != E1000_NEVER)
		wake_at(e, next);
}

void e1000_irq_interval(struct e1000 *e)
{
	e->irq.interval = ns_to_tsc((u64)e->reg[E1000_ITR] * E1000_ITR_NS);
	if (!e->irq.interval)
		e->irq.quiet_until = 0;
	e1000_irq_update(e);
}

void e1000_irq_init(struct e1000 *e)
{
	timer_init(&e->irq.timer, fire, e, &e->lock);
	e->irq.timer.group = e->group;
	e->irq.wakes_at = E1000_NEVER;
}

/* ICR and IMS are 0. */
void e1000_irq_reset(struct e1000 *e)
{
	struct e1000_irq *q = &e->irq;

	e1000_irq_update(e);
	timer_cancel(&q->timer);
	q->wakes_at = E1000_NEVER;
	q->interval = q->quiet_until = 0;
	q->rx = q->tx = (struct e1000_delay){E1000_NEVER, E1000_NEVER};
}
