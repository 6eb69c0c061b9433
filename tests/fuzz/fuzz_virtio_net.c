/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile guest against a whole virtio network interface on a bridge (M67): configuration space, BARs, the
 * memory of three queues, doorbells, frames with headers of any kind, commands, resets in the middle; and a
 * peer that sends, with offloads, and takes offloads or not. Beyond what the sanitizers see: each frame of
 * the peer comes back once, what the peer gets is a frame within bounds, few timers are armed, and after a
 * reset the interface works.
 *
 * An input is a sequence of 8-byte steps: what, where (24 bits), value (32 bits). The first one's bits 0 to 2
 * choose anti-spoofing, a rate and a second pair, too, and bit 6 pages of 2 MiB. */
#include "tests/unit/virtio_net_board.h"
#include "virtio_steps.h"

static const gpa_t bases[] = {RX_QUEUE, TX_QUEUE, CONTROL_QUEUE};

/* A driver's queues, with what is there in them. */
static void begin(u32 value)
{
	u64 features = device_features() & ~((u64)(value >> 8 & 0xffff) << (value & 0x80 ? 12 : 0) & F_ALL);

	if (!driver_begin(value, features))
		return;
	for (u16 i = 0; i < 3; i++)
		driver_queue(i, bases[i], value);
	driver_ok(value);
}

/* A descriptor, of either layout, of a queue. */
static void descriptor(u32 w, u32 value)
{
	u32 queue = (w >> 16) % 3, i = w & 7;
	u16 write = queue == 0 || w & 8 ? VIRTQ_DESC_WRITE : 0, next = w & 0x10 ? VIRTQ_DESC_NEXT : 0;
	bool packed = w & 0x20;
	gpa_t data = (queue ? TX_DATA : RX_DATA) + (value >> 16 & 0xff) * 64;
	u16 wrap = w & 0x40 ? VIRTQ_DESC_AVAIL : VIRTQ_DESC_USED;

	desc_write(bases[queue] + 16 * i, data, value & 0xffff, packed ? (u16)i : write | next,
		   packed ? (u16)(write | next | wrap) : (u16)(i + 1));
	if (packed)
		return;
	u16 index = get16(bases[queue] + 0x2002);
	set16(bases[queue] + 0x2004 + 2 * (index & 7), (u16)i);
	set16(bases[queue] + 0x2002, (u16)(index + (w >> 7 & 1)));
}

static void header(u32 w, u32 value)
{
	struct header h = {.flags = (u8)(w & 3),
			   .gso = (u8)(w >> 2 & 0x87),
			   .gso_size = (u16)(value & 0xfff),
			   .from = (u16)(value >> 12 & 0xff),
			   .at = (u16)(w & 0x400 ? 16 : value >> 20)};
	u8 ip[24] = {0};

	tx_prepare(&h, w & 0x800 ? mac_peer : (const u8[6]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac_nic, 64,
		   0);
	memcpy(ip, w & 0x1000 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
	ip[w & 0x1000 ? 8 : 11] = 6;
	MUST(gmem_write(&guest_ram, TX_DATA + HEADER + 12, ip, 24) == 0);
	MUST(gmem_set(&guest_ram, TX_DATA + HEADER + (w & 0x1000 ? 66 : 46), 0x50, 1) == 0);
}

static void from_peer(u32 w, u32 value)
{
	struct net_offload o = {0};

	if (w & 1)
		o = (struct net_offload){.from = w & 8 ? 54 : 34, .at = 16, .cut = w & 2 ? (u16)value : 0};
	memset(peer.sent, (int)(w >> 8), 256);
	memcpy(peer.sent + 12, w & 8 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
	peer.sent[w & 8 ? 20 : 23] = 6;
	peer.sent[w & 8 ? 66 : 46] = 0x50;
	if (!peer.sending)
		peer_send(w & 4 ? mac_nic : (const u8[6]){3, 0, 0, 0, 0, (u8)w}, value >> 16, o);
}

static void step(const uint8_t *s)
{
	struct step step = step_of(s);
	u32 w = step.w, value = step.value;

	switch (step.kind) {
	case 0:
		begin(value);
		break;
	case 1 ... 3:
		descriptor(w, value);
		break;
	case 4:
		header(w, value);
		break;
	case 5:
		doorbell((u16)(w % 3));
		break;
	case 6:
		(void)gmem_write(&guest_ram,
				 w >> 23 ? ram_near(w & 0xfffff) : bases[(w >> 16) % 3] + (w & 0x7fff),
				 &value, MIN(step.size, 4u));
		break;
	case 7:
		(void)gmem_write(&guest_ram, TX_DATA + (w & 0xfff), &value, MIN(step.size, 4u));
		break;
	case 11:
		peer.refuses = value & 8;
		peer.takes = value & 7;
		break;
	case 12 ... 13:
		from_peer(w, value);
		break;
	case 14:
		fake_run_until(shim_tsc + 1 + value % 1000000000);
		break;
	default:
		bus_step(&step);
	}
	MUST(fake_timers_armed() <= 2);
	MUST(peer.length <= NET_FRAME_MAX && peer.delivered <= peer.completed);
}

/* Whatever was done to it, it can be used again. */
static void works_again(void)
{
	static u8 bytes[PEER_BUFFER];
	struct header h;

	fake_run_until(shim_tsc + ns_to_tsc(10000000000));
	bus_restore();
	go(RINGS | F_ALL);
	fake_run_until(shim_tsc + ns_to_tsc(10000000000));
	peer.refuses = false;
	peer.frames = 0;
	for (unsigned i = 1; i <= 3; i++) { /* later ones by what the queue has remembered */
		MUST(tx_send(mac_peer, 99 + i, (u8)i));
		fake_run_until(shim_tsc + ns_to_tsc(10000000000));
		MUST(peer.frames == i && peer.length == 99 + i && peer.bytes[20] == (u8)(i + 20 * 7));
		rx_post(1, 2048);
		MUST(!peer.sending);
		peer.sent[100] = (u8)i;
		peer_send(mac_nic, 199 + i, (struct net_offload){0});
		MUST(rx_take(&h, bytes) == 199 + i && h.buffers == 1 && bytes[100] == (u8)i);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 first = size ? data[0] : 0;

	nr_pairs = first & 4 ? 2 : 0;
	ram_large = first & 0x40;
	create_with(true, first & 1 ? NET_ANTI_SPOOF : 0, first & 2 ? 100000 : 0);
	for (; size >= STEP; data += STEP, size -= STEP)
		step(data);
	works_again();
	destroy();
	return 0;
}
