/* SPDX-License-Identifier: Apache-2.0 */
/* A guest with memory, a PCI bus and local APICs that remember, for virtio devices; and the little that a
 * driver does before its queues: configuration space, BARs, capabilities. Defines functions, so one file of
 * a program includes it. */
#pragma once

#include "board_io.h"
#include "devices/irq.h"
#include "devices/pci.h"
#include "devices/pm.h"
#include "devices/virtio_pci.h"
#include "fake_timer.h"
#include "guest.h"
#include "io.h"
#include "lapic.h"
#include "virtq_driver.h"

#define RINGS (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)
#ifndef BOARD_DEVFN
#define BOARD_DEVFN PCI_DEVFN(4, 0)
#endif

static struct {
	io_string_fn string[BOARD_REGIONS]; /* of the port of the same number */
	u32 wires, edges;                   /* edges: wires that have risen */
	unsigned messages;                  /* MSIs, and the last one */
	void (*on_message)(void);
	u64 address;
	u32 data;
	struct pci_bus bus;
	struct irq_router router;
	struct pm pm;
} board;

/* Of a device whose ports stay. */
int io_set_port_string(struct guest *g, u64 base, void *opaque, io_string_fn fn)
{
	MUST(g == BOARD_GUEST);
	for (unsigned i = 0; i < board_io.nr_ports; i++)
		if (board_io.port[i].base == base && board_io.port[i].opaque == opaque) {
			board.string[i] = fn;
			return 0;
		}
	return ERR_NOENT;
}

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	MUST(r == &board.router && (gsi == 14 || gsi == 15 || (gsi >= 16 && gsi < 24)) &&
	     (board.wires >> gsi & 1) != level);
	board.edges |= (u32)level << gsi;
	board.wires = (board.wires & ~(1u << gsi)) | (u32)level << gsi;
}

unsigned apic_deliver_msi(struct guest *g, u64 address, u32 data)
{
	MUST(g == BOARD_GUEST);
	board.messages++;
	board.address = address;
	board.data = data;
	if (board.on_message)
		board.on_message();
	return 1;
}

u64 pm_reset_read(void *opaque, u64 offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return 0;
}

void pm_reset_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	(void)opaque, (void)offset, (void)size, (void)value;
}

struct gmem *guest_mem(struct guest *g)
{
	MUST(g == BOARD_GUEST);
	return &guest_ram;
}

const char *guest_name(const struct guest *g)
{
	MUST(g == BOARD_GUEST);
	return "board";
}

/* ---- accesses as vcpu/io.c does them: wider than the device takes, in pieces ---- */
static inline const struct io_region *board_find(bool port, u64 address)
{
	const struct io_region *table = port ? board_io.port : board_io.mem;
	for (unsigned i = 0; i < (port ? board_io.nr_ports : board_io.nr_mems); i++)
		if (address - table[i].base < table[i].length)
			return &table[i];
	return NULL;
}

static inline u64 board_read(bool port, u64 address, unsigned size)
{
	const struct io_region *r = board_find(port, address);
	u64 value = 0, ones = ~0ull >> (64 - 8 * size);

	if (r && size <= r->width && address + size <= r->base + r->length)
		return r->read(r->opaque, address - r->base, size) & ones;
	if (size == 1)
		return ones;
	for (unsigned i = 0; i < 2; i++)
		value |= board_read(port, address + i * size / 2, size / 2) << (4 * size * i);
	return value;
}

static inline void board_write(bool port, u64 address, unsigned size, u64 value)
{
	const struct io_region *r = board_find(port, address);

	if (r && size <= r->width && address + size <= r->base + r->length)
		r->write(r->opaque, address - r->base, size, value & ~0ull >> (64 - 8 * size));
	else
		for (unsigned i = 0; size > 1 && i < 2; i++)
			board_write(port, address + i * size / 2, size / 2, value >> (4 * size * i));
}

static inline u32 cfg(unsigned offset, unsigned size)
{
	return (u32)pci_ecam_read(&board.bus, (u64)BOARD_DEVFN << 12 | offset, size);
}

static inline void cfg_set(unsigned offset, unsigned size, u32 value)
{
	pci_ecam_write(&board.bus, (u64)BOARD_DEVFN << 12 | offset, size, value);
}

/* ---- a driver's view of the device ---- */
static struct {
	u64 common, doorbell, port, isr, config; /* addresses */
	u32 multiplier, config_bytes;
	u64 msix_table, msix_pending;
	unsigned msix, window; /* offsets of capabilities */
} seen;

static inline u64 bar_address(unsigned bar)
{
	return cfg(PCI_BAR0 + 4 * bar, 4) & ~15u;
}

