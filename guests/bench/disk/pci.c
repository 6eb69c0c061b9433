/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space by ports 0xcf8 and 0xcfc (PCI 3.0, 3.2.2.3.2); bus 0 is all there is. */
#include "disk.h"

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define ENABLE 0x80000000u

u32 disk_pci_read(int devfn, unsigned offset)
{
	outl(ADDRESS, ENABLE | (u32)devfn << 8 | (offset & 0xfcu));
	return inl(DATA);
}

void disk_pci_write(int devfn, unsigned offset, u32 value)
{
	outl(ADDRESS, ENABLE | (u32)devfn << 8 | (offset & 0xfcu));
	outl(DATA, value);
}

int disk_pci_find(u16 vendor, u16 device)
{
	for (int devfn = 0; devfn < 256; devfn++)
		if (disk_pci_read(devfn, 0) == ((u32)device << 16 | vendor))
			return devfn;
	return -1;
}
