/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets how much of a bridge: see talk.h. */
#include "print.h"
#include "talk.h"

#define FLOODS 2u
#define SHARE_TICKS 3000000u

struct share {
	u8 address[6];
	u32 size;
	u64 frames;
};

/* Until it is told to end. */
void share_flood(u32 size)
{
	const struct body *b;
	u32 bytes;

	talk_find_other();
	talk_await(ORDER);
	talk_net->release();
	irq_enable();
	for (bool end = false; !end;) {
		for (u32 i = 0; i < 32; i++) {
			u8 *f = talk_frame(talk_slot);
			((struct body *)(f + BODY_AT))->kind = DATA;
			if (!talk_net->put(f, size, 0))
				break;
			talk_slot++;
		}
		talk_net->kick();
		b = talk_get(&bytes);
		end = b && b->kind == BYE;
		if (b)
			talk_net->release();
	}
}

static void tell(const struct share *s, enum kind kind)
{
	/* In no other frame: those before may not have left yet. */
	memcpy(talk_frame(talk_slot), s->address, 6);
	talk_send(kind, 0, TALK_SMALL);
	talk_net->kick();
}

static struct share *share_of(struct share *shares, u32 *nr, const u8 *address)
{
	for (u32 i = 0; i < *nr; i++)
		if (!memcmp(shares[i].address, address, 6))
			return &shares[i];
	if (*nr == FLOODS)
		return NULL;
	memcpy(shares[*nr].address, address, 6);
	return &shares[(*nr)++];
}

/* All that comes in so many ticks after both have sent something; 0: until both have said their names. */
static u64 count_until(u64 ticks, struct share *shares, u32 *nr)
{
	u64 from = 0;

	for (u32 bytes; !from || rdtsc() - from < ticks;) {
		const struct body *b = talk_get(&bytes);
		if (!b)
			continue;
		struct share *s = share_of(shares, nr, (const u8 *)b - BODY_AT + 6);
		if (s && b->kind == HELLO) {
			tell(s, WELCOME);
		} else if (s && b->kind == DATA) {
			s->size = bytes;
			s->frames++;
		}
		talk_net->release();
		if (!from && *nr == FLOODS && (!ticks || (shares[0].frames && shares[1].frames)))
			from = rdtsc();
	}
	return rdtsc() - from;
}

void share_judge(u64 ticks)
{
	struct share shares[FLOODS] = {0};
	u32 nr = 0;

	talk_frames_make();
	irq_enable();
	count_until(0, shares, &nr);
	for (u32 i = 0; i < FLOODS; i++)
		tell(&shares[i], ORDER);
	count_until(SHARE_TICKS, shares, &nr); /* both are at it */
	shares[0].frames = shares[1].frames = 0;
	ticks = count_until(ticks, shares, &nr);
	print("SHARES ticks %lu", ticks);
	for (u32 i = 0; i < FLOODS; i++)
		print(" size %u frames %lu", shares[i].size, shares[i].frames);
	print("\n");
	for (u32 i = 0; i < 2 * FLOODS; i++)
		tell(&shares[i % FLOODS], BYE);
	/* Until they have left: who ends takes back what has not. */
	for (u64 from = rdtsc(); rdtsc() - from < SHARE_TICKS;)
		cpu_pause();
}
