/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio disk with many requests: completions in any order (M71), one doorbell and one interrupt for a
 * batch (M84), turns that end, and reset in the middle. */
#include "virtio_blk_board.h"

/* ---- many at once ---- */
static u32 seed = 1;

static u32 dice(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* A disk that completes in any order, more requests than there are slots, data of each its own. */
static void any_order(void **state)
{
	static u64 wants[256];
	static unsigned tag_of[256];

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		unsigned added = 0, done = 0, tag_busy[120] = {0};
		create(0, l);
		go(256, layout(l));
		hold = true;
		while (done < 5000) {
			for (unsigned n = dice(90); n && added < 5000; n--) {
				unsigned tag = dice(120);
				if (tag_busy[tag] || !driver.room)
					continue;
				u64 sector = dice(SECTORS - 1);
				u16 id = add(tag, IN, sector, DATA + 0x200ull * tag, 512);
				wants[id] = sector;
				tag_of[id] = tag;
				tag_busy[tag] = 1;
				added++;
			}
			ring();
			for (unsigned n = dice(100); n && nr_held; n--)
				let_go(dice(nr_held));
			fake_run_until(++shim_tsc);
			assert_true(nr_held <= 64);
			u16 id;
			u32 len;
			while (driver_used(&driver, &id, &len)) {
				unsigned tag = tag_of[id];
				assert_int_equal(len, 513);
				assert_int_equal(answer(tag), 0);
				assert_int_equal(*(u8 *)at(DATA + 0x200ull * tag, 1), (u8)(wants[id] * 7));
				tag_busy[tag] = 0;
				done++;
			}
			if (done == added && added == 5000)
				break;
		}
		assert_int_equal(done, 5000);
		assert_int_equal(driver.room, 256);
		destroy();
	}
}

/* Requests of many pieces: those that there is no room for wait, and nobody's pieces become another's. */
static void many_pieces(void **state)
{
	const u32 pieces = 168, requests = 20;
	unsigned most = 0;

	(void)state;
	create(0, false);
	go(32, layout(0));
	hold = true;
	for (u32 i = 0; i < pieces; i++)
		fill(HIGH_BASE + 1024 * i, 512, (u8)(i + 1));
	for (u32 r = 0; r < requests; r++) {
		const gpa_t table = DATA + 0x1000ull * r;
		header(r, OUT, r * pieces);
		desc_write(table, header_of(r), 16, VIRTQ_DESC_NEXT, 1);
		for (u32 i = 0; i < pieces; i++)
			desc_write(table + 16 * (i + 1), HIGH_BASE + 1024 * ((i * 5 + r) % pieces), 512,
				   VIRTQ_DESC_NEXT, (u16)(i + 2));
		desc_write(table + 16 * (pieces + 1), header_of(r) + 16, 1, VIRTQ_DESC_WRITE, 0);
		desc_write(driver.s.desc + 16 * r, table, 16 * (pieces + 2), VIRTQ_DESC_INDIRECT, 0);
		split_publish(&driver, (u16)r);
	}
	doorbell(0);
	for (unsigned round = 0; round < 100 && get16(driver.s.device + 2) != requests; round++) {
		most = MAX(most, nr_held);
		if (nr_held)
			let_go(dice(nr_held));
		fake_run_until(++shim_tsc);
	}
	assert_int_equal(get16(driver.s.device + 2), requests);
	assert_in_range(most, 3, 6);
	for (u32 r = 0; r < requests; r++) {
		assert_int_equal(answer(r), 0);
		for (u32 i = 0; i < pieces; i++)
			assert_int_equal(media[(r * pieces + i) * 512 + 7], (u8)((i * 5 + r) % pieces + 1));
	}
	destroy();
}

static u8 status_meanwhile;

static void look(void)
{
	status_meanwhile = status();
}

/* The last request comes back while a reset waits for it, and others stood behind it: whoever brings it back
 * is going to arm a timer, and until then the device is not at rest, however many CPUs look. */
static void a_reset_waits_for_the_timer(void **state)
{
	(void)state;
	create(0, false);
	go(256, layout(0) & ~VIRTIO_F_EVENT_IDX); /* each completion is told of */
	hold = true;
	for (unsigned tag = 0; tag < 70; tag++)
		add(tag, IN, tag, DATA + 0x200ull * tag, 512);
	ring();
	assert_int_equal(nr_held, 64);
	while (nr_held > 1) /* slots come back in their order: no room, as long as the first is away */
		let_go(nr_held - 1);
	fake_run_until(++shim_tsc);
	assert_int_equal(nr_held, 1);
	common_set(0x14, 1, 0);
	assert_int_not_equal(status(), 0);
	board.on_message = look;
	status_meanwhile = 0;
	board.messages = 0;
	let_go(0);
	assert_int_equal(board.messages, 1);
	assert_int_not_equal(status_meanwhile, 0);
	assert_int_equal(fake_timers_armed(), 1);
	board.on_message = NULL;
	assert_int_equal(status(), 0);
	destroy();
}

