/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver that has no room now, but soon, as a network card has: who sends to it waits, in order, and
 * others go on; not for ever. And how long the turn of a sender is who is alone (M75). */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "switch_board.h"

#define CARD 3u
static unsigned asked;
static bool hopeless;

static bool full(struct net_port *p)
{
	asked++;
	return !hopeless && !container_of(p, struct board_port, p)->posted;
}

static const struct net_port_ops card_ops = {.room = room, .received = received, .full = full};

/* Three ports, and a card that so many frames fit into. Times are in nanoseconds. */
static void board_with_card(unsigned fit)
{
	board(CARD, 0);
	asked = 0;
	hopeless = false;
	now = 1000;
	assert_int_equal(net_port_init(&b[CARD].p, &sw, &card_ops, address(CARD), 0), 0);
	b[CARD].posted = fit;
}

static void waits_for_room(void **state)
{
	(void)state;
	board_with_card(2);
	for (u8 i = 0; i < 5; i++)
		send(0, address(CARD), address(0), 100, i);
	send(0, address(1), address(0), 100, 5); /* behind them: it stays there */
	send(2, address(1), address(2), 100, 6);
	run();
	assert_int_equal(b[CARD].frames, 2);
	assert_int_equal(b[0].returned, 2);
	assert_int_equal(b[1].frames, 1); /* of the other sender */
	assert_int_equal(next_time, now + NET_HOLD_NS);
	b[CARD].posted = 1;
	asked = 0;
	run();
	assert_int_equal(b[CARD].frames, 2); /* not before its time */
	assert_int_equal(asked, 0);
	now = next_time;
	run();
	assert_int_equal(b[CARD].frames, 3);
	expect_frame(CARD, address(CARD), address(0), 100, 2);
	assert_int_equal(next_time, now + NET_HOLD_NS);
	b[CARD].posted = 10;
	now = next_time;
	run();
	assert_int_equal(b[CARD].frames, 5);
	assert_int_equal(b[1].frames, 2);
	expect_frame(1, address(1), address(0), 100, 5);
	assert_int_equal(next_time, ~0ull);
	assert_int_equal(net_port_meters(&b[CARD].p).rx_dropped, 0);
	assert_int_equal(net_port_meters(&b[0].p).tx_frames, 6);
	assert_int_equal(net_port_meters(&b[0].p).tx_bytes, 600);
}

/* Each frame is held so long at most; then it is dropped at the card. */
static void not_for_ever(void **state)
{
	u64 begun;

	(void)state;
	board_with_card(0);
	send(0, address(CARD), address(0), 100, 0);
	send(0, address(CARD), address(0), 100, 1);
	run();
	for (u64 n = 1; n <= 2; n++) {
		begun = now;
		while (b[0].returned < n) {
			assert_in_range(next_time, now + 1, begun + NET_HOLD_MOST_NS + NET_HOLD_NS);
			now = next_time;
			run();
		}
		assert_in_range(now - begun, NET_HOLD_MOST_NS - NET_HOLD_NS, NET_HOLD_MOST_NS + NET_HOLD_NS);
		assert_int_equal(net_port_meters(&b[CARD].p).rx_dropped, n);
	}
	assert_int_equal(b[0].delivered, 0);
	assert_int_equal(next_time, ~0ull);
	/* One that will have no room is not waited for; nor does anybody wait for it with a frame for all. */
	hopeless = true;
	send(0, address(CARD), address(0), 100, 2);
	run();
	assert_int_equal(b[0].returned, 3);
	hopeless = false;
	send(0, (const u8[]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, address(0), 100, 3);
	run();
	assert_int_equal(b[0].returned, 4);
	assert_int_equal(b[1].frames, 1);
	assert_int_equal(net_port_meters(&b[CARD].p).rx_dropped, 4);
}

/* What is held goes back when the sender has to leave, and the card can leave while it is waited for. */
static void ends(void **state)
{
	(void)state;
	board_with_card(0);
	send(0, address(CARD), address(0), 100, 0);
	send(1, address(CARD), address(1), 100, 1);
	run();
	assert_int_equal(b[0].returned + b[1].returned, 0);
	net_port_flush(&b[0].p);
	run();
	assert_int_equal(b[0].returned, 1);
	assert_int_equal(b[0].delivered, 0);
	assert_int_equal(net_port_close(&b[CARD].p), 0);
	now = next_time;
	run();
	assert_int_equal(b[1].returned, 1); /* to all others: nobody has the address any more */
	assert_int_equal(b[0].frames, 1);
	assert_int_equal(b[2].frames, 1);
}

/* ---- the turn of who is alone ---- */
#define LONG 65000u
static unsigned long_ones, before_other;
static bool other_wants;
static struct net_frame longs[FRAMES];
static u8 long_bytes[LONG];
static struct piece long_piece = {long_bytes, LONG};

static unsigned pull_long(struct net_port *p, struct net_frame **out, unsigned most, u64 bytes)
{
	unsigned nr = 0;

	(void)p;
	for (u64 sum = 0; nr < most && sum < bytes && long_ones; nr++, long_ones--) {
		out[nr] = &longs[long_ones - 1];
		*out[nr] = (struct net_frame){.pieces = &long_piece, .nr_pieces = 1, .length = LONG};
		sum += LONG;
	}
	return nr;
}

/* From its first frame on, another one wants to send. */
static unsigned room_for_long(struct net_port *p, u32 length, struct piece *pieces)
{
	static u8 there[LONG];

	(void)p;
	if (length == LONG && !other_wants)
		send(2, address(1), address(2), 100, 0);
	other_wants |= length == LONG;
	before_other += !b[2].returned;
	pieces[0] = (struct piece){there, LONG};
	return 1;
}

static void long_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)length, (void)o;
}

static void alone_for_a_turn(void **state)
{
	static const struct net_port_ops sends = {.pull = pull_long, .room = room, .received = received},
					 takes = {.room = room_for_long, .received = long_received};

	(void)state;
	board(3, 0);
	assert_int_equal(net_port_close(&b[0].p), 0);
	assert_int_equal(net_port_close(&b[1].p), 0);
	assert_int_equal(net_port_init(&b[0].p, &sw, &sends, address(0), 0), 0);
	assert_int_equal(net_port_init(&b[1].p, &sw, &takes, address(1), 0), 0);
	memcpy(long_bytes, address(1), NET_ADDRESS);
	memcpy(long_bytes + NET_ADDRESS, address(0), NET_ADDRESS);
	long_ones = FRAMES;
	before_other = 0;
	other_wants = false;
	net_port_wake(&b[0].p);
	while (net_switch_run(&sw, now, 64, &next_time))
		;
	assert_int_equal(long_ones, 0);
	assert_int_equal(b[2].returned, 1);
	/* NET_BATCH frames of the usual length are as many bytes as one such: the other one was next. */
	assert_in_range(before_other, 1, 2); /* its own counts */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(waits_for_room, board_end),
	    cmocka_unit_test_teardown(not_for_ever, board_end),
	    cmocka_unit_test_teardown(ends, board_end),
	    cmocka_unit_test_teardown(alone_for_a_turn, board_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
