/* SPDX-License-Identifier: Apache-2.0 */
/* vm/uplink.c: frames between a bridge's guests and the network card, both ways, and whose memory they are in
 * meanwhile (M73), and whose time it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_timer.h"
#include "nic.h"
#include "vm/uplink.h"

/* ---- who has paid ---- */
#define PAID 8
static struct {
	struct sched_group *group;
	u64 ticks;
} paid[PAID];
static unsigned nr_paid;

static void pay(struct sched_group *g, u64 ticks)
{
	paid[nr_paid % PAID].group = g;
	paid[nr_paid++ % PAID].ticks = ticks;
}

/* ---- the card ---- */
static const u8 card_address[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
static struct nic_user user;
static u8 sending[NIC_FRAME_MAX + NIC_VLAN], card_memory[NIC_SLOTS][2048];
static u32 sent_length;
static unsigned sent, flushed, given_back[NIC_SLOTS];
static bool full, down, started;

int nic_open(const struct nic_user *u, u8 address[6])
{
	user = *u;
	memcpy(address, card_address, 6);
	return 0;
}

int nic_start(void)
{
	started = true;
	return 0;
}

u8 *nic_room(void)
{
	return full ? NULL : sending;
}

bool nic_is_full(void)
{
	return full && !down;
}

void nic_send(u32 length)
{
	sent++;
	sent_length = length;
}

void nic_flush(void)
{
	flushed++;
}

void nic_give_back(unsigned slot)
{
	given_back[slot]++;
}

/* ---- a guest ---- */
static struct bridge bridge;
static struct net_port guest;
static u8 inbox[2048];
static unsigned got;
static u64 guest_takes; /* ticks, for a frame */
static u32 got_length;
static const u8 guest_address[6] = {0x52, 0x54, 0, 0, 0, 1};
static const u8 stranger[6] = {0x52, 0x54, 0, 0, 0, 9};
static const u8 everybody[6] = {255, 255, 255, 255, 255, 255};

static unsigned guest_room(struct net_port *p, u32 length, struct piece *pieces)
{
	(void)p;
	assert_true(length <= sizeof(inbox));
	shim_tsc += guest_takes;
	pieces[0] = (struct piece){inbox, sizeof(inbox)};
	return 1;
}

static void guest_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)o;
	got++;
	got_length = length;
}

static const struct net_port_ops guest_ops = {.room = guest_room, .received = guest_received};
static unsigned completed;
static bool delivered;

static void complete(struct net_frame *f, bool was_delivered)
{
	(void)f;
	completed++;
	delivered = was_delivered;
}

static void make(u8 *frame, const u8 *to, const u8 *from, u32 length)
{
	for (u32 i = 0; i < length; i++)
		frame[i] = (u8)(i * 7);
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	frame[12] = 8, frame[13] = 0;
}

static bool guest_sends(const u8 *to, u32 length, struct net_offload o)
{
	static u8 frame[65536];
	struct piece p = {frame, length};
	struct net_frame f = {
	    .pieces = &p, .nr_pieces = 1, .length = length, .offload = o, .complete = complete};

	make(frame, to, guest_address, length);
	frame[14] = 0x45;
	unsigned before = completed;
	net_send(&guest, &f);
	bridge_run(&bridge);
	assert_int_equal(completed, before + 1);
	return delivered;
}

static void card_gets(unsigned slot, const u8 *to, u32 length)
{
	make(card_memory[slot], to, stranger, length);
	user.received(user.opaque, slot, card_memory[slot], length);
}

static int setup(void **state)
{
	static struct sched_group group;
	struct bridge_nic nic = {.bridge = &bridge, .flags = NET_ANTI_SPOOF, .payer = &group};
	(void)state;

	fake_on_charge = pay;
	bridge_init(&bridge, 1);
	assert_true(uplink_join(&bridge));
	assert_true(started);
	assert_false(uplink_join(&bridge)); /* there is one card */
	memcpy(nic.address, guest_address, 6);
	assert_int_equal(bridge_join(&nic, &guest, &guest_ops), 0);
	memcpy(nic.address, card_address, 6);
	return 0;
}

static void out(void **state)
{
	struct net_offload none = {0};
	(void)state;

	assert_true(guest_sends(everybody, 60, none));
	assert_int_equal(sent, 1);
	assert_int_equal(flushed, 1);
	assert_int_equal(sent_length, 60);
	assert_memory_equal(sending, everybody, 6);
	assert_memory_equal(sending + 6, guest_address, 6);
	assert_int_equal(sending[59], (u8)(59 * 7));
	assert_true(guest_sends(stranger, NIC_FRAME_MAX, none));
	assert_int_equal(sent_length, NIC_FRAME_MAX);
	/* What the card does not take is dropped. */
	assert_false(guest_sends(stranger, NIC_FRAME_MAX + NIC_VLAN + 1, none));
	full = true;
	assert_false(guest_sends(stranger, 60, none));
	full = false;
	assert_int_equal(sent, 2);
	/* A checksum that was left to others is made: of one word, over itself and 0x1234. */
	assert_true(guest_sends(stranger, 60, (struct net_offload){.from = 34, .at = 6}));
	u32 sum = 0;
	for (u32 i = 34; i < 60; i += 2) {
		u8 high = i == 40 ? 0 : (u8)(i * 7), low = i == 40 ? 0 : (u8)((i + 1) * 7);
		sum += (u32)high << 8 | low;
	}
	sum += (u32)(u8)(40 * 7) << 8 | (u8)(41 * 7); /* what stood there */
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal((u16)~sum, sending[40] << 8 | sending[41]);
}

