/* SPDX-License-Identifier: Apache-2.0 */
/* A driver for the virtio disk (virtio 1.2, 2.7, 2.8, 4.1 and 5.2) that does what Linux's does for each
 * request: one indirect table, an event index before it says or hears anything, a message for completions. */
#include "apic.h"
#include "disk.h"
#include "page.h"

#define VECTOR 0x70
#define SIZE 64u /* descriptors */
#define PIECE 8192u
#define F_SIZE_MAX BIT(1)
#define F_SEG_MAX BIT(2)
#define F_INDIRECT BIT(28)
#define F_EVENT_IDX BIT(29)
#define F_VERSION_1 BIT(32)
#define F_PACKED BIT(34)
#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define DESC_AVAIL 0x80u
#define DESC_USED 0x8000u
#define EVENT_DESC 2u /* flags of packed event suppression, 2.8.14 */
#define EVENT_DISABLE 1u

struct desc {
	u64 addr;
	u32 len;
	u16 third, fourth; /* split: flags, next; packed: id, flags */
};

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
	volatile u8 *common, *config;
	u16 doorbell; /* port */
	bool packed;
	volatile struct desc *desc;
	volatile u16 *driver, *device; /* the other areas */
	u16 next, kicked, used;        /* free-running; packed: what is put, told and taken */
	struct request *requests;
} d;

static void set8(unsigned at, u8 v)
{
	d.common[at] = v;
}

static void set16(unsigned at, u16 v)
{
	*(volatile u16 *)(d.common + at) = v;
}

static void set32(unsigned at, u32 v)
{
	*(volatile u32 *)(d.common + at) = v;
}

static u32 get32(unsigned at)
{
	return *(volatile u32 *)(d.common + at);
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

	if (type == 1)
		d.common = bar(devfn, index) + offset;
	else if (type == 2 && index == 1)
		d.doorbell = (u16)((disk_pci_read(devfn, 0x14) & ~3u) + offset);
	else if (type == 4)
		d.config = bar(devfn, index) + offset;
}

/* One vector for the queue. */
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
	int devfn = disk_pci_find(0x1af4, 0x1042);
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
	if (!d.common || !d.config || !d.doorbell || !msix)
		return false;
	disk_interrupts_on(VECTOR);
	messages_on(devfn, msix);
	return true;
}

static u64 features(void)
{
	set32(0, 0);
	u64 low = get32(4);
	set32(0, 1);
	return low | (u64)get32(4) << 32;
}

/* 3.1.1. */
static bool negotiate(void)
{
	u64 want =
	    F_VERSION_1 | F_INDIRECT | F_EVENT_IDX | F_SIZE_MAX | F_SEG_MAX | (d.packed ? F_PACKED : 0);

	set8(0x14, 0);
	while (d.common[0x14])
		;
	set8(0x14, 3);
	if ((features() & want) != want)
		return false;
	for (u32 i = 0; i < 2; i++) {
		set32(8, i);
		set32(12, (u32)(want >> (32 * i)));
	}
	set8(0x14, 11);
	return d.common[0x14] == 11 && *(volatile u32 *)(d.config + 8) >= PIECE &&
	       *(volatile u32 *)(d.config + 12) >= DISK_BYTES_MAX / PIECE;
}

static bool open(bool packed)
{
	u64 requests = (sizeof(struct request) * DISK_DEPTH_MAX + PAGE_SIZE - 1) / PAGE_SIZE;

	memset(&d, 0, sizeof(d));
	d.packed = packed;
	if (!find() || !negotiate())
		return false;
	d.desc = mem_alloc(1);
	d.driver = mem_alloc(1);
	d.device = mem_alloc(1);
	d.requests = mem_alloc(requests);
	if (!d.desc || !d.driver || !d.device || !d.requests)
		return false;
	set16(0x16, 0);
	set16(0x18, SIZE);
	set32(0x20, (u32)(u64)d.desc);
	set32(0x28, (u32)(u64)d.driver);
	set32(0x30, (u32)(u64)d.device);
	set16(0x1a, 0);
	if (packed)
		*(volatile u32 *)d.driver = EVENT_DESC << 16 | 1u << 15;
	set16(0x1c, 1);
	set8(0x14, 15);
	return d.common[0x14] == 15;
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
	return *(volatile u32 *)d.config | (u64) * (volatile u32 *)(d.config + 4) << 32;
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
	return !(position / SIZE & 1); /* the wrap counter: 1 in the first round */
}

static void add(unsigned tag, bool write, u64 sector, void *data, u32 bytes)
{
	struct request *r = &d.requests[tag];
	volatile struct desc *to = &d.desc[d.packed ? d.next % SIZE : tag];
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
		d.driver[2 + d.next % SIZE] = (u16)tag;
	}
	d.next++;
}

/* Whether the device's wish is one of what was put since it was told last. */
static bool device_waits(void)
{
	u16 event = d.device[2 + 4 * SIZE];

	if (!d.packed)
		return (u16)(d.next - event - 1) < (u16)(d.next - d.kicked);
	u32 wish = *(volatile u32 *)d.device;
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
		__atomic_store_n(&d.driver[1], d.next, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bool tell = device_waits();
	d.kicked = d.next;
	if (tell)
		disk_doorbell(d.doorbell, 0);
}

static bool is_used(void)
{
	u16 flags;

	if (!d.packed)
		return __atomic_load_n(&d.device[1], __ATOMIC_ACQUIRE) != d.used;
	flags = __atomic_load_n(&d.desc[d.used % SIZE].fourth, __ATOMIC_ACQUIRE);
	return !!(flags & DESC_AVAIL) == round_of(d.used) && !!(flags & DESC_USED) == round_of(d.used);
}

/* The next completion is worth an interrupt. */
static void want_event(void)
{
	if (d.packed)
		*(volatile u32 *)d.driver = EVENT_DESC << 16 | (u32)round_of(d.used) << 15 | d.used % SIZE;
	else
		d.driver[2 + SIZE] = d.used;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static bool take(unsigned *tag, bool *ok)
{
	if (!is_used()) {
		want_event();
		if (!is_used())
			return false;
	}
	*tag = d.packed ? d.desc[d.used % SIZE].third : *(volatile u32 *)&d.device[2 + 4 * (d.used % SIZE)];
	*ok = d.requests[*tag].status == 0;
	d.used++;
	return true;
}

const struct disk_driver disk_virtio = {"virtio", open_split, sectors, add, kick, take, NULL, false};
const struct disk_driver disk_packed = {"packed", open_packed, sectors, add, kick, take, NULL, false};
