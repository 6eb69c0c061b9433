/* SPDX-License-Identifier: Apache-2.0 */
/* virtio devices on the PCI bus: the common configuration structure (virtio 1.2, 4.1.4.3), which is feature
 * negotiation, status, reset, and the queues' places. */
#include "virtio_pci.h"

#include "guest.h"

#define NO_VECTOR 0xffffu

/* Offset and size of a field; 64-bit ones are two of 32 bits (4.1.3.1). */
#define FIELD(offset, size) ((offset) << 4 | (size))
enum {
	DEVICE_FEATURE_SELECT = FIELD(0x00, 4),
	DEVICE_FEATURE = FIELD(0x04, 4),
	DRIVER_FEATURE_SELECT = FIELD(0x08, 4),
	DRIVER_FEATURE = FIELD(0x0c, 4),
	CONFIG_MSIX_VECTOR = FIELD(0x10, 2),
	NUM_QUEUES = FIELD(0x12, 2),
	DEVICE_STATUS = FIELD(0x14, 1),
	CONFIG_GENERATION = FIELD(0x15, 1), /* 0 always: the configuration does not change */
	QUEUE_SELECT = FIELD(0x16, 2),
	QUEUE_SIZE = FIELD(0x18, 2),
	QUEUE_MSIX_VECTOR = FIELD(0x1a, 2),
	QUEUE_ENABLE = FIELD(0x1c, 2),
	QUEUE_NOTIFY_OFF = FIELD(0x1e, 2),
	QUEUE_DESC = FIELD(0x20, 4),
	QUEUE_DESC_HIGH = FIELD(0x24, 4),
	QUEUE_DRIVER = FIELD(0x28, 4),
	QUEUE_DRIVER_HIGH = FIELD(0x2c, 4),
	QUEUE_DEVICE = FIELD(0x30, 4),
	QUEUE_DEVICE_HIGH = FIELD(0x34, 4),
};

#define TRANSPORT_FEATURES (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

static u64 offered(const struct virtio_pci *v)
{
	return v->type->features | v->more_features | TRANSPORT_FEATURES |
	       (v->packed ? VIRTIO_F_RING_PACKED : 0);
}

static u32 feature_word(u64 features, u32 select)
{
	return select < 2 ? (u32)(features >> (32 * select)) : 0;
}

static u8 status_of(const struct virtio_pci *v)
{
	return __atomic_load_n(&v->status, __ATOMIC_ACQUIRE);
}

/* ---- reset: 2.4, 4.1.4.3.1 ---- */
static void queues_disable(struct virtio_pci *v)
{
	for (unsigned i = 0; i < v->nr_queues; i++) {
		struct virtio_queue *q = &v->queues[i];
		spin_lock(&q->lock);
		q->enabled = false;
		spin_unlock(&q->lock);
	}
}

static void reset_finish(struct virtio_pci *v)
{
	for (unsigned i = 0; i < v->nr_queues; i++) {
		struct virtio_queue *q = &v->queues[i];
		q->setup = (struct virtq_setup){.size = VIRTQ_SIZE_MAX};
		q->vector = NO_VECTOR;
	}
	v->accepted = 0;
	v->offered_select = v->accepted_select = 0;
	v->queue_select = 0;
	v->config_vector = NO_VECTOR;
	v->resetting = false;
	spin_lock(&v->isr_lock);
	v->isr = 0;
	pci_set_intx(&v->function, false);
	spin_unlock(&v->isr_lock);
	__atomic_store_n(&v->status, 0, __ATOMIC_RELEASE);
}

/* What the type has begun is ended by whoever does it; the driver reads the status until it is 0. */
static void reset_go_on(struct virtio_pci *v)
{
	if (v->resetting && v->type->is_idle(v))
		reset_finish(v);
}

static void reset_begin(struct virtio_pci *v)
{
	v->resetting = true;
	queues_disable(v);
	reset_go_on(v);
}

void virtio_pci_reset(struct virtio_pci *v)
{
	spin_lock(&v->lock);
	queues_disable(v);
	reset_finish(v);
	spin_unlock(&v->lock);
	msix_reset(&v->msix);
}

/* ---- status: 2.1, 3.1.1 ---- */
/* A driver does not clear bits but by a reset. True: it has just set DRIVER_OK. */
static bool status_write(struct virtio_pci *v, u8 value)
{
	u8 old = status_of(v), new = value &(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FAILED);

	if (!value) {
		reset_begin(v);
		return false;
	}
	/* 2.2.2: only with features that were offered, and by a driver that knows virtio 1 (6.1). */
	if (value & VIRTIO_FEATURES_OK && !(v->accepted & ~offered(v)) && v->accepted & VIRTIO_F_VERSION_1)
		new |= VIRTIO_FEATURES_OK;
	if (value & VIRTIO_DRIVER_OK && (old | new) & VIRTIO_FEATURES_OK)
		new |= VIRTIO_DRIVER_OK;
	old = __atomic_fetch_or(&v->status, new, __ATOMIC_ACQ_REL);
	return new & ~old &VIRTIO_DRIVER_OK;
}

/* ---- queues ---- */
static struct virtio_queue *selected(struct virtio_pci *v)
{
	return v->queue_select < v->nr_queues ? &v->queues[v->queue_select] : NULL;
}

/* False: the driver is to be told that something is wrong with it. */
static bool queue_enable(struct virtio_pci *v, struct virtio_queue *q)
{
	bool ok;

	if (!(status_of(v) & VIRTIO_FEATURES_OK))
		return true; /* 3.1.1: too early; it stays disabled */
	q->setup.features = v->accepted;
	spin_lock(&q->lock);
	ok = virtq_start(&q->vq, guest_mem(v->guest), &q->setup) == 0;
	q->enabled = ok;
	spin_unlock(&q->lock);
	return ok;
}

