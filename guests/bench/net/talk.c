/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of the network benchmark; see talk.h. */
#include "talk.h"
#include "page.h"

#define FRAME_PAGES ((u64)NET_BYTES_MAX / NET_PAGE + 1)
#define CUT 1448
#define HELLO_TICKS 3000000u

const struct net_driver *talk_net;
u8 talk_own[6], talk_other[6];
u32 talk_slot;
static u8 *frames;
static u32 stride = NET_PAGE; /* bytes from one frame to the next */

bool talk_begin(void)
{
	frames = mem_alloc(TALK_SLOTS * FRAME_PAGES);
	return frames;
}

u8 *talk_frame(u32 i)
{
	return frames + i % TALK_SLOTS * (u64)stride + NET_HEADROOM;
}

/* What does not change from frame to frame: IPv4 (RFC 791) and TCP (RFC 9293), to whom it may concern. */
void talk_frames_make(void)
{
	static const u8 ip[] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};

	for (u32 i = 0; i < TALK_SLOTS; i++) {
		u8 *f = talk_frame(i);
		memcpy(f, talk_other, 6);
		memcpy(f + 6, talk_own, 6);
		f[12] = 0x08;
		f[13] = 0;
		memcpy(f + 14, ip, sizeof(ip));
		memset(f + 34, 0, 20);
		f[46] = 5 << 4;
	}
}

/* All frames are in whole pages, as those of talk_other guests are. */
void talk_size(u32 size)
{
	u32 pages = (size + NET_HEADROOM + NET_PAGE - 1) / NET_PAGE;

	if (stride == pages * NET_PAGE)
		return;
	stride = pages * NET_PAGE;
	talk_frames_make();
}

void talk_send(enum kind kind, u32 value, u32 size)
{
	u8 *f = talk_frame(talk_slot++);
	struct body *b = (struct body *)(f + BODY_AT);

	b->kind = (u16)kind;
	b->value = value;
	while (!talk_net->put(f, size, size > TALK_ONE_MAX ? CUT : 0))
		cpu_pause();
}

void talk_send_with(enum kind kind, void *what, u32 bytes)
{
	u8 *f = talk_frame(talk_slot);

	((struct body *)what)->kind = (u16)kind;
	memcpy(f + BODY_AT, what, bytes);
	talk_send(kind, ((struct body *)what)->value, BODY_AT + bytes);
	talk_net->kick();
}

struct body *talk_get(u32 *size)
{
	const u8 *f = talk_net->get(size);

	return f ? (struct body *)(f + BODY_AT) : NULL;
}

void talk_sleep(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
}

/* The next frame of a kind, to be released; others are not waited for. */
struct body *talk_await(enum kind kind)
{
	struct body *b;
	u32 size;

	for (;; talk_net->release()) {
		while (!(b = talk_get(&size)))
			talk_sleep();
		if (b->kind == kind)
			return b;
	}
}

/* Both begin when they please. */
void talk_find_other(void)
{
	u64 at = 0; /* of the last cry */
	u32 bytes;

	memset(talk_other, 0xff, 6);
	talk_frames_make();
	for (;;) {
		if (rdtsc() - at > HELLO_TICKS) {
			talk_send(HELLO, 0, TALK_SMALL);
			talk_net->kick();
			at = rdtsc();
		}
		const struct body *b = talk_get(&bytes);
		if (!b)
			continue;
		memcpy(talk_other, (const u8 *)b - BODY_AT + 6, 6);
		bool found = b->kind == WELCOME;
		talk_net->release();
		if (found)
			return talk_frames_make();
	}
}
