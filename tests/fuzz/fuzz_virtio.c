/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest against a whole virtio disk (M67): configuration space, both BARs, the window, the queue's
 * memory, doorbells, requests of any form, resets in the middle; a disk that completes at once or much later,
 * in any order. Beyond what the sanitizers see: the disk gets requests as its contract has them, each ends
 * once, at most one timer is armed, and after a reset the device works.
 *
 * An input is a sequence of 8-byte steps: what, where (24 bits), value (32 bits). The first one's bit 6
 * chooses pages of 2 MiB. */
#include "devices/virtio_blk.h"
#include "virtio_steps.h"

#define SECTORS 256u
#define QUEUE 0x10000ull
#define SIZE 8u
#define HELD 64u

static struct virtio_blk *blk;
static struct block slow;
static struct block_ram ram;
static u8 media[SECTORS * 512];
static struct block_request *held[HELD];
static unsigned nr_held;
static bool hold;

static void slow_submit(struct block *b, struct block_request *r)
{
	u64 sum = 0;

	(void)b;
	for (u32 i = 0; i < r->nr_segments; i++)
		sum += r->segments[i].length;
	MUST(r->op < BLOCK_OPS && (r->op == BLOCK_FLUSH || (r->sector + r->count <= SECTORS && r->count)));
	MUST(r->op > BLOCK_WRITE || sum == r->count * 512ull);
	for (unsigned i = 0; i < nr_held; i++)
		MUST(held[i] != r);
	if (hold && nr_held < HELD)
		held[nr_held++] = r;
	else
		ram.block.submit(&ram.block, r);
}

static void let_go(u32 which)
{
	if (!nr_held)
		return;
	which %= nr_held;
	struct block_request *r = held[which];
	held[which] = held[--nr_held];
	ram.block.submit(&ram.block, r);
}

/* A queue as a driver would set it up. */
static void begin(u32 value)
{
	if (!driver_begin(value, device_features()))
		return; /* it waits for the disk */
	driver_queue(0, QUEUE, value);
	driver_ok(value);
}

/* A request in three descriptors, i of the ring on, of either layout. */
static void request(u32 w, u32 value)
{
	u32 i = w & (SIZE - 1), type = w >> 8 & 15, bytes = value & 0x3fff;
	u16 write = type == 0 || type == 8 ? VIRTQ_DESC_WRITE : 0, avail = w & 0x10 ? 0x80 : 0;
	gpa_t desc = QUEUE + 16 * i, data = 0x20000 + (value >> 14 & 0x3ff) * 16;
	u8 header[16] = {(u8)type, [8] = (u8)(value >> 24)};

	(void)gmem_write(&guest_ram, 0x18000 + 32 * i, header, 16);
	desc_write(desc, 0x18000 + 32 * i, 16, avail ? 0 : VIRTQ_DESC_NEXT, avail ? avail | 1 : (u16)(i + 1));
	desc_write(desc + 16, data, bytes, avail ? 0 : write | VIRTQ_DESC_NEXT,
		   avail ? avail | 1 | write : (u16)(i + 2));
	desc_write(desc + 32, 0x18010 + 32 * i, 1, avail ? (u16)i : VIRTQ_DESC_WRITE, avail ? avail | 2 : 0);
}

static void write_memory(u32 w, u32 value, unsigned n)
{
	static const gpa_t bases[] = {QUEUE, QUEUE + 0x2000, QUEUE + 0x4000, 0x18000};

	(void)gmem_write(&guest_ram, w >> 20 & 4 ? ram_near(w & 0xfffff) : bases[w >> 20 & 3] + (w & 0x1fff),
			 &value, n);
}

static void step(const uint8_t *s)
{
	struct step step = step_of(s);
	u32 w = step.w, value = step.value;

	switch (step.kind) {
	case 0:
		begin(value);
		break;
	case 1 ... 2:
		request(w, value);
		break;
	case 3: { /* one more is available */
		u16 index = (u16)(get16(QUEUE + 0x2002) + (value & 3));
		write_memory(2 << 20 | 2, index, 2);
		write_memory(1 << 20 | 2, index, 2);
		break;
	}
	case 4 ... 5:
		doorbell(w & 1);
		break;
	case 6 ... 7:
		write_memory(w, value, MIN(step.size, 4u));
		break;
	case 12:
		hold = value & 1;
		break;
	case 13:
		let_go(value);
		break;
	case 14:
		fake_run_until(++shim_tsc);
		break;
	default:
		bus_step(&step);
	}
	MUST(fake_timers_armed() <= 1);
}

/* Whatever was done to it, it can be used again. */
static void works_again(void)
{
	static const u8 header[16] = {0};

	hold = false;
	while (nr_held)
		let_go(0);
	bus_restore();
	MUST(gmem_set(&guest_ram, QUEUE, 0, 0x6000) == 0);
	begin(3);
	MUST(status() == 15);
	MUST(gmem_write(&guest_ram, 0x18000, header, 16) == 0 && gmem_set(&guest_ram, 0x18010, 0x77, 1) == 0);
	request(0, 512);
	write_memory(1 << 20 | 2, 1, 2);
	doorbell(0);
	MUST(*(u8 *)at(0x18010, 1) == 0 && get16(QUEUE + 0x4002) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_blk_setup setup = {.disk = &slow, .id = "fuzz", .packed = true, .queues = 2};

	shim_tsc = 1000;
	nr_held = 0;
	hold = false;
	ram_large = size && data[0] & 0x40;
	board_init();
	block_ram_init(&ram, media, sizeof(media), 0);
	slow = (struct block){.submit = slow_submit, .sectors = SECTORS, .flags = BLOCK_VOLATILE};
	blk = virtio_blk_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup);
	MUST(blk);
	board_start();
	for (; size >= STEP; data += STEP, size -= STEP)
		step(data);
	works_again();
	virtio_blk_destroy(blk);
	board_fini();
	MUST(fake_timers_armed() == 0 && shim_pages_in_use == 0);
	return 0;
}
