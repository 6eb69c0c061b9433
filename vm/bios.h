/* SPDX-License-Identifier: Apache-2.0 */
/* The traces that a PC BIOS leaves in memory. */
#pragma once

#include "gmem.h"

/* Real-mode vectors, BIOS data area, extended BIOS data area, and the last 256 bytes below 1 MiB with
 * the code that the vectors point to. The guest needs RAM from 0 to 640 KiB and below 1 MiB. */
int bios_write_memory(struct gmem *mem);
