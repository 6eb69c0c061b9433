/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device (virtio 1.2, 5.1) in front of a port of a bridge: pairs of queues, as many as the
 * VM has vCPUs up to NET_PAIRS_MAX, and one for control. What the files of it share.
 *
 * A frame is sent by pointing the switch at its pieces when that asks for it, and comes back to the queue
 * when that has copied it; one that is received is copied into buffers that were taken from the queue before,
 * of which there may be some left: they wait in `ready` for the next frame.
 *
 * Locks: a queue's, then the switch's. */
#pragma once

#include "later.h"
#include "nic.h"
#include "poll.h"
#include "virtio_pci.h"

#define NET_PAIRS_MAX 4u
/* 5.1.2: of pair i, receiveq(i + 1) is 2i, transmitq(i + 1) is 2i + 1. */
#define QUEUES_MAX (2 * NET_PAIRS_MAX + 1)

/* Feature bits, 5.1.3. */
#define NET_F_CSUM BIT(0)
#define NET_F_GUEST_CSUM BIT(1)
#define NET_F_MAC BIT(5)
#define NET_F_GUEST_TSO4 BIT(7)
#define NET_F_GUEST_TSO6 BIT(8)
#define NET_F_HOST_TSO4 BIT(11)
#define NET_F_HOST_TSO6 BIT(12)
#define NET_F_MRG_RXBUF BIT(15)
#define NET_F_STATUS BIT(16)
#define NET_F_CTRL_VQ BIT(17)
#define NET_F_CTRL_RX BIT(18)
#define NET_F_MQ BIT(22)
#define NET_F_CTRL_MAC_ADDR BIT(23)

/* 5.1.6: in front of each frame. */
struct virtio_net_header {
	u8 flags, gso_type;
	u16 header, gso_size, sum_from, sum_at, buffers;
};
#define NET_HEADER_BYTES ((u32)sizeof(struct virtio_net_header))
_Static_assert(sizeof(struct virtio_net_header) == 12, "virtio 1.2, 5.1.6");
#define NET_NEEDS_SUM 1u /* flags */
enum { NET_GSO_NONE = 0, NET_GSO_TCP4 = 1, NET_GSO_TCP6 = 4 };

/* Pieces of host memory of chains, in the order in which those were taken. */
#define POOL_PIECES 1024u
#define CHAIN_PIECES (NET_PIECES + 1u) /* the header may have one of its own */
struct piece_pool {
	u32 head, tail; /* free-running */
	struct piece piece[POOL_PIECES];
};

#define READY_CHAINS 128u /* buffers for one frame, or taken and not used yet */
#define FILTER_MAX 64u    /* addresses of a kind; with more, all pass */

struct tx_slot {
	struct net_frame frame;
	struct virtq_chain chain;
};

struct net_pair;
/* What the switch has of one pair's frames. The CPU that runs the switch alone, but for what is atomic; the
 * queue is changed with its lock. */
struct net_tx {
	struct net_pair *from; /* whose the last ones are */
	u32 taken, retired;    /* slots; those up to `retired` are back in the queue */
	u32 news;              /* bits of pairs whose drivers have not been told of some that are back */
	u32 out;               /* slots that are not back; atomic */
	u32 ringing;           /* bits of pairs that have something to send, perhaps; atomic */
	struct tx_slot slot[NET_BATCH];
	struct piece piece[POOL_PIECES];
};

struct rx_chain {
	struct virtq_chain chain;
	u32 pieces_end;
};

struct net_filter {
	bool all, all_groups;   /* promiscuous; every multicast address */
	unsigned nr, nr_groups; /* beyond FILTER_MAX: all of the kind */
	u8 address[FILTER_MAX][NET_ADDRESS], group[FILTER_MAX][NET_ADDRESS];
};

struct net_pair {
	struct virtio_net *net;
	struct virtio_queue *rx, *tx;
	unsigned index;

	bool hushed; /* the driver need not tell of new chains; under the transmit queue's lock */

	/* Under the receive queue's lock. */
	struct rx_chain ready[READY_CHAINS];
	u32 ready_head, ready_tail; /* free-running */
	u32 ready_used;             /* chains from head on that the switch is filling, 0: it is not */
	struct piece_pool rx_pool;
};

