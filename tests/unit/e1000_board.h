/* SPDX-License-Identifier: Apache-2.0 */
/* An 82540EM on a board, on a bridge with another interface that keeps what it receives, and a driver of its
 * rings, written from the manual's descriptions. Defines functions, so one file of a program includes it. */
#pragma once

#include "devices/e1000_internal.h"
#include "virtio_board.h"

#define MAC "\x52\x54\x00\x12\x34\x56"
#define PEER_MAC "\x52\x54\x00\x65\x43\x21"

/* Offsets of registers. */
enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	EECD = 0x0010,
	EERD = 0x0014,
	MDIC = 0x0020,
	ICR = 0x00c0,
	ITR = 0x00c4,
	ICS = 0x00c8,
	IMS = 0x00d0,
	IMC = 0x00d8,
	RCTL = 0x0100,
	TCTL = 0x0400,
	RDBAL = 0x2800,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	RDTR = 0x2820,
	RADV = 0x282c,
	TDBAL = 0x3800,
	TDLEN = 0x3808,
	TDH = 0x3810,
	TDT = 0x3818,
	TIDV = 0x3820,
	TADV = 0x382c,
	RXCSUM = 0x5000,
	MTA = 0x5200,
	RAL = 0x5400,
	RAH = 0x5404,
};

enum { TXDW = 1, TXQE = 2, LSC = 4, RXDMT0 = 0x10, RXO = 0x40, RXT0 = 0x80, MDAC = 0x200 };
enum { EOP = 1 << 24, IFCS = 1 << 25, IC = 1 << 26, RS = 1 << 27, DEXT = 1 << 29, DATA = 1 << 20 };
#define TSE BIT(26)
#define IDE BIT(31)
#define POPT_IP BIT(40)
#define POPT_TCP BIT(41)
#define SEND (EOP | IFCS | RS)

#define TX_RING 0x10000ull
#define RX_RING 0x12000ull
#define TX_BUFFERS 0x20000ull
#define RX_BUFFERS 0x40000ull

static struct e1000 *nic;
static struct bridge lan;
static struct sched_group *nic_payer;

/* ---- the other interface ---- */
#define PEER_FRAMES 512
static u8 peer_frame[PEER_FRAMES][66000];
static struct {
	struct net_port port;
	u8 (*frame)[66000];
	u32 length[PEER_FRAMES];
	struct net_offload offload[PEER_FRAMES];
	unsigned nr;
	u32 takes; /* NET_TAKES_... */
	struct net_frame out;
	struct piece piece;
	u8 sent[66000];
	unsigned back; /* frames that came back */
	bool delivered;
	u64 ticks; /* that it takes for a frame */
} peer;

static inline unsigned peer_room(struct net_port *p, u32 length, struct piece *pieces)
{
	(void)p;
	shim_tsc += peer.ticks;
	if (peer.nr == PEER_FRAMES)
		return 0;
	pieces[0] = (struct piece){peer.frame[peer.nr], length};
	return 1;
}

static inline void peer_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p;
	peer.offload[peer.nr] = *o;
	peer.length[peer.nr++] = length;
}

static inline u32 peer_takes(struct net_port *p)
{
	(void)p;
	return peer.takes;
}

static inline void peer_complete(struct net_frame *f, bool delivered)
{
	(void)f;
	peer.back++;
	peer.delivered = delivered;
}

static const struct net_port_ops peer_ops = {
    .room = peer_room, .received = peer_received, .takes = peer_takes};

/* What stands in peer.sent goes to the bridge. True: somebody got it. */
static inline bool peer_send_with(u32 length, struct net_offload o)
{
	unsigned before = peer.back;

	peer.piece = (struct piece){peer.sent, length};
	peer.out = (struct net_frame){
	    .pieces = &peer.piece, .nr_pieces = 1, .length = length, .offload = o, .complete = peer_complete};
	net_send(&peer.port, &peer.out);
	bridge_run(&lan);
	MUST(peer.back == before + 1);
	return peer.delivered;
}

static inline bool peer_send(u32 length)
{
	return peer_send_with(length, (struct net_offload){0});
}

/* ---- the device ---- */
static inline u32 reg(u32 offset)
{
	return (u32)board_read(false, bar_address(0) + offset, 4);
}

static inline void reg_set(u32 offset, u32 value)
{
	board_write(false, bar_address(0) + offset, 4, value);
}

static inline bool interrupt(void)
{
	return board.wires;
}

static inline void create(u32 flags)
{
	const struct nic_setup setup = {.port = {.bridge = &lan, .address = MAC, .flags = flags},
					.group = nic_payer};

	shim_tsc = 1000;
	memset(&peer, 0, sizeof(peer));
	peer.frame = peer_frame;
	board_init();
	bridge_init(&lan, 1);
	MUST(net_port_init(&peer.port, &lan.sw, &peer_ops, (const u8 *)PEER_MAC, 0) == 0);
	nic = e1000_nic.create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup);
	MUST(nic);
	board_start();
}

static inline void destroy(void)
{
	u64 pinned = guest_ram.pinned_pages;

	e1000_nic.destroy(nic);
	net_port_flush(&peer.port);
	MUST(net_port_close(&peer.port) == 0);
	bridge_fini(&lan);
	board_fini();
	MUST(fake_timers_armed() == 0 && shim_pages_in_use == 0);
	MUST(pinned == 0);
}

/* ---- rings ---- */
static inline void ring(u32 base, gpa_t gpa, u32 descs)
{
	reg_set(base, (u32)gpa);
	reg_set(base + 4, (u32)(gpa >> 32));
	reg_set(base + 8, descs * 16);
	reg_set(base + 0x10, 0);
	reg_set(base + 0x18, 0);
}

