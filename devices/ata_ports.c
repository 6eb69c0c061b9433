/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of an IDE channel: command block (0x1f0, 0x170), and control block (0x3f6, 0x376). ATA/ATAPI-6,
 * chapter 7 and 9.16. Both drives take what is written to the command block; the selected one answers. */
#include "ata_internal.h"

#define FLOATING 0xffu /* nobody drives the bus */

static bool nobody(const struct ata_channel *c)
{
	return !c->decoded || !c->drive[0].disk;
}

/* 9.16.1: a drive 0 that is alone answers for drive 1, with zeros. */
static bool absent(const struct ata_channel *c)
{
	return !c->selected->disk;
}

static u8 status_read(struct ata_channel *c)
{
	if (c->selected->intrq) {
		c->selected->intrq = false;
		ata_line_update(c);
	}
	return c->selected->status;
}

static u8 register_read(struct ata_channel *c, unsigned offset)
{
	if (absent(c))
		return 0;
	switch (offset) {
	case ATA_COMMAND:
		return status_read(c);
	case ATA_FEATURES:
		return c->selected->error;
	case ATA_DEVICE:
		return c->reg[ATA_DEVICE] | ATA_DEV_ONES;
	default:
		return c->control & ATA_HOB ? c->hob[offset] : c->reg[offset];
	}
}

/* 7.2 to 7.14: nothing is taken while the drive is busy or moves data. */
static void register_write(struct ata_channel *c, unsigned offset, u8 value)
{
	c->control &= (u8)~ATA_HOB;
	if (c->selected->status & (ATA_BSY | ATA_DRQ))
		return;
	if (offset == ATA_COMMAND) {
		ata_command(c, value);
		return;
	}
	c->hob[offset] = c->reg[offset];
	c->reg[offset] = value;
	if (offset != ATA_DEVICE)
		return;
	c->selected = &c->drive[!!(value & ATA_DEV_1)];
	ata_line_update(c);
}

/* ---- data ---- */
/* One item; what the drive does not have reads as zeros. */
static u64 data_read(struct ata_channel *c, unsigned size)
{
	u64 value = 0;

	if (c->state != ATA_PIO_IN || !(c->selected->status & ATA_DRQ))
		return BIT(8 * size) - 1;
	ata_pio_move(c, true, (u8 *)&value, size);
	return value;
}

u64 ata_port_read(void *opaque, u64 offset, unsigned size)
{
	struct ata_channel *c = opaque;
	u64 value = 0;
	bool pending;

	spin_lock(&c->lock);
	c->selected->accesses++;
	if (unlikely(nobody(c)))
		value = BIT(8 * size) - 1;
	else if (offset == ATA_DATA)
		value = data_read(c, size);
	else
		for (unsigned i = 0; i < size; i++)
			value |= (u64)register_read(c, (unsigned)offset + i) << (8 * i);
	pending = ata_is_pending(c);
	spin_unlock(&c->lock);
	if (pending)
		ata_run(c);
	return value;
}

void ata_port_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct ata_channel *c = opaque;
	bool pending;

	spin_lock(&c->lock);
	c->selected->accesses++;
	if (likely(!nobody(c))) {
		if (offset == ATA_DATA && c->state == ATA_PIO_OUT)
			ata_pio_move(c, false, (u8 *)&value, size);
		else if (offset != ATA_DATA)
			for (unsigned i = 0; i < size; i++)
				register_write(c, (unsigned)offset + i, (u8)(value >> (8 * i)));
	}
	pending = ata_is_pending(c);
	spin_unlock(&c->lock);
	if (pending)
		ata_run(c);
}

u32 ata_port_string(void *opaque, u64 offset, unsigned size, bool in, u8 *buf, u32 count)
{
	struct ata_channel *c = opaque;
	u32 moved = 0;
	bool pending;

	if (offset != ATA_DATA)
		return 0;
	spin_lock(&c->lock);
	c->selected->accesses++;
	if (!nobody(c) && c->state == (in ? ATA_PIO_IN : ATA_PIO_OUT)) /* whole items */
		moved = ata_pio_move(c, in, buf, MIN(count, (c->block_end - c->at) / size) * size) / size;
	pending = ata_is_pending(c);
	spin_unlock(&c->lock);
	if (pending)
		ata_run(c);
	return moved;
}

/* ---- control block ---- */
/* The alternate status: the interrupt stays. */
u64 ata_control_read(void *opaque, u64 offset, unsigned size)
{
	struct ata_channel *c = opaque;
	u8 value;

	(void)offset, (void)size;
	spin_lock(&c->lock);
	c->selected->accesses++;
	value = nobody(c) ? FLOATING : absent(c) ? 0 : c->selected->status;
	spin_unlock(&c->lock);
	return value;
}

/* 9.2, 9.3: busy as long as SRST is set, and until the disk has given back what it has. */
static void software_reset(struct ata_channel *c, bool begins)
{
	if (begins) {
		ata_drop(c);
		for (unsigned i = 0; i < ATA_DRIVES; i++) {
			struct ata_drive *d = &c->drive[i];
			d->intrq = false;
			d->status = d->disk ? ATA_BSY : 0;
		}
		ata_line_update(c);
	} else if (!c->in_flight) {
		ata_signature(c);
	}
}

void ata_control_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct ata_channel *c = opaque;
	u8 changed;

	(void)offset, (void)size;
	spin_lock(&c->lock);
	c->selected->accesses++;
	if (!nobody(c)) {
		changed = c->control ^ (u8)value;
		c->control = (u8)value & (ATA_HOB | ATA_SRST | ATA_NIEN);
		if (changed & ATA_SRST)
			software_reset(c, value & ATA_SRST);
		ata_line_update(c);
	}
	spin_unlock(&c->lock);
}
