/* SPDX-License-Identifier: Apache-2.0 */
/* Disks behind Socle rings, from the guest's side: every operation, order, thresholds, several calls in one;
 * and a reset with a ring in use. disk1 of the configuration can be written, word i of it is i when the
 * machine is switched on; disk2 is null. M15, M70 to M74, M80, M82, M84. */
#include "cpu.h"
#include "driver.h"
#include "page.h"
#include "print.h"

#define WORDS (SECTOR / 4)
/* Sectors: of the tests, behind what is as it was; and of the mark that says that this is the second life. */
#define FREE 4096U
#define MARK 8191U

static struct disk one, two;
static u32 *buffer; /* 1 MiB */
#define BUFFER_PAGES 256U

static bool begin(u32 size)
{
	if (!disk_find(&one, "disk1"))
		return false;
	if (!buffer)
		buffer = mem_alloc(BUFFER_PAGES);
	return expect_eq((u64)disk_open(&one, size, 0), 0, "open");
}

static void fill(u32 seed, u32 bytes)
{
	for (u32 i = 0; i < bytes / 4; i++)
		buffer[i] = seed + i * 2654435761U;
}

static bool is_filled(u32 seed, u32 bytes)
{
	for (u32 i = 0; i < bytes / 4; i++)
		if (buffer[i] != seed + i * 2654435761U)
			return expect(false, "word %u is 0x%x", i, buffer[i]);
	return true;
}

/* First of all: the VM resets itself with requests of every kind shown, and comes back. */
static void reset_test(void)
{
	if (!begin(64))
		return;
	expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, MARK, SECTOR, buffer), 0, "read");
	if (buffer[0] == 0x50415353) {
		disk_close(&one);
		return;
	}
	buffer[0] = 0x50415353;
	expect_eq((u64)disk_do(&one, SOCLE_RING_WRITE, SOCLE_RING_FUA, MARK, SECTOR, buffer), 0, "write");
	for (u32 i = 0; i < 60; i++)
		disk_put(&one, SOCLE_RING_READ, i == 30 ? SOCLE_RING_BARRIER : 0, 0, 1 << 20, buffer);
	disk_push(&one);
	outb(0xcf9, 6);
	for (;;)
		irq_disable();
}

static void discovery_test(void)
{
	static struct socle_device d __attribute__((aligned(64)));
	u32 features = cpuid(SOCLE_CPUID_VERSION, 0).ebx, n = 0;

	if (!begin(8))
		return;
	expect(features & SOCLE_FEATURE_MULTI, "feature bit");
	expect_eq(one.info.sectors, 8192, "sectors");
	expect_eq(one.info.nr_rings, 1, "rings");
	expect_eq(one.info.flags, 0, "flags");
	expect_eq(one.info.max_length, 1 << 20, "largest request");
	expect(one.info.max_pages >= 257 + 3, "pages in flight");
	if (disk_find(&two, "disk2"))
		expect_eq(two.info.sectors, 64 << 11, "sectors of disk2");
	if (disk_find(&two, "disk3"))
		expect_eq(two.info.flags, SOCLE_DISK_READ_ONLY, "flags of disk3");
	while (hypercall(SOCLE_CALL_DEVICE_QUERY, n, (u64)&d) == 0)
		n++;
	expect_eq((u64)hypercall(SOCLE_CALL_DEVICE_QUERY, n, (u64)&d), (u64)SOCLE_ENOENT, "one more");
	expect_eq((u64)hypercall(SOCLE_CALL_DEVICE_QUERY, ~0ULL, (u64)&d), (u64)SOCLE_ENOENT, "the last");
	disk_close(&one);
}

/* All that nobody writes to, in every size. */
static void read_test(void)
{
	if (!begin(16))
		return;
	for (u32 n = 1, sector = 0; sector < FREE; sector += n, n = n % 700 * 2 + 1) {
		if (n > FREE - sector)
			n = FREE - sector;
		memset(buffer, 0xee, n * SECTOR);
		if (!expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, sector, n * SECTOR, buffer), 0, "read"))
			return;
		for (u32 i = 0; i < n * WORDS; i++)
			if (!expect_eq(buffer[i], sector * WORDS + i, "word"))
				return;
	}
	disk_close(&one);
}

