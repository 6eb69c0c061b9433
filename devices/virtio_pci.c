/* SPDX-License-Identifier: Apache-2.0 */
/* virtio devices on the PCI bus: capabilities, BARs, doorbells and interrupts; see virtio_pci.h. */
#include "virtio_pci.h"

#include "guest.h"

#define VENDOR 0x1af4 /* 4.1.2 */
#define DEVICE_BASE 0x1040
#define REVISION 1
#define NO_VECTOR 0xffffu

/* BAR 0. */
#define BAR_BYTES 0x4000u
#define COMMON_AT 0x000u
#define COMMON_BYTES 0x38u
#define ISR_AT 0x100u
#define CONFIG_AT 0x200u
#define DOORBELL_AT 0x1000u
#define TABLE_AT 0x2000u
#define PENDING_AT 0x3000u
#define PAGE_BYTES 0x1000u
/* BAR 1, and the doorbells in both. */
#define PORT_BYTES 64u
#define DOORBELL_BYTES 4u
_Static_assert(PORT_BYTES >= VIRTIO_PCI_QUEUES_MAX * DOORBELL_BYTES, "a port for each queue");
_Static_assert(CONFIG_AT + VIRTIO_PCI_CONFIG_MAX <= DOORBELL_AT, "the first page");

/* 4.1.4: struct virtio_pci_cap, and what follows it. */
#define CAP_VENDOR 0x09
#define CAP_BYTES 16u
#define CAP_LENGTH 2
#define CAP_TYPE 3
#define CAP_BAR 4
#define CAP_OFFSET 8
#define CAP_SIZE 12
#define CAP_MULTIPLIER 16 /* of CAP_DOORBELL */
#define CAP_DATA 16       /* of CAP_WINDOW */
enum { CAP_COMMON = 1, CAP_DOORBELL, CAP_ISR, CAP_CONFIG, CAP_WINDOW };

#define ISR_QUEUE 1u
#define ISR_CONFIG 2u

/* ---- interrupts: 4.1.4.5, 4.1.5.3, 4.1.5.4 ---- */
static void isr_set(struct virtio_pci *v, u8 bit)
{
	spin_lock(&v->isr_lock);
	v->isr |= bit;
	if (!msix_is_on(&v->msix))
		pci_set_intx(&v->function, true);
	spin_unlock(&v->isr_lock);
}

static u8 isr_take(struct virtio_pci *v)
{
	u8 isr;

	spin_lock(&v->isr_lock);
	isr = v->isr;
	v->isr = 0;
	pci_set_intx(&v->function, false);
	spin_unlock(&v->isr_lock);
	return isr;
}

void virtio_pci_interrupt(struct virtio_pci *v, unsigned queue)
{
	__atomic_fetch_add(&v->queues[queue].interrupts, 1, __ATOMIC_RELAXED);
	if (likely(msix_is_on(&v->msix)))
		msix_fire(&v->msix, __atomic_load_n(&v->queues[queue].vector, __ATOMIC_RELAXED));
	else
		isr_set(v, ISR_QUEUE);
}

void virtio_pci_meters(const struct virtio_pci *v, struct device_meters *m)
{
	*m = (struct device_meters){0};
	for (unsigned i = 0; i < v->nr_queues; i++) {
		const struct virtio_queue *q = &v->queues[i];
		m->doorbells += __atomic_load_n(&q->doorbells, __ATOMIC_RELAXED);
		m->interrupts += __atomic_load_n(&q->interrupts, __ATOMIC_RELAXED);
		m->suppressed += __atomic_load_n(&q->suppressed, __ATOMIC_RELAXED);
	}
	m->accesses = m->doorbells + __atomic_load_n(&v->accesses, __ATOMIC_RELAXED);
}

/* 2.1.2: a driver that is not there yet is not told. */
void virtio_pci_fail(struct virtio_pci *v)
{
	u8 old = __atomic_fetch_or(&v->status, VIRTIO_NEEDS_RESET, __ATOMIC_ACQ_REL);

	if (old & VIRTIO_NEEDS_RESET || !(old & VIRTIO_DRIVER_OK))
		return;
	isr_set(v, ISR_CONFIG);
	if (msix_is_on(&v->msix))
		msix_fire(&v->msix, __atomic_load_n(&v->config_vector, __ATOMIC_RELAXED));
}

/* ---- BARs ---- */
static u64 config_read(const struct virtio_pci *v, u64 offset, unsigned size)
{
	u64 value = 0;

	for (unsigned i = 0; i < size && offset + i < v->config_bytes; i++)
		value |= (u64)v->config[offset + i] << (8 * i);
	return value;
}

