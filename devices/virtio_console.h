/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio console device (virtio 1.2, 5.3): one port, two queues. What its driver sends is handed on as it
 * comes; what is offered to it waits outside until there are buffers for it, so nothing is lost. */
#pragma once

#include "pci.h"

struct sched_group;
struct virtio_console;

struct virtio_console_setup {
	/* The other end of the cable. output() may wait for a slow line; room() may call
	 * virtio_console_input(), output() may not. */
	void (*output)(void *opaque, const u8 *buf, size_t n);
	void (*room)(void *opaque); /* after virtio_console_input() took less than it was given */
	void *opaque;
	struct sched_group *group; /* who pays for what is put off */
};

/* NULL, with the reason logged: no memory, no room on the bus. */
struct virtio_console *virtio_console_create(struct guest *g, struct pci_bus *bus, u8 devfn,
					     const struct virtio_console_setup *setup);
/* No vCPU of the guest may be running. */
void virtio_console_destroy(struct virtio_console *c);
void virtio_console_reset(struct virtio_console *c);
/* Returns how many of the bytes the driver's buffers took. Any CPU. */
size_t virtio_console_input(struct virtio_console *c, const u8 *buf, size_t n);
u64 virtio_console_usage(const struct virtio_console *c); /* bytes that it takes */
