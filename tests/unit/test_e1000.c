/* SPDX-License-Identifier: Apache-2.0 */
/* The 82540EM's registers, EEPROM and PHY as drivers find them (M66): what it says of itself by each way to
 * ask, resets, both windows, statistics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "e1000_board.h"

static void identity(void **state)
{
	(void)state;
	create(0);
	assert_int_equal(cfg(0, 4), 0x100e8086);
	assert_int_equal(cfg(PCI_CLASS, 1), 0);
	assert_int_equal(cfg(PCI_CLASS + 1, 2), 0x0200);
	assert_int_equal(cfg(PCI_SUBSYSTEM_VENDOR, 4), 0x001e8086);
	assert_int_equal(cfg(PCI_INTERRUPT_PIN, 1), 1);
	cfg_set(PCI_BAR0, 4, ~0u);
	assert_int_equal(cfg(PCI_BAR0, 4), 0xfffe0000);
	cfg_set(PCI_BAR0 + 8, 4, ~0u);
	assert_int_equal(cfg(PCI_BAR0 + 8, 4), 0xfffffff9);
	cfg_set(PCI_BAR0, 4, 0xc0000000);
	cfg_set(PCI_BAR0 + 8, 4, 0xc000);
	assert_int_equal(reg(STATUS) & 0xc3, 0x83); /* full duplex, link, 1000 Mb/s */
	assert_true(e1000_nic.usage(nic) >= sizeof(struct e1000));
	assert_true(guest_ram.lent); /* its descriptors are not pinned */
	destroy();
}

/* ---- EEPROM ---- */
static void wires(u32 value)
{
	reg_set(EECD, 0x40 | value);
}

static void clock_in(bool bit)
{
	wires(2 | bit << 2);
	wires(3 | bit << 2);
	wires(2 | bit << 2);
}

/* As a driver does it that knows nothing but the wires. */
static u16 read_by_wire(u32 address)
{
	u32 command = 6u << 6 | address, word = 0;

	reg_set(EECD, 0x40);
	assert_int_equal(reg(EECD) & 0x3c0, 0x1c0); /* requested, granted, present, small */
	wires(2);
	for (int i = 8; i >= 0; i--)
		clock_in(command >> i & 1);
	assert_int_equal(reg(EECD) & 8, 0); /* the 0 before the word */
	for (int i = 0; i < 16; i++) {
		wires(3);
		word = word << 1 | (reg(EECD) >> 3 & 1);
		wires(2);
	}
	wires(0);
	reg_set(EECD, 0);
	assert_int_equal(reg(EECD) & 0x80, 0);
	return (u16)word;
}

static u16 read_by_register(u32 address)
{
	reg_set(EERD, address << 8 | 1);
	assert_int_equal(reg(EERD) & 0x10, 0x10);
	return (u16)(reg(EERD) >> 16);
}

static void eeprom(void **state)
{
	u16 sum = 0;

	(void)state;
	create(0);
	for (u32 i = 0; i < 64; i++) {
		u16 word = read_by_wire(i);
		assert_int_equal(word, read_by_register(i));
		sum = (u16)(sum + word);
		if (i < 3)
			assert_int_equal(word, (u8)MAC[2 * i] | (u8)MAC[2 * i + 1] << 8);
	}
	assert_int_equal(sum, 0xbaba);
	assert_int_equal(read_by_wire(0x0d), 0x100e);
	destroy();
}

/* Writes and erases do nothing, a chip select in the middle begins anew. */
static void eeprom_is_read_only(void **state)
{
	u16 word;

	(void)state;
	create(0);
	word = read_by_wire(1);
	for (u32 operation = 0; operation < 4; operation++) {
		if (operation == 2)
			continue;
		wires(2);
		clock_in(1);
		for (int i = 7; i >= 0; i--)
			clock_in((operation << 6 | 1) >> i & 1);
		for (int i = 0; i < 40; i++)
			clock_in(1);
		wires(0);
		wires(2);
		assert_int_equal(reg(EECD) & 8, 8); /* ready */
		wires(0);
	}
	wires(2);
	clock_in(1);
	clock_in(1);
	wires(0);
	assert_int_equal(read_by_wire(1), word);
	destroy();
}

/* ---- PHY ---- */
static u32 mdic(u32 phy, u32 r, u32 operation, u32 value)
{
	reg_set(MDIC, value | r << 16 | phy << 21 | operation << 26);
	u32 answer = reg(MDIC);
	assert_int_equal(answer & 0x10000000, 0x10000000);
	return answer;
}

static u16 phy(u32 r)
{
	return (u16)mdic(1, r, 2, 0);
}

static void phy_set(u32 r, u16 value)
{
	mdic(1, r, 1, value);
}

