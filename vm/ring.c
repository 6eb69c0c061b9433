/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of bytes: what the operator types until a guest's serial port takes it. */
#include "ring.h"

#include "host.h"

size_t ring_put(struct ring *r, const u8 *buf, size_t n)
{
	if (!r->bytes)
		r->bytes = heap_alloc(RING_SIZE);
	size_t room = r->bytes ? RING_SIZE - (r->head - r->tail) : 0;
	size_t fits = MIN(n, room);
	for (size_t i = 0; i < fits; i++)
		r->bytes[r->head++ % RING_SIZE] = buf[i];
	return fits;
}

const u8 *ring_peek(const struct ring *r, size_t *n)
{
	u32 at = r->tail % RING_SIZE;
	*n = MIN(r->head - r->tail, RING_SIZE - at);
	return r->bytes + at;
}

void ring_drop(struct ring *r, size_t n)
{
	r->tail += (u32)n;
}

void ring_clear(struct ring *r)
{
	r->tail = r->head;
}

void ring_free(struct ring *r)
{
	heap_free(r->bytes);
	*r = (struct ring){0};
}
