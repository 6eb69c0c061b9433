/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device with several pairs of queues (virtio 1.2, 5.1.2, 5.1.6.5.5): a flow is received
 * by the pair that it was last sent from; where the control queue is; commands that are wrong, queues that
 * are not there. M67, M73. */
#include <unistd.h>

#include "virtio_net_board.h"

#define PAIRS 4u
#define QUEUES_AT 0x40000ull /* of the pairs behind the first */
#define QUEUE_BYTES 0x9000ull
#define BUFFERS_AT 0x76000ull
#define BUFFERS 4u /* of a receive queue */
#define FRAME 120u
#define MANY 400u        /* frames, more than a pair may have in the switch's hands */
#define RATE 1000000u    /* bytes a second */
#define LONGEST_HANG 30u /* s */

static struct driver receive[PAIRS], transmit[PAIRS];

static gpa_t buffer_at(unsigned pair, unsigned i)
{
	return pair ? BUFFERS_AT + ((pair - 1) * BUFFERS + i) * 0x800 : RX_DATA + i * 0x800;
}

static void post_all(unsigned pair)
{
	for (unsigned i = 0; i < BUFFERS && receive[pair].nr_free; i++) {
		const struct buffer b = {buffer_at(pair, receive[pair].free[receive[pair].nr_free - 1]),
					 0x800, true};

		driver_add(&receive[pair], &b, 1, false);
	}
}

static u16 tx_size = 8;

/* With so many of its pairs set up. */
static void go_pairs(u64 features, unsigned set_up)
{
	MUST(negotiate(features));
	control_queue = features & F_MQ ? 2 * PAIRS : CONTROL;
	for (u16 i = 0; i < set_up; i++) {
		queue_on(&receive[i], 2 * i, BUFFERS, features,
			 i ? QUEUES_AT + (2 * i - 2) * QUEUE_BYTES : RX_QUEUE);
		queue_on(&transmit[i], 2 * i + 1, tx_size, features,
			 i ? QUEUES_AT + (2 * i - 1) * QUEUE_BYTES : TX_QUEUE);
	}
	queue_on(&control, control_queue, 8, features, CONTROL_QUEUE);
	msix_on();
	common_set(0x14, 1, 15);
	MUST(status() == 15);
	for (unsigned i = 0; i < set_up; i++)
		post_all(i);
}

static u8 set_pairs(u16 pairs)
{
	const u8 bytes[] = {4, 0, (u8)pairs, (u8)(pairs >> 8)};

	return command(bytes, sizeof(bytes));
}

