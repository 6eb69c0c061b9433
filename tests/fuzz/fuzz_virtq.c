/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver against a virtqueue of either layout (M67): its ring, its tables and its events are what
 * the input says, and change at any moment. Beyond what the sanitizers see: what a chain gives is what a slow
 * reader of virtio 1.2 makes of it, by gmem_read() and gmem_ptr() alone and nothing remembered, byte for
 * byte, and so the same by the short way through large pages (M69) as by the long one; no more segments than
 * there is room for; what is pushed stands in the ring; a queue that is broken stays so.
 *
 * An input is a setup of 8 bytes and a sequence of steps of 8: what, where (24 bits), value (32 bits). The
 * first byte's bit 4 chooses pages of 2 MiB. */
#include "tests/unit/virtq_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8
#define ROOM 24
#define IN_FLIGHT 16

static struct virtq queue;
static struct virtq_setup place;
static struct piece segments[ROOM + 1];
static struct virtq_chain flights[IN_FLIGHT];
static unsigned nr_flights;

/* ---- the slow reader: 2.7.5 to 2.7.6, 2.8 ---- */
#define BUFFERS_MAX (VIRTQ_SIZE_MAX + VIRTQ_HOPS_MAX)
static struct buffer buffers[BUFFERS_MAX];
static unsigned nr_buffers;
static u64 sums[2]; /* bytes to be read, to be written */

struct desc {
	u64 addr;
	u32 len;
	u16 third, fourth;
};
_Static_assert(sizeof(struct desc) == 16, "virtio 1.2, 2.7.5");

static bool buffer_is_good(const struct buffer *b)
{
	u64 at = b->gpa;

	for (u64 left = b->len, part; left; left -= part, at += part) {
		const struct gmem_slot *s = gmem_slot_of(&guest_ram, at);
		if (!s || (b->write && s->flags & GMEM_READONLY))
			return false;
		part = MIN(left, s->base + s->length - at);
	}
	return true;
}

static bool slow_add(const struct desc *d, bool write)
{
	struct buffer b = {d->addr, d->len, write};

	if ((!write && sums[1]) || !buffer_is_good(&b) || nr_buffers == BUFFERS_MAX)
		return false;
	sums[write] += d->len;
	buffers[nr_buffers++] = b;
	return true;
}

/* Descriptors i on of a table of `count`; *used: how many of them. Those of tables within tables, and of
 * rings that go round, are told apart by `ring`. */
static bool slow_chain(gpa_t table, u32 count, u32 i, bool ring, u32 hops, u16 *used)
{
	const bool packed = place.features & VIRTIO_F_RING_PACKED;
	struct desc d;

	for (*used = 1;; ++*used) {
		if (!hops-- || i >= count || gmem_read(&guest_ram, table + 16ull * i, &d, 16))
			return false;
		u16 flags = packed ? d.fourth : d.third;
		if (flags & VIRTQ_DESC_INDIRECT && (ring || !packed)) {
			u16 inner;
			if (!ring || flags & VIRTQ_DESC_NEXT || !queue.indirect || (packed && *used > 1) ||
			    !d.len || d.len % 16 || d.addr + d.len < d.addr)
				return false;
			return slow_chain(d.addr, d.len / 16, 0, false,
					  VIRTQ_HOPS_MAX - (packed ? 0 : *used - 1u), &inner);
		}
		if (!slow_add(&d, flags & VIRTQ_DESC_WRITE))
			return false;
		if (packed && !ring ? i + 1 == count : !(flags & VIRTQ_DESC_NEXT))
			return true;
		i = !packed ? d.fourth : ring ? (i + 1) % count : i + 1;
	}
}

