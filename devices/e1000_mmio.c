/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the 82540EM (13.4): a table for each block of the address map says what the guest may write,
 * what a reset leaves, and who takes part in reads and writes. They are 32 bits wide, and written as such. */
#include "e1000_internal.h"

struct row {
	u32 writable, reset;
	u32 (*read)(struct e1000 *e, u32 reg); /* NULL: what is stored */
	/* After value & writable was stored. Without a function that is all. */
	void (*written)(struct e1000 *e, u32 reg, u32 old, u32 value);
};

/* ---- general registers ---- */
static void ctrl_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old;
	if (value & E1000_CTRL_RST)
		e1000_registers_reset(e);
	if (value & E1000_CTRL_PHY_RST) {
		e1000_phy_reset(e);
		e1000_link_changed(e);
	}
}

static u32 status_read(struct e1000 *e, u32 reg)
{
	(void)reg;
	return E1000_STATUS_FD | E1000_STATUS_1000 | (e1000_link(e) ? E1000_STATUS_LU : 0);
}

static void eecd_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	u32 pins = e->reg[reg] | e1000_eeprom_pins(e, old, value) | E1000_EECD_PRES;

	e->reg[reg] = pins | (value & E1000_EECD_REQ ? E1000_EECD_GNT : 0);
}

static void eerd_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)old;
	if (value & E1000_EERD_START)
		e->reg[reg] |= (u32)e1000_eeprom_word(e, value >> 8 & 0xff) << 16 | E1000_EERD_DONE;
}

static void ctrl_ext_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old;
	if (value & E1000_CTRL_EXT_EE_RST)
		e1000_address_load(e);
}

static void mdic_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)old;
	e->reg[reg] = e1000_mdic(e, value);
	if (value & E1000_MDIC_I)
		e1000_irq_cause(e, E1000_INT_MDAC);
}

/* ---- interrupts ---- */
static u32 icr_read(struct e1000 *e, u32 reg)
{
	u32 causes = e->reg[reg];

	e->reg[reg] = 0;
	e1000_irq_update(e);
	return causes;
}

static void icr_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	e->reg[reg] = old & ~value;
	e1000_irq_update(e);
}

static void ics_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old;
	e1000_irq_cause(e, value & E1000_INT_ALL);
}

static void ims_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)value;
	e->reg[reg] |= old;
	e1000_irq_update(e);
}

static void imc_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old;
	e->reg[E1000_IMS] &= ~value;
	e1000_irq_update(e);
}

static void itr_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)value;
	if (e->reg[reg] != old)
		e1000_irq_interval(e);
}

static void rdtr_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old;
	if (value & E1000_RDTR_FPD)
		e1000_irq_flush(e);
}

/* ---- rings ---- */
static void rx_ring_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old, (void)value;
	e1000_receive_reset(e);
}

static void tx_ring_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old, (void)value;
	e1000_transmit_reset(e);
}

static void transmit_written(struct e1000 *e, u32 reg, u32 old, u32 value)
{
	(void)reg, (void)old, (void)value;
	e->tx.rung = true;
}

/* ---- the blocks ---- */
#define AT(block, reg) [E1000_##reg - E1000_##block]
/* clang-format off */
static const struct row general[E1000_GENERAL_N] = {
	AT(GENERAL, CTRL) = {0x7bffffff, E1000_CTRL_FD | E1000_CTRL_SPEED_1000, NULL, ctrl_written},
	AT(GENERAL, STATUS) = {0, 0, status_read, NULL},
	AT(GENERAL, EECD) = {E1000_EECD_SK | E1000_EECD_CS | E1000_EECD_DI | E1000_EECD_FWE | E1000_EECD_REQ,
			     E1000_EECD_PRES | E1000_EECD_DO, NULL, eecd_written},
	AT(GENERAL, EERD) = {0x0000ff00, 0, NULL, eerd_written},
	AT(GENERAL, CTRL_EXT) = {0xffffdfff, 0, NULL, ctrl_ext_written},
	AT(GENERAL, MDIC) = {0, E1000_MDIC_R, NULL, mdic_written},
	AT(GENERAL, FCAL) = {~0u, 0, NULL, NULL},
	AT(GENERAL, FCAH) = {0xffff, 0, NULL, NULL},
	AT(GENERAL, FCT) = {0xffff, 0, NULL, NULL},
	AT(GENERAL, VET) = {0xffff, 0x8100, NULL, NULL},
	AT(GENERAL, ICR) = {0, 0, icr_read, icr_written},
	AT(GENERAL, ITR) = {0xffff, 0, NULL, itr_written},
	AT(GENERAL, ICS) = {0, 0, NULL, ics_written},
	AT(GENERAL, IMS) = {E1000_INT_ALL, 0, NULL, ims_written},
	AT(GENERAL, IMC) = {0, 0, NULL, imc_written},
	AT(GENERAL, RCTL) = {0x06dfb3fe, 0, NULL, NULL},
	AT(GENERAL, FCTTV) = {0xffff, 0, NULL, NULL},
	AT(GENERAL, TXCW) = {0xc000ffff, 0, NULL, NULL},
};