/* A TCP segment behind the addresses; back: the other way. */
static void segment(u8 *f, bool v6, u16 port, bool back)
{
	u8 *ip = f + 14;

	memset(f + 12, 0, FRAME - 12);
	memcpy(f + 12, v6 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
	ip[v6 ? 6 : 9] = 6;
	for (unsigned i = 0; i < 4; i++) {
		ip[(v6 ? 20 : 12) + i + (back ? (v6 ? 16 : 4) : 0)] = (u8)(10 + i);
		ip[(v6 ? 20 : 12) + i + (back ? 0 : (v6 ? 16 : 4))] = (u8)(90 + i);
	}
	u8 *ports = ip + (v6 ? 40 : 20);
	ports[back ? 2 : 0] = (u8)(port >> 8);
	ports[back ? 3 : 1] = (u8)port;
	ports[back ? 1 : 3] = 80;
}

static void send_from(unsigned pair, bool v6, u16 port)
{
	static const struct header nothing;
	const struct buffer b = {TX_DATA, HEADER + FRAME, false};
	u8 f[FRAME];
	u16 id;
	u32 len;

	memcpy(f, mac_peer, 6);
	memcpy(f + 6, mac_nic, 6);
	segment(f, v6, port, false);
	MUST(gmem_write(&guest_ram, TX_DATA, &nothing, HEADER) == 0);
	MUST(gmem_write(&guest_ram, TX_DATA + HEADER, f, FRAME) == 0);
	driver_add(&transmit[pair], &b, 1, false);
	if (driver_kick(&transmit[pair]))
		doorbell((u16)(2 * pair + 1));
	assert_true(driver_used(&transmit[pair], &id, &len));
	assert_int_equal(peer.length, FRAME);
}

/* Which pair got the peer's answer; PAIRS: none did. */
static unsigned comes_to(bool v6, u16 port)
{
	unsigned pair = PAIRS;
	u16 id;
	u32 len;

	segment(peer.sent, v6, port, true);
	peer_send(mac_nic, FRAME, (struct net_offload){0});
	for (unsigned i = 0; i < PAIRS; i++)
		if (receive[i].s.size && driver_used(&receive[i], &id, &len)) {
			assert_int_equal(pair, PAIRS);
			pair = i;
			assert_int_equal(len, HEADER + FRAME);
			assert_memory_equal((u8 *)at(buffer_at(i, id) + HEADER + 6, 6), mac_peer, 6);
			post_all(i);
		}
	return pair;
}

static int begin(void **state)
{
	(void)state;
	nr_pairs = PAIRS;
	memset(receive, 0, sizeof(receive));
	create(true);
	return 0;
}

static int begin_slow(void **state)
{
	(void)state;
	nr_pairs = PAIRS;
	tx_size = 256;
	memset(receive, 0, sizeof(receive));
	create_with(true, NET_ANTI_SPOOF, RATE);
	return 0;
}

static int end(void **state)
{
	(void)state;
	destroy();
	nr_pairs = 0;
	tx_size = 8;
	control_queue = CONTROL;
	return 0;
}

static void offered(void **state)
{
	static const struct {
		unsigned asked, pairs;
	} rows[] = {{0, 1}, {1, 1}, {2, 2}, {4, 4}, {5, 4}, {64, 4}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		bool many = rows[i].pairs > 1;

		nr_pairs = rows[i].asked;
		create(true);
		assert_int_equal(!!(device_features() & F_MQ), many);
		assert_int_equal(common(0x12, 2), 2 * rows[i].pairs + 1);
		assert_int_equal(seen.config_bytes, many ? 10 : 8);
		if (many)
			assert_int_equal(board_read(false, seen.config + 8, 2), rows[i].pairs);
		destroy();
	}
	nr_pairs = 0;
}

static void flows(void **state)
{
	u16 id;
	u32 len;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		go_pairs(layout(l) | F_MQ, PAIRS);
		/* One, until the driver says so. */
		send_from(0, false, 1000);
		assert_int_equal(comes_to(false, 1000), 0);
		assert_int_equal(set_pairs(PAIRS), 0);
		for (unsigned v6 = 0; v6 < 2; v6++)
			for (unsigned pair = 0; pair < PAIRS; pair++)
				for (u16 port = 1000; port < 1010; port++) {
					send_from(pair, v6, port);
					assert_int_equal(comes_to(v6, port), pair);
				}
		/* Not sent yet: some pair; neither TCP nor UDP: always the same. */
		assert_in_range(comes_to(false, 4711), 0, PAIRS - 1);
		memset(peer.sent + 12, 0, 60);
		peer_send(mac_nic, 60, (struct net_offload){0});
		unsigned got = 0;
		for (unsigned i = 0; i < PAIRS; i++)
			for (; driver_used(&receive[i], &id, &len); got++)
				post_all(i);
		assert_int_equal(got, 1);
		/* Fewer: what is beyond gets nothing any more. */
		for (unsigned i = 0; i < PAIRS; i++)
			send_from(i, false, (u16)(2000 + i));
		assert_int_equal(set_pairs(2), 0);
		for (unsigned i = 0; i < PAIRS; i++)
			assert_in_range(comes_to(false, (u16)(2000 + i)), 0, 1);
		assert_int_equal(set_pairs(1), 0);
		for (unsigned i = 0; i < PAIRS; i++)
			assert_int_equal(comes_to(false, (u16)(2000 + i)), 0);
		/* A reset forgets: one pair again. */
		assert_int_equal(set_pairs(PAIRS), 0);
		send_from(3, false, 3000);
		go_pairs(layout(l) | F_MQ, PAIRS);
		assert_int_equal(comes_to(false, 3000), 0);
	}
}

static void one_pair(void **state)
{
	(void)state;
	/* Without the feature the control queue is the third, and there is no such command. */
	go_pairs(layout(0), 1);
	assert_int_equal(set_pairs(1), 1);
	send_from(0, false, 1);
	assert_int_equal(comes_to(false, 1), 0);
}

