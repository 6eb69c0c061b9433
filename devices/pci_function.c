/* SPDX-License-Identifier: Apache-2.0 */
/* Functions on the PCI (peripheral component interconnect) bus: base address registers, capabilities,
 * interrupt wires, and what firmware assigns. PCI Local Bus Specification 3.0, chapter 6. */
#include "pci.h"

#include "pc.h"

#define BAR_IO_FLAG 0x1u
#define BAR_MEM64_FLAG 0x4u
#define BAR_PREFETCH_FLAG 0x8u
#define BAR_IO_MAX ((u64)256)
#define BAR_MEM32_MAX ((u64)1 << 31)
#define BAR_MEM64_MAX ((u64)1 << 40)
#define IO_SPACE_END ((u64)0x10000)
#define COMMAND_WRITABLE 0x0547u /* I/O, memory, master, parity, SERR, INTx disable */
#define ASSIGN_IO_BASE ((u64)0xc000)

static unsigned bar_offset(unsigned n)
{
	return PCI_BAR0 + 4 * n;
}

/* ---- wires ---- */
/* With bus->intx_lock held. */
static void intx_update(struct pci_function *f)
{
	bool out = f->intx && !(pci_get16(f, PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE);
	unsigned gsi = pci_gsi(f->devfn, f->pin);
	u8 *users = &f->bus->wire_users[gsi - IRQ_PCI_FIRST];

	if (out == f->intx_out)
		return;
	f->intx_out = out;
	if (out ? (*users)++ == 0 : --*users == 0)
		irq_set(f->bus->irq, gsi, out);
}

void pci_set_intx(struct pci_function *f, bool level)
{
	if (!f->pin)
		return;
	spin_lock(&f->bus->intx_lock);
	f->intx = level;
	f->config[PCI_STATUS] =
	    (u8)((f->config[PCI_STATUS] & ~PCI_STATUS_INTERRUPT) | (level ? PCI_STATUS_INTERRUPT : 0));
	intx_update(f);
	spin_unlock(&f->bus->intx_lock);
}

/* ---- base address registers: 6.2.5 ---- */
/* Where the registers say that it is; PCI_UNMAPPED when it is not decoded or cannot be there. */
static u64 bar_wanted(const struct pci_function *f, unsigned n)
{
	const struct pci_bar *bar = &f->bar[n];
	u16 enable = bar->kind == PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	u64 address = pci_get32(f, bar_offset(n)) & ~(bar->size - 1);

	if (bar->kind == PCI_BAR_MEM64)
		address |= (u64)pci_get32(f, bar_offset(n + 1)) << 32;
	if (!(pci_get16(f, PCI_COMMAND) & enable) || !address || address + bar->size < address)
		return PCI_UNMAPPED;
	if (bar->kind == PCI_BAR_IO && address + bar->size > IO_SPACE_END)
		return PCI_UNMAPPED;
	return address;
}

static void bar_regions_remove(struct pci_function *f, const struct pci_bar *bar, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct io_region *r = &bar->regions[i];
		if (bar->kind == PCI_BAR_IO)
			io_unregister_port(f->bus->guest, bar->address + r->base, r->opaque);
		else
			io_unregister_mem(f->bus->guest, bar->address + r->base, r->opaque);
	}
}

static void bar_unmap(struct pci_function *f, unsigned n)
{
	struct pci_bar *bar = &f->bar[n];

	if (bar->address == PCI_UNMAPPED)
		return;
	bar_regions_remove(f, bar, bar->nr_regions);
	bar->address = PCI_UNMAPPED;
}

/* A guest may put a BAR where something else is: then nothing is decoded, and the next write to the
 * header tries again. */
static void bar_map(struct pci_function *f, unsigned n, u64 address)
{
	struct pci_bar *bar = &f->bar[n];
	int e = 0;

	bar->address = address;
	for (unsigned i = 0; i < bar->nr_regions; i++) {
		struct io_region r = bar->regions[i];
		r.base += address;
		e = bar->kind == PCI_BAR_IO ? io_register_port(f->bus->guest, &r)
					    : io_register_mem(f->bus->guest, &r);
		if (!e)
			continue;
		bar_regions_remove(f, bar, i);
		bar->address = PCI_UNMAPPED;
		return;
	}
}

static void bars_update(struct pci_function *f)
{
	u64 before[PCI_BARS];

	/* All go before any comes: one may move to where another was. */
	for (unsigned n = 0; n < PCI_BARS; n++) {
		before[n] = f->bar[n].address;
		if (f->bar[n].kind != PCI_BAR_NONE && before[n] != bar_wanted(f, n))
			bar_unmap(f, n);
	}
	for (unsigned n = 0; n < PCI_BARS; n++) {
		if (f->bar[n].kind == PCI_BAR_NONE)
			continue;
		u64 wanted = bar_wanted(f, n);
		if (wanted != f->bar[n].address)
			bar_map(f, n, wanted);
		if (f->bar[n].address != before[n] && f->bar_moved)
			f->bar_moved(f, n);
	}
}

static bool overlaps(unsigned offset, unsigned size, unsigned first, unsigned end)
{
	return offset < end && offset + size > first;
}

void pci_function_written(struct pci_function *f, unsigned offset, unsigned size)
{
	if (overlaps(offset, size, PCI_COMMAND, PCI_STATUS)) {
		spin_lock(&f->bus->intx_lock);
		intx_update(f);
		spin_unlock(&f->bus->intx_lock);
	} else if (!overlaps(offset, size, PCI_BAR0, bar_offset(PCI_BARS))) {
		return;
	}
	bars_update(f);
}

