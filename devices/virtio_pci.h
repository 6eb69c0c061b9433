/* SPDX-License-Identifier: Apache-2.0 */
/* virtio devices on the PCI bus (virtio 1.2, 4.1): modern only. Features and status (2.1, 2.2, 3.1), queues,
 * doorbells, interrupts by MSI-X or pin. What the device is lies with its type, virtio_blk.c and so on.
 *
 * BAR 0, memory: common configuration, ISR status, device configuration; doorbells; MSI-X. BAR 1, ports:
 * doorbells, which are offered first: an OUT tells its port and its value in the exit itself, so that no
 * instruction has to be decoded.
 *
 * Locks: the device's, then a queue's, then MSI-X's or the bus's for pins. */
#pragma once

#include "meters.h"
#include "msix.h"
#include "pci.h"
#include "spinlock.h"
#include "virtq.h"

#define VIRTIO_PCI_QUEUES_MAX 9
#define VIRTIO_PCI_CONFIG_MAX 0x100

/* Device status (2.1). */
#define VIRTIO_ACKNOWLEDGE 0x01u
#define VIRTIO_DRIVER 0x02u
#define VIRTIO_DRIVER_OK 0x04u
#define VIRTIO_FEATURES_OK 0x08u
#define VIRTIO_NEEDS_RESET 0x40u
#define VIRTIO_FAILED 0x80u

struct virtio_pci;

struct virtio_queue {
	struct spinlock lock; /* vq and enabled; and what the type keeps beside the queue */
	struct virtq vq;
	bool enabled;
	u16 vector;                /* of MSI-X */
	u64 doorbells, interrupts; /* meters, atomic: since power-on, each way */
	u64 suppressed;            /* and as one, under the lock */
	struct virtq_setup setup;  /* under the device's lock */
};

struct virtio_type {
	u16 id;       /* 5: device types */
	u32 class;    /* base class, subclass, programming interface */
	u64 features; /* what the type has; the transport adds its own */
	/* There may be something in the queue: the driver says so, or has just begun. Any CPU. */
	void (*kicked)(struct virtio_pci *v, unsigned queue);
	/* After queues were disabled: whether nothing of them is being done any more. */
	bool (*is_idle)(struct virtio_pci *v);
};

/* The type embeds it and fills in the upper half, zero elsewhere. */
struct virtio_pci {
	const struct virtio_type *type;
	u64 more_features;     /* with the type's */
	const u8 *config;      /* device-specific configuration, which does not change */
	unsigned config_bytes; /* 0: the type has none */
	struct virtio_queue *queues;
	unsigned nr_queues; /* each with a vector of its own, and one for changes of the configuration */
	bool packed;        /* packed rings are offered */

	struct guest *guest;
	struct pci_function function;
	struct msix msix;
	unsigned window; /* offset of the configuration access capability */
	struct io_region regions[3], doorbells;
	struct spinlock lock; /* what follows */
	u64 accepted;         /* features; valid ones only */
	u32 offered_select, accepted_select;
	u16 queue_select;
	u16 config_vector;
	bool resetting; /* status shows it until the type is idle */
	u8 status;      /* atomic: NEEDS_RESET may come at any time */
	u64 accesses;   /* of the BARs, doorbells left out; atomic */
	struct spinlock isr_lock;
	u8 isr;
};

/* ERR_EXIST, ERR_NOMEM, ERR_INVAL. v must outlive its place on the bus. */
int virtio_pci_add(struct virtio_pci *v, struct guest *g, struct pci_bus *bus, u8 devfn);
/* Nothing may be in the queues' hands any more. */
void virtio_pci_remove(struct virtio_pci *v);
/* As after power-on; no vCPU may be running, and the type must be idle. */
void virtio_pci_reset(struct virtio_pci *v);

/* Whether the type may take chains from a queue now; with the queue's lock held. */
static inline bool virtio_pci_queue_live(const struct virtio_pci *v, const struct virtio_queue *q)
{
	u8 status = __atomic_load_n(&v->status, __ATOMIC_ACQUIRE);

	/* Of the device's memory accesses, too, the guest is master by its command register. */
	return q->enabled && (status & (VIRTIO_DRIVER_OK | VIRTIO_NEEDS_RESET)) == VIRTIO_DRIVER_OK &&
	       pci_get16(&v->function, PCI_COMMAND) & PCI_COMMAND_MASTER;
}
static inline u64 virtio_pci_features(const struct virtio_pci *v)
{
	return v->accepted; /* fixed from FEATURES_OK to the reset */
}
/* Tells the driver of used buffers; without a lock. */
void virtio_pci_interrupt(struct virtio_pci *v, unsigned queue);
/* As virtq_interrupt(), and counted where the driver does not want to be told. With the queue's lock. */
static inline bool virtio_queue_news(struct virtio_queue *q)
{
	bool news = q->vq.since, wanted = virtq_interrupt(&q->vq);

	q->suppressed += news && !wanted;
	return wanted;
}
/* Of all its queues. */
void virtio_pci_meters(const struct virtio_pci *v, struct device_meters *m);
/* The driver broke the rules, or the device cannot go on (2.1.1): DEVICE_NEEDS_RESET; without a lock. */
void virtio_pci_fail(struct virtio_pci *v);

/* ---- what the files of the transport share ---- */
/* Common configuration (4.1.4.3), by offset; accesses that are no field's read 0 and write nothing. */
u64 virtio_common_read(struct virtio_pci *v, u64 offset, unsigned size);
void virtio_common_write(struct virtio_pci *v, u64 offset, unsigned size, u64 value);
