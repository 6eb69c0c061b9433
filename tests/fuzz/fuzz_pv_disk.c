/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest against its disk behind a Socle ring (M67): the ring's memory at any moment, requests of
 * any form, doorbells, the ring opened and closed in the middle; a disk that completes at once or much later,
 * in any order, and may fail; and another CPU that does something while a request is handed to the disk.
 * Beyond what the sanitizers see: the disk gets requests as its contract has them, each ends once, what is
 * closed is closed, one step begins a bounded number of requests, nothing stays pinned, and after a close the
 * disk works.
 *
 * An input is a byte, whose bits 0 to 2 say how the disk is and bit 3 how large the guest's pages, then a
 * sequence of 8-byte steps: what, where (24 bits), value (32 bits). */
#include "devices/pv_disk.h"
#include "guest.h"
#include "tests/unit/fake_timer.h"
#include "tests/unit/virtq_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP 8
#define SECTORS 256u
#define EVENT 5u
#define RING 0x8000ull
#define LISTS 0x18000ull /* of segments */
#define DATA 0x20000ull
#define HELD 512u
#define STEPS_OF_ONE 3u /* a flush before, one after */

static struct pv_bus bus;
static struct pv_disk *pv;
static struct block slow;
static struct block_ram ram;
static u8 media[SECTORS * 512];
static struct block_request *held[HELD];
static unsigned nr_held, begun, events;
static bool hold, fails, inside;
static const uint8_t *meanwhile; /* a step for while a request is handed on */
static gpa_t base;
static u32 slots, next_id;
static struct socle_driver driver;

static void step(const uint8_t *s);

struct gmem *guest_mem(struct guest *g)
{
	(void)g;
	return &guest_ram;
}

const char *guest_name(const struct guest *g)
{
	(void)g;
	return "fuzz";
}

static void event(void *opaque, u32 number)
{
	MUST(opaque == &bus && number == EVENT);
	events++;
}

/* ---- the disk ---- */
static void end(struct block_request *r)
{
	if (fails)
		r->complete(r, BLOCK_IOERR);
	else
		ram.block.submit(&ram.block, r);
}

static void check(const struct block_request *r)
{
	u64 sum = 0;

	begun++;
	MUST(r->op < BLOCK_OPS && r->flags == 0);
	MUST(r->op == BLOCK_FLUSH || (r->count && r->sector + r->count <= SECTORS));
	MUST(!(slow.flags & BLOCK_READ_ONLY) || r->op == BLOCK_READ || r->op == BLOCK_FLUSH);
	for (u32 i = 0; r->op <= BLOCK_WRITE && i < r->nr_segments; i++)
		sum += r->segments[i].length;
	MUST(r->op > BLOCK_WRITE || sum == r->count * 512ull);
	for (unsigned i = 0; i < nr_held; i++)
		MUST(held[i] != r);
}

static void slow_submit(struct block *b, struct block_request *r)
{
	const uint8_t *s = meanwhile;

	(void)b;
	check(r);
	meanwhile = NULL;
	if (s && !inside) {
		inside = true;
		step(s);
		inside = false;
	}
	if (hold) {
		MUST(nr_held < HELD);
		held[nr_held++] = r;
	} else {
		end(r);
	}
}

/* May hold a lock of the device's: nobody else does anything meanwhile. */
static bool slow_now(struct block *b, const struct block_request *r, enum block_status *status)
{
	(void)b;
	if (hold)
		return false;
	check(r);
	*status = fails ? BLOCK_IOERR : ram.block.serve(&ram.block, r, r->sector);
	return true;
}

static void let_go(u32 which)
{
	if (!nr_held)
		return;
	which %= nr_held;
	struct block_request *r = held[which];
	held[which] = held[--nr_held];
	end(r);
}

/* The end of a VM waits for its disk. */
void cpu_poll_interrupts(void)
{
	let_go(0);
}

/* ---- the guest ---- */
static void ring_open(u32 w, u32 value)
{
	gpa_t at = RING + (w >> 4 & 0x7f) * 128;
	u64 n = w & 0x8000 ? value : 1ull << (value & 15);

	if (!(w & 0x4000))
		MUST(gmem_set(&guest_ram, at, 0, 0x2100) == 0);
	if (pv_open(&bus, w >> 21, w >> 20 & 1, at, n, value & 0x10 ? EVENT : 0))
		return;
	MUST(w >> 20 == 0 && n && n <= SOCLE_RING_MAX);
	base = at;
	slots = (u32)n;
	next_id = 0;
}

/* The next request, mostly one that is good. */
static void request(u32 w, u32 value)
{
	struct socle_request r = {
	    .id = w & 0x10 ? w >> 16 : next_id++ & (slots - 1),
	    .operation = (u8)(w & 0x20 ? w >> 8 & 15 : SOCLE_RING_READ + w % 5),
	    .flags = (u8)(w >> 12 & 3),
	    .nr_segments = (u16)(w & 0x40 ? value >> 24 : 0),
	    .length = w & 0x80 ? (value & 0xfff) : (value & 63) * 512,
	    .address = (w & 0x40 ? LISTS : DATA) + (value >> 12 & 0xfff) * 16,
	    .sector = w >> 16 & 0xff,
	};
	u32 index;

	if (!slots)
		return;
	if (w % 5 >= 3 && !(w & 0x80)) /* in sectors */
		r.length /= 512;
	index = get32(base);
	(void)gmem_write(&guest_ram, base + 128 + (index & (slots - 1)) * 32ull, &r, sizeof(r));
	set32(base, index + 1);
}

