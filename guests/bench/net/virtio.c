/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for the virtio network interface (virtio 1.2, 2.7, 2.8, 4.1 and 5.1) that does what Linux's does
 * for each frame: mergeable buffers, segments cut by whoever needs them cut, event indices, a message for
 * what has come, and none for what was sent. */
#include "../lib/virtio.h"
#include "net.h"
#include "page.h"

#define VECTOR 0x70
#define SIZE NET_BUFFERS /* descriptors of each queue; divides 65536 */
#define HEADER 12u
#define F_CSUM BIT(0)
#define F_GUEST_CSUM BIT(1)
#define F_MAC BIT(5)
#define F_GUEST_TSO4 BIT(7)
#define F_HOST_TSO4 BIT(11)
#define F_MRG BIT(15)
#define TCP_AT 34
#define TCP_AT_SUM 16

struct header {
	u8 flags, gso_type;
	u16 header, gso_size, sum_from, sum_at, buffers;
};

/* All counters are free-running. Frames come back in their order, so that the place of a chain is its id. */
struct queue {
	struct virtio_areas a;
	u16 next, used;       /* descriptors: put, come back */
	u16 put, told, taken; /* chains; packed: `put` and `told` are descriptors */
	u16 count[SIZE];      /* descriptors of the chain that begins there */
};

static struct {
	struct virtio v;
	bool packed;
	struct queue rx, tx;
	u8 *buffers;
	u16 got; /* buffers of the frame that net_get() gave */
} n;

/* ---- both ways ---- */
static bool round_of(u16 position)
{
	return virtio_round(position, SIZE);
}

/* The first one of a chain becomes available last. */
static void desc_put(struct queue *q, u16 head, u64 addr, u32 len, u16 flags)
{
	volatile struct desc *to = &q->a.desc[q->next % SIZE];

	to->addr = addr;
	to->len = len;
	if (!n.packed) {
		to->third = flags;
		to->fourth = (u16)((q->next + 1u) % SIZE);
	} else {
		to->third = head % SIZE;
		if (q->next != head)
			to->fourth = flags | (round_of(q->next) ? DESC_AVAIL : DESC_USED);
	}
	q->next++;
}

/* A chain of pieces of a page at most. */
static void chain_put(struct queue *q, u64 addr, u32 bytes, u16 way)
{
	u16 head = q->next, flags = way | (bytes > NET_PAGE ? DESC_NEXT : 0);

	for (u32 at = 0, part; at < bytes; at += part) {
		part = bytes - at < NET_PAGE ? bytes - at : NET_PAGE;
		desc_put(q, head, addr + at, part, way | (at + part < bytes ? DESC_NEXT : 0));
	}
	q->count[head % SIZE] = (u16)(q->next - head);
	if (n.packed) {
		__atomic_store_n(&q->a.desc[head % SIZE].fourth,
				 (u16)(flags | (round_of(head) ? DESC_AVAIL : DESC_USED)), __ATOMIC_RELEASE);
		q->put = q->next;
	} else {
		q->a.driver[2 + q->put++ % SIZE] = head % SIZE;
	}
}

/* Whether the device's wish is one of what was put since it was told last. */
static bool device_waits(const struct queue *q)
{
	u16 event = q->a.device[2 + 4 * SIZE];

	if (!n.packed)
		return (u16)(q->put - event - 1) < (u16)(q->put - q->told);
	u32 wish = *(volatile u32 *)q->a.device;
	if (wish >> 16 != EVENT_DESC)
		return wish >> 16 != EVENT_DISABLE;
	u16 back = (u16)((q->put - wish) % SIZE), since = (u16)(q->put - q->told);
	back = back ? back : SIZE; /* from the place that it means to the next one */
	return back <= since && (wish >> 15 & 1) == round_of((u16)(q->put - back));
}

