/* SPDX-License-Identifier: Apache-2.0 */
/* What senders leave for later (virtio 1.2, 5.1.6.2): checksums and the cutting of TCP segments, done by the
 * switch where the receiver cannot, handed on where it can (M69); checked against sums and headers that this
 * file works out for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net.h"

#define ROOM_MAX 512

static struct net_switch sw;
static struct net_port from, to;
static u32 seed, takes_now;
static unsigned posted, told, frames, completed_frames;
static bool delivered_last;
static u8 *buffer;
static struct {
	u8 *bytes;
	u32 length;
	struct net_offload o;
} got[4096];

static u32 dice(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Memory of length bytes in pieces of any size. */
static unsigned cut(u8 *bytes, u32 length, struct piece *pieces, unsigned most)
{
	unsigned nr = 0;

	while (length) {
		u32 part = nr == most - 1 ? length : MIN(length, 1 + dice(length < 300 ? 40 : length));
		pieces[nr++] = (struct piece){bytes, part};
		bytes += part;
		length -= part;
	}
	return nr;
}

static unsigned room(struct net_port *p, u32 length, struct piece *pieces)
{
	assert_ptr_equal(p, &to);
	if (!posted)
		return 0;
	posted--;
	buffer = malloc(length);
	return cut(buffer, length, pieces, 1 + dice(NET_PIECES));
}

static void received(struct net_port *p, u32 length, const struct net_offload *o)
{
	assert_ptr_equal(p, &to);
	assert_true(frames < ARRAY_SIZE(got));
	got[frames].bytes = buffer;
	got[frames].length = length;
	got[frames++].o = *o;
}

static void ready(struct net_port *p)
{
	assert_ptr_equal(p, &to);
	told++;
}

static u32 takes(struct net_port *p)
{
	assert_ptr_equal(p, &to);
	return takes_now;
}

static void completed(struct net_frame *f, bool delivered)
{
	(void)f;
	completed_frames++;
	delivered_last = delivered;
}

static const u8 a_from[6] = {2, 0, 0, 0, 0, 1}, a_to[6] = {2, 0, 0, 0, 0, 2};

static int setup(void **state)
{
	static const struct net_port_ops ops = {
	    .room = room, .received = received, .ready = ready, .takes = takes};

	(void)state;
	seed = 1;
	net_switch_init(&sw, 42, 1000);
	assert_int_equal(net_port_init(&from, &sw, &ops, a_from, NET_ANTI_SPOOF), 0);
	assert_int_equal(net_port_init(&to, &sw, &ops, a_to, 0), 0);
	posted = ROOM_MAX;
	takes_now = 0;
	return 0;
}

static void forget(void)
{
	for (unsigned i = 0; i < frames; i++)
		free(got[i].bytes);
	frames = told = completed_frames = 0;
	posted = ROOM_MAX;
}

static int teardown(void **state)
{
	(void)state;
	forget();
	assert_int_equal(net_port_close(&from), 0);
	return net_port_close(&to);
}

/* ---- frames ---- */
struct made {
	u8 bytes[NET_FRAME_MAX];
	u32 length, ip, tcp, payload;
	bool v6;
};

static u32 be(const u8 *p, unsigned n)
{
	u32 value = 0;

	for (unsigned i = 0; i < n; i++)
		value = value << 8 | p[i];
	return value;
}

static void set_be(u8 *p, u32 value, unsigned n)
{
	while (n--) {
		p[n] = (u8)value;
		value >>= 8;
	}
}

