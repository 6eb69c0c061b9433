/* SPDX-License-Identifier: Apache-2.0 */
/* The PC as a whole: its map (M66: default deny for the rest, M67), its wiring, debug ports and test
 * device, and that nothing is left behind when it cannot be built. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake_board.h"
#include "pv.h"

static struct pc *pc;

static void outb(u64 port, u8 v)
{
	board_write(false, port, 1, v);
}

static u8 inb(u64 port)
{
	return (u8)board_read(false, port, 1);
}

static int setup(void **state)
{
	(void)state;
	shim_tsc = 1000000;
	board_init();
	pc = board_create(true);
	assert_non_null(pc);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pc_destroy(pc);
	assert_int_equal(board.heap_blocks, 0);
	assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
	assert_int_equal(fake_timers_armed(), 0);
	return 0;
}

/* What the map of docs/guest-machine.md says is there, and nothing else. */
static void test_map(void **state)
{
	static const struct {
		u64 first, last;
		bool test;
	} ports[] = {{0x20, 0x21, 0},   {0x40, 0x43, 0},   {0x60, 0x61, 0},     {0x64, 0x64, 0},
		     {0x70, 0x71, 0},   {0x92, 0x92, 0},   {0xa0, 0xa1, 0},     {0xe0, 0xe7, 1},
		     {0xe9, 0xe9, 0},   {0xf4, 0xf7, 0},   {0x3f8, 0x3ff, 0},   {0x4d0, 0x4d1, 0},
		     {0x600, 0x60b, 0}, {0xcf8, 0xcff, 0}, {0x2000, 0x2017, 1}, {0x2020, 0x2027, 1}};
	static const u64 mems[] = {0xe0000000, 0xfec00000};

	(void)state;
	for (unsigned test = 0; test < 2; test++) {
		pc_destroy(pc);
		pc = board_create(test);
		for (u64 port = 0; port < 0x10000; port++) {
			bool expected = false;
			for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
				expected |= port >= ports[i].first && port <= ports[i].last &&
					    (test || !ports[i].test);
			if ((board_find(false, port) != NULL) != expected)
				fail_msg("port 0x%lx, test device %u", (unsigned long)port, test);
		}
		for (unsigned i = 0; i < ARRAY_SIZE(mems); i++)
			assert_non_null(board_find(true, mems[i]));
		assert_int_equal(board_find(true, 0xff00ffff) != NULL, test);
		assert_null(board_find(true, 0xff010000));
		assert_null(board_find(true, 0xfee00000)); /* the local APIC is vcpu's */
		assert_int_equal(board_io.nr_mems, 2 + test);
	}
}

static void test_map_is_documented(void **state)
{
	(void)state;
	board_is_documented();
}

static void test_create_fails_clean(void **state)
{
	(void)state;
	unsigned regions = board_io.nr_ports + board_io.nr_mems;
	pc_destroy(pc);
	for (unsigned i = 0; i < regions; i++) {
		board_init();
		board_io.fail = (int)i;
		shim_last_log[0] = 0;
		assert_null(board_create(true));
		assert_non_null(strstr(shim_last_log, "board: no place for device region"));
		assert_int_equal(board.heap_blocks, 0);
		assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
		assert_int_equal(fake_timers_armed(), 0);
		assert_null(board.sinks.eoi);
	}
	for (int i = 0; i < 2; i++) {
		board_init();
		board.fail_heap = i;
		shim_last_log[0] = 0;
		assert_null(board_create(true));
		assert_non_null(strstr(shim_last_log, "board: no memory"));
		assert_int_equal(board.heap_blocks, 0);
		assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
	}
	setup(state);
}

static void set_models(enum disk_model model)
{
	for (unsigned i = 0; i < PC_MAX_DISKS; i++)
		board.models[i] = model;
}

