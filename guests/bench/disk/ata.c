/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for the first ATA disk by programmed input and output as the simplest ones are (ATA/ATAPI-6, 9.5
 * and 9.6): it polls, and moves each word by an instruction of its own, not by REP INSW as Linux does. One
 * request is out at a time; others wait here. */
#include "cpu.h"
#include "disk.h"

#define DATA 0x1f0
#define COUNT 0x1f2
#define LBA 0x1f3 /* low, mid, high behind each other */
#define DEVICE 0x1f6
#define STATUS_COMMAND 0x1f7
#define CONTROL 0x3f6 /* read: the status, without an acknowledge */
#define BSY 0x80
#define DF 0x20
#define DRQ 0x08
#define ERR 0x01
#define DEVICE_LBA 0x40
#define NIEN 2
#define IDENTIFY 0xec
#define READ_EXT 0x24
#define WRITE_EXT 0x34
#define TRIES 1000000

static struct request {
	u64 sector;
	u16 *data;
	u32 bytes;
	u8 tag;
	bool write;
} waiting[DISK_DEPTH_MAX];
static u32 put, taken; /* free-running */
static u64 nr_sectors;

/* The status without BSY; 0xff: it stays busy. The first reading is for the time that the drive may take to
 * show it (9.5). */
static u8 settled(void)
{
	u8 status = BSY;

	inb(CONTROL);
	for (u32 i = 0; i < TRIES && status & BSY; i++)
		status = inb(STATUS_COMMAND);
	return status & BSY ? 0xff : status;
}

static bool may_move(void)
{
	return (settled() & (DRQ | DF | ERR)) == DRQ;
}

static void read_words(u16 *to)
{
	for (u32 i = 0; i < DISK_SECTOR / 2; i++)
		to[i] = inw(DATA);
}

static void write_words(const u16 *from)
{
	for (u32 i = 0; i < DISK_SECTOR / 2; i++)
		outw(DATA, from[i]);
}

static bool open(void)
{
	u16 identity[DISK_SECTOR / 2];

	outb(DEVICE, DEVICE_LBA);
	outb(CONTROL, NIEN);
	if (settled() == 0xff)
		return false;
	outb(STATUS_COMMAND, IDENTIFY);
	if (!may_move())
		return false;
	read_words(identity);
	nr_sectors = identity[60] | (u32)identity[61] << 16;
	return nr_sectors != 0 && identity[83] & 1 << 10; /* 48-bit addresses */
}

static u64 sectors(void)
{
	return nr_sectors;
}

/* Each register has two places; the high ones are written first (6.20). */
static void begin(const struct request *r)
{
	u32 count = r->bytes / DISK_SECTOR;

	outb(DEVICE, DEVICE_LBA);
	for (int high = 1; high >= 0; high--) {
		outb(COUNT, (u8)(count >> (8 * high)));
		for (u16 i = 0; i < 3; i++)
			outb(LBA + i, (u8)(r->sector >> (8 * (i + 3 * high))));
	}
	outb(STATUS_COMMAND, r->write ? WRITE_EXT : READ_EXT);
}

static bool move(const struct request *r)
{
	begin(r);
	for (u32 at = 0; at < r->bytes; at += DISK_SECTOR) {
		if (!may_move())
			return false;
		if (r->write)
			write_words(r->data + at / 2);
		else
			read_words(r->data + at / 2);
	}
	return !(settled() & (BSY | DF | DRQ | ERR));
}

static void add(unsigned tag, bool write, u64 sector, void *data, u32 bytes)
{
	waiting[put++ % DISK_DEPTH_MAX] =
	    (struct request){.sector = sector, .data = data, .bytes = bytes, .tag = (u8)tag, .write = write};
}

static void kick(void)
{
}

static bool take(unsigned *tag, bool *ok)
{
	const struct request *r = &waiting[taken % DISK_DEPTH_MAX];

	if (taken == put)
		return false;
	*tag = r->tag;
	*ok = move(r);
	taken++;
	return true;
}

const struct disk_driver disk_pio = {"pio", open, sectors, add, kick, take, NULL, true};