/* RFC 1071, byte by byte. */
static u32 reference(u32 sum, const u8 *p, u32 n)
{
	for (u32 i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (u32)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static u32 pseudo(const u8 *f, u32 ip, bool v6, u8 protocol, u32 length)
{
	u32 sum = v6 ? reference(0, f + ip + 8, 32) : reference(0, f + ip + 12, 8);

	sum += protocol + (length >> 16) + (length & 0xffff);
	return (sum & 0xffff) + (sum >> 16);
}

static void make(struct made *m, bool v6, bool vlan, u32 ip_options, u32 tcp_options, u32 payload)
{
	u8 *f = m->bytes;

	m->v6 = v6;
	m->ip = vlan ? 18 : 14;
	m->tcp = m->ip + (v6 ? 40 : 20) + ip_options;
	m->payload = m->tcp + 20 + tcp_options;
	m->length = m->payload + payload;
	assert_true(m->length <= NET_FRAME_MAX);
	for (u32 i = 0; i < m->length; i++)
		f[i] = (u8)dice(256);
	memcpy(f, a_to, 6);
	memcpy(f + 6, a_from, 6);
	set_be(f + 12, 0x8100, 2);
	set_be(f + m->ip - 2, v6 ? 0x86dd : 0x0800, 2);
	if (v6) {
		f[m->ip] = 0x60;
		set_be(f + m->ip + 4, m->length - m->ip - 40, 2);
		f[m->ip + 6] = ip_options ? 0 : 6;
	} else {
		f[m->ip] = (u8)(0x40 | (5 + ip_options / 4));
		set_be(f + m->ip + 2, m->length - m->ip, 2);
		f[m->ip + 9] = 6;
	}
	f[m->tcp + 12] = (u8)((5 + tcp_options / 4) << 4);
	f[m->tcp + 13] = 0xff; /* every flag */
	set_be(f + m->tcp + 16, pseudo(f, m->ip, v6, 6, m->length - m->tcp), 2);
}

static void send(const struct made *m, struct net_offload o)
{
	static struct piece pieces[NET_PIECES];
	static struct net_frame f;
	u8 *copy = malloc(m->length);
	u64 next;

	memcpy(copy, m->bytes, m->length);
	f = (struct net_frame){.pieces = pieces,
			       .nr_pieces = cut(copy, m->length, pieces, 1 + dice(NET_PIECES)),
			       .length = m->length,
			       .offload = o,
			       .complete = completed};
	net_send(&from, &f);
	while (net_switch_run(&sw, 1, 1000, &next))
		;
	assert_memory_equal(copy, m->bytes, m->length);
	free(copy);
}

static void assert_tcp_sum(const u8 *f, u32 length, const struct made *m)
{
	u32 sum = pseudo(f, m->ip, m->v6, 6, length - m->tcp);

	assert_int_equal(reference(sum, f + m->tcp, length - m->tcp), 0xffff);
	if (!m->v6)
		assert_int_equal(reference(0, f + m->ip, m->tcp - m->ip), 0xffff);
}

/* ---- what is to be ---- */
/* The i-th segment of so many. */
static void assert_segment(const struct made *m, unsigned i, unsigned of, u32 mss)
{
	const u8 *f = got[i].bytes;
	u32 at = i * mss, n = MIN(mss, m->length - m->payload - at), length = m->payload + n;
	u8 flags = i + 1 == of ? 0xff : 0xf6;

	assert_int_equal(got[i].length, length);
	assert_memory_equal(f + m->payload, m->bytes + m->payload + at, n);
	assert_memory_equal(f, m->bytes, m->ip);
	if (m->v6) {
		assert_int_equal(be(f + m->ip + 4, 2), length - m->ip - 40);
		assert_memory_equal(f + m->ip + 6, m->bytes + m->ip + 6, m->tcp - m->ip - 6);
	} else {
		assert_int_equal(be(f + m->ip + 2, 2), length - m->ip);
		assert_int_equal(be(f + m->ip + 4, 2), (be(m->bytes + m->ip + 4, 2) + i) & 0xffff);
		assert_memory_equal(f + m->ip + 12, m->bytes + m->ip + 12, m->tcp - m->ip - 12);
	}
	assert_int_equal(be(f + m->tcp + 4, 4), be(m->bytes + m->tcp + 4, 4) + at);
	assert_int_equal(f[m->tcp + 13], i ? flags & 0x7f : flags);
	assert_memory_equal(f + m->tcp + 18, m->bytes + m->tcp + 18, m->payload - m->tcp - 18);
	assert_tcp_sum(f, length, m);
	assert_int_equal(got[i].o.from, 0);
	assert_int_equal(got[i].o.cut, 0);
}

static void cut_for_who_cannot(void **state)
{
	static struct made m;

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		u32 mss = NET_CUT_MIN + dice(1460);
		bool v6 = round & 1;
		make(&m, v6, round & 2, v6 ? dice(3) * 8 : dice(11) * 4, dice(11) * 4,
		     dice(MIN(mss * 100, 64000u)));
		u32 bytes = m.length - m.payload, of = bytes ? (bytes + mss - 1) / mss : 1;
		takes_now = NET_TAKES_SUM | (v6 ? NET_TAKES_TCP4 : NET_TAKES_TCP6);
		send(&m, (struct net_offload){.from = (u16)m.tcp, .at = 16, .cut = (u16)mss});
		assert_int_equal(frames, of);
		for (unsigned i = 0; i < of; i++)
			assert_segment(&m, i, of, mss);
		assert_int_equal(told, 1);
		assert_int_equal(completed_frames, 1);
		assert_true(delivered_last);
		forget();
	}
}

static void whole_for_who_can(void **state)
{
	static struct made m;

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		make(&m, v6, false, 0, 12, 60000);
		takes_now = NET_TAKES_SUM | (v6 ? NET_TAKES_TCP6 : NET_TAKES_TCP4);
		send(&m, (struct net_offload){.from = (u16)m.tcp, .at = 16, .cut = 1448});
		assert_int_equal(frames, 1);
		assert_int_equal(got[0].length, m.length);
		assert_memory_equal(got[0].bytes, m.bytes, m.length);
		assert_int_equal(got[0].o.from, m.tcp);
		assert_int_equal(got[0].o.at, 16);
		assert_int_equal(got[0].o.cut, 1448);
		assert_int_equal(got[0].o.header, m.payload);
		assert_int_equal(got[0].o.kind, v6 ? NET_TAKES_TCP6 : NET_TAKES_TCP4);
		forget();
	}
}

