/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for a disk behind a Socle ring, from include/socle/ alone: told by VMCALL and an event, or, where
 * a CPU of Socle's polls the ring, by neither. */
#include <socle/event.h>
#include <socle/ring.h>

#include "disk.h"
#include "hyper.h"
#include "page.h"

#define VECTOR 0x70
#define SIZE 64u /* slots */
#define RING_PAGES 1

static struct {
	struct socle_device info;
	u32 number;
	struct socle_event_page *events;
	struct socle_driver driver;
	u8 tag_of[SIZE]; /* by id */
} d;

static i64 call5(u64 nr, u64 a, u64 b, u64 c, u64 e, u64 f)
{
	register u64 r10 __asm__("r10") = e;
	register u64 r8 __asm__("r8") = f;
	i64 result;

	__asm__ volatile("vmcall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "memory");
	return result;
}

static bool find(void)
{
	static struct socle_device found __attribute__((aligned(64)));

	for (d.number = 0; hypercall(SOCLE_CALL_DEVICE_QUERY, d.number, (u64)&found) == 0; d.number++)
		if (found.kind == SOCLE_DEVICE_DISK && found.max_length >= DISK_BYTES_MAX) {
			d.info = found;
			return true;
		}
	return false;
}

/* event 0: none. */
static bool open_ring(u64 event)
{
	struct socle_ring *ring = mem_alloc(RING_PAGES);

	if (!ring || call5(SOCLE_CALL_RING_OPEN, d.number, 0, (u64)ring, SIZE, event))
		return false;
	socle_driver_init(&d.driver, ring, SIZE);
	return true;
}

static bool open_told(void)
{
	i64 event;

	if (!hypercall_present() || !find())
		return false;
	disk_interrupts_on(VECTOR);
	d.events = mem_alloc(1);
	if (!d.events || hypercall(SOCLE_CALL_EVENT_SETUP, (u64)d.events, VECTOR))
		return false;
	event = hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0);
	return event > 0 && open_ring((u64)event);
}

static bool open_polled(void)
{
	return hypercall_present() && find() && open_ring(0);
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
	socle_event_begin(d.events, 0);
	while (socle_event_next(d.events))
		;
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