static void count_access(struct virtio_pci *v)
{
	__atomic_fetch_add(&v->accesses, 1, __ATOMIC_RELAXED);
}

static u64 page_read(void *opaque, u64 offset, unsigned size)
{
	struct virtio_pci *v = opaque;

	count_access(v);
	if (offset < COMMON_BYTES)
		return virtio_common_read(v, offset, size);
	if (offset == ISR_AT)
		return isr_take(v);
	return offset >= CONFIG_AT ? config_read(v, offset - CONFIG_AT, size) : 0;
}

static void page_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	count_access(opaque);
	if (offset < COMMON_BYTES)
		virtio_common_write(opaque, offset, size, value);
}

static u64 doorbell_read(void *opaque, u64 offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return 0;
}

/* 4.1.5.2: each queue has a place of its own, so what is written need not be looked at. */
static void doorbell_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct virtio_pci *v = opaque;
	u64 queue = offset / DOORBELL_BYTES;

	(void)size, (void)value;
	if (unlikely(queue >= v->nr_queues))
		return;
	__atomic_fetch_add(&v->queues[queue].doorbells, 1, __ATOMIC_RELAXED);
	v->type->kicked(v, (unsigned)queue);
}

static u64 msix_read(void *opaque, u64 offset, unsigned size)
{
	struct virtio_pci *v = opaque;

	count_access(v);
	if (offset < PENDING_AT - TABLE_AT)
		return msix_table_read(&v->msix, offset, size);
	return msix_pending_read(&v->msix, offset - (PENDING_AT - TABLE_AT), size);
}

static void msix_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct virtio_pci *v = opaque;

	count_access(v);
	if (offset < PENDING_AT - TABLE_AT)
		msix_table_write(&v->msix, offset, size, value);
}

static void bars_init(struct virtio_pci *v)
{
	v->regions[0] = (struct io_region){.length = PAGE_BYTES,
					   .width = 4,
					   .name = "virtio-config",
					   .read = page_read,
					   .write = page_write,
					   .opaque = v};
	v->regions[1] = (struct io_region){.base = DOORBELL_AT,
					   .length = PAGE_BYTES,
					   .width = 4,
					   .name = "virtio-doorbell",
					   .read = doorbell_read,
					   .write = doorbell_write,
					   .opaque = v};
	v->regions[2] = (struct io_region){.base = TABLE_AT,
					   .length = BAR_BYTES - TABLE_AT,
					   .width = 8,
					   .name = "virtio-msix",
					   .read = msix_read,
					   .write = msix_write,
					   .opaque = v};
	v->doorbells = v->regions[1];
	v->doorbells.base = 0;
	v->doorbells.length = PORT_BYTES;
	v->function.bar[0] = (struct pci_bar){
	    .kind = PCI_BAR_MEM32, .size = BAR_BYTES, .regions = v->regions, .nr_regions = 3};
	v->function.bar[1] = (struct pci_bar){
	    .kind = PCI_BAR_IO, .size = PORT_BYTES, .regions = &v->doorbells, .nr_regions = 1};
}

/* ---- configuration space ---- */
/* The region of a BAR that an access of the window is for; NULL: it is for none. */
static const struct io_region *window_region(const struct virtio_pci *v, u32 *offset, u32 *size)
{
	unsigned bar = v->function.config[v->window + CAP_BAR];

	*offset = pci_get32(&v->function, v->window + CAP_OFFSET);
	*size = pci_get32(&v->function, v->window + CAP_SIZE);
	if (bar > 1 || (*size != 1 && *size != 2 && *size != 4) || *offset % *size)
		return NULL;
	for (unsigned i = 0; i < v->function.bar[bar].nr_regions; i++) {
		const struct io_region *r = &v->function.bar[bar].regions[i];
		if (*offset - r->base < r->length)
			return r;
	}
	return NULL;
}

static bool touches(unsigned offset, unsigned size, unsigned first, unsigned length)
{
	return offset < first + length && offset + size > first;
}

/* 4.1.4.9: the driver reads through the window what lies in a BAR, where it can reach no BAR. */
static void before_read(struct pci_function *f, unsigned offset, unsigned size)
{
	struct virtio_pci *v = f->opaque;
	const struct io_region *r;
	u32 at, n;

	if (!touches(offset, size, v->window + CAP_DATA, 4))
		return;
	r = window_region(v, &at, &n);
	if (r)
		pci_set32(f->config, v->window + CAP_DATA, (u32)r->read(r->opaque, at - r->base, n));
}

