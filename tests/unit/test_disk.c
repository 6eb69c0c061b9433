/* SPDX-License-Identifier: Apache-2.0 */
/* host/disk.c on the fake controller: disks by name, what is read of them, the boot disk, who looks after
 * those that do not answer, and whose their interrupts are. */
#include "fake_ide.h"

#include "disk.h"
#include "host/watch.h"

static unsigned told, completed, polls;
static bool answers = true;

static void on_busy(void)
{
	told++;
}

/* What a CPU does that waits: the disks go on meanwhile. */
void cpu_poll_interrupts(void)
{
	polls++;
	shim_tsc += 100000000;
	if (answers && !fake_step(0))
		(void)fake_step(1);
	disk_poll();
}

static void complete(struct block_request *r, enum block_status status)
{
	(void)r, (void)status;
	completed++;
}

static void partition_entry(u8 *medium, unsigned n, u8 type, u32 first, u32 count)
{
	u8 *e = medium + 446 + 16 * n;

	e[4] = type;
	memcpy(e + 8, &first, 4);
	memcpy(e + 12, &count, 4);
	medium[510] = 0x55, medium[511] = 0xaa;
}

static int setup(void **state)
{
	(void)state;
	fake_ide_init();
	fake_add(0, 1000);
	fake_add(2, 2000);
	partition_entry(fake.channels[1].drives[0].medium, 1, 0x83, 100, 1900);
	memcpy(fake.channels[1].drives[0].medium + 440, "BOOT", 4);
	disk_on_busy(on_busy);
	assert_false(disk_check()); /* nobody has looked for disks yet */
	return 0;
}

static void by_name(void **state)
{
	struct disk_extent e;
	(void)state;

	assert_int_equal(disk_find(0)->sectors, 1000);
	assert_null(disk_find(1));
	assert_int_equal(disk_find(2)->sectors, 2000);
	assert_null(disk_find(3));
	assert_int_equal(disk_partition(disk_find(2), 2, &e), 0);
	assert_int_equal(e.first, 100);
	assert_int_equal(e.count, 1900);
	assert_int_equal(disk_partition(disk_find(2), 1, &e), ERR_NOENT);
	assert_int_equal(disk_partition(disk_find(0), 1, &e), ERR_INVAL);
	fake.channels[0].fault = FAKE_BAD_SECTOR;
	assert_int_equal(disk_partition(disk_find(0), 1, &e), ERR_FAULT);
	fake.channels[0].fault = FAKE_FINE;
	assert_false(disk_check());
}

static void boot_disk(void **state)
{
	struct boot_volume ide = {.is_ide = true, .pci_device = 1, .pci_function = 1, .channel = 1};
	struct boot_volume mbr = {.signature_type = BOOT_SIGNATURE_MBR, .signature = "BOOT"};
	struct boot_volume usb = {.signature_type = BOOT_SIGNATURE_MBR, .signature = "boot"};
	(void)state;

	assert_false(disk_is_boot(0, &ide));
	assert_true(disk_is_boot(2, &ide));
	assert_false(disk_is_boot(3, &ide)); /* there is no such disk */
	ide.slave = 1;
	assert_false(disk_is_boot(2, &ide));
	ide.slave = 0;
	ide.pci_function = 2;
	assert_false(disk_is_boot(2, &ide));
	assert_true(disk_is_boot(2, &mbr));
	assert_false(disk_is_boot(0, &mbr));
	assert_false(disk_is_boot(2, &usb));
}

static void looked_after(void **state)
{
	struct piece p = {fake_low(512), 512};
	struct block_request r[2];
	struct block *b = disk_find(0);
	(void)state;

	assert_false(disk_check());
	told = completed = 0;
	for (unsigned i = 0; i < 2; i++) {
		r[i] = (struct block_request){
		    .op = BLOCK_READ, .count = 1, .segments = &p, .nr_segments = 1, .complete = complete};
		b->submit(b, &r[i]);
	}
	assert_int_equal(told, 1); /* once, until nobody looks any more */
	assert_true(disk_check());
	assert_true(fake_step(0) && fake_step(0));
	assert_int_equal(completed, 2);
	b->submit(b, &r[0]);
	assert_int_equal(told, 1);
	assert_true(fake_step(0));
	assert_false(disk_check());
	b->submit(b, &r[0]);
	assert_int_equal(told, 2);
	/* It never answers: who waits gets to know by waiting. */
	answers = false;
	for (unsigned i = 0; completed < 4 && i < 200; i++)
		cpu_poll_interrupts();
	assert_int_equal(completed, 4);
	assert_int_equal(fake.channels[0].resets, 1);
	for (unsigned i = 0; i < 30; i++)
		cpu_poll_interrupts();
	assert_false(disk_check());
	answers = true;
}

static void *payers[8];
static unsigned bills;
static u64 billed;

static void on_interrupt(void *payer, u64 ticks)
{
	assert_true(bills < 8);
	payers[bills++] = payer;
	billed += ticks;
}

/* M42: each interrupt is somebody's, those within a long request included; one that nobody asked for is not.
 */
static void whose_interrupt(void **state)
{
	struct piece p = {fake_low(300 * 512), 300 * 512};
	struct block_request r = {
	    .op = BLOCK_READ, .count = 300, .segments = &p, .nr_segments = 1, .complete = complete};
	struct block *b = disk_find(0);
	int owner;
	(void)state;

	completed = 0;
	disk_on_interrupt(on_interrupt);
	r.payer = &owner;
	b->submit(b, &r);
	assert_int_equal(bills, 0); /* who submits pays as he runs */
	u64 before = shim_tsc;
	assert_true(fake_step(0) && fake_step(0));
	assert_int_equal(completed, 1);
	assert_int_equal(bills, 2); /* of 256 sectors, and of the others */
	assert_ptr_equal(payers[0], &owner);
	assert_ptr_equal(payers[1], &owner);
	assert_true(billed && billed <= shim_tsc - before);
	assert_false(fake_step(0));
	p.length = 512;
	r.count = 1;
	r.payer = NULL;
	b->submit(b, &r);
	assert_true(fake_step(0));
	assert_int_equal(bills, 3);
	assert_null(payers[2]);
	assert_false(disk_check()); /* it looks, and is not billed */
	assert_int_equal(bills, 3);
	disk_on_interrupt(NULL);
}

static int teardown(void **state)
{
	(void)state;
	fake_ide_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(by_name),
	    cmocka_unit_test(boot_disk),
	    cmocka_unit_test(looked_after),
	    cmocka_unit_test(whose_interrupt),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
