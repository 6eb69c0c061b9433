/* SPDX-License-Identifier: Apache-2.0 */
/* Two VMs, each with memory of its own behind extended page tables and a network interface behind Socle
 * rings, on a bridge with a third port that keeps what it gets, and sends. Defines functions, so one file of
 * a program includes it. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/nic.h"
#include "fake_timer.h"
#include "gmem.h"
#include "guest.h"
#include "host.h"
#include "must.h"
#include "socle/ring.h"

#define SIDES 2u
#define SIDE_RAM 0x200000ull
#define SIDE_ROM 0x200000ull /* a page */
#define SIDE_EVENT 9u

enum { TX, RX };

struct side {
	struct ept ept;
	struct gmem mem;
	struct pv_bus bus;
	void *nic;
	u8 address[NET_ADDRESS];
	struct socle_driver driver[2];
	unsigned events[2];
	bool lags; /* its vCPUs notice nothing beyond `seen` */
	u64 seen;
};

static struct side side[SIDES];
static struct bridge bridge;
static bool sides_large; /* the next have their memory in pages of 2 MiB */

struct gmem *guest_mem(struct guest *g)
{
	return &((struct side *)g)->mem;
}

const char *guest_name(const struct guest *g)
{
	(void)g;
	return "side";
}

u64 guest_flush_seen(const struct guest *g)
{
	const struct side *s = (const struct side *)g;

	return s->lags ? s->seen : s->ept.flush_gen;
}

/* From now on its vCPUs run on with what they have. */
static inline void side_lag(struct side *s)
{
	s->lags = true;
	s->seen = s->ept.flush_gen;
}

static void side_event(void *opaque, u32 number)
{
	struct side *s = opaque;

	MUST(number >= SIDE_EVENT && number <= SIDE_EVENT + 1);
	s->events[number - SIDE_EVENT]++;
}

/* ---- the third port ---- */
static struct {
	struct net_port port;
	struct net_frame frame;
	struct piece piece;
	u8 bytes[NET_FRAME_MAX];
	u8 sent[2048];
	u32 length; /* of the last frame */
	unsigned frames, completed;
	bool sending, refuses;
} peer;
static const u8 peer_address[NET_ADDRESS] = {2, 0, 0, 0, 0, 0x33};

static inline unsigned peer_room(struct net_port *p, u32 length, struct piece *pieces)
{
	MUST(p == &peer.port && length >= NET_FRAME_MIN && length <= sizeof(peer.bytes));
	pieces[0] = (struct piece){peer.bytes, sizeof(peer.bytes)};
	return !peer.refuses;
}

static inline void peer_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	MUST(p == &peer.port && !o->from && !o->cut);
	peer.length = length;
	peer.frames++;
}

static inline void peer_complete(struct net_frame *f, bool delivered)
{
	(void)delivered;
	MUST(f == &peer.frame && peer.sending);
	peer.sending = false;
	peer.completed++;
}

/* peer.sent has the frame but for the addresses. */
static inline void peer_send(const u8 target[NET_ADDRESS], u32 length)
{
	memcpy(peer.sent, target, NET_ADDRESS);
	memcpy(peer.sent + NET_ADDRESS, peer_address, NET_ADDRESS);
	peer.piece = (struct piece){peer.sent, length};
	peer.frame = (struct net_frame){
	    .pieces = &peer.piece, .nr_pieces = 1, .length = length, .complete = peer_complete};
	peer.sending = true;
	net_send(&peer.port, &peer.frame);
	bridge_run(&bridge);
}

/* ---- the board ---- */
/* Of bytes that no page boundary cuts. */
static inline void *side_at(struct side *s, gpa_t gpa, size_t n)
{
	void *p = gmem_ptr(&s->mem, gpa, n);

	MUST(p);
	return p;
}

static inline void side_create(struct side *s, unsigned i, unsigned page_order, u32 flags, u64 rate)
{
	static const struct ept_options opt = {.pages_2m = true};
	struct nic_setup setup = {.port = {.bridge = &bridge, .flags = flags, .rate = rate},
				  .pv = &s->bus,
				  .id = "net1",
				  .event = side_event,
				  .opaque = s};

	memset(s, 0, sizeof(*s));
	MUST(ept_init(&s->ept, &opt) == 0);
	gmem_init(&s->mem, &s->ept, page_order, ~0ull >> 1);
	MUST(gmem_add_slot(&s->mem, 0, SIDE_RAM, 0) == 0);
	MUST(gmem_add_slot(&s->mem, SIDE_ROM, PAGE_SIZE, GMEM_READONLY) == 0);
	memcpy(s->address, (const u8[]){2, 0, 0, 0, 0, (u8)(0x10 + i)}, NET_ADDRESS);
	memcpy(setup.port.address, s->address, NET_ADDRESS);
	s->nic = pv_net_nic.create((struct guest *)s, NULL, 0, &setup);
	MUST(s->nic);
}

static inline void sides_create(u32 flags, u64 rate)
{
	static const struct net_port_ops ops = {.room = peer_room, .received = peer_received};
	struct bridge_nic third = {.bridge = &bridge};

	shim_tsc = 1000;
	shim_quiet = 1;
	shim_fail_after = -1;
	memset(&peer, 0, sizeof(peer));
	bridge_init(&bridge, 1);
	memcpy(third.address, peer_address, NET_ADDRESS);
	MUST(bridge_join(&third, &peer.port, &ops) == 0);
	for (unsigned i = 0; i < SIDES; i++)
		side_create(&side[i], i, sides_large ? 9 : 0, flags, rate);
}

static inline void side_destroy(struct side *s)
{
	pv_net_nic.destroy(s->nic);
	MUST(s->mem.pinned_pages == 0);
	for (unsigned i = 0; i < GMEM_PIN_BUCKETS; i++)
		MUST(s->mem.pins[i] == 0);
	gmem_destroy(&s->mem);
	ept_destroy(&s->ept);
	s->nic = NULL;
}

static inline void sides_destroy(void)
{
	for (unsigned i = 0; i < SIDES; i++)
		if (side[i].nic)
			side_destroy(&side[i]);
	bridge_leave(&bridge, &peer.port);
	bridge_fini(&bridge);
	MUST(fake_timers_armed() == 0 && shim_pages_in_use == 0);
}

/* Opens a ring that lies in one page, as a driver does. */
static inline void side_open(struct side *s, unsigned ring, gpa_t base, u64 size)
{
	void *memory = side_at(s, base, PAGE_SIZE);

	memset(memory, 0, PAGE_SIZE);
	MUST(pv_open(&s->bus, 0, ring, base, size, SIDE_EVENT + ring) == 0);
	socle_driver_init(&s->driver[ring], memory, (u32)(size & 0xffffffff));
}
