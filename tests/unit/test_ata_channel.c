/* SPDX-License-Identifier: Apache-2.0 */
/* The IDE controller beside the commands: two drives and two channels, resets, what a busy drive takes, and
 * configuration space (M66, M67). */
#include "ata_driver.h"

/* Two drives and one; an absent channel. */
static void test_selection(void **state)
{
	(void)state;
	create(3, 0, 0);
	assert_int_equal(board_read(true, 0x376, 1), IDLE);
	board_write(true, 0x176, 1, 0x10); /* no drive 1 there */
	assert_int_equal(board_read(true, 0x177, 1), 0);
	assert_int_equal(board_read(true, 0x376, 1), 0);
	board_write(true, 0x177, 1, 0xec);
	assert_int_equal(board_read(true, 0x177, 1), 0);
	assert_int_equal(board.wires, 0);
	registers(0x10, 6, 1);
	outb(CMD + 7, 0x20);
	assert_true(irq());
	string_io(4, true, buf, 128);
	assert_memory_equal(buf, disks[1].media + 6 * 512, 512);
	assert_true(irq()); /* its status was not read */
	outb(CMD + 6, 0);
	assert_false(irq()); /* the other is selected, and has none */
	outb(CMD + 6, 0x10);
	expect_irq(IDLE);
	/* The second channel has a wire of its own. */
	board_write(true, 0x176, 1, 0x40);
	board_write(true, 0x177, 1, 0xec);
	assert_int_equal(board.wires, 1 << 15);
	board_read(true, 0x177, 1);
	assert_int_equal(board.wires, 0);
	destroy();
	create(1, 0, 0);
	assert_int_equal(board_read(true, 0x177, 1), 0xff);
	assert_int_equal(board_read(true, 0x376, 1), 0xff);
	assert_int_equal(board_read(true, 0x170, 4), 0xffffffff);
	board_write(true, 0x376, 1, 4);
	board_write(true, 0x177, 1, 0x90);
	assert_int_equal(board.wires, 0);
	destroy();
}

static void expect_signature(u8 error)
{
	static const u8 signature[] = {1, 1, 0, 0};

	assert_int_equal(inb(CMD + 1), error);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(inb(CMD + 2 + i), signature[i]);
	assert_int_equal(inb(CMD + 6) & 0x1f, 0);
}

static void test_resets(void **state)
{
	(void)state;
	create(2, 0, 0);
	registers(0x10, 0x123456, 9);
	outb(CTL, 4);
	assert_int_equal(status_of(), BSY);
	outb(CMD + 7, 0xec); /* busy: not taken */
	outb(CTL, 0);
	assert_int_equal(status_of(), IDLE);
	expect_signature(1);
	assert_false(irq());
	registers(0x10, 0x123456, 9);
	outb(CMD + 7, 0x90);
	expect_irq(IDLE);
	expect_signature(1);
	/* In the middle of data, and while the disk has it: busy until that is back, which goes nowhere. */
	ask(0x20, 0, 4);
	string_io(4, true, buf, 100);
	outb(CTL, 4);
	outb(CTL, 0);
	assert_int_equal(status_of(), IDLE);
	hold = true;
	ask(0x20, 0, 4);
	assert_int_equal(status_of(), BSY);
	outb(CTL, 6);
	outb(CTL, 2);
	assert_int_equal(status_of(), BSY);
	outb(CMD + 7, 0x20);
	assert_int_equal(nr_held, 1);
	let_go(0);
	assert_int_equal(status_of(), IDLE);
	expect_signature(1);
	outb(CTL, 4); /* back while the reset lasts */
	outb(CTL, 0);
	ask(0x20, 0, 4);
	outb(CTL, 4);
	let_go(0);
	assert_int_equal(status_of(), BSY);
	outb(CTL, 0);
	assert_int_equal(status_of(), IDLE);
	hold = false;
	ask(0x20, 0, 2);
	read_pio(0, 2, 1, 4);
	destroy();
}

/* A write to a port while the drive is busy or moves data changes nothing; nIEN keeps the wire down. */
static void test_busy(void **state)
{
	(void)state;
	create(2, 0, 0);
	hold = true;
	ask(0x20, 11, 1);
	assert_int_equal(status_of(), BSY);
	registers(0x10, 99, 7);
	outb(CMD + 7, 0x20);
	assert_int_equal(nr_held, 1);
	assert_int_equal(board_read(true, CMD, 2), 0xffff);
	assert_false(irq());
	let_go(0);
	hold = false;
	outb(CMD + 7, 0xec); /* DRQ */
	read_pio(11, 1, 1, 4);
	outb(CTL, 2);
	ask(0x20, 11, 1);
	assert_false(irq());
	outb(CTL, 0);
	assert_true(irq());
	read_pio(11, 1, 1, 4);
	destroy();
}

/* The channels are where the configuration space has switched them on. */
static void test_configuration(void **state)
{
	(void)state;
	create(1, 0, 0);
	assert_int_equal(cfg(0, 4), 0x70108086);
	assert_int_equal(cfg(8, 4), 0x01018000);
	assert_int_equal(cfg(0x20, 4), BM | 1);
	assert_int_equal(cfg(0x40, 4), 0x8000);
	assert_int_equal(pci_ecam_read(&board.bus, (u64)PCI_DEVFN(1, 0) << 12, 4), 0x70008086);
	assert_int_equal(pci_ecam_read(&board.bus, (u64)PCI_DEVFN(1, 0) << 12 | 8, 4) >> 8, 0x060100);
	assert_int_equal(pci_ecam_read(&board.bus, (u64)PCI_DEVFN(1, 0) << 12 | 14, 1), 0x80);
	assert_int_equal(inb(BM + 2), 0x20);
	cfg_set(0x41, 1, 0);
	assert_int_equal(inb(CMD + 7), 0xff);
	cfg_set(0x41, 1, 0x80);
	assert_int_equal(inb(CMD + 7), IDLE);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(inb(CMD + 7), 0xff);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_IO);
	ask(0xe0, 0, 0);
	set_features(3, 0x22);
	ata_reset(ata); /* as power-on */
	assert_int_equal(board.wires, 0);
	assert_int_equal(cfg(0x40, 4), 0);
	assert_int_equal(inb(CMD + 7), 0xff);
	ata_bios_state(ata);
	identify(0);
	assert_int_equal(word(63), 7);
	assert_true(ata_usage(ata) >= 2 * 16 * 512);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_selection),
	    cmocka_unit_test(test_resets),
	    cmocka_unit_test(test_busy),
	    cmocka_unit_test(test_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
