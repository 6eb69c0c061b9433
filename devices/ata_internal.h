/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the IDE controller share. A channel is one command at a time, so there is one lock, one
 * request and one buffer for each channel. Every function here that takes a channel wants its lock held,
 * unless it says otherwise. */
#pragma once

#include "ata.h"
#include "block.h"
#include "gmem.h"
#include "later.h"
#include "pci.h"
#include "spinlock.h"

#define ATA_CHANNELS 2
#define ATA_DRIVES 2 /* of a channel */
#define ATA_GSI 14   /* of the first channel, and of the second the next */

/* Of the command block (ATA/ATAPI-6, 7). */
enum ata_register {
	ATA_DATA,
	ATA_FEATURES, /* read: error */
	ATA_COUNT,
	ATA_LBA_LOW,
	ATA_LBA_MID,
	ATA_LBA_HIGH,
	ATA_DEVICE,
	ATA_COMMAND, /* read: status */
	ATA_REGISTERS
};

#define ATA_BSY 0x80u
#define ATA_DRDY 0x40u
#define ATA_DF 0x20u
#define ATA_DSC 0x10u /* "seek complete", command dependent by now; drivers of old look for it */
#define ATA_DRQ 0x08u
#define ATA_ERR 0x01u
#define ATA_IDLE (ATA_DRDY | ATA_DSC)

#define ATA_UNC 0x40u
#define ATA_IDNF 0x10u
#define ATA_ABRT 0x04u
#define ATA_PASSED 0x01u /* diagnostic code */

#define ATA_DEV_LBA 0x40u
#define ATA_DEV_1 0x10u
#define ATA_DEV_ONES 0xa0u

#define ATA_HOB 0x80u /* of the device control register */
#define ATA_SRST 0x04u
#define ATA_NIEN 0x02u

/* Bus master registers. */
#define BM_START 0x01u
#define BM_TO_MEMORY 0x08u
#define BM_ACTIVE 0x01u
#define BM_ERROR 0x02u
#define BM_INTERRUPT 0x04u
#define BM_CAPABLE 0x60u /* drives 0 and 1 do DMA: set by firmware, for drivers */

#define ATA_MULTIPLE 16u /* sectors of a DRQ block, at most */
#define ATA_BUFFER (ATA_MULTIPLE * BLOCK_SECTOR)
/* Each piece of memory has at least 2 bytes, so that a sector has at most 256; and 1 MiB of single pages, not
 * aligned, fits. */
#define ATA_SEGMENTS 512u
#define ATA_TURN 2048u /* sectors at one go; the rest is put off, so that others run */

enum ata_power { ATA_ACTIVE, ATA_STANDBY, ATA_ASLEEP };

struct ata_drive {
	struct block *disk; /* NULL: there is none */
	const char *id;
	u64 sectors;
	bool dma;
	u8 status, error;
	bool intrq;  /* it would interrupt, if it is selected and may */
	bool cache;  /* write cache on */
	bool ahead;  /* read look-ahead on; it makes no difference */
	u8 multiple; /* sectors of a block, 0: READ and WRITE MULTIPLE are off */
	u8 mode;     /* of DMA, as SET FEATURES has it; 0: none */
	enum ata_power power;
	u64 commands, interrupts, accesses, copied; /* since power-on; read without the lock */
	u32 cylinders, heads, track;                /* CHS translation; track: sectors of one */
};

/* What the selected drive is doing. */
enum ata_state { ATA_NOTHING, ATA_PIO_IN, ATA_PIO_OUT, ATA_DMA, ATA_VERIFY, ATA_FLUSH };

struct ata_channel {
	struct spinlock lock;
	struct ata *ata;
	unsigned number;
	struct ata_drive drive[ATA_DRIVES];
	struct ata_drive *selected;
	u8 reg[ATA_REGISTERS], hob[ATA_REGISTERS]; /* as written last and before, up to ATA_DEVICE */
	u8 control;
	bool decoded; /* the guest has switched its ports on */
	bool line;    /* of its interrupt */

	/* The command that goes on. */
	enum ata_state state;
	bool write, ext;
	u64 sector;             /* the next to be moved */
	u32 left;               /* sectors from there on */
	u32 block;              /* sectors of a DRQ block */
	u32 at, end, block_end; /* bytes of the buffer: moved, there are, up to where DRQ stays */

