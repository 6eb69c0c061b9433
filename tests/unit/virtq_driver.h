/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's side of a virtqueue, written from virtio 1.2, 2.7 and 2.8, for tests: it uses the guest's
 * memory alone. And a guest's memory with everything that a hostile address may point at. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ept.h"
#include "gmem.h"
#include "host.h"
#include "must.h"
#include "shim.h"
#include "virtq.h"

/* ---- a guest's memory: RAM, ROM, RAM behind it, a hole of devices, RAM; each as long as a large page, so
 * that the same guest can be had in small pages and in large ones ---- */
#define RAM_END 0x200000ull
#define ROM_BASE 0x200000ull
#define ROM_END 0x400000ull
#define RAM2_END 0x600000ull
#define HOLE 0x600000ull
#define HIGH_BASE 0x800000ull
#define HIGH_END 0xa00000ull

static struct ept guest_ept;
static struct gmem guest_ram;
static bool ram_large; /* of the next: in pages of 2 MiB, of which virtqueues know where they are */

static inline void ram_create(void)
{
	static const struct ept_options opt = {.pages_2m = true};

	shim_fail_after = -1;
	MUST(ept_init(&guest_ept, &opt) == 0);
	gmem_init(&guest_ram, &guest_ept, ram_large ? 9 : 0, ~0ull >> 1);
	MUST(gmem_add_slot(&guest_ram, 0, RAM_END, 0) == 0);
	MUST(gmem_add_slot(&guest_ram, ROM_BASE, ROM_END - ROM_BASE, GMEM_READONLY) == 0);
	MUST(gmem_add_slot(&guest_ram, ROM_END, RAM2_END - ROM_END, 0) == 0);
	MUST(gmem_add_slot(&guest_ram, HIGH_BASE, HIGH_END - HIGH_BASE, 0) == 0);
}

/* Both ways, for what only the short way or only the long one gets wrong: a group of cmocka tests. */
static inline int ram_both_ways(int (*run)(void))
{
	int failed = run();

	ram_large = true;
	return failed + run();
}

/* From 20 bits: one place within 64 KiB of where a part of memory begins or ends. */
static inline gpa_t ram_near(u32 where)
{
	gpa_t from = (gpa_t)(where >> 17) << 21;

	return from + (where & 0x1ffff) - (from ? 0x10000 : 0);
}

static inline void ram_destroy(void)
{
	shim_fail_after = -1;
	gmem_destroy(&guest_ram);
	ept_destroy(&guest_ept);
}

/* Of an element that no page boundary cuts. */
static inline void *at(gpa_t gpa, size_t n)
{
	void *p = gmem_ptr(&guest_ram, gpa, n);

	MUST(p);
	return p;
}

static inline u16 get16(gpa_t gpa)
{
	return __atomic_load_n((u16 *)at(gpa, 2), __ATOMIC_ACQUIRE);
}

static inline u32 get32(gpa_t gpa)
{
	return __atomic_load_n((u32 *)at(gpa, 4), __ATOMIC_ACQUIRE);
}

static inline void set16(gpa_t gpa, u16 value)
{
	__atomic_store_n((u16 *)at(gpa, 2), value, __ATOMIC_RELEASE);
}

static inline void set32(gpa_t gpa, u32 value)
{
	__atomic_store_n((u32 *)at(gpa, 4), value, __ATOMIC_RELEASE);
}

static inline void set64(gpa_t gpa, u64 value)
{
	__atomic_store_n((u64 *)at(gpa, 8), value, __ATOMIC_RELEASE);
}

/* ---- a driver ---- */
#define DRIVER_SIZE_MAX VIRTQ_SIZE_MAX

struct buffer {
	gpa_t gpa;
	u32 len;
	bool write;
};

