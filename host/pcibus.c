/* SPDX-License-Identifier: Apache-2.0 */
#include "pcibus.h"

#include "x86_ops.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define ADDRESS_ENABLE 0x80000000u

#define NOTHING 0xffffffffu
#define HEADER_BRIDGE 0x01u
#define HEADER_MULTI 0x80u
#define BUS_NUMBERS 0x18 /* of a bridge: primary, secondary, subordinate */
#define BUSES 256u
#define DEVICES 32u
#define FUNCTIONS 8u

static void select(struct pcibus_function f, u8 offset)
{
	outl(PORT_ADDRESS, ADDRESS_ENABLE | (u32)f.bus << 16 | (u32)f.device << 11 | (u32)f.function << 8 |
			       (offset & 0xfcu));
}

u32 pcibus_read(struct pcibus_function f, u8 offset)
{
	select(f, offset);
	return inl(PORT_DATA);
}

void pcibus_write(struct pcibus_function f, u8 offset, u32 value)
{
	select(f, offset);
	outl(PORT_DATA, value);
}

/* Buses that bridges lead to; a bus is looked at once, so a bridge that leads back does no harm. */
struct scan {
	u64 buses[BUSES / 64];
	u8 offset;
	u32 mask, value;
	unsigned skip;
	struct pcibus_function *found;
};

static u8 header_type(struct pcibus_function f)
{
	return (u8)(pcibus_read(f, PCIBUS_HEADER) >> 16);
}

/* True: this is the one. */
static bool visit(struct scan *s, struct pcibus_function f)
{
	if ((header_type(f) & ~HEADER_MULTI) == HEADER_BRIDGE) {
		u8 secondary = (u8)(pcibus_read(f, BUS_NUMBERS) >> 8);
		s->buses[secondary / 64] |= BIT(secondary % 64);
	}
	if ((pcibus_read(f, s->offset) & s->mask) != s->value || s->skip--)
		return false;
	*s->found = f;
	return true;
}

static bool scan_bus(struct scan *s, u8 bus)
{
	for (u8 device = 0; device < DEVICES; device++) {
		struct pcibus_function f = {bus, device, 0};
		bool many;

		if (pcibus_read(f, PCIBUS_ID) == NOTHING)
			continue;
		many = header_type(f) & HEADER_MULTI;
		for (; f.function < (many ? FUNCTIONS : 1); f.function++)
			if (pcibus_read(f, PCIBUS_ID) != NOTHING && visit(s, f))
				return true;
	}
	return false;
}

/* Firmware numbers buses downwards, so a bridge's secondary bus comes after its own. */
bool pcibus_find(u8 offset, u32 mask, u32 value, unsigned nth, struct pcibus_function *f)
{
	struct scan s = {
	    .buses = {1}, .offset = offset, .mask = mask, .value = value, .skip = nth, .found = f};

	for (unsigned bus = 0; bus < BUSES; bus++)
		if (s.buses[bus / 64] & BIT(bus % 64) && scan_bus(&s, (u8)bus))
			return true;
	return false;
}
