/* SPDX-License-Identifier: Apache-2.0 */
/* The 82540EM's receiver: which frames the guest gets, where they stand, what is said of them (M66, M69,
 * M77); and its interrupts, at once, late, and not too often (M84). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e1000_board.h"

static const u8 *rx_data(u32 i, u32 bytes)
{
	return at(RX_BUFFERS + (u64)i * bytes, bytes);
}

static void frames(void **state)
{
	(void)state;
	for (unsigned secrc = 0; secrc < 2; secrc++) {
		create(0);
		receiver(8, 2048, secrc ? SECRC : 0);
		for (u32 length = 14; length <= 1518; length += 47) {
			u32 i = rx_next, least = MAX(length, 60u);
			make_frame(peer.sent, MAC, PEER_MAC, 17, MAX(length, 60u), true);
			memset(at(RX_BUFFERS + i * 2048, 2048), 0xee, 2048);
			assert_true(peer_send(length));
			u64 fields = rx_take();
			assert_int_equal(fields & 0xffff, secrc ? least : least + 4);
			assert_int_equal(fields & (RX_EOP | RX_PIF | RX_IXSM), RX_EOP | RX_IXSM);
			assert_memory_equal(rx_data(i, 2048), peer.sent, length);
			/* What is shorter than a line's frames has been filled up. */
			for (u32 k = length; k < 60; k++)
				assert_int_equal(rx_data(i, 2048)[k], 0);
			assert_int_equal(rx_data(i, 2048)[least + 4], 0xee);
			assert_int_equal(reg(RDH), rx_next);
			assert_int_equal(reg(ICR) & RXT0, RXT0);
			reg_set(RDT, (rx_next + 7) % 8);
		}
		destroy();
	}
}

