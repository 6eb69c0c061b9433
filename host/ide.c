/* SPDX-License-Identifier: Apache-2.0 */
/* Owns what happens on an IDE channel: commands, interrupts, time-outs, resets. See ide.h. */
#include "ide.h"

#include "host.h"
#include "log.h"
#include "x86_ops.h"

#define SECOND 1000000000u                /* nanoseconds */
#define TRANSFER_NS ((u64)15 * SECOND)    /* a disk that has to spin up first needs ten */
#define FLUSH_NS ((u64)60 * SECOND)       /* ATA-6, 8.12: may take longer than 30 s */
#define RESET_NS ((u64)31 * SECOND)       /* 9.2: a drive is ready after that, or dead */
#define RESET_WAIT_NS (2 * SECOND / 1000) /* before the status means anything */
#define SELECT_READS 5                    /* of a port, 100 ns or more each: 400 ns in all */
#define SRST_READS 100                    /* 5 us */
#define REPORTS 16                        /* lines of a channel; then it fails in silence */

/* Of a request on its way. */
#define DRIVE(r) ((struct ide_drive *)(r)->private[0])
#define STATUS(r) ((r)->private[1])

static void (*on_busy)(void);
static void (*bill)(void *payer, u64 ticks);

void ide_set_busy(void (*fn)(void))
{
	on_busy = fn;
}

void ide_set_bill(void (*fn)(void *payer, u64 ticks))
{
	bill = fn;
}

/* With the lock: the request is over, and told so by tell() when the lock is free. */
static void finish(struct list *over, struct block_request *r, enum block_status status)
{
	STATUS(r) = status;
	list_insert(over, &r->link);
}

static void tell(struct list *over)
{
	while (!list_empty(over)) {
		struct block_request *r = list_entry(over->next, struct block_request, link);

		list_remove(&r->link);
		r->complete(r, (enum block_status)STATUS(r));
	}
}

static void report(struct ide_channel *c, const struct block_request *r, const char *what, u8 status,
		   u8 error)
{
	if (c->reported++ < REPORTS)
		log_error("%s: %s: sector %lu, %u sectors, status %#x, error %#x", DRIVE(r)->name, what,
			  r->sector + c->done, c->sectors, status, error);
}

/* ---- commands ---- */

static void wait_reads(struct ide_channel *c, unsigned reads)
{
	while (reads--)
		(void)inb(c->control);
}

static void write_address(struct ide_channel *c, u64 lba, u32 count)
{
	outb(c->command + IDE_COUNT, (u8)count);
	outb(c->command + IDE_LBA_LOW, (u8)lba);
	outb(c->command + IDE_LBA_MID, (u8)(lba >> 8));
	outb(c->command + IDE_LBA_HIGH, (u8)(lba >> 16));
}

/* ATA-6, 6.2: of the 48-bit form the upper bytes go first into the same registers. False: the drive does not
 * take commands. */
static bool command(struct ide_channel *c, const struct ide_drive *d, u8 code, u64 lba, u32 count, bool ext)
{
	outb(c->command + IDE_DEVICE, (u8)(IDE_DEVICE_LBA | d->select | (ext ? 0 : lba >> 24 & 0xf)));
	if (c->selected != d->select)
		wait_reads(c, SELECT_READS);
	c->selected = d->select;
	if (inb(c->control) & (IDE_STATUS_BSY | IDE_STATUS_DRQ))
		return false;
	if (ext)
		write_address(c, lba >> 24, count >> 8);
	write_address(c, lba, count);
	outb(c->command + IDE_STATUS, code);
	return true;
}

static bool send_flush(struct ide_channel *c, const struct ide_drive *d)
{
	c->dma = false;
	c->sectors = 0;
	c->deadline = tsc_now() + ns_to_tsc(FLUSH_NS);
	return command(c, d, d->flush_ext ? IDE_FLUSH_EXT : IDE_FLUSH, 0, 0, false);
}

