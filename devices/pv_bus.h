/* SPDX-License-Identifier: Apache-2.0 */
/* Devices behind Socle rings: what the bus asks of one. */
#pragma once

#include "pv.h"

#define PV_MAX_DEVICES 8

/* Of a ring. PV_CLOSING: requests are on their way, and nothing is written into it any more. */
enum pv_state { PV_CLOSED, PV_OPEN, PV_CLOSING };

struct pv_device;
struct pv_device_ops {
	void (*query)(const struct pv_device *d, struct socle_device *out);
	/* ring: below nr_rings. Errors as in pv.h. */
	int (*open)(struct pv_device *d, unsigned ring, gpa_t base, u64 size, u32 event);
	int (*close)(struct pv_device *d, unsigned ring);
	int (*doorbell)(struct pv_device *d, unsigned ring);
};

struct pv_device {
	const struct pv_device_ops *ops;
	unsigned nr_rings;
};

struct pv_bus {
	struct pv_device *devices[PV_MAX_DEVICES];
	unsigned nr_devices;
};

/* While no vCPU runs. ERR_NOMEM: there are PV_MAX_DEVICES. */
int pv_bus_add(struct pv_bus *bus, struct pv_device *d);
