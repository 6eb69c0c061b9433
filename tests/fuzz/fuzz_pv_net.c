/* SPDX-License-Identifier: Apache-2.0 */
/* Two hostile guests against their network interfaces behind Socle rings (M67): the memory of the rings at
 * any moment, requests of any form, doorbells, rings opened and closed in the middle; frames from one to the
 * other, by copy and by page flip, to and from a third port; vCPUs that notice late that pages have moved.
 * Beyond what the sanitizers see: a ring that is closed is not written to, nothing stays pinned and no VM has
 * more or less memory than before, what the peer gets is a frame within bounds, few timers are armed, and
 * after a close each interface works.
 *
 * An input is a byte, whose bits 0 to 2 choose anti-spoofing, a rate, and pages of 2 MiB, then a sequence of
 * 8-byte steps: what, where (24 bits), value (32 bits). */
#include "tests/unit/pv_net_board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8
#define RING_OF(ring) (0x8000ull + (ring)*0x8000ull)
#define LISTS 0x18000ull /* of segments */
#define FRAMES 0x20000ull

static u32 ids[SIDES][2];
static bool anywhere[SIDES]; /* a segment has pointed, perhaps at a ring */
static struct {
	bool is;
	gpa_t base;
	u32 slots;
	u8 header[64]; /* Socle's half */
} closed[SIDES][2];

/* The end of a VM waits for the vCPUs of the other. */
void cpu_poll_interrupts(void)
{
	side[0].lags = side[1].lags = false;
	fake_run_until(shim_tsc + ns_to_tsc(100000));
}

/* What Socle may not write any more. */
static void remember_closed(unsigned i, unsigned ring)
{
	gpa_t base = closed[i][ring].base + 64;

	closed[i][ring].is = !anywhere[i] && gmem_check(&side[i].mem, base, 64, 64) == 0;
	if (closed[i][ring].is)
		memcpy(closed[i][ring].header, side_at(&side[i], base, 64), 64);
}

static void check_closed(void)
{
	for (unsigned i = 0; i < 2 * SIDES; i++)
		if (closed[i / 2][i % 2].is && !anywhere[i / 2])
			MUST(memcmp(closed[i / 2][i % 2].header,
				    side_at(&side[i / 2], closed[i / 2][i % 2].base + 64, 64), 64) == 0);
}

static void forget_closed(void)
{
	for (unsigned i = 0; i < 2 * SIDES; i++)
		closed[i / 2][i % 2].is = false;
}

static void ring_open(unsigned i, unsigned ring, u32 w, u32 value)
{
	gpa_t base = RING_OF(ring) + (w >> 4 & 0x7f) * 128;
	u64 slots = w & 0x8000 ? value : 1ull << (value & 15), flip = w & 0x2000 ? SOCLE_RING_OPEN_FLIP : 0;

	if (!(w & 0x4000))
		MUST(gmem_set(&side[i].mem, base, 0, 0x2000) == 0);
	if (pv_open(&side[i].bus, w >> 21, ring, base, slots | flip, value & 0x10 ? SIDE_EVENT + ring : 0) ==
	    0) {
		MUST(w >> 21 == 0 && slots && slots <= SOCLE_RING_MAX);
		closed[i][ring].base = base;
		closed[i][ring].slots = (u32)slots;
		ids[i][ring] = 0;
	}
	/* Rings may lie in each other. */
	forget_closed();
}

static void ring_close(unsigned i, unsigned ring)
{
	if (pv_close(&side[i].bus, 0, ring) == 0)
		remember_closed(i, ring);
}

/* The next request, mostly one that is good. */
static void request(unsigned i, unsigned ring, u32 w, u32 value)
{
	gpa_t base = closed[i][ring].base;
	u32 slots = closed[i][ring].slots, index;
	struct socle_request r = {
	    .id = w & 0x10 ? w >> 16 : ids[i][ring]++ & (slots - 1),
	    .operation = (u8)(w & 0x20 ? w >> 8 & 15 : SOCLE_RING_SEND + ring),
	    .flags = (u8)(w >> 12 & 15),
	    .nr_segments = (u16)(w & 0x40 ? value >> 28 : 0),
	    .length = value & 0x7ff,
	    .address = (w & 0x40 ? LISTS : FRAMES) + (value >> 11 & 0x1fff) * 16,
	};

	if (!slots || gmem_read(&side[i].mem, base, &index, 4))
		return;
	if (w & 0x80) {
		r.length = ring == RX ? 4096 : r.length;
		r.address = ALIGN_DOWN(r.address, PAGE_SIZE);
	}
	(void)gmem_write(&side[i].mem, base + 128 + (index & (slots - 1)) * 32ull, &r, sizeof(r));
	index++;
	(void)gmem_write(&side[i].mem, base, &index, 4);
}

static void frame_header(unsigned i, u32 w, u32 value)
{
	u8 header[14] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	if (w & 0x10)
		memcpy(header, w & 0x20 ? peer_address : side[!i].address, NET_ADDRESS);
	memcpy(header + 6, side[i].address, NET_ADDRESS);
	header[11] ^= (u8)(w >> 8 & 1);
	(void)gmem_write(&side[i].mem, FRAMES + (value & 0x1fff) * 16, header, sizeof(header));
}

