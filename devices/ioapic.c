/* SPDX-License-Identifier: Apache-2.0 */
/* The IOAPIC (I/O advanced programmable interrupt controller); see ioapic.h. Its lock is held while
 * messages are sent: local APICs never call back. */
#include "ioapic.h"

#include "lapic.h"

#define OFFSET_SELECT 0x00
#define OFFSET_WINDOW 0x10
#define OFFSET_EOI 0x40

#define REG_ID 0
#define REG_VERSION 1
#define REG_ARBITRATION 2
#define REG_TABLE 0x10
#define VERSION_VALUE ((IOAPIC_PINS - 1) << 16 | 0x20)

#define ENTRY_LOGICAL BIT(11)
#define ENTRY_REMOTE_IRR_SHIFT 14
#define ENTRY_LEVEL BIT(15)
#define ENTRY_MASKED BIT(16)
#define ENTRY_DELIVERY_SHIFT 8
#define ENTRY_DEST_SHIFT 56
#define ENTRY_LOW_WRITABLE 0x1afffu
#define ENTRY_HIGH_WRITABLE 0xff000000u

void ioapic_init(struct ioapic *io, struct guest *g)
{
	*io = (struct ioapic){.guest = g};
	ioapic_reset(io);
}

void ioapic_reset(struct ioapic *io)
{
	io->id = IOAPIC_ID;
	io->select = 0;
	io->remote_irr = 0;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
		io->entry[pin] = ENTRY_MASKED;
}

/* ---- pins ---- */
/* Whether somebody accepted it. */
static bool pin_send(struct ioapic *io, unsigned pin)
{
	u64 entry = io->entry[pin];
	const struct apic_msg msg = {
	    .dest = (u32)(entry >> ENTRY_DEST_SHIFT),
	    .vector = (u8)entry,
	    .delivery = entry >> ENTRY_DELIVERY_SHIFT & 7,
	    .logical = entry & ENTRY_LOGICAL,
	    .level = entry & ENTRY_LEVEL,
	};

	if (msg.delivery == APIC_SIPI) /* reserved in the table */
		return false;
	return apic_deliver(io->guest, &msg) > 0;
}

/* A level-triggered pin asks until a local APIC has accepted, and again after the EOI. Only vectors
 * have an EOI: the other modes are for edges (data sheet, 3.2.4). */
static void pin_service_level(struct ioapic *io, unsigned pin)
{
	u32 bit = 1u << pin;

	if (!(io->lines & bit) || (io->remote_irr & bit) || (io->entry[pin] & ENTRY_MASKED))
		return;
	if (pin_send(io, pin) && (io->entry[pin] >> ENTRY_DELIVERY_SHIFT & 7) <= APIC_LOWEST)
		io->remote_irr |= bit;
}

/* Edges on a masked pin are lost, levels are not. */
void ioapic_set_line(struct ioapic *io, unsigned pin, bool level)
{
	u32 bit = 1u << pin;

	if (pin >= IOAPIC_PINS)
		return;
	spin_lock(&io->lock);
	if (level && !(io->lines & bit)) {
		io->lines |= bit;
		if (io->entry[pin] & ENTRY_LEVEL)
			pin_service_level(io, pin);
		else if (!(io->entry[pin] & ENTRY_MASKED))
			pin_send(io, pin);
	} else if (!level) {
		io->lines &= ~bit;
	}
	spin_unlock(&io->lock);
}

bool ioapic_pulse(struct ioapic *io, unsigned pin)
{
	bool masked;

	spin_lock(&io->lock);
	io->lines |= 1u << pin;
	masked = io->entry[pin] & ENTRY_MASKED;
	if (masked)
		__atomic_store_n(&io->watched, true, __ATOMIC_RELAXED);
	else if (io->entry[pin] & ENTRY_LEVEL)
		pin_service_level(io, pin);
	else
		pin_send(io, pin);
	spin_unlock(&io->lock);
	return !masked;
}

