/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics of the 82540EM (13.7). What happens to every frame is counted in a few words, which go to the
 * registers when one of them is read. */
#include "e1000_internal.h"

#define CHECKSUM_BYTES 4 /* the frame's, which counts too */

/* Registers stay at their largest value: 13.7. */
void e1000_count(struct e1000 *e, u32 reg, u64 n)
{
	e->reg[reg] = (u32)MIN(e->reg[reg] + n, (u64)~0u);
}

static void count_octets(struct e1000 *e, u32 reg, u64 n)
{
	u64 old = e->reg[reg] | (u64)e->reg[reg + 1] << 32, sum = old + n < old ? ~(u64)0 : old + n;

	e->reg[reg] = (u32)sum;
	e->reg[reg + 1] = (u32)(sum >> 32);
}

void e1000_tally(struct e1000_tally *t, u32 length, const u8 *target)
{
	static const u16 sizes[E1000_TALLY_SIZES - 1] = {64, 127, 255, 511, 1023};
	u32 n = length + CHECKSUM_BYTES, i = 0;

	while (i < E1000_TALLY_SIZES - 1 && n > sizes[i])
		i++;
	t->frames[i]++;
	t->octets += n;
	if (!(target[0] & 1))
		return;
	if ((target[0] & target[1] & target[2] & target[3] & target[4] & target[5]) == 0xff)
		t->broadcast++;
	else
		t->multicast++;
}

static void fold(struct e1000 *e, struct e1000_tally *t, const struct e1000_tally_regs *to)
{
	u64 frames = 0;

	for (u32 i = 0; i < E1000_TALLY_SIZES; i++) {
		e1000_count(e, to->sizes + i, t->frames[i]);
		frames += t->frames[i];
	}
	e1000_count(e, to->good, frames);
	e1000_count(e, to->total, frames);
	e1000_count(e, to->broadcast, t->broadcast);
	e1000_count(e, to->multicast, t->multicast);
	count_octets(e, to->good_octets, t->octets);
	count_octets(e, to->total_octets, t->octets);
	*t = (struct e1000_tally){0};
}

/* All clear when they are read; the lower half of a pair waits for the upper one. */
u32 e1000_statistic_read(struct e1000 *e, u32 reg)
{
	static const struct e1000_tally_regs rx = {E1000_PRC64, E1000_GPRC, E1000_TPR, E1000_BPRC,
						   E1000_MPRC,  E1000_GORC, E1000_TOR},
					     tx = {E1000_PTC64, E1000_GPTC, E1000_TPT, E1000_BPTC,
						   E1000_MPTC,  E1000_GOTC, E1000_TOT};
	static const u32 pairs[] = {E1000_GORC, E1000_GOTC, E1000_TOR, E1000_TOT};
	u32 value;

	fold(e, &e->rx.tally, &rx);
	fold(e, &e->tx.tally, &tx);
	value = e->reg[reg];
	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (reg == pairs[i])
			return value;
		if (reg == pairs[i] + 1)
			e->reg[pairs[i]] = 0;
	}
	e->reg[reg] = 0;
	return value;
}

void e1000_statistics_reset(struct e1000 *e)
{
	e->rx.tally = e->tx.tally = (struct e1000_tally){0};
}
