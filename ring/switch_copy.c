/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in pieces: copied, skipped, summed. */
#include "switch.h"

#include "checksum.h"

static void step(struct net_cursor *c, u32 n)
{
	c->done += n;
	if (c->done == c->piece->length)
		*c = (struct net_cursor){c->piece + 1, c->left - 1, 0};
}

u32 net_copy(struct net_cursor *to, struct net_cursor *from, u32 length)
{
	u32 copied = 0;

	while (copied < length && to->left && from->left) {
		u32 n =
		    MIN(length - copied, MIN(to->piece->length - to->done, from->piece->length - from->done));

		memcpy(to->piece->base + to->done, from->piece->base + from->done, n);
		copied += n;
		step(to, n);
		step(from, n);
	}
	return copied;
}

void net_skip(struct net_cursor *c, u32 length)
{
	while (length && c->left) {
		u32 n = MIN(length, c->piece->length - c->done);

		length -= n;
		step(c, n);
	}
}

static u64 fold(u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

u16 net_sum(struct net_cursor from, u32 length)
{
	u64 sum = 0;

	for (u32 at = 0; at < length && from.left;) {
		u32 n = MIN(length - at, from.piece->length - from.done);
		u64 part = checksum(from.piece, from.done, n);

		/* Behind an odd number of bytes its own are the other halves of the words. */
		sum += at & 1 ? (part >> 8 | part << 8) & 0xffff : part;
		at += n;
		step(&from, n);
	}
	return (u16)fold(sum);
}
