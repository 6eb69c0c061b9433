/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio console and drivers that mean ill (M67): buffers that are none, indices that jump, resets and
 * doorbells at the worst moment. */
#include "virtio_console_board.h"

static void hostile_buffers(void **state)
{
	static const struct buffer bad_out[][2] = {
	    {{DATA, 16, false}, {DATA + 16, 16, true}}, /* something to write */
	    {{DATA, 16, true}, {DATA + 16, 16, true}},     {{DATA, 16, false}, {HOLE, 1, false}},
	    {{DATA, 0xffffffff, false}, {DATA, 1, false}}, {{~0ull - 3, 8, false}, {DATA, 1, false}},
	};

	(void)state;
	for (unsigned l = 0; l < 2; l++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad_out) + ARRAY_SIZE(bad_to_write); i++) {
			bool in = i >= ARRAY_SIZE(bad_out);
			u16 id;
			u32 len;
			create();
			go(16, ring_features(l));
			if (in) {
				driver_add(&rx, bad_to_write[i - ARRAY_SIZE(bad_out)], 2, true);
				doorbell(0);
				assert_int_equal(status(), 15); /* nobody has looked at it */
				type(5);
				assert_int_equal(first_waiting, 0);
			} else {
				driver_add(&tx, bad_out[i], 2, true);
				kick(1);
			}
			assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
			assert_int_equal(board.messages, 1);
			assert_int_equal(nr_shown, 0);
			/* It does nothing any more, until a reset; what was typed waits. */
			send(DATA, 16);
			doorbell(1);
			offer(DATA, 16);
			doorbell(0);
			assert_int_equal(nr_shown, 0);
			assert_int_equal(board.messages, 1);
			assert_int_equal(fake_timers_armed(), 0);
			go(16, ring_features(l));
			text_at(DATA, 16, 0);
			send(DATA, 16);
			kick(1);
			check_shown(16);
			offer(DATA, 16);
			kick(0);
			type(1);
			assert_true(driver_used(&rx, &id, &len));
			assert_int_equal(len, in ? 5 : 1);
			destroy();
		}
}

/* More pieces than the device keeps: 300 in pages that lie apart in the host. */
static void a_buffer_in_very_many_parts(void **state)
{
	(void)state;
	for (unsigned much = 0; much < 2; much++) {
		const gpa_t table = 0x18000;
		u32 n = 200, size = much ? 0x18000 : 100;
		create();
		go(256, ring_features(0));
		text_at(HIGH_BASE, 200 * 100, 0);
		for (u32 i = 0; i < n; i++)
			desc_write(table + 16 * i, HIGH_BASE + 100 * (much ? 1 : i), size,
				   i + 1 < n ? VIRTQ_DESC_NEXT : 0, (u16)(i + 1));
		desc_write(tx.s.desc, table, 16 * n, VIRTQ_DESC_INDIRECT, 0);
		tx.descs_of[0] = 1;
		split_publish(&tx, 0);
		doorbell(1);
		fake_run_until(shim_tsc + 1000000000);
		if (much) {
			assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
			assert_int_equal(nr_shown, 0);
		} else {
			assert_int_equal(status(), 15);
			check_shown(200 * 100);
		}
		destroy();
	}
}

static void reset_it(void)
{
	meanwhile = NULL;
	common_set(0x14, 1, 0);
	assert_int_not_equal(status(), 0); /* it is sending */
}

static void take_the_bus(void)
{
	meanwhile = NULL;
	cfg_set(PCI_COMMAND, 2, 3);
}

static void ring_again(void)
{
	meanwhile = NULL;
	doorbell(1);
	doorbell(0);
}

static void resets(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u16 id;
		u32 len;
		create();
		go(16, ring_features(l));
		text_at(DATA, 0x1000, 0);
		/* While bytes leave. */
		send(DATA, 300);
		meanwhile = reset_it;
		kick(1);
		assert_int_equal(nr_shown, 128);
		assert_int_equal(status(), 0);
		/* Between two turns: what was begun is forgotten. */
		go(16, ring_features(l));
		nr_shown = 0;
		send(DATA, 0x1000);
		kick(1);
		assert_int_equal(fake_timers_armed(), 1);
		common_set(0x14, 1, 0);
		go(16, ring_features(l));
		fake_run_until(shim_tsc + 10000000);
		check_shown(256);
		nr_shown = 0;
		send(DATA, 10);
		kick(1);
		check_shown(10);
		assert_true(driver_used(&tx, &id, &len));
		/* The machine's, in the middle of what was put off. */
		send(DATA, 0x1000);
		doorbell(1);
		virtio_console_reset(console);
		assert_int_equal(fake_timers_armed(), 0);
		assert_int_equal(status(), 0);
		destroy();
	}
}

static void other_moments(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		u16 id;
		u32 len;
		create();
		go(16, ring_features(l));
		text_at(DATA, 0x1000, 0);
		/* The bus is taken away and given back: it goes on where it was. */
		send(DATA, 0x400);
		meanwhile = take_the_bus;
		kick(1);
		fake_run_until(shim_tsc + 10000000);
		assert_int_equal(nr_shown, 128);
		offer(DATA + 0x1000, 16);
		doorbell(0);
		type(3);
		assert_int_equal(first_waiting, 0);
		cfg_set(PCI_COMMAND, 2, 7);
		fake_run_until(shim_tsc + 10000000);
		check_shown(0x400);
		assert_int_equal(first_waiting, 3);
		assert_true(driver_used(&tx, &id, &len));
		/* Doorbells from another CPU in the middle. */
		nr_shown = 0;
		send(DATA, 200);
		meanwhile = ring_again;
		doorbell(1);
		check_shown(200);
		destroy();
	}
}

static void indices_that_jump(void **state)
{
	(void)state;
	for (u16 q = 0; q < 2; q++) {
		create();
		go(16, ring_features(0));
		set16((q ? &tx : &rx)->s.driver + 2, 17);
		doorbell(q);
		if (!q) {
			assert_int_equal(status(), 15);
			type(1);
		}
		assert_int_equal(status(), 15 | VIRTIO_NEEDS_RESET);
		destroy();
	}
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hostile_buffers),
	    cmocka_unit_test(a_buffer_in_very_many_parts),
	    cmocka_unit_test(resets),
	    cmocka_unit_test(other_moments),
	    cmocka_unit_test(indices_that_jump),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
