/* SPDX-License-Identifier: Apache-2.0 */
/* By ports 0xcf8 and 0xcfc (PCI 3.0, 3.2.2.3.2). */
#include "pci.h"
#include "cpu.h"

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define ENABLE 0x80000000u

u32 pci_read(int devfn, unsigned offset)
{
	outl(ADDRESS, ENABLE | (u32)devfn << 8 | (offset & 0xfcu));
	return inl(DATA);
}

void pci_write(int devfn, unsigned offset, u32 value)
{
	outl(ADDRESS, ENABLE | (u32)devfn << 8 | (offset & 0xfcu));
	outl(DATA, value);
}

int pci_find(u16 vendor, u16 device)
{
	for (int devfn = 0; devfn < 256; devfn++)
		if (pci_read(devfn, 0) == ((u32)device << 16 | vendor))
			return devfn;
	return -1;
}
