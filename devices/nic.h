/* SPDX-License-Identifier: Apache-2.0 */
/* What the PC does with a network interface of whatever model. */
#pragma once

#include "bridge.h"
#include "meters.h"
#include "pci.h"
#include "pv_bus.h"

struct nic_setup {
	struct bridge_nic port;
	bool packed;               /* virtio: offer packed rings */
	bool polled;               /* by a CPU of poll.h, where there is one; its driver rings no doorbell */
	unsigned queues;           /* virtio: pairs to offer, the number of vCPUs; 0 counts as 1 */
	struct sched_group *group; /* who pays for what is put off */
	/* Behind Socle rings: see pv_disk.h. */
	struct pv_bus *pv;
	const char *id;
	void (*event)(void *opaque, u32 number);
	void *opaque;
};

struct nic_type {
	/* NULL, with the reason logged: no memory, no room on the bus, no port of the bridge. */
	void *(*create)(struct guest *g, struct pci_bus *bus, u8 devfn, const struct nic_setup *setup);
	/* These two wait for what the bridge is doing. No vCPU of the guest may be running. */
	void (*destroy)(void *nic);
	void (*reset)(void *nic);
	u64 (*usage)(const void *nic); /* bytes that it takes */
	struct net_port *(*port)(void *nic);
	void (*meters)(const void *nic, struct device_meters *m);
	/* The guest has stopped: true, or what is on its way ends, but other VMs have to run for that; ask
	 * again. Before destroy() and reset(). NULL: it is true always. */
	bool (*quiet)(void *nic);
};

extern const struct nic_type virtio_net_nic, e1000_nic;
extern const struct nic_type pv_net_nic; /* bus and devfn mean nothing */
