/* SPDX-License-Identifier: Apache-2.0 */
/* A switch for Ethernet frames between VMs (owner: ring/). Each network interface of a VM is a port. A frame
 * is sent by pointing at it and copied once, by one CPU at a time, into what the receiver has posted; only
 * its first NET_HEADER bytes go through the switch's own memory, because what was checked must be what is
 * sent. Senders take turns by deficit round robin: in the long run each one that has something to send gets
 * the same share of bytes, whatever the size of its frames. So that the switch knows who has, it takes the
 * frames from where the guests put them when it is their turn, and not before. A frame for which the receiver
 * has no room is dropped at the receiver's expense. Nothing here allocates. */
#pragma once

#include "list.h"
#include "piece.h"
#include "spinlock.h"

#define NET_PORTS 128
#define NET_ADDRESS 6 /* bytes of a MAC address */
/* Bytes; holds Ethernet, a VLAN tag, IPv4 without options and the ports of TCP or UDP. */
#define NET_HEADER 64
#define NET_HEADER_CUT 192  /* of a frame that may have to be cut: the whole header of TCP fits */
#define NET_FRAME_MIN 14    /* bytes, without checksum */
#define NET_FRAME_MAX 65550 /* a TCP segment that the receiver's side may cut */
#define NET_PIECES 96       /* of a frame, and of posted buffers: NET_FRAME_MAX in pages that lie anywhere */
#define NET_CUT_MIN 48      /* payload bytes of a TCP segment, but the last */
#define NET_CUTS_MAX 2048   /* segments that one frame is cut into, for all receivers together */
#define NET_QUANTUM 1514    /* bytes that a sender gets for each turn; it may use those of the next ones */
#define NET_BATCH 32        /* frames taken from a sender at once */
#define NET_PRICE_MIN 60    /* bytes that the smallest frame counts for */
#define NET_ENTRIES 1024    /* learned addresses; a power of two */
#define NET_WAYS 4          /* places of one address among them: no look-up takes more steps */
#define NET_LEARN_MAX 64    /* addresses learned from one port */
#define NET_HOLD_NS 100000  /* until a frame is tried again whose receiver is full */
#define NET_HOLD_MOST_NS 10000000 /* and until it is not any more */

/* What a sender has left for later (virtio 1.2, 5.1.6.2): a checksum, and cutting a long TCP segment. Who can
 * take the frame as it is gets it so; for others the switch does it. All 0: nothing was left. */
struct net_offload {
	/* The Internet checksum of everything from byte `from` on, to be stored `at` bytes behind that, where
	 * the sum of the pseudo header stands instead. from 0: none. */
	u16 from, at;
	u16 cut; /* payload bytes for each segment, at least NET_CUT_MIN; 0: the frame is one */
	/* The switch tells the receiver of a frame to be cut: bytes before its payload, and which NET_TAKES_
	 * it is. */
	u16 header;
	u32 kind;
};
/* What a receiver takes as it is. */
#define NET_TAKES_SUM 1u  /* frames whose checksum is yet to be made */
#define NET_TAKES_TCP4 2u /* frames to be cut, of TCP over IPv4 */
#define NET_TAKES_TCP6 4u

struct net_page; /* of the interfaces that know it: see exchange() */

struct net_frame {
	const struct piece *pieces;
	u32 nr_pieces; /* up to NET_PIECES */
	u32 length;    /* of all pieces; else, and beyond NET_FRAME_MIN to _MAX, it is dropped */
	struct net_offload offload;
	struct net_page *page; /* the frame is alone in it, and its receiver may have it whole; NULL: no */
	/* Once for each net_send(), or frame of pull(): the frame is the sender's again. delivered: to one
	 * receiver at least. On the CPU that runs the switch; may not call it. NULL: sent() is enough. */
	void (*complete)(struct net_frame *f, bool delivered);
	/* For complete(): the only port that it was for, whether it had room or not; NULL: none, or several.
	 */
	const struct net_port *receiver;
	struct list link; /* the switch's */
};

/* An address as a number, so that one comparison compares it. */
static inline u64 net_address(const u8 a[NET_ADDRESS])
{
	u32 low;
	u16 high;

	__builtin_memcpy(&low, a, sizeof(low));
	__builtin_memcpy(&high, a + sizeof(low), sizeof(high));
	return low | (u64)high << 32;
}

