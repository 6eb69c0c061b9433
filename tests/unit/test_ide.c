/* SPDX-License-Identifier: Apache-2.0 */
/* host/ide*.c against a controller that watches the rules: what is found, what reaches the medium by which
 * way, and that nothing is copied where the controller reaches the guest's pages (M69, M80); errors, silence,
 * resets. */
#include "fake_ide.h"

#include "host/pcibus.h"

static struct ide_channel channels[IDE_CHANNELS];
static struct pcibus_function where;
static unsigned completed, busy_calls;
static enum block_status last;

static void complete(struct block_request *r, enum block_status status)
{
	(void)r;
	completed++;
	last = status;
}

static void became_busy(void)
{
	busy_calls++;
}

static struct block *unit(unsigned n)
{
	return &channels[n / 2].drives[n % 2].block;
}

static void probe(void)
{
	memset(channels, 0, sizeof(channels));
	completed = busy_calls = 0;
	ide_set_busy(became_busy);
	ide_probe(channels, &where);
}

/* One drive, all memory set. */
static struct fake_drive *one(u64 sectors)
{
	fake_ide_init();
	struct fake_drive *d = fake_add(0, sectors);
	for (u64 i = 0; i < MIN(sectors, 4096 + 256) * BLOCK_SECTOR; i++)
		d->medium[i] = (u8)(i * 7 + i / 512);
	probe();
	return d;
}

static struct block_request request(enum block_op op, u64 sector, u32 count, const struct piece *p, u32 n)
{
	struct block_request r = {.op = op,
				  .sector = sector,
				  .count = count,
				  .segments = p,
				  .nr_segments = n,
				  .complete = complete};
	list_init(&r.link);
	return r;
}

static enum block_status run(struct block *b, struct block_request *r)
{
	unsigned before = completed;

	b->submit(b, r);
	while (completed == before)
		assert_true(fake_step(0) || fake_step(1));
	assert_int_equal(completed, before + 1);
	return last;
}

/* ---- what is found ---- */

static void finds_drives(void **state)
{
	(void)state;
	fake_ide_init();
	fake_add(0, 1000);
	fake_add(1, BIT(40));
	fake.channels[1].drives[0].atapi = true;
	fake.channels[1].drives[0].sectors = 1; /* answers, but is no disk */
	fake_add(3, 77)->no_lba48 = true;
	probe();
	assert_int_equal(where.device, 1);
	assert_int_equal(where.function, 1);
	assert_int_equal(unit(0)->sectors, 1000);
	assert_int_equal(unit(1)->sectors, BIT(40));
	assert_int_equal(unit(2)->sectors, 0);
	assert_int_equal(unit(3)->sectors, 77);
	assert_int_equal(unit(0)->flags, BLOCK_VOLATILE);
	assert_string_equal(channels[0].drives[1].name, "hdb");
	assert_string_equal(channels[0].drives[0].model, "FAKE DISK");
	assert_int_equal(fake.pci_command, PCIBUS_COMMAND_IO | PCIBUS_COMMAND_MASTER);
	assert_int_equal(fake.channels[0].control, 0); /* interrupts are on */
}

static void refuses_others(void **state)
{
	(void)state;
	one(100);
	assert_int_equal(unit(0)->sectors, 100);
	fake_ide_init(); /* native mode of the first channel */
	fake_add(0, 100);
	fake_add(2, 100);
	fake.class = 0x01018100;
	probe();
	assert_int_equal(unit(0)->sectors, 0);
	assert_int_equal(unit(2)->sectors, 100);
	assert_non_null(strstr(shim_last_log, "hdc"));
	fake_ide_init(); /* no bus master */
	fake_add(0, 100);
	fake.class = 0x01010000;
	probe();
	assert_int_equal(unit(0)->sectors, 0);
	assert_non_null(strstr(shim_last_log, "does no DMA"));
	fake_ide_init(); /* no controller */
	fake.class = 0x01060100;
	probe();
	assert_string_equal(shim_last_log, "no IDE controller");
	fake_ide_init(); /* a drive that only knows PIO */
	fake_add(0, 100)->no_dma = true;
	probe();
	assert_int_equal(unit(0)->sectors, 0);
}

/* ---- ways of the data ---- */

