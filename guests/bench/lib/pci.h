/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space of PCI; bus 0 is all there is. */
#pragma once

#include "base.h"

/* Device and function of the first one; -1: none. */
int pci_find(u16 vendor, u16 device);
u32 pci_read(int devfn, unsigned offset); /* 32 bits, of which offset is a multiple of 4 */
void pci_write(int devfn, unsigned offset, u32 value);