static void segment(unsigned i, u32 w, u32 value)
{
	struct socle_segment s = {FRAMES + (value >> 11 & 0x1fff) * 16, value & 0x7ff, 0};

	if (w & 0x10) {
		s.address = (u64)value << 12 | (w >> 5 & 0xfff);
		anywhere[i] = true;
	}
	(void)gmem_write(&side[i].mem, LISTS + (w >> 12 & 0x1ff) * 16, &s, sizeof(s));
}

static void write_memory(unsigned i, unsigned ring, u32 w, u32 value, unsigned n)
{
	gpa_t at = w & 0x800000 ? w & 0x1fffff : closed[i][ring].base + (w >> 4 & 0xfff);

	(void)gmem_write(&side[i].mem, at, &value, n);
	forget_closed();
}

static void step(const uint8_t *s)
{
	u32 w = s[1] | s[2] << 8 | (u32)s[3] << 16, value = s[4] | s[5] << 8 | s[6] << 16 | (u32)s[7] << 24;
	unsigned i = w & 1, ring = w >> 1 & 1;
	struct socle_device d;

	switch (s[0] & 15) {
	case 0:
		ring_open(i, ring, w, value);
		break;
	case 1 ... 4:
		request(i, ring, w, value);
		break;
	case 5 ... 6:
		(void)pv_doorbell(&side[i].bus, w >> 21, ring);
		break;
	case 7:
		frame_header(i, w, value);
		break;
	case 8:
		segment(i, w, value);
		break;
	case 9:
		write_memory(i, ring, w, value, 1u << (s[0] >> 4) % 3);
		break;
	case 10:
		ring_close(i, ring);
		break;
	case 11:
		if (!peer.sending)
			peer_send(w & 8 ? (const u8[6]){0xff, 0, 0, 0, 0, 1} : side[i].address,
				  value & 0x7ff);
		break;
	case 12:
		peer.refuses = value & 1;
		for (i = 0; i < SIDES; i++)
			if (value >> (1 + i) & 1)
				side_lag(&side[i]);
			else
				side[i].lags = false;
		break;
	case 13:
		fake_run_until(shim_tsc + 1 + value % 1000000000);
		break;
	case 14:
		MUST((pv_query(&side[i].bus, w >> 4, &d) == 0) == (w >> 4 == 0));
		break;
	default:
		pv_net_nic.reset(side[i].nic);
		remember_closed(i, TX);
		remember_closed(i, RX);
	}
	check_closed();
	MUST(fake_timers_armed() <= 1 + 2 * SIDES && peer.length <= 1518);
}

static void count_page(void *opaque, gpa_t gpa, const struct ept_leaf *leaf)
{
	u64 *pages = opaque;

	(void)gpa;
	*pages += leaf->size / PAGE_SIZE;
}

/* Whatever was done to them, they can be used again: a frame each way. */
static void works_again(void)
{
	struct socle_response r;

	side[0].lags = side[1].lags = false;
	fake_run_until(shim_tsc + ns_to_tsc(10000000000));
	for (unsigned i = 0; i < SIDES; i++)
		for (unsigned ring = 0; ring < 2; ring++) {
			int rc = pv_close(&side[i].bus, 0, ring);
			MUST(rc == 0 || rc == ERR_NOENT);
			side_open(&side[i], ring, RING_OF(ring), 8);
		}
	MUST(side[0].mem.pinned_pages == 2 && side[1].mem.pinned_pages == 2);
	for (unsigned i = 0; i < SIDES; i++) {
		u64 pages = 0;
		ept_for_each(&side[i].ept, count_page, &pages);
		MUST(pages == side[i].mem.populated_pages);
	}
	for (unsigned i = 0; i < SIDES; i++) {
		struct socle_request send = {.operation = SOCLE_RING_SEND, .length = 64, .address = FRAMES};
		struct socle_request room = {
		    .operation = SOCLE_RING_RECEIVE, .length = 1518, .address = FRAMES + 0x1000};

		frame_header(i, 0x10, 0);
		MUST(gmem_set(&side[i].mem, FRAMES + 14, (u8)(0x40 + i), 50) == 0);
		socle_driver_put(&side[!i].driver[RX], &room);
		(void)socle_driver_push(&side[!i].driver[RX]);
		socle_driver_put(&side[i].driver[TX], &send);
		(void)socle_driver_push(&side[i].driver[TX]);
		MUST(pv_doorbell(&side[i].bus, 0, TX) == 0);
		fake_run_until(shim_tsc + ns_to_tsc(1000000000));
		MUST(socle_driver_get(&side[i].driver[TX], &r) && r.status == 0);
		MUST(socle_driver_get(&side[!i].driver[RX], &r) && r.status == 0 && r.length == 64);
		MUST(memcmp(side_at(&side[i], FRAMES, 64), side_at(&side[!i], FRAMES + 0x1000, 64), 64) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	memset(closed, 0, sizeof(closed));
	memset(anywhere, 0, sizeof(anywhere));
	sides_large = data[0] & 4;
	sides_create(data[0] & 1 ? NET_ANTI_SPOOF : 0, data[0] & 2 ? 100000 : 0);
	for (data++, size--; size >= STEP; data += STEP, size -= STEP)
		step(data);
	works_again();
	sides_destroy();
	return 0;
}
