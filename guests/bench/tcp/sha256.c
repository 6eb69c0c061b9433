/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

/* 4.2.2. */
static const u32 k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static u32 turn(u32 x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static inline void round_add(u32 a, u32 b, u32 c, u32 *d, u32 e, u32 f, u32 g, u32 *h, u32 kw)
{
	u32 one = *h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (g ^ (e & (f ^ g))) + kw;

	*d += one;
	*h = one + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) | (c & (a | b)));
}

static void block_add(struct sha256 *s, const u8 *data)
{
	u32 w[64], v[8];

	for (unsigned t = 0; t < 16; t++)
		w[t] = __builtin_bswap32(((const u32 *)data)[t]);
	for (unsigned t = 16; t < 64; t++) {
		u32 a = w[t - 15], b = w[t - 2];
		w[t] = w[t - 16] + w[t - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) +
		       (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
	}
	memcpy(v, s->state, sizeof(v));
	/* The names turn instead of the values: eight rounds are one turn. */
	for (unsigned t = 0; t < 64; t += 8) {
		round_add(v[0], v[1], v[2], &v[3], v[4], v[5], v[6], &v[7], k[t] + w[t]);
		round_add(v[7], v[0], v[1], &v[2], v[3], v[4], v[5], &v[6], k[t + 1] + w[t + 1]);
		round_add(v[6], v[7], v[0], &v[1], v[2], v[3], v[4], &v[5], k[t + 2] + w[t + 2]);
		round_add(v[5], v[6], v[7], &v[0], v[1], v[2], v[3], &v[4], k[t + 3] + w[t + 3]);
		round_add(v[4], v[5], v[6], &v[7], v[0], v[1], v[2], &v[3], k[t + 4] + w[t + 4]);
		round_add(v[3], v[4], v[5], &v[6], v[7], v[0], v[1], &v[2], k[t + 5] + w[t + 5]);
		round_add(v[2], v[3], v[4], &v[5], v[6], v[7], v[0], &v[1], k[t + 6] + w[t + 6]);
		round_add(v[1], v[2], v[3], &v[4], v[5], v[6], v[7], &v[0], k[t + 7] + w[t + 7]);
	}
	for (unsigned i = 0; i < 8; i++)
		s->state[i] += v[i];
}

void sha256_begin(struct sha256 *s)
{
	static const u32 first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
				     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(s->state, first, sizeof(first));
	s->bytes = 0;
}

void sha256_add(struct sha256 *s, const void *data, u32 bytes)
{
	const u8 *from = data;

	while (bytes) {
		u32 at = s->bytes % 64, n = 64 - at < bytes ? 64 - at : bytes;
		if (n == 64) {
			block_add(s, from);
		} else {
			memcpy(s->block + at, from, n);
			if (at + n == 64)
				block_add(s, s->block);
		}
		s->bytes += n;
		from += n;
		bytes -= n;
	}
}

void sha256_end(struct sha256 *s, char text[65])
{
	static const u8 mark[64] = {0x80};
	u64 bits = __builtin_bswap64(s->bytes * 8);

	sha256_add(s, mark, 1 + (119 - (u32)(s->bytes % 64)) % 64);
	sha256_add(s, &bits, sizeof(bits));
	for (unsigned i = 0; i < 64; i++)
		text[i] = "0123456789abcdef"[s->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
	text[64] = 0;
}
