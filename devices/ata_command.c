/* SPDX-License-Identifier: Apache-2.0 */
/* ATA commands (ATA/ATAPI-6, chapter 8; older ones as in ATA-3): what each takes, and those that are over at
 * once. A command that is not in the table is aborted. */
#include "ata_internal.h"

enum {
	C_EXT = 1,      /* 48-bit address */
	C_WRITE = 2,    /* the disk changes */
	C_MULTIPLE = 4, /* DRQ blocks as SET MULTIPLE MODE has them */
};

typedef void (*command_fn)(struct ata_channel *c, u8 flags);

#define LBA28_MAX 0x0fffffffull
#define CYLINDERS_MAX 16383u
#define HEADS 16u
#define TRACK 63u

/* ---- drives ---- */
void ata_drive_translate(struct ata_drive *d, u32 heads, u32 track)
{
	u64 sectors = MIN(d->sectors, (u64)CYLINDERS_MAX * HEADS * TRACK);

	d->heads = heads;
	d->track = track;
	d->cylinders = (u32)MIN(sectors / (heads * track), (u64)0xffff);
}

/* Multiple mode is on, as a BIOS leaves it. */
void ata_drive_reset(struct ata_drive *d)
{
	d->cache = d->ahead = true;
	d->multiple = ATA_MULTIPLE;
	d->mode = 0;
	d->commands = d->interrupts = 0;
	ata_drive_translate(d, HEADS, TRACK);
}

/* ---- addresses: 6.2 ---- */
/* False: such a place does not exist. */
static bool address_chs(const struct ata_channel *c, u64 *sector)
{
	const struct ata_drive *d = c->selected;
	u32 cylinder = c->reg[ATA_LBA_MID] | (u32)c->reg[ATA_LBA_HIGH] << 8;
	u32 head = c->reg[ATA_DEVICE] & 0xf, number = c->reg[ATA_LBA_LOW];

	*sector = ((u64)cylinder * d->heads + head) * d->track + number - 1;
	return number && number <= d->track && head < d->heads && cylinder < d->cylinders;
}

static u64 address_lba(const struct ata_channel *c, bool ext)
{
	u64 low = c->reg[ATA_LBA_LOW] | (u32)c->reg[ATA_LBA_MID] << 8 | (u32)c->reg[ATA_LBA_HIGH] << 16;

	if (!ext)
		return low | (u64)(c->reg[ATA_DEVICE] & 0xf) << 24;
	return low | (u64)c->hob[ATA_LBA_LOW] << 24 | (u64)c->hob[ATA_LBA_MID] << 32 |
	       (u64)c->hob[ATA_LBA_HIGH] << 40;
}

/* The range that the registers ask for; false: the command has failed. */
static bool range(struct ata_channel *c, u8 flags)
{
	bool found = true;

	c->ext = flags & C_EXT;
	c->write = flags & C_WRITE;
	c->left = c->reg[ATA_COUNT] | (c->ext ? (u32)c->hob[ATA_COUNT] << 8 : 0);
	if (!c->left)
		c->left = c->ext ? 0x10000 : 0x100;
	if (c->reg[ATA_DEVICE] & ATA_DEV_LBA) {
		c->sector = address_lba(c, c->ext);
	} else if (c->ext) {
		ata_fail(c, ATA_ABRT);
		return false;
	} else {
		found = address_chs(c, &c->sector);
	}
	if (found && c->sector < c->selected->sectors && c->left <= c->selected->sectors - c->sector)
		return true;
	ata_fail_at(c, ATA_IDNF, MAX(c->sector, MIN(c->selected->sectors, c->sector + c->left)));
	return false;
}

static bool may_write(struct ata_channel *c, u8 flags)
{
	if (!(flags & C_WRITE) || !(c->selected->disk->flags & BLOCK_READ_ONLY))
		return true;
	ata_fail(c, ATA_ABRT);
	return false;
}

/* ---- commands that ask the disk ---- */
static void do_pio(struct ata_channel *c, u8 flags)
{
	c->block = flags & C_MULTIPLE ? c->selected->multiple : 1;
	if (!c->block) {
		ata_fail(c, ATA_ABRT);
		return;
	}
	if (!may_write(c, flags) || !range(c, flags))
		return;
	if (c->write)
		ata_pio_out(c);
	else
		ata_pio_in(c);
}

static void do_dma(struct ata_channel *c, u8 flags)
{
	if (!c->selected->dma)
		ata_fail(c, ATA_ABRT);
	else if (may_write(c, flags) && range(c, flags))
		ata_dma_begin(c);
}

static void do_verify(struct ata_channel *c, u8 flags)
{
	if (range(c, flags))
		ata_verify(c);
}

static void do_flush(struct ata_channel *c, u8 flags)
{
	(void)flags;
	c->write = true;
	c->state = ATA_FLUSH;
	if (c->selected->disk->flags & BLOCK_READ_ONLY)
		ata_done(c);
	else
		ata_request(c, BLOCK_FLUSH, 0, NULL, 0);
}

/* ---- the others ---- */
static void do_abort(struct ata_channel *c, u8 flags)
{
	(void)flags;
	ata_fail(c, ATA_ABRT);
}

static void do_nothing(struct ata_channel *c, u8 flags)
{
	(void)flags;
	ata_done(c);
}

static void do_seek(struct ata_channel *c, u8 flags)
{
	c->reg[ATA_COUNT] = 1;
	if (range(c, flags))
		ata_done(c);
}

