/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile guest does with rings: it harms itself, and gets the answer that is written down (M67). */
#include "cpu.h"
#include "driver.h"
#include "page.h"

#define HOLE 0xa0000ULL /* not RAM */

static struct disk one;
static u8 *buffer;

static bool begin(u32 size)
{
	if (!disk_find(&one, "disk1"))
		return false;
	if (!buffer)
		buffer = mem_alloc(4);
	return size == 0 || expect_eq((u64)disk_open(&one, size, 0), 0, "open");
}

static u64 ram_end(void)
{
	u64 start, end;

	mem_free_range(&start, &end);
	return end;
}

void bad_calls_test(void)
{
	static const u64 outside[] = {HOLE, 0xfee00000, 0xe0000000, BIT(47), BIT(63), ~(u64)63};
	u64 own;

	if (!begin(0))
		return;
	for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
		expect_eq((u64)hypercall(SOCLE_CALL_DEVICE_QUERY, 0, outside[i]), (u64)SOCLE_EFAULT, "query");
		expect_eq((u64)hypercall(SOCLE_CALL_MULTI, outside[i], 1), (u64)SOCLE_EFAULT, "multicall");
	}
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, ram_end() - 64, 2), (u64)SOCLE_EFAULT, "end of RAM");
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, ~(u64)63, SOCLE_MULTI_MAX), (u64)SOCLE_EFAULT, "wrap");
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, (u64)buffer, SOCLE_MULTI_MAX + 1), (u64)SOCLE_EINVAL,
		  "too many");
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, (u64)buffer, ~0ULL), (u64)SOCLE_EINVAL, "too many");
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, (u64)buffer + 8, 1), (u64)SOCLE_EINVAL, "alignment");
	expect_eq((u64)hypercall(SOCLE_CALL_DEVICE_QUERY, 0, (u64)buffer + 32), (u64)SOCLE_EINVAL,
		  "alignment");
	/* Rings and devices that are not there, or not open. */
	own = one.number;
	const u64 bad[][2] = {{own, 0}, {own, 1}, {own, ~0ULL}, {99, 0}, {~0ULL, 0}, {BIT(32) + own, 0}};
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_eq((u64)hypercall(SOCLE_CALL_RING_DOORBELL, bad[i][0], bad[i][1]), (u64)SOCLE_ENOENT,
			  "doorbell");
		expect_eq((u64)hypercall(SOCLE_CALL_RING_CLOSE, bad[i][0], bad[i][1]), (u64)SOCLE_ENOENT,
			  "close");
		if (i)
			expect_eq(
			    (u64)hypercall5(SOCLE_CALL_RING_OPEN, bad[i][0], bad[i][1], (u64)buffer, 8, 0),
			    (u64)SOCLE_ENOENT, "open");
	}
}

static i64 open_at(u64 gpa, u64 size, u64 event)
{
	return hypercall5(SOCLE_CALL_RING_OPEN, one.number, 0, gpa, size, event);
}

void bad_rings_test(void)
{
	static const u64 sizes[] = {0, 3, 5, 255, 257, 512, BIT(31), BIT(32), BIT(32) + 8, BIT(63), ~0ULL};
	static const u64 outside[] = {HOLE, 0xfee00000, 0xe0000000, BIT(47)};

	if (!begin(0))
		return;
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_eq((u64)open_at((u64)buffer, sizes[i], 0), (u64)SOCLE_EINVAL, "size");
	for (u32 i = 0; i < ARRAY_SIZE(outside); i++)
		expect_eq((u64)open_at(outside[i], 8, 0), (u64)SOCLE_EFAULT, "outside RAM");
	expect_eq((u64)open_at((u64)buffer + 64, 8, 0), (u64)SOCLE_EINVAL, "alignment");
	expect_eq((u64)open_at(~(u64)127, 8, 0), (u64)SOCLE_EINVAL, "wrap");
	expect_eq((u64)open_at(ram_end() - 128 * 9, 64, 0), (u64)SOCLE_EFAULT, "its last slots");
	expect_eq((u64)open_at(ram_end() - 256, 8, 0), (u64)SOCLE_EFAULT, "beyond the end of RAM");
	expect_eq((u64)open_at(HOLE - 256, 8, 0), (u64)SOCLE_EFAULT, "into the hole");
	expect_eq((u64)open_at((u64)buffer, 8, 200), (u64)SOCLE_EINVAL, "an event that is not in use");
	expect_eq((u64)open_at((u64)buffer, 8, ~0ULL), (u64)SOCLE_EINVAL, "no event");
	expect_eq((u64)open_at((u64)buffer, 8, BIT(32)), (u64)SOCLE_EINVAL, "no event");
	memset(buffer, 0, PAGE_SIZE);
	expect_eq((u64)open_at((u64)buffer, 8, 0), 0, "open");
	expect_eq((u64)open_at((u64)buffer, 8, 0), (u64)SOCLE_EBUSY, "twice");
	expect_eq((u64)hypercall(SOCLE_CALL_RING_CLOSE, one.number, 0), 0, "close");
	expect_eq((u64)hypercall(SOCLE_CALL_RING_CLOSE, one.number, 0), (u64)SOCLE_ENOENT, "twice");
}

