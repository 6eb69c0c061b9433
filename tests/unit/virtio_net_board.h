/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio network interface on a board, on a bridge with a peer: a port that keeps what it gets, and sends.
 * And the driver's side of its queues. Defines functions, so one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/nic.h"
#include "virtio_board.h"

#define RX_QUEUE 0x8000ull /* with their tables */
#define TX_QUEUE 0x11000ull
#define CONTROL_QUEUE 0x1a000ull
#define CONTROL_DATA 0x20800ull
#define TX_DATA 0x28000ull
#define RX_DATA HIGH_BASE
#define RX_BUFFER 4096u

enum { RX, TX, CONTROL };
#define F_CSUM BIT(0)
#define F_GUEST_CSUM BIT(1)
#define F_MAC BIT(5)
#define F_GUEST_TSO4 BIT(7)
#define F_GUEST_TSO6 BIT(8)
#define F_HOST_TSO4 BIT(11)
#define F_HOST_TSO6 BIT(12)
#define F_MRG BIT(15)
#define F_STATUS BIT(16)
#define F_CTRL BIT(17)
#define F_CTRL_RX BIT(18)
#define F_MQ BIT(22)
#define F_CTRL_MAC BIT(23)
#define F_ALL                                                                                                \
	(F_CSUM | F_GUEST_CSUM | F_MAC | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6 | F_MRG |   \
	 F_STATUS | F_CTRL | F_CTRL_RX)
#define HEADER 12u

struct header {
	u8 flags, gso;
	u16 header, gso_size, from, at, buffers;
};

static struct bridge bridge;
static void *nic;
static unsigned nr_pairs;           /* that the next one is to have */
static u16 control_queue = CONTROL; /* where it is */
static struct driver rx, tx, control;
static const u8 mac_nic[6] = {2, 0, 0, 0, 0, 0x11}, mac_peer[6] = {2, 0, 0, 0, 0, 0x22};

/* ---- the peer ---- */
#define PEER_BUFFER 65552u
static struct {
	struct net_port port;
	struct net_frame frame;
	struct piece piece;
	u8 bytes[PEER_BUFFER];
	u8 sent[PEER_BUFFER];
	bool sending, refuses;
	u32 length; /* of the last frame */
	struct net_offload offload;
	unsigned frames, told, delivered, completed;
	u32 takes;
} peer;

static void (*peer_asked)(void); /* for room, while somebody runs the switch */

static inline unsigned peer_room(struct net_port *p, u32 length, struct piece *pieces)
{
	MUST(p == &peer.port && length <= PEER_BUFFER);
	if (peer_asked)
		peer_asked();
	pieces[0] = (struct piece){peer.bytes, PEER_BUFFER};
	return !peer.refuses;
}

static void (*peer_got)(void); /* a frame */

static inline void peer_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	MUST(p == &peer.port);
	peer.length = length;
	peer.offload = *o;
	peer.frames++;
	if (peer_got)
		peer_got();
}

static void (*peer_meanwhile)(void); /* once, while somebody runs the switch */

static inline void peer_ready(struct net_port *p)
{
	void (*fn)(void) = peer_meanwhile;

	(void)p;
	peer.told++;
	peer_meanwhile = NULL;
	if (fn)
		fn();
}

static inline u32 peer_takes(struct net_port *p)
{
	(void)p;
	return peer.takes;
}

static inline void peer_complete(struct net_frame *f, bool delivered)
{
	MUST(f == &peer.frame && peer.sending);
	peer.sending = false;
	peer.completed++;
	peer.delivered += delivered;
}

static const struct net_port_ops peer_ops = {
    .room = peer_room, .received = peer_received, .ready = peer_ready, .takes = peer_takes};

/* peer.sent has the frame but for the addresses. */
static inline void peer_send(const u8 target[6], u32 length, struct net_offload o)
{
	memcpy(peer.sent, target, 6);
	memcpy(peer.sent + 6, mac_peer, 6);
	peer.piece = (struct piece){peer.sent, length};
	peer.frame = (struct net_frame){
	    .pieces = &peer.piece, .nr_pieces = 1, .length = length, .offload = o, .complete = peer_complete};
	peer.sending = true;
	net_send(&peer.port, &peer.frame);
	bridge_run(&bridge);
}

/* ---- the board ---- */
static inline void create_with(bool packed, u32 flags, u64 rate)
{
	struct nic_setup setup = {.port = {.bridge = &bridge, .flags = flags, .rate = rate},
				  .packed = packed,
				  .queues = nr_pairs,
				  .polled = shim_polling};
	struct bridge_nic other = {.bridge = &bridge};

	shim_tsc = 1000;
	memset(&peer, 0, sizeof(peer));
	board_init();
	bridge_init(&bridge, 1);
	memcpy(setup.port.address, mac_nic, 6);
	memcpy(other.address, mac_peer, 6);
	MUST(bridge_join(&other, &peer.port, &peer_ops) == 0);
	nic = virtio_net_nic.create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup);
	MUST(nic);
	board_start();
}

