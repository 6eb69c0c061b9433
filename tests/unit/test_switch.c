/* SPDX-License-Identifier: Apache-2.0 */
/* The switch between VMs: where frames go, whose turn it is (M75: equal bytes for small and big
 * frames), one copy into posted buffers (M69, M77), drops at the receiver's expense (M42), rules (M93). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "switch_board.h"

static const u8 everybody[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void frames_arrive_whole(void **state)
{
	(void)state;
	board(4, NET_ANTI_SPOOF);
	/* Around the size of the header, and up to the biggest. */
	for (u32 length = 14; length <= 1514; length += length < 200 ? 1 : 97) {
		send(0, address(2), address(0), length, (u8)length);
		run();
		expect_frame(2, address(2), address(0), length, (u8)length);
	}
	assert_int_equal(b[0].returned, b[0].delivered);
	assert_int_equal(b[0].returned, b[2].frames);
	assert_int_equal(b[0].p.deficit, 0); /* and nothing has been saved up for later */
	assert_int_equal(b[1].frames + b[3].frames, 0);
	assert_int_equal(net_port_meters(&b[0].p).tx_bytes, net_port_meters(&b[2].p).rx_bytes);
	send(1, everybody, address(1), 60, 9);
	run();
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			expect_frame(i, everybody, address(1), 60, 9);
	assert_int_equal(b[1].frames, 0);
	send(3, address(3), address(3), 60, 0); /* to itself: nobody's */
	run();
	assert_true(b[3].delivered == 0 && b[3].returned == 1);
}

static void what_is_no_frame_is_refused(void **state)
{
	(void)state;
	struct sender_frame *s;

	board(2, NET_ANTI_SPOOF);
	send(0, address(1), address(0), 13, 0);
	s = send(0, address(1), address(0), 100, 0);
	s->f.length = 101; /* more than there is */
	s = send(0, address(1), address(0), 100, 0);
	s->f.length = ~0u;
	s = send(0, address(1), address(0), 100, 0);
	s->f.length = 0;
	s->f.nr_pieces = 0;
	send(0, address(1), everybody, 60, 0); /* nobody is everybody */
	send(0, address(1), address(1), 60, 0);
	send(0, address(1), address(77), 60, 0);
	run();
	assert_int_equal(b[0].returned, 7);
	assert_int_equal(net_port_meters(&b[0].p).tx_spoofed, 2);
	assert_true(sw.steps < 200); /* the length that it claimed has not cost turns */
	assert_int_equal(net_port_meters(&b[0].p).tx_bad, 5);
	assert_int_equal(b[1].frames, 0);
}

/* The guest changes the frame while it is checked: what was checked is what arrives. */
static struct sender_frame *changing;
static unsigned changing_room(struct net_port *p, u32 length, struct piece *pieces)
{
	memset(changing->data, 0xee, 64);
	return room(p, length, pieces);
}

static void checked_header_is_what_arrives(void **state)
{
	(void)state;
	static const struct net_port_ops changing_ops = {.room = changing_room, .received = received};

	board(2, NET_ANTI_SPOOF);
	b[1].p.ops = &changing_ops;
	changing = send(0, address(1), address(0), 300, 5);
	run();
	expect_frame(1, address(1), address(0), 300, 5);
}

static void addresses_are_learned_and_forgotten(void **state)
{
	(void)state;
	board(4, 0);
	send(0, address(500), address(0), 60, 0); /* unknown: to all */
	run();
	assert_int_equal(b[1].frames + b[2].frames + b[3].frames, 3);
	send(2, address(0), address(500), 60, 0); /* it is behind port 2 */
	run();
	send(0, address(500), address(0), 60, 0);
	run();
	assert_int_equal(b[2].frames, 2);
	assert_int_equal(b[1].frames + b[3].frames, 2);
	send(3, address(0), address(500), 60, 0); /* and has moved */
	run();
	send(0, address(500), address(0), 60, 0);
	run();
	assert_int_equal(b[2].frames, 2);
	assert_int_equal(b[3].frames, 2);
	assert_int_equal(b[2].p.learned, 0);
	now += AGE;
	send(0, address(500), address(0), 60, 0);
	run();
	assert_int_equal(b[3].frames, 3);
	assert_int_equal(b[1].frames, 1);
	now++; /* too old */
	send(0, address(500), address(0), 60, 0);
	run();
	assert_int_equal(b[1].frames, 2);
	/* A port's own address does not move, whoever claims it, and is not forgotten. */
	now += 100 * AGE;
	send(3, address(0), address(1), 60, 0);
	run();
	send(0, address(1), address(0), 60, 0);
	run();
	assert_int_equal(b[1].frames, 3);
	assert_int_equal(b[3].frames, 4);
}

