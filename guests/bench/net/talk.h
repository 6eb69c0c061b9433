/* SPDX-License-Identifier: Apache-2.0 */
/* What the guests of the network benchmark say to each other, and how. */
#pragma once

#include "net.h"

/* Behind the headers of IPv4 and TCP that every frame has. */
#define BODY_AT 54
enum kind { HELLO, WELCOME, ORDER, DATA, COUNT, PING, PONG, ASK, TELL, BYE };
enum op { TX, RX, RR };
struct __attribute__((packed)) body {
	u16 kind;
	u32 value, more;
};

#define TALK_SLOTS 256u /* frames in memory, of which none is used again before it has arrived */
#define TALK_ONE_MAX 1514u
#define TALK_SMALL 64u

extern const struct net_driver *talk_net;
extern u8 talk_own[6], talk_other[6];
extern u32 talk_slot; /* of the next frame */

/* Memory for the frames; talk_net is open. */
bool talk_begin(void);
u8 *talk_frame(u32 slot);
/* Headers for talk_other on all of them. */
void talk_frames_make(void);
/* They are to have room for frames of that size. */
void talk_size(u32 size);
/* Puts a frame; without a doorbell. Waits for room. */
void talk_send(enum kind kind, u32 value, u32 size);
/* A frame of one kind that says more, with the doorbell: bytes of *what, that begins with a struct body. */
void talk_send_with(enum kind kind, void *what, u32 bytes);
/* What the next frame says, to be released by the driver; NULL: none has come. */
struct body *talk_get(u32 *size);
/* Until an interrupt. */
void talk_sleep(void);
/* The next frame of a kind, to be released; others are lost. */
struct body *talk_await(enum kind kind);
/* Cries until the other answers: both begin when they please. */
void talk_find_other(void);

/* shares.c: two who send all they can, and one who counts it. */
void share_flood(u32 size);
void share_judge(u64 ticks);
