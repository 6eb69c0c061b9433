/* SPDX-License-Identifier: Apache-2.0 */
/* What an ATA disk says of itself: IDENTIFY DEVICE (ATA/ATAPI-6, 8.15). Words that are not here are zero. */
#include "ata_internal.h"

#define MODEL "Socle disk"
#define FIRMWARE "1"
#define LBA28_SECTORS 0x0fffffffull

/* Of words 82 to 87. */
#define SET_82 0x4068u /* NOP, look-ahead, write cache, power management */
#define SET_83 0x7400u /* FLUSH CACHE EXT, FLUSH CACHE, 48-bit addresses; bit 14 is one */
#define SET_84 0x4000u
#define CACHE 0x0020u
#define AHEAD 0x0040u
#define CABLE_DRIVE_0 0x400bu /* passed its diagnostics, is drive 0 by its jumper */
#define CABLE_DRIVE_1 0x4300u

static void put(u8 *to, unsigned word, u64 value, unsigned words)
{
	for (unsigned i = 0; i < words; i++, value >>= 16)
		pci_set16(to, 2 * (word + i), (u16)value);
}

/* Two characters of a string make a word, the first its upper half. */
static void put_text(u8 *to, unsigned word, unsigned words, const char *text)
{
	size_t length = strnlen(text, 2 * words);

	for (unsigned i = 0; i < 2 * words; i++)
		to[2 * word + (i ^ 1)] = i < length ? (u8)text[i] : ' ';
}

static void put_modes(u8 *to, const struct ata_drive *d)
{
	u16 one = (u16)(0x100u << (d->mode & 7));

	if (!d->dma)
		return;
	put(to, 63, 7u | ((d->mode & 0xf8) == 0x20 ? one : 0), 1);
	put(to, 88, 7u | ((d->mode & 0xf8) == 0x40 ? one : 0), 1);
}

static void put_geometry(u8 *to, const struct ata_drive *d)
{
	struct ata_drive first = *d;

	ata_drive_reset(&first);
	put(to, 1, first.cylinders, 1);
	put(to, 3, first.heads, 1);
	put(to, 6, first.track, 1);
	put(to, 54, d->cylinders, 1);
	put(to, 55, d->heads, 1);
	put(to, 56, d->track, 1);
	put(to, 57, d->cylinders * d->heads * d->track, 2);
	put(to, 60, MIN(d->sectors, LBA28_SECTORS), 2);
	put(to, 100, d->sectors, 4);
}

void ata_identify(const struct ata_channel *c, u8 *to)
{
	const struct ata_drive *d = c->selected;
	u16 now_82 = (u16)((SET_82 & ~(CACHE | AHEAD)) | (d->cache ? CACHE : 0) | (d->ahead ? AHEAD : 0));
	u8 sum = 0;

	memset(to, 0, BLOCK_SECTOR);
	put(to, 0, 0x0040, 1); /* a disk that is not removable */
	put_geometry(to, d);
	put_text(to, 10, 10, d->id);
	put_text(to, 23, 4, FIRMWARE);
	put_text(to, 27, 20, MODEL);
	put(to, 47, 0x8000 | ATA_MULTIPLE, 1);
	put(to, 48, 1, 1);                              /* 32-bit accesses to the data register */
	put(to, 49, 0x0e00u | (d->dma ? 0x100 : 0), 1); /* IORDY, LBA, DMA */
	put(to, 50, 0x4000, 1);
	put(to, 51, 0x0200, 1);
	put(to, 53, 7, 1); /* words 54 to 58, 64 to 70 and 88 hold something */
	put(to, 59, d->multiple ? 0x100u | d->multiple : 0, 1);
	put_modes(to, d);
	put(to, 64, 3, 1);                  /* PIO 3 and 4 */
	put(to, 65, 0x0078007800780078, 4); /* cycles of 120 ns */
	put(to, 80, 0x007e, 1);             /* ATA-1 to ATA/ATAPI-6 */
	put(to, 82, SET_82, 1);
	put(to, 83, SET_83, 1);
	put(to, 84, SET_84, 1);
	put(to, 85, now_82, 1);
	put(to, 86, SET_83 & 0x3fff, 1);
	put(to, 87, SET_84, 1);
	put(to, 93, d == &c->drive[0] ? CABLE_DRIVE_0 : CABLE_DRIVE_1, 1);
	to[510] = 0xa5;
	for (unsigned i = 0; i < BLOCK_SECTOR - 1; i++)
		sum = (u8)(sum + to[i]);
	to[511] = (u8)-sum;
}