static void write_test(void)
{
	if (!begin(16))
		return;
	for (u32 n = 1; n <= 2048; n *= 2) {
		fill(n, n * SECTOR);
		expect_eq((u64)disk_do(&one, SOCLE_RING_WRITE, n & 4 ? SOCLE_RING_FUA : 0, FREE + n / 2,
				       n * SECTOR, buffer),
			  0, "write");
		memset(buffer, 0, n * SECTOR);
		expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, FREE + n / 2, n * SECTOR, buffer), 0,
			  "read");
		if (!is_filled(n, n * SECTOR))
			return;
	}
	expect_eq((u64)disk_do(&one, SOCLE_RING_FLUSH, 0, 0, 0, NULL), 0, "flush");
	expect_eq((u64)disk_do(&one, SOCLE_RING_ZERO, SOCLE_RING_FUA, FREE + 1024, 100, NULL), 0, "zero");
	expect_eq((u64)disk_do(&one, SOCLE_RING_DISCARD, 0, FREE + 1124, 100, NULL), 0, "discard");
	expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, FREE + 1023, 102 * SECTOR, buffer), 0, "read");
	expect(buffer[WORDS - 1] != 0 && buffer[101 * WORDS + 1] == 0, "what is zeroed");
	for (u32 i = WORDS; i < 101 * WORDS; i++)
		expect_eq(buffer[i], 0, "zero");
	disk_close(&one);
}

/* A list of segments, cut anywhere, across pages. */
static void segments_test(void)
{
	static struct socle_segment list[SOCLE_RING_SEGMENTS] __attribute__((aligned(2048)));
	struct socle_request r = {.operation = SOCLE_RING_READ, .address = (u64)list, .length = 64 * SECTOR};
	struct socle_response answer = {.status = 1};
	u8 *to = (u8 *)buffer;

	if (!begin(4))
		return;
	memset(buffer, 0xee, 1 << 20);
	for (u32 left = r.length; r.nr_segments < 127 && left; r.nr_segments++) {
		u32 n = r.nr_segments == 126 ? left : 1 + r.nr_segments * 5U % 400;

		if (n > left)
			n = left;
		list[r.nr_segments] = (struct socle_segment){(u64)to, n, 0};
		to += n + 3; /* a gap that stays as it is */
		left -= n;
	}
	socle_driver_put(&one.driver, &r);
	disk_push(&one);
	disk_wait(&one, 1);
	expect(socle_driver_get(&one.driver, &answer) && answer.status == 0, "status %d", answer.status);
	expect_eq(answer.length, r.length, "length");
	for (u32 s = 0, at = 0; s < r.nr_segments; s++) {
		const u8 *p = (const u8 *)list[s].address;

		for (u32 i = 0; i < list[s].length; i++, at++)
			if (!expect_eq(p[i], (u8)(at / 4 >> at % 4 * 8), "byte"))
				return;
		expect_eq(p[list[s].length], 0xee, "gap");
	}
	disk_close(&one);
}

/* Ids in any order, and the slots used round and round: every id comes back once for each request, with what
 * belongs to it. */
static void ids_test(void)
{
	struct socle_response r = {.status = 1};
	u32 x = 1, mine[8];

	if (!begin(8))
		return;
	for (u32 round = 0; round < 500; round++) {
		u32 n = 1 + round % 8;

		for (u32 i = 0; i < n; i++) {
			/* Any of the ids that are free. */
			x = x * 1664525 + 1013904223;
			u32 pick = (x >> 16) % one.driver.nr_free;
			u16 id = one.driver.free_ids[pick];
			one.driver.free_ids[pick] = one.driver.free_ids[one.driver.nr_free - 1];
			one.driver.free_ids[one.driver.nr_free - 1] = id;
			mine[id] = (x >> 8) % FREE;
			buffer[id * 1024] = ~0U;
			expect_eq(
			    (u64)disk_put(&one, SOCLE_RING_READ, 0, mine[id], SECTOR, buffer + id * 1024), id,
			    "id");
		}
		disk_push(&one);
		disk_wait(&one, n);
		for (u32 i = 0; i < n; i++) {
			if (!expect(socle_driver_get(&one.driver, &r) && r.status == 0, "a response"))
				return;
			expect_eq(buffer[r.id * 1024], mine[r.id] * WORDS, "what was read");
		}
		expect(!socle_driver_get(&one.driver, &r), "no more");
	}
	expect(one.driver.request_producer > 2000, "slots used again and again");
	disk_close(&one);
}

