/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum; see checksum.h. Sums of 64-bit words with end-around carry fold to the sum of their
 * 16-bit words: RFC 1071, 2 (C). */
#include "checksum.h"

#include "lib.h"

static inline u64 load(const u8 *p)
{
	u64 word;

	__builtin_memcpy(&word, p, sizeof(word)); /* a load; memcpy() is a call */
	return word;
}

static inline u64 add(u64 sum, u64 word)
{
	sum += word;
	return sum + (sum < word);
}

static u64 fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static u64 sum_bytes(const u8 *p, u32 n)
{
	u64 sum = 0, rest = 0;

	for (; n >= 32; p += 32, n -= 32) {
		sum = add(sum, load(p));
		sum = add(sum, load(p + 8));
		sum = add(sum, load(p + 16));
		sum = add(sum, load(p + 24));
	}
	for (; n >= 8; p += 8, n -= 8)
		sum = add(sum, load(p));
	for (u32 i = 0; i < n; i++)
		rest |= (u64)p[i] << (8 * i);
	return fold(add(sum, rest));
}

u16 checksum(const struct piece *pieces, u32 at, u32 length)
{
	u64 sum = 0;

	for (u32 done = 0; done < length; pieces++) {
		if (at >= pieces->length) {
			at -= pieces->length;
			continue;
		}
		u32 n = MIN(length - done, pieces->length - at);
		u64 part = sum_bytes(pieces->base + at, n);

		/* Behind an odd number of bytes its own are the other halves of the words. */
		sum += done & 1 ? (part >> 8 | part << 8) & 0xffff : part;
		done += n;
		at = 0;
	}
	return (u16)fold(sum);
}