/* A guest that makes up addresses fills its own quota and drives out nobody's. */
static void flood_of_addresses(void **state)
{
	(void)state;
	unsigned others;

	board(4, 0);
	send(1, address(0), address(900), 60, 0);
	run();
	for (unsigned i = 0; i < 20000; i++) {
		send(0, address(1), address(1000 + i), 60, 0);
		run();
		assert_true(b[0].p.learned <= NET_LEARN_MAX);
	}
	assert_int_equal(b[0].p.learned, NET_LEARN_MAX);
	others = b[2].frames + b[3].frames;
	send(2, address(900), address(2), 60, 0);
	run();
	assert_int_equal(b[2].frames + b[3].frames, others);
	assert_int_equal(b[1].frames, 20001);
	while (net_port_close(&b[0].p))
		;
	send(2, address(1000), address(2), 60, 0); /* was behind port 0 */
	run();
	assert_int_equal(b[3].frames, others - b[2].frames + 1);
	assert_int_equal(net_port_init(&b[0].p, &sw, &ops, address(1), 0), ERR_EXIST);
	assert_int_equal(net_port_init(&b[0].p, &sw, &ops, everybody, 0), ERR_INVAL);
	assert_int_equal(net_port_init(&b[0].p, &sw, &ops, address(0), 0), 0);
}

static void drops_are_the_receivers(void **state)
{
	(void)state;
	board(3, NET_ANTI_SPOOF);
	b[1].posted = 2;
	for (unsigned i = 0; i < 5; i++)
		send(0, address(1), address(0), 100, 0);
	send(0, address(2), address(0), 1600, 0);
	send(0, address(2), address(0), 2049, 0); /* its buffers are smaller */
	run();
	assert_int_equal(b[0].returned, 7);
	assert_int_equal(b[0].delivered, 3);
	assert_int_equal(net_port_meters(&b[1].p).rx_frames, 2);
	assert_int_equal(net_port_meters(&b[1].p).rx_dropped, 3);
	assert_int_equal(net_port_meters(&b[2].p).rx_dropped, 1);
	assert_int_equal(net_port_meters(&b[0].p).tx_frames, 7);
	assert_int_equal(net_port_meters(&b[0].p).rx_dropped, 0);
}

/* Two that always have something to send, frames of 64 and of 1500 bytes, and a switch that is always behind.
 */
static void equal_bytes(void **state)
{
	(void)state;
	u64 bytes[3] = {0};

	board(4, NET_ANTI_SPOOF);
	for (unsigned i = 0; i < 20000; i++) {
		while (send(0, address(3), address(0), 64, 1))
			;
		while (send(1, address(3), address(1), 1500, 2))
			;
		net_switch_run(&sw, now, 1 + i % 7, &next_time);
	}
	for (unsigned i = 0; i < 2; i++)
		bytes[i] = net_port_meters(&b[i].p).tx_bytes;
	print_message("64-byte frames: %llu bytes, 1500-byte frames: %llu\n", (unsigned long long)bytes[0],
		      (unsigned long long)bytes[1]);
	assert_true(bytes[0] > 100000);
	assert_true(bytes[0] * 100 <= bytes[1] * 103 && bytes[1] * 100 <= bytes[0] * 103);
	/* A third one with big segments, from now on. */
	for (unsigned i = 0; i < 40000; i++) {
		while (send(0, address(3), address(0), 64, 1))
			;
		while (send(1, address(3), address(1), 1500, 2))
			;
		while (send(2, address(3), address(2), 9000, 3))
			;
		net_switch_run(&sw, now, 1 + i % 7, &next_time);
	}
	for (unsigned i = 0; i < 3; i++)
		bytes[i] = net_port_meters(&b[i].p).tx_bytes - bytes[i];
	for (unsigned i = 0; i < 2; i++)
		assert_true(bytes[2] * 100 <= bytes[i] * 103 && bytes[i] * 100 <= bytes[2] * 103);
	run();
}

static void rate_is_kept(void **state)
{
	(void)state;
	board(3, NET_ANTI_SPOOF);
	net_port_limit(&b[0].p, 1000000, 10000); /* 1 MB/s, 10 kB at once */
	for (now = 1; now < 1000000000; now += 100000) {
		while (send(0, address(2), address(0), 1000, 1))
			;
		send(1, address(2), address(1), 1000, 1); /* is not held up */
		assert_false(net_switch_run(&sw, now, 1000, &next_time));
		/* Next when the next millisecond's frame is paid for. */
		assert_true(next_time > now && next_time <= now + 1000000);
	}
	u64 sent = net_port_meters(&b[0].p).tx_bytes;
	assert_in_range(sent, 1000000, 1000000 + 10000 + 1000);
	assert_int_equal(net_port_meters(&b[1].p).tx_frames, 10000);
	net_port_limit(&b[0].p, 0, 0);
	run();
	assert_int_equal(next_time, ~0ull);
}