static inline void seen_virtio(unsigned at)
{
	unsigned type = cfg(at + 3, 1), bar = cfg(at + 4, 1);
	u64 address = bar_address(bar) + cfg(at + 8, 4);

	switch (type) {
	case 1:
		seen.common = address;
		break;
	case 2:
		*(bar == 1 ? &seen.port : &seen.doorbell) = address;
		seen.multiplier = cfg(at + 16, 4);
		break;
	case 3:
		seen.isr = address;
		break;
	case 4:
		seen.config = address;
		seen.config_bytes = cfg(at + 12, 4);
		break;
	case 5:
		seen.window = at;
		break;
	}
}

static inline void look_around(void)
{
	memset(&seen, 0, sizeof(seen));
	for (unsigned at = cfg(PCI_CAPABILITIES, 1); at; at = cfg(at + 1, 1)) {
		if (cfg(at, 1) == 9)
			seen_virtio(at);
		if (cfg(at, 1) != 0x11)
			continue;
		seen.msix = at;
		seen.msix_table = bar_address(0) + (cfg(at + 4, 4) & ~7u);
		seen.msix_pending = bar_address(0) + (cfg(at + 8, 4) & ~7u);
	}
}

static inline void board_init(void)
{
	memset(&board, 0, sizeof(board));
	board_io_init();
	ram_create();
	pci_init(&board.bus, BOARD_GUEST, &board.router, &board.pm);
}

/* After a device was added: what firmware does. */
static inline void board_start(void)
{
	pci_assign(&board.bus);
	cfg_set(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	look_around();
}

static inline void board_fini(void)
{
	pci_fini(&board.bus);
	ram_destroy();
	MUST(board_io.nr_ports + board_io.nr_mems == 0 && board.wires == 0);
}

static inline u32 common(unsigned offset, unsigned size)
{
	return (u32)board_read(false, seen.common + offset, size);
}

static inline void common_set(unsigned offset, unsigned size, u32 value)
{
	board_write(false, seen.common + offset, size, value);
}

static inline u8 status(void)
{
	return (u8)common(0x14, 1);
}

static inline u64 device_features(void)
{
	common_set(0, 4, 0);
	u64 low = common(4, 4);
	common_set(0, 4, 1);
	return low | (u64)common(4, 4) << 32;
}

static inline void driver_features(u64 features)
{
	for (u32 i = 0; i < 2; i++) {
		common_set(8, 4, i);
		common_set(12, 4, (u32)(features >> (32 * i)));
	}
}

/* 3.1.1 to FEATURES_OK. */
static inline bool negotiate(u64 features)
{
	common_set(0x14, 1, 0);
	MUST(status() == 0);
	common_set(0x14, 1, 1);
	common_set(0x14, 1, 3);
	driver_features(features);
	common_set(0x14, 1, 11);
	return status() == 11;
}

static inline void queue_place(u16 queue, const struct virtq_setup *s)
{
	common_set(0x16, 2, queue);
	common_set(0x18, 2, s->size);
	board_write(false, seen.common + 0x20, 8, s->desc);
	board_write(false, seen.common + 0x28, 8, s->driver);
	board_write(false, seen.common + 0x30, 8, s->device);
}

static inline void doorbell(u16 queue)
{
	board_write(true, seen.port + queue * seen.multiplier, 2, queue);
}

/* One vector for everything. */
static inline void msix_on(void)
{
	board_write(false, seen.msix_table, 8, 0xfee00000);
	board_write(false, seen.msix_table + 8, 8, 0x31);
	cfg_set(seen.msix + 2, 2, 0x8000);
	common_set(0x10, 2, 0);
	common_set(0x1a, 2, 0);
}

/* ---- drivers that go by the rules, of one layout of rings or the other ---- */
static inline u64 ring_features(unsigned l)
{
	return RINGS | (l ? VIRTIO_F_RING_PACKED : 0);
}

/* What a device that only writes has no use for: something to read, no place for a byte, no RAM, too much. */
#define BOARD_DATA 0x20000ull
static const struct buffer bad_to_write[][2] = {
    {{BOARD_DATA, 16, false}, {BOARD_DATA + 16, 16, true}},
    {{BOARD_DATA, 16, false}, {BOARD_DATA + 16, 16, false}},
    {{BOARD_DATA, 0, true}, {BOARD_DATA + 16, 0, true}},
    {{ROM_BASE, 16, true}, {BOARD_DATA, 16, true}},
    {{HOLE, 16, true}, {BOARD_DATA, 16, true}},
    {{BOARD_DATA, 16, true}, {HOLE, 1, true}},
    {{BOARD_DATA, 0xffffffff, true}, {BOARD_DATA, 1, true}},
    {{~0ull - 3, 8, true}, {BOARD_DATA, 1, true}},
};

/* A device of one queue, from its reset on. */
static inline void board_go(struct driver *d, u16 size, u64 features, gpa_t queue)
{
	driver_init(d, size, features, queue);
	cfg_set(seen.msix + 2, 2, 0);
	MUST(negotiate(features));
	queue_place(0, &d->s);
	common_set(0x1c, 2, 1);
	msix_on();
	common_set(0x14, 1, 15);
	MUST(status() == 15);
	board.messages = 0;
}
