/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the network card. Each descriptor has its buffer for ever. Interrupts come for what was received only,
 * at most 10000 a second; what was sent is looked at when room is wanted. */
#include "e1000.h"

#include "dma.h"
#include "host.h"
#include "log.h"
#include "nic.h"
#include "pcibus.h"
#include "spinlock.h"

#define VECTOR (IRQ_VECTOR_FIRST + 16)
#define TX_SLOTS 64 /* one of them stays empty, as in the receive ring */
#define BUFFER 2048u
#define BUFFERS_ORDER 5    /* pages for 64 buffers */
#define ITR 390u           /* 100 us */
#define RESET_NS 10000000u /* the EEPROM is read again meanwhile */
#define FRAME_MIN 14u
#define EEPROM_READS 100000u /* milliseconds; a word takes 20 us */
#define CAUSES (E1000_INT_LSC | E1000_INT_RXDMT0 | E1000_INT_RXO | E1000_INT_RXT0)
_Static_assert(NIC_SLOTS *BUFFER == PAGE_SIZE << BUFFERS_ORDER && TX_SLOTS == NIC_SLOTS, "one size of rings");

static struct {
	volatile u8 *regs;
	struct nic_user user;
	u8 line; /* of its interrupt */
	bool up; /* the link, as it was told last */

	/* Receiving: [next, tail) is the card's. From tail back to next are frames that the user has, and
	 * such that are given back behind one of them, or are the one that must stay out. */
	struct spinlock rx_lock;
	struct e1000_rx *rx;
	u8 *rx_buffers;
	u32 rx_next, rx_tail;
	bool given[NIC_SLOTS]; /* back */

	/* Sending; the user is one CPU at a time. */
	struct e1000_tx *tx;
	u8 *tx_buffers;
	u32 tx_head, tx_tail; /* of what is on its way: the oldest, and the next free one */
	struct nic_meters meters;
} nic;

static u32 reg_read(u32 reg)
{
	return *(volatile u32 *)(nic.regs + reg);
}

/* What was written to memory before is there when the card reads it: stores are not reordered, and the
 * registers are uncacheable. */
static void reg_write(u32 reg, u32 v)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*(volatile u32 *)(nic.regs + reg) = v;
}

struct nic_meters nic_meters(void)
{
	return nic.meters;
}

/* ---- receiving ---- */

void nic_give_back(unsigned slot)
{
	u32 tail;

	ASSERT(slot < NIC_SLOTS);
	spin_lock(&nic.rx_lock);
	nic.given[slot] = true;
	/* Up to the one before the card's next: where they met, the ring would be empty. */
	for (tail = nic.rx_tail; nic.given[tail] && (tail + 1) % NIC_SLOTS != nic.rx_next;
	     tail = (tail + 1) % NIC_SLOTS) {
		nic.given[tail] = false;
		nic.rx[tail].status = 0;
	}
	if (tail != nic.rx_tail) {
		nic.rx_tail = tail;
		reg_write(E1000_RDT, tail);
	}
	spin_unlock(&nic.rx_lock);
}

/* The next frame, which is the user's then. False: there is none. */
static bool take(unsigned *slot, u32 *length)
{
	volatile struct e1000_rx *d;
	bool good;

	spin_lock(&nic.rx_lock);
	for (;;) {
		d = &nic.rx[nic.rx_next];
		if (nic.rx_next == nic.rx_tail || !(d->status & E1000_RX_DONE)) {
			spin_unlock(&nic.rx_lock);
			return false;
		}
		*slot = nic.rx_next;
		*length = d->length;
		good = d->status & E1000_RX_END && !d->errors && *length >= FRAME_MIN &&
		       *length <= NIC_FRAME_MAX + NIC_VLAN;
		nic.rx_next = (nic.rx_next + 1) % NIC_SLOTS;
		if (good)
			break;
		nic.meters.errors++;
		spin_unlock(&nic.rx_lock);
		nic_give_back(*slot);
		spin_lock(&nic.rx_lock);
	}
	nic.meters.received++;
	spin_unlock(&nic.rx_lock);
	return true;
}

/* No more than the ring has: what is given back meanwhile comes with the next interrupt. */
static void receive(void)
{
	unsigned slot, n = 0;
	u32 length;

	while (n < NIC_SLOTS && take(&slot, &length)) {
		nic.user.received(nic.user.opaque, slot, nic.rx_buffers + slot * BUFFER, length);
		n++;
	}
	if (n)
		nic.user.pause(nic.user.opaque);
}