/* One function for each, decoded as firmware leaves it; and none of them left behind by one that fails. */
static void test_disks(void **state)
{
	struct block disk;

	block_null_init(&disk, 64);
	for (unsigned n = 0; n <= PC_MAX_DISKS; n++) {
		pc_destroy(pc);
		for (unsigned i = 0; i < n; i++)
			board.disks[i] = &disk;
		pc = board_create(false);
		assert_non_null(pc);
		pc_bios_state(pc);
		for (unsigned slot = 1; slot < 32; slot++)
			assert_int_equal(pci_config(slot << 3, 0),
					 slot >= PC_DISK_SLOT && slot < PC_DISK_SLOT + n ? 0x10421af4 : ~0u);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(pci_config((PC_DISK_SLOT + i) << 3, 0x10), 0xc0000000 + 0x4000 * i);
			assert_int_equal(pci_config((PC_DISK_SLOT + i) << 3, 0x14), 0xc001 + 64 * i);
			/* Its capacity, through its BAR. */
			assert_int_equal(board_read(true, 0xc0000200 + 0x4000 * i, 4), 64);
		}
		assert_true(pc_usage(pc) >= n * sizeof(struct piece) * 2048);
		pc_reset(pc);
		assert_int_equal(pci_config(PC_DISK_SLOT << 3, 0x10), n ? 0 : ~0u);
	}
	/* Behind Socle rings: not on the bus, numbered from 0, and neither they leave anything behind. */
	struct socle_device d;
	pc_destroy(pc);
	set_models(DISK_SOCLE);
	pc = board_create(false);
	for (unsigned slot = 1; slot < 32; slot++)
		assert_int_equal(pci_config(slot << 3, 0), ~0u);
	for (unsigned i = 0; i <= PC_MAX_DISKS; i++)
		assert_int_equal(pv_query(pc_pv(pc), i, &d), i < PC_MAX_DISKS ? 0 : ERR_NOENT);
	assert_true(pc_usage(pc) >= PC_MAX_DISKS * sizeof(struct piece) * 2048);
	pc_reset(pc);
	for (int i = 0; i <= 2 * PC_MAX_DISKS + 1; i++) {
		set_models(i > PC_MAX_DISKS ? DISK_SOCLE : DISK_SPLIT);
		pc_destroy(pc);
		board.fail_heap = i % (PC_MAX_DISKS + 1);
		assert_null(board_create(false));
		assert_int_equal(board.heap_blocks, 0);
		assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
		assert_int_equal(fake_timers_armed(), 0);
		board.fail_heap = -1;
		pc = board_create(false);
	}
	(void)state;
}

/* The entropy device: there where it is asked for, and taken away again. */
static void test_rng(void **state)
{
	for (unsigned there = 0; there < 2; there++) {
		pc_destroy(pc);
		board.rng = there;
		pc = board_create(false);
		pc_bios_state(pc);
		u64 usage = pc_usage(pc);
		assert_int_equal(pci_config(PC_RNG_SLOT << 3, 0), there ? 0x10441af4 : ~0u);
		assert_int_equal(pci_config(PC_RNG_SLOT << 3, 0x10), there ? 0xc0000000 : ~0u);
		pc_reset(pc);
		assert_int_equal(pci_config(PC_RNG_SLOT << 3, 0x10), there ? 0 : ~0u);
		board.rng = false;
		pc_destroy(pc);
		pc = board_create(false);
		assert_int_equal(usage > pc_usage(pc), there);
	}
	pc_destroy(pc);
	board.rng = true;
	board.fail_heap = 1;
	assert_null(board_create(false));
	assert_non_null(strstr(shim_last_log, "board: rng: no memory"));
	assert_int_equal(board.heap_blocks, 0);
	assert_int_equal(board_io.nr_ports + board_io.nr_mems, 0);
	setup(state);
}

static void test_debug_ports(void **state)
{
	(void)state;
	assert_int_equal(inb(0xe9), 0xe9);
	outb(0xe9, 'd');
	assert_int_equal(board.debug_n, 1);
	assert_int_equal(board.debug[0], 'd');
	assert_int_equal(inb(0xf4), 0);
	outb(0xf5, 1);
	assert_int_equal(board.stopped, GUEST_RUNNING);
	board_write(false, 0xf4, 4, 0x12345678);
	assert_int_equal(board.stopped, GUEST_DEBUG_EXIT);
	assert_int_equal(board.stop_code, 0x12345678);
	outb(0xf4, 0x31);
	assert_int_equal(board.stop_code, 0x31);
}

static void test_console(void **state)
{
	(void)state;
	outb(0x3f8, 'A');
	assert_int_equal(board.console_n, 1);
	assert_int_equal(board.console[0], 'A');
	outb(0x3fa, 0x01);
	u8 text[20];
	memset(text, 'x', sizeof(text));
	assert_int_equal(pc_console_input(pc, text, 10), 10);
	assert_int_equal(pc_console_input(pc, text, 10), 6);
	assert_int_equal(board.rooms, 0);
	inb(0x3f8);
	assert_int_equal(board.rooms, 1);
	inb(0x3f8);
	assert_int_equal(board.rooms, 1); /* told once */
	assert_int_equal(pc_console_input(pc, text, 1), 1);
}

