/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device: its control queue (virtio 1.2, 5.1.6.5), which says what frames it wants. The
 * queue's lock is held for all of it. */
#include "virtio_net_internal.h"

#define TURN_COMMANDS 16u
/* The longest is two tables of addresses; a command that is longer, or in more pieces, is none. */
#define COMMAND_PIECES 64u
#define COMMAND_BYTES 16384u

enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_MQ = 4 };
enum { RX_PROMISCUOUS = 0, RX_ALL_GROUPS = 1 };
enum { MAC_TABLE = 0, MAC_ADDRESS = 1 };
enum { MQ_PAIRS_SET = 0 };
enum { ANSWER_OK = 0, ANSWER_ERROR = 1 };

struct command {
	u8 class, number;
};

static bool take(struct virtq_chain *c, void *to, u32 n)
{
	if (c->read_bytes < n)
		return false;
	virtq_take(c, to, n);
	return true;
}

static bool set_rx(struct virtio_net *n, u8 number, struct virtq_chain *c)
{
	u8 on;

	if (number > RX_ALL_GROUPS || c->read_bytes != 1 || !take(c, &on, 1) || on > 1)
		return false;
	spin_lock(&n->queue[0].lock);
	*(number == RX_PROMISCUOUS ? &n->filter.all : &n->filter.all_groups) = on;
	spin_unlock(&n->queue[0].lock);
	return true;
}

/* One table, of which the first FILTER_MAX are kept; *count: how many it had. */
static bool take_table(struct virtq_chain *c, u8 (*to)[NET_ADDRESS], unsigned *count)
{
	u32 entries;
	u8 address[NET_ADDRESS];

	if (!take(c, &entries, sizeof(entries)) || entries > c->read_bytes / NET_ADDRESS)
		return false;
	for (u32 i = 0; i < entries; i++)
		if (!take(c, i < FILTER_MAX ? to[i] : address, NET_ADDRESS))
			return false;
	*count = entries;
	return true;
}

/* 5.1.6.5.2: unicast addresses, then those of groups. All or nothing. */
static bool set_table(struct virtio_net *n, struct virtq_chain *c)
{
	struct net_filter f = {0};

	if (!take_table(c, f.address, &f.nr) || !take_table(c, f.group, &f.nr_groups) || c->read_bytes)
		return false;
	spin_lock(&n->queue[0].lock);
	f.all = n->filter.all;
	f.all_groups = n->filter.all_groups;
	n->filter = f;
	spin_unlock(&n->queue[0].lock);
	return true;
}

static bool set_address(struct virtio_net *n, struct virtq_chain *c)
{
	u8 address[NET_ADDRESS];

	if (c->read_bytes != NET_ADDRESS || !take(c, address, NET_ADDRESS) ||
	    net_port_readdress(&n->port, address))
		return false;
	memcpy(n->config, address, NET_ADDRESS);
	return true;
}

/* 5.1.6.5.5.1: receives with the first so many pairs from now on. */
static bool set_pairs(struct virtio_net *n, u8 number, struct virtq_chain *c)
{
	u16 pairs;

	if (number != MQ_PAIRS_SET || c->read_bytes != sizeof(pairs) || !take(c, &pairs, sizeof(pairs)) ||
	    !pairs || pairs > n->nr_pairs)
		return false;
	__atomic_store_n(&n->pairs, pairs, __ATOMIC_RELAXED);
	return true;
}

static bool obey(struct virtio_net *n, struct virtq_chain *c)
{
	u64 features = virtio_pci_features(&n->pci);
	struct command command;

	if (!(features & NET_F_CTRL_VQ) || c->read_bytes > COMMAND_BYTES ||
	    !take(c, &command, sizeof(command)))
		return false;
	if (command.class == CLASS_RX && features & NET_F_CTRL_RX)
		return set_rx(n, command.number, c);
	if (command.class == CLASS_MQ && features & NET_F_MQ)
		return set_pairs(n, command.number, c);
	if (command.class != CLASS_MAC)
		return false;
	if (command.number == MAC_TABLE && features & NET_F_CTRL_RX)
		return set_table(n, c);
	return command.number == MAC_ADDRESS && features & NET_F_CTRL_MAC_ADDR && set_address(n, c);
}

/* False: there is nothing more, or *broken. */
static bool serve_one(struct virtio_net *n, bool *broken)
{
	struct virtio_queue *q = &n->queue[net_control(n)];
	struct piece pieces[COMMAND_PIECES];
	struct virtq_chain c = {.segments = pieces, .room = COMMAND_PIECES};
	u8 *answer;
	int rc;

	if (!virtio_pci_queue_live(&n->pci, q))
		return false;
	rc = virtq_pop(&q->vq, &c);
	if (rc == 0)
		return virtq_kicks_on(&q->vq);
	*broken = rc < 0 || c.too_long || !c.write_bytes;
	if (*broken) {
		q->vq.broken = true;
		return false;
	}
	answer = pieces[c.nr_read].base;
	*answer = obey(n, &c) ? ANSWER_OK : ANSWER_ERROR;
	virtq_push(&q->vq, &c, 1);
	return true;
}

bool net_ctrl_serve(struct virtio_net *n, bool promise)
{
	struct virtio_queue *q = &n->queue[net_control(n)];
	bool broken = false, more = true, tell;

	spin_lock(&q->lock);
	for (unsigned i = 0; i < TURN_COMMANDS && more; i++)
		more = serve_one(n, &broken);
	tell = q->enabled && virtio_queue_news(q);
	if (more && promise)
		later_promise(&n->later);
	spin_unlock(&q->lock);
	if (tell)
		virtio_pci_interrupt(&n->pci, net_control(n));
	if (broken)
		virtio_pci_fail(&n->pci);
	return more;
}
