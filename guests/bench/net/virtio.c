/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for the virtio network interface (virtio 1.2, 2.7, 2.8, 4.1 and 5.1) that does what Linux's does
 * for each frame: mergeable buffers, segments cut by whoever needs them cut, event indices, a message for
 * what has come, and none for what was sent. */
#include "../disk/disk.h"
#include "apic.h"
#include "net.h"
#include "page.h"

#define VECTOR 0x70
#define SIZE NET_BUFFERS /* descriptors of each queue; divides 65536 */
#define NO_VECTOR 0xffff
#define HEADER 12u
#define F_CSUM BIT(0)
#define F_GUEST_CSUM BIT(1)
#define F_MAC BIT(5)
#define F_GUEST_TSO4 BIT(7)
#define F_HOST_TSO4 BIT(11)
#define F_MRG BIT(15)
#define F_EVENT_IDX BIT(29)
#define F_VERSION_1 BIT(32)
#define F_PACKED BIT(34)
#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_AVAIL 0x80u
#define DESC_USED 0x8000u
#define EVENT_DISABLE 1u /* flags of packed event suppression, 2.8.14 */
#define EVENT_DESC 2u
#define TCP_AT 34
#define TCP_AT_SUM 16

struct desc {
	u64 addr;
	u32 len;
	u16 third, fourth; /* split: flags, next; packed: id, flags */
};

struct header {
	u8 flags, gso_type;
	u16 header, gso_size, sum_from, sum_at, buffers;
};

/* All counters are free-running. Frames come back in their order, so that the place of a chain is its id. */
struct queue {
	volatile struct desc *desc;
	volatile u16 *driver, *device; /* the other areas */
	u16 port;                      /* of the doorbell */
	u16 next, used;                /* descriptors: put, come back */
	u16 put, told, taken;          /* chains; packed: `put` and `told` are descriptors */
	u16 count[SIZE];               /* descriptors of the chain that begins there */
};

static struct {
	volatile u8 *common, *config;
	u16 doorbell, multiplier; /* port */
	bool packed;
	struct queue rx, tx;
	u8 *buffers;
	u16 got; /* buffers of the frame that net_get() gave */
} n;

static void set8(unsigned at, u8 v)
{
	n.common[at] = v;
}

static void set16(unsigned at, u16 v)
{
	*(volatile u16 *)(n.common + at) = v;
}

static void set32(unsigned at, u32 v)
{
	*(volatile u32 *)(n.common + at) = v;
}

static u32 get32(unsigned at)
{
	return *(volatile u32 *)(n.common + at);
}

/* ---- the device: 4.1.4 ---- */
static volatile u8 *bar(int devfn, unsigned i)
{
	return (volatile u8 *)(u64)(disk_pci_read(devfn, 0x10 + 4 * i) & ~15u);
}

static void capability(int devfn, unsigned at)
{
	u32 type = disk_pci_read(devfn, at) >> 24, index = disk_pci_read(devfn, at + 4) & 0xff,
	    offset = disk_pci_read(devfn, at + 8);

	if (type == 1) {
		n.common = bar(devfn, index) + offset;
	} else if (type == 2 && index == 1) {
		n.doorbell = (u16)((disk_pci_read(devfn, 0x14) & ~3u) + offset);
		n.multiplier = (u16)disk_pci_read(devfn, at + 16);
	} else if (type == 4) {
		n.config = bar(devfn, index) + offset;
	}
}

/* One vector, for what has come. */
static void messages_on(int devfn, unsigned at)
{
	u32 table = disk_pci_read(devfn, at + 4);
	volatile u32 *entry = (volatile u32 *)(bar(devfn, table & 7) + (table & ~7u));

	entry[0] = 0xfee00000u | apic_id() << 12;
	entry[1] = 0;
	entry[2] = VECTOR;
	entry[3] = 0;
	disk_pci_write(devfn, at, (disk_pci_read(devfn, at) & 0x3fffffffu) | 0x80000000u);
}

static bool find(void)
{
	int devfn = disk_pci_find(0x1af4, 0x1041);
	unsigned msix = 0;

	if (devfn < 0)
		return false;
	disk_pci_write(devfn, 4, 7); /* ports, memory, master of the bus */
	for (unsigned at = disk_pci_read(devfn, 0x34) & 0xff; at; at = disk_pci_read(devfn, at) >> 8 & 0xff)
		switch (disk_pci_read(devfn, at) & 0xff) {
		case 0x09:
			capability(devfn, at);
			break;
		case 0x11:
			msix = at;
			break;
		}
	if (!n.common || !n.config || !n.doorbell || !msix)
		return false;
	disk_interrupts_on(VECTOR);
	messages_on(devfn, msix);
	return true;
}

