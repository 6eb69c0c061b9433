/* SPDX-License-Identifier: Apache-2.0 */
/* Random instructions for tests of the decoder and of the emulator. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "types.h"

static u64 gen_state;

/* xorshift64* */
static inline u64 gen_random(void)
{
	gen_state ^= gen_state >> 12;
	gen_state ^= gen_state << 25;
	gen_state ^= gen_state >> 27;
	return gen_state * 0x2545f4914f6cdd1du;
}

static inline unsigned gen_below(unsigned n)
{
	return (unsigned)(gen_random() >> 33) % n;
}

/* A value with a liking for the edges. */
static inline u64 gen_value(void)
{
	static const u64 edges[] = {0,          1,          2,       0x7f,         0x80,
				    0xff,       0x7fff,     0x8000,  0xffff,       0x7fffffff,
				    0x80000000, 0xffffffff, ~(u64)0, (u64)1 << 63, ~((u64)1 << 63)};

	return gen_below(3) ? gen_random() : edges[gen_below(sizeof(edges) / sizeof(edges[0]))];
}

/* The low bits of size bytes. */
static inline u64 gen_mask(unsigned size)
{
	return size == 8 ? ~(u64)0 : ((u64)1 << 8 * size) - 1;
}

/* A new seed each and run, unless SEED says which. */
static inline u64 gen_seed(void)
{
	const char *s = getenv("SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	gen_state = s ? strtoull(s, NULL, 0) : (u64)now.tv_sec * 1000003 + (u64)now.tv_nsec;
	gen_state |= 1;
	return gen_state;
}

/* One-byte and 0F opcodes that have accepted forms. */
static const u8 gen_map_1[] = {
    0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x1a, 0x1b,
    0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33, 0x38, 0x39, 0x3a, 0x3b,
    0x63, 0x69, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
    0x89, 0x8a, 0x8b, 0x8f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad,
    0xae, 0xaf, 0xc0, 0xc1, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xf6, 0xf7, 0xfe, 0xff,
};
static const u8 gen_map_0f[] = {
    0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f, 0x90,
    0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa3, 0xab,
    0xae, 0xaf, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbb, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3, 0xc7, 0x38,
};
static const u8 gen_prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e,
				  0x36, 0x3e, 0x64, 0x65, 0x48, 0x41};

/* 15 bytes, most of which start with something that is accepted; the rest is noise. */
static inline void gen_bytes(u8 bytes[16])
{
	unsigned n = 0, prefixes = gen_below(4) ? gen_below(3) : gen_below(12);

	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (u8)(gen_random() >> 40);
	if (!gen_below(8))
		return;
	for (unsigned i = 0; i < prefixes; i++)
		bytes[n++] = gen_prefixes[gen_below(sizeof(gen_prefixes))];
	if (!gen_below(3))
		bytes[n++] = (u8)(0x40 | gen_below(16));
	switch (gen_below(5)) {
	case 0:
		bytes[n++] = 0x0f;
		bytes[n++] = gen_map_0f[gen_below(sizeof(gen_map_0f))];
		if (bytes[n - 1] == 0x38)
			bytes[n++] = (u8)(0xf0 | gen_below(2));
		break;
	case 1:
		bytes[n++] = (u8)gen_random(); /* any opcode, most of them refused */
		break;
	case 2:
		bytes[n++] = 0x0f;
		bytes[n++] = (u8)gen_random();
		break;
	default:
		bytes[n++] = gen_map_1[gen_below(sizeof(gen_map_1))];
	}
}
