/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of bytes of fixed size, which takes memory when something is put into it for the first time: most
 * guests are never typed to. No lock of its own. */
#pragma once

#include "lib.h"

#define RING_SIZE 16384u /* a power of two */

struct ring {
	u32 head, tail; /* bytes ever put and taken; they wrap */
	u8 *bytes;      /* RING_SIZE of them, NULL until they are needed */
};

/* Returns how many fitted; none without memory. */
size_t ring_put(struct ring *r, const u8 *buf, size_t n);
/* The oldest bytes that lie in one piece; *n is 0 when the ring is empty. */
const u8 *ring_peek(const struct ring *r, size_t *n);
void ring_drop(struct ring *r, size_t n); /* n <= what ring_peek() said */
void ring_clear(struct ring *r);
void ring_free(struct ring *r); /* and clears it */
