/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the I/O APICs (Intel 82093AA data sheet) and the 8259 pair, which stays masked. */
#include "acpi.h"
#include "apic.h"
#include "host.h"
#include "log.h"
#include "x86_ops.h"

#define REG_SELECT 0 /* in 32-bit words */
#define REG_WINDOW 4
#define INDEX_VERSION 0x01u
#define INDEX_ENTRY 0x10u

#define ENTRY_ACTIVE_LOW 0x2000u
#define ENTRY_LEVEL 0x8000u
#define ENTRY_MASKED 0x10000u

#define PIC1 0x20
#define PIC2 0xa0
#define PIC_VECTORS 0x20 /* below all others: even a spurious one hits no exception */

struct ioapic {
	volatile u32 *regs;
	u32 gsi_base, count;
};

static struct ioapic ioapics[ACPI_MAX_IOAPICS];
static u32 nr_ioapics;

static u32 reg_read(const struct ioapic *io, u32 index)
{
	io->regs[REG_SELECT] = index;
	return io->regs[REG_WINDOW];
}

static void reg_write(const struct ioapic *io, u32 index, u32 v)
{
	io->regs[REG_SELECT] = index;
	io->regs[REG_WINDOW] = v;
}

static void entry_write(const struct ioapic *io, u32 pin, u32 low, u32 high)
{
	reg_write(io, INDEX_ENTRY + 2 * pin, ENTRY_MASKED); /* never a half-written route */
	reg_write(io, INDEX_ENTRY + 2 * pin + 1, high);
	reg_write(io, INDEX_ENTRY + 2 * pin, low);
}

static void pic_mask(void)
{
	outb(PIC1, 0x11); /* ICW1: edge, cascade, ICW4 follows */
	outb(PIC2, 0x11);
	outb(PIC1 + 1, PIC_VECTORS);
	outb(PIC2 + 1, PIC_VECTORS + 8);
	outb(PIC1 + 1, 0x04); /* the second at input 2 */
	outb(PIC2 + 1, 0x02);
	outb(PIC1 + 1, 0x01); /* ICW4: 8086 mode */
	outb(PIC2 + 1, 0x01);
	outb(PIC1 + 1, 0xff);
	outb(PIC2 + 1, 0xff);
}

static void ioapic_add(const struct acpi_ioapic *a)
{
	struct ioapic *io = &ioapics[nr_ioapics];
	u32 version;

	io->regs = mmio_map(a->address, PAGE_SIZE);
	if (!io->regs)
		return;
	version = reg_read(io, INDEX_VERSION);
	if (version == UINT32_MAX) { /* nothing there */
		log_warn("no I/O APIC at %#x", a->address);
		return;
	}
	io->gsi_base = a->gsi_base;
	io->count = MIN((version >> 16 & 0xff) + 1, 240u);
	for (u32 pin = 0; pin < io->count; pin++)
		entry_write(io, pin, ENTRY_MASKED, 0);
	nr_ioapics++;
}

void ioapic_find(void)
{
	const struct acpi_info *info = acpi_info();

	pic_mask();
	for (u32 i = 0; i < info->nr_ioapics; i++)
		ioapic_add(&info->ioapics[i]);
}

static int route(const struct acpi_isa *isa, bool level, u8 vector)
{
	u32 target = cpu_get(0)->apic_id;

	if (target > 0xff)
		return ERR_NOTSUP; /* needs interrupt remapping */
	for (u32 i = 0; i < nr_ioapics; i++) {
		const struct ioapic *io = &ioapics[i];

		if (isa->gsi - io->gsi_base >= io->count)
			continue;
		entry_write(io, isa->gsi - io->gsi_base,
			    vector | (isa->active_low ? ENTRY_ACTIVE_LOW : 0) | (level ? ENTRY_LEVEL : 0),
			    target << 24);
		return 0;
	}
	return ERR_NOENT;
}

int irq_route_isa(unsigned isa_irq, u8 vector)
{
	const struct acpi_isa *isa;

	ASSERT(isa_irq < ACPI_NR_ISA);
	isa = &acpi_info()->isa[isa_irq];
	return route(isa, isa->level, vector);
}

int irq_route_pci(unsigned line, u8 vector)
{
	if (!line || line >= ACPI_NR_ISA)
		return ERR_NOENT;
	return route(&acpi_info()->isa[line], true, vector);
}