static void checksums(void **state)
{
	static struct made m;

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		make(&m, round & 1, false, 0, 0, dice(1461));
		takes_now = round & 2 ? NET_TAKES_SUM : 0;
		send(&m, (struct net_offload){.from = (u16)m.tcp, .at = 16});
		assert_int_equal(frames, 1);
		assert_int_equal(got[0].length, m.length);
		if (takes_now) {
			assert_memory_equal(got[0].bytes, m.bytes, m.length);
			assert_int_equal(got[0].o.from, m.tcp);
			assert_int_equal(got[0].o.at, 16);
		} else {
			memcpy(m.bytes + m.tcp + 16, got[0].bytes + m.tcp + 16, 2);
			assert_memory_equal(got[0].bytes, m.bytes, m.length);
			u32 sum = pseudo(m.bytes, m.ip, m.v6, 6, m.length - m.tcp);
			assert_int_equal(reference(sum, m.bytes + m.tcp, m.length - m.tcp), 0xffff);
			assert_int_equal(got[0].o.from, 0);
		}
		forget();
	}
	/* A sum of 0: UDP would mean by it that there is none. */
	memset(m.bytes + 14, 0, 46);
	m.length = 60;
	takes_now = 0;
	m.bytes[30] = m.bytes[31] = 0xff;
	send(&m, (struct net_offload){.from = 30, .at = 6});
	assert_int_equal(be(got[0].bytes + 36, 2), 0xffff);
}

/* What cannot be done is no frame. */
static void nonsense(void **state)
{
	static struct made m, other;
	u64 bad = 0;

	(void)state;
	make(&m, false, false, 0, 0, 3000);
	const u16 tcp = (u16)m.tcp;
	const struct net_offload wrong[] = {
	    {.cut = 1448},
	    {.from = 13, .at = 0},
	    {.from = tcp, .at = 16, .cut = NET_CUT_MIN - 1},
	    {.from = tcp, .at = 6, .cut = 1448},
	    {.from = tcp + 4, .at = 16, .cut = 1448},
	    {.from = tcp - 4, .at = 16, .cut = 1448},
	    {.from = 3040, .at = 13},
	    {.from = 65535, .at = 65535},
	    {.from = 34, .at = 65535, .cut = 1448},
	    {.from = 180, .at = 16, .cut = 1448},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		send(&m, wrong[i]);
		assert_int_equal(net_port_meters(&from).tx_bad, ++bad);
	}
	static const struct {
		u32 at;
		u8 value;
	} spoiled[] = {{0, 3},   {12, 9},    {14, 0x65}, {14, 0x44}, {14, 0x4f},
		       {23, 17}, {46, 0x40}, {46, 0xf0}, {12, 0x86}};
	for (unsigned i = 0; i < ARRAY_SIZE(spoiled); i++) {
		other = m;
		other.bytes[spoiled[i].at] = spoiled[i].value;
		if (i == 7)
			other.length = 80; /* shorter than its TCP header */
		send(&other, (struct net_offload){.from = tcp, .at = 16, .cut = 1448});
		assert_int_equal(net_port_meters(&from).tx_bad, ++bad);
	}
	make(&m, true, false, 0, 0, 3000);
	send(&m, (struct net_offload){.from = (u16)m.tcp - 8, .at = 16, .cut = 1448});
	assert_int_equal(net_port_meters(&from).tx_bad, ++bad);
	assert_int_equal(frames, 0);
	assert_int_equal(net_port_meters(&from).tx_frames, 0);
}

