/* SPDX-License-Identifier: Apache-2.0 */
/* One counter of the 8254: what it counts and what its OUT pin shows at a given time. Private to
 * pit*.c. All times are TSC values; channel_sync() goes first whenever time has passed. */
#pragma once

#include "pit.h"

/* Takes over a count that was written for the end of a (half) period which has ended by now. */
void channel_sync(struct pit_channel *c, u64 now);
/* A control word: bits 5:0. */
void channel_program(struct pit_channel *c, u8 control);
/* The first of two count bytes: stops mode 0. */
void channel_hold(struct pit_channel *c);
/* A whole count, as the CPU wrote it (0 is the largest, BCD is not decoded yet). */
void channel_load(struct pit_channel *c, u16 raw, u64 now);
void channel_gate(struct pit_channel *c, bool level, u64 now);

/* The counting element as the CPU reads it (BCD encoded where programmed). */
u16 channel_value(const struct pit_channel *c, u64 now);
bool channel_out(const struct pit_channel *c, u64 now);
/* Null count: what was written last is not counting yet. */
bool channel_null(const struct pit_channel *c, u64 now);

/* When OUT rises next, strictly after now; false: never. The gate is taken to be high. */
bool channel_next_edge(const struct pit_channel *c, u64 now, u64 *edge);
/* What OUT is between its edges: short low strobes are left out. */
bool channel_idle_level(const struct pit_channel *c, u64 now);
static inline bool channel_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Clocks of the 8254 in a span of TSC ticks, rounded down. */
u64 pit_clocks(u64 tsc);
