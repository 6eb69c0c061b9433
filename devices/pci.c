/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI (peripheral component interconnect) bus of the guest's board: configuration accesses and the
 * host bridge; see pci.h. */
#include "pci.h"

#include "pm.h"

#define ADDRESS_ENABLE BIT(31)
#define ADDRESS_WRITABLE 0x80fffffcu
#define ECAM_BUS_SHIFT 20
#define ECAM_DEVFN_SHIFT 12
#define ECAM_FUNCTION_SIZE 4096u

#define HOST_BRIDGE_VENDOR 0x8086
#define HOST_BRIDGE_DEVICE 0x1237 /* 82441FX: guests know it and need no driver for it */
#define HOST_BRIDGE_REVISION 2
#define CLASS_BRIDGE 0x06

/* ---- bytes of a function ---- */
static u64 all_ones(unsigned size)
{
	return BIT(8 * size) - 1;
}

static u64 config_read(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size)
{
	struct pci_function *f = bus->functions[devfn];
	u64 value = 0;

	if (!f || offset + size > PCI_CONFIG_SIZE)
		return all_ones(size);
	spin_lock(&bus->lock);
	if (f->before_read)
		f->before_read(f, offset, size);
	for (unsigned i = 0; i < size; i++)
		value |= (u64)f->config[offset + i] << (8 * i);
	spin_unlock(&bus->lock);
	return value;
}

static void config_write(struct pci_bus *bus, unsigned devfn, unsigned offset, unsigned size, u64 value)
{
	struct pci_function *f = bus->functions[devfn];

	if (!f || offset + size > PCI_CONFIG_SIZE)
		return;
	spin_lock(&bus->lock);
	for (unsigned i = offset; i < offset + size; i++, value >>= 8) {
		u8 mask = f->writable[i];
		if (mask) /* others may change meanwhile: the status register does */
			f->config[i] = (u8)((f->config[i] & ~mask) | (value & mask));
	}
	pci_function_written(f, offset, size);
	if (f->after_write)
		f->after_write(f, offset, size);
	spin_unlock(&bus->lock);
}

/* ---- configuration mechanism #1: PCI 3.0, 3.2.2.3.2 ---- */
/* Only 32-bit accesses are to the address register; the others pass by it. */
u64 pci_address_read(void *opaque, u64 offset, unsigned size)
{
	struct pci_bus *bus = opaque;

	if (size == 4)
		return __atomic_load_n(&bus->address, __ATOMIC_RELAXED);
	if (size == 1 && offset == 1)
		return pm_reset_read(bus->pm, 0, 1);
	return all_ones(size);
}

void pci_address_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct pci_bus *bus = opaque;

	if (size == 4)
		__atomic_store_n(&bus->address, (u32)value & ADDRESS_WRITABLE, __ATOMIC_RELAXED);
	else if (size == 1 && offset == 1)
		pm_reset_write(bus->pm, 0, 1, value);
}

/* The address register points at bus 0. */
static bool address_decode(struct pci_bus *bus, unsigned *devfn, unsigned *offset)
{
	u32 address = __atomic_load_n(&bus->address, __ATOMIC_RELAXED);

	*devfn = address >> 8 & 0xff;
	*offset = address & 0xfc;
	return (address & ADDRESS_ENABLE) && !(address >> 16 & 0xff);
}

u64 pci_data_read(void *opaque, u64 offset, unsigned size)
{
	unsigned devfn, reg;

	if (!address_decode(opaque, &devfn, &reg))
		return all_ones(size);
	return config_read(opaque, devfn, reg + (unsigned)offset, size);
}

void pci_data_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	unsigned devfn, reg;

	if (address_decode(opaque, &devfn, &reg))
		config_write(opaque, devfn, reg + (unsigned)offset, size, value);
}

/* ---- ECAM: PCI Firmware 3.2, chapter 4. Nothing has extended registers: they read as all-ones. ---- */
u64 pci_ecam_read(void *opaque, u64 offset, unsigned size)
{
	if (offset >> ECAM_BUS_SHIFT)
		return all_ones(size);
	return config_read(opaque, (unsigned)(offset >> ECAM_DEVFN_SHIFT),
			   (unsigned)offset % ECAM_FUNCTION_SIZE, size);
}

void pci_ecam_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	if (!(offset >> ECAM_BUS_SHIFT))
		config_write(opaque, (unsigned)(offset >> ECAM_DEVFN_SHIFT),
			     (unsigned)offset % ECAM_FUNCTION_SIZE, size, value);
}

/* ---- life ---- */
static void host_bridge_init(struct pci_bus *bus)
{
	struct pci_function *f = &bus->host_bridge;

	pci_set16(f->config, PCI_VENDOR_ID, HOST_BRIDGE_VENDOR);
	pci_set16(f->config, PCI_DEVICE_ID, HOST_BRIDGE_DEVICE);
	f->config[PCI_REVISION] = HOST_BRIDGE_REVISION;
	f->config[PCI_CLASS + 2] = CLASS_BRIDGE; /* subclass 0: host */
	pci_add(bus, f, PCI_DEVFN(0, 0));
}

void pci_init(struct pci_bus *bus, struct guest *g, struct irq_router *irq, struct pm *pm)
{
	memset(bus, 0, sizeof(*bus));
	bus->guest = g;
	bus->irq = irq;
	bus->pm = pm;
	host_bridge_init(bus);
}

void pci_fini(struct pci_bus *bus)
{
	for (unsigned devfn = 0; devfn < ARRAY_SIZE(bus->functions); devfn++)
		if (bus->functions[devfn])
			pci_remove(bus->functions[devfn]);
}

void pci_reset(struct pci_bus *bus)
{
	bus->address = 0;
	for (unsigned devfn = 0; devfn < ARRAY_SIZE(bus->functions); devfn++)
		if (bus->functions[devfn])
			pci_function_reset(bus->functions[devfn]);
}
