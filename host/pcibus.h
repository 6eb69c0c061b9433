/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space of our own PCI buses (PCI Local Bus 3.0, 3.2.2.3.2: mechanism #1). The boot CPU. */
#pragma once

#include "lib.h"

struct pcibus_function {
	u8 bus, device, function;
};

#define PCIBUS_ID 0x00
#define PCIBUS_COMMAND 0x04
#define PCIBUS_CLASS 0x08  /* revision in the low byte, then interface, subclass, class */
#define PCIBUS_HEADER 0x0c /* type in bits 16 to 23 */
#define PCIBUS_BAR(n) (0x10u + 4 * (n))
#define PCIBUS_INTERRUPT 0x3c

#define PCIBUS_COMMAND_IO 0x01u
#define PCIBUS_COMMAND_MEMORY 0x02u
#define PCIBUS_COMMAND_MASTER 0x04u

/* Of a register's 32 bits; offset is a multiple of 4. All-ones where nothing is. */
u32 pcibus_read(struct pcibus_function f, u8 offset);
void pcibus_write(struct pcibus_function f, u8 offset, u32 value);

/* The nth function, from 0, in the order of buses, of which the register at offset reads value under mask. */
bool pcibus_find(u8 offset, u32 mask, u32 value, unsigned nth, struct pcibus_function *f);
