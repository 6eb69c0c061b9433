/* SPDX-License-Identifier: Apache-2.0 */
/* What drivers of Socle rings have in common, from include/socle/ alone. */
#pragma once

#include <socle/ring.h>

#include "base.h"

/* The first device of that kind that takes so many bytes at once. False: there is none, or no Socle. */
bool rings_find(u32 kind, u32 length, u32 *number, struct socle_device *info);
/* Upcalls by that vector, which is counted (interrupts.h), and the event for one device's rings; 0: none. */
u64 rings_event(u8 vector);
/* Takes what an upcall stands for: before the next is asked for. */
void rings_events_take(void);
/* A ring of its own memory. event 0: none. */
bool rings_open(u32 number, u32 which, u32 size, u64 event, struct socle_driver *d);