static void wrong_commands(void **state)
{
	static const u8 rows[][6] = {{3, 4, 0, 0},          {4, 4, 0, 0, 0}, {4, 4, 0, 5, 0},
				     {4, 4, 0, 0xff, 0xff}, {3, 4, 0, 2},    {5, 4, 0, 2, 0, 0},
				     {4, 4, 1, 2, 0},       {4, 4, 2, 2, 0}, {4, 5, 0, 2, 0}};

	(void)state;
	go_pairs(layout(1) | F_MQ, PAIRS);
	assert_int_equal(set_pairs(3), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(command(rows[i] + 1, rows[i][0]), 1);
	send_from(2, false, 7);
	assert_int_equal(comes_to(false, 7), 2);
	assert_int_equal(status(), 15);
}

/* Pairs that the driver asks for and has not set up: what is for them is dropped, and nothing else. */
static void not_there(void **state)
{
	(void)state;
	go_pairs(layout(0) | F_MQ, 2);
	assert_int_equal(set_pairs(PAIRS), 0);
	doorbell(5);
	doorbell(7);
	doorbell(4);
	for (u16 port = 0; port < 64; port++) {
		unsigned to = comes_to(false, port);
		assert_true(to < 2 || to == PAIRS);
	}
	assert_true(net_port_meters(virtio_net_nic.port(nic)).rx_dropped > 0);
	for (unsigned pair = 0; pair < 2; pair++) {
		send_from(pair, false, 9);
		assert_int_equal(comes_to(false, 9), pair);
	}
	assert_int_equal(status(), 15);
}

/* One queue that makes no sense ends the device, as any does; a reset mends it. */
static void broken(void **state)
{
	const struct buffer small = {BUFFERS_AT, 8, true};

	(void)state;
	go_pairs(layout(0) | F_MQ, PAIRS);
	assert_int_equal(set_pairs(PAIRS), 0);
	send_from(2, false, 5);
	for (unsigned i = 0; i < BUFFERS; i++)
		assert_int_equal(comes_to(false, 5), 2);
	/* All that are posted go; then one too short for the header. */
	u16 id;
	u32 len;
	segment(peer.sent, false, 5, true);
	for (unsigned i = 0; i < BUFFERS; i++)
		peer_send(mac_nic, FRAME, (struct net_offload){0});
	for (unsigned i = 0; i < BUFFERS; i++)
		assert_true(driver_used(&receive[2], &id, &len));
	driver_add(&receive[2], &small, 1, false);
	peer_send(mac_nic, FRAME, (struct net_offload){0});
	assert_int_equal(status() & 0x40, 0x40);
	go_pairs(layout(0) | F_MQ, PAIRS);
	assert_int_equal(set_pairs(PAIRS), 0);
	send_from(2, false, 5);
	assert_int_equal(comes_to(false, 5), 2);
}

/* Whoever runs the switch needs so long for a frame that the interface may send the next meanwhile. */
static void takes_its_time(void)
{
	shim_tsc += ns_to_tsc((u64)FRAME * 1000000000 / RATE);
	peer_meanwhile = takes_its_time;
}

/* Two pairs have more to send than the switch takes at once, at a rate: what one gets back while the other is
 * being served, on the same CPU and with put-off work going on, makes that go on with the first as well. */
static void pairs_go_on_with_each_other(void **state)
{
	static const struct header nothing;
	const struct buffer b = {TX_DATA, HEADER + FRAME, false};
	unsigned left[2] = {MANY, MANY}, back[2] = {0};
	u16 id;
	u32 len;

	(void)state;
	go_pairs(layout(1) | F_MQ, PAIRS);
	assert_int_equal(set_pairs(PAIRS), 0);
	tx_prepare(&nothing, mac_peer, mac_nic, FRAME, 1);
	alarm(LONGEST_HANG);
	peer_meanwhile = takes_its_time;
	for (unsigned round = 0; round < 1000 && back[0] + back[1] < 2 * MANY; round++) {
		for (unsigned i = 0; i < 2; i++) {
			for (; left[i] && transmit[i].room; left[i]--)
				driver_add(&transmit[i], &b, 1, false);
			if (driver_kick(&transmit[i]))
				doorbell((u16)(2 * i + 1));
			while (driver_used(&transmit[i], &id, &len))
				back[i]++;
		}
		fake_run_until(shim_tsc + ns_to_tsc(1000000));
	}
	alarm(0);
	peer_meanwhile = NULL;
	assert_int_equal(back[0], MANY);
	assert_int_equal(back[1], MANY);
	assert_int_equal(peer.frames, 2 * MANY);
}

/* By a CPU that polls: it looks at every pair. */
static void polled(void **state)
{
	const struct buffer b = {TX_DATA, HEADER + FRAME, false};
	u16 id;
	u32 len;

	(void)state;
	shim_polling = 1;
	begin(NULL);
	go_pairs(layout(1) | F_MQ, PAIRS);
	assert_int_equal(set_pairs(PAIRS), 0);
	tx_prepare(&(struct header){0}, mac_peer, mac_nic, FRAME, 1);
	for (unsigned i = 0; i < 5 * PAIRS; i++) {
		driver_add(&transmit[i % PAIRS], &b, 1, false);
		assert_false(shim_poller->poll(shim_poller->opaque));
		assert_int_equal(peer.frames, i + 1);
		assert_true(driver_used(&transmit[i % PAIRS], &id, &len));
	}
	end(NULL);
	shim_polling = 0;
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(offered),
	    cmocka_unit_test_setup_teardown(flows, begin, end),
	    cmocka_unit_test_setup_teardown(one_pair, begin, end),
	    cmocka_unit_test_setup_teardown(wrong_commands, begin, end),
	    cmocka_unit_test_setup_teardown(not_there, begin, end),
	    cmocka_unit_test_setup_teardown(broken, begin, end),
	    cmocka_unit_test(polled),
	    cmocka_unit_test_setup_teardown(pairs_go_on_with_each_other, begin_slow, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
