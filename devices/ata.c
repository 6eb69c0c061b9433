/* SPDX-License-Identifier: Apache-2.0 */
/* The IDE controller on the board: its two PCI functions, ports, life; see ata.h. */
#include "ata_internal.h"
#include "guest.h"
#include "host.h"
#include "log.h"

#define VENDOR 0x8086
#define DEVICE_BRIDGE 0x7000 /* 82371SB, function 0 */
#define DEVICE_IDE 0x7010    /* function 1 */
#define CLASS_ISA_BRIDGE 0x060100
#define CLASS_IDE 0x010180 /* bus master; both channels in legacy mode for good */

/* Configuration space of function 1. */
#define IDETIM 0x40  /* 16 bits for each channel */
#define SIDETIM 0x44 /* timing of drives 1 */
#define IDETIM_DECODE 0x8000u
/* Of function 0: interrupts of PCI are routed by the board, none by these. */
#define PIRQ_ROUTE 0x60
#define PIRQ_OFF 0x80
#define LATENCY 0x82 /* deterministic latency control */

#define BAR_BM 4
#define BM_PORTS 16

static const struct {
	u16 command, control;
	const char *names[2];
} places[ATA_CHANNELS] = {
    {0x1f0, 0x3f6, {"ide1", "ide1-control"}},
    {0x170, 0x376, {"ide2", "ide2-control"}},
};

/* ---- configuration space ---- */
static void decode_update(struct pci_function *f, unsigned offset, unsigned size)
{
	struct ata *ata = f->opaque;
	bool ports = pci_get16(f, PCI_COMMAND) & PCI_COMMAND_IO;

	(void)offset, (void)size;
	for (unsigned i = 0; i < ATA_CHANNELS; i++) {
		struct ata_channel *c = &ata->channel[i];
		spin_lock(&c->lock);
		c->decoded = ports && pci_get16(f, IDETIM + 2 * i) & IDETIM_DECODE;
		spin_unlock(&c->lock);
	}
}

static void set_class(struct pci_function *f, u32 class)
{
	for (unsigned i = 0; i < 3; i++)
		f->config[PCI_CLASS + i] = (u8)(class >> (8 * i));
}

static int add_bridge(struct ata *ata, struct pci_bus *bus)
{
	struct pci_function *f = &ata->bridge;

	pci_set16(f->config, PCI_VENDOR_ID, VENDOR);
	pci_set16(f->config, PCI_DEVICE_ID, DEVICE_BRIDGE);
	set_class(f, CLASS_ISA_BRIDGE);
	for (unsigned i = 0; i < 4; i++)
		f->config[PIRQ_ROUTE + i] = PIRQ_OFF;
	f->writable[LATENCY] = 0x0f;
	return pci_add(bus, f, PCI_DEVFN(ATA_SLOT, 0));
}

static int add_function(struct ata *ata, struct pci_bus *bus)
{
	struct pci_function *f = &ata->function;

	pci_set16(f->config, PCI_VENDOR_ID, VENDOR);
	pci_set16(f->config, PCI_DEVICE_ID, DEVICE_IDE);
	set_class(f, CLASS_IDE);
	for (unsigned i = IDETIM; i <= SIDETIM; i++)
		f->writable[i] = 0xff;
	ata->bm_region = (struct io_region){.length = BM_PORTS,
					    .width = 4,
					    .name = "ide-bus-master",
					    .read = ata_bm_read,
					    .write = ata_bm_write,
					    .opaque = ata};
	f->bar[BAR_BM] = (struct pci_bar){
	    .kind = PCI_BAR_IO, .size = BM_PORTS, .regions = &ata->bm_region, .nr_regions = 1};
	f->after_write = decode_update;
	f->opaque = ata;
	return pci_add(bus, f, PCI_DEVFN(ATA_SLOT, 1));
}

/* ---- ports ---- */
static int add_ports(struct ata_channel *c)
{
	struct guest *g = c->ata->guest;
	unsigned n = c->number;
	const struct io_region command = {.base = places[n].command,
					  .length = ATA_REGISTERS,
					  .width = 4,
					  .name = places[n].names[0],
					  .read = ata_port_read,
					  .write = ata_port_write,
					  .opaque = c};
	const struct io_region control = {.base = places[n].control,
					  .length = 1,
					  .width = 1,
					  .name = places[n].names[1],
					  .read = ata_control_read,
					  .write = ata_control_write,
					  .opaque = c};
	int rc = io_register_port(g, &command);

	if (!rc && (rc = io_register_port(g, &control)))
		io_unregister_port(g, command.base, c);
	if (!rc)
		rc = io_set_port_string(g, command.base, c, ata_port_string);
	return rc;
}

