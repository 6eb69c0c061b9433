/* SPDX-License-Identifier: Apache-2.0 */
/* The Intel 82540EM network interface (PCI 8086:100e), a port of a bridge: what a guest's own driver of the
 * real one finds. Transmit and receive rings, checksums and TCP segmentation, interrupt moderation,
 * statistics, EEPROM and PHY. What it leaves out is in docs/guest-machine.md. Here: what its files share.
 *
 * One lock for all of it. It is held while descriptors are read and written and frames are queued, not while
 * the switch runs, which calls back. Within it: the switch's, a timer queue's, the PCI bus's for pins. */
#pragma once

#include "e1000_regs.h"
#include "gmem.h"
#include "nic.h"
#include "sched.h"

#define E1000_SLOTS 64u   /* frames in the switch's hands at once */
#define E1000_POOL 1024u  /* pieces of all of them, and of the packet that is being gathered */
#define E1000_PIECES 90u  /* of a packet: 64 KiB in 4 KiB buffers that lie anywhere, two pieces each, fit */
#define E1000_DESCS 128u  /* of a packet, and what comes before it */
#define E1000_HEADER 272u /* bytes of a frame that may stand in our memory: CSO is a byte */
#define E1000_LENGTH_MAX 16288u /* of a packet that is no TCP segment to be cut */
#define E1000_TURN 128u         /* descriptors at one go; the rest is put off, so that others run */
#define E1000_EEPROM_WORDS 64u
#define E1000_PHY_REGS 32u

#define E1000_NEVER (~(u64)0)

/* Descriptors that are given back together. */
struct e1000_descs {
	u32 count;
	bool delay;                   /* IDE: the interrupt may come late */
	u64 report[E1000_DESCS / 64]; /* RS: which want their status written */
};

/* Slots are taken and given back in the order of the ring. */
struct e1000_slot {
	struct net_frame frame;
	struct e1000 *e1000;
	struct e1000_descs descs;
	struct piece *piece; /* the frame's, in the pool */
	u32 pieces_end;      /* of the pool, free-running */
	bool headed; /* the first piece is our header; else, and the others, the guest's, and pinned */
	bool done;
	bool stale; /* its ring is no more: nothing is written back */
	u8 header[E1000_HEADER];
};

/* 3.3.6, as it was last given. */
struct e1000_context {
	u32 ipcss, ipcso, ipcse, tucss, tucso, tucse; /* ends: 0: the packet's */
	u32 header, mss;
	bool tcp, ipv4;
};

/* What has been read of a packet so far. Its pieces stand in the pool behind the slots', a free place first.
 */
struct e1000_packet {
	struct e1000_descs descs;
	bool open;  /* a data descriptor was seen, EOP was not */
	bool bad;   /* it is not sent */
	u64 fields; /* of the first data descriptor; of the last one where it is of the legacy kind */
	u32 start;  /* in the pool, free-running */
	u32 pieces;
	u32 length;
};

#define E1000_TALLY_SIZES 6
/* What is not in the statistics registers yet; e1000_stats.c. */
struct e1000_tally {
	u32 frames[E1000_TALLY_SIZES];
	u32 multicast, broadcast;
	u64 octets;
};
struct e1000_tally_regs {
	u32 sizes, good, total, broadcast, multicast, good_octets, total_octets;
};

struct e1000_tx {
	u32 next;     /* descriptor to be read; TDH is the first that has not been given back */
	bool rung;    /* by the register that is being written */
	bool blocked; /* there was no slot, or no place in the pool */
	struct e1000_tally tally;
	struct e1000_context context;
	struct e1000_packet packet;
	u32 slot_head, slot_tail; /* free-running; head: the oldest */
	u32 pool_head, pool_tail;
	struct gmem_tlb tlb;
	struct e1000_slot slot[E1000_SLOTS];
	struct piece pool[E1000_POOL];
};

/* A frame that is about to be copied into the guest's buffers. */
struct e1000_rx {
	u32 descs;  /* of the ring that it takes; 0: there is none */
	bool stale; /* their ring is no more */
	u32 pieces;
	u32 buffer; /* bytes of each buffer */
	bool news;  /* frames were received that the guest has not been told of */
	struct e1000_tally tally;
	struct gmem_tlb tlb;
	struct piece piece[NET_PIECES];
};

/* A cause that comes late; TSC, E1000_NEVER: it does not wait. */
struct e1000_delay {
	u64 due, latest;
};

/* Moderation: 13.4.18 and 3.2.7; in TSC ticks. */
struct e1000_irq {
	bool asserted;
	u64 interval, quiet_until; /* ITR */
	struct e1000_delay rx, tx;
	u64 wakes_at; /* the timer */
	struct timer timer;
};

