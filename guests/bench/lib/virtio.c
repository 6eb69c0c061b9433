/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of the common configuration are those of virtio 1.2, 4.1.4.3. */
#include "virtio.h"
#include "apic.h"
#include "interrupts.h"
#include "page.h"
#include "pci.h"

static void set8(struct virtio *v, unsigned at, u8 value)
{
	v->common[at] = value;
}

static void set16(struct virtio *v, unsigned at, u16 value)
{
	*(volatile u16 *)(v->common + at) = value;
}

static void set32(struct virtio *v, unsigned at, u32 value)
{
	*(volatile u32 *)(v->common + at) = value;
}

/* ---- finding: 4.1.4 ---- */
static volatile u8 *bar(int devfn, unsigned i)
{
	return (volatile u8 *)(u64)(pci_read(devfn, 0x10 + 4 * i) & ~15u);
}

static void capability(struct virtio *v, int devfn, unsigned at)
{
	u32 type = pci_read(devfn, at) >> 24, index = pci_read(devfn, at + 4) & 0xff,
	    offset = pci_read(devfn, at + 8);

	if (type == 1) {
		v->common = bar(devfn, index) + offset;
	} else if (type == 2 && index == 1) {
		v->doorbell = (u16)((pci_read(devfn, 0x14) & ~3u) + offset);
		v->multiplier = (u16)pci_read(devfn, at + 16);
	} else if (type == 4) {
		v->config = bar(devfn, index) + offset;
	}
}

static void messages_on(int devfn, unsigned at, u8 vector)
{
	u32 table = pci_read(devfn, at + 4);
	volatile u32 *entry = (volatile u32 *)(bar(devfn, table & 7) + (table & ~7u));

	entry[0] = 0xfee00000u | apic_id() << 12;
	entry[1] = 0;
	entry[2] = vector;
	entry[3] = 0;
	pci_write(devfn, at, (pci_read(devfn, at) & 0x3fffffffu) | 0x80000000u);
}

bool virtio_find(struct virtio *v, u16 device, u8 vector)
{
	int devfn = pci_find(0x1af4, device);
	unsigned msix = 0;

	*v = (struct virtio){0};
	if (devfn < 0)
		return false;
	pci_write(devfn, 4, 7); /* ports, memory, master of the bus */
	for (unsigned at = pci_read(devfn, 0x34) & 0xff; at; at = pci_read(devfn, at) >> 8 & 0xff)
		switch (pci_read(devfn, at) & 0xff) {
		case 0x09:
			capability(v, devfn, at);
			break;
		case 0x11:
			msix = at;
			break;
		}
	if (!v->common || !v->config || !v->doorbell || !msix)
		return false;
	interrupts_on(vector);
	messages_on(devfn, msix, vector);
	return true;
}

/* ---- starting: 3.1.1 ---- */
bool virtio_negotiate(struct virtio *v, u64 features)
{
	u64 have = 0;

	set8(v, 0x14, 0);
	while (v->common[0x14])
		;
	set8(v, 0x14, 3);
	for (u32 i = 0; i < 2; i++) {
		set32(v, 0, i);
		have |= (u64) * (volatile u32 *)(v->common + 4) << (32 * i);
		set32(v, 8, i);
		set32(v, 12, (u32)(features >> (32 * i)));
	}
	set8(v, 0x14, 11);
	return (have & features) == features && v->common[0x14] == 11;
}

bool virtio_queue_open(struct virtio *v, u16 index, u16 size, u16 entry, struct virtio_areas *areas)
{
	areas->desc = mem_alloc(1);
	areas->driver = mem_alloc(1);
	areas->device = mem_alloc(1);
	areas->port = (u16)(v->doorbell + index * v->multiplier);
	if (!areas->desc || !areas->driver || !areas->device)
		return false;
	set16(v, 0x16, index);
	set16(v, 0x18, size);
	set32(v, 0x20, (u32)(u64)areas->desc);
	set32(v, 0x28, (u32)(u64)areas->driver);
	set32(v, 0x30, (u32)(u64)areas->device);
	set16(v, 0x1a, entry);
	set16(v, 0x1c, 1);
	return true;
}

bool virtio_run(struct virtio *v)
{
	set8(v, 0x14, 15);
	return v->common[0x14] == 15;
}
