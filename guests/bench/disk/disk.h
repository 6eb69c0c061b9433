/* SPDX-License-Identifier: Apache-2.0 */
/* A disk as the benchmark sees it, whichever way its requests take. */
#pragma once

#include "cpu.h"

#define DISK_DEPTH_MAX 64
#define DISK_BYTES_MAX ((u32)1 << 20)
#define DISK_SECTOR 512u

struct disk_driver {
	const char *mode;
	/* The first disk that it finds; false: none that it can drive. Completions come by an interrupt,
	 * which is counted (interrupts.h); interrupts are off. */
	bool (*open)(void);
	u64 (*sectors)(void);
	/* tag: 0 to DISK_DEPTH_MAX - 1, none that is out. bytes: whole sectors, at most DISK_BYTES_MAX, one
	 * to one mapped and in one piece. The device need not know of it before kick(). */
	void (*add)(unsigned tag, bool write, u64 sector, void *data, u32 bytes);
	void (*kick)(void);
	/* One that has come back; false: none has, and an interrupt will tell of the next. */
	bool (*take)(unsigned *tag, bool *ok);
	/* Where take() does not ask for the next interrupt itself: before sleeping. True: there is something
	 * already. NULL: take() does. */
	bool (*arm)(void);
	bool polls; /* no interrupt comes: take() is to be asked again and again */
};

extern u64 disk_exit_ticks; /* spent in disk_doorbell() */

/* Tells the device, and measures how long that takes: the TSC without the guest's own instructions, which are
 * those between the two readings and those of interrupts that came there. */
void disk_doorbell(u16 port, u16 value);

extern const struct disk_driver disk_virtio, disk_packed, disk_socle, disk_polled, disk_pio;
