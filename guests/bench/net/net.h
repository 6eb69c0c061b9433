/* SPDX-License-Identifier: Apache-2.0 */
/* A network interface as the benchmark sees it, whichever way its frames take. Frames come and go in order.
 */
#pragma once

#include "cpu.h"

#define NET_HEADROOM 16u /* bytes in front of a frame that are the driver's */
#define NET_BYTES_MAX 65550u
#define NET_PAGE 4096u
#define NET_BUFFERS 256u /* posted, of a page each */

struct net_driver {
	const char *mode;
	/* The first one that it finds, with buffers posted; false: none that it can drive. Interrupts are
	 * off, and come after get() found nothing: then one is counted (interrupts.h). */
	bool (*open)(u8 address[6]);
	/* Sends a frame, one to one mapped; it may be used again when it has arrived. cut: 0, or payload
	 * bytes of the TCP segments over IPv4 that it may be cut into, where the driver's frames may be so
	 * long. False: there is no room yet. The device need not know before kick(). */
	bool (*put)(const void *frame, u32 bytes, u16 cut);
	void (*kick)(void);
	/* The first bytes of the next frame that has come, good until release(); NULL: none has. */
	const u8 *(*get)(u32 *bytes);
	void (*release)(void);
};

extern const struct net_driver net_virtio, net_packed, net_socle, net_e1000;
