/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the network interface behind Socle rings share. */
#pragma once

#include "guest.h"
#include "host.h"
#include "later.h"
#include "nic.h"
#include "poll.h"
#include "pv_ring.h"

#define FRAME_MAX 1518u /* with a VLAN tag, without its checksum */
#define FRAME_PIECES 16u
#define TX_SLOTS 64u /* bits of pv_net.flipping */
#define RX_ARRIVED 128u
/* Between two looks at what is on its way; longer and longer while nothing happens. */
#define FLIP_WAIT_NS 10000u
#define FLIP_WAIT_MOST_NS 200000u

enum { RING_TX, RING_RX, RINGS };

/* A page on its way from one VM to another, in exchange for one of the other's (pv_net_flip.c). It is the
 * sender's, who keeps it until FLIP_DONE. */
struct net_page {
	struct gmem_page page; /* the sender's, with the frame that it has now */
	u64 gen;               /* of its EPT, after the exchange */
	u32 state;             /* atomic; 0: it was not exchanged */
};
#define FLIP_TAKEN 1u
#define FLIP_LEFT 2u /* no vCPU of the sender reaches the frame that it gave */
#define FLIP_DONE 4u /* nor one of the receiver's the other frame; and the receiver looks here no more */

struct pv_frame {
	struct pv_net *net;
	struct net_page page;
	struct net_frame frame;
	struct piece piece[FRAME_PIECES]; /* pinned */
	u32 id;
	u8 index;
};

/* A frame that the guest is not told of before those in front of it. */
struct arrived {
	struct net_page *page; /* NULL: it was copied */
	struct gmem_page own;  /* the receiver's, pinned */
	u64 gen;               /* of its EPT, after the exchange */
	u32 id, length, header_bytes;
	u8 header[NET_HEADER]; /* as it was checked */
};

struct net_ring {
	struct spinlock lock; /* of all that is said of the ring */
	enum pv_state state;
	bool told; /* that it is broken, or that it can be closed now */
	bool flip; /* the guest wants pages exchanged */
	u32 event;
	u64 events, suppressed; /* meters; suppressed: by rings before this one */
	struct pv_ring ring;
};

struct pv_net {
	struct pv_device device;
	struct net_port port;
	struct bridge *bridge;
	struct guest *guest;
	struct sched_group *group;
	struct gmem *mem;
	void (*event)(void *opaque, u32 number);
	void *opaque;
	u8 address[NET_ADDRESS];
	char id[16];
	u64 doorbells; /* meter, atomic */
	struct net_ring ring[RINGS];
	/* Under the transmit ring's lock. */
	bool blocked;                /* there was no slot for the next */
	unsigned nr_pulled, nr_back; /* of those that the switch has, and how many of them are answered */
	u8 pulled[NET_BATCH];        /* their slots */
	u32 nr_free;
	u64 flipping; /* slots whose pages are on their way */
	u8 free_slots[TX_SLOTS];
	struct pv_frame slot[TX_SLOTS];
	/* Under the receive ring's lock: the buffer that is next. */
	bool has_buffer, filling;
	struct piece buffer[FRAME_PIECES];
	u32 buffer_id, buffer_pieces, buffer_length;
	u8 buffer_flags; /* SOCLE_RING_ */
	gpa_t buffer_gpa;
	u32 first_arrived, nr_arrived;
	struct arrived arrived[RX_ARRIVED];
	u64 flips;
	struct later later; /* goes on with sending */
	struct poller poller;
	struct spinlock settle_lock; /* nobody who has it runs the switch */
	struct timer settle;         /* looks after what is on its way, with settle_lock held */
	u64 wait_ns;                 /* until it looks again */
	bool stopped;                /* no vCPU of the guest runs; atomic */
};

/* pv_net.c; with the ring's lock. */
void pv_net_answer(struct net_ring *r, u32 id, int status, u32 length, u32 flags);
/* The pieces of a request, how many; or its status, negative. */
int pv_net_pieces(struct net_ring *r, const struct socle_request *q, u8 operation, struct piece *pieces);
void pv_net_unlock_and_tell(struct pv_net *n, struct net_ring *r);

/* pv_net_rx.c: of the port */
unsigned pv_net_room(struct net_port *p, u32 length, struct piece *pieces);
void pv_net_received(struct net_port *p, u32 length, const struct net_offload *o);
bool pv_net_exchange(struct net_port *p, struct net_frame *f, const u8 *header, u32 header_bytes);
void pv_net_ready(struct net_port *p);
void pv_net_drop_buffer(struct pv_net *n, struct net_ring *r);

/* ---- pv_net_flip.c ---- */
void pv_net_flip_init(struct pv_net *n);
/* Of the receiver, with its receive ring's lock: the frame's page for the buffer that waits. False: nothing
 * has happened, but to what the buffer held. */
bool pv_net_flip(struct pv_net *n, struct net_frame *f, const u8 *header, u32 header_bytes);
/* Without a ring's lock, after an exchange: of the sender and of the receiver. */
void pv_net_flip_soon(struct pv_net *n);
/* With the transmit, or the receive ring's lock: looks after what is on its way. */
void pv_net_flip_send(struct pv_net *n);
void pv_net_flip_receive(struct pv_net *n);
/* A frame was copied, behind others that are on their way. There is room. */
void pv_net_flip_behind(struct pv_net *n, u32 id, u32 length);
