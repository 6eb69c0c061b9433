/* SPDX-License-Identifier: Apache-2.0 */
/* A channel of the IDE controller: how commands end, the interrupt, resets, and the way to the disk and back;
 * see ata_internal.h.
 *
 * Who makes a request ready submits it, without the lock, and takes its answer if that is there already: then
 * the next piece of a long command goes the same way, up to a turn. An answer that comes later is taken where
 * it comes, and what follows from it is left to the timer, for a disk must not be asked from within its
 * answer. While a request is with the disk the channel is busy and takes no command; a reset waits for it. */
#include "ata_internal.h"

#include "host.h"

#define STARVED_HZ 20000

/* ---- interrupt ---- */
/* The line follows the selected drive and nIEN; the bus master remembers that it rose. */
void ata_line_update(struct ata_channel *c)
{
	bool line = c->selected->intrq && !(c->control & ATA_NIEN);

	if (line == c->line)
		return;
	c->line = line;
	if (line)
		c->bm_status |= BM_INTERRUPT;
	irq_set(c->ata->irq, ATA_GSI + c->number, line);
}

void ata_interrupt(struct ata_channel *c)
{
	c->selected->intrq = true;
	c->selected->interrupts++;
	ata_line_update(c);
}

/* ---- ends ---- */
static void end(struct ata_channel *c, u8 status, u8 error)
{
	c->state = ATA_NOTHING;
	c->selected->status = status;
	c->selected->error = error;
	ata_interrupt(c);
}

void ata_done(struct ata_channel *c)
{
	end(c, ATA_IDLE, 0);
}

void ata_fail(struct ata_channel *c, u8 error)
{
	end(c, ATA_IDLE | ATA_ERR, error);
}

/* 28-bit addresses have bits 27:24 in the device register; a CHS address is left as it was given. */
void ata_fail_at(struct ata_channel *c, u8 error, u64 sector)
{
	if (c->ext || c->reg[ATA_DEVICE] & ATA_DEV_LBA) {
		for (unsigned i = 0; i < 3; i++) {
			c->reg[ATA_LBA_LOW + i] = (u8)(sector >> (8 * i));
			c->hob[ATA_LBA_LOW + i] = (u8)(sector >> (8 * i + 24));
		}
		if (!c->ext)
			c->reg[ATA_DEVICE] = (u8)((c->reg[ATA_DEVICE] & 0xf0) | (sector >> 24 & 0xf));
	}
	ata_fail(c, error);
}

/* ---- to the disk and back ---- */
void ata_request(struct ata_channel *c, enum block_op op, u32 sectors, const struct piece *segments,
		 u32 nr_segments)
{
	struct block_request *r = &c->request;
	const struct ata_drive *d = c->selected;

	r->op = op;
	r->flags = op == BLOCK_WRITE && !d->cache && d->disk->flags & BLOCK_VOLATILE ? BLOCK_FUA : 0;
	r->sector = sectors ? c->sector : 0;
	r->count = sectors;
	r->segments = segments;
	r->nr_segments = nr_segments;
	c->selected->status = ATA_BSY;
	c->ready = true;
}

static void failed(struct ata_channel *c)
{
	if (c->state == ATA_FLUSH)
		ata_fail(c, ATA_ABRT);
	else
		ata_fail_at(c, c->write ? ATA_ABRT : ATA_UNC, c->sector);
}

/* The disk has answered. */
static void step(struct ata_channel *c)
{
	bool well = c->answer == BLOCK_OK;

	c->in_flight = false;
	if (c->abandoned) {
		c->abandoned = false;
		ata_dma_forget(c);
		if (!(c->control & ATA_SRST))
			ata_signature(c);
		return;
	}
	if (c->state == ATA_DMA)
		ata_dma_answered(c, well);
	if (!well) {
		failed(c);
		return;
	}
	if (c->state == ATA_FLUSH)
		ata_done(c);
	else if (c->state != ATA_DMA && c->state != ATA_NOTHING)
		ata_pio_answered(c);
}