/* 13.4.22: all sizes; frames in several buffers; what is too long. */
static void buffers(void **state)
{
	static const u32 sizes[] = {2048, 1024, 512, 256, 0, 16384, 8192, 4096};

	(void)state;
	for (u32 k = 0; k < ARRAY_SIZE(sizes); k++) {
		u32 size = sizes[k], length = 1518;
		if (!size)
			continue;
		create(0);
		/* Buffers begin anywhere. */
		receiver(16, size, SECRC | LPE | k % 4 << 16 | (k > 3 ? BSEX : 0));
		for (u32 i = 0; i < 16; i++)
			set64(RX_RING + 16 * i, (i == 15 ? 0x1000 : RX_BUFFERS + i * 0x4000) + i * 3);
		for (u32 i = 0; i < sizeof(peer.sent); i++)
			peer.sent[i] = (u8)(i * 7 + k);
		memcpy(peer.sent, MAC PEER_MAC, 12);
		if (size > 4096)
			length = 16380;
		assert_true(peer_send(length));
		for (u32 at_ = 0, i = 0; at_ < length; at_ += size, i++) {
			u64 fields = rx_take();
			u32 part = MIN(size, length - at_);
			u8 got[16384];
			assert_int_equal(fields & 0xffff, part);
			assert_int_equal(!!(fields & RX_EOP), at_ + size >= length);
			assert_int_equal(gmem_read(&guest_ram, RX_BUFFERS + i * 0x4000 + i * 3, got, part),
					 0);
			assert_memory_equal(got, peer.sent + at_, part);
		}
		assert_int_equal(rx_take(), 0);
		assert_int_equal(reg(RDH), rx_next);
		assert_int_equal(reg(0x40ac), 0);
		assert_false(peer_send(16381));
		assert_int_equal(reg(0x40ac), 1); /* ROC */
		destroy();
	}
	create(0);
	receiver(8, 2048, 0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	assert_false(peer_send(1519));
	assert_int_equal(reg(0x40ac), 1);
	destroy();
}

static bool gets(const char *target)
{
	memcpy(peer.sent, target, 6);
	memcpy(peer.sent + 6, PEER_MAC, 6);
	if (!peer_send(60))
		return false;
	assert_true(rx_take() & RX_EOP);
	reg_set(RDT, (rx_next + rx_size - 1) % rx_size);
	return true;
}

static void addresses(void **state)
{
	static const char other[] = "\x52\x54\x00\xaa\xbb\xcc", group[] = "\x01\x00\x5e\x01\x02\x03";
	static const u32 shifts[] = {4, 3, 2, 0};

	(void)state;
	create(0);
	receiver(8, 2048, 0);
	assert_true(gets(MAC));
	assert_false(gets(other));
	assert_false(gets(group));
	assert_false(gets("\xff\xff\xff\xff\xff\xff"));
	reg_set(RCTL, 2 | BAM);
	assert_true(gets("\xff\xff\xff\xff\xff\xff"));
	assert_false(gets(group));
	reg_set(RCTL, 2 | UPE);
	assert_true(gets(other));
	assert_false(gets(group));
	reg_set(RCTL, 2 | MPE);
	assert_false(gets(other));
	assert_true(gets(group));
	assert_true(gets("\xff\xff\xff\xff\xff\xff"));
	reg_set(0x5400 + 8 * 15, 0xaa005452); /* the last address */
	assert_false(gets(other));
	reg_set(0x5404 + 8 * 15, 0x8000ccbb);
	reg_set(RCTL, 2);
	assert_true(gets(other));
	reg_set(0x5400 + 8 * 3, 0x015e0001);
	reg_set(0x5404 + 8 * 3, 0x80000302);
	assert_true(gets(group));
	assert_false(gets("\x01\x00\x5e\x01\x02\x04"));
	reg_set(0x5404 + 8 * 3, 0);
	for (u32 mo = 0; mo < 4; mo++) {
		u32 bit = (0x0302u >> shifts[mo]) & 0xfff;
		reg_set(RCTL, 2 | mo << 12);
		assert_false(gets(group));
		reg_set(MTA + bit / 32 * 4, 1u << bit % 32);
		u32 i = rx_next;
		assert_true(gets(group));
		assert_int_equal(rx_fields(i) & RX_PIF, RX_PIF);
		reg_set(MTA + bit / 32 * 4, 0);
	}
	reg_set(RCTL, 0);
	assert_false(gets(MAC));
	reg_set(RCTL, 2);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_false(gets(MAC));
	destroy();
}

/* ---- checksums ---- */
static u64 checked(u32 length)
{
	u64 fields;

	assert_true(peer_send(length));
	fields = rx_take();
	reg_set(RDT, (rx_next + rx_size - 1) % rx_size);
	return fields & (RX_IXSM | RX_TCPCS | RX_IPCS | RX_TCPE | RX_IPE);
}

static void sums(void **state)
{
	(void)state;
	create(0);
	receiver(8, 256, 3 << 16);
	for (u32 protocol = 6; protocol <= 17; protocol += 11)
		for (u32 length = 60; length < 1000; length += 53) {
			reg_set(RXCSUM, 0x300);
			make_frame(peer.sent, MAC, PEER_MAC, (u8)protocol, length, true);
			assert_true(frame_ok(peer.sent));
			assert_true(peer_send(length));
			u64 fields;
			do
				fields = rx_take();
			while (!(fields & RX_EOP));
			reg_set(RDT, (rx_next + rx_size - 1) % rx_size);
			assert_int_equal(fields & (RX_IXSM | RX_TCPCS | RX_IPCS | RX_TCPE | RX_IPE),
					 RX_IPCS | RX_TCPCS);
		}
	receiver(8, 2048, 0);
	reg_set(RXCSUM, 0x300);
	make_frame(peer.sent, MAC, PEER_MAC, 6, 200, true);
	peer.sent[150] ^= 1;
	assert_int_equal(checked(200), RX_IPCS | RX_TCPCS | RX_TCPE);
	peer.sent[150] ^= 1;
	assert_int_equal(checked(210), RX_IPCS | RX_TCPCS); /* bytes behind the packet */
	reg_set(RXCSUM, 0x100);
	assert_int_equal(checked(200), RX_IPCS);
	reg_set(RXCSUM, 0x200);
	assert_int_equal(checked(200), RX_TCPCS);
	reg_set(RXCSUM, 0);
	assert_int_equal(checked(200), RX_IXSM);
	reg_set(RXCSUM, 0x300);
	peer.sent[IP + 8]--;
	assert_int_equal(checked(200), RX_IPCS | RX_IPE);
	/* A part of a packet; not TCP; a length that is not there; no IPv4; UDP without a sum. */
	make_frame(peer.sent, MAC, PEER_MAC, 6, 200, true);
	put16(peer.sent + IP + 6, 0x2000);
	put16(peer.sent + IP + 10, 0);
	put16(peer.sent + IP + 10, ~sum_of(peer.sent + IP, 20));
	assert_int_equal(checked(200), RX_IPCS);
	make_frame(peer.sent, MAC, PEER_MAC, 1, 200, true);
	assert_int_equal(checked(200), RX_IPCS);
	make_frame(peer.sent, MAC, PEER_MAC, 6, 200, true);
	assert_int_equal(checked(199), RX_IXSM);
	peer.sent[IP] = 0x44;
	assert_int_equal(checked(200), RX_IXSM);
	peer.sent[12] = 0x86;
	assert_int_equal(checked(200), RX_IXSM);
	make_frame(peer.sent, MAC, PEER_MAC, 17, 200, true);
	put16(peer.sent + L4 + 6, 0);
	assert_int_equal(checked(200), RX_IPCS);
	destroy();
}

/* A checksum that the sender has left is made in the guest's buffer, wherever it is cut. */
static void left_sums(void **state)
{
	(void)state;
	create(0);
	reg_set(RXCSUM, 0x300);
	for (u32 shift = 0; shift < 70; shift++) {
		receiver(8, 2048, SECRC);
		set64(RX_RING, RX_BUFFERS + 0x1000 - shift); /* a page ends in it */
		make_frame(peer.sent, MAC, PEER_MAC, 6, 401, false);
		put16(peer.sent + IP + 10, ~sum_of(peer.sent + IP, 20));
		assert_true(peer_send_with(401, (struct net_offload){.from = L4, .at = 16}));
		assert_int_equal(rx_take() & (RX_TCPCS | RX_IPCS | RX_TCPE | RX_IPE), RX_TCPCS | RX_IPCS);
		u8 got[401];
		assert_int_equal(gmem_read(&guest_ram, RX_BUFFERS + 0x1000 - shift, got, 401), 0);
		assert_true(frame_ok(got));
	}
	/* And long segments are cut. */
	receiver(8, 2048, SECRC);
	make_frame(peer.sent, MAC, PEER_MAC, 6, 3000, false);
	assert_true(peer_send_with(3000, (struct net_offload){.from = L4, .at = 16, .cut = 1400}));
	for (u32 i = 0; i < 3; i++) {
		u64 fields = rx_take();
		assert_int_equal(fields & 0xffff, i < 2 ? 1454 : 54 + 146);
		assert_int_equal(fields & (RX_TCPCS | RX_IPCS | RX_TCPE | RX_IPE), RX_TCPCS | RX_IPCS);
		assert_true(frame_ok(rx_data(i, 2048)));
	}
	destroy();
}

/* ---- a ring that is empty, or nearly ---- */
static void overrun(void **state)
{
	(void)state;
	create(0);
	receiver(8, 2048, 0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	for (unsigned i = 0; i < 7; i++) {
		assert_true(peer_send(60));
		/* RDMTS 0: half of the ring. */
		assert_int_equal(!!(reg(ICR) & RXDMT0), i == 2);
	}
	assert_false(peer_send(60));
	assert_int_equal(reg(ICR), RXO);
	assert_int_equal(reg(0x4010), 1); /* MPC */
	assert_int_equal(reg(0x40a0), 1); /* RNBC */
	reg_set(RDT, 0);
	assert_true(peer_send(60));
	assert_int_equal(reg(RDH), 0);
	assert_int_equal(peer.port.meters.rx_frames, 0);
	assert_int_equal(nic->port.meters.rx_dropped, 1);
	destroy();
}

static u64 tick; /* for each look at the clock */

u64 tsc_now(void)
{
	return shim_tsc += tick;
}

static u64 nic_paid;

static void pay(struct sched_group *g, u64 ticks)
{
	nic_paid += g && g == nic->group ? ticks : 0;
}

/* M42: a frame without room costs its receiver time, one that it gets does not: its sender pays for that. */
static void overrun_is_paid(void **state)
{
	static struct sched_group group;

	(void)state;
	create(0);
	nic->group = &group;
	receiver(8, 2048, 0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	fake_on_charge = pay;
	tick = 100;
	for (unsigned i = 0; i < 7; i++)
		assert_true(peer_send(60));
	assert_int_equal(nic_paid, 0);
	for (unsigned i = 1; i < 10; i++) {
		assert_false(peer_send(60));
		assert_int_equal(nic_paid, i * tick);
		assert_int_equal(lan.charged, i * tick);
	}
	tick = 0;
	fake_on_charge = NULL;
	destroy();
}

static void null_descriptors(void **state)
{
	(void)state;
	create(0);
	receiver(16, 2048, 0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	set64(RX_RING, 0);
	set64(RX_RING + 16, 0);
	assert_true(peer_send(60));
	assert_int_equal(rx_take(), BIT(32));
	assert_int_equal(rx_take(), BIT(32));
	assert_true(rx_take() & RX_EOP);
	assert_int_equal(reg(RDH), 3);
	destroy();
}

/* ---- interrupts ---- */
static void mask(void **state)
{
	(void)state;
	create(0);
	reg_set(ICS, RXT0 | LSC);
	assert_false(interrupt());
	reg_set(IMS, LSC);
	assert_true(interrupt());
	reg_set(IMC, LSC);
	assert_false(interrupt());
	reg_set(IMS, RXT0);
	reg_set(IMS, MDAC);
	assert_int_equal(reg(IMS), RXT0 | MDAC);
	assert_true(interrupt());
	reg_set(ICR, RXT0); /* a written 1 clears */
	assert_false(interrupt());
	assert_int_equal(reg(ICR), LSC);
	assert_int_equal(reg(ICR), 0);
	destroy();
}

/* ITR: 256 ns each. */
static void throttle(void **state)
{
	(void)state;
	create(0);
	reg_set(IMS, LSC);
	reg_set(ITR, 1000);
	u64 first = shim_tsc, last = 0;
	unsigned interrupts = 0, events = 0;
	for (; shim_tsc < first + 2560000; fake_run_until(shim_tsc + 1000), events++) {
		reg_set(ICS, LSC);
		if (!interrupt())
			continue;
		assert_true(!last || shim_tsc - last >= 256000);
		last = shim_tsc;
		interrupts++;
		reg(ICR);
		assert_false(interrupt());
	}
	assert_in_range(interrupts, 9, 10);
	assert_true(events > 2000);
	/* It comes by itself when the time is over. */
	while (!interrupt())
		fake_run_until(shim_tsc + 1000);
	reg(ICR);
	reg_set(ICS, LSC);
	assert_false(interrupt());
	fake_run_until(shim_tsc + 256000);
	assert_true(interrupt());
	reg(ICR);
	reg_set(ICS, LSC);
	assert_false(interrupt());
	reg_set(ITR, 0);
	assert_true(interrupt());
	destroy();
}

/* RDTR since the last frame, RADV since the first: 1024 ns each. */
static void late_receive(void **state)
{
	(void)state;
	create(0);
	receiver(64, 2048, 0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	reg_set(IMS, RXT0);
	reg_set(RDTR, 10);
	peer_send(60);
	fake_run_until(shim_tsc + 10239);
	assert_false(interrupt());
	fake_run_until(shim_tsc + 1);
	assert_true(interrupt());
	reg(ICR);
	reg_set(RADV, 25);
	for (unsigned i = 0; i < 4; i++) {
		peer_send(60);
		fake_run_until(shim_tsc + 8000);
	}
	assert_true(interrupt()); /* 25.6 us since the first */
	assert_int_equal(reg(ICR) & RXT0, RXT0);
	fake_run_until(shim_tsc + 100000);
	assert_false(interrupt());
	peer_send(60);
	assert_false(interrupt());
	reg_set(RDTR, 10 | 1u << 31); /* now */
	assert_true(interrupt());
	reg(ICR);
	fake_run_until(shim_tsc + 100000);
	assert_false(interrupt());
	reg_set(RDTR, 0);
	peer_send(60);
	assert_true(interrupt());
	destroy();
}

/* TIDV and TADV, of descriptors with IDE. */
static void late_transmit(void **state)
{
	(void)state;
	create(0);
	transmitter(64);
	reg_set(IMS, TXDW);
	reg_set(TIDV, 10);
	reg_set(TADV, 15);
	tx_put(TX_BUFFERS, 60 | SEND);
	tx_ring();
	assert_true(interrupt());
	reg(ICR);
	for (unsigned i = 0; i < 2; i++) {
		tx_put(TX_BUFFERS, 60 | SEND | IDE);
		tx_ring();
		assert_false(interrupt());
		fake_run_until(shim_tsc + 8000);
	}
	assert_true(interrupt());
	destroy();
}

/* One interrupt for all that the switch brought at one go. */
static void one_for_many(void **state)
{
	struct net_frame f[5];

	(void)state;
	create(0);
	receiver(16, 2048, 0);
	memcpy(peer.sent, MAC PEER_MAC, 12);
	reg_set(IMS, RXT0);
	peer.piece = (struct piece){peer.sent, 60};
	for (unsigned i = 0; i < 5; i++) {
		f[i] = (struct net_frame){
		    .pieces = &peer.piece, .nr_pieces = 1, .length = 60, .complete = peer_complete};
		net_send(&peer.port, &f[i]);
	}
	bridge_run(&lan);
	assert_int_equal(peer.back, 5);
	assert_true(interrupt());
	assert_int_equal(reg(ICR), RXT0);
	assert_false(interrupt());
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames),
	    cmocka_unit_test(buffers),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(sums),
	    cmocka_unit_test(left_sums),
	    cmocka_unit_test(overrun),
	    cmocka_unit_test(overrun_is_paid),
	    cmocka_unit_test(null_descriptors),
	    cmocka_unit_test(mask),
	    cmocka_unit_test(throttle),
	    cmocka_unit_test(late_receive),
	    cmocka_unit_test(late_transmit),
	    cmocka_unit_test(one_for_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