static void half_set(u64 *whole, unsigned shift, u32 value)
{
	*whole = (*whole & ~((u64)0xffffffff << shift)) | (u64)value << shift;
}

/* 4.1.5.1.2: a vector that there is not reads back as none. */
static u16 vector_of(const struct virtio_pci *v, u64 value)
{
	return value < v->msix.vectors ? (u16)value : (u16)NO_VECTOR;
}

/* False as queue_enable(). Only a vector may change while the queue is enabled. */
static bool queue_write(struct virtio_pci *v, u64 field, u64 value)
{
	struct virtio_queue *q = selected(v);

	if (!q)
		return true;
	if (field == QUEUE_MSIX_VECTOR)
		__atomic_store_n(&q->vector, vector_of(v, value), __ATOMIC_RELAXED);
	if (q->enabled)
		return true;
	switch (field) {
	case QUEUE_SIZE:
		q->setup.size = (u16)value;
		break;
	case QUEUE_ENABLE:
		return value != 1 || queue_enable(v, q);
	case QUEUE_DESC:
	case QUEUE_DESC_HIGH:
		half_set(&q->setup.desc, field == QUEUE_DESC ? 0 : 32, (u32)value);
		break;
	case QUEUE_DRIVER:
	case QUEUE_DRIVER_HIGH:
		half_set(&q->setup.driver, field == QUEUE_DRIVER ? 0 : 32, (u32)value);
		break;
	case QUEUE_DEVICE:
	case QUEUE_DEVICE_HIGH:
		half_set(&q->setup.device, field == QUEUE_DEVICE ? 0 : 32, (u32)value);
		break;
	}
	return true;
}

static u64 queue_read(struct virtio_pci *v, u64 field)
{
	const struct virtio_queue *q = selected(v);

	if (!q)
		return field == QUEUE_MSIX_VECTOR ? NO_VECTOR : 0;
	switch (field) {
	case QUEUE_SIZE:
		return q->setup.size;
	case QUEUE_MSIX_VECTOR:
		return q->vector;
	case QUEUE_ENABLE:
		return q->enabled;
	case QUEUE_NOTIFY_OFF:
		return v->queue_select;
	case QUEUE_DESC:
		return (u32)q->setup.desc;
	case QUEUE_DESC_HIGH:
		return q->setup.desc >> 32;
	case QUEUE_DRIVER:
		return (u32)q->setup.driver;
	case QUEUE_DRIVER_HIGH:
		return q->setup.driver >> 32;
	case QUEUE_DEVICE:
		return (u32)q->setup.device;
	case QUEUE_DEVICE_HIGH:
		return q->setup.device >> 32;
	}
	return 0;
}

/* ---- the structure ---- */
static u64 field_read(struct virtio_pci *v, u64 field)
{
	switch (field) {
	case DEVICE_FEATURE_SELECT:
		return v->offered_select;
	case DEVICE_FEATURE:
		return feature_word(offered(v), v->offered_select);
	case DRIVER_FEATURE_SELECT:
		return v->accepted_select;
	case DRIVER_FEATURE:
		return feature_word(v->accepted, v->accepted_select);
	case CONFIG_MSIX_VECTOR:
		return v->config_vector;
	case NUM_QUEUES:
		return v->nr_queues;
	case DEVICE_STATUS:
		reset_go_on(v);
		return status_of(v);
	case CONFIG_GENERATION:
		return 0;
	case QUEUE_SELECT:
		return v->queue_select;
	}
	return queue_read(v, field);
}

u64 virtio_common_read(struct virtio_pci *v, u64 offset, unsigned size)
{
	u64 value;

	spin_lock(&v->lock);
	value = field_read(v, FIELD(offset, size));
	spin_unlock(&v->lock);
	return value;
}

/* Features are settled with FEATURES_OK. All that the driver wrote is kept: it is checked then. */
static void features_write(struct virtio_pci *v, u32 value)
{
	if (v->accepted_select < 2 && !(status_of(v) & VIRTIO_FEATURES_OK))
		half_set(&v->accepted, 32 * v->accepted_select, value);
}

void virtio_common_write(struct virtio_pci *v, u64 offset, unsigned size, u64 value)
{
	u64 field = FIELD(offset, size);
	bool ok = true, begin = false;

	spin_lock(&v->lock);
	reset_go_on(v);
	if (v->resetting) {
		spin_unlock(&v->lock);
		return;
	}
	switch (field) {
	case DEVICE_FEATURE_SELECT:
		v->offered_select = (u32)value;
		break;
	case DRIVER_FEATURE_SELECT:
		v->accepted_select = (u32)value;
		break;
	case DRIVER_FEATURE:
		features_write(v, (u32)value);
		break;
	case CONFIG_MSIX_VECTOR:
		__atomic_store_n(&v->config_vector, vector_of(v, value), __ATOMIC_RELAXED);
		break;
	case DEVICE_STATUS:
		begin = status_write(v, (u8)value);
		break;
	case QUEUE_SELECT:
		v->queue_select = (u16)value;
		break;
	default:
		ok = queue_write(v, field, value);
	}
	spin_unlock(&v->lock);
	if (!ok)
		virtio_pci_fail(v);
	for (unsigned i = 0; begin && i < v->nr_queues; i++)
		v->type->kicked(v, i);
}
