/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network device: what it offers, and its life. See virtio_net_internal.h. */
#include "guest.h"
#include "host.h"
#include "log.h"
#include "virtio_net_internal.h"

#define DEVICE_ID 1
#define CLASS_ETHERNET 0x020000
#define STATUS_LINK_UP 1

#define FEATURES                                                                                             \
	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MAC | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_HOST_TSO4 | \
	 NET_F_HOST_TSO6 | NET_F_MRG_RXBUF | NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX)

struct piece *pool_skip(struct piece_pool *p)
{
	u32 at = p->tail % POOL_PIECES, skip = at + CHAIN_PIECES > POOL_PIECES ? POOL_PIECES - at : 0;

	if (p->tail - p->head + skip + CHAIN_PIECES > POOL_PIECES)
		return NULL;
	p->tail += skip;
	return &p->piece[p->tail % POOL_PIECES];
}

/* ---- serving ---- */
static u64 go_on(void *opaque)
{
	return net_ctrl_serve(opaque, false) ? 0 : LATER_NEVER;
}

static void kicked(struct virtio_pci *v, unsigned queue)
{
	struct virtio_net *n = container_of(v, struct virtio_net, pci);

	if (likely(queue & 1 && queue < net_control(n))) {
		net_tx_ring(&n->pair[queue / 2]);
		bridge_run(n->bridge);
	} else if (queue == net_control(n)) {
		if (net_ctrl_serve(n, true))
			later_keep(&n->later, 0);
	} else if (queue < net_control(n)) {
		net_rx_begin(&n->pair[queue / 2]);
	}
}

/* Who sends pays the bridge; what finds nothing costs nobody anything. */
static bool poll(void *opaque)
{
	struct virtio_net *n = opaque;
	bool found = false;

	for (unsigned i = 0; 2 * i < net_control(n); i++)
		found |= net_tx_poll(&n->pair[i]);
	if (found)
		bridge_run(n->bridge);
	return false;
}

/* What waits in the switch comes back at once: the driver need not wait for a rate. */
static bool is_idle(struct virtio_pci *v)
{
	struct virtio_net *n = container_of(v, struct virtio_net, pci);
	bool idle = true;

	bridge_flush(n->bridge, &n->port);
	/* Wherever the control queue was: a command that is being done is done then. */
	for (unsigned i = 2; i <= 2 * n->nr_pairs; i += MAX(2 * n->nr_pairs - 2, 1u)) {
		spin_lock(&n->queue[i].lock);
		if (memcmp(n->port.address, n->own, NET_ADDRESS) != 0 &&
		    net_port_readdress(&n->port, n->own) == 0)
			memcpy(n->config, n->own, NET_ADDRESS);
		spin_unlock(&n->queue[i].lock);
	}
	for (unsigned i = 0; i < n->nr_pairs; i++)
		idle &= net_tx_is_idle(&n->pair[i]) && net_rx_is_idle(&n->pair[i]);
	if (idle) {
		__atomic_store_n(&n->pairs, 1, __ATOMIC_RELAXED); /* 5.1.6.5.5.1: until it is told */
		memset(n->flow, 0, sizeof(n->flow));
	}
	return idle;
}

/* ---- life ---- */
static const struct virtio_type net_type = {
    .id = DEVICE_ID,
    .class = CLASS_ETHERNET,
    .features = FEATURES,
    .kicked = kicked,
    .is_idle = is_idle,
};

static void init(struct virtio_net *n, const struct nic_setup *setup)
{
	n->bridge = setup->port.bridge;
	n->group = setup->group;
	memcpy(n->own, setup->port.address, NET_ADDRESS);
	memcpy(n->config, n->own, NET_ADDRESS); /* 5.1.4 */
	pci_set16(n->config, 6, STATUS_LINK_UP);
	n->filter.all = true;
	n->pairs = 1;
	n->to = n->pair;
	for (unsigned i = 0; i < n->nr_pairs; i++) {
		struct net_pair *p = &n->pair[i];

		p->net = n;
		p->index = i;
		p->rx = &n->queue[2 * i];
		p->tx = &n->queue[2 * i + 1];
	}
	pci_set16(n->config, 8, (u16)n->nr_pairs);
	later_init(&n->later, go_on, n, n->group);
	n->tx.from = n->pair;
	n->pci.type = &net_type;
	/* Who may not send from another address may not have one. */
	n->pci.more_features = setup->port.flags & NET_ANTI_SPOOF ? 0 : NET_F_CTRL_MAC_ADDR;
	n->pci.more_features |= n->nr_pairs > 1 ? NET_F_MQ : 0;
	n->pci.config = n->config;
	n->pci.config_bytes = n->nr_pairs > 1 ? sizeof(n->config) : 8;
	n->pci.queues = n->queue;
	n->pci.nr_queues = 2 * n->nr_pairs + 1;
	n->pci.packed = setup->packed;
}

static void *create(struct guest *g, struct pci_bus *bus, u8 devfn, const struct nic_setup *setup)
{
	unsigned pairs = MAX(1u, MIN(setup->queues, NET_PAIRS_MAX));
	struct virtio_net *n = heap_alloc(sizeof(*n) + pairs * sizeof(struct net_pair));
	int rc;

	if (!n) {
		log_error("%s: no memory for a virtio network interface", guest_name(g));
		return NULL;
	}
	n->nr_pairs = pairs;
	init(n, setup);
	rc = bridge_join(&setup->port, &n->port, pairs > 1 ? &net_ops_many : &net_ops);
	if (rc) {
		log_error("%s: no place on the bridge: %s", guest_name(g),
			  rc == ERR_EXIST ? "another interface has this address" : "it is full");
	} else if (virtio_pci_add(&n->pci, g, bus, devfn)) {
		log_error("%s: no place for a virtio network interface on the PCI bus", guest_name(g));
		bridge_leave(n->bridge, &n->port);
		rc = ERR_NOMEM;
	}
	if (rc) {
		heap_free(n);
		return NULL;
	}
	n->poller = (struct poller){.poll = poll, .opaque = n};
	if (setup->polled && poller_add(&n->poller))
		log_warn("%s: no CPU polls: a network interface is served by doorbells", guest_name(g));
	return n;
}

/* No vCPU runs: with the queues off nothing new begins. */
static void wait_idle(struct virtio_net *n)
{
	for (unsigned i = 0; i < n->pci.nr_queues; i++) {
		spin_lock(&n->queue[i].lock);
		n->queue[i].enabled = false;
		spin_unlock(&n->queue[i].lock);
	}
	while (!is_idle(&n->pci))
		cpu_poll_interrupts();
	later_destroy(&n->later);
}

static void destroy(void *nic)
{
	struct virtio_net *n = nic;

	if (!n)
		return;
	poller_remove(&n->poller);
	wait_idle(n);
	bridge_leave(n->bridge, &n->port);
	virtio_pci_remove(&n->pci);
	heap_free(n);
}

static void reset(void *nic)
{
	struct virtio_net *n = nic;

	wait_idle(n);
	virtio_pci_reset(&n->pci);
}

static u64 usage(const void *nic)
{
	return heap_size(nic);
}

static struct net_port *port(void *nic)
{
	struct virtio_net *n = nic;

	return &n->port;
}

static void meters(const void *nic, struct device_meters *m)
{
	const struct virtio_net *n = nic;

	virtio_pci_meters(&n->pci, m);
}

const struct nic_type virtio_net_nic = {create, destroy, reset, usage, port, meters, NULL};
