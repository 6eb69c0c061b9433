/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, events and rings by calls to Socle. */
#include "rings.h"
#include "hyper.h"
#include "interrupts.h"
#include "page.h"
#include <socle/event.h>

static struct socle_event_page *events;

bool rings_find(u32 kind, u32 length, u32 *number, struct socle_device *info)
{
	static struct socle_device found __attribute__((aligned(64)));

	if (!hypercall_present())
		return false;
	for (*number = 0; hypercall(SOCLE_CALL_DEVICE_QUERY, *number, (u64)&found) == 0; (*number)++)
		if (found.kind == kind && found.max_length >= length) {
			*info = found;
			return true;
		}
	return false;
}

u64 rings_event(u8 vector)
{
	i64 event;

	interrupts_on(vector);
	events = mem_alloc(1);
	if (!events || hypercall(SOCLE_CALL_EVENT_SETUP, (u64)events, vector))
		return 0;
	event = hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0);
	return event > 0 ? (u64)event : 0;
}

void rings_events_take(void)
{
	socle_event_begin(events, 0);
	while (socle_event_next(events))
		;
}

bool rings_open(u32 number, u32 which, u32 size, u64 event, struct socle_driver *d)
{
	u64 bytes = sizeof(struct socle_ring) + size * sizeof(struct socle_request);
	struct socle_ring *ring = mem_alloc((bytes + PAGE_SIZE - 1) / PAGE_SIZE);

	if (!ring || hypercall5(SOCLE_CALL_RING_OPEN, number, which, (u64)ring, size, event))
		return false;
	socle_driver_init(d, ring, size);
	return true;
}