/* In COM1's place for what is typed; what comes from there is shown still. */
static void test_virtio_console(void **state)
{
	u64 without = ~0ull;
	for (unsigned there = 0; there < 2; there++) {
		pc_destroy(pc);
		board.virtio_console = there;
		pc = board_create(false);
		pc_bios_state(pc);
		assert_int_equal(pci_config(PC_CONSOLE_SLOT << 3, 0), there ? 0x10431af4 : ~0u);
		board.console_n = 0;
		outb(0x3f8, 'A');
		assert_int_equal(board.console_n, 1);
		/* Without a driver it takes nothing, and COM1 gets nothing. */
		assert_int_equal(pc_console_input(pc, (const u8 *)"x", 1), !there);
		assert_int_equal(inb(0x3fd) & 1, !there);
		pc_reset(pc);
		assert_int_equal(pci_config(PC_CONSOLE_SLOT << 3, 0x10), there ? 0 : ~0u);
		assert_int_equal(pc_usage(pc) > without, there);
		without = pc_usage(pc);
	}
	pc_destroy(pc);
	board.fail_heap = 1;
	assert_null(board_create(false));
	assert_non_null(strstr(shim_last_log, "board: no memory for a virtio console"));
	assert_int_equal(board.heap_blocks, 0);
	setup(state);
}

static void test_testdev_latch(void **state)
{
	(void)state;
	board_write(false, 0xe0, 4, 0x44332211);
	assert_int_equal(inb(0xe0), 0x11);
	assert_int_equal(inb(0xe3), 0x44);
	assert_int_equal(board_read(false, 0xe1, 2), 0x3322);
	board_write(false, 0xe1, 2, 0xbbaa);
	outb(0xe3, 0xcc);
	assert_int_equal(board_read(false, 0xe0, 4), 0xccbbaa11);
	assert_int_equal(board_read(false, 0xe2, 2), 0xccbb);
	/* QEMU's byte-wide copy at 0xe8 gives way to the debug port. */
	assert_int_equal(inb(0xe8), 0xff);
}

static void test_testdev_hide(void **state)
{
	(void)state;
	board_write(false, 0xe4, 4, 0x00123456);
	assert_int_equal(board.hides, 1);
	assert_int_equal(board.hidden, 0x00123000);
	board_write(false, 0xe4, 2, 0x5678); /* 32 bits only */
	outb(0xe4, 0);
	assert_int_equal(board.hides, 1);
	board_write(false, 0xe4, 4, 0xffffffff); /* no RAM: harmless */
	assert_int_equal(board.hidden, 0xfffff000);
	assert_int_equal(board.stopped, GUEST_RUNNING);
	assert_int_equal(board_read(false, 0xe4, 4), 0xffffffff);
}

static void test_testdev_meter(void **state)
{
	(void)state;
	board.meter = 0x1122334455667788;
	board_write(false, 0x2020, 4, 0x102);
	assert_int_equal(board.meter_asked, 0x102);
	board.meter = 0; /* as it was when it was taken */
	assert_int_equal(board_read(false, 0x2020, 4), 0x55667788);
	assert_int_equal(board_read(false, 0x2024, 4), 0x11223344);
	board_write(false, 0x2024, 4, 1);
	board_write(false, 0x2020, 2, 2);
	assert_int_equal(board.meter_asked, 0x102);
	assert_int_equal(board_read(false, 0x2020, 4), 0x55667788);
	/* Those of its disks and networks, which the VM knows. */
	board.meter = 41;
	board_write(false, 0x2020, 4, GUEST_METER_COPIED);
	assert_int_equal(board.meter_asked, 0x104);
	assert_int_equal(board_read(false, 0x2020, 4), 42);
}

static void test_testdev_memory(void **state)
{
	(void)state;
	assert_int_equal(board_read(true, 0xff000000, 8), 0);
	board_write(true, 0xff000ff8, 8, 0x1122334455667788);
	assert_int_equal(board_read(true, 0xff000ffa, 4), 0x33445566);
	board_write(true, 0xff000ff9, 2, 0xabcd);
	assert_int_equal(board_read(true, 0xff000ff8, 8), 0x1122334455abcd88);
	board_write(true, 0xff00ffff, 1, 0x99);
	assert_int_equal(board_read(true, 0xff00ffff, 1), 0x99);
	assert_int_equal(board_read(true, 0xff00fffe, 4), 0xffff9900); /* the end */
}

static void ioapic_entry(unsigned pin, u32 low)
{
	board_write(true, 0xfec00000, 4, 0x10 + 2 * pin);
	board_write(true, 0xfec00010, 4, low);
}

