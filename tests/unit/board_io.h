/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of I/O regions that a board keeps: in its `board`, port[nr_ports] and mem[nr_mems], to which its own
 * board_add() adds. Included where both are defined. */
#pragma once

#include "io.h"
#include "must.h"

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
	return board_add(board.port, &board.nr_ports, r);
}

int io_register_mem(struct guest *g, const struct io_region *r)
{
	MUST(g == BOARD_GUEST);
	return board_add(board.mem, &board.nr_mems, r);
}

int io_unregister_port(struct guest *g, u64 base, void *opaque)
{
	MUST(g == BOARD_GUEST);
	return board_remove(board.port, &board.nr_ports, base, opaque);
}

int io_unregister_mem(struct guest *g, u64 base, void *opaque)
{
	MUST(g == BOARD_GUEST);
	return board_remove(board.mem, &board.nr_mems, base, opaque);
}