static bool send_transfer(struct ide_channel *c, const struct ide_drive *d, const struct block_request *r)
{
	u64 lba = r->sector + c->done;
	u32 bytes;
	bool read = r->op == BLOCK_READ, ext;
	u8 direction = read ? IDE_BM_TO_MEMORY : 0;

	c->sectors = MIN(r->count - c->done, IDE_COMMAND_SECTORS);
	ext = d->lba48 && lba + c->sectors > BIT(28);
	bytes = c->sectors * BLOCK_SECTOR;
	c->dma = true;
	c->bounced = r->op == BLOCK_WRITE_ZEROES || !ide_describe(c, r, bytes);
	if (c->bounced)
		ide_describe_bounce(c, r, bytes);
	outl(c->master + IDE_BM_TABLE, c->table_address);
	outb(c->master + IDE_BM_COMMAND, direction);
	c->deadline = tsc_now() + ns_to_tsc(TRANSFER_NS);
	if (!command(c, d,
		     read  ? ext ? IDE_READ_DMA_EXT : IDE_READ_DMA
		     : ext ? IDE_WRITE_DMA_EXT
			   : IDE_WRITE_DMA,
		     lba, c->sectors, ext))
		return false;
	outb(c->master + IDE_BM_COMMAND, direction | IDE_BM_START);
	return true;
}

static void reset(struct ide_channel *c)
{
	outb(c->master + IDE_BM_COMMAND, 0);
	outb(c->control, IDE_CONTROL_SRST);
	wait_reads(c, SRST_READS);
	outb(c->control, 0);
	c->selected = 0;
	c->state = IDE_RESET;
	c->not_before = tsc_now() + ns_to_tsc(RESET_WAIT_NS);
	c->deadline = tsc_now() + ns_to_tsc(RESET_NS);
}

static void fail_current(struct ide_channel *c, const char *why, struct list *over)
{
	report(c, c->current, why, inb(c->control), 0);
	finish(over, c->current, BLOCK_IOERR);
	c->current = NULL;
	reset(c);
}

static void send(struct ide_channel *c, struct list *over)
{
	struct block_request *r = c->current;

	c->state = IDE_BUSY;
	outb(c->master + IDE_BM_STATUS, /* writing ones clears the last two */
	     (u8)((inb(c->master + IDE_BM_STATUS) & IDE_BM_KEEP) | IDE_BM_ERROR | IDE_BM_INTERRUPT));
	if (!(r->op == BLOCK_FLUSH ? send_flush(c, DRIVE(r)) : send_transfer(c, DRIVE(r), r)))
		fail_current(c, "takes no commands, reset", over);
}

/* The next request, where the channel is free. */
static void go_on(struct ide_channel *c, struct list *over)
{
	if (c->state != IDE_READY || list_empty(&c->waiting))
		return;
	c->current = list_entry(c->waiting.next, struct block_request, link);
	list_remove(&c->current->link);
	c->done = 0;
	c->at = (struct ide_cursor){0, 0};
	send(c, over);
}

void ide_submit(struct block *b, struct block_request *r)
{
	struct ide_drive *d = container_of(b, struct ide_drive, block);
	struct ide_channel *c = d->channel;
	struct list over;

	/* What a discarded sector reads is not promised: it may stay. A drive without a flush command has no
	 * cache. */
	if (r->op == BLOCK_DISCARD || (r->op == BLOCK_FLUSH && !d->flush)) {
		r->complete(r, BLOCK_OK);
		return;
	}
	list_init(&over);
	r->private[0] = (u64)d;
	spin_lock(&c->lock);
	if (c->state == IDE_DEAD)
		finish(&over, r, BLOCK_IOERR);
	else
		list_insert(&c->waiting, &r->link);
	go_on(c, &over);
	spin_unlock(&c->lock);
	tell(&over);
	if (on_busy)
		on_busy();
}

/* ---- answers ---- */

