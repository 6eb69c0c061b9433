/* SPDX-License-Identifier: Apache-2.0 */
/* An IDE controller on a board, in front of RAM disks that hold requests back where they are told to, and the
 * little that a driver does: registers, commands, data, tables for the bus master. Defines functions, so one
 * file of a program includes it. */
#pragma once

#include "block.h"
#include "devices/ata.h"
#include "devices/pci.h"

#define BOARD_DEVFN PCI_DEVFN(ATA_SLOT, 1)
#include "virtio_board.h"

#ifndef SECTORS
#define SECTORS 4096u
#endif
#define PRDS 0x20000ull
#define DATA 0x30000ull

#define CMD 0x1f0u
#define CTL 0x3f6u
#define BM 0xc000u
enum { BSY = 0x80, DRDY = 0x40, DSC = 0x10, DRQ = 0x08, ERR = 0x01, IDLE = DRDY | DSC };
enum { UNC = 0x40, IDNF = 0x10, ABRT = 0x04 };

static struct ata *ata;
static struct disk {
	struct block block;
	struct block_ram ram;
	u8 media[SECTORS * 512];
	u64 bad; /* this sector fails; ~0: none */
} disks[ATA_DISKS];
static struct block_request *held[8];
static struct disk *held_by[8];
static unsigned nr_held, submits, flushes;
static u32 seen_flags, most_segments;
static bool hold;

static inline void disk_serve(struct disk *d, struct block_request *r)
{
	if (r->op != BLOCK_FLUSH && d->bad - r->sector < r->count)
		r->complete(r, BLOCK_IOERR);
	else
		d->ram.block.submit(&d->ram.block, r);
}

/* What arrives is as the contract has it. */
static inline void disk_submit(struct block *b, struct block_request *r)
{
	struct disk *d = container_of(b, struct disk, block);
	u64 sum = 0;

	for (u32 i = 0; i < r->nr_segments; i++) {
		MUST(r->segments[i].length);
		sum += r->segments[i].length;
	}
	MUST(r->op <= BLOCK_FLUSH && sum == r->count * 512ull);
	MUST(r->op == BLOCK_FLUSH || (r->count && r->sector + r->count <= SECTORS));
	for (unsigned i = 0; i < nr_held; i++)
		MUST(held[i] != r);
	submits++;
	flushes += r->op == BLOCK_FLUSH;
	seen_flags = r->flags;
	most_segments = MAX(most_segments, r->nr_segments);
	if (hold) {
		MUST(nr_held < ARRAY_SIZE(held));
		held[nr_held] = r;
		held_by[nr_held++] = d;
	} else {
		disk_serve(d, r);
	}
}

static inline void let_go(unsigned i)
{
	struct block_request *r = held[i];
	struct disk *d = held_by[i];

	nr_held--;
	held[i] = held[nr_held];
	held_by[i] = held_by[nr_held];
	disk_serve(d, r);
}

/* As power-on leaves it, one function of the bus beside another; then as a BIOS does. */
static inline void create(unsigned n, u32 flags, unsigned pio)
{
	struct ata_setup setup = {.nr_disks = n};

	shim_tsc = 1000;
	hold = false;
	nr_held = submits = flushes = seen_flags = most_segments = 0;
	board_init();
	for (unsigned i = 0; i < n; i++) {
		struct disk *d = &disks[i];
		for (u32 k = 0; k < sizeof(d->media); k++)
			d->media[k] = (u8)(i * 50 + k / 512 * 7 + k % 512);
		block_ram_init(&d->ram, d->media, sizeof(d->media), flags & BLOCK_READ_ONLY);
		d->block = (struct block){.submit = disk_submit, .sectors = SECTORS, .flags = flags};
		d->bad = ~0ull;
		setup.disks[i] = (struct ata_disk){&d->block, "disk1", !(pio >> i & 1)};
	}
	ata = ata_create(BOARD_GUEST, &board.bus, &board.router, &setup);
	MUST(ata);
	pci_assign(&board.bus);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	ata_bios_state(ata);
}

static inline void destroy(void)
{
	hold = false;
	while (nr_held)
		let_go(0);
	ata_destroy(ata);
	board_fini();
	MUST(fake_timers_armed() == 0 && shim_pages_in_use == 0);
}

/* ---- ports ---- */
static inline u8 inb(u64 port)
{
	return (u8)board_read(true, port, 1);
}

static inline void outb(u64 port, u8 value)
{
	board_write(true, port, 1, value);
}

/* As vcpu/ does REP INS and OUTS: what the device does not take in one piece goes one by one. */
static inline void string_io(unsigned size, bool in, u8 *buf, u32 count)
{
	const struct io_region *r = board_find(true, CMD);
	io_string_fn fn = board.string[r - board_io.port];

	for (u32 n; count; count -= n, buf += n * size) {
		n = fn(r->opaque, 0, size, in, buf, count);
		MUST(n <= count);
		if (n)
			continue;
		u64 value = 0;
		if (in)
			value = board_read(true, CMD, size);
		else
			memcpy(&value, buf, size);
		if (in)
			memcpy(buf, &value, size);
		else
			board_write(true, CMD, size, value);
		n = 1;
	}
}

/* ---- commands ---- */
static inline u8 status_of(void)
{
	return inb(CTL);
}

static inline void registers(u8 device, u64 lba, u32 count)
{
	outb(CMD + 6, (u8)(device | 0x40 | (lba >> 24 & 0xf)));
	outb(CMD + 2, (u8)count);
	for (unsigned i = 0; i < 3; i++)
		outb(CMD + 3 + i, (u8)(lba >> (8 * i)));
}

static inline void registers48(u8 device, u64 lba, u32 count)
{
	outb(CMD + 6, device | 0x40);
	outb(CMD + 2, (u8)(count >> 8));
	for (unsigned i = 0; i < 3; i++)
		outb(CMD + 3 + i, (u8)(lba >> (8 * i + 24)));
	outb(CMD + 2, (u8)count);
	for (unsigned i = 0; i < 3; i++)
		outb(CMD + 3 + i, (u8)(lba >> (8 * i)));
}

/* A command of 28 bits; the alternate status after it. */
static inline u8 ask(u8 command, u64 lba, u32 count)
{
	registers(0, lba, count);
	outb(CMD + 7, command);
	return status_of();
}

static inline u8 set_features(u8 what, u8 value)
{
	outb(CMD + 1, what);
	return ask(0xef, 0, value);
}

/* ---- the bus master ---- */
static inline void prd(unsigned n, u32 base, u32 bytes, bool last)
{
	set32(PRDS + 8 * n, base);
	set32(PRDS + 8 * n + 4, (bytes & 0xffff) | (u32)last << 31);
}

static inline void bm_start(bool to_memory)
{
	board_write(true, BM + 4, 4, PRDS);
	outb(BM, to_memory ? 8 : 0);
	outb(BM, to_memory ? 9 : 1);
}

/* A command with DMA, to its end where the disk answers at once: the bus master's status. */
static inline u8 dma(u8 command, u64 lba, u32 count)
{
	outb(BM, 0);
	outb(BM + 2, 0x26);
	ask(command, lba, count);
	bm_start((command & 0xfe) == 0xc8);
	return inb(BM + 2);
}
