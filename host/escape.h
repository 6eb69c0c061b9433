/* SPDX-License-Identifier: Apache-2.0 */
/* Finds terminal control sequences in a stream of bytes (ECMA-48 5.3, 5.4). */
#pragma once

#include "types.h"

enum escape { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI, ESCAPE_STRING, ESCAPE_STRING_END, ESCAPE_LAST };

/* True when c belongs to a sequence. Afterwards *e is ESCAPE_LAST when c was its last byte. */
bool escape_step(enum escape *e, char c);

static inline bool escape_unfinished(enum escape e)
{
	return e != ESCAPE_NONE && e != ESCAPE_LAST;
}