static void tell_changed(struct ioapic *io)
{
	if (likely(!__atomic_load_n(&io->watched, __ATOMIC_RELAXED)))
		return;
	__atomic_store_n(&io->watched, false, __ATOMIC_RELAXED);
	if (io->changed)
		io->changed(io->changed_opaque);
}

void ioapic_eoi(void *opaque, u8 vector)
{
	struct ioapic *io = opaque;

	spin_lock(&io->lock);
	for (u32 pins = io->remote_irr; pins; pins &= pins - 1) {
		unsigned pin = bit_first(pins);
		if ((u8)io->entry[pin] != vector)
			continue;
		io->remote_irr &= ~(1u << pin);
		pin_service_level(io, pin);
	}
	spin_unlock(&io->lock);
}

/* ---- registers ---- */
/* Read once: another vCPU may write it at any time. */
static unsigned selected(const struct ioapic *io)
{
	return __atomic_load_n(&io->select, __ATOMIC_RELAXED);
}

static u32 register_read(const struct ioapic *io)
{
	unsigned index = selected(io), pin = (index - REG_TABLE) / 2;

	if (likely(index >= REG_TABLE && pin < IOAPIC_PINS)) {
		u64 entry = io->entry[pin];
		if (index & 1)
			return (u32)(entry >> 32);
		return (u32)entry | (io->remote_irr >> pin & 1) << ENTRY_REMOTE_IRR_SHIFT;
	}
	switch (index) {
	case REG_ID:
	case REG_ARBITRATION: /* loaded from the id; there is no bus to arbitrate for */
		return (u32)io->id << 24;
	case REG_VERSION:
		return VERSION_VALUE;
	default:
		return 0;
	}
}

static void entry_write(struct ioapic *io, unsigned pin, bool high, u32 value)
{
	u64 entry = io->entry[pin];

	if (high)
		entry = (u32)entry | (u64)(value & ENTRY_HIGH_WRITABLE) << 32;
	else
		entry = (entry >> 32 << 32) | (value & ENTRY_LOW_WRITABLE);
	io->entry[pin] = entry;
	if (entry & ENTRY_LEVEL)
		pin_service_level(io, pin);
	else /* how software forgets a lost EOI */
		io->remote_irr &= ~(1u << pin);
}

static void register_write(struct ioapic *io, u32 value)
{
	unsigned index = selected(io), pin = (index - REG_TABLE) / 2;

	if (index == REG_ID)
		io->id = value >> 24 & 0xf;
	else if (index >= REG_TABLE && pin < IOAPIC_PINS)
		entry_write(io, pin, index & 1, value);
}

u64 ioapic_read(void *opaque, u64 offset, unsigned size)
{
	const struct ioapic *io = opaque;

	(void)size;
	if (likely(offset == OFFSET_WINDOW))
		return register_read(io);
	return offset == OFFSET_SELECT ? selected(io) : 0;
}

/* The window takes 32 bits only; the other two registers have 8. */
void ioapic_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct ioapic *io = opaque;

	if (offset == OFFSET_SELECT) {
		__atomic_store_n(&io->select, (u8)value, __ATOMIC_RELAXED);
	} else if (offset == OFFSET_WINDOW && size == 4) {
		spin_lock(&io->lock);
		register_write(io, (u32)value);
		spin_unlock(&io->lock);
		tell_changed(io);
	} else if (offset == OFFSET_EOI) {
		ioapic_eoi(io, (u8)value);
	}
}

bool ioapic_nmi_source(void *opaque)
{
	const struct ioapic *io = opaque;

	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 entry = io->entry[pin];
		unsigned delivery = entry >> ENTRY_DELIVERY_SHIFT & 7;

		if (!(entry & ENTRY_MASKED) && (delivery == APIC_NMI || delivery == APIC_INIT))
			return true;
	}
	return false;
}