static struct socle_request *slot(u32 i)
{
	return socle_ring_slot(one.ring, one.size, i);
}

static void ring_bell(void)
{
	expect_eq((u64)hypercall(SOCLE_CALL_RING_DOORBELL, one.number, 0), 0, "doorbell");
}

/* The guest hears of it, and a ring that is closed and opened anew is as good as new. */
static void expect_broken(u32 why)
{
	u32 answered = one.ring->response_producer;

	irq_window();
	expect_eq(one.ring->broken, why, "broken");
	expect_eq(one.upcalls, 1, "upcalls");
	one.ring->request_producer++;
	ring_bell();
	expect_eq(one.ring->response_producer, answered, "responses of a broken ring");
	disk_close(&one);
	if (begin(8))
		expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer), 0, "a ring that is new");
	disk_close(&one);
}

void bad_indices_test(void)
{
	static const u32 jumps[] = {9, 10, 0x7fffffff, 0x80000000, 0xffffffff};

	for (u32 i = 0; i < ARRAY_SIZE(jumps); i++) {
		if (!begin(8))
			return;
		one.ring->response_event = 0;
		one.ring->request_producer = jumps[i];
		ring_bell();
		expect_broken(SOCLE_RING_BROKEN_PRODUCER);
	}
	/* Back, after requests were done. */
	if (!begin(8))
		return;
	expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer), 0, "read");
	one.upcalls = 0;
	one.ring->request_producer = 0;
	ring_bell();
	expect_broken(SOCLE_RING_BROKEN_PRODUCER);
	/* Ids that are none. */
	static const u32 ids[] = {8, 64, 255, 256, 0x80000000, 0xffffffff};
	for (u32 i = 0; i < ARRAY_SIZE(ids); i++) {
		if (!begin(8))
			return;
		*slot(0) = (struct socle_request){
		    .id = ids[i], .operation = SOCLE_RING_READ, .length = SECTOR, .address = (u64)buffer};
		one.ring->response_event = 0;
		one.ring->request_producer = 1;
		ring_bell();
		expect_broken(SOCLE_RING_BROKEN_ID);
	}
}

static void expect_status(u8 op, u8 flags, u16 segments, u64 address, u32 length, u64 sector, i64 want)
{
	const struct socle_request r = {.operation = op,
					.flags = flags,
					.nr_segments = segments,
					.address = address,
					.length = length,
					.sector = sector};
	struct socle_response answer = {.status = 1};

	socle_driver_put(&one.driver, &r);
	disk_push(&one);
	disk_wait(&one, 1);
	expect(socle_driver_get(&one.driver, &answer), "a response");
	expect(answer.status == want,
	       "operation %u flags %u at 0x%lx, length 0x%x, sector 0x%lx: %d, not %ld", op, flags, address,
	       length, sector, answer.status, want);
	expect_eq(answer.length, want ? 0 : op == SOCLE_RING_READ ? length : 0, "bytes written");
}