/* M82: whatever is behind a barrier sees what was written before it; a barrier that fails takes those behind
 * it along. */
static void barrier_test(void)
{
	struct socle_response r;

	if (!begin(64))
		return;
	for (u32 i = 0; i < 20; i++) {
		buffer[i * 3 * 128] = 77 + i;
		disk_put(&one, SOCLE_RING_WRITE, 0, FREE + 9, SECTOR, buffer + i * 3 * 128);
		disk_put(&one, SOCLE_RING_FLUSH, SOCLE_RING_BARRIER, 0, 0, NULL);
		disk_put(&one, SOCLE_RING_READ, SOCLE_RING_BARRIER, FREE + 9, SECTOR,
			 buffer + (i * 3 + 1) * 128);
	}
	disk_push(&one);
	disk_wait(&one, 60);
	while (socle_driver_get(&one.driver, &r))
		expect_eq((u64)r.status, 0, "status");
	for (u32 i = 0; i < 20; i++)
		expect_eq(buffer[(i * 3 + 1) * 128], 77 + i, "what was written before the barrier");
	disk_put(&one, SOCLE_RING_READ, SOCLE_RING_BARRIER, one.info.sectors, SECTOR, buffer);
	for (u32 i = 0; i < 10; i++)
		disk_put(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer);
	disk_push(&one);
	disk_wait(&one, 11);
	for (u32 i = 0; socle_driver_get(&one.driver, &r); i++)
		expect_eq((u64)r.status, (u64)(i ? SOCLE_ECANCELED : SOCLE_EINVAL), "status");
	expect_eq((u64)disk_do(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer), 0, "and then");
	disk_close(&one);
}

/* M84: as many events as were asked for. */
static void thresholds_test(void)
{
	struct socle_response r;

	if (!begin(64))
		return;
	socle_driver_arm(&one.driver, 24);
	for (u32 i = 1; i <= 32; i++) {
		disk_put(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer);
		disk_push(&one);
		irq_window();
		expect_eq(one.upcalls, i >= 24, "upcalls");
	}
	expect_eq(one.doorbells, 32, "doorbells");
	while (socle_driver_get(&one.driver, &r))
		;
	/* Nobody asks: nothing comes; one doorbell is enough for many. */
	for (u32 i = 0; i < 32; i++)
		disk_put(&one, SOCLE_RING_READ, 0, 0, SECTOR, buffer);
	disk_push(&one);
	irq_window();
	expect_eq(one.upcalls, 1, "upcalls that nobody asked for");
	expect_eq(one.doorbells, 33, "doorbells");
	for (u32 i = 0; i < 32; i++)
		expect(socle_driver_get(&one.driver, &r), "responses");
	disk_close(&one);
}

static void sizes_test(void)
{
	struct socle_response r;

	for (u32 size = 1; size <= SOCLE_RING_MAX; size *= 2)
		for (u64 offset = 0; offset < PAGE_SIZE; offset += 1920) { /* across pages, too */
			if (!disk_find(&one, "disk1") ||
			    !expect_eq((u64)disk_open(&one, size, offset), 0, "open"))
				return;
			for (u32 n = 0; n < 3; n++) {
				u32 i = 0;

				while (disk_put(&one, SOCLE_RING_READ, 0, i, SECTOR, buffer + i * 8) >= 0)
					i++;
				expect_eq(i, size, "requests");
				disk_push(&one);
				disk_wait(&one, size);
				for (i = 0; i < size; i++)
					expect(socle_driver_get(&one.driver, &r) && r.status == 0,
					       "response");
			}
			disk_close(&one);
		}
}