struct driver {
	struct virtq_setup s;
	bool packed, event_idx;
	/* Split: free descriptors, linked. Packed: free ids. */
	u16 free[DRIVER_SIZE_MAX];
	unsigned nr_free;              /* of those */
	unsigned room;                 /* descriptors not in use */
	u16 descs_of[DRIVER_SIZE_MAX]; /* by id: what it gives back */
	u16 chain[DRIVER_SIZE_MAX][8]; /* split: which they are */
	u16 next_avail, next_used;
	u16 told;     /* split: where the device was told last */
	u32 unkicked; /* packed: descriptors since then */
	bool avail_wrap, used_wrap;
	gpa_t tables; /* one of 8 descriptors for each id */
};

static inline void driver_init(struct driver *d, u16 size, u64 features, gpa_t base)
{
	memset(d, 0, sizeof(*d));
	d->packed = features & VIRTIO_F_RING_PACKED;
	d->event_idx = features & VIRTIO_F_EVENT_IDX;
	d->s = (struct virtq_setup){.size = size,
				    .desc = base,
				    .driver = base + 0x2000 + (d->packed ? 0 : 0xff6),
				    .device = base + 0x4000 + (d->packed ? 0 : 0xfec),
				    .features = features};
	for (u16 i = 0; i < size; i++)
		d->free[i] = i;
	d->nr_free = d->room = size;
	d->avail_wrap = d->used_wrap = true;
	d->tables = base + 0x6008; /* some cross a page */
	MUST(gmem_set(&guest_ram, base, 0, 0x6000) == 0);
}

static inline void desc_write(gpa_t gpa, u64 addr, u32 len, u16 third, u16 fourth)
{
	u8 d[16];

	memcpy(d, &addr, 8);
	memcpy(d + 8, &len, 4);
	memcpy(d + 12, &third, 2);
	memcpy(d + 14, &fourth, 2);
	MUST(gmem_write(&guest_ram, gpa, d, sizeof(d)) == 0);
}

static inline void split_publish(struct driver *d, u16 head)
{
	set16(d->s.driver + 4 + 2 * (d->next_avail % d->s.size), head);
	set16(d->s.driver + 2, ++d->next_avail);
}

static inline u16 split_add(struct driver *d, const struct buffer *b, unsigned n, bool indirect)
{
	unsigned own = indirect ? 1 : n;
	u16 slots[8];

	for (unsigned i = 0; i < own; i++)
		slots[i] = d->free[--d->nr_free];
	gpa_t table = d->tables + slots[0] * 128ull;
	for (unsigned i = 0; i < n; i++) {
		u16 flags = (b[i].write ? VIRTQ_DESC_WRITE : 0) | (i + 1 < n ? VIRTQ_DESC_NEXT : 0);
		u16 next = i + 1 == n ? 0x7777 : indirect ? (u16)(i + 1) : slots[i + 1];
		desc_write(indirect ? table + 16 * i : d->s.desc + 16 * slots[i], b[i].gpa, b[i].len, flags,
			   next);
	}
	if (indirect)
		desc_write(d->s.desc + 16 * slots[0], table, 16 * n, VIRTQ_DESC_INDIRECT, 0);
	memcpy(d->chain[slots[0]], slots, sizeof(slots));
	d->descs_of[slots[0]] = (u16)own;
	d->room -= own;
	split_publish(d, slots[0]);
	return slots[0];
}

static inline u16 packed_add(struct driver *d, const struct buffer *b, unsigned n, bool indirect)
{
	unsigned own = indirect ? 1 : n;
	u16 id = d->free[--d->nr_free], first = d->next_avail, first_flags = 0;
	gpa_t table = d->tables + id * 128ull;

	for (unsigned i = 0; indirect && i < n; i++)
		desc_write(table + 16 * i, b[i].gpa, b[i].len, 0x5555, b[i].write ? VIRTQ_DESC_WRITE : 0);
	for (unsigned i = 0; i < own; i++) {
		u16 flags = d->avail_wrap ? VIRTQ_DESC_AVAIL : VIRTQ_DESC_USED;
		gpa_t desc = d->s.desc + 16 * d->next_avail;
		if (indirect)
			flags |= VIRTQ_DESC_INDIRECT;
		else
			flags |= (b[i].write ? VIRTQ_DESC_WRITE : 0) | (i + 1 < n ? VIRTQ_DESC_NEXT : 0);
		set64(desc, indirect ? table : b[i].gpa);
		set32(desc + 8, indirect ? 16 * n : b[i].len);
		set16(desc + 12, i + 1 == own ? id : 0x5555);
		if (i)
			set16(desc + 14, flags);
		else
			first_flags = flags;
		if (++d->next_avail == d->s.size) {
			d->next_avail = 0;
			d->avail_wrap = !d->avail_wrap;
		}
	}
	d->descs_of[id] = (u16)own;
	d->room -= own;
	d->unkicked += own;
	set16(d->s.desc + 16 * first + 14, first_flags);
	return id;
}