/* As virtq_pop(), of which it changes nothing; -1: it fails. */
static int slow_pop(u16 *descs)
{
	u16 index, head;
	struct desc d;

	nr_buffers = 0;
	sums[0] = sums[1] = 0;
	if (queue.broken)
		return -1;
	if (queue.packed) {
		MUST(gmem_read(&guest_ram, place.desc + 16u * queue.next_avail, &d, 16) == 0);
		if (!(d.fourth & VIRTQ_DESC_AVAIL) == queue.avail_wrap ||
		    !(d.fourth & VIRTQ_DESC_USED) != queue.avail_wrap)
			return 0;
		return slow_chain(place.desc, place.size, queue.next_avail, true, place.size, descs) &&
			       queue.taken + *descs <= place.size
			   ? 1
			   : -1;
	}
	MUST(gmem_read(&guest_ram, place.driver + 2, &index, 2) == 0);
	if (queue.seen != queue.next_avail)
		index = queue.seen; /* it has been told before */
	if ((u16)(index - queue.next_avail) > place.size || (u16)(index - queue.next_used) > place.size)
		return -1;
	if (index == queue.next_avail)
		return 0;
	MUST(gmem_read(&guest_ram, place.driver + 4 + queue.next_avail % place.size * 2u, &head, 2) == 0);
	return slow_chain(place.desc, place.size, head, true, place.size, descs) ? 1 : -1;
}

/* The bytes of the segments are those of the buffers, in their order; the first ones, if there are too many.
 */
static void check_chain(const struct virtq_chain *c)
{
	const u32 nr = c->nr_read + c->nr_write;
	u32 s = 0, done = 0; /* segment, and bytes of it */

	MUST(nr <= ROOM && c->read_bytes == sums[0] && c->write_bytes == sums[1]);
	for (unsigned i = 0; i < nr_buffers; i++)
		for (u64 at = 0; at < buffers[i].len;) {
			const gpa_t gpa = buffers[i].gpa + at;
			const u32 part = (u32)MIN(buffers[i].len - at, PAGE_SIZE - gpa % PAGE_SIZE);
			if (s == nr) {
				MUST(c->too_long);
				return;
			}
			MUST((s >= c->nr_read) == buffers[i].write && done + part <= segments[s].length);
			MUST(segments[s].base + done == (u8 *)gmem_ptr(&guest_ram, gpa, 1));
			at += part;
			done += part;
			if (done == segments[s].length) {
				s++;
				done = 0;
			}
		}
	MUST(s == nr && !done && !c->too_long);
}

static void pop(void)
{
	struct virtq_chain c = {.segments = segments, .room = ROOM};
	bool broken = queue.broken;
	u16 descs = 0;

	segments[ROOM].length = 0x12345678;
	if (nr_flights == IN_FLIGHT)
		return;
	int slow = slow_pop(&descs);
	int rc = virtq_pop(&queue, &c);
	MUST(rc <= 1 && segments[ROOM].length == 0x12345678);
	MUST(queue.broken == (rc < 0) && (!broken || rc < 0));
	MUST(slow < 0 ? rc < 0 : rc == slow);
	if (rc == 1) {
		check_chain(&c);
		MUST(c.descs == (queue.packed ? descs : 1) && c.descs <= place.size);
		for (u32 i = c.nr_read; i < c.nr_read + c.nr_write; i++)
			memset(segments[i].base, 0x11, MIN(segments[i].length, 64u));
		flights[nr_flights++] = c;
	}
}

static void push(u32 which, u32 written)
{
	const u16 at = queue.next_used;
	u64 entry = 0;

	if (!nr_flights)
		return;
	which %= nr_flights;
	virtq_push(&queue, &flights[which], written);
	if (!queue.broken && queue.packed)
		MUST(gmem_read(&guest_ram, place.desc + 16ull * at + 8, &entry, 6) == 0 &&
		     entry == ((u64)flights[which].id << 32 | written));
	else if (!queue.broken)
		MUST(gmem_read(&guest_ram, place.device + 4 + at % place.size * 8ull, &entry, 8) == 0 &&
		     entry == ((u64)written << 32 | flights[which].id));
	flights[which] = flights[--nr_flights];
}

