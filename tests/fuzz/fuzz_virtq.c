/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile driver against a virtqueue of either layout (M67): its ring, its tables and its events are what
 * the input says, and change at any moment. Beyond what the sanitizers see: what a chain gives is the guest's
 * memory, never its ROM where the device is to write, as many bytes as were counted, and no more segments
 * than there is room for; a queue that is broken stays so.
 *
 * An input is a setup of 8 bytes and a sequence of steps of 8: what, where (24 bits), value (32 bits). */
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

/* Whether the guest may write what lies there; found by its frame. */
static bool is_ram(const u8 *p, bool written)
{
	for (unsigned i = 0; i < guest_ram.nr_slots; i++) {
		const struct gmem_slot *s = &guest_ram.slots[i];
		for (gpa_t gpa = s->base; gpa < s->base + s->length; gpa += PAGE_SIZE) {
			struct ept_leaf leaf;
			if (ept_lookup(&guest_ept, gpa, &leaf) == 0 &&
			    (u64)(p - (u8 *)phys_to_virt(leaf.hpa)) < PAGE_SIZE)
				return !(written && s->flags & GMEM_READONLY);
		}
	}
	return false;
}

static void check_chain(const struct virtq_chain *c)
{
	u64 sum[2] = {0, 0};

	MUST(c->nr_read + c->nr_write <= ROOM);
	for (u32 i = 0; i < c->nr_read + c->nr_write; i++) {
		const struct piece *s = &segments[i];
		bool write = i >= c->nr_read;
		MUST(s->length && is_ram(s->base, write) && is_ram(s->base + s->length - 1, write));
		sum[write] += s->length;
		if (write)
			memset(s->base, 0x11, MIN(s->length, 64u));
	}
	MUST(c->too_long || (sum[0] == c->read_bytes && sum[1] == c->write_bytes));
	MUST(sum[0] <= c->read_bytes && sum[1] <= c->write_bytes);
}

static void pop(void)
{
	struct virtq_chain c = {.segments = segments, .room = ROOM};
	bool broken = queue.broken;

	segments[ROOM].length = 0x12345678;
	if (nr_flights == IN_FLIGHT)
		return;
	int rc = virtq_pop(&queue, &c);
	MUST(rc <= 1 && segments[ROOM].length == 0x12345678);
	MUST(queue.broken == (rc < 0) && (!broken || rc < 0));
	if (rc == 1) {
		check_chain(&c);
		MUST(c.descs && c.descs <= place.size);
		flights[nr_flights++] = c;
	}
}

static void push(u32 which, u32 written)
{
	if (!nr_flights)
		return;
	which %= nr_flights;
	virtq_push(&queue, &flights[which], written);
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
		return w & 0xfffff;
	}
}

static void step(const uint8_t *s)
{
	u32 w = s[1] | s[2] << 8 | (u32)s[3] << 16, value = s[4] | s[5] << 8 | s[6] << 16 | (u32)s[7] << 24;
	u64 wide = value | (u64)(w & 0xff) << 32;

	switch (s[0] & 15) {
	case 0 ... 5:
		(void)gmem_write(&guest_ram, where(w), &wide, 1 + (s[0] >> 4 & 7));
		break;
	case 6: /* one more is available */
		wide = (u16)(queue.next_avail + 1 + (w & 3));
		(void)gmem_write(&guest_ram, place.driver + 2, &wide, 2);
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
