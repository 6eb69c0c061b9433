/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio entropy device (virtio 1.2, 5.4): what the driver's buffers get is the processor's random words.
 * One queue. */
#pragma once

#include "pci.h"

struct sched_group;
struct virtio_rng;

/* NULL, with the reason logged: no memory, no room on the bus, no source that passes its test. group: who
 * pays for what is put off. */
struct virtio_rng *virtio_rng_create(struct guest *g, struct pci_bus *bus, u8 devfn,
				     struct sched_group *group);
/* No vCPU of the guest may be running. */
void virtio_rng_destroy(struct virtio_rng *r);
void virtio_rng_reset(struct virtio_rng *r);
u64 virtio_rng_usage(const struct virtio_rng *r); /* bytes that it takes */
