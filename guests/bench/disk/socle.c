/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for a disk behind a Socle ring, from include/socle/ alone: told by VMCALL and an event, or, where
 * a CPU of Socle's polls the ring, by neither. */
#include "../lib/rings.h"
#include "disk.h"
#include "hyper.h"

#define VECTOR 0x70
#define SIZE 64u /* slots */

static struct {
	struct socle_device info;
	u32 number;
	struct socle_driver driver;
	u8 tag_of[SIZE]; /* by id */
} d;

static bool find(void)
{
	return rings_find(SOCLE_DEVICE_DISK, DISK_BYTES_MAX, &d.number, &d.info);
}

static bool open_told(void)
{
	u64 event;

	if (!find())
		return false;
	event = rings_event(VECTOR);
	return event && rings_open(d.number, 0, SIZE, event, &d.driver);
}

static bool open_polled(void)
{
	return find() && rings_open(d.number, 0, SIZE, 0, &d.driver);
}

static u64 sectors(void)
{
	return d.info.sectors;
}

static void add(unsigned tag, bool write, u64 sector, void *data, u32 bytes)
{
	const struct socle_request r = {.operation = write ? SOCLE_RING_WRITE : SOCLE_RING_READ,
					.length = bytes,
					.address = (u64)data,
					.sector = sector};

	d.tag_of[socle_driver_put(&d.driver, &r)] = (u8)tag;
}

static void kick(void)
{
	if (socle_driver_push(&d.driver))
		hypercall(SOCLE_CALL_RING_DOORBELL, d.number, 0);
}

/* The upcall's handler only counts: what it stands for is taken here, before the next is asked for. */
static bool arm(void)
{
	rings_events_take();
	return socle_driver_arm(&d.driver, 1);
}

static bool take(unsigned *tag, bool *ok)
{
	struct socle_response r;

	if (!socle_driver_get(&d.driver, &r))
		return false;
	*tag = d.tag_of[r.id];
	*ok = r.status == 0;
	return true;
}

const struct disk_driver disk_socle = {"socle", open_told, sectors, add, kick, take, arm, false};
const struct disk_driver disk_polled = {"polled", open_polled, sectors, add, kick, take, NULL, true};