/* 3.1.1. */
static bool negotiate(void)
{
	u64 want = F_CSUM | F_GUEST_CSUM | F_MAC | F_GUEST_TSO4 | F_HOST_TSO4 | F_MRG | F_EVENT_IDX |
		   F_VERSION_1 | (n.packed ? F_PACKED : 0),
	    have = 0;

	set8(0x14, 0);
	while (n.common[0x14])
		;
	set8(0x14, 3);
	for (u32 i = 0; i < 2; i++) {
		set32(0, i);
		have |= (u64)get32(4) << (32 * i);
		set32(8, i);
		set32(12, (u32)(want >> (32 * i)));
	}
	set8(0x14, 11);
	return (have & want) == want && n.common[0x14] == 11;
}

static bool queue_open(struct queue *q, u16 index, u16 vector)
{
	q->desc = mem_alloc(1);
	q->driver = mem_alloc(1);
	q->device = mem_alloc(1);
	if (!q->desc || !q->driver || !q->device)
		return false;
	q->port = (u16)(n.doorbell + index * n.multiplier);
	set16(0x16, index);
	set16(0x18, SIZE);
	set32(0x20, (u32)(u64)q->desc);
	set32(0x28, (u32)(u64)q->driver);
	set32(0x30, (u32)(u64)q->device);
	set16(0x1a, vector);
	set16(0x1c, 1);
	return true;
}

/* ---- both ways ---- */
static bool round_of(u16 position)
{
	return !(position / SIZE & 1); /* the wrap counter: 1 in the first round */
}

/* The first one of a chain becomes available last. */
static void desc_put(struct queue *q, u16 head, u64 addr, u32 len, u16 flags)
{
	volatile struct desc *to = &q->desc[q->next % SIZE];

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
		__atomic_store_n(&q->desc[head % SIZE].fourth,
				 (u16)(flags | (round_of(head) ? DESC_AVAIL : DESC_USED)), __ATOMIC_RELEASE);
		q->put = q->next;
	} else {
		q->driver[2 + q->put++ % SIZE] = head % SIZE;
	}
}

/* Whether the device's wish is one of what was put since it was told last. */
static bool device_waits(const struct queue *q)
{
	u16 event = q->device[2 + 4 * SIZE];

	if (!n.packed)
		return (u16)(q->put - event - 1) < (u16)(q->put - q->told);
	u32 wish = *(volatile u32 *)q->device;
	if (wish >> 16 != EVENT_DESC)
		return wish >> 16 != EVENT_DISABLE;
	u16 back = (u16)((q->put - wish) % SIZE), since = (u16)(q->put - q->told);
	back = back ? back : SIZE; /* from the place that it means to the next one */
	return back <= since && (wish >> 15 & 1) == round_of((u16)(q->put - back));
}

static void tell(struct queue *q)
{
	if (!n.packed)
		__atomic_store_n(&q->driver[1], q->put, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bool waits = device_waits(q);
	q->told = q->put;
	if (waits)
		outw(q->port, 0);
}

/* The next chain that has come back; *bytes: that the device has written. */
static bool take(struct queue *q, u32 *bytes)
{
	if (n.packed) {
		u16 flags = __atomic_load_n(&q->desc[q->used % SIZE].fourth, __ATOMIC_ACQUIRE);
		bool round = round_of(q->used);
		if (!!(flags & DESC_AVAIL) != round || !!(flags & DESC_USED) != round)
			return false;
		*bytes = q->desc[q->used % SIZE].len;
	} else {
		if (__atomic_load_n(&q->device[1], __ATOMIC_ACQUIRE) == q->taken)
			return false;
		*bytes = *(volatile u32 *)&q->device[4 + 4 * (q->taken % SIZE)];
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
		*(volatile u32 *)n.rx.driver =
		    EVENT_DESC << 16 | (u32)round_of(n.rx.used) << 15 | n.rx.used % SIZE;
	else
		n.rx.driver[2 + SIZE] = n.rx.taken;
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
		n.tx.driver[2 + SIZE] = (u16)(n.tx.taken + 0x7fff); /* far away */
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
	memset(&n, 0, sizeof(n));
	n.packed = packed;
	if (!find() || !negotiate())
		return false;
	n.buffers = mem_alloc(NET_BUFFERS * NET_PAGE / PAGE_SIZE);
	if (!n.buffers || !queue_open(&n.rx, 0, 0) || !queue_open(&n.tx, 1, NO_VECTOR))
		return false;
	if (packed)
		*(volatile u32 *)n.tx.driver = EVENT_DISABLE << 16;
	for (unsigned i = 0; i < 6; i++)
		address[i] = n.config[i];
	set8(0x14, 15);
	buffers_post(NET_BUFFERS);
	return n.common[0x14] == 15;
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
