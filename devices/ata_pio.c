/* SPDX-License-Identifier: Apache-2.0 */
/* ATA commands that move data by programmed I/O (ATA/ATAPI-6, 9.5 and 9.6), and those that move none but ask
 * the disk: READ VERIFY. Reads fill the buffer at one go and hand it out in DRQ blocks. */
#include "ata_internal.h"

/* What DRQ stands for until the next interrupt. */
static void block_open(struct ata_channel *c)
{
	c->block_end = MIN(c->at + c->block * BLOCK_SECTOR, c->end);
	c->selected->status = ATA_IDLE | ATA_DRQ;
}

static u32 buffered(const struct ata_channel *c)
{
	return MIN(c->left, c->state == ATA_PIO_OUT ? c->block : ATA_MULTIPLE);
}

/* The buffer is the request's only segment. */
static void ask(struct ata_channel *c, enum block_op op)
{
	u32 sectors = buffered(c);

	c->segments[0] = (struct piece){c->buffer, sectors * BLOCK_SECTOR};
	ata_request(c, op, sectors, c->segments, 1);
}

void ata_pio_in(struct ata_channel *c)
{
	c->state = ATA_PIO_IN;
	ask(c, BLOCK_READ);
}

static void out_open(struct ata_channel *c)
{
	c->at = 0;
	c->end = buffered(c) * BLOCK_SECTOR;
	block_open(c);
}

/* The first block is asked for without an interrupt. */
void ata_pio_out(struct ata_channel *c)
{
	c->state = ATA_PIO_OUT;
	out_open(c);
}

void ata_pio_identify(struct ata_channel *c)
{
	c->state = ATA_PIO_IN;
	c->left = 0;
	c->block = 1;
	c->at = 0;
	c->end = BLOCK_SECTOR;
	ata_identify(c, c->buffer);
	block_open(c);
	ata_interrupt(c);
}

void ata_verify(struct ata_channel *c)
{
	c->state = ATA_VERIFY;
	ask(c, BLOCK_READ);
}

void ata_pio_answered(struct ata_channel *c)
{
	u32 sectors = c->request.count;

	c->sector += sectors;
	c->left -= sectors;
	switch (c->state) {
	case ATA_PIO_IN:
		c->at = 0;
		c->end = sectors * BLOCK_SECTOR;
		block_open(c);
		ata_interrupt(c);
		break;
	case ATA_PIO_OUT:
		if (!c->left) {
			ata_done(c);
			break;
		}
		out_open(c);
		ata_interrupt(c);
		break;
	default: /* ATA_VERIFY */
		if (c->left)
			ask(c, BLOCK_READ);
		else
			ata_done(c);
	}
}

/* A block has been moved whole. */
static void block_moved(struct ata_channel *c)
{
	if (c->state == ATA_PIO_OUT) {
		ask(c, BLOCK_WRITE);
	} else if (c->at < c->end) {
		block_open(c);
		ata_interrupt(c);
	} else if (c->left) {
		ask(c, BLOCK_READ);
	} else { /* no interrupt: 9.5 */
		c->state = ATA_NOTHING;
		c->selected->status = ATA_IDLE;
	}
}

/* Up to the end of the DRQ block; how many bytes. */
u32 ata_pio_move(struct ata_channel *c, bool in, u8 *buf, u32 bytes)
{
	u32 n = MIN(bytes, c->block_end - c->at);

	if (!(c->selected->status & ATA_DRQ))
		return 0;
	if (in)
		memcpy(buf, c->buffer + c->at, n);
	else
		memcpy(c->buffer + c->at, buf, n);
	c->at += n;
	c->selected->copied += n;
	if (c->at == c->block_end)
		block_moved(c);
	return n;
}