static const struct row tcontrol[E1000_TCONTROL_N] = {
	AT(TCONTROL, TCTL) = {0x03ffffff, 0, NULL, transmit_written},
	AT(TCONTROL, TIPG) = {0x3fffffff, 0x00602008, NULL, NULL},
	AT(TCONTROL, AIFS) = {0xffff, 0, NULL, NULL},
};

/* 13.4.9: bytes for the packet buffer, receive and transmit, in KiB; nothing is buffered here. */
static const struct row packet_buffer[] = {{0xffff, 0x00100030, NULL, NULL}};
static const struct row led[] = {{0xcfcfcfcf, 0x07068302, NULL, NULL}};
static const struct row flow[E1000_FLOW_N] = {
	{0x8000fff8, 0, NULL, NULL}, /* FCRTL */
	{0, 0, NULL, NULL},
	{0xfff8, 0, NULL, NULL}, /* FCRTH */
};

static const struct row receive[E1000_RECEIVE_N] = {
	AT(RECEIVE, RDBAL) = {E1000_RING_BASE, 0, NULL, rx_ring_written},
	AT(RECEIVE, RDBAH) = {~0u, 0, NULL, rx_ring_written},
	AT(RECEIVE, RDLEN) = {E1000_RING_BYTES, 0, NULL, rx_ring_written},
	AT(RECEIVE, RDH) = {0xffff, 0, NULL, rx_ring_written},
	AT(RECEIVE, RDT) = {0xffff, 0, NULL, NULL},
	AT(RECEIVE, RDTR) = {0xffff, 0, NULL, rdtr_written},
	AT(RECEIVE, RXDCTL) = {0x013f3f3f, 0x00010000, NULL, NULL},
	AT(RECEIVE, RADV) = {0xffff, 0, NULL, NULL},
};

static const struct row transmit[E1000_TRANSMIT_N] = {
	AT(TRANSMIT, TDBAL) = {E1000_RING_BASE, 0, NULL, tx_ring_written},
	AT(TRANSMIT, TDBAH) = {~0u, 0, NULL, tx_ring_written},
	AT(TRANSMIT, TDLEN) = {E1000_RING_BYTES, 0, NULL, tx_ring_written},
	AT(TRANSMIT, TDH) = {0xffff, 0, NULL, tx_ring_written},
	AT(TRANSMIT, TDT) = {0xffff, 0, NULL, transmit_written},
	AT(TRANSMIT, TIDV) = {0xffff, 0, NULL, NULL},
	AT(TRANSMIT, TXDCTL) = {0xff3f3f3f, 0, NULL, NULL},
	AT(TRANSMIT, TADV) = {0xffff, 0, NULL, NULL},
	AT(TRANSMIT, TSPMT) = {~0u, 0x01000400, NULL, NULL},
};

static const struct row statistics[] = {{0, 0, e1000_statistic_read, NULL}};
static const struct row checksum_control[] = {{0x7ff, 0, NULL, NULL}};
static const struct row addresses[] = {{~0u, 0, NULL, NULL}, {0x8003ffff, 0, NULL, NULL}};
static const struct row plain[] = {{~0u, 0, NULL, NULL}};