/* Makes a chain available; there must be room for it. Returns its id. */
static inline u16 driver_add(struct driver *d, const struct buffer *b, unsigned n, bool indirect)
{
	MUST(n && n <= 8 && d->room >= (indirect ? 1 : n));
	return d->packed ? packed_add(d, b, n, indirect) : split_add(d, b, n, indirect);
}

/* After some: whether the device is to be told. */
static inline bool driver_kick(struct driver *d)
{
	bool told;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (d->packed) {
		u32 event = get32(d->s.device), flags = event >> 16;
		told = flags == 0;
		if (flags == 2)
			told = virtq_packed_passed((u16)event, d->next_avail, d->avail_wrap, d->s.size,
						   d->unkicked);
		d->unkicked = 0;
	} else {
		told = !(get16(d->s.device) & 1);
		if (d->event_idx)
			told = virtq_split_passed(get16(d->s.device + 4 + 8 * d->s.size), d->next_avail,
						  (u16)(d->next_avail - d->told));
		d->told = d->next_avail;
	}
	return told;
}

/* True: a chain came back. */
static inline bool driver_used(struct driver *d, u16 *id, u32 *len)
{
	if (d->packed) {
		gpa_t desc = d->s.desc + 16 * d->next_used;
		u16 flags = get16(desc + 14);
		bool avail = flags & VIRTQ_DESC_AVAIL, used = flags & VIRTQ_DESC_USED;
		if (avail != used || used != d->used_wrap)
			return false;
		*id = get16(desc + 12);
		*len = get32(desc + 8);
		MUST(*id < d->s.size && d->descs_of[*id]);
		d->next_used = (u16)(d->next_used + d->descs_of[*id]);
		if (d->next_used >= d->s.size) {
			d->next_used = (u16)(d->next_used - d->s.size);
			d->used_wrap = !d->used_wrap;
		}
		d->free[d->nr_free++] = *id;
	} else {
		gpa_t entry = d->s.device + 4 + 8 * (d->next_used % d->s.size);
		if (get16(d->s.device + 2) == d->next_used)
			return false;
		MUST(get32(entry) < d->s.size);
		*id = (u16)get32(entry);
		*len = get32(entry + 4);
		MUST(d->descs_of[*id]);
		for (unsigned i = 0; i < d->descs_of[*id]; i++)
			d->free[d->nr_free++] = d->chain[*id][i];
		d->next_used++;
	}
	d->room += d->descs_of[*id];
	d->descs_of[*id] = 0;
	return true;
}

/* Wants to be told when `after` more than the next one have come back; with event indices only. */
static inline void driver_want_event(struct driver *d, u16 after)
{
	if (d->packed) {
		u32 position = d->next_used + after;
		bool wrap = d->used_wrap ^ (position >= d->s.size);
		set32(d->s.driver, 2u << 16 | (u32)wrap << 15 | position % d->s.size);
	} else {
		set16(d->s.driver + 4 + 2 * d->s.size, (u16)(d->next_used + after));
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void driver_want(struct driver *d, bool on)
{
	if (d->packed)
		set32(d->s.driver, (on ? 0u : 1u) << 16);
	else
		set16(d->s.driver, !on);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
