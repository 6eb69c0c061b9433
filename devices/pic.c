/* SPDX-License-Identifier: Apache-2.0 */
/* The 8259A programmable interrupt controller pair; see pic.h. Every access is a handful of bit
 * operations, whatever state the guest brings the chips into. */
#include "pic.h"

#include "lib.h"

#define PIC_MASTER 0
#define PIC_SLAVE 1
#define PIC_CASCADE 2
#define PIC_SPURIOUS 7
#define MASTER_WITHDRAWS 0x05 /* timer and cascade */

#define ICW1_SELECT 0x10
#define ICW1_IC4 0x01
#define ICW1_SNGL 0x02
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
#define OCW3_SELECT 0x08
#define OCW3_RIS 0x01
#define OCW3_RR 0x02
#define OCW3_POLL 0x04
#define OCW3_SMM 0x20
#define OCW3_ESMM 0x40
#define POLL_PENDING 0x80

/* PIIX3: timer, keyboard, cascade, clock and coprocessor are always edge triggered. */
#define ELCR_MASTER_WRITABLE 0xf8
#define ELCR_SLAVE_WRITABLE 0xde

/* Requests as the IRR shows them: a level-triggered input shows its level, an edge-triggered one its
 * latch. By the data sheet a latched edge vanishes when its line falls before INTA. Here that holds for
 * the inputs in `withdraws` only, the 8254's OUT and the slave's INT, which fall when their request is
 * no more. The other lines change in no time: whoever pulses one means it. */
static u8 chip_requests(const struct pic_chip *c)
{
	return (u8)((c->latch & ~c->elcr) | (c->lines & c->elcr));
}

static void chip_set_line(struct pic_chip *c, unsigned irq, bool level)
{
	u8 bit = (u8)(1U << irq);

	if (level) {
		c->latch |= (u8)(bit & ~c->lines);
		c->lines |= bit;
	} else {
		c->lines &= (u8)~bit;
		c->latch &= (u8) ~(bit & c->withdraws);
	}
}

/* The input of highest priority in a set, which must not be empty. */
static unsigned chip_highest(const struct pic_chip *c, u8 set)
{
	unsigned first = (c->lowest + 1U) & 7;
	unsigned rotated = ((set | (unsigned)set << 8) >> first) & 0xff;

	return (bit_first(rotated) + first) & 7;
}

/* The input that INT asks for, or -1. */
static int chip_pending(const struct pic_chip *c)
{
	u8 requests = (u8)(chip_requests(c) & ~c->imr);
	u8 serving = c->special_mask ? (u8)(c->isr & ~c->imr) : c->isr;
	unsigned irq, busy;

	if (!requests || c->step != PIC_READY)
		return -1;
	irq = chip_highest(c, requests);
	if (!serving)
		return (int)irq;
	busy = chip_highest(c, serving);
	if (irq == busy)
		/* Special fully nested mode: the slave in service may ask again for a higher input
		 * of its own. */
		return c->special_nested && irq == PIC_CASCADE ? (int)irq : -1;
	return chip_highest(c, (u8)(1U << irq | 1U << busy)) == irq ? (int)irq : -1;
}

static void chip_take(struct pic_chip *c, unsigned irq)
{
	u8 bit = (u8)(1U << irq);

	c->latch &= (u8)~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->auto_rotate)
		c->lowest = (u8)irq;
}

static void pic_update(struct pic *pic)
{
	bool out;

	chip_set_line(&pic->chip[PIC_MASTER], PIC_CASCADE, chip_pending(&pic->chip[PIC_SLAVE]) >= 0);
	out = chip_pending(&pic->chip[PIC_MASTER]) >= 0;
	if (out == pic->out)
		return;
	pic->out = out;
	pic->intr(pic->opaque, out);
}

/* After what may have emptied a latch; without the lock. */
static inline void tell_accepted(struct pic *pic)
{
	if (likely(!__atomic_load_n(&pic->watched, __ATOMIC_RELAXED)))
		return;
	__atomic_store_n(&pic->watched, false, __ATOMIC_RELAXED);
	if (pic->accepted)
		pic->accepted(pic->accepted_opaque);
}