/* Type bits in the register, writable bits from the size: a guest that writes all-ones reads the size. */
static int bar_prepare(struct pci_function *f, unsigned n)
{
	struct pci_bar *bar = &f->bar[n];
	bool io = bar->kind == PCI_BAR_IO, wide = bar->kind == PCI_BAR_MEM64;
	u64 least = io ? 4 : 16, most = io ? BAR_IO_MAX : wide ? BAR_MEM64_MAX : BAR_MEM32_MAX;
	u64 mask = ~(bar->size - 1);

	bar->address = PCI_UNMAPPED;
	if (bar->kind == PCI_BAR_NONE)
		return 0;
	if (bar->size < least || bar->size > most || (bar->size & (bar->size - 1)))
		return ERR_INVAL;
	if (wide && (n + 1 >= PCI_BARS || f->bar[n + 1].kind != PCI_BAR_NONE))
		return ERR_INVAL;
	for (unsigned i = 0; i < bar->nr_regions; i++)
		if (bar->regions[i].base + bar->regions[i].length > bar->size)
			return ERR_INVAL;
	pci_set32(f->config, bar_offset(n),
		  io ? BAR_IO_FLAG
		     : (wide ? BAR_MEM64_FLAG : 0) | (bar->prefetchable ? BAR_PREFETCH_FLAG : 0));
	pci_set32(f->writable, bar_offset(n), (u32)mask);
	if (wide)
		pci_set32(f->writable, bar_offset(n + 1), (u32)(mask >> 32));
	return 0;
}

/* ---- life ---- */
/* 6.2.4: bit 7 of the header type tells that a slot has more than function 0. */
static void slot_update(struct pci_bus *bus, unsigned slot)
{
	struct pci_function **f = &bus->functions[slot << 3];
	bool several = false;

	for (unsigned i = 1; i < 8; i++)
		several |= f[i] != NULL;
	if (f[0])
		f[0]->config[PCI_HEADER_TYPE] = several ? PCI_HEADER_MULTIFUNCTION : 0;
}

int pci_add(struct pci_bus *bus, struct pci_function *f, u8 devfn)
{
	if (bus->functions[devfn])
		return ERR_EXIST;
	if (f->pin > 4)
		return ERR_INVAL;
	memset(f->writable, 0, PCI_HEADER_END);
	for (unsigned n = 0; n < PCI_BARS; n++)
		if (bar_prepare(f, n))
			return ERR_INVAL;
	pci_set16(f->writable, PCI_COMMAND, COMMAND_WRITABLE);
	f->writable[PCI_INTERRUPT_LINE] = 0xff;
	f->config[PCI_INTERRUPT_PIN] = f->pin;
	f->bus = bus;
	f->devfn = devfn;
	f->intx = f->intx_out = false;
	bus->functions[devfn] = f;
	slot_update(bus, devfn >> 3);
	return 0;
}

void pci_function_reset(struct pci_function *f)
{
	pci_set_intx(f, false);
	for (unsigned i = PCI_COMMAND; i < PCI_HEADER_END; i++)
		f->config[i] &= (u8)~f->writable[i];
	bars_update(f);
}

void pci_remove(struct pci_function *f)
{
	pci_function_reset(f);
	f->bus->functions[f->devfn] = NULL;
	slot_update(f->bus, f->devfn >> 3);
}

unsigned pci_add_capability(struct pci_function *f, u8 id, unsigned length)
{
	unsigned at = MAX((unsigned)f->capabilities_end, (unsigned)PCI_HEADER_END), link = PCI_CAPABILITIES;

	length = ALIGN_UP(length, 4u);
	if (length < 4 || length > PCI_CONFIG_SIZE - at)
		return 0;
	while (f->config[link])
		link = f->config[link] + 1u;
	f->config[link] = (u8)at;
	f->config[at] = id;
	f->config[at + 1] = 0;
	f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
	f->capabilities_end = (u16)(at + length);
	return at;
}

/* ---- firmware's part ---- */
/* The next address aligned to a power of two; 0: the window is full. */
static u64 window_take(u64 *next, u64 end, u64 size)
{
	u64 address = ALIGN_UP(*next, size);

	if (address > end || size > end - address)
		return 0;
	*next = address + size;
	return address;
}

static void function_assign(struct pci_function *f, u64 *memory, u64 *ports)
{
	u16 command = pci_get16(f, PCI_COMMAND);

	for (unsigned n = 0; n < PCI_BARS; n++) {
		const struct pci_bar *bar = &f->bar[n];
		bool io = bar->kind == PCI_BAR_IO;
		if (bar->kind == PCI_BAR_NONE)
			continue;
		u64 address = io ? window_take(ports, IO_SPACE_END, bar->size)
				 : window_take(memory, PC_PCI_MMIO_END, bar->size);
		u32 flags = pci_get32(f, bar_offset(n)) & (u32)(bar->size - 1);
		pci_set32(f->config, bar_offset(n), (u32)address | flags);
		command |= io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
	pci_set16(f->config, PCI_COMMAND, command);
	if (f->pin)
		f->config[PCI_INTERRUPT_LINE] = (u8)IRQ_PCI_ISA(pci_gsi(f->devfn, f->pin));
}

void pci_assign(struct pci_bus *bus)
{
	u64 memory = PC_PCI_MMIO_BASE, ports = ASSIGN_IO_BASE;

	spin_lock(&bus->lock);
	for (unsigned devfn = 0; devfn < ARRAY_SIZE(bus->functions); devfn++) {
		struct pci_function *f = bus->functions[devfn];
		if (!f)
			continue;
		function_assign(f, &memory, &ports);
		bars_update(f);
	}
	spin_unlock(&bus->lock);
}