static void tell(struct queue *q)
{
	if (!n.packed)
		__atomic_store_n(&q->a.driver[1], q->put, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bool waits = device_waits(q);
	q->told = q->put;
	if (waits)
		outw(q->a.port, 0);
}

/* The next chain that has come back; *bytes: that the device has written. */
static bool take(struct queue *q, u32 *bytes)
{
	if (n.packed) {
		u16 flags = __atomic_load_n(&q->a.desc[q->used % SIZE].fourth, __ATOMIC_ACQUIRE);
		bool round = round_of(q->used);
		if (!!(flags & DESC_AVAIL) != round || !!(flags & DESC_USED) != round)
			return false;
		*bytes = q->a.desc[q->used % SIZE].len;
	} else {
		if (__atomic_load_n(&q->a.device[1], __ATOMIC_ACQUIRE) == q->taken)
			return false;
		*bytes = *(volatile u32 *)&q->a.device[4 + 4 * (q->taken % SIZE)];
	}
	q->taken++;
	q->used = (u16)(q->used + q->count[q->used % SIZE]);
	return true;
}

/* ---- receiving ---- */
static void buffers_post(u16 nr)
{
	for (; nr; nr--)
		chain_put(&n.rx, (u64)(n.buffers + n.rx.next % SIZE * NET_PAGE), NET_PAGE, DESC_WRITE);
	tell(&n.rx);
}

/* The next frame is worth an interrupt. */
static void want_event(void)
{
	if (n.packed)
		*(volatile u32 *)n.rx.a.driver =
		    EVENT_DESC << 16 | (u32)round_of(n.rx.used) << 15 | n.rx.used % SIZE;
	else
		n.rx.a.driver[2 + SIZE] = n.rx.taken;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static const u8 *get(u32 *bytes)
{
	const u8 *first = n.buffers + n.rx.used % SIZE * NET_PAGE;
	u32 part;

	if (!take(&n.rx, bytes)) {
		want_event();
		if (!take(&n.rx, bytes))
			return NULL;
	}
	n.got = ((const struct header *)first)->buffers;
	for (u16 i = 1; i < n.got && take(&n.rx, &part); i++)
		*bytes += part;
	*bytes -= HEADER;
	return first + HEADER;
}

static void release(void)
{
	buffers_post(n.got);
}

/* ---- sending ---- */
static bool put(const void *frame, u32 bytes, u16 cut)
{
	struct header *h = (struct header *)((u64)frame - HEADER);
	u32 written;

	while (take(&n.tx, &written))
		;
	if (!n.packed)
		n.tx.a.driver[2 + SIZE] = (u16)(n.tx.taken + 0x7fff); /* far away */
	if ((u16)(n.tx.next - n.tx.used) + (bytes + HEADER + NET_PAGE - 1) / NET_PAGE > SIZE)
		return false;
	*h = (struct header){.buffers = 0};
	if (cut)
		*h = (struct header){.flags = 1,
				     .gso_type = 1,
				     .header = TCP_AT + 20,
				     .gso_size = cut,
				     .sum_from = TCP_AT,
				     .sum_at = TCP_AT_SUM};
	chain_put(&n.tx, (u64)h, bytes + HEADER, 0);
	return true;
}

static void kick(void)
{
	tell(&n.tx);
}

/* ---- life ---- */
static bool open(bool packed, u8 address[6])
{
	u64 want = F_CSUM | F_GUEST_CSUM | F_MAC | F_GUEST_TSO4 | F_HOST_TSO4 | F_MRG | VIRTIO_F_EVENT_IDX |
		   VIRTIO_F_VERSION_1 | (packed ? VIRTIO_F_PACKED : 0);

	memset(&n, 0, sizeof(n));
	n.packed = packed;
	if (!virtio_find(&n.v, 0x1041, VECTOR) || !virtio_negotiate(&n.v, want))
		return false;
	n.buffers = mem_alloc(NET_BUFFERS * NET_PAGE / PAGE_SIZE);
	if (!n.buffers || !virtio_queue_open(&n.v, 0, SIZE, 0, &n.rx.a) ||
	    !virtio_queue_open(&n.v, 1, SIZE, VIRTIO_NO_VECTOR, &n.tx.a))
		return false;
	if (packed)
		*(volatile u32 *)n.tx.a.driver = EVENT_DISABLE << 16;
	for (unsigned i = 0; i < 6; i++)
		address[i] = n.v.config[i];
	if (!virtio_run(&n.v))
		return false;
	buffers_post(NET_BUFFERS);
	return true;
}

static bool open_split(u8 address[6])
{
	return open(false, address);
}

static bool open_packed(u8 address[6])
{
	return open(true, address);
}

const struct net_driver net_virtio = {"virtio", open_split, put, kick, get, release};
const struct net_driver net_packed = {"packed", open_packed, put, kick, get, release};