bool pic_pulse(struct pic *pic, unsigned irq)
{
	struct pic_chip *c = &pic->chip[irq < 8 ? PIC_MASTER : PIC_SLAVE];
	u8 bit = (u8)(1U << (irq & 7));

	spin_lock(&pic->lock);
	bool waits = c->lines & c->latch & ~c->elcr & bit;
	if (waits) {
		__atomic_store_n(&pic->watched, true, __ATOMIC_RELAXED);
	} else {
		chip_set_line(c, irq & 7, false);
		chip_set_line(c, irq & 7, true);
		pic_update(pic);
	}
	spin_unlock(&pic->lock);
	return !waits;
}

void pic_set_line(struct pic *pic, unsigned irq, bool level)
{
	struct pic_chip *c = &pic->chip[irq < 8 ? PIC_MASTER : PIC_SLAVE];

	if (irq >= 16 || irq == PIC_CASCADE)
		return;
	spin_lock(&pic->lock);
	if ((c->lines >> (irq & 7) & 1) != level) {
		chip_set_line(c, irq & 7, level);
		pic_update(pic);
	}
	spin_unlock(&pic->lock);
}

static u8 pic_take(struct pic *pic)
{
	struct pic_chip *master = &pic->chip[PIC_MASTER], *slave = &pic->chip[PIC_SLAVE];
	int irq = chip_pending(master);
	u8 vector;

	if (irq < 0)
		return master->base + PIC_SPURIOUS;
	chip_take(master, (unsigned)irq);
	vector = (u8)(master->base + irq);
	if (irq == PIC_CASCADE) {
		irq = chip_pending(slave);
		if (irq >= 0)
			chip_take(slave, (unsigned)irq);
		vector = (u8)(slave->base + (irq >= 0 ? irq : PIC_SPURIOUS));
		/* The slave's INT goes low during INTA, so that its next request is an edge again. */
		chip_set_line(master, PIC_CASCADE, false);
	}
	pic_update(pic);
	return vector;
}

u8 pic_ack(void *opaque)
{
	struct pic *pic = opaque;
	u8 vector;

	spin_lock(&pic->lock);
	vector = pic_take(pic);
	spin_unlock(&pic->lock);
	tell_accepted(pic);
	return vector;
}

/* After a poll command the next read is the acknowledge cycle of this chip alone. */
static u8 pic_take_polled(struct pic_chip *c)
{
	int irq = chip_pending(c);

	c->poll = false;
	if (irq < 0)
		return 0;
	chip_take(c, (unsigned)irq);
	if (c == &c->pic->chip[PIC_SLAVE])
		chip_set_line(&c->pic->chip[PIC_MASTER], PIC_CASCADE, false);
	pic_update(c->pic);
	return (u8)(POLL_PENDING | irq);
}

/* Apart, so that the usual read needs no stack. */
__attribute__((noinline)) static u8 pic_poll(struct pic_chip *c)
{
	u8 v;

	spin_lock(&c->pic->lock);
	v = pic_take_polled(c);
	spin_unlock(&c->pic->lock);
	tell_accepted(c->pic);
	return v;
}

/* Single bytes: no lock. */
u64 pic_read(void *opaque, u64 offset, unsigned size)
{
	struct pic_chip *c = opaque;

	(void)size;
	if (unlikely(c->poll))
		return pic_poll(c);
	if (offset)
		return c->imr;
	return c->read_isr ? c->isr : chip_requests(c);
}

static void pic_write_icw1(struct pic_chip *c, u8 v)
{
	c->latch = 0; /* the edge detectors forget: lines that are high must rise again */
	c->isr = 0;
	c->imr = 0;
	c->lowest = 7;
	c->read_isr = c->poll = false;
	c->special_mask = c->special_nested = false;
	c->auto_eoi = c->auto_rotate = false;
	c->single = v & ICW1_SNGL;
	c->need_icw4 = v & ICW1_IC4;
	c->step = PIC_ICW2; /* LTIM is without effect: the ELCR has replaced it */
}