struct net_port;
struct net_port_ops {
	/* ---- sending; NULL: its frames come by net_send() ---- */
	/* The next frames, most of them at most, and no more once they have `bytes` bytes. How many; 0: none
	 * before net_port_wake(). Those that it gave before have been forwarded. On the CPU that runs the
	 * switch, as all of these; none may call the switch, but net_port_wake(). */
	unsigned (*pull)(struct net_port *p, struct net_frame **frames, unsigned most, u64 bytes);
	/* The first nr of those that pull() gave last are forwarded: the time to give them back to who sent
	 * them. For all of them, but those behind which pull() came first. */
	void (*sent)(struct net_port *p, unsigned nr);
	/* ---- receiving ---- */
	/* Room for a frame of length bytes: up to NET_PIECES pieces of host memory, of length bytes at least;
	 * returns how many, 0 when the receiver has posted none that can take it. */
	unsigned (*room)(struct net_port *p, u32 length, struct piece *pieces);
	/* The frame is in what room() gave, but for what *o says, which takes() allowed. */
	void (*received)(struct net_port *p, u32 length, const struct net_offload *o);
	/* These may be NULL. Instead of room(), of a frame with a page and no offload, for one receiver:
	 * takes the page, with what was checked of the frame, header_bytes of up to NET_HEADER, for its
	 * beginning. True: it has it, and received() is not called. False: it cannot, the frame is copied. */
	bool (*exchange)(struct net_port *p, struct net_frame *f, const u8 *header, u32 header_bytes);
	/* A frame for it that begins with these bytes is next, room() is going to be asked; NULL: all the
	 * same.
	 */
	void (*steer)(struct net_port *p, const u8 *header, u32 bytes);
	/* After some received(), once for all of them: the time to tell the receiver. */
	void (*ready)(struct net_port *p);
	u32 (*takes)(struct net_port *p); /* NET_TAKES_...; NULL: nothing */
	/* It has no room now, but will have soon: a frame for nobody else waits at its sender, for a while,
	 * and so does what that one has behind it. */
	bool (*full)(struct net_port *p);
	/* One of its frames is next. */
	void (*forwards)(struct net_port *p);
	/* Whether it wants a frame for that address, which is not its own; NULL: it does. */
	bool (*wants)(struct net_port *p, const u8 target[NET_ADDRESS]);
};

/* The first rule that matches decides; when none does, the frame passes. A field that is 0 matches anything;
 * one that is not matches only frames that have it (no fragments but the first have ports). Of a frame whose
 * headers go on behind what is looked at, or are cut off, nobody can say what it has: any rule that drops
 * matches it, and none that lets pass. */
struct net_rule {
	bool incoming; /* towards the port's VM; else from it */
	bool drop;
	u16 ethertype;           /* behind a VLAN tag */
	u8 protocol;             /* of IPv4 */
	u32 source, source_mask; /* IPv4, host byte order; mask 0: anything */
	u32 target, target_mask;
	u16 port_first, port_last; /* destination of TCP or UDP; last 0: anything */
};

/* tx: as a sender, rx: as a receiver. */
struct net_meters {
	u64 tx_frames, tx_bytes, tx_bad, tx_spoofed, tx_filtered;
	u64 rx_frames, rx_bytes, rx_dropped, rx_filtered;
	/* Bytes that the switch copied of frames that it sent, to all receivers and into the switch's own
	 * memory; and into its buffers. What goes from one VM to another is in the first of the one and in
	 * the second of the other. */
	u64 tx_copied, rx_copied;
	u64 rx_flipped; /* frames that came with their page */
};

#define NET_ANTI_SPOOF 1u /* only frames from the port's own address leave it */

struct net_switch;
struct net_port {
	const struct net_port_ops *ops;
	struct net_switch *sw;
	void *payer; /* the owner's word about it; NULL as long as he has said none */
	unsigned index;
	u32 flags;
	u8 address[NET_ADDRESS];
	u64 number; /* the same, as of net_address() */
	const struct net_rule *rules;
	unsigned nr_rules;
	unsigned learned;
	u64 rate, burst;   /* bytes per second, 0: any; nanoseconds of sending ahead */
	u64 free_at;       /* when what was sent is paid for */
	u64 held_until;    /* no sooner is its next frame tried again */
	u64 held_since;    /* the first try; 0: it is not held */
	i64 deficit;       /* bytes it may still send in this turn; below 0: it has sent ahead */
	struct list queue; /* frames of net_send() */
	struct list turn;  /* in the switch's list from net_send() or net_port_wake() until there is none */
	bool at_turn;      /* has had its quantum */
	bool woken;        /* since it was asked for frames */
	bool flushes;      /* what it has goes back undelivered */
	bool may_rest;     /* its owner's: rests() is to be asked */
	bool closing;      /* nobody finds it any more */
	u64 last_passage;  /* the one that was under way then */
	/* Who has set `running` alone: */
	struct net_frame *taken[NET_BATCH]; /* those from taken_head to taken_tail - 1 are to be forwarded */
	unsigned taken_head, taken_tail;
	/* Its frames that begin with these 12 bytes, from and to the own addresses of two ports, go to
	 * `target`, and nothing else is to be asked, as long as the switch's generation is that. */
	struct {
		u64 begins[2];
		struct net_port *target;
		u64 gen;
	} way;
	struct net_meters meters;
};

