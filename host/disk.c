/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the machine's disks by their names, what is read of them before a guest does, and who watches them. */
#include "disk.h"

#include "host.h"
#include "ide.h"
#include "log.h"
#include "partition.h"
#include "watch.h"

#define CHECK_NS 1000000000u

static struct {
	bool probed;
	bool busy;   /* somebody was told so, or looks; atomic */
	u64 checked; /* TSC of the last time; atomic */
	void (*told)(void);
	struct pcibus_function controller;
	struct ide_channel channels[IDE_CHANNELS];
} disks;

static struct ide_drive *drive_of(unsigned unit)
{
	return &disks.channels[unit / IDE_DRIVES].drives[unit % IDE_DRIVES];
}

/* ---- who looks after them ---- */

static void became_busy(void)
{
	if (__atomic_exchange_n(&disks.busy, true, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&disks.checked, tsc_now(), __ATOMIC_RELAXED);
	if (disks.told)
		disks.told();
}

void disk_on_busy(void (*fn)(void))
{
	disks.told = fn;
}

void disk_on_interrupt(void (*fn)(void *payer, u64 ticks))
{
	ide_set_bill(fn);
}

/* While it looks, the disks are busy: what follows from a completion tells nobody. */
bool disk_check(void)
{
	bool busy = false;

	__atomic_store_n(&disks.checked, tsc_now(), __ATOMIC_RELAXED);
	if (!disks.probed)
		return false;
	for (unsigned i = 0; i < IDE_CHANNELS; i++)
		busy |= ide_check(&disks.channels[i]);
	if (busy)
		return true;
	/* A request that came before this and saw the word set is seen now; a later one tells. */
	__atomic_store_n(&disks.busy, false, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < IDE_CHANNELS; i++)
		busy |= ide_is_busy(&disks.channels[i]);
	if (busy)
		__atomic_store_n(&disks.busy, true, __ATOMIC_SEQ_CST);
	return busy;
}

void disk_poll(void)
{
	if (likely(!__atomic_load_n(&disks.busy, __ATOMIC_RELAXED)))
		return;
	if (tsc_now() - __atomic_load_n(&disks.checked, __ATOMIC_RELAXED) >= ns_to_tsc(CHECK_NS))
		(void)disk_check();
}

/* ---- finding ---- */

struct block *disk_find(unsigned unit)
{
	struct ide_drive *d;

	ASSERT(unit < DISK_UNITS);
	d = drive_of(unit);
	if (!disks.probed) {
		ide_set_busy(became_busy);
		ide_probe(disks.channels, &disks.controller);
		disks.probed = true;
	}
	return d->block.sectors ? &d->block : NULL;
}

/* ---- reading ---- */

struct sector_read {
	struct block_request request;
	struct piece piece;
	bool over; /* atomic */
	enum block_status status;
};

static void read_over(struct block_request *r, enum block_status status)
{
	struct sector_read *s = container_of(r, struct sector_read, request);

	s->status = status;
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
}

/* Ends in any case: a request that the disk does not answer fails in time. */
static bool read_sector(void *opaque, u64 sector, u8 *buf)
{
	struct block *b = opaque;
	struct sector_read s = {
	    .request =
		{.op = BLOCK_READ, .sector = sector, .count = 1, .nr_segments = 1, .complete = read_over},
	    .piece = {buf, BLOCK_SECTOR},
	};

	if (sector >= b->sectors)
		return false;
	s.request.segments = &s.piece;
	list_init(&s.request.link);
	b->submit(b, &s.request);
	while (!__atomic_load_n(&s.over, __ATOMIC_ACQUIRE))
		cpu_poll_interrupts();
	return s.status == BLOCK_OK;
}

int disk_partition(struct block *disk, unsigned number, struct disk_extent *e)
{
	const struct partition_disk d = {read_sector, disk, disk->sectors};

	return partition_find(&d, number, e);
}

bool disk_is_boot(unsigned unit, const struct boot_volume *v)
{
	struct block *b = disk_find(unit);
	const struct partition_disk d = {read_sector, b, b ? b->sectors : 0};

	if (!b)
		return false;
	/* Which bus is behind its bridges the device path does not say. */
	if (v->is_ide && v->pci_device == disks.controller.device &&
	    v->pci_function == disks.controller.function &&
	    (unsigned)v->channel * IDE_DRIVES + v->slave == unit)
		return true;
	return partition_matches(&d, v);
}
