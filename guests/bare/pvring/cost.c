/* SPDX-License-Identifier: Apache-2.0 */
/* What a request costs, in instructions (guest and hypervisor) and exits; by polling, so that what is counted
 * is the ring's. On the null disk, which moves no data for writes: what it costs to move them is the disk's.
 * M26. */
#include "counters.h"
#include "cpu.h"
#include "driver.h"
#include "meter.h"
#include "page.h"
#include "print.h"

#define REQUESTS 4096U
#define LARGE ((u64)2 << 20)

static struct disk d;

static u64 go(u32 depth, u8 op, u32 length, u8 *data)
{
	struct socle_response r;
	u64 start = rdtsc();

	for (u32 n = 0; n < REQUESTS; n += depth) {
		for (u32 i = 0; i < depth; i++)
			disk_put(&d, op, 0, i * 8, length, data);
		socle_driver_push(&d.driver);
		hypercall(SOCLE_CALL_RING_DOORBELL, d.number, 0);
		for (u32 i = 0; i < depth; i++)
			while (!socle_driver_get(&d.driver, &r))
				cpu_pause();
	}
	return rdtsc() - start;
}

/* What a doorbell costs that finds nothing, so that it can be told apart. */
static u64 empty_bells(void)
{
	u64 start = rdtsc();

	for (u32 n = 0; n < REQUESTS; n++)
		hypercall(SOCLE_CALL_RING_DOORBELL, d.number, 0);
	return rdtsc() - start;
}

static void row(const char *what, u32 depth, u8 op, u32 length, u8 *data, u64 most)
{
	u64 ticks, metered, per;

	go(depth, op, length, data); /* warm */
	counters_snapshot();
	metered = meter_hypervisor();
	ticks = go(depth, op, length, data);
	metered = meter_hypervisor() - metered;
	counters_stop();
	per = metered / REQUESTS;
	print("cost: %s, %u at once: %lu instructions of the guest, %lu of the hypervisor, and %lu.%02lu "
	      "exits a request\n",
	      what, depth, ticks / REQUESTS - per, per, counters_total() / REQUESTS,
	      counters_total() * 100 / REQUESTS % 100);
	expect(per <= most, "%s at depth %u: %lu instructions, at most %lu", what, depth, per, most);
}

void cost_test(void)
{
	u8 *data;

	if (!counters_available() || !disk_find(&d, "disk2") ||
	    !expect_eq((u64)disk_open(&d, 64, 0), 0, "open"))
		return;
	/* The first MiB is mapped by small pages, nearly all of a larger guest by large ones. */
	data = mem_alloc(LARGE / PAGE_SIZE + 1);
	if (!expect(data, "memory"))
		return;
	data += -(u64)data & (LARGE - 1);
	print("cost: a doorbell for nothing: %lu instructions\n", empty_bells() / REQUESTS);
	row("null write 4096", 1, SOCLE_RING_WRITE, 4096, data, 1000);
	row("null write 4096", 32, SOCLE_RING_WRITE, 4096, data, 300);
	disk_close(&d);
}
