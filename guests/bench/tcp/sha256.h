/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4, 5.1.1, 5.3.3 and 6.2). */
#pragma once

#include "base.h"

struct sha256 {
	u32 state[8];
	u64 bytes;
	u8 block[64];
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, u32 bytes);
/* 64 digits and a 0. */
void sha256_end(struct sha256 *s, char text[65]);
