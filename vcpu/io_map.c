/* SPDX-License-Identifier: Apache-2.0 */
/* The tables behind io.h: registration and removal of regions, misses remembered. */
#include "io_map.h"

#include "host.h"
#include "log.h"
#include "vcpu.h"

static const u8 empty_block[256];

struct io_map *io_map_create(void)
{
	struct io_map *m = heap_alloc(sizeof(*m));
	if (!m)
		return NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(m->port_block); i++)
		m->port_block[i] = empty_block;
	return m;
}

void io_map_destroy(struct io_map *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(m->port_block); i++)
		if (m->port_block[i] != empty_block)
			heap_free((void *)m->port_block[i]);
	heap_free(m);
}

size_t io_map_size(const struct io_map *m)
{
	size_t size = heap_size(m);
	if (!m)
		return 0;
	for (unsigned i = 0; i < ARRAY_SIZE(m->port_block); i++)
		size += m->port_block[i] == empty_block ? 0 : heap_size(m->port_block[i]);
	return size;
}

static bool region_valid(const struct io_region *r, u64 limit)
{
	bool width = r->width == 1 || r->width == 2 || r->width == 4 || r->width == 8;
	return width && r->read && r->write && r->length && r->base < limit && r->length <= limit - r->base;
}

static bool overlaps(const struct io_region *a, const struct io_region *b)
{
	return a->base < b->base + b->length && b->base < a->base + a->length;
}

static int refuse(struct guest *g, const struct io_region *r, int error, const char *why)
{
	log_error("%s: I/O region %s at 0x%lx: %s", g->name, r->name ? r->name : "?", r->base, why);
	return error;
}

/* A number that is free in the port table. */
static struct io_region *port_slot(struct io_map *m)
{
	for (unsigned i = 0; i < m->nr_ports; i++)
		if (!m->port[i].length)
			return &m->port[i];
	return m->nr_ports < IO_MAX_PORT_REGIONS ? &m->port[m->nr_ports++] : NULL;
}

static int port_blocks_own(struct io_map *m, const struct io_region *r)
{
	for (u64 b = r->base >> 8; b <= (r->base + r->length - 1) >> 8; b++) {
		if (m->port_block[b] != empty_block)
			continue;
		u8 *block = heap_alloc(sizeof(empty_block));
		if (!block)
			return ERR_NOMEM;
		m->port_block[b] = block;
	}
	return 0;
}

static void port_mark(struct io_map *m, const struct io_region *r, u8 number)
{
	for (u64 p = r->base; p < r->base + r->length; p++)
		((u8 *)m->port_block[p >> 8])[p & 0xff] = number;
}

int io_register_port(struct guest *g, const struct io_region *r)
{
	struct io_map *m = g->io;
	if (!region_valid(r, 0x10000))
		return refuse(g, r, ERR_INVAL, "not a port region");
	for (unsigned i = 0; i < m->nr_ports; i++)
		if (m->port[i].length && overlaps(&m->port[i], r))
			return refuse(g, r, ERR_EXIST, "overlaps another");
	struct io_region *slot = port_slot(m);
	if (!slot || port_blocks_own(m, r))
		return refuse(g, r, ERR_NOMEM, "table full");
	*slot = *r;
	m->port_string[slot - m->port] = NULL;
	port_mark(m, r, (u8)(slot - m->port + 1));
	memset(m->miss, 0, sizeof(m->miss));
	return 0;
}

static struct io_region *port_region(struct io_map *m, u64 base, const void *opaque)
{
	for (unsigned i = 0; i < m->nr_ports; i++) {
		struct io_region *r = &m->port[i];
		if (r->length && r->base == base && r->opaque == opaque)
			return r;
	}
	return NULL;
}

int io_set_port_string(struct guest *g, u64 base, void *opaque, io_string_fn fn)
{
	struct io_region *r = port_region(g->io, base, opaque);
	if (!r)
		return ERR_NOENT;
	g->io->port_string[r - g->io->port] = fn;
	return 0;
}

int io_unregister_port(struct guest *g, u64 base, void *opaque)
{
	struct io_region *r = port_region(g->io, base, opaque);
	if (!r)
		return ERR_NOENT;
	port_mark(g->io, r, 0);
	r->length = 0;
	return 0;
}

int io_register_mem(struct guest *g, const struct io_region *r)
{
	struct io_map *m = g->io;
	unsigned at = 0;
	if (!region_valid(r, BIT(52)))
		return refuse(g, r, ERR_INVAL, "not a memory region");
	for (unsigned i = 0; i < m->nr_mems; i++) {
		if (overlaps(&m->mem[i], r))
			return refuse(g, r, ERR_EXIST, "overlaps another");
		if (m->mem[i].base < r->base)
			at = i + 1;
	}
	if (m->nr_mems == IO_MAX_MEM_REGIONS)
		return refuse(g, r, ERR_NOMEM, "table full");
	memmove(&m->mem[at + 1], &m->mem[at], (m->nr_mems - at) * sizeof(*r));
	m->mem[at] = *r;
	m->nr_mems++;
	memset(m->miss, 0, sizeof(m->miss));
	return 0;
}

int io_unregister_mem(struct guest *g, u64 base, void *opaque)
{
	struct io_map *m = g->io;
	for (unsigned i = 0; i < m->nr_mems; i++) {
		if (m->mem[i].base != base || m->mem[i].opaque != opaque)
			continue;
		m->nr_mems--;
		memmove(&m->mem[i], &m->mem[i + 1], (m->nr_mems - i) * sizeof(m->mem[i]));
		memset(&m->mem[m->nr_mems], 0, sizeof(m->mem[0])); /* last_mem may still name it */
		return 0;
	}
	return ERR_NOENT;
}

bool io_map_first_miss(struct io_map *m, bool port, u64 address, unsigned size)
{
	u64 tag = io_miss_tag(port, address, size);
	u64 *slot = &m->miss[(address ^ address >> 6 ^ size) % IO_MISSES];
	bool first = *slot != tag;
	*slot = tag;
	return first;
}

void io_for_each(const struct guest *g, void (*fn)(void *opaque, bool port, const struct io_region *r),
		 void *opaque)
{
	for (unsigned i = 0; i < g->io->nr_ports; i++)
		if (g->io->port[i].length)
			fn(opaque, true, &g->io->port[i]);
	for (unsigned i = 0; i < g->io->nr_mems; i++)
		fn(opaque, false, &g->io->mem[i]);
}