/* What is ready, up to a turn. True: the rest is for later. */
static bool pump(struct ata_channel *c)
{
	u32 sectors = 0;

	if (c->pumping)
		return false;
	c->pumping = true;
	if (c->starved)
		ata_dma_go(c);
	while (c->ready && sectors < ATA_TURN) {
		struct block *disk = c->selected->disk;
		sectors += MAX(c->request.count, 1u);
		c->ready = c->answered = false;
		c->in_flight = true;
		spin_unlock(&c->lock);
		block_submit(disk, &c->request);
		spin_lock(&c->lock);
		if (!c->answered)
			break;
		step(c);
	}
	c->pumping = false;
	return ata_is_pending(c);
}

/* Pages that others have pinned take their time. */
static u64 when(bool starved)
{
	return starved ? tsc_now() + tsc_hz() / STARVED_HZ : 0;
}

void ata_run(struct ata_channel *c)
{
	bool more, starved;

	spin_lock(&c->lock);
	more = pump(c);
	starved = c->starved;
	if (more)
		later_promise(&c->later);
	spin_unlock(&c->lock);
	if (more)
		later_keep(&c->later, when(starved));
}

static u64 go_on(void *opaque)
{
	struct ata_channel *c = opaque;
	bool more, starved;

	spin_lock(&c->lock);
	more = pump(c);
	starved = c->starved;
	spin_unlock(&c->lock);
	return more ? when(starved) : LATER_NEVER;
}

/* Any CPU; perhaps within pump(), which then goes on by itself. */
static void complete(struct block_request *r, enum block_status status)
{
	struct ata_channel *c = container_of(r, struct ata_channel, request);
	bool more = false, starved;

	spin_lock(&c->lock);
	c->answer = status;
	c->answered = true;
	if (!c->pumping) {
		step(c);
		more = ata_is_pending(c);
	}
	starved = c->starved;
	if (more)
		later_promise(&c->later);
	spin_unlock(&c->lock);
	if (more)
		later_keep(&c->later, when(starved));
}

/* ---- resets ---- */
/* 9.12: what both drives show after a reset and after EXECUTE DEVICE DIAGNOSTIC. */
void ata_signature(struct ata_channel *c)
{
	memset(c->hob, 0, sizeof(c->hob));
	c->reg[ATA_COUNT] = c->reg[ATA_LBA_LOW] = 1;
	c->reg[ATA_LBA_MID] = c->reg[ATA_LBA_HIGH] = 0;
	c->reg[ATA_DEVICE] = 0;
	c->selected = &c->drive[0];
	c->state = ATA_NOTHING;
	for (unsigned i = 0; i < ATA_DRIVES; i++) {
		struct ata_drive *d = &c->drive[i];
		d->status = d->disk ? ATA_IDLE : 0;
		d->error = ATA_PASSED;
		d->intrq = false;
		d->power = ATA_ACTIVE;
	}
	ata_line_update(c);
}

void ata_drop(struct ata_channel *c)
{
	c->ready = c->starved = false;
	c->state = ATA_NOTHING;
	c->bm_status &= (u8)~BM_ACTIVE;
	c->bm_command &= (u8)~BM_START;
	if (c->in_flight)
		c->abandoned = true;
	else
		ata_dma_forget(c);
}

void ata_channel_stop(struct ata_channel *c)
{
	bool busy;

	do {
		spin_lock(&c->lock);
		ata_drop(c);
		busy = c->in_flight || c->pumping || later_is_promised(&c->later);
		spin_unlock(&c->lock);
		if (busy)
			cpu_poll_interrupts();
	} while (busy);
	later_destroy(&c->later);
}

void ata_channel_reset(struct ata_channel *c)
{
	ata_channel_stop(c);
	spin_lock(&c->lock);
	c->control = 0;
	c->decoded = false;
	c->bm_command = c->bm_status = 0;
	c->bm_table = 0;
	memset(c->reg, 0, sizeof(c->reg));
	for (unsigned i = 0; i < ATA_DRIVES; i++)
		ata_drive_reset(&c->drive[i]);
	ata_signature(c);
	spin_unlock(&c->lock);
}

void ata_channel_init(struct ata_channel *c, struct ata *ata, unsigned number, struct sched_group *group)
{
	c->ata = ata;
	c->number = number;
	c->selected = &c->drive[0];
	c->request.complete = complete;
	gmem_tlb_reset(&c->tlb);
	later_init(&c->later, go_on, c, group);
	ata_channel_reset(c);
}