void bad_requests_test(void)
{
	static const u64 outside[] = {HOLE, 0xfee00000, 0xe0000000, BIT(47), BIT(63), ~(u64)0xfff};
	const u8 R = SOCLE_RING_READ, W = SOCLE_RING_WRITE, Z = SOCLE_RING_ZERO;
	struct socle_segment *list;
	u64 data;

	if (!begin(8))
		return;
	data = (u64)buffer;
	list = (struct socle_segment *)(buffer + PAGE_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
		expect_status(R, 0, 0, outside[i], SECTOR, 0, SOCLE_EFAULT);
		expect_status(W, 0, 0, outside[i], SECTOR, 0, SOCLE_EFAULT);
		expect_status(R, 0, 2, outside[i], SECTOR, 0, SOCLE_EFAULT);
		list[0] = (struct socle_segment){outside[i], SECTOR, 0};
		expect_status(R, 0, 1, (u64)list, SECTOR, 0, SOCLE_EFAULT);
	}
	expect_status(R, 0, 0, HOLE - 1, SECTOR, 0, SOCLE_EFAULT);
	expect_status(R, 0, 0, ram_end() - 1, SECTOR, 0, SOCLE_EFAULT);
	expect_status(R, 0, 0, data, 0, 0, SOCLE_EINVAL);
	expect_status(R, 0, 0, data, 1, 0, SOCLE_EINVAL);
	expect_status(R, 0, 0, data, 0xffffffff, 0, SOCLE_EINVAL);
	expect_status(R, 0, 0, data, 0xfffffe00, 0, SOCLE_E2BIG);
	expect_status(W, 0, 0, data, SECTOR, one.info.sectors, SOCLE_EINVAL);
	expect_status(W, 0, 0, data, 2 * SECTOR, one.info.sectors - 1, SOCLE_EINVAL);
	expect_status(W, 0, 0, data, SECTOR, ~0ULL, SOCLE_EINVAL);
	expect_status(R, 0x80, 0, data, SECTOR, 0, SOCLE_EINVAL);
	expect_status(R, SOCLE_RING_FUA, 0, data, SECTOR, 0, SOCLE_EINVAL);
	expect_status(0, 0, 0, data, SECTOR, 0, SOCLE_ENOTSUP);
	expect_status(SOCLE_RING_SEND, 0, 0, data, SECTOR, 0, SOCLE_ENOTSUP);
	expect_status(Z, 0, 0, 0, 0xffffffff, 0, SOCLE_E2BIG);
	expect_status(Z, 0, 0, 0, 2, one.info.sectors - 1, SOCLE_EINVAL);
	/* Lists. */
	for (u32 i = 0; i < 3; i++)
		list[i] = (struct socle_segment){data, SECTOR, 0};
	expect_status(R, 0, 3, (u64)list, 3 * SECTOR, 0, 0);
	expect_status(R, 0, 3, (u64)list, 2 * SECTOR, 0, SOCLE_EINVAL);
	expect_status(R, 0, 3, (u64)list, 4 * SECTOR, 0, SOCLE_EINVAL);
	expect_status(R, 0, 3, (u64)list + 8, 3 * SECTOR, 0, SOCLE_EINVAL);
	expect_status(R, 0, 3, (u64)list - 16, 3 * SECTOR, 0, SOCLE_EINVAL);
	expect_status(R, 0, 129, (u64)list, 3 * SECTOR, 0, SOCLE_E2BIG);
	expect_status(R, 0, 0xffff, (u64)list, 3 * SECTOR, 0, SOCLE_E2BIG);
	list[1].length = 0;
	expect_status(R, 0, 3, (u64)list, 2 * SECTOR, 0, SOCLE_EINVAL);
	list[1].length = 0xffffffff;
	expect_status(R, 0, 3, (u64)list, 3 * SECTOR, 0, SOCLE_EINVAL);
	expect_eq((u64)disk_do(&one, R, 0, 0, SECTOR, buffer), 0, "and then");
	disk_close(&one);
	if (!disk_find(&one, "disk3") || !expect_eq((u64)disk_open(&one, 8, 0), 0, "open"))
		return;
	expect_status(W, 0, 0, data, SECTOR, 0, SOCLE_EROFS);
	expect_status(Z, 0, 0, 0, 1, 0, SOCLE_EROFS);
	expect_eq((u64)disk_do(&one, R, 0, 1, SECTOR, buffer), 0, "read");
	disk_close(&one);
}

/* The data goes where the ring is: the guest loses its ring and nothing else. */
void own_ring_test(void)
{
	if (!begin(8))
		return;
	for (u32 i = 0; i < 8; i++)
		disk_put(&one, SOCLE_RING_READ, 0, 1000, SECTOR, one.ring);
	disk_push(&one);
	ring_bell();
	disk_close(&one);
	if (begin(8))
		expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer), 0, "a ring that is new");
	disk_close(&one);
}

/* Closed with requests that Socle has not come to, with some that it has put off, with its event gone; and
 * what was shown is the guest's own again. */
void teardown_test(void)
{
	u8 *large = mem_alloc(256);

	for (u32 round = 0; round < 8; round++) {
		i64 rc;

		if (!begin(64))
			return;
		for (u32 i = 0; i < 40; i++)
			disk_put(&one, SOCLE_RING_READ, i % 20 == 19 ? SOCLE_RING_BARRIER : 0, 0,
				 round & 4 ? 1 << 20 : SECTOR, large);
		if (round & 2)
			disk_push(&one);
		else
			socle_driver_push(&one.driver);
		if (round & 1)
			expect_eq((u64)hypercall(SOCLE_CALL_EVENT_CLOSE, one.event, 0), 0, "event");
		while ((rc = hypercall(SOCLE_CALL_RING_CLOSE, one.number, 0)) == SOCLE_EAGAIN)
			;
		expect_eq((u64)rc, 0, "close");
		if (!(round & 2))
			expect_eq(one.ring->response_producer, 0, "answers without a doorbell");
		memset(one.ring, 0xff, PAGE_SIZE);
		memset(large, (int)round, PAGE_SIZE);
		irq_window();
		expect_eq((u64)hypercall(SOCLE_CALL_RING_DOORBELL, one.number, 0), (u64)SOCLE_ENOENT,
			  "doorbell of a ring that is closed");
		expect_eq(large[7], round, "what is the guest's own again");
		expect_eq(*(u32 *)one.ring, 0xffffffff, "the ring's memory");
		if (!(round & 1))
			expect_eq((u64)hypercall(SOCLE_CALL_EVENT_CLOSE, one.event, 0), 0, "event");
	}
	if (begin(8))
		expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer), 0, "a ring that is new");
	/* It stays open: the VM ends with it. */
}
