/* SPDX-License-Identifier: Apache-2.0 */
/* The bus master of the IDE controller: tables of all forms, long transfers in pieces, tables that a hostile
 * guest makes, changes or takes away, resets in the middle (M66, M67). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ata_board.h"

#define MASTER_OFF 0x20u /* of the status: what firmware has set, and nothing else */
#define MASTER_DONE 0x24u

static u8 got[2 << 20];

static bool irq(void)
{
	return board.wires >> 14 & 1;
}

static void expect_done(u8 master)
{
	assert_int_equal(master, MASTER_DONE);
	assert_true(guest_ram.lent); /* the master's tables are not pinned */
	assert_true(irq());
	assert_int_equal(inb(CMD + 7), IDLE);
	assert_int_equal(guest_ram.pinned_pages, 0);
	outb(BM, 0);
	outb(BM + 2, 0x26);
	assert_int_equal(inb(BM + 2), MASTER_OFF);
}

static void expect_data(u64 lba, u32 bytes, gpa_t gpa)
{
	assert_int_equal(gmem_read(&guest_ram, gpa, got, bytes), 0);
	assert_memory_equal(got, disks[0].media + lba * 512, bytes);
}

static void test_read_and_write(void **state)
{
	(void)state;
	create(1, 0, 0);
	prd(0, DATA, 4096, true);
	expect_done(dma(0xc8, 10, 8));
	expect_data(10, 4096, DATA);
	assert_int_equal(submits, 1);
	assert_int_equal(most_segments, 1); /* the guest's own memory, no copy */
	/* Scattered: parts of pages, and an end that no sector has. */
	prd(0, DATA + 0x1ffe, 2, false);
	prd(1, DATA + 0x5002, 1022, false);
	prd(2, DATA + 0x8f00, 512, true);
	expect_done(dma(0xc8, 20, 3));
	expect_data(20, 2, DATA + 0x1ffe);
	assert_int_equal(gmem_read(&guest_ram, DATA + 0x5002, got, 1022), 0);
	assert_memory_equal(got, disks[0].media + 20 * 512 + 2, 1022);
	expect_data(22, 512, DATA + 0x8f00);
	expect_done(dma(0xca, 100, 3));
	assert_memory_equal(disks[0].media + 100 * 512, disks[0].media + 20 * 512, 1536);
	/* 64 KiB in one, which is a count of 0. */
	prd(0, DATA, 0, true);
	expect_done(dma(0xc9, 1000, 128));
	expect_data(1000, 65536, DATA);
	/* 48 bits. */
	outb(BM + 2, 0x26);
	prd(0, DATA, 1024, true);
	registers48(0, 4094, 2);
	outb(CMD + 7, 0x25);
	bm_start(true);
	expect_done(inb(BM + 2));
	expect_data(4094, 1024, DATA);
	registers48(0, 7, 2);
	outb(CMD + 7, 0x35);
	bm_start(false);
	expect_done(inb(BM + 2));
	expect_data(7, 1024, DATA);
	destroy();
}

/* Pieces of two bytes: more than one request has room for. */
static void test_small_pieces(void **state)
{
	(void)state;
	create(1, 0, 0);
	for (unsigned first = 2; first <= 514; first += 128) {
		unsigned n = 0;
		u32 left = 8 * 512 - first;
		prd(n++, DATA + 0x2000 - first, first, false);
		for (; left; left -= 2, n++)
			prd(n, DATA + 0x2000 + (8 * 512 - first - left), 2, left == 2);
		memset(at(DATA + 0x2000, 4096), 0, 4096);
		submits = 0;
		expect_done(dma(0xc8, 40, 8));
		expect_data(40, 8 * 512, DATA + 0x2000 - first);
		assert_true(submits >= 4 && most_segments <= 512);
		expect_done(dma(0xca, 300, 8));
		assert_memory_equal(disks[0].media + 300 * 512, disks[0].media + 40 * 512, 4096);
	}
	destroy();
}

/* The drive may come first, or the bus master; a table that is longer than the transfer leaves it active. */
static void test_order(void **state)
{
	(void)state;
	create(1, 0, 0);
	prd(0, DATA, 512, true);
	bm_start(true);
	assert_int_equal(inb(BM + 2), 0x21);
	ask(0xc8, 5, 1);
	expect_done(inb(BM + 2));
	expect_data(5, 512, DATA);
	prd(0, DATA, 1024, true);
	assert_int_equal(dma(0xc8, 5, 1), 0x25);
	assert_int_equal(inb(CMD + 7), IDLE);
	outb(BM, 8);
	assert_int_equal(inb(BM + 2), 0x24);
	/* The registers themselves. */
	board_write(true, BM + 4, 4, 0x12345677);
	assert_int_equal(board_read(true, BM + 4, 4), 0x12345674);
	assert_int_equal(board_read(true, BM + 6, 1), 0x34);
	outb(BM + 5, 0xab);
	assert_int_equal(board_read(true, BM + 4, 4), 0x1234ab74);
	outb(BM + 2, 0x66);
	assert_int_equal(inb(BM + 2), 0x60);
	assert_int_equal(board_read(true, BM + 8, 4), 0); /* the other channel's */
	destroy();
}

