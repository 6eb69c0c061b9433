/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio console against a driver written from virtio 1.2, 5.3, with split and packed rings: every byte
 * arrives, once and in order, both ways, however slow the other end is; and what a flood takes of a CPU is
 * bounded (M42). */
#include "virtio_console_board.h"

/* ---- what it is ---- */
static void identity(void **state)
{
	(void)state;
	create();
	assert_int_equal(cfg(0, 4), 0x10431af4);
	assert_int_equal(device_features(),
			 RINGS | VIRTIO_F_RING_PACKED); /* neither size, ports nor emergency */
	assert_int_equal(common(0x12, 2), 2);
	assert_int_equal(seen.config_bytes, 12);
	assert_int_equal(board_read(false, seen.config, 4), 0);
	assert_int_equal(board_read(false, seen.config + 4, 4), 1);
	board_write(false, seen.config + 8, 4, 'x'); /* emerg_wr: not negotiated */
	assert_int_equal(nr_shown, 0);
	assert_true(virtio_console_usage(console) > 0);
	destroy();
}

/* ---- output ---- */
static void output_of_any_size(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create();
		go(16, ring_features(l));
		u32 sum = 0;
		for (u32 n = 1; n <= 300; n++) {
			u16 id;
			u32 len;
			text_at(DATA + n % 9, n, sum);
			send(DATA + n % 9, n);
			kick(1);
			sum += n;
			/* Those of at most a turn are shown when the driver goes on. */
			if (n <= 256)
				assert_int_equal(nr_shown, sum);
			fake_run_until(shim_tsc + 100000);
			assert_true(driver_used(&tx, &id, &len));
			driver_want_event(&tx, 0);
			assert_int_equal(len, 0);
			assert_int_equal(nr_shown, sum);
		}
		check_shown(sum);
		assert_in_range(largest, 1, 128);
		assert_int_equal(fake_timers_armed(), 0);
		destroy();
	}
}

static void output_in_parts(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (u32 parts = 1; parts <= 8; parts++)
			for (u32 each = 1; each < 200; each += 33) {
				struct buffer b[8];
				u16 id;
				u32 len;
				create();
				go(16, ring_features(l));
				for (u32 i = 0; i < parts; i++) {
					b[i] = (struct buffer){DATA + 0x1000 * i + 0xff0, each, false};
					text_at(b[i].gpa, each, i * each);
				}
				/* An empty one is used as well. */
				send(DATA, 0);
				driver_add(&tx, b, parts, true);
				kick(1);
				fake_run_until(shim_tsc + 1000000);
				assert_true(driver_used(&tx, &id, &len));
				assert_true(driver_used(&tx, &id, &len));
				check_shown(parts * each);
				destroy();
			}
}

/* 64 buffers of 4 KiB: turns of 256 bytes, then a rest of three times as long as the turn took. */
static void a_flood(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u32 done = 0, turns = 1;
		u16 id;
		u32 len;
		create();
		go(64, ring_features(l));
		byte_ticks = 100;
		text_at(DATA, 0x10000, 0);
		for (u32 i = 0; i < 16; i++)
			send(DATA + 0x1000 * i, 0x1000);
		kick(1);
		assert_int_equal(nr_shown, 256);
		while (fake_timers_armed()) {
			u64 due = fake_timer_first()->deadline, before = nr_shown;
			/* The fake's clock counts from where the turn began. */
			assert_int_equal(due - shim_tsc, (turns == 1 ? 3 : 4) * 256 * 100);
			fake_run_until(due);
			assert_in_range(nr_shown - before, 0, 256);
			turns++;
			while (driver_used(&tx, &id, &len))
				done++;
		}
		assert_int_equal(done, 16);
		assert_in_range(turns, 256, 257);
		check_shown(0x10000);
		destroy();
	}
}

/* A driver that tells again while the device rests pays itself. */
static void kicks_during_the_rest(void **state)
{
	(void)state;
	create();
	go(16, ring_features(0));
	text_at(DATA, 0x1000, 0);
	send(DATA, 0x1000);
	kick(1);
	for (u32 i = 2; i <= 16; i++) {
		assert_int_equal(nr_shown, (i - 1) * 256);
		doorbell(1);
	}
	check_shown(0x1000);
	fake_run_until(shim_tsc + 1000000);
	check_shown(0x1000);
	destroy();
}

