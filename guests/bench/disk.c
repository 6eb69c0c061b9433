/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk costs (M11, M80): the operations of one size and depth, one after the other over the disk. A
 * point for each of `size=`, `depth=` and `op=`, which are lists as size=512,4096; `mode=` says which way
 * (disk.h); `n=` operations each, 1000 if it is not there; after some to warm up.
 *
 * DISK mode op size depth: n operations, ticks of the TSC for all of them (on the test machine: instructions,
 * Socle's included), those that doorbells took, without the guest's own; all that the
 * hypervisor took and bytes that it copied, as the test device's meters say, 0 without it; interrupts, exits
 * by reason. */
#include "disk/disk.h"
#include "apic.h"
#include "counters.h"
#include "lib/interrupts.h"
#include "lib/options.h"
#include "meter.h"
#include "page.h"
#include "print.h"
#include "test.h"

#define WARM_UP 200U
#define BUFFERS ((u64)8 << 20) /* bytes; larger requests of great depth share them */
#define LARGE ((u64)2 << 20)
#define LONG 2000000000U /* ticks; a request takes less */

static const struct disk_driver *const drivers[] = {&disk_virtio, &disk_packed, &disk_socle, &disk_polled,
						    &disk_pio};
static const struct disk_driver *disk;
static u8 *buffers;
static u64 next_sector, sectors;

static void add(unsigned tag, bool write, u32 bytes)
{
	u32 count = bytes / DISK_SECTOR;

	if (next_sector + count > sectors)
		next_sector = 0;
	disk->add(tag, write, next_sector, buffers + (u64)tag * bytes % BUFFERS, bytes);
	next_sector += count;
}

/* Whatever has come back is put again at once, and told of together. False: an error, or none came. */
static bool run(bool write, u32 bytes, unsigned depth, u64 n)
{
	u64 left = n, out = 0, begin = rdtsc();
	bool ok = true;

	for (unsigned tag = 0; tag < depth && left; tag++, left--, out++)
		add(tag, write, bytes);
	irq_enable();
	disk->kick();
	irq_disable();
	while (out && ok && rdtsc() - begin < n * LONG) {
		u64 again = 0;
		for (unsigned tag; ok && disk->take(&tag, &ok); out--) {
			if (!left)
				continue;
			add(tag, write, bytes);
			left--;
			again++;
		}
		out += again;
		if (again) {
			irq_enable();
			disk->kick();
			irq_disable();
		} else if (out && !disk->polls && !(disk->arm && disk->arm())) {
			__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
		}
	}
	return ok && !out;
}

static void point(bool write, u32 bytes, unsigned depth, u64 n)
{
	u64 ticks, doorbells, metered, interrupts, copied;

	if (!expect(run(write, bytes, depth, n < WARM_UP ? n : WARM_UP), "%s: requests of %u bytes fail",
		    disk->mode, bytes))
		return;
	copied = meter(METER_COPIED);
	metered = meter_hypervisor();
	counters_snapshot();
	doorbells = disk_exit_ticks;
	interrupts = interrupts_seen;
	ticks = rdtsc();
	bool ok = run(write, bytes, depth, n);
	ticks = rdtsc() - ticks;
	counters_stop();
	interrupts = interrupts_seen - interrupts;
	doorbells = disk_exit_ticks - doorbells;
	metered = meter_hypervisor() - metered;
	copied = meter(METER_COPIED) - copied;
	if (!expect(ok, "%s: requests of %u bytes fail", disk->mode, bytes))
		return;
	print("DISK mode=%s op=%s size=%u depth=%u ops=%lu ticks=%lu doorbells=%lu hypervisor=%lu "
	      "interrupts=%lu copied=%lu exits=",
	      disk->mode, write ? "write" : "read", bytes, depth, n, ticks, doorbells, metered, interrupts,
	      copied);
	counters_print_difference();
	print("\n");
}

static void points(bool write, u64 n)
{
	const char *sizes = test_option("size");

	for (u64 bytes; (bytes = option_element(&sizes));) {
		const char *depths = test_option("depth");
		for (u64 depth; (depth = option_element(&depths));)
			if (expect(bytes <= DISK_BYTES_MAX && bytes % DISK_SECTOR == 0 &&
				       depth <= DISK_DEPTH_MAX && bytes / DISK_SECTOR <= sectors,
				   "size=%lu depth=%lu cannot be", bytes, depth))
				point(write, (u32)bytes, (unsigned)depth, n);
	}
}

static bool begin(void)
{
	const char *mode = test_option("mode");

	for (unsigned i = 0; mode && i < ARRAY_SIZE(drivers); i++) {
		size_t n = strlen(drivers[i]->mode);
		if (!strncmp(mode, drivers[i]->mode, n) && (mode[n] == ' ' || !mode[n]))
			disk = drivers[i];
	}
	if (!expect(disk && test_option("size") && test_option("depth"), "needs mode=, size= and depth="))
		return false;
	if (!expect(apic_has_x2(), "needs x2APIC mode"))
		return false;
	apic_init(true);
	buffers = mem_alloc((BUFFERS + LARGE) / PAGE_SIZE);
	/* The first MiB is mapped by small pages, nearly all of a larger guest by large ones. */
	if (buffers)
		buffers += -(u64)buffers & (LARGE - 1);
	return expect(buffers && disk->open(), "%s: no such disk", disk->mode);
}

static void disk_test(void)
{
	u32 n = option_number("n", 1000);

	if (!begin())
		return;
	sectors = disk->sectors();
	if (option_has("op", "read") || !test_option("op"))
		points(false, n);
	if (option_has("op", "write"))
		points(true, n);
}

const struct test guest_tests[] = {{"disk", disk_test, 0}};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