/* A line of the test device reaches both chips within the OUT. */
static void test_testdev_lines(void **state)
{
	(void)state;
	pc_bios_state(pc);
	outb(0x21, 0);
	outb(0xa1, 0);
	fake_run_until(shim_tsc); /* the PIT has raised its line already */
	board.sinks.extint_ack(board.sinks.extint_opaque);
	outb(0x20, 0x20);
	assert_false(board.extint);
	for (unsigned n = 0; n < 16; n++) {
		if (n == 0 || n == 2)
			continue; /* the timer's, the cascade */
		outb(0x2000 + n, 0);
		outb(0x2000 + n, 1);
		assert_true(board.extint);
		assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque),
				 n < 8 ? 8 + n : 0x70 + n - 8);
		outb(0xa0, 0x20);
		outb(0x20, 0x20);
		outb(0x2000 + n, 0);
		assert_false(board.extint);
	}
	for (unsigned n = 3; n < 24; n++) {
		ioapic_entry(n, 0x40 + n);
		unsigned before = board.messages;
		outb(0x2000 + n, 0x80); /* any value but 0 */
		assert_int_equal(board.messages, before + 1);
		assert_int_equal(board.msg.vector, 0x40 + n);
		outb(0x2000 + n, 0);
	}
	assert_int_equal(inb(0x2000), 0xff);
}

static void test_timer_wiring(void **state)
{
	(void)state;
	pc_bios_state(pc);
	assert_true(board.extint); /* OUT rose when the BIOS set mode 3 */
	assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque), 0x08);
	outb(0x20, 0x20);
	ioapic_entry(2, 0x31);
	unsigned before = board.messages;
	fake_run_until(shim_tsc + 60000000); /* one period of 54.9 ms */
	assert_true(board.extint);
	assert_int_equal(board.messages, before + 1); /* IRQ 0 is pin 2 */
	assert_int_equal(board.msg.vector, 0x31);
	assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque), 0x08);
}

static void test_power(void **state)
{
	(void)state;
	board_write(false, 0x602, 2, 0x100);
	pc_bios_state(pc);
	assert_int_equal(inb(0x4d0), 0);
	assert_int_equal(inb(0x4d1), 0x0e); /* level triggered: the SCI, and 10 and 11, where PCI's are */
	outb(0x21, 0xfb);
	outb(0xa1, 0xfd);
	pc_power_button(pc);
	assert_true(board.extint);
	assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque), 0x71);
	board_write(false, 0x604, 2, 0x2000);
	assert_int_equal(board.stopped, GUEST_POWEROFF);
	outb(0x64, 0xfe);
	assert_int_equal(board.stopped, GUEST_RESET);
	board.stopped = GUEST_RUNNING;
	board_write(false, 0xcf8, 4, 0x80000600); /* a configuration address is not the reset port */
	assert_int_equal(board.stopped, GUEST_RUNNING);
	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06);
	assert_int_equal(board.stopped, GUEST_RESET);
	assert_int_equal(inb(0xcf9), 0x06);
	assert_int_equal(board_read(false, 0xcf8, 4), 0x80000600);
}

static void test_reset(void **state)
{
	(void)state;
	pc_bios_state(pc);
	outb(0x2005, 1);
	outb(0xe0, 0x55);
	outb(0x3fc, 0x0b);
	outb(0x3f9, 0x02);
	board_write(true, 0xff000000, 4, 1);
	outb(0x70, 0x0b);
	outb(0x71, 0x42);
	outb(0x70, 0x50);
	outb(0x71, 0x77);
	assert_int_equal(fake_timers_armed(), 2);
	assert_true(board.extint);
	pc_reset(pc);
	assert_int_equal(fake_timers_armed(), 0);
	assert_false(board.extint);
	assert_int_equal(board_read(false, 0xe0, 4), 0);
	assert_int_equal(board_read(true, 0xff000000, 4), 0);
	assert_int_equal(inb(0x21), 0xff);
	assert_int_equal(inb(0x3f9), 0);
	outb(0x70, 0x50);
	assert_int_equal(inb(0x71), 0x77); /* the battery */
	/* As new: every line is low, so that a rise is an edge. */
	pc_bios_state(pc);
	assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque), 0x08);
	outb(0x20, 0x20);
	outb(0x21, 0xdf);
	assert_false(board.extint);
	outb(0x2005, 1);
	assert_int_equal(board.sinks.extint_ack(board.sinks.extint_opaque), 0x0d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_map, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_map_is_documented, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_create_fails_clean, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_disks, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rng, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_virtio_console, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_debug_ports, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_console, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_testdev_latch, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_testdev_hide, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_testdev_meter, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_testdev_memory, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_testdev_lines, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_timer_wiring, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_power, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
	};
	return cmocka_run_group_tests_name("M66 M67 pc", tests, NULL, NULL);
}