/* A batch is one doorbell and one interrupt; a turn has an end, and a timer goes on. */
static void batches(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u16 id;
		u32 len;
		create(0, l);
		go(256, layout(l));
		for (unsigned round = 0; round < 20; round++) {
			unsigned doorbells = 0;
			driver_want_event(&driver, 0);
			for (unsigned i = 0; i < 32; i++) {
				add(i, IN, i, DATA + 512 * i, 512);
				if (driver_kick(&driver))
					doorbells++;
			}
			assert_int_equal(doorbells, 1);
			board.messages = 0;
			doorbell(0);
			assert_int_equal(board.messages, 1);
			for (unsigned i = 0; i < 32; i++)
				assert_true(driver_used(&driver, &id, &len));
			assert_int_equal(fake_timers_armed(), 0);
		}
		for (unsigned i = 0; i < 100; i++)
			add(i, IN, i, DATA + 512 * i, 512);
		doorbell(0);
		assert_int_equal(fake_timers_armed(), 1);
		unsigned now = 0, later = 0;
		while (driver_used(&driver, &id, &len))
			now++;
		assert_in_range(now, 32, 64);
		doorbell(0); /* does no harm */
		fake_run_until(++shim_tsc);
		while (driver_used(&driver, &id, &len))
			later++;
		assert_int_equal(now + later, 100);
		/* A large one is a turn. */
		submits = 0;
		add(0, OUT, 0, HIGH_BASE, 0x40000);
		for (unsigned i = 1; i < 20; i++)
			add(i, OUT, 0, HIGH_BASE, 0x40000);
		doorbell(0);
		assert_in_range(submits, 1, 5);
		for (unsigned i = 0; i < 20; i++)
			fake_run_until(++shim_tsc);
		assert_int_equal(submits, 20);
		destroy();
	}
}

/* ---- reset in the middle ---- */
static void reset_in_flight(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(0, l);
		go(16, layout(l));
		hold = true;
		add(0, IN, 1, DATA, 512);
		add(1, IN, 2, DATA + 512, 512);
		doorbell(0);
		assert_int_equal(nr_held, 2);
		common_set(0x14, 1, 0);
		assert_int_not_equal(status(), 0);
		add(2, IN, 3, DATA + 1024, 512);
		doorbell(0);
		assert_int_equal(nr_held, 2);
		let_go(1);
		assert_int_not_equal(status(), 0);
		let_go(0);
		assert_int_equal(status(), 0);
		hold = false;
		cfg_set(seen.msix + 2, 2, 0);
		go(8, layout(l));
		assert_int_equal(ask(IN, 9, DATA, 512, NULL), 0);
		assert_int_equal(*(u8 *)at(DATA, 1), 63);
		virtio_blk_reset(blk);
		assert_int_equal(status(), 0);
		destroy();
	}
}

/* Without FLUSH a write that has been answered is on the medium (5.2.5.1). */
static void write_through(void **state)
{
	(void)state;
	create(BLOCK_VOLATILE, false);
	go(16, layout(0));
	assert_int_equal(ask(OUT, 0, DATA, 512, NULL), 0);
	assert_int_equal(seen_flags, 0);
	go(16, layout(0) & ~F_FLUSH);
	assert_int_equal(ask(OUT, 0, DATA, 512, NULL), 0);
	assert_int_equal(seen_flags, BLOCK_FUA);
	assert_int_equal(range(ZEROES, 0, 1, 0, 16), 0);
	assert_int_equal(seen_flags, BLOCK_FUA);
	assert_int_equal(ask(IN, 0, DATA, 512, NULL), 0);
	assert_int_equal(seen_flags, 0);
	destroy();
}

static void not_before_it_may(void **state)
{
	(void)state;
	create(0, false);
	/* Doorbells of a queue that is not there yet, and before DRIVER_OK. */
	doorbell(0);
	driver_init(&driver, 16, layout(0), QUEUE);
	assert_true(negotiate(layout(0)));
	queue_place(0, &driver.s);
	doorbell(0);
	common_set(0x1c, 2, 1);
	add(0, IN, 0, DATA, 512);
	doorbell(0);
	assert_int_equal(submits, 0);
	common_set(0x14, 1, 15);
	assert_int_equal(submits, 1);
	cfg_set(PCI_COMMAND, 2, 3);
	add(1, IN, 0, DATA, 512);
	doorbell(0);
	assert_int_equal(submits, 1);
	cfg_set(PCI_COMMAND, 2, 7);
	assert_int_equal(submits, 2);
	destroy();
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(any_order),
	    cmocka_unit_test(many_pieces),
	    cmocka_unit_test(a_reset_waits_for_the_timer),
	    cmocka_unit_test(batches),
	    cmocka_unit_test(reset_in_flight),
	    cmocka_unit_test(write_through),
	    cmocka_unit_test(not_before_it_may),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
