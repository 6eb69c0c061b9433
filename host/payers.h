/* SPDX-License-Identifier: Apache-2.0 */
/* Who pays for the bytes that wait in a ring: runs of bytes with one payer each. Positions are counts of all
 * bytes so far, modulo 2^32. Pure logic. */
#pragma once

#include "lib.h"

#define PAYERS_RUNS 32u

struct payers {
	struct {
		u32 end; /* the position behind its last byte */
		void *who;
	} run[PAYERS_RUNS]; /* from `first` on, round and round */
	u32 first, count;
	void *last; /* who paid for what was taken last */
};

/* The bytes up to this position are somebody's (NULL: nobody's). Where there are too many runs, nobody's. */
void payers_put(struct payers *p, u32 end, void *who);
/* Whose the byte at this position is; those before it are gone. Of none: whose the last one was. */
void *payers_at(struct payers *p, u32 position);
/* Who is no more. */
void payers_forget(struct payers *p, const void *who);