static u32 tx_next, tx_size;

static inline void transmitter(u32 descs)
{
	MUST(gmem_set(&guest_ram, TX_RING, 0, descs * 16) == 0);
	ring(TDBAL, TX_RING, descs);
	reg_set(TCTL, 0x0103f0fa);
	tx_next = 0;
	tx_size = descs;
}

/* A descriptor, not yet shown to the device; which one it was. */
static inline u32 tx_put(u64 address, u64 fields)
{
	u32 i = tx_next;

	set64(TX_RING + 16 * i, address);
	set64(TX_RING + 16 * i + 8, fields);
	tx_next = (i + 1) % tx_size;
	return i;
}

static inline void tx_ring(void)
{
	reg_set(TDT, tx_next);
}

static inline bool tx_done(u32 i)
{
	return *(u8 *)at(TX_RING + 16 * i + 12, 1) & 1;
}

/* 3.3.6. */
static inline u32 tx_context(u32 ip, u32 ip_field, u32 ip_last, u32 tu, u32 tu_field, u32 tu_last, u64 flags,
			     u64 payload, u64 header, u64 mss)
{
	return tx_put(ip | ip_field << 8 | ip_last << 16 |
			  (u64)(tu | tu_field << 8 | (u32)tu_last << 16) << 32,
		      payload | DEXT | flags | header << 40 | mss << 48);
}

static inline void put16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static inline u32 get_be16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static inline u32 get_be32(const u8 *p)
{
	return get_be16(p) << 16 | get_be16(p + 2);
}

/* RFC 1071, as slow as it stands there; of a part of a message, not inverted. */
static inline u32 sum_of(const u8 *p, u32 n)
{
	u32 sum = 0;

	for (u32 i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (u32)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline u32 sum_add(u32 a, u32 b)
{
	return ((a + b) & 0xffff) + ((a + b) >> 16);
}

#define IP 14u
#define L4 34u
/* A frame of TCP or UDP over IPv4, length bytes in all, from one to the other; payload 0, 1, 2, ... With the
 * right checksums, or with what a driver leaves for a device: 0 for IP's, the pseudo header's for the other.
 */
static inline void make_frame(u8 *f, const char *to, const char *from, u8 protocol, u32 length, bool sums)
{
	u32 transport = length - L4, header = protocol == 6 ? 20 : 8, field = protocol == 6 ? 16 : 6, pseudo;

	memset(f, 0, length);
	memcpy(f, to, 6);
	memcpy(f + 6, from, 6);
	put16(f + 12, 0x0800);
	f[IP] = 0x45;
	put16(f + IP + 2, length - IP);
	put16(f + IP + 4, 0x1234);
	f[IP + 8] = 64;
	f[IP + 9] = protocol;
	memcpy(f + IP + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	put16(f + L4, 1024);
	put16(f + L4 + 2, 80);
	if (protocol == 6) {
		f[L4 + 7] = 100; /* sequence */
		f[L4 + 12] = 0x50;
		f[L4 + 13] = 0x19; /* FIN, PSH, ACK */
	} else {
		put16(f + L4 + 4, transport);
	}
	for (u32 i = L4 + header; i < length; i++)
		f[i] = (u8)(i - L4 - header);
	pseudo = sum_add(sum_of(f + IP + 12, 8), protocol);
	put16(f + L4 + field, sum_add(pseudo, transport));
	if (!sums)
		return;
	put16(f + L4 + field, ~sum_add(sum_of(f + L4, transport), 0));
	put16(f + IP + 10, ~sum_of(f + IP, 20));
}

/* Both checksums are right. */
static inline bool frame_ok(const u8 *f)
{
	u32 end = IP + get_be16(f + IP + 2), sum = sum_add(sum_of(f + IP + 12, 8), f[IP + 9]);

	return sum_of(f + IP, 20) == 0xffff &&
	       sum_add(sum_add(sum, end - L4), sum_of(f + L4, end - L4)) == 0xffff;
}

/* ---- receiving ---- */
static u32 rx_size, rx_next; /* rx_next: the next to be looked at */

/* Buffers of bytes each, all but one given. */
static inline void receiver(u32 descs, u32 bytes, u32 rctl)
{
	MUST(gmem_set(&guest_ram, RX_RING, 0, descs * 16) == 0);
	for (u32 i = 0; i < descs; i++)
		set64(RX_RING + 16 * i, RX_BUFFERS + (u64)i * bytes);
	ring(RDBAL, RX_RING, descs);
	reg_set(RCTL, 2 | rctl);
	reg_set(RDT, descs - 1);
	rx_size = descs;
	rx_next = 0;
}

static inline u64 rx_fields(u32 i)
{
	return __atomic_load_n((u64 *)at(RX_RING + 16 * i + 8, 8), __ATOMIC_ACQUIRE);
}

/* The next frame's descriptor; 0: there is none. */
static inline u64 rx_take(void)
{
	u64 fields = rx_fields(rx_next);

	if (!(fields & BIT(32)))
		return 0;
	rx_next = (rx_next + 1) % rx_size;
	return fields;
}
#define RX_EOP BIT(33)
#define RX_IXSM BIT(34)
#define RX_TCPCS BIT(37)
#define RX_IPCS BIT(38)
#define RX_PIF BIT(39)
#define RX_TCPE BIT(45)
#define RX_IPE BIT(46)
enum { UPE = 8, MPE = 16, LPE = 32, BAM = 0x8000, BSEX = 1 << 25, SECRC = 1 << 26 };