static void after_write(struct pci_function *f, unsigned offset, unsigned size)
{
	struct virtio_pci *v = f->opaque;
	const struct io_region *r;
	u32 at, n;

	if (touches(offset, size, v->window + CAP_DATA, 4)) {
		r = window_region(v, &at, &n);
		u64 value = pci_get32(f, v->window + CAP_DATA);
		if (r)
			r->write(r->opaque, at - r->base, n, value & (BIT(8 * n) - 1));
	} else if (touches(offset, size, PCI_COMMAND, 2) || touches(offset, size, v->msix.capability, 4)) {
		/* A function that sends messages asserts no pin (PCI 3.0, 6.8.2.1), and the other way. */
		spin_lock(&v->isr_lock);
		pci_set_intx(f, v->isr && !msix_is_on(&v->msix));
		spin_unlock(&v->isr_lock);
		msix_written(&v->msix);
		for (unsigned i = 0; i < v->nr_queues; i++)
			v->type->kicked(v, i); /* it may have become master of the bus */
	}
}

/* Returns its offset; 0: no room. */
static unsigned capability_add(struct pci_function *f, u8 type, u8 bar, u32 offset, u32 length)
{
	unsigned more = type == CAP_DOORBELL || type == CAP_WINDOW ? 4 : 0;
	unsigned at = pci_add_capability(f, CAP_VENDOR, CAP_BYTES + more);

	if (!at)
		return 0;
	f->config[at + CAP_LENGTH] = (u8)(CAP_BYTES + more);
	f->config[at + CAP_TYPE] = type;
	f->config[at + CAP_BAR] = bar;
	pci_set32(f->config, at + CAP_OFFSET, offset);
	pci_set32(f->config, at + CAP_SIZE, length);
	if (type == CAP_DOORBELL)
		pci_set32(f->config, at + CAP_MULTIPLIER, DOORBELL_BYTES);
	return at;
}

static int capabilities_add(struct virtio_pci *v)
{
	struct pci_function *f = &v->function;
	u32 doorbells = v->nr_queues * DOORBELL_BYTES;
	bool ok = capability_add(f, CAP_COMMON, 0, COMMON_AT, COMMON_BYTES) &&
		  capability_add(f, CAP_DOORBELL, 1, 0, doorbells) &&
		  capability_add(f, CAP_DOORBELL, 0, DOORBELL_AT, doorbells) &&
		  capability_add(f, CAP_ISR, 0, ISR_AT, 1);

	/* 4.1.4.6: of a type that has any. */
	if (ok && v->config_bytes)
		ok = capability_add(f, CAP_CONFIG, 0, CONFIG_AT, v->config_bytes);
	v->window = capability_add(f, CAP_WINDOW, 0, 0, 0);
	if (!ok || !v->window || msix_init(&v->msix, v->guest, f, v->nr_queues + 1, 0, TABLE_AT, PENDING_AT))
		return ERR_NOMEM;
	f->writable[v->window + CAP_BAR] = 0xff;
	pci_set32(f->writable, v->window + CAP_OFFSET, ~0u);
	pci_set32(f->writable, v->window + CAP_SIZE, ~0u);
	pci_set32(f->writable, v->window + CAP_DATA, ~0u);
	return 0;
}

/* ---- life ---- */
int virtio_pci_add(struct virtio_pci *v, struct guest *g, struct pci_bus *bus, u8 devfn)
{
	struct pci_function *f = &v->function;
	int rc;

	if (!v->nr_queues || v->nr_queues > VIRTIO_PCI_QUEUES_MAX || v->config_bytes > VIRTIO_PCI_CONFIG_MAX)
		return ERR_INVAL;
	v->guest = g;
	pci_set16(f->config, PCI_VENDOR_ID, VENDOR);
	pci_set16(f->config, PCI_DEVICE_ID, (u16)(DEVICE_BASE + v->type->id));
	pci_set16(f->config, PCI_SUBSYSTEM_VENDOR, VENDOR);
	pci_set16(f->config, PCI_SUBSYSTEM_ID, (u16)(DEVICE_BASE + v->type->id));
	f->config[PCI_REVISION] = REVISION;
	f->config[PCI_CLASS] = (u8)v->type->class;
	f->config[PCI_CLASS + 1] = (u8)(v->type->class >> 8);
	f->config[PCI_CLASS + 2] = (u8)(v->type->class >> 16);
	f->pin = 1;
	f->before_read = before_read;
	f->after_write = after_write;
	f->opaque = v;
	bars_init(v);
	rc = capabilities_add(v);
	rc = rc ? rc : pci_add(bus, f, devfn);
	if (!rc)
		virtio_pci_reset(v);
	return rc;
}

void virtio_pci_remove(struct virtio_pci *v)
{
	virtio_pci_reset(v);
	pci_remove(&v->function);
}