static void pic_write_odd(struct pic_chip *c, u8 v)
{
	switch (c->step) {
	case PIC_READY:
	case PIC_UNINITIALISED:
		c->imr = v;
		break;
	case PIC_ICW2:
		c->base = v & 0xf8;
		c->step = !c->single ? PIC_ICW3 : c->need_icw4 ? PIC_ICW4 : PIC_READY;
		break;
	case PIC_ICW3: /* names the cascade input, which the board has wired already */
		c->step = c->need_icw4 ? PIC_ICW4 : PIC_READY;
		break;
	case PIC_ICW4:
		c->auto_eoi = v & ICW4_AEOI;
		c->special_nested = v & ICW4_SFNM;
		c->step = PIC_READY;
		break;
	}
}

/* OCW2: bits 7:5 = rotate, specific, EOI; bits 2:0 the input where specific. */
static void pic_write_ocw2(struct pic_chip *c, u8 v)
{
	u8 serving = c->special_mask ? (u8)(c->isr & ~c->imr) : c->isr;
	unsigned irq = v & 7;

	switch (v >> 5) {
	case 1: /* non-specific EOI */
	case 5: /* and rotate */
		if (!serving)
			break;
		irq = chip_highest(c, serving);
		/* fall through */
	case 3: /* specific EOI */
	case 7: /* and rotate */
		c->isr &= (u8) ~(1U << irq);
		if (v & 0x80)
			c->lowest = (u8)irq;
		break;
	case 6: /* set priority */
		c->lowest = (u8)irq;
		break;
	case 4: /* rotate at each automatic EOI */
	case 0:
		c->auto_rotate = v & 0x80;
		break;
	default: /* 2: no operation */
		break;
	}
}

static void pic_write_ocw3(struct pic_chip *c, u8 v)
{
	if (v & OCW3_ESMM)
		c->special_mask = v & OCW3_SMM;
	if (v & OCW3_RR)
		c->read_isr = v & OCW3_RIS;
	c->poll = v & OCW3_POLL;
}

void pic_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct pic_chip *c = opaque;
	u8 v = (u8)value;

	(void)size;
	spin_lock(&c->pic->lock);
	if (offset)
		pic_write_odd(c, v);
	else if (v & ICW1_SELECT)
		pic_write_icw1(c, v);
	else if (v & OCW3_SELECT)
		pic_write_ocw3(c, v);
	else
		pic_write_ocw2(c, v);
	pic_update(c->pic);
	spin_unlock(&c->pic->lock);
	tell_accepted(c->pic);
}

u64 pic_elcr_read(void *opaque, u64 offset, unsigned size)
{
	const struct pic *pic = opaque;

	(void)size;
	return pic->chip[offset & 1].elcr;
}

void pic_elcr_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct pic *pic = opaque;
	struct pic_chip *c = &pic->chip[offset & 1];

	(void)size;
	spin_lock(&pic->lock);
	c->latch &= (u8)~c->elcr; /* a line that is high already is no edge */
	c->elcr = (u8)value & c->elcr_writable;
	c->latch &= (u8)~c->elcr;
	pic_update(pic);
	spin_unlock(&pic->lock);
	tell_accepted(pic);
}

static void chip_reset(struct pic_chip *c)
{
	u8 lines = c->lines;
	struct pic *pic = c->pic;
	u8 writable = c->elcr_writable, withdraws = c->withdraws;

	*c = (struct pic_chip){.pic = pic,
			       .elcr_writable = writable,
			       .withdraws = withdraws,
			       .lines = lines,
			       .imr = 0xff,
			       .lowest = 7,
			       .step = PIC_UNINITIALISED};
}

void pic_reset(struct pic *pic)
{
	spin_lock(&pic->lock);
	chip_reset(&pic->chip[PIC_MASTER]);
	chip_reset(&pic->chip[PIC_SLAVE]);
	pic_update(pic);
	spin_unlock(&pic->lock);
	tell_accepted(pic);
}

void pic_init(struct pic *pic, void (*intr)(void *opaque, bool level), void *opaque)
{
	*pic = (struct pic){.intr = intr, .opaque = opaque};
	pic->chip[PIC_MASTER].elcr_writable = ELCR_MASTER_WRITABLE;
	pic->chip[PIC_SLAVE].elcr_writable = ELCR_SLAVE_WRITABLE;
	pic->chip[PIC_MASTER].withdraws = MASTER_WITHDRAWS;
	for (unsigned i = 0; i < ARRAY_SIZE(pic->chip); i++) {
		pic->chip[i].pic = pic;
		chip_reset(&pic->chip[i]);
	}
}
