/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI (peripheral component interconnect) bus of the guest's board: bus 0 behind a host bridge that
 * looks like an Intel 82441FX; configuration mechanism #1 at ports 0xcf8 to 0xcff, and memory-mapped
 * (ECAM) at PC_ECAM_BASE. Sources: PCI Local Bus Specification 3.0; PCI Firmware Specification 3.2. */
#pragma once

#include "io.h"
#include "irq.h"
#include "lib.h"
#include "spinlock.h"

struct guest;
struct pm;
struct pci_bus;

#define PCI_CONFIG_SIZE 256
#define PCI_BARS 6
#define PCI_UNMAPPED (~(u64)0)
#define PCI_DEVFN(slot, function) ((u8)((slot) << 3 | (function)))

/* Offsets in a type 0 header (PCI 3.0, figure 6-1). */
#define PCI_VENDOR_ID 0x00
#define PCI_DEVICE_ID 0x02
#define PCI_COMMAND 0x04
#define PCI_STATUS 0x06
#define PCI_REVISION 0x08
#define PCI_CLASS 0x09 /* programming interface, subclass, base class */
#define PCI_HEADER_TYPE 0x0e
#define PCI_BAR0 0x10
#define PCI_SUBSYSTEM_VENDOR 0x2c
#define PCI_SUBSYSTEM_ID 0x2e
#define PCI_CAPABILITIES 0x34
#define PCI_INTERRUPT_LINE 0x3c
#define PCI_INTERRUPT_PIN 0x3d
#define PCI_HEADER_END 0x40

#define PCI_COMMAND_IO 0x0001u
#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_MASTER 0x0004u
#define PCI_COMMAND_INTX_DISABLE 0x0400u
#define PCI_STATUS_INTERRUPT 0x08u
#define PCI_STATUS_CAPABILITIES 0x10u
#define PCI_HEADER_MULTIFUNCTION 0x80u

enum pci_bar_kind {
	PCI_BAR_NONE,
	PCI_BAR_IO,
	PCI_BAR_MEM32,
	PCI_BAR_MEM64, /* takes the next register as well, whose kind stays PCI_BAR_NONE */
};

/* A base address register. While the guest decodes it, its regions are registered at its address;
 * their base is an offset into it, their opaque the device's. */
struct pci_bar {
	enum pci_bar_kind kind;
	bool prefetchable;
	u64 size; /* power of two; at least 4 for I/O (at most 256), 16 for memory (at most 2 GiB; 64-bit: 1
		     TiB) */
	const struct io_region *regions;
	unsigned nr_regions;
	u64 address; /* where it is decoded now, or PCI_UNMAPPED; kept by pci_function.c */
};

/* A device fills in the upper half, zero elsewhere, and calls pci_add(). */
struct pci_function {
	u8 config[PCI_CONFIG_SIZE];
	u8 writable[PCI_CONFIG_SIZE]; /* bits the guest may write; header bits are set by pci_add() */
	struct pci_bar bar[PCI_BARS];
	u8 pin; /* INTA to INTD: 1 to 4; 0: none */
	/* Callbacks, or NULL; the bus is locked. Bytes that are about to be read; bytes that were
	 * written; a BAR that has a new address. */
	void (*before_read)(struct pci_function *f, unsigned offset, unsigned size);
	void (*after_write)(struct pci_function *f, unsigned offset, unsigned size);
	void (*bar_moved)(struct pci_function *f, unsigned bar);
	void *opaque;

	struct pci_bus *bus;
	u8 devfn;
	u16 capabilities_end; /* first free byte behind the last capability; 0: none yet */
	bool intx;            /* the device asserts its pin */
	bool intx_out;        /* ... and the wire sees it */
};

#define PCI_WIRES 8
struct pci_bus {
	struct guest *guest;
	struct irq_router *irq;
	struct pm *pm;
	struct spinlock lock;      /* configuration space, BARs */
	struct spinlock intx_lock; /* taken after lock; before the router's */
	u32 address;               /* port 0xcf8 */
	u8 wire_users[PCI_WIRES];  /* functions that assert each wire */
	struct pci_function *functions[256];
	struct pci_function host_bridge;
};

/* ---- the bus: pci.c ---- */
void pci_init(struct pci_bus *bus, struct guest *g, struct irq_router *irq, struct pm *pm);
void pci_fini(struct pci_bus *bus); /* takes away every function */
/* As after RST#: nothing is decoded. The devices reset themselves. */
void pci_reset(struct pci_bus *bus);

/* Ports 0xcf8 to 0xcfb, width 4; byte accesses to 0xcf9 go to pm. opaque: struct pci_bus. */
u64 pci_address_read(void *opaque, u64 offset, unsigned size);
void pci_address_write(void *opaque, u64 offset, unsigned size, u64 value);
/* Ports 0xcfc to 0xcff, width 4. */
u64 pci_data_read(void *opaque, u64 offset, unsigned size);
void pci_data_write(void *opaque, u64 offset, unsigned size, u64 value);
/* ECAM, width 4. */
u64 pci_ecam_read(void *opaque, u64 offset, unsigned size);
void pci_ecam_write(void *opaque, u64 offset, unsigned size, u64 value);

/* ---- functions: pci_function.c ---- */
/* ERR_EXIST: the place is taken; ERR_INVAL: a BAR is ill-formed. f must outlive its place on the bus. */
int pci_add(struct pci_bus *bus, struct pci_function *f, u8 devfn);
void pci_remove(struct pci_function *f);
/* Before pci_add(): reserves a capability (PCI 3.0, 6.7) and returns its offset; 0: no room. The
 * first two bytes are filled in. */
unsigned pci_add_capability(struct pci_function *f, u8 id, unsigned length);
/* Any CPU. The wire is the OR of all functions on it that are not silenced by their command register. */
void pci_set_intx(struct pci_function *f, bool level);
/* The GSI (global system interrupt) of a pin (1 to 4) of a slot; as in _PRT of dsdt.asl. */
static inline unsigned pci_gsi(u8 devfn, unsigned pin)
{
	return IRQ_PCI_FIRST + ((devfn >> 3) + pin - 1) % IRQ_PCI_COUNT;
}
/* What firmware does: gives every BAR an address, decodes it, and writes the interrupt line. BARs
 * that no longer fit stay undecoded. */
void pci_assign(struct pci_bus *bus);

/* What pci.c and pci_function.c share. */
void pci_function_written(struct pci_function *f, unsigned offset, unsigned size);
void pci_function_reset(struct pci_function *f);

static inline u16 pci_get16(const struct pci_function *f, unsigned offset)
{
	return (u16)(f->config[offset] | f->config[offset + 1] << 8);
}

static inline u32 pci_get32(const struct pci_function *f, unsigned offset)
{
	return (u32)pci_get16(f, offset) | (u32)pci_get16(f, offset + 2) << 16;
}

static inline void pci_set16(u8 *bytes, unsigned offset, u16 value)
{
	bytes[offset] = (u8)value;
	bytes[offset + 1] = (u8)(value >> 8);
}

static inline void pci_set32(u8 *bytes, unsigned offset, u32 value)
{
	pci_set16(bytes, offset, (u16)value);
	pci_set16(bytes, offset + 2, (u16)(value >> 16));
}