/* Longer than a turn: the rest comes by the timer. */
static void test_turns(void **state)
{
	u64 start = shim_tsc;

	(void)state;
	create(1, 0, 0);
	for (unsigned i = 0; i < 32; i++) /* 2 MiB - 64 KiB, over the same memory */
		prd(i, DATA, 0, i == 30);
	outb(BM + 2, 0x26);
	registers48(0, 0, 31 * 128);
	outb(CMD + 7, 0x25);
	bm_start(true);
	assert_int_equal(status_of(), BSY);
	assert_int_equal(fake_timers_armed(), 1);
	assert_false(irq());
	fake_run_until(++shim_tsc);
	fake_run_until(++shim_tsc);
	expect_done(inb(BM + 2));
	expect_data(30 * 128, 65536, DATA);
	/* READ VERIFY as well. */
	registers48(0, 0, 4096);
	outb(CMD + 7, 0x42);
	assert_int_equal(status_of(), BSY);
	for (unsigned i = 0; status_of() == BSY && i < 4; i++)
		fake_run_until(++shim_tsc);
	assert_int_equal(inb(CMD + 7), IDLE);
	/* A reset while it waits for the timer. */
	registers48(0, 0, 4096);
	outb(CMD + 7, 0x42);
	outb(CTL, 4);
	outb(CTL, 0);
	assert_int_equal(status_of(), IDLE);
	fake_run_until(++shim_tsc);
	assert_int_equal(status_of(), IDLE);
	assert_true(shim_tsc > start);
	destroy();
}

/* Memory that is not the guest's to write, and tables that are nowhere: an aborted command, and nothing else
 * has happened. */
static void test_bad_tables(void **state)
{
	static const u32 bases[] = {ROM_BASE, HOLE, 0xfffff000, RAM_END - 512, HIGH_END, 0xa0000000};

	(void)state;
	create(1, 0, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bases); i++) {
		prd(0, DATA, 512, false);
		prd(1, bases[i], 4096, true);
		assert_int_equal(dma(0xc8, 0, 9), 0x26);
		assert_true(irq());
		assert_int_equal(inb(CMD + 7), IDLE | ERR);
		assert_int_equal(inb(CMD + 1), ABRT);
		assert_int_equal(guest_ram.pinned_pages, 0);
		assert_int_equal(submits, 0);
	}
	static const u32 tables[] = {HOLE, 0xfffffff8, 0xffffff00, HIGH_END - 4, 0x2fffc};
	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++) {
		outb(BM, 0);
		outb(BM + 2, 0x26);
		ask(0xc8, 0, 9);
		board_write(true, BM + 4, 4, tables[i]);
		outb(BM, 9);
		assert_int_equal(inb(BM + 2), 0x26);
		assert_int_equal(inb(CMD + 7), IDLE | ERR);
	}
	/* A disk may be written from ROM. */
	prd(0, ROM_BASE, 512, true);
	expect_done(dma(0xca, 0, 1));
	/* The wrong direction. */
	prd(0, DATA, 512, true);
	outb(BM + 2, 0x26);
	ask(0xc8, 0, 1);
	bm_start(false);
	assert_int_equal(inb(BM + 2), 0x26);
	assert_int_equal(inb(CMD + 7), IDLE | ERR);
	/* A table that goes on beyond 64 KiB: all that is left of them is tiny. */
	for (unsigned i = 0; i < 8192; i++)
		prd(i, DATA, 2, false);
	outb(BM, 0);
	outb(BM + 2, 0x26);
	registers48(0, 0, 4096);
	outb(CMD + 7, 0x25);
	bm_start(true);
	for (unsigned i = 0; i < 100 && status_of() == BSY; i++)
		fake_run_until(++shim_tsc);
	assert_int_equal(inb(BM + 2), 0x26);
	assert_int_equal(inb(CMD + 7), IDLE | ERR);
	assert_int_equal(guest_ram.pinned_pages, 0);
	destroy();
}

/* Too short a table: whole sectors are moved, then the drive waits until the driver has had enough. */
static void test_short_tables(void **state)
{
	(void)state;
	create(1, 0, 0);
	memset(at(DATA, 4096), 0, 4096);
	prd(0, DATA, 1200, true);
	assert_int_equal(dma(0xc8, 60, 8), MASTER_OFF);
	assert_int_equal(status_of(), BSY);
	assert_false(irq());
	expect_data(60, 1024, DATA);
	assert_int_equal(guest_ram.pinned_pages, 0);
	/* It goes on with another one. */
	prd(0, DATA + 1024, 6 * 512, true);
	outb(BM, 0);
	bm_start(true);
	expect_done(inb(BM + 2));
	expect_data(60, 4096, DATA);
	/* Or ends with a reset. */
	prd(0, DATA, 2, true);
	assert_int_equal(dma(0xc8, 60, 8), MASTER_OFF);
	outb(CTL, 4);
	outb(CTL, 0);
	assert_int_equal(status_of(), IDLE);
	prd(0, DATA, 4096, true);
	expect_done(dma(0xc8, 0, 8));
	destroy();
}

