/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest against a whole virtio console or entropy device (M67): configuration space, both BARs, the
 * window, the queues' memory, doorbells, buffers of any form, resets in the middle; and against a console,
 * while its bytes leave, what another CPU may do. Beyond what the sanitizers see: what is done at once is
 * bounded, no byte of input is taken that was not there, at most one timer is armed, and after a reset the
 * device works.
 *
 * An input is a byte, whose bit 0 says which device and bit 1 how large the guest's pages, then a sequence of
 * 8-byte steps: what, where (24 bits), value (32 bits). */
#include "devices/virtio_console.h"
#include "devices/virtio_rng.h"
#include "virtio_steps.h"

#define SIZE 8u
#define AREAS 0x6000ull /* of a queue */
#define AREAS_OF(queue) (0x8000ull + (queue)*AREAS)
#define BUFFERS 0x20000ull
/* A turn and the last part of it. */
#define OUTPUT_MOST (256u + 128u)
#define WORDS_MOST ((512u + 256u) / 8)

static struct virtio_console *console;
static struct virtio_rng *rng;
static u32 shown, drawn, refused, inside;
static bool dry, no_rng;
static const uint8_t *meanwhile; /* a step for while bytes leave */

static void step(const uint8_t *s);

/* ---- the other ends ---- */
static void output(void *opaque, const u8 *buf, size_t n)
{
	const uint8_t *s = meanwhile;
	u8 sum = 0;

	(void)opaque;
	MUST(n && n <= 128 && !inside);
	for (size_t i = 0; i < n; i++)
		sum ^= buf[i];
	shown += (u32)n + (sum & 0);
	meanwhile = NULL;
	inside++;
	/* Another CPU would wait for the bus until the one that writes to its registers has come back. */
	if (s && board.bus.lock.serving == board.bus.lock.next)
		step(s);
	inside--;
}

static void type(u32 n)
{
	static const u8 text[4096];
	size_t taken = virtio_console_input(console, text, n);

	MUST(taken <= n);
	refused = taken < n;
}

static void room(void *opaque)
{
	(void)opaque;
	MUST(refused);
	refused = 0;
	type(17);
}

const char *entropy_test(void)
{
	return NULL;
}

int entropy_get(u64 *word)
{
	if (no_rng || dry)
		return no_rng ? ERR_NOTSUP : ERR_AGAIN;
	*word = 0x0101010101010101u * (u8)++drawn;
	return 0;
}

/* ---- the driver ---- */
/* Queues as a driver would set them up. */
static void begin(u32 value)
{
	if (!driver_begin(value, device_features()))
		return; /* it is sending */
	for (u16 q = 0; q < common(0x12, 2); q++)
		driver_queue(q, AREAS_OF(q), value);
	driver_ok(value);
}

/* One or two descriptors, i of a ring on, of either layout. */
static void buffer(u32 w, u32 value)
{
	u32 i = w & (SIZE - 1), bytes = value & 0x3fff, q = w >> 8 & 1;
	u16 write = w & 0x20 ? VIRTQ_DESC_WRITE : 0, avail = w & 0x10 ? 0x80 : 0;
	u16 more = w & 0x40 ? VIRTQ_DESC_NEXT : 0;
	gpa_t desc = AREAS_OF(q) + 16 * i, data = BUFFERS + (value >> 14 & 0x3fff) * 16;

	desc_write(desc, data, bytes, avail ? (u16)i : (u16)(more | write),
		   avail ? (u16)(avail | more | write) : (u16)(i + 1));
	desc_write(desc + 16, data + bytes, value >> 28 << 4, avail ? (u16)i : write, avail | write);
}

static void write_memory(u32 w, u32 value, unsigned n)
{
	static const gpa_t part[] = {0, 0x2000, 0x4000, 0x18000};
	gpa_t base = AREAS_OF(w >> 19 & 1) + part[w >> 20 & 3];

	(void)gmem_write(&guest_ram, w >> 22 & 1 ? ram_near(w & 0xfffff) : base + (w & 0x1fff), &value, n);
}

/* One more is available. */
static void publish(u32 q, u32 value)
{
	u16 index = (u16)(get16(AREAS_OF(q) + 0x2002) + (value & 3)), head = (u16)(value >> 8 & (SIZE - 1));

	set16(AREAS_OF(q) + 0x2004 + 2 * ((index - 1u) & (SIZE - 1)), head);
	set16(AREAS_OF(q) + 0x2002, index);
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
		buffer(w, value);
		break;
	case 3:
		publish(w & 1, value);
		break;
	case 4 ... 5:
		doorbell(w & 1);
		break;
	case 6 ... 7:
		write_memory(w, value, MIN(step.size, 4u));
		break;
	case 12:
		if (console)
			type(value & 0xfff);
		dry = value & 1;
		no_rng = (value & 0xff) == 0xfe;
		break;
	case 13:
		if (!inside)
			meanwhile = s + STEP;
		break;
	case 14:
		shim_tsc += value & 0xfffff;
		fake_run_until(shim_tsc);
		break;
	default:
		bus_step(&step);
	}
}

/* Each begins at most one turn; those in the middle of another begin none of output. */
static void checked_step(const uint8_t *s)
{
	u32 before = shown, words = drawn;

	step(s);
	MUST((s[0] & 15) == 14 || shown - before <= 2 * OUTPUT_MOST);
	MUST((s[0] & 15) == 14 || drawn - words <= 2 * WORDS_MOST);
	MUST(fake_timers_armed() <= 1);
}

/* Whatever was done to it, it can be used again. */
static void works_again(void)
{
	const u32 q = console ? 1 : 0;

	dry = no_rng = false;
	meanwhile = NULL;
	bus_restore();
	common_set(0x14, 1, 0);
	MUST(gmem_set(&guest_ram, AREAS_OF(0), 0, 2 * AREAS) == 0);
	begin(3);
	MUST(status() == 15);
	shown = drawn = 0;
	buffer(q << 8 | (q ? 0 : 0x20), 64);
	publish(q, 1);
	doorbell((u16)q);
	MUST(get16(AREAS_OF(q) + 0x4002) == 1 && (q ? shown == 64 : drawn >= 7));
	if (!q)
		return;
	if (refused)
		type(0);
	buffer(0x20, 64);
	publish(0, 1);
	doorbell(0);
	MUST(virtio_console_input(console, (const u8 *)"x", 1) == 1);
	MUST(get16(AREAS_OF(0) + 0x4002) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_console_setup setup = {.output = output, .room = room, .opaque = &board};

	if (!size)
		return 0;
	shim_tsc = 1000;
	shim_quiet = 1;
	shown = drawn = refused = inside = 0;
	dry = no_rng = false;
	meanwhile = NULL;
	ram_large = data[0] & 2;
	board_init();
	console = data[0] & 1 ? virtio_console_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, &setup) : NULL;
	rng = data[0] & 1 ? NULL : virtio_rng_create(BOARD_GUEST, &board.bus, BOARD_DEVFN, NULL);
	MUST(console || rng);
	board_start();
	for (data++, size--; size >= 2 * STEP; data += STEP, size -= STEP)
		checked_step(data);
	works_again();
	virtio_console_destroy(console);
	virtio_rng_destroy(rng);
	board_fini();
	MUST(fake_timers_armed() == 0 && shim_pages_in_use == 0);
	return 0;
}