/* The serial EEPROM behind EECD (5.6, 13.4.3). */
struct e1000_eeprom {
	u16 word[E1000_EEPROM_WORDS];
	u32 in, out; /* shifted in since the start bit, 0: none yet; what DO gives, next bit in bit 16 */
};

struct e1000 {
	struct gmem *mem;
	struct bridge *bridge;
	struct sched_group *group;
	struct pci_function function;
	struct io_region memory, ports;
	struct net_port port;
	struct spinlock lock; /* what follows */
	bool closing;
	u64 doorbells, interrupts, accesses; /* since power-on; read without it */
	u32 io_address;
	u32 reg[E1000_REGS];
	u16 phy[E1000_PHY_REGS];
	struct e1000_eeprom eeprom;
	struct e1000_irq irq;
	struct timer later; /* goes on where transmitting ended */
	struct e1000_rx rx;
	struct e1000_tx tx;
};

static inline bool e1000_is_master(const struct e1000 *e)
{
	return pci_get16(&e->function, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* Descriptors in a ring; 0: there is none. */
static inline u32 e1000_ring_size(const struct e1000 *e, u32 length_reg)
{
	return e->reg[length_reg] / E1000_DESC_BYTES;
}

/* One of a ring, i below its size; NULL: not in RAM. Aligned by the ring's base. base: of the low half. */
u64 *e1000_desc(struct e1000 *e, struct gmem_tlb *tlb, u32 base, u32 i);

/* Everything below with the lock, but where another word stands. */

/* ---- e1000_mmio.c ---- */
/* Without it: handlers of the two windows. */
u64 e1000_read(void *opaque, u64 offset, unsigned size);
void e1000_write(void *opaque, u64 offset, unsigned size, u64 value);
u64 e1000_port_read(void *opaque, u64 offset, unsigned size);
void e1000_port_write(void *opaque, u64 offset, unsigned size, u64 value);
/* As CTRL.RST does it: everything but EEPROM and PHY. */
void e1000_registers_reset(struct e1000 *e);
void e1000_address_load(struct e1000 *e);

/* ---- e1000_phy.c ---- */
void e1000_eeprom_init(struct e1000 *e, const u8 address[NET_ADDRESS]);
u16 e1000_eeprom_word(const struct e1000 *e, u32 address);
/* The wires of EECD go from old to value; returns what comes back. */
u32 e1000_eeprom_pins(struct e1000 *e, u32 old, u32 value);
void e1000_phy_reset(struct e1000 *e);
bool e1000_link(const struct e1000 *e);
/* What MDIC reads as after value was written. */
u32 e1000_mdic(struct e1000 *e, u32 value);

/* ---- e1000_irq.c ---- */
void e1000_irq_init(struct e1000 *e); /* no lock is needed */
void e1000_irq_reset(struct e1000 *e);
void e1000_irq_cause(struct e1000 *e, u32 causes);
/* After ICR or IMS has changed; ITR. */
void e1000_irq_update(struct e1000 *e);
void e1000_irq_interval(struct e1000 *e);
/* Frames were received, or descriptors given back: RXT0 or TXDW, perhaps late. */
void e1000_irq_received(struct e1000 *e);
void e1000_irq_sent(struct e1000 *e, bool delay);
void e1000_irq_flush(struct e1000 *e); /* RXT0 now, if it was put off */
/* LSC; and what waited for a link goes on. */
void e1000_link_changed(struct e1000 *e);

/* ---- e1000_stats.c ---- */
void e1000_count(struct e1000 *e, u32 reg, u64 n);
/* A good frame for that address, length without checksum. */
void e1000_tally(struct e1000_tally *t, u32 length, const u8 *target);
u32 e1000_statistic_read(struct e1000 *e, u32 reg);
void e1000_statistics_reset(struct e1000 *e);

/* ---- e1000_tx.c ---- */
/* Descriptors may have come. Without the lock: the switch runs. */
void e1000_transmit(struct e1000 *e);
/* The same before long. */
void e1000_transmit_later(struct e1000 *e);
/* The ring is another from now on, and begins at TDH. */
void e1000_transmit_reset(struct e1000 *e);
/* Without the lock. */
void e1000_transmit_complete(struct net_frame *f, bool delivered);

/* ---- e1000_offload.c ---- */
void e1000_context_set(struct e1000_context *c, u64 low, u64 fields);
/* A slot's frame, whose pieces and length are set, gets what a packet with these fields asks for. False: that
 * cannot be done. */
bool e1000_offload(struct e1000 *e, struct e1000_slot *s, u64 fields);

/* ---- e1000_rx.c ---- */
extern const struct net_port_ops e1000_port_ops;
void e1000_receive_reset(struct e1000 *e);