static void in(void **state)
{
	(void)state;
	card_gets(3, guest_address, 1514);
	assert_int_equal(given_back[3], 0);
	user.pause(user.opaque);
	assert_int_equal(got, 1);
	assert_int_equal(got_length, 1514);
	assert_memory_equal(inbox, card_memory[3], 1514);
	assert_int_equal(given_back[3], 1);
	/* Not for anybody here: it does not go back, either. */
	unsigned before = sent;
	assert_true(
	    guest_sends(stranger, 60, (struct net_offload){0})); /* the stranger is outside, as was seen */
	assert_int_equal(sent, before + 1);
	card_gets(4, stranger, 60);
	card_gets(5, everybody, 60);
	user.pause(user.opaque);
	assert_int_equal(given_back[4] + given_back[5], 2);
	assert_int_equal(got, 2);
	assert_int_equal(sent, before + 1);
}

static void many(void **state)
{
	(void)state;
	memset(given_back, 0, sizeof(given_back));
	got = 0;
	for (unsigned i = 0; i < NIC_SLOTS - 1; i++)
		card_gets(i, guest_address, 60 + i);
	user.pause(user.opaque);
	assert_int_equal(got, NIC_SLOTS - 1);
	for (unsigned i = 0; i < NIC_SLOTS - 1; i++)
		assert_int_equal(given_back[i], 1);
}

/* M42: who receives pays, and nobody for what is for nobody; M31: who was interrupted pays for none of it. */
static void whose_time(void **state)
{
	struct sched_group *owner = guest.payer;
	(void)state;

	assert_non_null(owner);
	got = 0;
	card_gets(1, guest_address, 60);
	card_gets(2, guest_address, 60);
	shim_tsc += 70;
	nr_paid = 0;
	guest_takes = 1000;
	user.pause(user.opaque);
	assert_int_equal(got, 2);
	assert_int_equal(nr_paid, 3);
	assert_true(paid[0].group == owner && paid[0].ticks >= 1000 && paid[0].ticks < 1100);
	assert_true(paid[1].group == owner && paid[1].ticks >= 1000 && paid[1].ticks < 1100);
	assert_true(!paid[2].group && paid[2].ticks >= 70 && paid[2].ticks < 200); /* the way there */
	nr_paid = 0;
	card_gets(3, everybody, 60);
	user.pause(user.opaque);
	assert_int_equal(nr_paid, 2);
	assert_true(!paid[0].group && paid[0].ticks >= 1000);
	assert_true(!paid[1].group && paid[1].ticks < 100);
	/* A guest's own frames are his, whoever runs the switch. */
	nr_paid = 0;
	assert_true(guest_sends(stranger, 60, (struct net_offload){0}));
	assert_int_equal(nr_paid, 1);
	assert_true(paid[0].group == owner && paid[0].ticks < 100);
	/* What came is forwarded by who happens to run the switch, and paid by its receiver all the same. */
	nr_paid = 0;
	card_gets(4, guest_address, 60);
	shim_tsc += 5000;
	assert_true(guest_sends(stranger, 60, (struct net_offload){0}));
	assert_int_equal(nr_paid, 2);
	assert_true(paid[0].group == owner && paid[0].ticks >= 1000 && paid[0].ticks < 1100);
	assert_true(paid[1].group == owner && paid[1].ticks < 100);
	user.pause(user.opaque);
	assert_int_equal(nr_paid, 3);
	assert_true(!paid[2].group);
	guest_takes = 0;
}

/* A card that is full for a moment drops nothing, and one without a link is waited for by nobody. */
static void waits_for_the_card(void **state)
{
	static u8 frame[100];
	struct piece p = {frame, sizeof(frame)};
	struct net_frame f = {.pieces = &p, .nr_pieces = 1, .length = sizeof(frame), .complete = complete};
	unsigned before = sent, done = completed;
	(void)state;

	make(frame, stranger, guest_address, sizeof(frame)); /* who is outside, as was seen */
	full = true;
	net_send(&guest, &f);
	bridge_run(&bridge);
	assert_int_equal(completed, done);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fake_timers_armed(), 1);
		fake_run_until(shim_tsc + ns_to_tsc(NET_HOLD_NS));
		assert_int_equal(completed, done);
	}
	full = false;
	fake_run_until(shim_tsc + ns_to_tsc(NET_HOLD_NS));
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(completed, done + 1);
	assert_true(delivered);
	assert_int_equal(sent, before + 1);
	full = down = true;
	assert_false(guest_sends(stranger, 60, (struct net_offload){0}));
	full = down = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(out),
	    cmocka_unit_test(in),
	    cmocka_unit_test(many),
	    cmocka_unit_test(whose_time),
	    cmocka_unit_test(waits_for_the_card),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
