/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for the virtio disk (virtio 1.2, 2.7, 2.8, 4.1 and 5.2) that does what Linux's does for each
 * request: one indirect table, an event index before it says or hears anything, a message for completions. */
#include "../lib/virtio.h"
#include "disk.h"
#include "page.h"

#define VECTOR 0x70
#define SIZE 64u /* descriptors */
#define PIECE 8192u
#define F_SIZE_MAX BIT(1)
#define F_SEG_MAX BIT(2)

struct header {
	u32 type, reserved;
	u64 sector;
};

/* What belongs to a request. */
struct request {
	struct desc table[2 + DISK_BYTES_MAX / PIECE];
	struct header header;
	volatile u8 status;
};

static struct {
	struct virtio v;
	struct virtio_areas q;
	bool packed;
	u16 next, kicked, used; /* free-running; packed: what is put, told and taken */
	struct request *requests;
} d;

static bool open(bool packed)
{
	u64 want = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX | F_SIZE_MAX | F_SEG_MAX |
		   (packed ? VIRTIO_F_PACKED : 0),
	    requests = (sizeof(struct request) * DISK_DEPTH_MAX + PAGE_SIZE - 1) / PAGE_SIZE;

	memset(&d, 0, sizeof(d));
	d.packed = packed;
	if (!virtio_find(&d.v, 0x1042, VECTOR) || !virtio_negotiate(&d.v, want) ||
	    *(volatile u32 *)(d.v.config + 8) < PIECE ||
	    *(volatile u32 *)(d.v.config + 12) < DISK_BYTES_MAX / PIECE)
		return false;
	d.requests = mem_alloc(requests);
	if (!d.requests || !virtio_queue_open(&d.v, 0, SIZE, 0, &d.q))
		return false;
	if (packed)
		*(volatile u32 *)d.q.driver = EVENT_DESC << 16 | 1u << 15;
	return virtio_run(&d.v);
}

static bool open_split(void)
{
	return open(false);
}

static bool open_packed(void)
{
	return open(true);
}

static u64 sectors(void)
{
	return *(volatile u32 *)d.v.config | (u64) * (volatile u32 *)(d.v.config + 4) << 32;
}

/* ---- requests ---- */
/* The flags are the packed ring's; `next` counts for the split one, where a table is linked. */
static u32 fill(struct request *r, bool write, u64 data, u32 bytes)
{
	u16 way = write ? 0 : DESC_WRITE;
	u32 n = 0;

	r->table[n] = (struct desc){.addr = (u64)&r->header, .len = sizeof(r->header)};
	for (n = 1; bytes; n++) {
		u32 part = bytes < PIECE ? bytes : PIECE;
		r->table[n] = (struct desc){.addr = data, .len = part};
		if (d.packed)
			r->table[n].fourth = way;
		else
			r->table[n].third = way;
		data += part;
		bytes -= part;
	}
	r->table[n] = (struct desc){.addr = (u64)&r->status, .len = 1};
	if (d.packed)
		r->table[n].fourth = DESC_WRITE;
	else
		r->table[n].third = DESC_WRITE;
	for (u32 i = 0; !d.packed && i < n; i++) {
		r->table[i].third |= DESC_NEXT;
		r->table[i].fourth = (u16)(i + 1);
	}
	return n + 1;
}

static bool round_of(u16 position)
{
	return virtio_round(position, SIZE);
}

static void add(unsigned tag, bool write, u64 sector, void *data, u32 bytes)
{
	struct request *r = &d.requests[tag];
	volatile struct desc *to = &d.q.desc[d.packed ? d.next % SIZE : tag];
	u32 n = fill(r, write, (u64)data, bytes);

	r->header = (struct header){.type = write, .sector = sector};
	r->status = 0xff;
	to->addr = (u64)r->table;
	to->len = n * (u32)sizeof(struct desc);
	if (d.packed) {
		to->third = (u16)tag;
		__atomic_store_n(&to->fourth,
				 (u16)(DESC_INDIRECT | (round_of(d.next) ? DESC_AVAIL : DESC_USED)),
				 __ATOMIC_RELEASE);
	} else {
		to->third = DESC_INDIRECT;
		d.q.driver[2 + d.next % SIZE] = (u16)tag;
	}
	d.next++;
}

/* Whether the device's wish is one of what was put since it was told last. */
static bool device_waits(void)
{
	u16 event = d.q.device[2 + 4 * SIZE];

	if (!d.packed)
		return (u16)(d.next - event - 1) < (u16)(d.next - d.kicked);
	u32 wish = *(volatile u32 *)d.q.device;
	if (wish >> 16 != EVENT_DESC)
		return wish >> 16 != EVENT_DISABLE;
	for (u16 i = d.kicked; i != d.next; i++)
		if ((wish & 0x7fff) == i % SIZE && (wish >> 15 & 1) == round_of(i))
			return true;
	return false;
}

static void kick(void)
{
	if (!d.packed)
		__atomic_store_n(&d.q.driver[1], d.next, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bool tell = device_waits();
	d.kicked = d.next;
	if (tell)
		disk_doorbell(d.q.port, 0);
}

static bool is_used(void)
{
	u16 flags;

	if (!d.packed)
		return __atomic_load_n(&d.q.device[1], __ATOMIC_ACQUIRE) != d.used;
	flags = __atomic_load_n(&d.q.desc[d.used % SIZE].fourth, __ATOMIC_ACQUIRE);
	return !!(flags & DESC_AVAIL) == round_of(d.used) && !!(flags & DESC_USED) == round_of(d.used);
}

/* The next completion is worth an interrupt. */
static void want_event(void)
{
	if (d.packed)
		*(volatile u32 *)d.q.driver = EVENT_DESC << 16 | (u32)round_of(d.used) << 15 | d.used % SIZE;
	else
		d.q.driver[2 + SIZE] = d.used;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool take(unsigned *tag, bool *ok)
{
	if (!is_used()) {
		want_event();
		if (!is_used())
			return false;
	}
	*tag =
	    d.packed ? d.q.desc[d.used % SIZE].third : *(volatile u32 *)&d.q.device[2 + 4 * (d.used % SIZE)];
	*ok = d.requests[*tag].status == 0;
	d.used++;
	return true;
}

const struct disk_driver disk_virtio = {"virtio", open_split, sectors, add, kick, take, NULL, false};
const struct disk_driver disk_packed = {"packed", open_packed, sectors, add, kick, take, NULL, false};