static void do_identify(struct ata_channel *c, u8 flags)
{
	(void)flags;
	ata_pio_identify(c);
}

static void do_translate(struct ata_channel *c, u8 flags)
{
	(void)flags;
	if (!c->reg[ATA_COUNT]) {
		ata_fail(c, ATA_ABRT);
		return;
	}
	ata_drive_translate(c->selected, (c->reg[ATA_DEVICE] & 0xfu) + 1, c->reg[ATA_COUNT]);
	ata_done(c);
}

static void do_set_multiple(struct ata_channel *c, u8 flags)
{
	u8 n = c->reg[ATA_COUNT];

	(void)flags;
	if (n > ATA_MULTIPLE || n & (n - 1)) {
		ata_fail(c, ATA_ABRT);
		return;
	}
	c->selected->multiple = n;
	ata_done(c);
}

/* 8.46, table 44: PIO flow control 0 to 4, multiword DMA 0 to 2, Ultra DMA 0 to 2. */
static bool set_mode(struct ata_drive *d, u8 mode)
{
	u8 kind = mode & 0xf8, n = mode & 7;

	if (kind == 0x00)
		return n <= 1;
	if (kind == 0x08)
		return n <= 4;
	if (!d->dma || (kind != 0x20 && kind != 0x40) || n > 2)
		return false;
	d->mode = mode;
	return true;
}

static void do_set_features(struct ata_channel *c, u8 flags)
{
	struct ata_drive *d = c->selected;
	bool known = true;

	(void)flags;
	switch (c->reg[ATA_FEATURES]) {
	case 0x02:
	case 0x82:
		d->cache = c->reg[ATA_FEATURES] == 0x02;
		break;
	case 0x03:
		known = set_mode(d, c->reg[ATA_COUNT]);
		break;
	case 0xaa:
	case 0x55:
		d->ahead = c->reg[ATA_FEATURES] == 0xaa;
		break;
	default:
		known = false;
	}
	if (known)
		ata_done(c);
	else
		ata_fail(c, ATA_ABRT);
}

/* 8.23 and so on: there is nothing that could spin down. */
static void do_power(struct ata_channel *c, u8 flags)
{
	c->selected->power = (enum ata_power)flags;
	ata_done(c);
}

static void do_check_power(struct ata_channel *c, u8 flags)
{
	(void)flags;
	c->reg[ATA_COUNT] = c->selected->power == ATA_ACTIVE ? 0xff : 0;
	ata_done(c);
}

/* Both drives; the first one answers. */
static void do_diagnostic(struct ata_channel *c, u8 flags)
{
	(void)flags;
	ata_signature(c);
	ata_interrupt(c);
}

/* NOP, 0x00, and DEVICE RESET, 0x08, of a disk are aborted as they should. */
static const struct {
	command_fn run;
	u8 flags;
} commands[0x100] = {
    [0x10] = {do_nothing, 0}, /* RECALIBRATE */
    [0x20] = {do_pio, 0},
    [0x21] = {do_pio, 0},
    [0x24] = {do_pio, C_EXT},
    [0x25] = {do_dma, C_EXT},
    [0x29] = {do_pio, C_MULTIPLE | C_EXT},
    [0x30] = {do_pio, C_WRITE},
    [0x31] = {do_pio, C_WRITE},
    [0x34] = {do_pio, C_WRITE | C_EXT},
    [0x35] = {do_dma, C_WRITE | C_EXT},
    [0x39] = {do_pio, C_WRITE | C_MULTIPLE | C_EXT},
    [0x40] = {do_verify, 0},
    [0x41] = {do_verify, 0},
    [0x42] = {do_verify, C_EXT},
    [0x70] = {do_seek, 0},
    [0x90] = {do_diagnostic, 0},
    [0x91] = {do_translate, 0},
    [0xc4] = {do_pio, C_MULTIPLE},
    [0xc5] = {do_pio, C_WRITE | C_MULTIPLE},
    [0xc6] = {do_set_multiple, 0},
    [0xc8] = {do_dma, 0},
    [0xc9] = {do_dma, 0},
    [0xca] = {do_dma, C_WRITE},
    [0xcb] = {do_dma, C_WRITE},
    [0xe0] = {do_power, ATA_STANDBY}, /* STANDBY IMMEDIATE */
    [0xe1] = {do_power, ATA_ACTIVE},  /* IDLE IMMEDIATE */
    [0xe2] = {do_power, ATA_STANDBY}, /* STANDBY, IDLE: their timer never ends */
    [0xe3] = {do_power, ATA_ACTIVE},
    [0xe5] = {do_check_power, 0},
    [0xe6] = {do_power, ATA_ASLEEP}, /* SLEEP */
    [0xe7] = {do_flush, 0},
    [0xea] = {do_flush, 0},
    [0xec] = {do_identify, 0},
    [0xef] = {do_set_features, 0},
};

void ata_command(struct ata_channel *c, u8 command)
{
	struct ata_drive *d = c->selected;
	command_fn run = commands[command].run ? commands[command].run : do_abort;

	if (run == do_diagnostic) {
		run(c, 0);
		return;
	}
	if (!d->disk || d->power == ATA_ASLEEP)
		return; /* 6.12: asleep until a reset */
	if (run == do_pio || run == do_dma || run == do_verify)
		d->power = ATA_ACTIVE;
	d->commands++;
	d->error = 0;
	d->intrq = false; /* a command takes back the interrupt of the last one: 7.4 */
	ata_line_update(c);
	run(c, commands[command].flags);
}