static void segment(u32 w, u32 value)
{
	struct socle_segment s = {DATA + (value >> 12 & 0xfff) * 16, value & 0xfff, 0};

	if (w & 0x10)
		s.address = (u64)value << 12 | (w & 0xf00);
	(void)gmem_write(&guest_ram, LISTS + (w >> 12 & 0xff) * 16, &s, sizeof(s));
}

static void ring_close(u32 w)
{
	int rc = pv_close(&bus, w >> 8, 0);

	MUST(rc == 0 || rc == ERR_NOENT || (rc == ERR_AGAIN && (nr_held || inside)));
	if (rc == 0) /* it touches no request's memory any more */
		MUST(nr_held == 0 && guest_ram.pinned_pages == 0);
}

static void step(const uint8_t *s)
{
	u32 w = s[1] | s[2] << 8 | (u32)s[3] << 16, value = s[4] | s[5] << 8 | s[6] << 16 | (u32)s[7] << 24;
	struct socle_device d;

	switch (s[0] & 15) {
	case 0:
		ring_open(w, value);
		break;
	case 1 ... 3:
		request(w, value);
		break;
	case 4 ... 5:
		(void)pv_doorbell(&bus, w >> 8, w >> 7 & 1);
		break;
	case 6:
		(void)gmem_write(&guest_ram, w >> 23 ? ram_near(w & 0xfffff) : base + (w & 0xfff), &value,
				 1u << (s[0] >> 4) % 3);
		break;
	case 7:
		segment(w, value);
		break;
	case 8:
		ring_close(w);
		break;
	case 9 ... 10:
		let_go(value);
		break;
	case 11:
		hold = value & 1;
		fails = value & 2;
		break;
	case 12:
		if (!inside)
			meanwhile = s + STEP;
		break;
	case 13:
		shim_tsc += value & 0xffff;
		fake_run_until(shim_tsc);
		break;
	case 14:
		MUST((pv_query(&bus, w >> 4, &d) == 0) == (w >> 4 == 0));
		break;
	default:
		if (!inside)
			pv_disk_reset(pv);
	}
}

/* Time goes on without bound, a doorbell does not. */
static void checked_step(const uint8_t *s)
{
	begun = 0;
	step(s);
	MUST((s[0] & 15) == 13 || begun <= 2 * STEPS_OF_ONE * SOCLE_RING_MAX);
	MUST(fake_timers_armed() <= 1);
}

static void ask(u8 operation, u8 flags, gpa_t at)
{
	const struct socle_request r = {
	    .operation = operation, .flags = flags, .sector = 3, .length = 512, .address = at};
	struct socle_response back;
	int id = socle_driver_put(&driver, &r);

	(void)socle_driver_push(&driver);
	MUST(pv_doorbell(&bus, 0, 0) == 0);
	fake_run_until(shim_tsc += 1000000);
	MUST(socle_driver_get(&driver, &back) && (int)back.id == id);
	MUST(back.status == (slow.flags & BLOCK_READ_ONLY && operation != SOCLE_RING_READ ? SOCLE_EROFS : 0));
	MUST(!socle_driver_get(&driver, &back));
}

/* Whatever was done to it, it can be used again. */
static void works_again(void)
{
	hold = fails = false;
	meanwhile = NULL;
	while (nr_held)
		let_go(0);
	fake_run_until(shim_tsc += 1000000);
	ring_close(0);
	MUST(gmem_set(&guest_ram, RING, 0, PAGE_SIZE) == 0);
	MUST(pv_open(&bus, 0, 0, RING, 8, EVENT) == 0);
	socle_driver_init(&driver, at(RING, PAGE_SIZE), 8);
	for (unsigned i = 0; i < 512; i++)
		*(u8 *)at(DATA + i, 1) = (u8)(i * 7);
	ask(SOCLE_RING_WRITE, SOCLE_RING_BARRIER, DATA);
	ask(SOCLE_RING_READ, 0, DATA + 512);
	if (!(slow.flags & BLOCK_READ_ONLY))
		MUST(memcmp(at(DATA, 512), at(DATA + 512, 512), 512) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pv_disk_setup setup = {.disk = &slow, .id = "fuzz", .event = event, .opaque = &bus};

	if (!size)
		return 0;
	shim_tsc = 1000;
	nr_held = events = slots = next_id = 0;
	hold = fails = inside = false;
	meanwhile = NULL;
	base = RING;
	memset(&bus, 0, sizeof(bus));
	ram_large = data[0] & 8;
	ram_create();
	block_ram_init(&ram, media, sizeof(media), 0);
	slow =
	    (struct block){.submit = slow_submit,
			   .sectors = SECTORS,
			   .flags = (data[0] & 1 ? BLOCK_VOLATILE : 0) | (data[0] & 2 ? BLOCK_READ_ONLY : 0),
			   .now = data[0] & 4 ? slow_now : NULL};
	pv = pv_disk_create((struct guest *)&bus, &bus, &setup);
	MUST(pv);
	for (data++, size--; size >= 2 * STEP; data += STEP, size -= STEP)
		checked_step(data);
	works_again();
	pv_disk_destroy(pv);
	MUST(fake_timers_armed() == 0 && guest_ram.pinned_pages == 0);
	ram_destroy();
	MUST(shim_pages_in_use == 0);
	return 0;
}