static void tell_link(void)
{
	bool up = reg_read(E1000_STATUS) & E1000_STATUS_LU;

	if (up != nic.up)
		log_info("network card: link %s", up ? "up" : "down");
	nic.up = up;
}

static void on_irq(void *opaque)
{
	u32 causes = reg_read(E1000_ICR); /* the line goes down with it */

	(void)opaque;
	nic.meters.interrupts++;
	if (causes & E1000_INT_LSC)
		tell_link();
	receive();
}

/* ---- sending ---- */

static void reclaim(void)
{
	while (nic.tx_head != nic.tx_tail) {
		volatile struct e1000_tx *d = &nic.tx[nic.tx_head];

		if (!(d->status & E1000_TX_DONE))
			return;
		nic.tx_head = (nic.tx_head + 1) % TX_SLOTS;
	}
}

u8 *nic_room(void)
{
	u32 next = (nic.tx_tail + 1) % TX_SLOTS;

	if (next == nic.tx_head)
		reclaim();
	if (next == nic.tx_head) {
		nic.meters.full++;
		return NULL;
	}
	return nic.tx_buffers + nic.tx_tail * BUFFER;
}

bool nic_is_full(void)
{
	u32 next = (nic.tx_tail + 1) % TX_SLOTS;

	if (next == nic.tx_head)
		reclaim();
	return next == nic.tx_head && __atomic_load_n(&nic.up, __ATOMIC_RELAXED);
}

void nic_send(u32 length)
{
	struct e1000_tx *d = &nic.tx[nic.tx_tail];

	ASSERT(length >= FRAME_MIN && length <= NIC_FRAME_MAX + NIC_VLAN);
	d->length = (u16)length;
	d->command = E1000_TX_END | E1000_TX_IFCS | E1000_TX_REPORT;
	d->status = 0;
	nic.tx_tail = (nic.tx_tail + 1) % TX_SLOTS;
	nic.meters.sent++;
}

void nic_flush(void)
{
	reg_write(E1000_TDT, nic.tx_tail);
}

/* ---- start ---- */

static bool alloc(void)
{
	u32 rx, tx, rx_buffers, tx_buffers;

	nic.rx = dma_alloc(0, &rx);
	nic.tx = dma_alloc(0, &tx);
	nic.rx_buffers = dma_alloc(BUFFERS_ORDER, &rx_buffers);
	nic.tx_buffers = dma_alloc(BUFFERS_ORDER, &tx_buffers);
	if (!nic.rx || !nic.tx || !nic.rx_buffers || !nic.tx_buffers) {
		if (nic.rx)
			dma_free(nic.rx, 0);
		if (nic.tx)
			dma_free(nic.tx, 0);
		if (nic.rx_buffers)
			dma_free(nic.rx_buffers, BUFFERS_ORDER);
		if (nic.tx_buffers)
			dma_free(nic.tx_buffers, BUFFERS_ORDER);
		return false;
	}
	for (u32 i = 0; i < NIC_SLOTS; i++) {
		nic.rx[i].address = rx_buffers + i * BUFFER;
		nic.tx[i].address = tx_buffers + i * BUFFER;
	}
	reg_write(E1000_RDBAL, rx);
	reg_write(E1000_TDBAL, tx);
	return true;
}

static void wait_ns(u64 ns)
{
	u64 start = tsc_now();

	while (tsc_now() - start < ns_to_tsc(ns))
		(void)reg_read(E1000_STATUS);
}

static u16 eeprom_word(u32 n)
{
	u32 v = 0;

	reg_write(E1000_EERD, E1000_EERD_START | n << 8);
	for (unsigned i = 0; i < EEPROM_READS && !(v & E1000_EERD_DONE); i++)
		v = reg_read(E1000_EERD);
	return v & E1000_EERD_DONE ? (u16)(v >> 16) : 0;
}

/* What the firmware has set, or else the EEPROM's. */
static void read_address(u8 address[6])
{
	u32 low = reg_read(E1000_RAL), high = reg_read(E1000_RAH);

	if (!low && !(high & 0xffff)) {
		low = eeprom_word(0) | (u32)eeprom_word(1) << 16;
		high = eeprom_word(2);
	}
	for (unsigned i = 0; i < 6; i++)
		address[i] = (u8)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
}

