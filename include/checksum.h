/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum (owner: lib/), RFC 1071. */
#pragma once

#include "piece.h"

/* The ones' complement sum of length bytes, from byte `at` of the pieces on, which have that many: as if they
 * were 16-bit words in the order of memory, not inverted. A guest may change them meanwhile; then it is the
 * sum of something else. */
u16 checksum(const struct piece *pieces, u32 at, u32 length);
/* Two sums as one. */
static inline u16 checksum_add(u16 a, u16 b)
{
	u32 sum = (u32)a + b;

	return (u16)(sum + (sum >> 16));
}
/* What takes part `was` out of a sum that it is in. */
static inline u16 checksum_without(u16 sum, u16 was)
{
	return checksum_add(sum, (u16)~was);
}