static void put_ip(struct sender_frame *s, u8 protocol, u32 source, u16 port, u16 fragment)
{
	u8 *ip = s->data + 14;

	memcpy(s->data + 12, (u8[]){8, 0}, 2);
	memset(ip, 0, 24);
	ip[0] = 0x45;
	ip[6] = (u8)(fragment >> 8);
	ip[7] = (u8)fragment;
	ip[9] = protocol;
	memcpy(ip + 12, (u8[]){(u8)(source >> 24), (u8)(source >> 16), (u8)(source >> 8), (u8)source}, 4);
	ip[22] = (u8)(port >> 8);
	ip[23] = (u8)port;
}

static u8 ip_version = 0x45;
static bool passes(u8 protocol, u32 source, u16 port, u16 fragment, bool tag)
{
	unsigned before = b[1].frames;
	struct sender_frame *s = send(0, address(1), address(0), 60, 0);

	put_ip(s, protocol, source, port, fragment);
	s->data[14] = ip_version;
	if (tag) {
		memmove(s->data + 16, s->data + 12, 30);
		memcpy(s->data + 12, (u8[]){0x81, 0, 0, 5}, 4);
	}
	run();
	return b[1].frames != before;
}

static void filters(void **state)
{
	(void)state;
	static const struct net_rule in[] = {
	    {.incoming = true, .protocol = 6, .port_first = 80, .port_last = 90},
	    {.incoming = true, .source = 0x0a000000, .source_mask = 0xff000000, .protocol = 17},
	    {.incoming = true, .ethertype = 0x0806},
	    {.incoming = true, .drop = true},
	};
	static const struct net_rule out[] = {
	    {.drop = true, .source = 0x0a010203, .source_mask = ~0u},
	};
	struct sender_frame *s;

	board(2, NET_ANTI_SPOOF);
	assert_int_equal(net_port_filter(&b[1].p, in, ARRAY_SIZE(in)), 0);
	assert_int_equal(net_port_filter(&b[0].p, out, ARRAY_SIZE(out)), 0);
	assert_true(passes(6, 1, 80, 0, false));
	assert_true(passes(6, 1, 90, 0x4000, false)); /* "don't fragment" is none */
	assert_false(passes(6, 1, 91, 0, false));
	assert_true(passes(6, 1, 80, 0, true)); /* with a VLAN tag */
	assert_false(passes(6, 1, 91, 0, true));
	for (ip_version = 0x44; ip_version; ip_version = ip_version == 0x44 ? 0x65 : 0)
		assert_false(passes(6, 1, 80, 0, false)); /* too short a header, another version */
	ip_version = 0x45;
	assert_false(passes(6, 1, 79, 0, false));
	assert_false(passes(6, 1, 80, 1, false)); /* a fragment's bytes are no ports */
	assert_false(passes(17, 1, 80, 0, false));
	assert_true(passes(17, 0x0a112233, 1, 0, false));
	assert_false(passes(17, 0x0b112233, 1, 0, false));
	assert_false(passes(17, 0x0a010203, 1, 0, false)); /* by the sender's rule */
	assert_int_equal(net_port_meters(&b[0].p).tx_filtered, 3);
	assert_int_equal(net_port_meters(&b[1].p).rx_filtered, 6);
	memcpy(send(0, address(1), address(0), 60, 0)->data + 12, (u8[]){8, 6}, 2);
	s = send(0, address(1), address(0), 60, 0);
	memcpy(s->data + 12, (u8[]){0x81, 0, 0, 5, 8, 6}, 6);                             /* with a tag */
	memcpy(send(0, address(1), address(0), 16, 0)->data + 12, (u8[]){0x81, 0}, 2);    /* half a tag */
	memcpy(send(0, address(1), address(0), 33, 0)->data + 12, (u8[]){8, 0, 0x45}, 3); /* most of IP */
	s = send(0, address(1), address(0), 100, 0); /* behind two tags, with all options that may be */
	memcpy(s->data + 12, (u8[]){0x88, 0xa8, 0, 0, 0x81, 0,  0,  0, 8, 0,  0x4f, 0, 0,
				    0,    0,    0, 0, 0,    64, 17, 0, 0, 10, 1,    2, 3},
	       26);
	run();
	assert_int_equal(b[1].frames, 6);
	assert_int_equal(net_port_meters(&b[0].p).tx_filtered, 6);
	assert_int_equal(net_port_meters(&b[1].p).rx_filtered, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(frames_arrive_whole, board_end),
	    cmocka_unit_test_teardown(what_is_no_frame_is_refused, board_end),
	    cmocka_unit_test_teardown(checked_header_is_what_arrives, board_end),
	    cmocka_unit_test_teardown(addresses_are_learned_and_forgotten, board_end),
	    cmocka_unit_test_teardown(flood_of_addresses, board_end),
	    cmocka_unit_test_teardown(drops_are_the_receivers, board_end),
	    cmocka_unit_test_teardown(equal_bytes, board_end),
	    cmocka_unit_test_teardown(rate_is_kept, board_end),
	    cmocka_unit_test_teardown(filters, board_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
