/* SPDX-License-Identifier: Apache-2.0 */
/* Where frames go is found fast (M78): a frame costs the same however many ports there are, and what a
 * sender's last turn has found out is kept for its next one, but only as long as it is so. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "switch_board.h"

/* Steps for a frame in a switch with few and with many ports that all send. */
static double steps_a_frame(unsigned ports)
{
	u64 start, sent = 0;

	board(ports, NET_ANTI_SPOOF);
	start = sw.steps;
	for (unsigned k = 0; k < 20; k++) {
		for (unsigned i = 0; i < ports; i++)
			for (unsigned n = 0; n < 8; n++, sent++)
				send(i, address((i + 1 + n % (ports - 1)) % ports), address(i), 1500, 0);
		run();
	}
	for (unsigned i = 0; i < ports; i++)
		assert_int_equal(b[i].delivered, 160);
	return (double)(sw.steps - start) / (double)sent;
}

static void cost_is_flat(void **state)
{
	double two = steps_a_frame(2), few, many = 0;

	board_end(state);
	few = steps_a_frame(4); /* with two, no sender changes whom he sends to */
	assert_true(two <= few);
	for (unsigned ports = 8; ports <= MAX_PORTS; ports *= 2) {
		board_end(state);
		many = steps_a_frame(ports);
		assert_true(many <= few * 1.1);
	}
	print_message("steps for a frame: %.2f with 2 ports, %.2f with 4, %.2f with 128\n", two, few, many);
}

/* One frame of one piece from the first port to that address, in a turn of its own. */
static void one(const u8 *target, const u8 *source)
{
	struct sender_frame *s = send(0, target, source, 100, 1);

	s->pieces[0] = (struct piece){s->data, 100};
	s->f.nr_pieces = 1;
	run();
}

/* The second one goes the way of the first, and is looked up nowhere: its header is not copied, either. */
static void two_of_them(void)
{
	u64 steps, copied;

	one(address(1), address(0));
	steps = sw.steps;
	copied = net_port_meters(&b[0].p).tx_copied;
	one(address(1), address(0));
	assert_int_equal(b[1].frames, 2);
	assert_int_equal(sw.steps - steps, 1); /* the sender's turn */
	assert_int_equal(net_port_meters(&b[0].p).tx_copied - copied, 100 + 16);
}

static void kept_until_rules_come(void **state)
{
	static const struct net_rule no = {.drop = true}, none_in = {.drop = true, .incoming = true};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		board_end(NULL);
		board(3, 0);
		two_of_them();
		assert_int_equal(net_port_filter(&b[i].p, i ? &none_in : &no, 1), 0);
		one(address(1), address(0));
		assert_int_equal(b[1].frames, 2);
		assert_int_equal(net_port_meters(&b[i].p).tx_filtered + net_port_meters(&b[i].p).rx_filtered,
				 1);
		assert_int_equal(net_port_filter(&b[i].p, NULL, 0), 0);
		one(address(1), address(0));
		assert_int_equal(b[1].frames, 3);
	}
}

static void kept_until_one_leaves(void **state)
{
	(void)state;
	board(3, 0);
	two_of_them();
	assert_int_equal(net_port_close(&b[1].p), 0);
	one(address(1), address(0)); /* nobody has the address: to all the others */
	assert_int_equal(b[1].frames, 2);
	assert_int_equal(b[2].frames, 1);
	/* Another one with this address, in another place. */
	assert_int_equal(net_port_init(&b[3].p, &sw, &ops, address(1), 0), 0);
	b[3].posted = 10;
	one(address(1), address(0));
	assert_int_equal(b[3].frames, 1);
	assert_int_equal(b[1].frames, 2);
	assert_int_equal(b[2].frames, 1);
}

static void kept_until_an_address_changes(void **state)
{
	(void)state;
	board(3, NET_ANTI_SPOOF);
	two_of_them();
	assert_int_equal(net_port_readdress(&b[1].p, address(7)), 0);
	assert_int_equal(net_port_readdress(&b[2].p, address(1)), 0);
	one(address(1), address(0));
	assert_int_equal(b[1].frames, 2);
	assert_int_equal(b[2].frames, 1);
	/* The sender's own: what was right is a lie now. */
	assert_int_equal(net_port_readdress(&b[0].p, address(9)), 0);
	one(address(1), address(0));
	assert_int_equal(b[2].frames, 1);
	assert_int_equal(net_port_meters(&b[0].p).tx_spoofed, 1);
}

/* Learned addresses grow old, and each frame from one makes it young: none is kept. */
static void learned_is_not_kept(void **state)
{
	(void)state;
	board(3, 0);
	for (unsigned i = 0; i < 4; i++, now += AGE / 2) {
		one(address(1), address(50)); /* the first port has 50 behind it */
		send(1, address(50), address(1), 100, 1);
		run();
		assert_int_equal(b[0].frames, i + 1);
		assert_int_equal(b[2].frames, 0);
	}
	now += 2 * AGE;
	send(1, address(50), address(1), 100, 1);
	run();
	assert_int_equal(b[2].frames, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(cost_is_flat, board_end),
	    cmocka_unit_test_teardown(kept_until_rules_come, board_end),
	    cmocka_unit_test_teardown(kept_until_one_leaves, board_end),
	    cmocka_unit_test_teardown(kept_until_an_address_changes, board_end),
	    cmocka_unit_test_teardown(learned_is_not_kept, board_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
