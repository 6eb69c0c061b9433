/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O regions of a board's guest, as vcpu/io.c has them. Defines functions, so one file of a program
 * includes it. */
#pragma once

#include <string.h>

#include "io.h"
#include "lib.h"
#include "must.h"

#define BOARD_REGIONS 64
static struct {
	struct io_region port[BOARD_REGIONS], mem[BOARD_REGIONS];
	unsigned nr_ports, nr_mems;
	int fail; /* >= 0: the registration after that many fails */
} board_io;

#define BOARD_GUEST ((struct guest *)&board_io)

static inline void board_io_init(void)
{
	memset(&board_io, 0, sizeof(board_io));
	board_io.fail = -1;
}

static inline int board_add(struct io_region *table, unsigned *n, const struct io_region *r)
{
	if (board_io.fail == 0)
		return ERR_NOMEM;
	board_io.fail -= board_io.fail > 0;
	MUST(*n < BOARD_REGIONS && r->length && r->name && r->read && r->write && r->opaque);
	MUST(r->width == 1 || r->width == 2 || r->width == 4 || r->width == 8);
	for (unsigned i = 0; i < *n; i++)
		if (r->base < table[i].base + table[i].length && table[i].base < r->base + r->length)
			return ERR_EXIST;
	table[(*n)++] = *r;
	return 0;
}

static inline int board_remove(struct io_region *table, unsigned *n, u64 base, void *opaque)
{
	for (unsigned i = 0; i < *n; i++)
		if (table[i].base == base && table[i].opaque == opaque) {
			table[i] = table[--*n];
			return 0;
		}
	MUST(!"region to be unregistered is there");
	return ERR_NOENT;
}

int io_register_port(struct guest *g, const struct io_region *r)
{
	MUST(g == BOARD_GUEST);
	return board_add(board_io.port, &board_io.nr_ports, r);
}

int io_register_mem(struct guest *g, const struct io_region *r)
{
	MUST(g == BOARD_GUEST);
	return board_add(board_io.mem, &board_io.nr_mems, r);
}

int io_unregister_port(struct guest *g, u64 base, void *opaque)
{
	MUST(g == BOARD_GUEST);
	return board_remove(board_io.port, &board_io.nr_ports, base, opaque);
}

int io_unregister_mem(struct guest *g, u64 base, void *opaque)
{
	MUST(g == BOARD_GUEST);
	return board_remove(board_io.mem, &board_io.nr_mems, base, opaque);
}