static void command_over(struct ide_channel *c, struct list *over)
{
	struct block_request *r = c->current;

	if (c->bounced && c->dma && r->op != BLOCK_WRITE_ZEROES)
		r->copied += c->sectors * BLOCK_SECTOR;
	if (c->bounced && c->dma && r->op == BLOCK_READ)
		ide_copy_back(c, r, c->sectors * BLOCK_SECTOR);
	c->done += c->sectors;
	c->at = c->next;
	if (c->done < r->count) {
		send(c, over);
		return;
	}
	finish(over, r, BLOCK_OK);
	c->current = NULL;
	c->state = IDE_READY;
}

/* The interrupt's bit is set whatever the command; of a transfer it comes when all data is in memory. */
static bool answered(const struct ide_channel *c)
{
	return c->state == IDE_BUSY && inb(c->master + IDE_BM_STATUS) & IDE_BM_INTERRUPT;
}

static void answer(struct ide_channel *c, struct list *over)
{
	u8 master = inb(c->master + IDE_BM_STATUS), status;

	if (c->dma)
		outb(c->master + IDE_BM_COMMAND, 0);
	status = inb(c->command + IDE_STATUS); /* the drive takes its interrupt back */
	if (status & (IDE_STATUS_BSY | IDE_STATUS_DRQ)) {
		fail_current(c, "is not done when it says so, reset", over);
	} else if (c->dma && master & IDE_BM_ERROR) {
		fail_current(c, "DMA failed, reset", over);
	} else if (status & (IDE_STATUS_ERR | IDE_STATUS_DF)) {
		report(c, c->current, "command failed", status, inb(c->command + IDE_ERROR));
		finish(over, c->current, BLOCK_IOERR);
		c->current = NULL;
		c->state = IDE_READY;
	} else {
		command_over(c, over);
	}
}

void ide_interrupt(void *opaque)
{
	struct ide_channel *c = opaque;
	u64 begun = tsc_now();
	void *payer = NULL;
	struct list over;
	bool ours;

	list_init(&over);
	spin_lock(&c->lock);
	ours = answered(c);
	if (ours) {
		payer = c->current->payer;
		answer(c, &over);
		go_on(c, &over);
	}
	spin_unlock(&c->lock);
	tell(&over);
	if (ours && bill)
		bill(payer, tsc_now() - begun);
}

/* ---- when nothing comes ---- */

static void die(struct ide_channel *c, struct list *over)
{
	log_error("%s: does not come back from a reset: given up", c->index ? "hdc and hdd" : "hda and hdb");
	c->state = IDE_DEAD;
	while (!list_empty(&c->waiting)) {
		struct block_request *r = list_entry(c->waiting.next, struct block_request, link);

		list_remove(&r->link);
		finish(over, r, BLOCK_IOERR);
	}
}

static void check_reset(struct ide_channel *c, u64 now, struct list *over)
{
	if (now < c->not_before)
		return;
	if (!(inb(c->control) & IDE_STATUS_BSY))
		c->state = IDE_READY;
	else if (now >= c->deadline)
		die(c, over);
}

bool ide_is_busy(struct ide_channel *c)
{
	bool busy;

	spin_lock(&c->lock);
	busy = c->state == IDE_BUSY || c->state == IDE_RESET;
	spin_unlock(&c->lock);
	return busy;
}

bool ide_check(struct ide_channel *c)
{
	u64 now = tsc_now();
	struct list over;
	bool busy;

	list_init(&over);
	spin_lock(&c->lock);
	if (answered(c)) /* its interrupt was lost */
		answer(c, &over);
	else if (c->state == IDE_BUSY && now >= c->deadline)
		fail_current(c, "does not answer, reset", &over);
	else if (c->state == IDE_RESET)
		check_reset(c, now, &over);
	go_on(c, &over);
	busy = c->state == IDE_BUSY || c->state == IDE_RESET;
	spin_unlock(&c->lock);
	tell(&over);
	return busy;
}