/* M15. */
static void multicall_test(void)
{
	static struct socle_multicall c[SOCLE_MULTI_MAX + 1] __attribute__((aligned(64)));
	struct socle_response r;

	if (!begin(8) || !disk_find(&two, "disk2") ||
	    !expect_eq((u64)disk_open(&two, 8, 0), 0, "open of disk2"))
		return;
	disk_put(&one, SOCLE_RING_READ, 0, 5, SECTOR, buffer);
	disk_put(&two, SOCLE_RING_READ, 0, 5, SECTOR, buffer + 1024);
	socle_driver_push(&one.driver);
	socle_driver_push(&two.driver);
	c[0] = (struct socle_multicall){SOCLE_CALL_RING_DOORBELL, {one.number, 0}, 99, 0};
	c[1] = (struct socle_multicall){HYPERCALL_UNKNOWN, {0}, 99, 0};
	c[2] = (struct socle_multicall){SOCLE_CALL_MULTI, {(u64)c, 3}, 99, 0};
	c[3] = (struct socle_multicall){SOCLE_CALL_RING_DOORBELL, {two.number, 0}, 99, 0};
	c[4] = (struct socle_multicall){SOCLE_CALL_VM_ID, {0}, 99, 0};
	c[5] = (struct socle_multicall){SOCLE_CALL_RING_DOORBELL, {~0ULL, 0}, 99, 0};
	c[6] = (struct socle_multicall){SOCLE_CALL_YIELD, {0}, 99, 0};
	c[7] = (struct socle_multicall){SOCLE_CALL_VERSION, {0}, 99, 0};
	u64 before = (u64)hypercall(SOCLE_CALL_EXIT_COUNT, 18, 0);
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, (u64)c, 8), 8, "done");
	expect_eq((u64)hypercall(SOCLE_CALL_EXIT_COUNT, 18, 0) - before, 2, "exits for eight calls");
	static const i64 want[] = {0, SOCLE_ENOSYS, SOCLE_EINVAL, 0, 0, SOCLE_ENOENT, 0, SOCLE_ABI_VERSION};
	for (u32 i = 0; i < 8; i++)
		expect(i == 4 ? c[i].result > 0 : c[i].result == want[i], "result %u: %ld", i, c[i].result);
	expect(socle_driver_get(&one.driver, &r) && buffer[0] == 5 * WORDS, "a read by disk1");
	expect(socle_driver_get(&two.driver, &r) && buffer[1024] == 0, "a read by disk2");
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, (u64)c, 0), 0, "none");
	for (u32 i = 0; i < SOCLE_MULTI_MAX; i++)
		c[i].number = SOCLE_CALL_VERSION;
	expect_eq((u64)hypercall(SOCLE_CALL_MULTI, (u64)c, SOCLE_MULTI_MAX), SOCLE_MULTI_MAX, "all");
	disk_close(&one);
	disk_close(&two);
}

const struct test guest_tests[] = {
    {"reset", reset_test, 0},
    {"discovery", discovery_test, 0},
    {"read", read_test, 0},
    {"write", write_test, 0},
    {"segments", segments_test, 0},
    {"ids", ids_test, 0},
    {"barrier", barrier_test, 0},
    {"thresholds", thresholds_test, 0},
    {"sizes", sizes_test, 0},
    {"multicall", multicall_test, 0},
    {"bad-calls", bad_calls_test, 0},
    {"bad-rings", bad_rings_test, 0},
    {"bad-indices", bad_indices_test, 0},
    {"bad-requests", bad_requests_test, 0},
    {"own-ring", own_ring_test, 0},
    {"teardown", teardown_test, 0},
    {"net", net_test, 0},
    {"flip", flip_test, 0},
    {"flip-cost", flip_cost_test, 0},
    {"pair", pair_test, ON_DEMAND},
    {"net-hostile", net_hostile_test, 0},
    {"cost", cost_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