static void remove_ports(struct ata_channel *c)
{
	io_unregister_port(c->ata->guest, places[c->number].control, c);
	io_unregister_port(c->ata->guest, places[c->number].command, c);
}

static int add_all_ports(struct ata *ata)
{
	int rc = 0;

	for (unsigned i = 0; i < ATA_CHANNELS && !rc; i++) {
		rc = add_ports(&ata->channel[i]);
		if (rc && i)
			remove_ports(&ata->channel[0]);
	}
	return rc;
}

/* ---- life ---- */
static void set_disks(struct ata *ata, const struct ata_setup *setup)
{
	for (unsigned i = 0; i < setup->nr_disks; i++) {
		struct ata_drive *d = &ata->channel[i / ATA_DRIVES].drive[i % ATA_DRIVES];
		d->disk = setup->disks[i].disk;
		d->id = setup->disks[i].id;
		d->dma = setup->disks[i].dma;
		d->sectors = MIN(d->disk->sectors, BIT(48) - 1);
	}
}

static int add_all(struct ata *ata, struct pci_bus *bus)
{
	int rc = add_bridge(ata, bus);

	if (rc)
		return rc;
	rc = add_function(ata, bus);
	if (!rc && (rc = add_all_ports(ata)))
		pci_remove(&ata->function);
	if (rc)
		pci_remove(&ata->bridge);
	return rc;
}

struct ata *ata_create(struct guest *g, struct pci_bus *bus, struct irq_router *irq,
		       const struct ata_setup *setup)
{
	struct ata *ata = heap_alloc(sizeof(*ata));

	if (!ata) {
		log_error("%s: no memory for an IDE controller", guest_name(g));
		return NULL;
	}
	ata->guest = g;
	ata->mem = guest_mem(g);
	gmem_lend(ata->mem); /* the tables of its bus master are not pinned */
	ata->irq = irq;
	set_disks(ata, setup);
	for (unsigned i = 0; i < ATA_CHANNELS; i++)
		ata_channel_init(&ata->channel[i], ata, i, setup->group);
	if (add_all(ata, bus) == 0)
		return ata;
	log_error("%s: no place for an IDE controller", guest_name(g));
	heap_free(ata);
	return NULL;
}

void ata_destroy(struct ata *ata)
{
	if (!ata)
		return;
	for (unsigned i = 0; i < ATA_CHANNELS; i++)
		ata_channel_reset(&ata->channel[i]); /* the interrupt goes, too */
	for (unsigned i = 0; i < ATA_CHANNELS; i++)
		remove_ports(&ata->channel[i]);
	pci_remove(&ata->function);
	pci_remove(&ata->bridge);
	heap_free(ata);
}

void ata_reset(struct ata *ata)
{
	if (!ata)
		return;
	memset(ata->function.config + IDETIM, 0, SIDETIM + 1 - IDETIM);
	ata->bridge.config[LATENCY] = 0;
	for (unsigned i = 0; i < ATA_CHANNELS; i++)
		ata_channel_reset(&ata->channel[i]);
}

void ata_bios_state(struct ata *ata)
{
	if (!ata)
		return;
	for (unsigned i = 0; i < ATA_CHANNELS; i++) {
		struct ata_channel *c = &ata->channel[i];
		if (!c->drive[0].disk)
			continue;
		pci_set16(ata->function.config, IDETIM + 2 * i, IDETIM_DECODE);
		c->bm_status = (u8)((c->drive[0].dma ? 0x20 : 0) | (c->drive[1].dma ? 0x40 : 0));
	}
	decode_update(&ata->function, 0, 0);
}

u64 ata_usage(const struct ata *ata)
{
	return ata ? heap_size(ata) : 0;
}

void ata_meters(const struct ata *ata, unsigned i, struct device_meters *m)
{
	const struct ata_drive *d = &ata->channel[i / ATA_DRIVES].drive[i % ATA_DRIVES];

	*m = (struct device_meters){.doorbells = __atomic_load_n(&d->commands, __ATOMIC_RELAXED),
				    .interrupts = __atomic_load_n(&d->interrupts, __ATOMIC_RELAXED),
				    .accesses = __atomic_load_n(&d->accesses, __ATOMIC_RELAXED),
				    .copied = __atomic_load_n(&d->copied, __ATOMIC_RELAXED)};
}
