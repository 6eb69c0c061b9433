/* SPDX-License-Identifier: Apache-2.0 */
/* The Intel 82540EM as a PCI function: how it comes, is reset, and goes; see e1000_internal.h. */
#include "e1000_internal.h"

#include "guest.h"
#include "host.h"
#include "log.h"

#define VENDOR 0x8086
#define DEVICE 0x100e
#define REVISION 2
#define CLASS_NETWORK 2 /* Ethernet: subclass 0 */
#define SUBSYSTEM 0x001e
#define MEMORY_BYTES 0x20000u /* 4.1.1: BAR 0 */
#define PORT_BYTES 8u         /* BAR 2 */
#define MEMORY_BAR 0
#define PORT_BAR 2

/* Goes on where the turn before ended. The lock is this timer's own while it fires; the switch calls back. */
static void later(void *opaque)
{
	struct e1000 *e = opaque;
	struct bridge_time began = bridge_time(e->bridge);
	u64 ticks, rests = sched_rests_until(e->group, began.since);

	if (rests > began.since) {
		timer_set(&e->later, rests);
		return;
	}
	spin_unlock(&e->lock);
	e1000_transmit(e);
	ticks = bridge_pay(e->bridge, e->group, began);
	spin_lock(&e->lock);
	rests = sched_go_on(e->group, ticks, tsc_now());
	if (e->later.armed)
		timer_set(&e->later, rests);
}

/* It may be master of the bus now, and have descriptors. The bus is locked. */
static void after_write(struct pci_function *f, unsigned offset, unsigned size)
{
	struct e1000 *e = f->opaque;

	(void)size;
	if (offset > PCI_COMMAND || offset + size <= PCI_COMMAND || !e1000_is_master(e))
		return;
	spin_lock(&e->lock);
	e1000_transmit_later(e);
	spin_unlock(&e->lock);
}

static void bars_init(struct e1000 *e)
{
	struct pci_function *f = &e->function;

	e->memory = (struct io_region){.length = MEMORY_BYTES,
				       .width = 4,
				       .name = "e1000",
				       .read = e1000_read,
				       .write = e1000_write,
				       .opaque = e};
	e->ports = (struct io_region){.length = PORT_BYTES,
				      .width = 4,
				      .name = "e1000-window",
				      .read = e1000_port_read,
				      .write = e1000_port_write,
				      .opaque = e};
	f->bar[MEMORY_BAR] = (struct pci_bar){
	    .kind = PCI_BAR_MEM32, .size = MEMORY_BYTES, .regions = &e->memory, .nr_regions = 1};
	f->bar[PORT_BAR] =
	    (struct pci_bar){.kind = PCI_BAR_IO, .size = PORT_BYTES, .regions = &e->ports, .nr_regions = 1};
}

static void function_init(struct e1000 *e)
{
	struct pci_function *f = &e->function;

	pci_set16(f->config, PCI_VENDOR_ID, VENDOR);
	pci_set16(f->config, PCI_DEVICE_ID, DEVICE);
	pci_set16(f->config, PCI_SUBSYSTEM_VENDOR, VENDOR);
	pci_set16(f->config, PCI_SUBSYSTEM_ID, SUBSYSTEM);
	f->config[PCI_REVISION] = REVISION;
	f->config[PCI_CLASS + 2] = CLASS_NETWORK;
	f->pin = 1;
	f->after_write = after_write;
	f->opaque = e;
	bars_init(e);
}

static void device_init(struct e1000 *e, const struct nic_setup *setup)
{
	gmem_tlb_reset(&e->tx.tlb);
	gmem_tlb_reset(&e->rx.tlb);
	for (u32 i = 0; i < E1000_SLOTS; i++) {
		e->tx.slot[i].e1000 = e;
		e->tx.slot[i].frame.complete = e1000_transmit_complete;
	}
	timer_init(&e->later, later, e, &e->lock);
	/* later() pays itself: what receivers owe is theirs. */
	e1000_irq_init(e);
	e1000_eeprom_init(e, setup->port.address);
	e1000_phy_reset(e);
}

static void *create(struct guest *g, struct pci_bus *bus, u8 devfn, const struct nic_setup *setup)
{
	struct e1000 *e = heap_alloc(sizeof(*e));
	int rc;

	if (!e) {
		log_error("%s: no memory for a network interface", guest_name(g));
		return NULL;
	}
	e->mem = guest_mem(g);
	gmem_lend(e->mem); /* its descriptors are not pinned */
	e->bridge = setup->port.bridge;
	e->group = setup->group;
	function_init(e);
	device_init(e, setup);
	if (pci_add(bus, &e->function, devfn)) {
		log_error("%s: no place for a network interface on the PCI bus", guest_name(g));
		heap_free(e);
		return NULL;
	}
	e1000_registers_reset(e);
	rc = bridge_join(&setup->port, &e->port, &e1000_port_ops);
	if (!rc)
		return e;
	log_error("%s: no place on the bridge: %s", guest_name(g),
		  rc == ERR_EXIST ? "another interface has this address" : "it is full");
	pci_remove(&e->function);
	heap_free(e);
	return NULL;
}

/* No vCPU runs: nothing new begins, and what the switch has comes back. */
static void stop(struct e1000 *e)
{
	bool idle;

	spin_lock(&e->lock);
	e->closing = true;
	e1000_registers_reset(e);
	timer_cancel(&e->later);
	spin_unlock(&e->lock);
	do {
		bridge_flush(e->bridge, &e->port);
		cpu_poll_interrupts();
		spin_lock(&e->lock);
		idle = e->tx.slot_head == e->tx.slot_tail && !e->rx.descs;
		spin_unlock(&e->lock);
	} while (!idle);
}

static void destroy(void *nic)
{
	struct e1000 *e = nic;

	if (!e)
		return;
	stop(e);
	bridge_leave(e->bridge, &e->port);
	timer_destroy(&e->later);
	timer_destroy(&e->irq.timer);
	pci_remove(&e->function);
	heap_free(e);
}

static void reset(void *nic)
{
	struct e1000 *e = nic;

	stop(e);
	spin_lock(&e->lock);
	e->closing = false;
	e->io_address = 0;
	e1000_phy_reset(e);
	e1000_registers_reset(e);
	spin_unlock(&e->lock);
}

static u64 usage(const void *nic)
{
	return heap_size(nic);
}

static struct net_port *port(void *nic)
{
	struct e1000 *e = nic;

	return &e->port;
}

static void meters(const void *nic, struct device_meters *m)
{
	const struct e1000 *e = nic;

	*m = (struct device_meters){.doorbells = __atomic_load_n(&e->doorbells, __ATOMIC_RELAXED),
				    .interrupts = __atomic_load_n(&e->interrupts, __ATOMIC_RELAXED),
				    .accesses = __atomic_load_n(&e->accesses, __ATOMIC_RELAXED)};
}

const struct nic_type e1000_nic = {create, destroy, reset, usage, port, meters, NULL};