/* Those of the exits that matter come first. */
static const struct block {
	u32 offset, count; /* bytes, registers */
	u32 reg;
	u32 period; /* rows; they repeat */
	const struct row *rows;
} blocks[] = {
	{0x0000, E1000_GENERAL_N, E1000_GENERAL, E1000_GENERAL_N, general},
	{0x3800, E1000_TRANSMIT_N, E1000_TRANSMIT, E1000_TRANSMIT_N, transmit},
	{0x2800, E1000_RECEIVE_N, E1000_RECEIVE, E1000_RECEIVE_N, receive},
	{0x4000, E1000_STATISTICS_N, E1000_STATISTICS, 1, statistics},
	{0x0400, E1000_TCONTROL_N, E1000_TCONTROL, E1000_TCONTROL_N, tcontrol},
	{0x5200, E1000_MTA_N, E1000_MTA, 1, plain},
	{0x5400, E1000_RA_N, E1000_RA, 2, addresses},
	{0x5600, E1000_VFTA_N, E1000_VFTA, 1, plain},
	{0x5000, E1000_CHECKSUM_N, E1000_CHECKSUM, 1, checksum_control},
	{0x5800, E1000_WAKE_N, E1000_WAKE, 1, plain},
	{0x2160, E1000_FLOW_N, E1000_FLOW, E1000_FLOW_N, flow},
	{0x1000, E1000_PACKET_BUFFER_N, E1000_PACKET_BUFFER, 1, packet_buffer},
	{0x0e00, E1000_LED_N, E1000_LED, 1, led},
};
/* clang-format on */

/* NULL: there is none. */
static const struct row *find(u64 offset, u32 *reg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++) {
		const struct block *b = &blocks[i];
		u64 n = (offset - b->offset) / 4;

		if (n >= b->count)
			continue;
		*reg = b->reg + (u32)n;
		return &b->rows[b->period == 1 ? 0 : n < b->period ? n : n % b->period];
	}
	return NULL;
}

u64 e1000_read(void *opaque, u64 offset, unsigned size)
{
	struct e1000 *e = opaque;
	const struct row *row;
	u32 reg, value = 0;

	(void)size;
	row = find(offset, &reg);
	if (!row)
		return 0;
	spin_lock(&e->lock);
	e->accesses++;
	value = row->read ? row->read(e, reg) : e->reg[reg];
	spin_unlock(&e->lock);
	return value >> offset % 4 * 8;
}

void e1000_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct e1000 *e = opaque;
	const struct row *row;
	u32 reg, old;
	bool rung;

	if (size != 4 || offset % 4)
		return;
	row = find(offset, &reg);
	if (!row)
		return;
	spin_lock(&e->lock);
	e->accesses++;
	e->doorbells += reg == E1000_TDT || reg == E1000_RDT;
	if (row->writable || row->written) {
		old = e->reg[reg];
		e->reg[reg] = (u32)value & row->writable;
		if (row->written)
			row->written(e, reg, old, (u32)value);
	}
	rung = e->tx.rung;
	e->tx.rung = false;
	spin_unlock(&e->lock);
	if (rung)
		e1000_transmit(e);
}

/* ---- the window of I/O ports: 13.2.2 ---- */
#define IO_ADDRESS 0
#define IO_DATA 4
#define IO_ADDRESS_BITS 0xfffffu

u64 e1000_port_read(void *opaque, u64 offset, unsigned size)
{
	const struct e1000 *e = opaque;
	u32 address = __atomic_load_n(&e->io_address, __ATOMIC_RELAXED);

	if (offset < IO_DATA)
		return address >> offset * 8;
	return e1000_read(opaque, (address & ~3u) + offset - IO_DATA, size);
}

void e1000_port_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct e1000 *e = opaque;

	if (offset >= IO_DATA)
		e1000_write(opaque,
			    (__atomic_load_n(&e->io_address, __ATOMIC_RELAXED) & ~3u) + offset - IO_DATA,
			    size, value);
	else if (offset == IO_ADDRESS && size == 4)
		__atomic_store_n(&e->io_address, (u32)value & IO_ADDRESS_BITS, __ATOMIC_RELAXED);
}

/* ---- reset ---- */
/* RAL0 and RAH0 come from the EEPROM: 13.5.2. */
void e1000_address_load(struct e1000 *e)
{
	const u16 *w = e->eeprom.word;

	e->reg[E1000_RA] = w[0] | (u32)w[1] << 16;
	e->reg[E1000_RA + 1] = w[2] | E1000_RAH_AV;
}

void e1000_registers_reset(struct e1000 *e)
{
	for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++) {
		const struct block *b = &blocks[i];

		for (u32 n = 0; n < b->count; n++)
			e->reg[b->reg + n] = b->rows[n % b->period].reset;
	}
	e1000_address_load(e);
	e1000_eeprom_pins(e, 0, 0);
	e1000_irq_reset(e);
	e1000_receive_reset(e);
	e1000_transmit_reset(e);
	e1000_statistics_reset(e);
}
