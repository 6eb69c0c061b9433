/* SPDX-License-Identifier: Apache-2.0 */
/* A network interface behind Socle rings. */
#pragma once

#include "driver.h"

#define SLOTS 32U
enum { TX, RX };

struct nic {
	u32 number;
	struct socle_device info;
	u64 event; /* of both rings */
	struct socle_ring *ring[2];
	struct socle_driver driver[2];
	u8 *buffers; /* one for each id of the receive ring */
};

/* Finds it by its name and opens both rings. flags: SOCLE_RING_OPEN_FLIP, or 0. False, with the test skipped:
 * there is none. */
bool nic_open(struct nic *n, const char *name, u64 flags);
/* To the end. */
void nic_close(struct nic *n);