static void reads_and_writes(void **state)
{
	struct fake_drive *d = one(4096);
	u8 *low = fake_low(1 << 20), *high = malloc(1 << 20);
	(void)state;

	/* One piece in reach: one descriptor for each 64 KiB that it touches. */
	struct piece p = {low + 0x1000, 200 * 512};
	struct block_request r = request(BLOCK_READ, 17, 200, &p, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_memory_equal(low + 0x1000, d->medium + 17 * 512, 200 * 512);
	assert_int_equal(d->reads, 1);
	assert_in_range(fake.prds, 2, 3);
	assert_false(channels[0].bounced);
	assert_int_equal(r.copied, 0);
	r = request(BLOCK_WRITE, 2000, 200, &p, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_memory_equal(d->medium + 2000 * 512, low + 0x1000, 200 * 512);
	assert_int_equal(r.copied, 0);
	/* Out of reach: by the bounce buffer, one or two descriptors. */
	memset(high, 0x5c, 200 * 512);
	p = (struct piece){high, 200 * 512};
	r = request(BLOCK_WRITE, 300, 200, &p, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_memory_equal(d->medium + 300 * 512, high, 200 * 512);
	assert_true(channels[0].bounced);
	r = request(BLOCK_READ, 17, 200, &p, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_memory_equal(high, d->medium + 17 * 512, 200 * 512);
	/* What discarded sectors hold is not promised; zeros are. */
	r = request(BLOCK_WRITE_ZEROES, 299, 600, NULL, 0);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	for (unsigned i = 299 * 512; i < 899 * 512; i++)
		assert_int_equal(d->medium[i], 0);
	assert_int_not_equal(d->medium[299 * 512 - 1], 0);
	assert_int_not_equal(d->medium[899 * 512 + 1], 0);
	r = request(BLOCK_DISCARD, 0, 4096, NULL, 0);
	unit(0)->submit(unit(0), &r);
	assert_int_equal(last, BLOCK_OK);
	assert_int_equal(d->writes, 2 + 3);
	r = request(BLOCK_FLUSH, 0, 0, NULL, 0);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_int_equal(d->flushes, 1);
	free(high);
}

static u64 seed = 88172645463325252u;
static u32 random_below(u32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed % n);
}

/* Cuts bytes into pieces anywhere, some odd, some out of reach. */
static unsigned cut(struct piece *p, u8 *low, u8 *high, u32 bytes)
{
	unsigned n = 0, style = random_below(4);

	while (bytes) {
		u32 part = 1 + random_below(style == 3 ? 9000 : 70000);
		if (style < 2)
			part = ALIGN_UP(part, 2);
		part = n == 399 ? bytes : MIN(part, bytes);
		p[n++] = (struct piece){style && random_below(5) == 0 ? high : low, part};
		low += part;
		high += part;
		bytes -= part;
	}
	return n;
}

static void any_cut(void **state)
{
	struct fake_drive *d = one(4096);
	u8 *low = fake_low(1 << 20), *high = malloc(1 << 20), *mirror = malloc(4096 * 512);
	static struct piece p[400];
	unsigned bounced = 0;
	(void)state;

	memcpy(mirror, d->medium, 4096 * 512);
	for (unsigned round = 0; round < 1000; round++) {
		u32 count = 1 + random_below(700), sector = random_below(4096 - count), bytes = count * 512;
		enum block_op op = random_below(2) ? BLOCK_READ : BLOCK_WRITE;
		unsigned n = cut(p, low + random_below(8), high, bytes);
		struct block_request r = request(op, sector, count, p, n);
		u8 *m = mirror + sector * 512;

		for (unsigned i = 0; op == BLOCK_WRITE && i < n; m += p[i++].length) {
			for (u32 k = 0; k < p[i].length; k++)
				p[i].base[k] = (u8)random_below(256);
			memcpy(m, p[i].base, p[i].length);
		}
		assert_int_equal(run(unit(0), &r), BLOCK_OK);
		for (unsigned i = 0; op == BLOCK_READ && i < n; m += p[i++].length)
			assert_memory_equal(p[i].base, m, p[i].length);
		bounced += channels[0].bounced;
	}
	assert_memory_equal(mirror, d->medium, 4096 * 512);
	assert_in_range(bounced, 100, 900);
	free(high);
	free(mirror);
}

static void many_pieces(void **state)
{
	static struct piece p[1024];
	struct fake_drive *d = one(4096);
	u8 *low = fake_low(1 << 20);
	(void)state;

	/* More pieces than descriptors. */
	for (unsigned i = 0; i < 1024; i++)
		p[i] = (struct piece){low + i * 200, 100};
	p[1023].length = 200 * 512 - 1023 * 100;
	struct block_request r = request(BLOCK_READ, 5, 200, p, 1024);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_int_equal(r.copied, 200 * 512);
	for (unsigned i = 0; i < 1024; i++)
		assert_memory_equal(p[i].base, d->medium + 5 * 512 + i * 100, p[i].length);
	assert_true(channels[0].bounced);
	for (unsigned i = 0; i < 512; i++)
		p[i] = (struct piece){low + i * 256, 256};
	r = request(BLOCK_READ, 5, 256, p, 512);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_false(channels[0].bounced);
	assert_int_equal(r.copied, 0);
	assert_in_range(fake.prds, 512, 512);
}

static void addresses(void **state)
{
	struct fake_drive *d = one(BIT(40));
	u8 *low = fake_low(1 << 20);
	struct piece p = {low, 256 * 512};
	(void)state;

	/* Up to the last sector that 28 bits reach, and beyond. */
	struct block_request r = request(BLOCK_READ, BIT(28) - 256, 256, &p, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_int_equal(d->ext, 0);
	r = request(BLOCK_READ, BIT(28) - 255, 256, &p, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_int_equal(d->ext, 1);
	r = request(BLOCK_WRITE, BIT(40) - 256, 256, &p, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_int_equal(d->ext, 2);
	r = request(BLOCK_READ, BIT(40) - 4095, 1, &(struct piece){low, 512}, 1);
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	assert_memory_equal(low, d->medium + 512, 512);
}

/* ---- several at once ---- */

static void waits_in_order(void **state)
{
	u8 *low;
	(void)state;

	fake_ide_init();
	struct fake_drive *a = fake_add(0, 100), *b = fake_add(1, 100), *c = fake_add(2, 100);
	probe();
	low = fake_low(16 * 512);
	memset(a->medium, 'a', 51200), memset(b->medium, 'b', 51200), memset(c->medium, 'c', 51200);
	struct piece p[6];
	struct block_request r[6];
	for (unsigned i = 0; i < 6; i++) {
		p[i] = (struct piece){low + i * 512, 512};
		r[i] = request(BLOCK_READ, i, 1, &p[i], 1);
		unit(i % 3)->submit(unit(i % 3), &r[i]);
	}
	assert_int_equal(completed, 0);
	assert_true(busy_calls >= 1);
	/* The second channel does not wait for the first. */
	assert_true(fake_step(1) && fake_step(1));
	assert_false(fake_step(1));
	assert_int_equal(completed, 2);
	while (fake_step(0))
		;
	assert_int_equal(completed, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(low[i * 512 + 511], "abc"[i % 3]);
	assert_false(ide_check(&channels[0]) || ide_check(&channels[1]));
}

/* ---- what goes wrong ---- */

static struct block_request failing(struct piece *p, enum fake_fault fault)
{
	fake.channels[0].fault = fault;
	return request(BLOCK_READ, 1, 8, p, 1);
}

static void drive_reports(void **state)
{
	one(100);
	struct piece p = {fake_low(8 * 512), 8 * 512};
	struct block_request r = failing(&p, FAKE_BAD_SECTOR);
	(void)state;

	assert_int_equal(run(unit(0), &r), BLOCK_IOERR);
	assert_int_equal(fake.channels[0].resets, 0);
	assert_non_null(strstr(shim_last_log, "hda: command failed: sector 1, 8 sectors"));
	fake.channels[0].fault = FAKE_FINE;
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	/* A flush that fails says so. */
	fake.channels[0].fault = FAKE_BAD_SECTOR;
	r = request(BLOCK_FLUSH, 0, 0, NULL, 0);
	assert_int_equal(run(unit(0), &r), BLOCK_IOERR);
	/* The log is not flooded. */
	unsigned lines = shim_log_lines;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(run(unit(0), &r), BLOCK_IOERR);
	assert_in_range(shim_log_lines - lines, 1, 16);
}

static void resets(void **state)
{
	static const enum fake_fault faults[] = {FAKE_BAD_DMA, FAKE_LIES};
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		one(100);
		struct piece p = {fake_low(8 * 512), 8 * 512};
		struct block_request r = failing(&p, faults[i]), next = request(BLOCK_READ, 9, 8, &p, 1);

		unit(0)->submit(unit(0), &r);
		unit(0)->submit(unit(0), &next);
		fake_step(0);
		assert_int_equal(completed, 1);
		assert_int_equal(last, BLOCK_IOERR);
		assert_int_equal(fake.channels[0].resets, 1);
		fake.channels[0].fault = FAKE_FINE;
		assert_true(ide_check(&channels[0])); /* too early to look */
		shim_tsc += 2000000;
		assert_true(ide_check(&channels[0])); /* the next one is on its way */
		assert_true(fake_step(0));
		assert_int_equal(completed, 2);
		assert_int_equal(last, BLOCK_OK);
	}
}

static void silence(void **state)
{
	(void)state;
	one(100);
	struct piece p = {fake_low(8 * 512), 8 * 512};
	struct block_request r = failing(&p, FAKE_HANGS);

	unit(0)->submit(unit(0), &r);
	shim_tsc += 14000000000u;
	assert_true(ide_check(&channels[0]));
	assert_int_equal(completed, 0);
	shim_tsc += 1000000000;
	assert_true(ide_check(&channels[0]));
	assert_int_equal(completed, 1);
	assert_int_equal(last, BLOCK_IOERR);
	assert_non_null(strstr(shim_last_log, "hda: does not answer, reset"));
	shim_tsc += 1000000000;
	assert_false(ide_check(&channels[0]));
	assert_int_equal(run(unit(0), &r), BLOCK_OK);
	/* A flush may take a minute. */
	fake.channels[0].fault = FAKE_HANGS;
	r = request(BLOCK_FLUSH, 0, 0, NULL, 0);
	unit(0)->submit(unit(0), &r);
	shim_tsc += 59000000000u;
	assert_true(ide_check(&channels[0]));
	fake.channels[0].fault = FAKE_FINE;
	assert_true(fake_step(0));
	assert_int_equal(last, BLOCK_OK);
	/* An interrupt that was lost is found. */
	fake.channels[0].fault = FAKE_DEAF;
	r = request(BLOCK_READ, 1, 8, &p, 1);
	completed = 0;
	unit(0)->submit(unit(0), &r);
	assert_true(fake_step(0));
	assert_int_equal(completed, 0);
	assert_false(ide_check(&channels[0]));
	assert_int_equal(completed, 1);
	assert_int_equal(last, BLOCK_OK);
}

static void death(void **state)
{
	(void)state;
	one(100);
	struct piece p = {fake_low(8 * 512), 8 * 512};
	struct block_request r[3];

	for (unsigned i = 0; i < 3; i++) {
		r[i] = failing(&p, FAKE_DIES);
		unit(0)->submit(unit(0), &r[i]);
	}
	shim_tsc += 15000000000u;
	assert_true(ide_check(&channels[0]));
	assert_int_equal(completed, 1);
	shim_tsc += 30000000000u;
	assert_true(ide_check(&channels[0]));
	assert_int_equal(completed, 1);
	shim_tsc += 1000000000;
	assert_false(ide_check(&channels[0]));
	assert_int_equal(completed, 3);
	assert_int_equal(last, BLOCK_IOERR);
	assert_non_null(strstr(shim_last_log, "given up"));
	unit(0)->submit(unit(0), &r[0]);
	assert_int_equal(completed, 4);
	assert_int_equal(last, BLOCK_IOERR);
}

/* Interrupts that belong to nothing. */
static void spurious(void **state)
{
	(void)state;
	one(100);
	fake_interrupt(0);
	ide_interrupt(&channels[0]);
	struct piece p = {fake_low(512), 512};
	struct block_request r = request(BLOCK_READ, 1, 1, &p, 1);
	unit(0)->submit(unit(0), &r);
	ide_interrupt(&channels[0]); /* before the drive is done */
	assert_int_equal(completed, 0);
	assert_true(fake_step(0));
	assert_int_equal(completed, 1);
	ide_interrupt(&channels[0]);
	assert_int_equal(completed, 1);
}

static void no_cache(void **state)
{
	(void)state;
	fake_ide_init();
	fake_add(0, 100)->no_flush = true;
	probe();
	struct block_request r = request(BLOCK_FLUSH, 0, 0, NULL, 0);
	assert_int_equal(unit(0)->flags, 0);
	unit(0)->submit(unit(0), &r);
	assert_int_equal(completed, 1);
	assert_int_equal(last, BLOCK_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_drives),
	    cmocka_unit_test(refuses_others),
	    cmocka_unit_test(reads_and_writes),
	    cmocka_unit_test(any_cut),
	    cmocka_unit_test(many_pieces),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(waits_in_order),
	    cmocka_unit_test(drive_reports),
	    cmocka_unit_test(resets),
	    cmocka_unit_test(silence),
	    cmocka_unit_test(death),
	    cmocka_unit_test(spurious),
	    cmocka_unit_test(no_cache),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	fake_ide_end();
	return failed;
}
