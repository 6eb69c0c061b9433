/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on the 82540EM by two thin wires: the serial EEPROM (chapter 5), and the PHY, the transceiver of
 * the line (IEEE 802.3, 22.2.4; the 8254x manual, 13.5). Neither has a line or a chip: contents that do not
 * change, and registers that remember. */
#include "e1000_internal.h"

/* ---- EEPROM: 5.6 ---- */
#define WORD_SUBSYSTEM 0x0b
#define WORD_SUBSYSTEM_VENDOR 0x0c
#define WORD_DEVICE 0x0d
#define WORD_VENDOR 0x0e
#define WORD_SUM 0x3f
#define SUM 0xbaba /* of all words: 5.6.35 */

void e1000_eeprom_init(struct e1000 *e, const u8 address[NET_ADDRESS])
{
	u16 *w = e->eeprom.word, sum = 0;

	for (unsigned i = 0; i < NET_ADDRESS / 2; i++)
		w[i] = (u16)(address[2 * i] | address[2 * i + 1] << 8);
	w[WORD_SUBSYSTEM] = pci_get16(&e->function, PCI_SUBSYSTEM_ID);
	w[WORD_SUBSYSTEM_VENDOR] = pci_get16(&e->function, PCI_SUBSYSTEM_VENDOR);
	w[WORD_DEVICE] = pci_get16(&e->function, PCI_DEVICE_ID);
	w[WORD_VENDOR] = pci_get16(&e->function, PCI_VENDOR_ID);
	for (unsigned i = 0; i < WORD_SUM; i++)
		sum = (u16)(sum + w[i]);
	w[WORD_SUM] = (u16)(SUM - sum);
}

/* Microwire (93C46): start bit, two bits of operation, six of address; then the word, behind a 0. The only
 * operation that does anything is to read. */
#define COMMAND_COMPLETE 0x100u
#define OPERATION(command) ((command) >> 6 & 3)
#define OPERATION_READ 2
#define OUT_BIT 16

static void eeprom_clock(struct e1000_eeprom *p, bool in)
{
	if (p->in & COMMAND_COMPLETE) {
		p->out <<= 1;
		return;
	}
	p->in = p->in << 1 | in; /* 0 until the start bit comes */
	if (p->in & COMMAND_COMPLETE && OPERATION(p->in) == OPERATION_READ)
		p->out = p->word[p->in % E1000_EEPROM_WORDS];
}

u32 e1000_eeprom_pins(struct e1000 *e, u32 old, u32 value)
{
	struct e1000_eeprom *p = &e->eeprom;

	if (!(value & E1000_EECD_CS)) {
		p->in = 0;
		p->out = 1u << OUT_BIT; /* not busy */
	} else if (value & ~old & E1000_EECD_SK) {
		eeprom_clock(p, value & E1000_EECD_DI);
	}
	return p->out >> OUT_BIT & 1 ? E1000_EECD_DO : 0;
}

u16 e1000_eeprom_word(const struct e1000 *e, u32 address)
{
	return e->eeprom.word[address % E1000_EEPROM_WORDS];
}

/* ---- PHY ---- */
#define PHY_ADDRESS 1u
enum {
	PHY_CONTROL,
	PHY_STATUS,
	PHY_ID1,
	PHY_ID2,
	PHY_ADVERTISED,
	PHY_PARTNER,
	PHY_EXPANSION,
	PHY_NEXT_PAGE,
	PHY_1000_CONTROL = 9,
	PHY_1000_STATUS,
	PHY_EXTENDED = 15,
	PHY_SPECIFIC_CONTROL,
	PHY_SPECIFIC_STATUS,
	PHY_INTERRUPT_ENABLE,
	PHY_EXTENDED_CONTROL = 20,
	PHY_PAGE = 29,
	PHY_PAGE_DATA,
};
#define CONTROL_RESET 0x8000u
#define CONTROL_POWER_DOWN 0x0800u
#define CONTROL_RESTART 0x0200u
#define STATUS_LINK 0x0024u          /* link, and negotiation complete */
#define SPECIFIC_STATUS_LINK 0x0c00u /* link, and resolved */

/* A line to a partner that can do everything but flow control, 1000 Mb/s in full duplex. */
static const struct {
	u16 reset, writable;
} phy_regs[E1000_PHY_REGS] = {
    [PHY_CONTROL] = {0x1140, 0x7dff},
    [PHY_STATUS] = {0x796d, 0},
    [PHY_ID1] = {0x0141, 0}, /* Marvell 88E1011, revision 4 */
    [PHY_ID2] = {0x0c24, 0},
    [PHY_ADVERTISED] = {0x0de1, 0xffff},
    [PHY_PARTNER] = {0x41e1, 0},
    [PHY_EXPANSION] = {0x0001, 0},
    [PHY_NEXT_PAGE] = {0x2001, 0xffff},
    [PHY_1000_CONTROL] = {0x0f00, 0xffff},
    [PHY_1000_STATUS] = {0x3c00, 0},
    [PHY_EXTENDED] = {0x3000, 0},
    [PHY_SPECIFIC_CONTROL] = {0x0068, 0xffff},
    [PHY_SPECIFIC_STATUS] = {0xac00, 0},
    [PHY_INTERRUPT_ENABLE] = {0x0000, 0xffff},
    [PHY_EXTENDED_CONTROL] = {0x0c64, 0xffff},
    [PHY_PAGE] = {0x0000, 0xffff},
    [PHY_PAGE_DATA] = {0x0000, 0xffff},
};

bool e1000_link(const struct e1000 *e)
{
	return !(e->phy[PHY_CONTROL] & CONTROL_POWER_DOWN);
}

void e1000_phy_reset(struct e1000 *e)
{
	for (unsigned i = 0; i < E1000_PHY_REGS; i++)
		e->phy[i] = phy_regs[i].reset;
}

static u16 phy_read(const struct e1000 *e, u32 reg)
{
	u16 value = e->phy[reg];

	if (!e1000_link(e) && reg == PHY_STATUS)
		return value & (u16)~STATUS_LINK;
	if (!e1000_link(e) && reg == PHY_SPECIFIC_STATUS)
		return value & (u16)~SPECIFIC_STATUS_LINK;
	return value;
}

/* Negotiation takes no time; that it was done is told as a change of the link. */
static void phy_write(struct e1000 *e, u32 reg, u16 value)
{
	bool link = e1000_link(e), again = reg == PHY_CONTROL && value & (CONTROL_RESET | CONTROL_RESTART);

	if (reg == PHY_CONTROL && value & CONTROL_RESET)
		e1000_phy_reset(e);
	else
		e->phy[reg] =
		    (u16)((e->phy[reg] & ~phy_regs[reg].writable) | (value & phy_regs[reg].writable));
	if (again || link != e1000_link(e))
		e1000_link_changed(e);
}

/* 13.4.7. */
u32 e1000_mdic(struct e1000 *e, u32 value)
{
	u32 reg = value >> 16 & 0x1f, operation = value >> 26 & 3, keep = value & 0x2fffffff;

	if ((value >> 21 & 0x1f) != PHY_ADDRESS)
		return keep | E1000_MDIC_R | E1000_MDIC_E;
	if (operation == E1000_MDIC_WRITE)
		phy_write(e, reg, (u16)value);
	else if (operation == E1000_MDIC_READ)
		keep = (keep & ~0xffffu) | phy_read(e, reg);
	return keep | E1000_MDIC_R;
}