/* While the disk has the request: stopped, begun anew, reset, and the memory of the table changed. */
static void test_in_flight(void **state)
{
	(void)state;
	create(1, 0, 0);
	hold = true;
	prd(0, DATA, 4096, true);
	dma(0xc8, 0, 8);
	assert_int_equal(guest_ram.pinned_pages, 1);
	prd(0, HOLE, 4096, false); /* it was read once */
	board_write(true, BM + 4, 4, 0);
	let_go(0);
	expect_done(inb(BM + 2));
	expect_data(0, 4096, DATA);
	/* Stopped: what the disk has is moved, the rest waits for a start. */
	for (unsigned i = 0; i < 1024; i++)
		prd(i, DATA + 2 * i, 2, i == 1023);
	dma(0xc8, 8, 4);
	outb(BM, 8);
	assert_int_equal(inb(BM + 2), MASTER_OFF);
	let_go(0);
	assert_int_equal(nr_held, 0);
	assert_int_equal(status_of(), BSY);
	expect_data(8, 1024, DATA);
	prd(0, DATA + 0x8000, 1024, true);
	bm_start(true);
	let_go(0);
	expect_done(inb(BM + 2));
	expect_data(10, 1024, DATA + 0x8000);
	/* Stopped and begun anew before the disk is done: the new table takes over. */
	for (unsigned i = 0; i < 1024; i++)
		prd(i, DATA + 2 * i, i ? 2 : 4, i == 1022);
	dma(0xc8, 8, 4);
	outb(BM, 8);
	prd(0, DATA + 0x9000, 1024, true);
	outb(BM, 9);
	let_go(0);
	assert_int_equal(nr_held, 0); /* not from within the answer */
	fake_run_until(++shim_tsc);
	let_go(0);
	expect_done(inb(BM + 2));
	expect_data(10, 1024, DATA + 0x9000);
	/* A reset, and a start in it. */
	prd(0, DATA, 4096, true);
	dma(0xc8, 0, 8);
	outb(CTL, 4);
	outb(CTL, 0);
	bm_start(true);
	assert_int_equal(status_of(), BSY);
	let_go(0);
	assert_int_equal(status_of(), IDLE);
	assert_int_equal(guest_ram.pinned_pages, 0);
	hold = false;
	expect_done(dma(0xc8, 0, 8));
	destroy();
}

/* The machine goes away, or is reset, while a disk has something. */
static void test_end(void **state)
{
	(void)state;
	create(2, 0, 0);
	prd(0, DATA, 4096, true);
	registers48(0, 0, 4096);
	outb(CMD + 7, 0x25);
	bm_start(true);
	ata_reset(ata);
	assert_int_equal(guest_ram.pinned_pages, 0);
	assert_int_equal(fake_timers_armed(), 0);
	ata_bios_state(ata);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	expect_done(dma(0xc8, 0, 8));
	destroy();
}

/* Where there is none: no bus mastering, a disk without DMA, a failing disk, a VM that may pin no more. */
static void test_refusals(void **state)
{
	(void)state;
	create(2, 0, 2);
	prd(0, DATA, 512, true);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(dma(0xc8, 3, 1), 0x21);
	assert_int_equal(status_of(), BSY);
	assert_int_equal(submits, 0);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	outb(BM, 0);
	bm_start(true);
	expect_done(inb(BM + 2));
	disks[0].bad = 3;
	assert_int_equal(dma(0xc8, 3, 1) & 4, 4);
	assert_int_equal(inb(CMD + 7), IDLE | ERR);
	assert_int_equal(inb(CMD + 1), UNC);
	assert_int_equal(guest_ram.pinned_pages, 0);
	dma(0xca, 3, 1);
	assert_int_equal(inb(CMD + 7), IDLE | ERR);
	assert_int_equal(inb(CMD + 1), ABRT);
	disks[0].bad = ~0ull;
	registers(0x10, 0, 1);
	outb(CMD + 7, 0xc8);
	assert_int_equal(inb(CMD + 7), IDLE | ERR);
	assert_int_equal(inb(CMD + 1), ABRT);
	/* Others have the pins: it waits for one. */
	guest_ram.pinned_limit = 0;
	assert_int_equal(dma(0xc8, 3, 1), 0x21);
	assert_int_equal(status_of(), BSY);
	fake_run_until(shim_tsc + tsc_hz() / 1000);
	assert_int_equal(status_of(), BSY);
	guest_ram.pinned_limit = 1;
	fake_run_until(shim_tsc + tsc_hz() / 1000);
	expect_done(inb(BM + 2));
	/* One page at a time is slow, and works. */
	prd(0, DATA, 8192, true);
	expect_done(dma(0xc8, 3, 16));
	expect_data(3, 8192, DATA);
	assert_int_equal(dma(0xc8, 3, 16) & 4, 4);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_read_and_write), cmocka_unit_test(test_small_pieces),
	    cmocka_unit_test(test_order),          cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_bad_tables),     cmocka_unit_test(test_short_tables),
	    cmocka_unit_test(test_in_flight),      cmocka_unit_test(test_end),
	    cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
