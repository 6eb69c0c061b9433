/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's own network card (owner: host/): an Intel 82540EM, the first that there is, for one user.
 * Frames have no checksum field. */
#pragma once

#include "lib.h"

#define NIC_FRAME_MAX 1514 /* bytes, and a VLAN tag's four */
#define NIC_VLAN 4
#define NIC_SLOTS 64 /* received frames that the user may have at once */

struct nic_user {
	/* A frame came, in the card's memory: the user's until nic_give_back(slot). On the CPU that takes the
	 * interrupt. */
	void (*received)(void *opaque, unsigned slot, u8 *frame, u32 length);
	/* After some received(). */
	void (*pause)(void *opaque);
	void *opaque;
};

/* Finds the card and resets it. ERR_NOENT: there is none; ERR_NOMEM; ERR_NOTSUP: its registers are out of
 * reach; ERR_EXIST: somebody has it. Logged, but for the last. On the boot CPU, as is nic_start(). */
int nic_open(const struct nic_user *user, u8 address[6]);
/* It sends and receives from now on. ERR_NOTSUP: it has no interrupt; logged. */
int nic_start(void);

/* Room for a frame to be sent, NIC_FRAME_MAX + NIC_VLAN bytes, which stays the same until nic_send(); NULL:
 * as many wait as the card takes. One CPU at a time. */
u8 *nic_room(void);
/* There is none now, and will be: the link is up. As nic_room(). */
bool nic_is_full(void);
/* What was written there goes out after nic_flush(), which tells the card of all at once. */
void nic_send(u32 length);
void nic_flush(void);

/* Any CPU, in any order. */
void nic_give_back(unsigned slot);

struct nic_meters {
	u64 sent, received, full, errors, interrupts;
};
struct nic_meters nic_meters(void);