#define NET_UNUSED (~(u64)0)
struct net_entry {
	u64 address; /* as of net_address(); NET_UNUSED: there is none */
	u8 port;
	bool fixed; /* a port's own address, never forgotten */
	u64 seen;
};

struct net_switch {
	struct spinlock lock;
	bool running; /* a CPU forwards; ports stay meanwhile */
	u32 flushes;  /* ports that are to be flushed */
	u32 rules;    /* of all ports together; changes while nobody forwards */
	u64 passages; /* so many have begun: who runs the switch knows a port only within one */
	u64 secret;   /* odd */
	u64 max_age;
	u64 steps;                    /* entries looked at so far */
	u64 now;                      /* the latest that anybody has said */
	u64 received[NET_PORTS / 64]; /* ports that are to be told */
	u64 has_sent[NET_PORTS / 64]; /* and those whose frames were forwarded */
	u64 gen;                      /* of what was decided by addresses and rules, from 1; atomic */
	/* Whose frames are forwarded now, on the CPU that runs the switch; NULL: nobody's any more. Only when
	 * that changes. May be NULL. */
	void (*turns)(struct net_switch *sw, struct net_port *p);
	struct net_port *at; /* the last one said */
	/* Until when a port with may_rest does not send by the CPU that runs the switch; 0: it may. With the
	 * lock. */
	u64 (*rests)(struct net_switch *sw, const struct net_port *p);
	struct list senders; /* in the order of their turns */
	struct net_port *ports[NET_PORTS];
	struct net_entry entries[NET_ENTRIES];
};

/* secret: random, so that guests cannot choose addresses that collide. max_age: of a learned address, in the
 * unit of net_switch_run()'s now: nanoseconds, if there are rates. */
void net_switch_init(struct net_switch *sw, u64 secret, u64 max_age);

/* ERR_INVAL: a multicast address, unknown flags; ERR_EXIST: another port's address; ERR_NOMEM. */
int net_port_init(struct net_port *p, struct net_switch *sw, const struct net_port_ops *ops,
		  const u8 address[NET_ADDRESS], u32 flags);
/* For ports that send nothing more. Once its queue is empty nothing new is delivered to it; ERR_AGAIN as long
 * as that is not so, or the turn that is under way may be its, or have frames for it. 0: nobody calls its
 * operations. */
int net_port_close(struct net_port *p);
/* What waits of the port's is completed undelivered by net_switch_run(), which the caller calls, or by the
 * CPU that is in it. */
void net_port_flush(struct net_port *p);
/* It has another address from now on. Errors as of net_port_init(); then it keeps the old one. */
int net_port_readdress(struct net_port *p, const u8 address[NET_ADDRESS]);
/* The rules stay the caller's and may not change while the port has them. ERR_AGAIN: the switch runs. */
int net_port_filter(struct net_port *p, const struct net_rule *rules, unsigned nr);
/* From now on at most rate bytes in a second, burst bytes of them at once (at least one frame). 0: no limit.
 */
void net_port_limit(struct net_port *p, u64 rate, u64 burst);

/* Any CPU. Who sends calls net_switch_run() afterwards. */
void net_send(struct net_port *p, struct net_frame *f);
/* The same for a port with pull(): there are frames, perhaps. */
void net_port_wake(struct net_port *p);
/* Forwards up to budget frames, one to several receivers, or that is cut, or long, counts for several. True:
 * there is more, run it again. *next: when the first sender that waits for its rate may go on, ~0: none
 * waits. Where another CPU runs the switch, that one does the work: false. */
bool net_switch_run(struct net_switch *sw, u64 now, unsigned budget, u64 *next);
/* A copy, perhaps in the middle of a frame. */
struct net_meters net_port_meters(struct net_port *p);