static inline void create(bool packed)
{
	create_with(packed, NET_ANTI_SPOOF, 0);
}

static inline void destroy(void)
{
	virtio_net_nic.destroy(nic);
	bridge_leave(&bridge, &peer.port);
	bridge_fini(&bridge);
	board_fini();
	MUST(fake_timers_armed() == 0);
	MUST(shim_pages_in_use == 0);
}

static inline void queue_on(struct driver *d, u16 queue, u16 size, u64 features, gpa_t base)
{
	driver_init(d, size, features, base);
	queue_place(queue, &d->s);
	common_set(0x1c, 2, 1);
	common_set(0x1a, 2, 0); /* vector */
}

static inline void go_sized(u64 features, u16 rx_size)
{
	MUST(negotiate(features));
	queue_on(&rx, RX, rx_size, features, RX_QUEUE);
	queue_on(&tx, TX, 64, features, TX_QUEUE);
	queue_on(&control, CONTROL, 8, features, CONTROL_QUEUE);
	msix_on();
	common_set(0x14, 1, 15);
	MUST(status() == 15);
	board.messages = 0;
}

static inline void go(u64 features)
{
	go_sized(features, 64);
}

static inline u64 layout(unsigned l)
{
	return F_ALL | ring_features(l);
}

/* ---- transmit ---- */
/* What guest memory has at TX_DATA: a header, then a frame of length bytes made of seed. */
static inline void tx_prepare(const struct header *h, const u8 target[6], const u8 source[6], u32 length,
			      u8 seed)
{
	static u8 bytes[HEADER + PEER_BUFFER];

	memcpy(bytes, h, HEADER);
	for (u32 i = 0; i < length; i++)
		bytes[HEADER + i] = (u8)(seed + i * 7);
	memcpy(bytes + HEADER, target, 6);
	memcpy(bytes + HEADER + 6, source, 6);
	MUST(gmem_write(&guest_ram, TX_DATA, bytes, HEADER + length) == 0);
}

static inline void tx_ring(void)
{
	if (driver_kick(&tx))
		doorbell(TX);
}

/* All that stands at TX_DATA, in one buffer. */
static inline u16 tx_add(u32 length)
{
	const struct buffer b = {TX_DATA, HEADER + length, false};

	return driver_add(&tx, &b, 1, false);
}

static inline bool tx_send(const u8 target[6], u32 length, u8 seed)
{
	static const struct header nothing;
	u16 id;
	u32 len;

	tx_prepare(&nothing, target, mac_nic, length, seed);
	tx_add(length);
	tx_ring();
	return driver_used(&tx, &id, &len);
}

/* ---- receive ---- */
static gpa_t rx_place[DRIVER_SIZE_MAX]; /* by id */

static inline void rx_post(unsigned n, u32 bytes)
{
	for (unsigned i = 0; i < n; i++) {
		struct buffer b = {RX_DATA + (u64)RX_BUFFER * rx.free[rx.nr_free - 1], bytes, true};
		rx_place[rx.free[rx.nr_free - 1]] = b.gpa;
		MUST(gmem_set(&guest_ram, b.gpa, 0xee, RX_BUFFER) == 0);
		driver_add(&rx, &b, 1, false);
	}
}

/* A frame from the receive queue, put together; 0: there is none. */
static inline u32 rx_take(struct header *h, u8 *bytes)
{
	u32 sum = 0, len;
	u16 id;

	for (unsigned n = 0; n == 0 || n < h->buffers; n++) {
		u32 skip = n ? 0 : HEADER;
		if (!driver_used(&rx, &id, &len)) {
			MUST(n == 0); /* all of a frame at once */
			return 0;
		}
		if (!n)
			MUST(len >= HEADER && gmem_read(&guest_ram, rx_place[id], h, HEADER) == 0);
		MUST(gmem_read(&guest_ram, rx_place[id] + skip, bytes + sum, len - skip) == 0);
		sum += len - skip;
	}
	return sum;
}

/* ---- control ---- */
/* The answer to a command of n bytes, class and number among them; 0xee: there was none. */
static inline u8 command(const u8 *bytes, u32 n)
{
	const struct buffer b[] = {
	    {CONTROL_DATA, 2, false}, {CONTROL_DATA + 2, n - 2, false}, {CONTROL_DATA + 4095, 1, true}};
	u16 id;
	u32 len;

	MUST(n > 2 && n < 4000 && gmem_write(&guest_ram, CONTROL_DATA, bytes, n) == 0);
	MUST(gmem_set(&guest_ram, CONTROL_DATA + 4095, 0xee, 1) == 0);
	driver_add(&control, b, 3, false);
	if (driver_kick(&control))
		doorbell(control_queue);
	if (driver_used(&control, &id, &len))
		MUST(len == 1);
	return *(u8 *)at(CONTROL_DATA + 4095, 1);
}