#define FLOWS 128u /* hashes of flows; with more, an interface of one pair would not fit into 64 KiB */

struct virtio_net {
	struct virtio_pci pci;
	struct virtio_queue queue[QUEUES_MAX];
	struct net_port port;
	struct bridge *bridge;
	struct sched_group *group;
	u8 own[NET_ADDRESS]; /* the address after a reset */
	u8 config[10];
	struct later later; /* goes on with the control queue */
	struct poller poller;
	struct net_filter filter; /* under the first receive queue's lock */

	/* 5.1.6.5.5: a flow is received where it was sent last. */
	unsigned nr_pairs; /* that there are */
	u32 pairs;         /* in use; atomic */
	u8 flow[FLOWS];    /* pair + 1, by hash; 0: not sent yet; atomic */
	struct net_tx tx;
	struct net_pair *to; /* of the frame that the switch delivers: its CPU's */
	u32 news;            /* bits of pairs that have received since the driver was told; the same CPU's */
	struct net_pair pair[]; /* nr_pairs of them */
};

/* 5.1.2: behind the pairs that there are, or the first one where the driver has not accepted more. */
static inline unsigned net_control(const struct virtio_net *n)
{
	return virtio_pci_features(&n->pci) & NET_F_MQ ? 2 * n->nr_pairs : 2;
}

static inline u32 net_pairs(const struct virtio_net *n)
{
	return __atomic_load_n(&n->pairs, __ATOMIC_RELAXED);
}

/* The slow half of pool_room(). */
struct piece *pool_skip(struct piece_pool *p);
/* Room for a whole chain in one part, or NULL: those before must come back first. */
static inline struct piece *pool_room(struct piece_pool *p)
{
	if (p->head == p->tail)
		p->head = p->tail = 0; /* the pool's beginning is in the cache */
	u32 at = p->tail % POOL_PIECES;
	if (likely(at + CHAIN_PIECES <= POOL_PIECES && p->tail - p->head + CHAIN_PIECES <= POOL_PIECES))
		return &p->piece[at];
	return pool_skip(p);
}
/* The header, of which a driver seldom makes a piece of its own. */
static inline struct virtio_net_header chain_header(struct virtq_chain *c)
{
	struct piece *first = c->segments;
	struct virtio_net_header h;

	if (likely(first->length > NET_HEADER_BYTES)) {
		__builtin_memcpy(&h, first->base, sizeof(h));
		first->base += NET_HEADER_BYTES;
		first->length -= NET_HEADER_BYTES;
		c->read_bytes -= NET_HEADER_BYTES;
	} else {
		virtq_take(c, &h, NET_HEADER_BYTES);
	}
	return h;
}

/* A CPU of its own looks at what is to be sent. */
static inline bool net_is_polled(const struct virtio_net *n)
{
	return n->poller.cpu;
}

/* ---- virtio_net_tx.c ---- */
/* Of the port. */
unsigned net_tx_pull(struct net_port *port, struct net_frame **frames, unsigned most, u64 bytes);
void net_tx_sent(struct net_port *port, unsigned nr);
/* The pair has something to send, perhaps; bridge_run() is the caller's. */
void net_tx_ring(struct net_pair *p);
/* Looks; true: it has, and was rung for. */
bool net_tx_poll(struct net_pair *p);
/* With the queue off: the switch has nothing of it, and gets nothing. */
bool net_tx_is_idle(struct net_pair *p);

/* ---- virtio_net_rx.c ---- */
extern const struct net_port_ops net_ops, net_ops_many; /* with one pair; with several */
/* The driver has just begun, or tells of buffers. */
void net_rx_begin(struct net_pair *p);
/* Idle, it forgets what it had taken. */
bool net_rx_is_idle(struct net_pair *p);

/* ---- virtio_net_flow.c ---- */
/* The frame, of length bytes in pieces, leaves by this pair. */
void net_flow_sent(struct net_pair *p, const struct net_frame *f);
/* Where a frame that begins with these bytes is to be received. */
struct net_pair *net_flow_pair(struct virtio_net *n, const u8 *header, u32 bytes);

/* ---- virtio_net_ctrl.c ---- */
/* True: there may be more, for later, which is promised if the caller wants to. */
bool net_ctrl_serve(struct virtio_net *n, bool promise);
