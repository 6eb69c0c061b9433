/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for disks behind Socle rings, from include/socle/ alone. */
#pragma once

#include <socle/event.h>
#include <socle/ring.h>

#include "hyper.h"

#define SECTOR 512U
#define UPCALL_VECTOR 0x50

struct disk {
	u32 number; /* of the device */
	u32 size;   /* slots */
	u64 event;
	struct socle_device info;
	struct socle_ring *ring; /* one to one mapped, like all RAM here */
	struct socle_driver driver;
	volatile u32 upcalls;
	u64 doorbells;
};

/* Upcalls for events, once; and how many each has had. */
bool events_begin(void);
extern volatile u32 event_upcalls[SOCLE_EVENTS];
/* Finds a device by its name; false: there is none. */
bool device_find(const char *name, u32 *number, struct socle_device *info);

/* Finds a disk by its name. False, with the test skipped: there is none. */
bool disk_find(struct disk *d, const char *name);
/* Its ring, zeroed, of so many slots, at an offset into its pages (a multiple of 128), with an event. */
i64 disk_open(struct disk *d, u32 size, u64 offset);
/* To the end. */
void disk_close(struct disk *d);
/* Puts a request into the ring; its id, or -1. */
int disk_put(struct disk *d, u8 op, u8 flags, u64 sector, u32 length, const void *data);
/* Shows Socle all of them, with a doorbell where it wants one. */
void disk_push(struct disk *d);
/* Sleeps until n responses are there. */
void disk_wait(struct disk *d, u32 n);
/* One request and its response: the status. */
int disk_do(struct disk *d, u8 op, u8 flags, u64 sector, u32 length, const void *data);

/* hostile.c */
void bad_rings_test(void);
void bad_indices_test(void);
void bad_requests_test(void);
void own_ring_test(void);
void teardown_test(void);
void bad_calls_test(void);
/* net.c */
void net_test(void);
void net_hostile_test(void);
/* flip.c */
void flip_test(void);
void flip_cost_test(void);
/* pair.c */
void pair_test(void);
/* cost.c */
void cost_test(void);