static void phy_registers(void **state)
{
	(void)state;
	create(0);
	assert_int_equal(phy(2), 0x0141);
	assert_int_equal(phy(3) & 0xfff0, 0x0c20);
	assert_int_equal(phy(1) & 0x24, 0x24); /* negotiated, link */
	assert_int_equal(phy(17) & 0xac00, 0xac00);
	assert_int_equal(mdic(2, 2, 2, 0) & 0x40000000, 0x40000000); /* nobody there */
	phy_set(4, 0x0101);
	assert_int_equal(phy(4), 0x0101);
	phy_set(2, 0xffff);
	assert_int_equal(phy(2), 0x0141);
	phy_set(11, 0xffff);
	assert_int_equal(phy(11), 0);
	phy_set(0, 0x9140); /* reset */
	assert_int_equal(phy(0), 0x1140);
	assert_int_equal(phy(4), 0x0de1);
	assert_int_equal(reg(ICR), LSC);
	phy_set(0, 0x1340); /* negotiate again */
	assert_int_equal(phy(0), 0x1140);
	assert_int_equal(reg(ICR), LSC);
	reg_set(MDIC, 0x28410000 | 1u << 21); /* with an interrupt */
	assert_int_equal(reg(ICR), MDAC);
	destroy();
}

static void link(void **state)
{
	(void)state;
	create(0);
	reg_set(IMS, LSC);
	phy_set(0, 0x1940); /* power down */
	assert_true(interrupt());
	assert_int_equal(reg(ICR), LSC);
	assert_false(interrupt());
	assert_int_equal(reg(STATUS) & 2, 0);
	assert_int_equal(phy(1) & 0x24, 0);
	assert_int_equal(phy(17) & 0x0c00, 0);
	phy_set(0, 0x1140);
	assert_int_equal(reg(ICR), LSC);
	assert_int_equal(reg(STATUS) & 2, 2);
	reg_set(CTRL, 0x80000000);
	assert_int_equal(reg(ICR), LSC);
	destroy();
}

/* ---- registers ---- */
/* Those that keep what is written, and in which bits: what Intel's drivers check in their self-test. */
static void what_is_kept(void **state)
{
	static const struct {
		u32 offset, mask;
	} rows[] = {{0x28, ~0u},          {0x2c, 0xffff},      {0x30, 0xffff},      {0x38, 0xffff},
		    {RDTR, 0xffff},       {RDBAL + 4, ~0u},    {RDLEN, 0xfff80},    {RDT, 0xffff},
		    {0x2168, 0xfff8},     {0x170, 0xffff},     {0x410, 0x3fffffff}, {TDBAL + 4, ~0u},
		    {TDLEN, 0xfff80},     {RDBAL, 0xfffffff0}, {0x178, 0xc000ffff}, {TDBAL, 0xfffffff0},
		    {TIDV, 0xffff},       {RDH, 0xffff},       {TDH, 0xffff},       {0x5408, ~0u},
		    {0x547c, 0x8003ffff}, {MTA + 0x1fc, ~0u},  {0x5600, ~0u}};

	(void)state;
	create(0);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		for (u32 pattern = 0x5a5a5a5a, n = 0; n < 4; n++, pattern = n & 1 ? ~pattern : ~0u >> n) {
			reg_set(rows[i].offset, pattern);
			assert_int_equal(reg(rows[i].offset), pattern & rows[i].mask);
		}
	reg_set(STATUS, 0);
	assert_int_equal(reg(STATUS) & 2, 2);
	reg_set(0x1fff0, 1); /* nobody's */
	assert_int_equal(reg(0x1fff0), 0);
	reg_set(0x58, 1);
	assert_int_equal(reg(0x58), 0);
	board_write(false, bar_address(0) + 0x28, 2, 0x1111); /* registers are dwords */
	board_write(false, bar_address(0) + 0x2a, 1, 0x11);
	assert_int_equal(reg(0x28), 0xc0000000);
	assert_int_equal(board_read(false, bar_address(0) + 0x2b, 1), 0xc0);
	destroy();
}

static void resets(void **state)
{
	(void)state;
	create(0);
	assert_int_equal(reg(RAL), 0x12005452);
	assert_int_equal(reg(RAH), 0x80005634);
	reg_set(RAL, 1);
	reg_set(RAH, 2);
	transmitter(8);
	receiver(8, 2048, BAM);
	reg_set(ITR, 100);
	reg_set(MTA, ~0u);
	reg_set(IMS, LSC);
	reg_set(ICS, LSC);
	assert_true(interrupt());
	reg_set(CTRL, 0x04000000);
	assert_false(interrupt());
	assert_int_equal(reg(CTRL) & 0x04000000, 0);
	static const u32 zero[] = {ICR, IMS, ITR, MTA, RCTL, TCTL, RDBAL, RDLEN, RDT, TDBAL, TDLEN, TDT};
	for (unsigned i = 0; i < ARRAY_SIZE(zero); i++)
		assert_int_equal(reg(zero[i]), 0);
	assert_int_equal(reg(RAL), 0x12005452);
	reg_set(RAL, 1);
	reg_set(0x18, 0x2000); /* load the EEPROM */
	assert_int_equal(reg(RAL), 0x12005452);
	phy_set(0, 0x1940);
	reg_set(RDTR, 7);
	e1000_nic.reset(nic);
	assert_int_equal(reg(RDTR), 0);
	assert_int_equal(reg(STATUS) & 2, 2);
	destroy();
}