/* Into one of the areas, a table, or anywhere. */
static gpa_t where(u32 w)
{
	static const gpa_t tables = 0x30000;
	u32 offset = w & 0xfff;

	switch (w >> 20 & 7) {
	case 0 ... 1:
		return place.desc + offset % (16u * place.size + 1);
	case 2 ... 3:
		return place.driver + offset % (2u * place.size + 6);
	case 4:
		return place.device + offset % (8u * place.size + 6);
	case 5 ... 6:
		return tables + offset;
	default:
		return ram_near(w & 0xfffff);
	}
}

/* One buffer that is nearly right, and available next. */
static void descriptor(u32 w, u32 value)
{
	u16 i = (u16)(queue.packed ? queue.next_avail : (w & 0xff) % place.size), flags = w >> 8 & 3;
	struct desc d = {ram_near(value & 0xfffff), (value >> 20) << (w >> 10 & 15), flags, (u16)(w >> 14)};

	if (queue.packed) {
		d.third = (u16)w;
		d.fourth = flags | (queue.avail_wrap ? VIRTQ_DESC_AVAIL : VIRTQ_DESC_USED);
	}
	(void)gmem_write(&guest_ram, place.desc + 16ull * i, &d, sizeof(d));
	if (!queue.packed)
		(void)gmem_write(&guest_ram, place.driver + 4 + queue.next_avail % place.size * 2ull, &i, 2);
}

static void more_available(u32 jump)
{
	u16 index = (u16)(queue.next_avail + 1 + jump);

	if (!queue.packed)
		(void)gmem_write(&guest_ram, place.driver + 2, &index, 2);
}

static void step(const uint8_t *s)
{
	u32 w = s[1] | s[2] << 8 | (u32)s[3] << 16, value = s[4] | s[5] << 8 | s[6] << 16 | (u32)s[7] << 24;
	u64 wide = value | (u64)(w & 0xff) << 32;

	switch (s[0] & 15) {
	case 0 ... 3:
		(void)gmem_write(&guest_ram, where(w), &wide, 1 + (s[0] >> 4 & 7));
		break;
	case 4 ... 5:
		if (queue.broken)
			break;
		descriptor(w, value);
		if (!(s[0] & 0x80))
			break;
		more_available(0);
		pop();
		if (s[0] & 0x40)
			push(0, value);
		break;
	case 6:
		more_available(w & 3);
		break;
	case 7 ... 9:
		pop();
		break;
	case 10:
		push(w, value);
		break;
	case 11:
		(void)virtq_interrupt(&queue);
		break;
	case 12:
		virtq_kicks_off(&queue);
		break;
	case 13:
		(void)virtq_kicks_on(&queue);
		break;
	case 14:
		ept_request_flush(&guest_ept);
		break;
	default:
		nr_flights = 0;
		(void)virtq_start(&queue, &guest_ram, &place);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const gpa_t bases[] = {0x10000,          0x10ff0, ROM_BASE, RAM2_END - 0x40,
				      HIGH_END - 0x100, HOLE,    ~0xfffull};

	if (size < STEP)
		return 0;
	ram_large = data[0] & 0x10;
	ram_create();
	nr_flights = 0;
	u64 features = (data[0] & 1 ? VIRTIO_F_RING_PACKED : 0) | (data[0] & 2 ? VIRTIO_F_EVENT_IDX : 0) |
		       (data[0] & 4 ? VIRTIO_F_INDIRECT_DESC : 0);
	place = (struct virtq_setup){.size = data[0] & 8 ? (u16)(data[1] | data[2] << 8)
							 : (u16)(1u << (data[1] & 7)),
				     .desc = bases[data[3] % ARRAY_SIZE(bases)],
				     .driver = bases[data[4] % ARRAY_SIZE(bases)] + (data[6] & 0xf0) * 16u,
				     .device = bases[data[5] % ARRAY_SIZE(bases)] + (data[7] & 0xfe) * 32u,
				     .features = features};
	int rc = virtq_start(&queue, &guest_ram, &place);
	MUST(queue.broken == (rc != 0));
	for (; size >= STEP; data += STEP, size -= STEP)
		step(data);
	ram_destroy();
	MUST(shim_pages_in_use == 0);
	return 0;
}