/* The receiver pays for what it has no room for; and cutting has an end. */
static void no_room(void **state)
{
	static struct made m;

	(void)state;
	make(&m, false, false, 0, 0, 10000);
	posted = 3;
	send(&m, (struct net_offload){.from = (u16)m.tcp, .at = 16, .cut = 1000});
	assert_int_equal(frames, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_segment(&m, i, 10, 1000);
	assert_int_equal(net_port_meters(&to).rx_dropped, 1);
	assert_int_equal(net_port_meters(&to).rx_frames, 3);
	posted = 0;
	send(&m, (struct net_offload){.from = (u16)m.tcp, .at = 16, .cut = 1000});
	assert_false(delivered_last);
	assert_int_equal(told, 1);
}

static unsigned many_room(struct net_port *p, u32 length, struct piece *pieces)
{
	static u8 sink[2048];

	(void)p;
	assert_true(length <= sizeof(sink));
	pieces[0] = (struct piece){sink, sizeof(sink)};
	return 1;
}

static void many_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)length, (void)o;
	frames++;
}

/* A frame to nobody in particular goes to many, and is cut for each, but not without end. */
static void cuts_have_an_end(void **state)
{
	static const struct net_port_ops ops = {.room = many_room, .received = many_received};
	static struct net_port others[4];
	static struct made m;
	u64 dropped = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		const u8 address[6] = {2, 0, 0, 0, 1, (u8)i};
		assert_int_equal(net_port_init(&others[i], &sw, &ops, address, 0), 0);
	}
	make(&m, false, false, 0, 0, 60000);
	m.bytes[5] = 77;
	posted = 0;
	send(&m, (struct net_offload){.from = (u16)m.tcp, .at = 16, .cut = 60});
	assert_int_equal(frames, NET_CUTS_MAX - 1); /* the first was for one without room */
	frames = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		dropped += net_port_meters(&others[i]).rx_dropped;
		assert_int_equal(net_port_close(&others[i]), 0);
	}
	assert_int_equal(dropped, 2);
}

static void flush_and_readdress(void **state)
{
	static const u8 third[6] = {2, 0, 0, 0, 0, 3}, group[6] = {3};
	static struct made m;
	static struct piece pieces[1];
	static struct net_frame f[3];
	u64 next;

	(void)state;
	make(&m, false, false, 0, 0, 100);
	pieces[0] = (struct piece){m.bytes, m.length};
	for (unsigned i = 0; i < 3; i++) {
		f[i] = (struct net_frame){
		    .pieces = pieces, .nr_pieces = 1, .length = m.length, .complete = completed};
		net_send(&from, &f[i]);
	}
	assert_int_equal(net_port_close(&from), ERR_AGAIN);
	net_port_flush(&from);
	assert_false(net_switch_run(&sw, 1, 10, &next));
	assert_int_equal(completed_frames, 3);
	assert_false(delivered_last);
	assert_int_equal(frames, 0);
	assert_int_equal(net_port_readdress(&to, a_from), ERR_EXIST);
	assert_int_equal(net_port_readdress(&to, group), ERR_INVAL);
	send(&m, (struct net_offload){0});
	assert_int_equal(frames, 1);
	assert_int_equal(net_port_readdress(&to, third), 0);
	assert_int_equal(net_port_readdress(&to, third), 0);
	memcpy(m.bytes, third, 6);
	send(&m, (struct net_offload){0});
	assert_int_equal(frames, 2);
	/* The old one is free for another. */
	assert_int_equal(net_port_readdress(&from, a_to), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(cut_for_who_cannot, setup, teardown),
	    cmocka_unit_test_setup_teardown(whole_for_who_can, setup, teardown),
	    cmocka_unit_test_setup_teardown(checksums, setup, teardown),
	    cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_room, setup, teardown),
	    cmocka_unit_test_setup_teardown(cuts_have_an_end, setup, teardown),
	    cmocka_unit_test_setup_teardown(flush_and_readdress, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