/* ---- input ---- */
static void input_comes_in(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u32 got = 0, seq = 0;
		create();
		type(3); /* before there is a driver */
		assert_int_equal(first_waiting, 0);
		go(16, ring_features(l));
		assert_int_equal(rooms, 1);
		for (u32 n = 1; n <= 60; n++) {
			u16 id;
			u32 len;
			offer(DATA, n); /* of n bytes */
			kick(0);
			type(n % 5);
			offer(DATA + 0x1000, 64);
			kick(0);
			for (gpa_t gpa = DATA; driver_used(&rx, &id, &len); gpa += 0x1000) {
				/* Which buffer it is does not matter here: they come back in order. */
				assert_in_range(len, 1, 64);
				got += len;
			}
			driver_want_event(&rx, 0);
			seq++;
			if (rx.room < 6) {
				type(40);
				while (driver_used(&rx, &id, &len))
					got += len;
			}
		}
		assert_int_equal(got, first_waiting);
		assert_true(got > 100);
		destroy();
	}
}

/* Each byte once, in order, through buffers of all sizes, with never enough of them. */
static void input_loses_nothing(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u8 got[4096];
		u32 n = 0, size = 1;
		create();
		go(8, ring_features(l));
		while (n < 4000) {
			u16 id;
			u32 len;
			u32 sizes[3] = {size % 17 + 1, size % 5 + 1, size % 129 + 1};
			if (nr_waiting < 4000)
				type(MIN(97u, 4000 - nr_waiting));
			for (u32 i = 0; i < 3; i++)
				offer(DATA + 0x1000 * i + 0xff8, sizes[i]);
			kick(0);
			for (u32 i = 0; i < 3; i++) {
				if (!driver_used(&rx, &id, &len)) {
					/* They stay for what is typed next: this round takes them back. */
					type(0);
					break;
				}
				assert_int_equal(len, MIN(sizes[i], 4000 - n));
				assert_int_equal(
				    gmem_read(&guest_ram, DATA + 0x1000 * i + 0xff8, got + n, len), 0);
				n += len;
			}
			size++;
		}
		assert_memory_equal(got, waiting, 4000);
		assert_int_equal(first_waiting, 4000);
		destroy();
	}
}

static void input_tells_the_driver(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create();
		go(8, ring_features(l));
		driver_want_event(&rx, 0);
		for (u32 i = 0; i < 4; i++)
			offer(DATA + 0x100 * i, 16);
		kick(0);
		type(1);
		assert_int_equal(board.messages, 1);
		type(40); /* into three buffers, with one message; the driver wants none before it has looked
			   */
		assert_int_equal(first_waiting, 41);
		assert_int_equal(board.messages, 1);
		u16 id;
		u32 len;
		for (u32 i = 0; i < 4; i++) {
			assert_true(driver_used(&rx, &id, &len));
			assert_int_equal(len, i == 0 ? 1 : i == 3 ? 8 : 16);
		}
		driver_want_event(&rx, 0);
		type(1);
		assert_int_equal(first_waiting, 41);
		assert_int_equal(rooms, 0);
		offer(DATA, 16);
		kick(0);
		assert_int_equal(rooms, 1);
		assert_int_equal(first_waiting, 42);
		assert_int_equal(board.messages, 2);
		destroy();
	}
}

static bool no_memory;

void *heap_alloc(size_t size)
{
	return no_memory ? NULL : calloc(1, size);
}

static void no_place(void **state)
{
	const struct virtio_console_setup setup = {.output = output, .room = room, .opaque = &board};

	(void)state;
	create();
	shim_quiet = 1;
	assert_null(virtio_console_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup));
	assert_string_equal(shim_last_log, "board: no place for a virtio console on the PCI bus");
	no_memory = true;
	assert_null(virtio_console_create(BOARD_GUEST, &board.bus, PCI_DEVFN(5, 0), &setup));
	assert_string_equal(shim_last_log, "board: no memory for a virtio console");
	no_memory = false;
	shim_quiet = 0;
	virtio_console_destroy(NULL);
	destroy();
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(identity),
	    cmocka_unit_test(output_of_any_size),
	    cmocka_unit_test(output_in_parts),
	    cmocka_unit_test(a_flood),
	    cmocka_unit_test(kicks_during_the_rest),
	    cmocka_unit_test(input_comes_in),
	    cmocka_unit_test(input_loses_nothing),
	    cmocka_unit_test(input_tells_the_driver),
	    cmocka_unit_test(no_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