/* The firmware may have used the card. */
static void reset(u8 address[6])
{
	read_address(address);
	reg_write(E1000_IMC, ~0u);
	reg_write(E1000_RCTL, 0);
	reg_write(E1000_TCTL, 0);
	reg_write(E1000_CTRL, reg_read(E1000_CTRL) | E1000_CTRL_RST);
	wait_ns(RESET_NS);
	reg_write(E1000_IMC, ~0u);
	(void)reg_read(E1000_ICR);
	reg_write(E1000_RAL,
		  (u32)address[0] | (u32)address[1] << 8 | (u32)address[2] << 16 | (u32)address[3] << 24);
	reg_write(E1000_RAH, (u32)address[4] | (u32)address[5] << 8 | E1000_RAH_AV);
	for (u32 i = 0; i < 128; i++)
		reg_write(E1000_MTA + 4 * i, 0);
}

static void rings_start(void)
{
	reg_write(E1000_RDBAH, 0);
	reg_write(E1000_TDBAH, 0);
	reg_write(E1000_RDLEN, NIC_SLOTS * sizeof(struct e1000_rx));
	reg_write(E1000_TDLEN, TX_SLOTS * sizeof(struct e1000_tx));
	reg_write(E1000_RDH, 0);
	reg_write(E1000_TDH, 0);
	reg_write(E1000_TDT, 0);
	nic.rx_next = 0;
	nic.rx_tail = NIC_SLOTS - 1; /* a full ring would look empty: this one waits */
	nic.given[nic.rx_tail] = true;
	reg_write(E1000_CTRL, (reg_read(E1000_CTRL) & ~E1000_CTRL_RST) | E1000_CTRL_SLU | E1000_CTRL_ASDE);
	reg_write(E1000_TIPG, E1000_TIPG_COPPER);
	reg_write(E1000_TCTL, E1000_TCTL_EN | E1000_TCTL_PSP | E1000_TCTL_TIMES);
	reg_write(E1000_RCTL,
		  E1000_RCTL_EN | E1000_RCTL_UPE | E1000_RCTL_MPE | E1000_RCTL_BAM | E1000_RCTL_SECRC);
	reg_write(E1000_RDT, nic.rx_tail);
	reg_write(E1000_ITR, ITR);
	nic.up = reg_read(E1000_STATUS) & E1000_STATUS_LU;
	reg_write(E1000_IMS, CAUSES);
}

static int map(struct pcibus_function *f)
{
	u32 bar;

	if (!pcibus_find(PCIBUS_ID, ~0u, E1000_ID, 0, f)) {
		log_error("there is no network card that Socle has a driver for");
		return ERR_NOENT;
	}
	bar = pcibus_read(*f, PCIBUS_BAR(0));
	if (bar & 1 || !(bar & ~0xfu)) {
		log_error("the network card has no address from the firmware");
		return ERR_NOTSUP;
	}
	pcibus_write(*f, PCIBUS_COMMAND,
		     (pcibus_read(*f, PCIBUS_COMMAND) & 0xffff) | PCIBUS_COMMAND_MEMORY |
			 PCIBUS_COMMAND_MASTER);
	nic.regs = mmio_map(bar & ~0xfu, E1000_BAR_BYTES);
	return nic.regs ? 0 : ERR_NOMEM;
}

int nic_open(const struct nic_user *user, u8 address[6])
{
	struct pcibus_function f;
	int rc = nic.regs ? ERR_EXIST : map(&f);

	if (rc)
		return rc;
	nic.line = (u8)pcibus_read(f, PCIBUS_INTERRUPT);
	reset(address);
	if (!alloc()) {
		log_error("no memory below 4 GiB for the network card");
		nic.regs = NULL;
		return ERR_NOMEM;
	}
	nic.user = *user;
	log_info("network card: 82540EM, %02x:%02x:%02x:%02x:%02x:%02x, interrupt %u", address[0], address[1],
		 address[2], address[3], address[4], address[5], nic.line);
	return 0;
}

int nic_start(void)
{
	irq_register(VECTOR, on_irq, NULL);
	if (irq_route_pci(nic.line, VECTOR)) {
		log_error("the network card has no interrupt: line %u", nic.line);
		return ERR_NOTSUP;
	}
	rings_start();
	return 0;
}