/* 13.2.2: where Linux resets it. */
static void io_window(void **state)
{
	u64 port;

	(void)state;
	create(0);
	port = cfg(PCI_BAR0 + 8, 4) & ~7u;
	board_write(true, port, 4, RAL);
	assert_int_equal(board_read(true, port, 4), RAL);
	assert_int_equal(board_read(true, port + 4, 4), 0x12005452);
	assert_int_equal(board_read(true, port + 5, 1), 0x54);
	board_write(true, port + 4, 4, 0x77);
	assert_int_equal(reg(RAL), 0x77);
	board_write(true, port, 2, 0); /* not a dword */
	assert_int_equal(board_read(true, port, 4), RAL);
	board_write(true, port, 4, ~0u);
	assert_int_equal(board_read(true, port, 4), 0xfffff);
	assert_int_equal(board_read(true, port + 4, 4), 0);
	board_write(true, port, 4, CTRL);
	board_write(true, port + 4, 4, 0x04000000);
	assert_int_equal(reg(RAL), 0x12005452);
	destroy();
}

/* ---- statistics ---- */
static void statistics(void **state)
{
	(void)state;
	create(0);
	transmitter(8);
	receiver(8, 2048, BAM | MPE);
	make_frame((u8 *)at(TX_BUFFERS, 100), PEER_MAC, MAC, 17, 100, true);
	memset(at(TX_BUFFERS + 0x1000, 200), 0xff, 6);
	memcpy(at(TX_BUFFERS + 0x1006, 6), MAC, 6);
	tx_put(TX_BUFFERS, 100 | SEND);
	tx_put(TX_BUFFERS + 0x1000, 200 | SEND);
	tx_ring();
	memcpy(peer.sent, "\x01\x00\x5e\x00\x00\x01" PEER_MAC, 12);
	assert_true(peer_send(60));
	assert_true(peer_send(60));
	assert_int_equal(reg(0x4080), 2); /* GPTC */
	assert_int_equal(reg(0x4080), 0);
	assert_int_equal(reg(0x40d4), 2); /* TPT */
	assert_int_equal(reg(0x40dc), 1); /* 65 to 127 */
	assert_int_equal(reg(0x40e0), 1); /* 128 to 255 */
	assert_int_equal(reg(0x40f4), 1); /* BPTC */
	assert_int_equal(reg(0x40f0), 0);
	assert_int_equal(reg(0x4090), 308); /* GOTCL, which waits for its upper half */
	assert_int_equal(reg(0x4090), 308);
	assert_int_equal(reg(0x4094), 0);
	assert_int_equal(reg(0x4090), 0);
	assert_int_equal(reg(0x4074), 2); /* GPRC */
	assert_int_equal(reg(0x405c), 2); /* of 64 bytes */
	assert_int_equal(reg(0x407c), 2); /* MPRC */
	assert_int_equal(reg(0x4088), 128);
	nic->reg[E1000_GPTC] = ~0u - 1;
	nic->reg[E1000_GOTC] = ~0u;
	for (int i = 0; i < 4; i++) {
		tx_put(TX_BUFFERS, 100 | SEND);
		tx_ring();
	}
	assert_int_equal(reg(0x4080), ~0u); /* no further */
	assert_int_equal(reg(0x4090), 415);
	assert_int_equal(reg(0x4094), 1);
	destroy();
}

/* ---- life ---- */
static void no_room(void **state)
{
	const struct nic_setup setup = {.port = {.bridge = &lan, .address = MAC}};
	struct net_port twin;

	(void)state;
	create(0);
	assert_null(e1000_nic.create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup)); /* the place is taken */
	assert_null(e1000_nic.create(BOARD_GUEST, &board.bus, BOARD_DEVFN + 8, &setup)); /* the address is */
	assert_int_equal(net_port_init(&twin, &lan.sw, &peer_ops, (const u8 *)MAC, 0), ERR_EXIST);
	e1000_nic.destroy(NULL);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(identity),
	    cmocka_unit_test(eeprom),
	    cmocka_unit_test(eeprom_is_read_only),
	    cmocka_unit_test(phy_registers),
	    cmocka_unit_test(link),
	    cmocka_unit_test(what_is_kept),
	    cmocka_unit_test(resets),
	    cmocka_unit_test(io_window),
	    cmocka_unit_test(statistics),
	    cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
