/* SPDX-License-Identifier: Apache-2.0 */
/* Debug ports that hypervisors offer: 0xe9 (Bochs' "port E9 hack": a byte for the operator) and 0xf4
 * (QEMU's isa-debug-exit: the guest is done, with a code). */
#pragma once

#include "types.h"

struct guest;

#define DEBUG_CONSOLE_PORT 0xe9
#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_PORTS 4

struct debugport {
	struct guest *guest;
	void (*output)(void *opaque, const u8 *buf, size_t n);
	void *opaque;
};

u64 debugport_read(void *opaque, u64 offset, unsigned size);
void debugport_write(void *opaque, u64 offset, unsigned size, u64 value);
u64 debugport_exit_read(void *opaque, u64 offset, unsigned size);
void debugport_exit_write(void *opaque, u64 offset, unsigned size, u64 value);
