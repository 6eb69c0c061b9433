/* SPDX-License-Identifier: Apache-2.0 */
/* Debug ports; see debugport.h. */
#include "debugport.h"

#include "guest.h"

/* Guests recognise the port by reading its own number. */
u64 debugport_read(void *opaque, u64 offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return DEBUG_CONSOLE_PORT;
}

void debugport_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct debugport *d = opaque;
	u8 byte = (u8)value;

	(void)offset, (void)size;
	d->output(d->opaque, &byte, 1);
}

u64 debugport_exit_read(void *opaque, u64 offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return 0; /* as isa-debug-exit answers */
}

void debugport_exit_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct debugport *d = opaque;

	(void)size;
	if (offset == 0)
		guest_stop(d->guest, GUEST_DEBUG_EXIT, (u32)value);
}
