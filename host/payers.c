/* SPDX-License-Identifier: Apache-2.0 */
#include "payers.h"

void payers_put(struct payers *p, u32 end, void *who)
{
	u32 newest = (p->first + p->count - 1) % PAYERS_RUNS;

	if (p->count && (p->run[newest].who == who || p->count == PAYERS_RUNS)) {
		if (p->run[newest].who != who)
			p->run[newest].who = NULL;
		p->run[newest].end = end;
		return;
	}
	newest = (p->first + p->count++) % PAYERS_RUNS;
	p->run[newest].end = end;
	p->run[newest].who = who;
}

void *payers_at(struct payers *p, u32 position)
{
	while (p->count && (i32)(p->run[p->first].end - position) <= 0) {
		p->last = p->run[p->first].who;
		p->first = (p->first + 1) % PAYERS_RUNS;
		p->count--;
	}
	return p->count ? p->run[p->first].who : p->last;
}

void payers_forget(struct payers *p, const void *who)
{
	for (u32 i = 0; i < PAYERS_RUNS; i++)
		if (p->run[i].who == who)
			p->run[i].who = NULL;
	if (p->last == who)
		p->last = NULL;
}
