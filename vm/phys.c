/* SPDX-License-Identifier: Apache-2.0 */
#include "phys.h"

#include "host.h"
#include "log.h"

#define CHECK_NS 1000000000u

/* ---- disks that do not answer ---- */
/* What follows from a look completes requests, so it is done without the timer's lock. */
static struct {
	struct spinlock lock;
	struct timer timer;
	struct work look;
	bool ready;
} watch;

static void watch_begins(void)
{
	spin_lock(&watch.lock);
	timer_set(&watch.timer, tsc_now() + ns_to_tsc(CHECK_NS));
	spin_unlock(&watch.lock);
}

static void watch_fired(void *opaque)
{
	(void)opaque;
	work_queue(&watch.look);
}

static void watch_looks(void *opaque)
{
	(void)opaque;
	if (disk_check())
		watch_begins();
}

/* Whose request it was pays, and who was interrupted does not. VMs are freed on the CPU that is interrupted
 * here, so the payer is still there. */
static void bill(void *payer, u64 ticks)
{
	sched_charge(payer, ticks);
}

static void watch_init(void)
{
	if (watch.ready)
		return;
	watch.ready = true;
	work_init(&watch.look, watch_looks, NULL);
	timer_init(&watch.timer, watch_fired, NULL, &watch.lock);
	disk_on_busy(watch_begins);
	disk_on_interrupt(bill);
}

/* ---- what a name means ---- */

static bool is_boot(unsigned unit)
{
	static bool known[DISK_UNITS], boot[DISK_UNITS];

	if (!known[unit]) /* a guest that writes to it does not change that */
		boot[unit] = disk_is_boot(unit, &vm_host.boot->volume);
	known[unit] = true;
	return boot[unit];
}

static int find_partition(struct phys_part *part, unsigned number, const char **why)
{
	int rc = disk_partition(part->disk, number, &part->extent);

	*why = rc == ERR_NOENT   ? "there is no such partition"
	       : rc == ERR_FAULT ? "its partition table cannot be read"
				 : "its partition table is damaged, or there is none";
	return rc;
}

static int find(const struct config_disk *d, struct phys_part *part, const char **why)
{
	const struct config_phys *p = &d->phys;

	part->disk = disk_find(p->unit);
	if (!part->disk) {
		*why = "this machine has no such disk, or no driver for it";
		return ERR_NOENT;
	}
	part->extent = (struct disk_extent){0, part->disk->sectors};
	if (!d->read_only && is_boot(p->unit)) {
		*why = "Socle was started from this disk: expected ro";
		return ERR_EXIST;
	}
	if (p->partition)
		return find_partition(part, p->partition, why);
	if (!p->count)
		return 0;
	if (p->first >= part->disk->sectors || p->count > part->disk->sectors - p->first) {
		*why = "it ends behind the last sector of the disk";
		return ERR_RANGE;
	}
	part->extent = (struct disk_extent){p->first, p->count};
	return 0;
}

int vm_find_phys(const struct vm *vm, unsigned i, struct phys_part *part)
{
	const struct config_disk *d = &vm->config->disks[i];
	const char *why = "";
	int rc;

	watch_init();
	rc = find(d, part, &why);
	if (rc)
		log_error("%s: disk%u: %s: %s", vm->name, i + 1, d->path, why);
	return rc;
}