	/* The request: ready, then with the disk, then answered. */
	bool ready, in_flight, answered;
	bool pumping;   /* somebody submits, and looks at the answer */
	bool abandoned; /* a reset came while it was with the disk */
	enum block_status answer;
	struct block_request request;
	struct later later; /* goes on where a turn ended */

	/* The bus master. */
	u8 bm_command, bm_status;
	u32 bm_table;  /* as written */
	u32 prd;       /* the entry to be fetched next */
	u32 prds_left; /* of the table, which ends where 64 KiB do */
	u64 prd_base;  /* what is left of the entry fetched last */
	u32 prd_bytes;
	bool prd_end;   /* that was the last one */
	bool shared;    /* the last one of the request has its pin in common with the one behind it */
	bool starved;   /* no page could be pinned: later */
	bool restarted; /* while the disk has the request */
	u32 nr, used;   /* segments: gathered; of them in the request */
	u32 bytes;      /* gathered */
	struct gmem_tlb tlb;
	struct piece segments[ATA_SEGMENTS + 1];
	u8 buffer[ATA_BUFFER];
};

struct ata {
	struct guest *guest;
	struct gmem *mem;
	struct irq_router *irq;
	struct pci_function bridge, function;
	struct io_region bm_region;
	struct ata_channel channel[ATA_CHANNELS];
};

/* There is something for ata_run(). */
static inline bool ata_is_pending(const struct ata_channel *c)
{
	return c->ready || c->starved;
}

/* ---- ata_channel.c: ends of commands, interrupt, reset, and the way to the disk and back ---- */
/* Ends the command: well, or with an error and the address where. */
void ata_done(struct ata_channel *c);
void ata_fail(struct ata_channel *c, u8 error);
void ata_fail_at(struct ata_channel *c, u8 error, u64 sector);
void ata_interrupt(struct ata_channel *c);
/* After the selected drive, its intrq or nIEN has changed. */
void ata_line_update(struct ata_channel *c);
/* The registers after a reset, for both drives. */
void ata_signature(struct ata_channel *c);
/* The next sectors of the command are asked for; ata_run() does it. */
void ata_request(struct ata_channel *c, enum block_op op, u32 sectors, const struct piece *segments,
		 u32 nr_segments);
/* The command is given up; a request that is with the disk comes back to nothing. */
void ata_drop(struct ata_channel *c);
/* Without the lock, after anything that may have made a request ready. */
void ata_run(struct ata_channel *c);
/* No vCPU runs: whatever went on has ended. Without the lock. */
void ata_channel_stop(struct ata_channel *c);
void ata_channel_init(struct ata_channel *c, struct ata *ata, unsigned number, struct sched_group *group);
/* As after power-on. Without the lock. */
void ata_channel_reset(struct ata_channel *c);

/* ---- ata_ports.c: command block, control block. opaque: the channel ---- */
u64 ata_port_read(void *opaque, u64 offset, unsigned size);
void ata_port_write(void *opaque, u64 offset, unsigned size, u64 value);
u32 ata_port_string(void *opaque, u64 offset, unsigned size, bool in, u8 *buf, u32 count);
u64 ata_control_read(void *opaque, u64 offset, unsigned size);
void ata_control_write(void *opaque, u64 offset, unsigned size, u64 value);

/* ---- ata_command.c ---- */
void ata_command(struct ata_channel *c, u8 command);
/* ata_identify.c: the 512 bytes of IDENTIFY DEVICE. */
void ata_identify(const struct ata_channel *c, u8 *to);
void ata_drive_reset(struct ata_drive *d);
void ata_drive_translate(struct ata_drive *d, u32 heads, u32 track);

/* ---- ata_pio.c ---- */
void ata_pio_in(struct ata_channel *c);
void ata_pio_out(struct ata_channel *c);
void ata_pio_identify(struct ata_channel *c);
void ata_verify(struct ata_channel *c);
/* The disk has answered well. */
void ata_pio_answered(struct ata_channel *c);
u32 ata_pio_move(struct ata_channel *c, bool in, u8 *buf, u32 bytes);

/* ---- ata_dma.c ---- */
void ata_dma_begin(struct ata_channel *c);
void ata_dma_go(struct ata_channel *c); /* if everything is there */
/* The disk has answered. */
void ata_dma_answered(struct ata_channel *c, bool well);
/* The segments are given back. */
void ata_dma_forget(struct ata_channel *c);
/* opaque: struct ata. */
u64 ata_bm_read(void *opaque, u64 offset, unsigned size);
void ata_bm_write(void *opaque, u64 offset, unsigned size, u64 value);
