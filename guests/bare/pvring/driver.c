/* SPDX-License-Identifier: Apache-2.0 */
/* The driver: discovery, the event's upcall, and the way of a request. */
#include "driver.h"

#include "apic.h"
#include "page.h"
#include "trap.h"

#define DISKS 8
#define RING_PAGES 4
#define PATIENCE 50000000U

static struct socle_event_page *page;
static struct disk *disks[SOCLE_EVENTS]; /* by event */
volatile u32 event_upcalls[SOCLE_EVENTS];

static void upcall(struct regs *r)
{
	unsigned n;

	(void)r;
	apic_eoi();
	socle_event_begin(page, 0);
	while ((n = socle_event_next(page)) != 0) {
		event_upcalls[n]++;
		if (disks[n])
			disks[n]->upcalls++;
	}
}

bool events_begin(void)
{
	if (page)
		return true;
	apic_init(false);
	trap_handler(UPCALL_VECTOR, upcall);
	page = mem_alloc(1);
	return expect_eq((u64)hypercall(SOCLE_CALL_EVENT_SETUP, (u64)page, UPCALL_VECTOR), 0, "event setup");
}

static bool can_ring(void)
{
	return hypercall_present() && cpuid(SOCLE_CPUID_VERSION, 0).ebx & SOCLE_FEATURE_RING;
}

bool device_find(const char *name, u32 *number, struct socle_device *info)
{
	static struct socle_device found __attribute__((aligned(64)));

	for (u32 n = 0; can_ring() && hypercall(SOCLE_CALL_DEVICE_QUERY, n, (u64)&found) == 0; n++)
		if (strcmp(found.name, name) == 0) {
			*number = n;
			*info = found;
			return true;
		}
	test_skip("no such device behind a Socle ring");
	return false;
}

bool disk_find(struct disk *d, const char *name)
{
	return device_find(name, &d->number, &d->info) &&
	       expect_eq(d->info.kind, SOCLE_DEVICE_DISK, "kind") && events_begin();
}

i64 disk_open(struct disk *d, u32 size, u64 offset)
{
	static u8 *memory[DISKS];
	i64 rc;

	if (!memory[d->number])
		memory[d->number] = mem_alloc(RING_PAGES);
	memset(memory[d->number], 0, RING_PAGES * PAGE_SIZE);
	d->ring = (struct socle_ring *)(memory[d->number] + offset);
	d->size = size;
	d->upcalls = 0;
	d->doorbells = 0;
	d->event = (u64)hypercall(SOCLE_CALL_EVENT_ALLOC, SOCLE_SELF, 0);
	disks[d->event % SOCLE_EVENTS] = d;
	rc = hypercall5(SOCLE_CALL_RING_OPEN, d->number, 0, (u64)d->ring, size, d->event);
	if (rc == 0)
		socle_driver_init(&d->driver, d->ring, size);
	return rc;
}

void disk_close(struct disk *d)
{
	i64 rc;

	for (unsigned i = 0; (rc = hypercall(SOCLE_CALL_RING_CLOSE, d->number, 0)) == SOCLE_EAGAIN; i++)
		if (i == PATIENCE)
			break;
	expect_eq((u64)rc, 0, "close");
	expect_eq((u64)hypercall(SOCLE_CALL_EVENT_CLOSE, d->event, 0), 0, "close of the event");
	disks[d->event % SOCLE_EVENTS] = NULL;
}

int disk_put(struct disk *d, u8 op, u8 flags, u64 sector, u32 length, const void *data)
{
	const struct socle_request r = {
	    .operation = op, .flags = flags, .length = length, .address = (u64)data, .sector = sector};

	return socle_driver_put(&d->driver, &r);
}

void disk_push(struct disk *d)
{
	if (!socle_driver_push(&d->driver))
		return;
	d->doorbells++;
	expect_eq((u64)hypercall(SOCLE_CALL_RING_DOORBELL, d->number, 0), 0, "doorbell");
}

/* HLT with the event to come: a notification that is lost ends here. */
void disk_wait(struct disk *d, u32 n)
{
	while (!socle_driver_arm(&d->driver, n))
		__asm__ volatile("sti; hlt; cli" ::: "memory");
	irq_window();
}

int disk_do(struct disk *d, u8 op, u8 flags, u64 sector, u32 length, const void *data)
{
	struct socle_response r = {.status = 1};
	int id = disk_put(d, op, flags, sector, length, data);

	disk_push(d);
	disk_wait(d, 1);
	if (!expect(socle_driver_get(&d->driver, &r), "a response"))
		return 1;
	expect_eq(r.id, (u64)id, "id");
	return r.status;
}
