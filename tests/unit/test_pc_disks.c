/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of a PC that are not all of one kind (M11, M66). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_board.h"

static void outb(u64 port, u8 v)
{
	board_write(false, port, 1, v);
}

static u8 inb(u64 port)
{
	return (u8)board_read(false, port, 1);
}

/* Nothing of it is left behind when there is no memory, or no place for its ports. */
static void fails_clean(void)
{
	for (int i = 0; i < 4; i++) {
		board.fail_heap = i;
		assert_null(board_create(false));
		assert_int_equal(board.heap_blocks, 0);
		assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
	}
	board.fail_heap = -1;
	for (int i = 0; i < 4; i++) { /* its ports */
		board_io.fail = 17 + i;
		assert_null(board_create(false));
		assert_int_equal(board.heap_blocks, 0);
		assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
	}
	board_io.fail = -1;
}

/* Disks of several kinds: the IDE controller is there for its own, in their order, and the others keep their
 * slots. */
static void test_ata_disks(void **state)
{
	static const enum disk_model models[] = {DISK_SPLIT, DISK_IDE, DISK_PACKED, DISK_PIO};
	struct block disks[PC_MAX_DISKS];
	struct pc *pc;
	struct device_meters m;

	(void)state;
	shim_tsc = 1000000;
	board_init();
	for (unsigned i = 0; i < PC_MAX_DISKS; i++) {
		block_null_init(&disks[i], 64 + i);
		board.disks[i] = &disks[i];
		board.models[i] = models[i];
	}
	fails_clean();
	pc = board_create(false);
	board_is_documented();
	pc_bios_state(pc);
	assert_int_equal(pci_config(1 << 3, 0), 0x70008086);
	assert_int_equal(pci_config(1 << 3 | 1, 0), 0x70108086);
	for (unsigned slot = 2; slot < 32; slot++)
		assert_int_equal(pci_config(slot << 3, 0),
				 slot == PC_DISK_SLOT || slot == PC_DISK_SLOT + 2 ? 0x10421af4 : ~0u);
	static const u64 ports[] = {0x170, 0x177, 0x1f0, 0x1f7, 0x376, 0x3f6};
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		assert_non_null(board_find(false, ports[i]));
	assert_null(board_find(false, 0x3f7));
	/* Master with DMA, slave without. */
	for (unsigned i = 0; i < 2; i++) {
		u16 words[256];
		outb(0x1f6, (u8)(i << 4));
		outb(0x1f7, 0xec);
		assert_int_equal(inb(0x1f7), 0x58);
		for (unsigned k = 0; k < 256; k++)
			words[k] = (u16)board_read(false, 0x1f0, 2);
		assert_int_equal(words[60], i ? 67 : 65);
		assert_int_equal(words[49] >> 8 & 1, !i);
	}
	assert_int_equal(inb(0x177), 0xff);
	for (unsigned i = 0; i < PC_MAX_DISKS; i++) {
		pc_disk_meters(pc, i, &m);
		assert_true(m.doorbells == (i & 1) && m.interrupts == (i & 1));
		/* Of each: where to, the command, its status, 256 words; two more of the first of them. */
		assert_true(i & 1 ? m.accesses >= 258 : !m.accesses);
		assert_int_equal(m.copied, i & 1 ? 512 : 0);
	}
	pc_reset(pc);
	assert_int_equal(inb(0x1f7), 0xff);
	pc_destroy(pc);
	assert_int_equal(board.heap_blocks, 0);
	assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
	assert_int_equal(fake_timers_armed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ata_disks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
