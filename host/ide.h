/* SPDX-License-Identifier: Apache-2.0 */
/* The two channels of a PCI IDE controller (private to host/): ATA/ATAPI-6 (T13/1410D), "Programming
 * Interface for Bus Master IDE Controller" 1.0, Intel 82371SB (PIIX3) data sheet. */
#pragma once

#include "block.h"
#include "pcibus.h"
#include "spinlock.h"

#define IDE_CHANNELS 2
#define IDE_DRIVES 2 /* of a channel */

/* Of one command: what a drive without 48-bit addresses can do, and the most that Bochs' controller buffers.
 */
#define IDE_COMMAND_SECTORS 256u
#define IDE_BOUNCE_ORDER 5 /* pages; as much as a command moves */
#define IDE_PRDS 512u      /* one page */

/* Physical region descriptor. A region does not cross 64 KiB, its address and length are even. */
struct ide_prd {
	u32 address;
	u16 length; /* bytes, 0: 65536 */
	u16 flags;
};
#define IDE_PRD_END 0x8000u

/* Registers of a drive, from ide_channel.command; status and error are written as command and features. */
#define IDE_DATA 0
#define IDE_ERROR 1
#define IDE_COUNT 2
#define IDE_LBA_LOW 3
#define IDE_LBA_MID 4
#define IDE_LBA_HIGH 5
#define IDE_DEVICE 6
#define IDE_STATUS 7

#define IDE_DEVICE_LBA 0xe0u /* bits 7 and 5: as ATA-3 wanted them */
#define IDE_DEVICE_SLAVE 0x10u

#define IDE_STATUS_ERR 0x01u
#define IDE_STATUS_DRQ 0x08u
#define IDE_STATUS_DF 0x20u /* device fault */
#define IDE_STATUS_DRDY 0x40u
#define IDE_STATUS_BSY 0x80u

#define IDE_CONTROL_NIEN 0x02u /* no interrupts */
#define IDE_CONTROL_SRST 0x04u

/* Of the bus master, from ide_channel.master. */
#define IDE_BM_COMMAND 0
#define IDE_BM_STATUS 2
#define IDE_BM_TABLE 4
#define IDE_BM_START 0x01u
#define IDE_BM_TO_MEMORY 0x08u
#define IDE_BM_ERROR 0x02u
#define IDE_BM_INTERRUPT 0x04u
#define IDE_BM_KEEP 0x60u /* firmware's marks of drives that can do DMA */

enum ide_command {
	IDE_READ_DMA = 0xc8,
	IDE_READ_DMA_EXT = 0x25,
	IDE_WRITE_DMA = 0xca,
	IDE_WRITE_DMA_EXT = 0x35,
	IDE_FLUSH = 0xe7,
	IDE_FLUSH_EXT = 0xea,
	IDE_IDENTIFY = 0xec,
};

struct ide_channel;
struct ide_drive {
	struct block block; /* sectors 0: there is none */
	struct ide_channel *channel;
	u8 select; /* 0 or IDE_DEVICE_SLAVE */
	bool lba48, flush, flush_ext;
	char name[4];   /* hda */
	char model[41]; /* as it calls itself */
};

/* In a request's segments. */
struct ide_cursor {
	u32 segment, offset;
};

enum ide_state {
	IDE_READY, /* no command */
	IDE_BUSY,  /* one is at a drive */
	IDE_RESET, /* the channel was reset, and its drives are not back yet */
	IDE_DEAD,  /* nor will they be */
};

struct ide_channel {
	struct spinlock lock; /* what follows the ports */
	u16 command, control, master;
	unsigned index;
	struct ide_drive drives[IDE_DRIVES];

	enum ide_state state;
	struct list waiting;           /* requests */
	struct block_request *current; /* of which a command is at a drive, else NULL */
	u32 done, sectors;             /* of it: before this command, and in it */
	struct ide_cursor at, next;    /* where this command's data begins, and ends */
	bool dma, bounced;
	u8 selected;       /* value of the device register's slave bit */
	u64 not_before;    /* TSC: of a reset, when the status may be looked at */
	u64 deadline;      /* TSC: of the command, or the reset */
	unsigned reported; /* errors that the log has */

	struct ide_prd *table;
	u8 *bounce;
	u32 table_address, bounce_address;
};

/* ---- ide_prd.c ---- */
/* Describes the next bytes of the request in the channel's table, from at on; moves next behind them. False:
 * the device cannot reach all of them. */
bool ide_describe(struct ide_channel *c, const struct block_request *r, u32 bytes);
/* The same for the bounce buffer; what is to be written is copied there, or zeros. */
void ide_describe_bounce(struct ide_channel *c, const struct block_request *r, u32 bytes);
/* What was read into the bounce buffer, to where it belongs. */
void ide_copy_back(struct ide_channel *c, const struct block_request *r, u32 bytes);

/* ---- ide.c ---- */
/* block.submit of a drive. */
void ide_submit(struct block *b, struct block_request *r);
/* The interrupt handler; opaque is the channel. */
void ide_interrupt(void *opaque);
/* Commands and resets whose time is over. True: requests are there. */
bool ide_check(struct ide_channel *c);
bool ide_is_busy(struct ide_channel *c);
void ide_set_busy(void (*fn)(void));
void ide_set_bill(void (*fn)(void *payer, u64 ticks));

/* ---- ide_probe.c ---- */
/* The channels with at least one drive; ports, drives and memory are set. The drive's interrupts are off. */
void ide_probe_channel(struct ide_channel *c);
/* Finds the controller and starts its channels: interrupts, drives. Once. */
void ide_probe(struct ide_channel channels[IDE_CHANNELS], struct pcibus_function *controller);
