/* SPDX-License-Identifier: Apache-2.0 */
/* The tables behind io.h (private to vcpu/). */
#pragma once

#include "io.h"
#include "lib.h"

#define IO_MAX_PORT_REGIONS 64
#define IO_MAX_MEM_REGIONS 64
#define IO_MISSES 64

struct io_map {
	/* Region number + 1 of each port, 0 for none; a block of 256 ports that nobody uses is shared. */
	const u8 *port_block[256];
	unsigned nr_ports, nr_mems;
	unsigned last_mem; /* found last; a hint that is checked at each use, so it may be stale */
	struct io_region port[IO_MAX_PORT_REGIONS];
	io_string_fn port_string[IO_MAX_PORT_REGIONS]; /* of the region of the same number, or NULL */
	struct io_region mem[IO_MAX_MEM_REGIONS];      /* sorted by base */
	/* Addresses that were missed and logged: direct-mapped, so a guest cannot grow it. */
	u64 miss[IO_MISSES];
};

struct io_map *io_map_create(void);
void io_map_destroy(struct io_map *m);
size_t io_map_size(const struct io_map *m); /* bytes that it takes */
/* Remembers the miss; true when it was not remembered before. */
bool io_map_first_miss(struct io_map *m, bool port, u64 address, unsigned size);

static inline struct io_region *io_port_find(struct io_map *m, u64 port)
{
	if (unlikely(port > 0xffff))
		return NULL;
	u8 i = m->port_block[port >> 8][port & 0xff];
	return i ? &m->port[i - 1] : NULL;
}

/* Whether gpa belongs to the device that was touched last. */
static inline bool io_mem_again(const struct io_map *m, gpa_t gpa)
{
	const struct io_region *r = &m->mem[__atomic_load_n(&m->last_mem, __ATOMIC_RELAXED)];
	return gpa - r->base < r->length;
}

static inline struct io_region *io_mem_find(struct io_map *m, gpa_t gpa)
{
	unsigned low = 0, high = m->nr_mems;
	/* Read once: other vCPUs write it, too. */
	struct io_region *last = &m->mem[__atomic_load_n(&m->last_mem, __ATOMIC_RELAXED)];
	if (likely(gpa - last->base < last->length))
		return last;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		struct io_region *r = &m->mem[mid];
		if (gpa < r->base) {
			high = mid;
		} else if (gpa - r->base >= r->length) {
			low = mid + 1;
		} else {
			__atomic_store_n(&m->last_mem, mid, __ATOMIC_RELAXED);
			return r;
		}
	}
	return NULL;
}

static inline u64 io_miss_tag(bool port, u64 address, unsigned size)
{
	/* Guest-physical addresses have at most 52 bits. */
	return BIT(63) | (port ? BIT(62) : 0) | (u64)size << 56 | address;
}

/* True when exactly this access found nobody before, so that it need not be taken apart again. */
static inline bool io_map_known_miss(struct io_map *m, bool port, u64 address, unsigned size)
{
	u64 tag = io_miss_tag(port, address, size);
	u64 *slot = &m->miss[(address ^ address >> 6 ^ size) % IO_MISSES];
	return __atomic_load_n(slot, __ATOMIC_RELAXED) == tag;
}
